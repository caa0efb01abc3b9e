//! Who was paged, and which alerts fired: what escalations and rules did, as it was decided.
//!
//! Invariant: rows are written with the decision they belong to, once per (log entry, ordinal), and never changed.

use crate::error::Result;
use crate::statement::{Sql, Statement};
use crate::value::json;
use trackside_core::decision::{AlertFired, PageRecord};

static INSERT: Sql = Sql::write(
    "pages.insert",
    "INSERT INTO pages (seq, ordinal, incident, life, at, due, cycle, step, target, team, severity, person,
       out_of_hours, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
);
static FIRED: Sql = Sql::write(
    "alert_firings.insert",
    "INSERT INTO alert_firings (seq, ordinal, at, incident, source, pipeline, rule, subject, severity)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&INSERT, &FIRED];

pub(crate) fn insert(page: &PageRecord) -> Result<Statement> {
    Ok(INSERT
        .bind(page.seq)
        .bind(page.ordinal)
        .bind(page.incident)
        .bind(page.life)
        .bind(page.at)
        .bind(page.due)
        .bind(page.cycle)
        .bind(page.step)
        .bind(&page.target)
        .bind(&page.team)
        .bind(page.severity.as_str())
        .bind(page.person.as_ref())
        .bind(page.out_of_hours)
        .bind(json("a page", page)?)
        .any())
}

/// The statement of an alert that began to fire, the `ordinal`-th of its log entry.
pub(crate) fn insert_fired(fired: &AlertFired, ordinal: u32) -> Statement {
    let pipeline = &fired.key.pipeline;
    FIRED
        .bind(fired.seq)
        .bind(ordinal)
        .bind(fired.at)
        .bind(fired.incident)
        .bind(&pipeline.source)
        .bind(&pipeline.name)
        .bind(&fired.key.rule)
        .bind(&fired.key.subject)
        .bind(fired.severity.as_str())
        .any()
}
