//! The story of one incident in one value: what happened, who was paged and told, how that went, what people said.
//!
//! Invariant: the audit trail is the backbone, in the order of decisions; pages and deliveries are attached to the row
//! that decided them, and nothing is told twice. What is not kept any more is not there ([`crate::retention`]).

use crate::Store;
use crate::audit::{self, AuditRow};
use crate::error::Result;
use crate::outbox::{self, Delivery, DeliveryState};
use crate::pages::{self, FiredAlert};
use crate::statement::Sql;
use crate::value::Kind;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use trackside_core::decision::PageRecord;
use trackside_core::effect::Action;
use trackside_core::ids::{DeliveryId, IncidentId, Seq};
use trackside_core::incident::Incident;

/// Most rows of each kind in one timeline.
pub const TIMELINE_ROWS: usize = 2_000;

/// The story of an incident.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timeline {
    /// The incident as it is now.
    pub incident: Incident,
    /// What happened, oldest first; the latest [`TIMELINE_ROWS`].
    pub moments: Vec<Moment>,
    /// Alerts that fired in it, also those that are over, oldest first; the first [`TIMELINE_ROWS`].
    pub alerts: Vec<FiredAlert>,
    /// True when there was more than is told.
    pub cut: bool,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// When, who, what (`incident.noted` is a remark, its summary the text).
    #[serde(flatten)]
    pub row: AuditRow,
    /// The page, on the row that decided it (`page.decided`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<PageRecord>,
    /// What was to be sent and how that went, as it stands now: on the rows that decided it (`notify.decided`,
    /// `page.decided`) and that tell its end (`delivery.*`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Sent>,
}

/// A delivery in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sent {
    /// Which row of the outbox.
    pub id: DeliveryId,
    /// Connection.
    pub connection: String,
    /// Address that replaced the connection's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What it does at the far end.
    pub action: Action,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts begun.
    pub attempts: u32,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<Timestamp>,
    /// Latest error, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

static INCIDENT: Sql = Sql::read("incidents.get", "SELECT body FROM incidents WHERE id = $1", &[Kind::Text]);
static AUDIT: Sql = Sql::read(
    "audit.of_incident",
    "SELECT position, seq, ordinal, at, subject, via, action, summary, incident, event, delivery, token,
            resource, outcome, job, detail
     FROM audit WHERE incident = $1 ORDER BY position DESC LIMIT $2",
    audit::ROW,
);
static DELIVERIES: Sql = Sql::read(
    "outbox.of_incident",
    "SELECT position, ordinal, state, in_doubt, attempts, due_at, lease_until, far_ref, last_error, done_at, body
     FROM outbox WHERE incident = $1 ORDER BY position DESC LIMIT $2",
    outbox::DELIVERY,
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&INCIDENT, &AUDIT, &DELIVERIES];

impl Store {
    /// The story of an incident, all of it as of one moment.
    ///
    /// # Errors
    /// When something cannot be read back.
    pub async fn timeline(&self, id: IncidentId) -> Result<Option<Timeline>> {
        let queries = vec![
            INCIDENT.bind(id).query(),
            AUDIT.bind(id).bind(TIMELINE_ROWS).query(),
            pages::of_incident(id, TIMELINE_ROWS),
            DELIVERIES.bind(id).bind(TIMELINE_ROWS).query(),
            pages::fired_in(id, TIMELINE_ROWS),
        ];
        let mut answers = self.snapshot(queries).await?;
        let Some(incident) = answers.next(|mut row| row.json())?.pop() else { return Ok(None) };
        let rows = answers.next(audit::audit_row)?;
        let pages: Vec<PageRecord> = answers.next(|mut row| row.json())?;
        let deliveries = answers.next(outbox::delivery)?;
        let alerts = answers.next(pages::fired_alert)?;
        let counts = [rows.len(), pages.len(), deliveries.len(), alerts.len()];
        let cut = counts.contains(&TIMELINE_ROWS);
        Ok(Some(Timeline { incident, moments: moments(rows, pages, deliveries), alerts, cut }))
    }
}

/// The rows, oldest first, each page with the row that decided it: within a log entry both stand in the same order.
/// All come latest first, so that they meet although older ones may be cut.
fn moments(rows: Vec<AuditRow>, pages: Vec<PageRecord>, deliveries: Vec<Delivery>) -> Vec<Moment> {
    let sent: BTreeMap<DeliveryId, Sent> =
        deliveries.into_iter().map(|delivery| (delivery.effect.id, Sent::from(delivery))).collect();
    let mut by_entry: BTreeMap<Seq, VecDeque<PageRecord>> = BTreeMap::new();
    for page in pages {
        by_entry.entry(page.seq).or_default().push_back(page);
    }
    let moment = |row: AuditRow| {
        let decided = row.decided.filter(|_| row.action == "page.decided");
        let page = decided.and_then(|(seq, _)| by_entry.get_mut(&seq)?.pop_front());
        let named = match &page {
            Some(page) => page.deliveries.clone(),
            None => row.delivery.into_iter().collect(),
        };
        Moment { row, page, deliveries: named.iter().filter_map(|id| sent.get(id).cloned()).collect() }
    };
    let mut moments: Vec<Moment> = rows.into_iter().map(moment).collect();
    moments.reverse();
    moments
}

impl From<Delivery> for Sent {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.effect.id,
            connection: delivery.effect.connection,
            to: delivery.effect.to,
            action: delivery.effect.action,
            state: delivery.state,
            attempts: delivery.attempts,
            done: delivery.done,
            error: delivery.last_error,
        }
    }
}
