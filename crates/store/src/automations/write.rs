//! What a decision changes of automations, as statements.

use crate::error::Result;
use crate::statement::{Sql, Statement};
use crate::value::{Value, json};
use jiff::Timestamp;
use trackside_core::automation::definition::{Automation, AutomationId, Origin, Semantics};
use trackside_core::automation::edit::Cell;
use trackside_core::caller::Caller;
use trackside_core::decision::AutomationChange;

/// Most rows of history kept per automation; the oldest give way.
pub const HISTORY_ROWS: usize = 500;

static PUT: Sql = Sql::write(
    "automations.put",
    "INSERT INTO automations (id, name, enabled, semantics, origin, created, updated, version, owner, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled, semantics = excluded.semantics,
       origin = excluded.origin, created = excluded.created, updated = excluded.updated, version = excluded.version,
       owner = excluded.owner, body = excluded.body",
);
static DROP: Sql = Sql::write("automations.drop", "DELETE FROM automations WHERE id = $1");
static TAG: Sql = Sql::write("automation_tags.put", "INSERT INTO automation_tags (automation, tag) VALUES ($1, $2)");
static UNTAG: Sql = Sql::write("automation_tags.drop", "DELETE FROM automation_tags WHERE automation = $1");
static REMEMBER: Sql = Sql::write(
    "automation_history.edit",
    "INSERT INTO automation_history (automation, version, at, subject, via, kind, body)
     VALUES ($1, $2, $3, $4, $5, 'edit', $6)",
);
static REMEMBER_GONE: Sql = Sql::write(
    "automation_history.delete",
    "INSERT INTO automation_history (automation, version, at, subject, via, kind, body)
     SELECT id, version, $1, $2, $3, 'delete', body FROM automations WHERE id = $4",
);
static FORGET: Sql = Sql::write(
    "automation_history.forget",
    "DELETE FROM automation_history WHERE automation = $1 AND position <=
       (SELECT position FROM automation_history WHERE automation = $1 ORDER BY position DESC LIMIT 1 OFFSET $2)",
);
static PUT_CELL: Sql = Sql::write(
    "automation_cells.put",
    "INSERT INTO automation_cells (automation, key, body) VALUES ($1, $2, $3)
     ON CONFLICT (automation, key) DO UPDATE SET body = excluded.body",
);
static DROP_CELL: Sql =
    Sql::write("automation_cells.drop", "DELETE FROM automation_cells WHERE automation = $1 AND key = $2");
static DROP_CELLS: Sql = Sql::write("automation_cells.drop_all", "DELETE FROM automation_cells WHERE automation = $1");

#[cfg(test)]
pub(crate) static SQL: &[&Sql] =
    &[&PUT, &DROP, &TAG, &UNTAG, &REMEMBER, &REMEMBER_GONE, &FORGET, &PUT_CELL, &DROP_CELL, &DROP_CELLS];

/// The statements of an edit: the automation as it is now, and a row of its history.
pub(crate) fn put(change: &AutomationChange) -> Result<Vec<Statement>> {
    let AutomationChange { automation, by } = change;
    let body = json("an automation", automation)?;
    let mut statements = vec![put_row(automation, &body), UNTAG.bind(automation.id).any()];
    let mut tags: Vec<&String> = automation.spec.tags.iter().collect();
    tags.sort_unstable();
    tags.dedup();
    statements.extend(tags.into_iter().map(|tag| TAG.bind(automation.id).bind(tag).any()));
    let edit = REMEMBER.bind(automation.id).bind(automation.version).bind(automation.updated);
    statements.push(edit.bind(&by.subject).bind(&by.via).bind(body).any());
    statements.push(forget(automation.id));
    Ok(statements)
}

fn put_row(automation: &Automation, body: &str) -> Statement {
    PUT.bind(automation.id)
        .bind(&automation.spec.name)
        .bind(automation.spec.enabled)
        .bind(semantics_name(automation.semantics))
        .bind(origin_name(automation.origin))
        .bind(automation.created)
        .bind(automation.updated)
        .bind(automation.version)
        .bind(automation.spec.owner_resource.as_ref())
        .bind(body)
        .any()
}

/// The statements of a removal: the automation, its tags and its state go, its history stays.
pub(crate) fn remove(id: AutomationId, by: &Caller, at: Timestamp) -> Vec<Statement> {
    vec![
        REMEMBER_GONE.bind(at).bind(&by.subject).bind(&by.via).bind(id).any(),
        forget(id),
        UNTAG.bind(id).any(),
        DROP_CELLS.bind(owner(Some(id))).any(),
        DROP.bind(id).any(),
    ]
}

fn forget(id: AutomationId) -> Statement {
    FORGET.bind(id).bind(HISTORY_ROWS).any()
}

/// The statement of a piece of state.
pub(crate) fn cell(cell: &Cell) -> Statement {
    let owner = owner(cell.automation);
    match &cell.body {
        Some(body) => PUT_CELL.bind(owner).bind(&cell.key).bind(body).any(),
        None => DROP_CELL.bind(owner).bind(&cell.key).any(),
    }
}

/// Whose a cell is: the bytes of the id, none for what all share.
fn owner(id: Option<AutomationId>) -> Value {
    Value::Bytes(id.map_or_else(Vec::new, |id| id.0.as_bytes().to_vec()))
}

pub(crate) fn semantics_name(semantics: Semantics) -> &'static str {
    match semantics {
        Semantics::Prefect => "prefect",
        Semantics::Trackside => "trackside",
    }
}

pub(crate) fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Api => "api",
        Origin::Files => "files",
    }
}
