//! Who was paged, and which alerts fired: what escalations and rules did, as it was decided.
//!
//! Invariant: rows are written with the decision they belong to, once per (log entry, ordinal), and never changed.

use crate::Store;
use crate::error::Result;
use crate::page::{PAGE_ITEMS, bounded};
use crate::statement::{Query, Sql, Statement};
use crate::value::{Kind, Row, json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trackside_core::decision::{AlertFired, PageRecord};
use trackside_core::event::Severity;
use trackside_core::ids::{IncidentId, Seq};
use trackside_core::incident::AlertKey;
use trackside_core::run::PipelineKey;

/// Most pages of a stretch of time read at once.
pub const PAGES_READ: usize = 10_000;

/// An alert that began to fire in an incident, also when it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiredAlert {
    /// Log entry that caused it.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// Which alert.
    pub key: AlertKey,
    /// How bad it was then.
    pub severity: Severity,
}

static INSERT: Sql = Sql::write(
    "pages.insert",
    "INSERT INTO pages (seq, ordinal, incident, life, at, due, cycle, step, target, team, severity, person,
       out_of_hours, reached, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
);
static FIRED: Sql = Sql::write(
    "alert_firings.insert",
    "INSERT INTO alert_firings (seq, ordinal, at, incident, source, pipeline, rule, subject, severity)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
static OF: Sql = Sql::read(
    "pages.of_incident",
    "SELECT body FROM pages WHERE incident = $1 ORDER BY position DESC LIMIT $2",
    &[Kind::Text],
);
static BETWEEN: Sql = Sql::read(
    "pages.between",
    "SELECT body FROM pages WHERE at >= $1 AND at < $2 ORDER BY at, position LIMIT $3",
    &[Kind::Text],
);
static FIRED_IN: Sql = Sql::read(
    "alert_firings.of_incident",
    "SELECT seq, at, source, pipeline, rule, subject, severity FROM alert_firings WHERE incident = $1
     ORDER BY position LIMIT $2",
    &[Kind::Int, Kind::Time, Kind::Text, Kind::Text, Kind::Text, Kind::Text, Kind::Text],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&INSERT, &FIRED, &OF, &BETWEEN, &FIRED_IN];

impl Store {
    /// Pages about an incident, oldest first; the latest [`PAGE_ITEMS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn pages_of(&self, incident: IncidentId) -> Result<Vec<PageRecord>> {
        let rows = self.rows(of_incident(incident, PAGE_ITEMS)).await?;
        rows.into_iter().rev().map(|mut row| row.json()).collect()
    }

    /// Pages decided from `from` until before `until`, oldest first, at most `limit` and [`PAGES_READ`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn pages_between(&self, from: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<PageRecord>> {
        let query = BETWEEN.bind(from).bind(until).bind(limit.min(PAGES_READ)).query();
        self.rows(query).await?.into_iter().map(|mut row| row.json()).collect()
    }

    /// Alerts that fired in an incident, also those that are over, oldest first, at most `limit` and
    /// [`PAGE_ITEMS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn fired_in(&self, incident: IncidentId, limit: usize) -> Result<Vec<FiredAlert>> {
        self.rows(fired_in(incident, bounded(limit))).await?.into_iter().map(fired_alert).collect()
    }
}

/// The pages of an incident, latest first, as JSON.
pub(crate) fn of_incident(incident: IncidentId, limit: usize) -> Query {
    OF.bind(incident).bind(limit).query()
}

/// The alerts that fired in an incident, for [`fired_alert`].
pub(crate) fn fired_in(incident: IncidentId, limit: usize) -> Query {
    FIRED_IN.bind(incident).bind(limit).query()
}

/// A row of [`fired_in`].
pub(crate) fn fired_alert(mut row: Row) -> Result<FiredAlert> {
    let (seq, at) = (row.next()?, row.next()?);
    let pipeline = PipelineKey { source: row.next::<String>()?.into(), name: row.next::<String>()?.into() };
    let key = AlertKey { pipeline, rule: row.next::<String>()?.into(), subject: row.next::<String>()?.into() };
    Ok(FiredAlert { seq, at, key, severity: severity(&row.next::<String>()?)? })
}

/// A severity by its name.
pub(crate) fn severity(name: &str) -> Result<Severity> {
    let all = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
    all.into_iter()
        .find(|severity| severity.as_str() == name)
        .ok_or_else(|| crate::Error::Corrupt { what: "a severity".to_owned(), problem: format!("`{name}` is not one") })
}

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
        .bind(!page.deliveries.is_empty())
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
