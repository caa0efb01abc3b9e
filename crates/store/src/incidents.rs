//! Incidents as people look at them: a listing, one incident with its whole story.
//!
//! Reading only; incidents change through decisions ([`crate::state`]).

pub(crate) mod related;

pub use related::{RELATED_ALERTS, Related};

use crate::Store;
use crate::audit::{AuditFilter, AuditRow};
use crate::error::Result;
use crate::outbox::{Delivery, DeliveryFilter};
use crate::page::{PAGE_ITEMS, Page, bounded};
use crate::statement::{Listing, Sql, given};
use crate::value::Kind;
use trackside_core::decision::Explanation;
use trackside_core::event::Severity;
use trackside_core::ids::IncidentId;
use trackside_core::incident::{Alert, Incident, IncidentState};

/// Most alerts shown of an incident.
pub const ALERTS_SHOWN: usize = 500;
/// Most alerts looked through at once.
pub const ALERTS_FIRING: usize = 20_000;

/// Which states of incidents to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentStates {
    /// Triggered, acknowledged or snoozed.
    Open,
    /// One state.
    Only(IncidentState),
}

/// Which incidents to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Only these states.
    pub states: Option<IncidentStates>,
    /// Only this owning team.
    pub owner: Option<String>,
    /// Only this severity.
    pub severity: Option<Severity>,
    /// Only those that something holds back now, or only the others.
    pub suppressed: Option<bool>,
    /// Only this source.
    pub source: Option<String>,
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only numbers below this ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

/// An incident with its whole story.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentDetail {
    /// The incident.
    pub incident: Incident,
    /// Alerts that fire in it now, at most [`ALERTS_SHOWN`].
    pub alerts: Vec<Alert>,
    /// What happened to it, oldest first; the latest [`PAGE_ITEMS`].
    pub audit: Vec<AuditRow>,
    /// Who was told and how that went, oldest first; the latest [`PAGE_ITEMS`].
    pub deliveries: Vec<Delivery>,
    /// What went into it and why, in order.
    pub explanations: Vec<Explanation>,
}

static LIST: Listing = Listing {
    name: "incidents.list",
    head: "SELECT body FROM incidents WHERE 1 = 1",
    clauses: &[
        "state = {0}",
        "owner = {0}",
        "severity = {0}",
        "suppressed = {0}",
        "source = {0}",
        "pipeline = {0}",
        "number < {0}",
    ],
    order: "ORDER BY number DESC",
    columns: &[Kind::Text],
};
static LIST_OPEN: Listing = Listing {
    name: "incidents.list_open",
    head: "SELECT body FROM incidents WHERE open = TRUE",
    clauses: &["owner = {0}", "severity = {0}", "suppressed = {0}", "source = {0}", "pipeline = {0}", "number < {0}"],
    order: "ORDER BY number DESC",
    columns: &[Kind::Text],
};
static GET: Sql = Sql::read("incidents.get", "SELECT body FROM incidents WHERE id = $1", &[Kind::Text]);
static NUMBERED: Sql = Sql::read("incidents.numbered", "SELECT body FROM incidents WHERE number = $1", &[Kind::Text]);
static ALERTS: Sql = Sql::read(
    "alerts.of_incident",
    "SELECT body FROM alerts WHERE incident = $1 ORDER BY source, pipeline, rule, subject LIMIT $2",
    &[Kind::Text],
);

static WITHIN: Sql = Sql::read(
    "incidents.within",
    "SELECT body FROM incidents WHERE parent = $1 ORDER BY number DESC LIMIT $2",
    &[Kind::Text],
);
static FIRING: Sql = Sql::read(
    "alerts.firing",
    "SELECT i.body, a.body FROM incidents i JOIN alerts a ON a.incident = i.id
     WHERE i.open = TRUE ORDER BY i.number DESC, a.source, a.pipeline, a.rule, a.subject LIMIT $1",
    &[Kind::Text, Kind::Text],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&GET, &NUMBERED, &ALERTS, &WITHIN, &FIRING];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST, &LIST_OPEN];

impl Store {
    /// Incidents, latest first.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn incidents(&self, filter: &IncidentFilter) -> Result<Page<Incident>> {
        let limit = bounded(filter.limit);
        let mut filters = vec![
            given(filter.owner.as_ref()),
            given(filter.severity.map(Severity::as_str)),
            given(filter.suppressed),
            given(filter.source.as_ref()),
            given(filter.pipeline.as_ref()),
            given(filter.before),
        ];
        let state = match filter.states {
            Some(IncidentStates::Only(state)) => Some(state.as_str()),
            Some(IncidentStates::Open) | None => None,
        };
        let query = if filter.states == Some(IncidentStates::Open) {
            LIST_OPEN.query(filters, limit)
        } else {
            filters.insert(0, given(state));
            LIST.query(filters, limit)
        };
        let rows = self.rows(query).await?;
        let items = rows.into_iter().map(|mut row| row.json()).collect::<Result<Vec<Incident>>>()?;
        Ok(Page::new(items, limit, |incident| incident.number))
    }

    /// An incident by its number for people.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn incident_numbered(&self, number: u64) -> Result<Option<Incident>> {
        self.row(NUMBERED.bind(number).query()).await?.map(|mut row| row.json()).transpose()
    }

    /// Incidents that are part of a storm, or were merged into this one, latest first; at most `limit` and
    /// [`PAGE_ITEMS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn members_of(&self, incident: IncidentId, limit: usize) -> Result<Vec<Incident>> {
        let rows = self.rows(WITHIN.bind(incident).bind(bounded(limit)).query()).await?;
        rows.into_iter().map(|mut row| row.json()).collect()
    }

    /// Alerts that fire now, each with its incident, latest incident first; the first [`ALERTS_FIRING`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn firing_alerts(&self) -> Result<Vec<(Incident, Alert)>> {
        let rows = self.rows(FIRING.bind(ALERTS_FIRING).query()).await?;
        rows.into_iter().map(|mut row| Ok((row.json()?, row.json()?))).collect()
    }

    /// An incident with its whole story.
    ///
    /// # Errors
    /// When something cannot be read back.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<IncidentDetail>> {
        let queries = vec![GET.bind(id).query(), ALERTS.bind(id).bind(ALERTS_SHOWN).query()];
        let mut answers = self.snapshot(queries).await?;
        let Some(incident) = answers.next(|mut row| row.json())?.pop() else { return Ok(None) };
        let alerts = answers.next(|mut row| row.json())?;
        let audit = AuditFilter { incident: Some(id), limit: PAGE_ITEMS, ..AuditFilter::default() };
        let mut audit = self.audit(&audit).await?.items;
        audit.reverse();
        let deliveries = DeliveryFilter { incident: Some(id), limit: PAGE_ITEMS, ..DeliveryFilter::default() };
        let mut deliveries = self.deliveries(&deliveries).await?.items;
        deliveries.reverse();
        let explanations = self.explanations_of_incident(id).await?;
        Ok(Some(IncidentDetail { incident, alerts, audit, deliveries, explanations }))
    }
}
