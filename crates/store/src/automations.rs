//! Automations as people and the API look at them: a listing, one automation, its history.
//!
//! Invariants: an automation, its tags, its history and its state change with the decision that changes them
//! ([`crate::state`]); history outlives the automation and has a bound per automation ([`HISTORY_ROWS`]).
//! When automations fired is in [`crate::firings`].

pub(crate) mod load;
pub(crate) mod write;

pub use write::HISTORY_ROWS;

use crate::Store;
use crate::error::Result;
use crate::page::{Page, bounded, contains};
use crate::statement::{Filter, Listing, Sql, given, one_of};
use crate::value::{Kind, Row};
use jiff::Timestamp;
use std::collections::BTreeSet;
use trackside_core::automation::definition::{Automation, AutomationId, Origin};
use trackside_core::caller::Caller;
use write::origin_name;

/// Which automations to list. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutomationFilter {
    /// Only these. Each list of this filter has at most [`crate::page::PAGE_ITEMS`] entries.
    pub ids: Option<BTreeSet<AutomationId>>,
    /// Only those with one of these names.
    pub names: Option<BTreeSet<String>>,
    /// Only names that contain this, without regard to case (ASCII).
    pub text: Option<String>,
    /// Only those with all of these tags.
    pub all_tags: Option<BTreeSet<String>>,
    /// Only those with one of these tags.
    pub any_tags: Option<BTreeSet<String>>,
    /// Only those with, or only those without tags.
    pub tagged: Option<bool>,
    /// Only those that are evaluated, or only those that are paused.
    pub enabled: Option<bool>,
    /// Only those kept there.
    pub origin: Option<Origin>,
    /// Only those that go with this resource.
    pub owner_resource: Option<String>,
    /// Only those made at or before this.
    pub created_until: Option<Timestamp>,
}

/// The order of a listing, in the words of Prefect's API. Names are compared by their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutomationSort {
    /// `NAME_ASC`
    #[default]
    NameAsc,
    /// `NAME_DESC`
    NameDesc,
    /// `CREATED_DESC`
    CreatedDesc,
    /// `UPDATED_DESC`
    UpdatedDesc,
}

/// One row of an automation's history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// Position; pass as `before` to go on.
    pub position: u64,
    /// Version of the automation.
    pub version: u32,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub caller: Caller,
    /// What.
    pub kind: HistoryKind,
    /// The automation as it was after the edit, or before the removal.
    pub automation: Automation,
}

/// Where the automations stand; another one after every edit. What was made of them is good while this is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The last edit.
    position: u64,
    /// How many there are.
    count: u64,
}

/// What happened to an automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryKind {
    /// It was made or changed.
    Edit,
    /// It was removed.
    Delete,
}

const HEAD: &str = "SELECT body FROM automations WHERE 1 = 1";
const CLAUSES: &[&str] = &[
    "id IN ({*})",
    "name IN ({*})",
    "lower(name) LIKE {0} ESCAPE '\\'",
    "{0} = (SELECT count(*) FROM automation_tags t WHERE t.automation = automations.id AND t.tag IN ({*}))",
    "EXISTS (SELECT 1 FROM automation_tags t WHERE t.automation = automations.id AND t.tag IN ({*}))",
    "EXISTS (SELECT 1 FROM automation_tags t WHERE t.automation = automations.id) = {0}",
    "enabled = {0}",
    "origin = {0}",
    "owner = {0}",
    "created <= {0}",
];
static BY_NAME: Listing = Listing {
    name: "automations.by_name",
    head: HEAD,
    clauses: CLAUSES,
    order: "ORDER BY name, id",
    columns: &[Kind::Text],
};
static BY_NAME_DOWN: Listing = Listing {
    name: "automations.by_name_down",
    head: HEAD,
    clauses: CLAUSES,
    order: "ORDER BY name DESC, id DESC",
    columns: &[Kind::Text],
};
static BY_CREATED: Listing = Listing {
    name: "automations.by_created",
    head: HEAD,
    clauses: CLAUSES,
    order: "ORDER BY created DESC, id DESC",
    columns: &[Kind::Text],
};
static BY_UPDATED: Listing = Listing {
    name: "automations.by_updated",
    head: HEAD,
    clauses: CLAUSES,
    order: "ORDER BY updated DESC, id DESC",
    columns: &[Kind::Text],
};
static COUNT: Listing = Listing {
    name: "automations.count",
    head: "SELECT count(*) FROM automations WHERE 1 = 1",
    clauses: CLAUSES,
    order: "",
    columns: &[Kind::Int],
};
static GET: Sql = Sql::read("automations.get", "SELECT body FROM automations WHERE id = $1", &[Kind::Text]);
static HISTORY: Sql = Sql::read(
    "automation_history.list",
    "SELECT position, version, at, subject, via, kind, body FROM automation_history
     WHERE automation = $1 AND position < $2 ORDER BY position DESC LIMIT $3",
    &[Kind::Int, Kind::Int, Kind::Time, Kind::Text, Kind::Text, Kind::Text, Kind::Text],
);

static MARK: Sql = Sql::read(
    "automations.mark",
    "SELECT (SELECT coalesce(max(position), 0) FROM automation_history), (SELECT count(*) FROM automations)",
    &[Kind::Int, Kind::Int],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&GET, &HISTORY, &MARK];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&BY_NAME, &BY_NAME_DOWN, &BY_CREATED, &BY_UPDATED, &COUNT];

impl Store {
    /// Automations in this order, at most `limit` (and [`crate::page::PAGE_ITEMS`]) after the first `offset`.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] when a list of the filter is too long; else when one cannot be read back.
    pub async fn automations(
        &self,
        filter: &AutomationFilter,
        sort: AutomationSort,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<Automation>> {
        let Some(filters) = filters(filter)? else { return Ok(Vec::new()) };
        let listing = match sort {
            AutomationSort::NameAsc => &BY_NAME,
            AutomationSort::NameDesc => &BY_NAME_DOWN,
            AutomationSort::CreatedDesc => &BY_CREATED,
            AutomationSort::UpdatedDesc => &BY_UPDATED,
        };
        let rows = self.rows(listing.query_from(filters, offset, bounded(limit))).await?;
        rows.into_iter().map(|mut row| row.json()).collect()
    }

    /// How many automations a listing has.
    ///
    /// # Errors
    /// As [`Store::automations`].
    pub async fn count_automations(&self, filter: &AutomationFilter) -> Result<u64> {
        let Some(filters) = filters(filter)? else { return Ok(0) };
        Ok(self.row(COUNT.query(filters, 1)).await?.map(|mut row| row.next()).transpose()?.unwrap_or(0))
    }

    /// Where the automations stand.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn automations_mark(&self) -> Result<Mark> {
        let row = self.row(MARK.bound().query()).await?;
        let read = |mut row: Row| Ok(Mark { position: row.next()?, count: row.next()? });
        row.map_or(Ok(Mark::default()), read)
    }

    /// One automation.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn automation(&self, id: AutomationId) -> Result<Option<Automation>> {
        self.row(GET.bind(id).query()).await?.map(|mut row| row.json()).transpose()
    }

    /// Edits of an automation, newest first, also when it is gone. The newest [`HISTORY_ROWS`] are kept.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn automation_history(
        &self,
        id: AutomationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<HistoryRow>> {
        let limit = bounded(limit);
        let before = before.unwrap_or(i64::MAX.cast_unsigned());
        let rows = self.rows(HISTORY.bind(id).bind(before).bind(limit).query()).await?;
        let items = rows.into_iter().map(history_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::new(items, limit, |row| row.position))
    }
}

/// The filters in the order of [`CLAUSES`]; `None` when nothing can pass them.
fn filters(filter: &AutomationFilter) -> Result<Option<Vec<Filter>>> {
    let ids = one_of(filter.ids.as_ref())?;
    let names = one_of(filter.names.as_ref())?;
    let any_tags = one_of(filter.any_tags.as_ref())?;
    // All of no tags: every automation has them.
    let all_tags = one_of(filter.all_tags.as_ref().filter(|tags| !tags.is_empty()))?;
    let (Some(ids), Some(names), Some(any_tags), Some(mut all_tags)) = (ids, names, any_tags, all_tags) else {
        return Ok(None);
    };
    if !all_tags.is_empty() {
        all_tags.insert(0, all_tags.len().into());
    }
    Ok(Some(vec![
        ids,
        names,
        given(filter.text.as_ref().map(|text| contains(&text.to_ascii_lowercase()))),
        all_tags,
        any_tags,
        given(filter.tagged),
        given(filter.enabled),
        given(filter.origin.map(origin_name)),
        given(filter.owner_resource.as_ref()),
        given(filter.created_until),
    ]))
}

fn history_row(mut row: Row) -> Result<HistoryRow> {
    Ok(HistoryRow {
        position: row.next()?,
        version: row.next()?,
        at: row.next()?,
        caller: Caller::new(row.next::<String>()?, row.next::<String>()?),
        kind: match row.next::<String>()?.as_str() {
            "delete" => HistoryKind::Delete,
            _ => HistoryKind::Edit,
        },
        automation: row.json()?,
    })
}
