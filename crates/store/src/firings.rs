//! Firings of automations: what fired, when, by what, and what became of each action.
//!
//! Invariants: a firing is written with the decision it belongs to, once per (log entry, ordinal), and is never
//! changed; the figures per day are counted in the same write, so a list of automations reads a few rows for each
//! however often they fire.

use crate::Store;
use crate::error::{Error, Result};
use crate::page::{Page, bounded};
use crate::statement::{Listing, Sql, Statement, given, one_of};
use crate::value::{Kind, Row, json};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::AutomationId;
use trackside_core::automation::edit::FiringRecord;
use trackside_core::automation::firing::FiringState;
use trackside_core::ids::EventId;

/// Most days of figures read at once.
pub const ACTIVITY_DAYS: u16 = 400;

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A firing as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct FiringRow {
    /// Position, by when it was written; [`FiringFilter::before`] takes it.
    pub position: u64,
    /// What fired, and what became of it.
    pub record: FiringRecord,
}

/// Which firings to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FiringFilter {
    /// Only those of this automation.
    pub automation: Option<AutomationId>,
    /// Only those that this event completed.
    pub event: Option<EventId>,
    /// Only those decided at or after this.
    pub since: Option<Timestamp>,
    /// Only those after this one in the listing ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

/// How an automation has been firing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// When it last triggered, as far back as firings are kept.
    pub last_triggered: Option<Timestamp>,
    /// Days (UTC) on which it fired, oldest first; days without a firing are left out.
    pub days: Vec<FiringDay>,
}

/// Firings of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FiringDay {
    /// When it began (UTC).
    pub from: Timestamp,
    /// How often the condition was met.
    pub triggered: u64,
    /// How often it cleared.
    pub resolved: u64,
}

static INSERT: Sql = Sql::write(
    "firings.insert",
    "INSERT INTO firings (automation, at, seq, ordinal, state, event, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
);
static COUNT: Sql = Sql::write(
    "firing_days.count",
    "INSERT INTO firing_days (automation, day, triggered, resolved, last) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (automation, day) DO UPDATE SET triggered = firing_days.triggered + excluded.triggered,
       resolved = firing_days.resolved + excluded.resolved,
       last = CASE WHEN excluded.last IS NULL OR firing_days.last > excluded.last
         THEN firing_days.last ELSE excluded.last END",
);
static LIST: Listing = Listing {
    name: "firings.list",
    head: "SELECT position, body FROM firings WHERE 1 = 1",
    clauses: &[
        "automation = {0}",
        "event = {0}",
        "at >= {0}",
        "(at, position) < (SELECT at, position FROM firings WHERE position = {0})",
    ],
    order: "ORDER BY at DESC, position DESC",
    columns: &[Kind::Int, Kind::Text],
};
static LAST: Listing = Listing {
    name: "firing_days.last",
    head: "SELECT automation, max(last) FROM firing_days WHERE last IS NOT NULL",
    clauses: &["automation IN ({*})"],
    order: "GROUP BY automation",
    columns: &[Kind::Uuid, Kind::Time],
};
static DAYS: Listing = Listing {
    name: "firing_days.list",
    head: "SELECT automation, day, triggered, resolved FROM firing_days WHERE 1 = 1",
    clauses: &["automation IN ({*})", "day >= {0}"],
    order: "ORDER BY automation, day",
    columns: &[Kind::Uuid, Kind::Int, Kind::Int, Kind::Int],
};

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&INSERT, &COUNT];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST, &LAST, &DAYS];

impl Store {
    /// Firings, newest first.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn firings(&self, filter: &FiringFilter) -> Result<Page<FiringRow>> {
        let limit = bounded(filter.limit);
        let filters = vec![given(filter.automation), given(filter.event), given(filter.since), given(filter.before)];
        let rows = self.rows(LIST.query(filters, limit)).await?;
        let items = rows.into_iter().map(firing_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::new(items, limit, |row| row.position))
    }

    /// How each of these automations has been firing: when it last triggered, and the figures of the last `days` days
    /// up to `now`'s (at most [`ACTIVITY_DAYS`]). Those that never fired are left out.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for more than [`crate::page::PAGE_ITEMS`] automations; else when it cannot be read.
    pub async fn activity(
        &self,
        automations: &BTreeSet<AutomationId>,
        now: Timestamp,
        days: u16,
    ) -> Result<BTreeMap<AutomationId, Activity>> {
        let Some(ids) = one_of(Some(automations))? else { return Ok(BTreeMap::new()) };
        let days = days.clamp(1, ACTIVITY_DAYS);
        let since = given(Some(day_of(now) - i64::from(days) + 1));
        // A day may have begun that `now` does not know of yet.
        let most = automations.len() * (usize::from(days) + 1);
        let queries = vec![LAST.query(vec![ids.clone()], automations.len()), DAYS.query(vec![ids, since], most)];
        let mut answers = self.snapshot(queries).await?;
        let mut found: BTreeMap<AutomationId, Activity> = BTreeMap::new();
        for (automation, last) in answers.next(|mut row| Ok((row.next()?, row.next()?)))? {
            found.entry(automation).or_default().last_triggered = last;
        }
        for (automation, day) in answers.next(day_row)? {
            found.entry(automation).or_default().days.push(day);
        }
        Ok(found)
    }
}

/// The statements of the firings of a decision.
pub(crate) fn insert(records: &[FiringRecord]) -> Result<Vec<Statement>> {
    let mut statements = Vec::with_capacity(records.len());
    let mut days: BTreeMap<(AutomationId, i64), Counted> = BTreeMap::new();
    for record in records {
        let firing = &record.firing;
        let row = INSERT.bind(firing.automation).bind(firing.at).bind(record.seq).bind(record.ordinal);
        let event = firing.event.map(|event| event.id);
        let row = row.bind(state_name(firing.state)).bind(event).bind(json("a firing", record)?);
        statements.push(row.any());
        days.entry((firing.automation, day_of(firing.at))).or_default().add(firing.state, firing.at);
    }
    for ((automation, day), counted) in days {
        let row = COUNT.bind(automation).bind(day).bind(counted.triggered).bind(counted.resolved);
        statements.push(row.bind(counted.last).any());
    }
    Ok(statements)
}

#[derive(Default)]
struct Counted {
    triggered: u64,
    resolved: u64,
    last: Option<Timestamp>,
}

impl Counted {
    fn add(&mut self, state: FiringState, at: Timestamp) {
        match state {
            FiringState::Triggered => {
                self.triggered += 1;
                self.last = self.last.max(Some(at));
            }
            FiringState::Resolved => self.resolved += 1,
        }
    }
}

/// The day of a time: days since 1970, UTC.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY_SECONDS)
}

fn state_name(state: FiringState) -> &'static str {
    match state {
        FiringState::Triggered => "triggered",
        FiringState::Resolved => "resolved",
    }
}

fn firing_row(mut row: Row) -> Result<FiringRow> {
    Ok(FiringRow { position: row.next()?, record: row.json()? })
}

fn day_row(mut row: Row) -> Result<(AutomationId, FiringDay)> {
    let automation = row.next()?;
    let day: i64 = row.next()?;
    let from = Timestamp::from_second(day.saturating_mul(DAY_SECONDS))
        .map_err(|error| Error::Corrupt { what: "firing_days.list".to_owned(), problem: error.to_string() })?;
    Ok((automation, FiringDay { from, triggered: row.next()?, resolved: row.next()? }))
}
