//! The audit trail and the explanations: who did what, and why each input led to what it led to.
//!
//! Invariants: rows of decisions are keyed by (log entry, ordinal) and written with the decision; every other write
//! that changes something puts its row into its own batch ([`insert`]). What has an effect outside is noted before it is
//! done and becomes a row when it has ended ([`begun`]). Rows are never changed; [`chain`] shows when somebody did.

pub mod begun;
pub mod chain;

use crate::Store;
use crate::error::Result;
use crate::page::{Page, bounded};
use crate::statement::{Batch, Listing, Query, Sql, Statement, given};
use crate::value::{Kind, Row, json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trackside_core::caller::Caller;
use trackside_core::decision::{AuditDetail, AuditEntry, Explanation};
use trackside_core::ids::{DeliveryId, EventId, IncidentId, Seq};
use uuid::Uuid;

/// Most explanations read of one event or incident.
pub const EXPLANATIONS: usize = 200;

/// A row of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Position in the trail.
    pub position: u64,
    /// Log entry and ordinal within it, for rows of decisions.
    pub decided: Option<(Seq, u32)>,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub caller: Caller,
    /// What, in words of `trackside_core::decision::AuditEntry::action` and `token.*`, `block.*`, `session.*`,
    /// `delivery.retried`, `server.started`.
    pub action: String,
    /// One line for people.
    pub summary: String,
    /// Incident it concerns.
    pub incident: Option<IncidentId>,
    /// Event that caused it.
    pub event: Option<EventId>,
    /// Delivery it concerns.
    pub delivery: Option<DeliveryId>,
    /// Run of a job it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Uuid>,
    /// What it is about, and on what authority.
    #[serde(flatten)]
    pub detail: AuditDetail,
}

/// A row that is not part of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewAudit {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub caller: Caller,
    /// What.
    pub action: String,
    /// One line for people.
    pub summary: String,
    /// Delivery it concerns.
    pub delivery: Option<DeliveryId>,
    /// Run of a job it concerns.
    pub job: Option<Uuid>,
    /// What it is about, and on what authority.
    pub detail: AuditDetail,
}

impl NewAudit {
    /// A row that concerns nothing in particular.
    #[must_use]
    pub fn new(at: Timestamp, caller: Caller, action: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            at,
            caller,
            action: action.into(),
            summary: summary.into(),
            delivery: None,
            job: None,
            detail: AuditDetail::default(),
        }
    }

    /// The same, about something (`token:airflow`).
    #[must_use]
    pub fn about(mut self, resource: impl Into<String>) -> Self {
        self.detail.resource = Some(resource.into());
        self
    }

    /// The same, with digests of what was changed ([`AuditDetail::changing`]).
    #[must_use]
    pub fn changing<T: Serialize>(mut self, before: Option<&T>, after: Option<&T>) -> Self {
        self.detail = self.detail.changing(before, after);
        self
    }

    /// The same, not done, and why.
    #[must_use]
    pub fn refused(mut self, because: impl Into<String>) -> Self {
        self.detail.because = Some(because.into());
        self.detail = self.detail.came_out("refused");
        self
    }
}

/// The part of a row that is kept as JSON.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    behalf: Vec<String>,
    #[serde(flatten)]
    detail: AuditDetail,
}

/// Which audit rows to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only this subject.
    pub subject: Option<String>,
    /// Only actions that begin with this (`incident.`).
    pub action_prefix: Option<String>,
    /// Only this incident.
    pub incident: Option<IncidentId>,
    /// Only this event.
    pub event: Option<EventId>,
    /// Only this delivery.
    pub delivery: Option<DeliveryId>,
    /// Only this run of a job.
    pub job: Option<Uuid>,
    /// Only what is about this (`route:orders`).
    pub resource: Option<String>,
    /// Only what came out so (`done`, `refused`, `failed`, `unknown`).
    pub outcome: Option<String>,
    /// Only what ended at or after this.
    pub since: Option<Timestamp>,
    /// Only what ended before this.
    pub until: Option<Timestamp>,
    /// Only positions below this ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

/// The columns that [`audit_row`] reads.
pub(crate) const ROW: &[Kind] = &[
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Time,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Uuid,
    Kind::Uuid,
    Kind::Uuid,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Uuid,
    Kind::Text,
];

static INSERT: Sql = Sql::write(
    "audit.insert",
    "INSERT INTO audit (seq, ordinal, at, subject, via, action, summary, incident, event, delivery, token, resource,
       outcome, job, detail)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
);
static EXPLAIN: Sql = Sql::write(
    "explanations.insert",
    "INSERT INTO explanations (seq, ordinal, event, incident, body) VALUES ($1, $2, $3, $4, $5)",
);
static LIST: Listing = Listing {
    name: "audit.list",
    head: "SELECT position, seq, ordinal, at, subject, via, action, summary, incident, event, delivery, token,
            resource, outcome, job, detail
           FROM audit WHERE 1 = 1",
    clauses: &[
        "subject = {0}",
        "substr(action, 1, length({0})) = {0}",
        "incident = {0}",
        "event = {0}",
        "delivery = {0}",
        "job = {0}",
        "resource = {0}",
        "outcome = {0}",
        "at >= {0}",
        "at < {0}",
        "position < {0}",
    ],
    order: "ORDER BY position DESC",
    columns: ROW,
};
static REFUSAL: Sql = Sql::read(
    "audit.refusal",
    "SELECT position, seq, ordinal, at, subject, via, action, summary, incident, event, delivery, token,
            resource, outcome, job, detail
     FROM audit WHERE seq = $1 AND action IN ('command.refused', 'job.refused', 'job.conflict', 'job.limited', 'job.unexplained', 'approval.refused') ORDER BY ordinal LIMIT 1",
    LIST.columns,
);
static OF_EVENT: Sql = Sql::read(
    "explanations.of_event",
    "SELECT body FROM explanations WHERE event = $1 ORDER BY seq, ordinal LIMIT $2",
    &[Kind::Text],
);
static OF_ENTRY: Sql = Sql::read(
    "explanations.of_entry",
    "SELECT body FROM explanations WHERE seq = $1 ORDER BY ordinal LIMIT $2",
    &[Kind::Text],
);
static OF_INCIDENT: Sql = Sql::read(
    "explanations.of_incident",
    "SELECT body FROM explanations WHERE incident = $1 ORDER BY seq, ordinal LIMIT $2",
    &[Kind::Text],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&INSERT, &EXPLAIN, &REFUSAL, &OF_EVENT, &OF_ENTRY, &OF_INCIDENT];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST];

impl Store {
    /// Writes an audit row for something that changed nothing here (a sign-in, a refused call).
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn record(&self, row: &NewAudit) -> Result<()> {
        self.write(Batch::of(vec![insert(row)])).await?;
        Ok(())
    }

    /// Adds several rows, all or none.
    ///
    /// # Errors
    /// When they could not be stored.
    pub async fn record_all(&self, rows: &[NewAudit]) -> Result<()> {
        self.write(Batch::of(rows.iter().map(insert).collect())).await?;
        Ok(())
    }

    /// The audit trail, newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Page<AuditRow>> {
        let limit = bounded(filter.limit);
        let filters = vec![
            given(filter.subject.as_ref()),
            given(filter.action_prefix.as_ref()),
            given(filter.incident),
            given(filter.event),
            given(filter.delivery),
            given(filter.job),
            given(filter.resource.as_ref()),
            given(filter.outcome.as_ref()),
            given(filter.since),
            given(filter.until),
            given(filter.before),
        ];
        let rows = self.rows(LIST.query(filters, limit)).await?;
        let items = rows.into_iter().map(audit_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::new(items, limit, |row| row.position))
    }

    /// The row that says that what a log entry asked for was refused, when it was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn refusal_of(&self, seq: Seq) -> Result<Option<AuditRow>> {
        self.row(REFUSAL.bind(seq).query()).await?.map(audit_row).transpose()
    }

    /// Why an event led to what it led to. At most [`EXPLANATIONS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn explanations_of_event(&self, event: EventId) -> Result<Vec<Explanation>> {
        self.explanations(OF_EVENT.bind(event).bind(EXPLANATIONS).query()).await
    }

    /// Why a log entry led to what it led to. At most [`EXPLANATIONS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn explanations_of_entry(&self, seq: Seq) -> Result<Vec<Explanation>> {
        self.explanations(OF_ENTRY.bind(seq).bind(EXPLANATIONS).query()).await
    }

    /// What went into an incident and ended it, in order. The first [`EXPLANATIONS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn explanations_of_incident(&self, incident: IncidentId) -> Result<Vec<Explanation>> {
        self.explanations(OF_INCIDENT.bind(incident).bind(EXPLANATIONS).query()).await
    }

    async fn explanations(&self, query: Query) -> Result<Vec<Explanation>> {
        self.rows(query).await?.into_iter().map(|mut row| row.json()).collect()
    }
}

/// The statement of a row that is not part of a decision.
pub(crate) fn insert(row: &NewAudit) -> Statement {
    INSERT
        .bind(None::<u64>)
        .bind(None::<u32>)
        .bind(row.at)
        .bind(&row.caller.subject)
        .bind(&row.caller.via)
        .bind(&row.action)
        .bind(&row.summary)
        .bind(None::<IncidentId>)
        .bind(None::<EventId>)
        .bind(row.delivery)
        .bind(row.caller.token.as_ref())
        .bind(row.detail.resource.as_ref())
        .bind(outcome(&row.detail))
        .bind(row.job)
        .bind(kept(&row.caller, &row.detail))
        .any()
}

/// What came of it; what says nothing else was done.
fn outcome(detail: &AuditDetail) -> &str {
    detail.outcome.as_deref().unwrap_or("done")
}

/// The JSON part of a row; nothing when it says nothing.
fn kept(caller: &Caller, detail: &AuditDetail) -> Option<String> {
    // Columns of their own are not said twice.
    let mut detail = AuditDetail { resource: None, outcome: None, ..detail.clone() };
    if let (None, Some(authority)) = (&detail.because, &caller.authority) {
        detail.because = Some(authority.because.clone());
        detail.policies.extend_from_slice(&authority.policies);
    }
    if caller.behalf.is_empty() && detail == AuditDetail::default() {
        return None;
    }
    // Texts, times and maps of texts: this cannot fail.
    serde_json::to_string(&Kept { behalf: caller.behalf.clone(), detail }).ok()
}

/// The statement of a row of a decision.
pub(crate) fn insert_decided(entry: &AuditEntry) -> Statement {
    INSERT
        .bind(entry.seq)
        .bind(entry.ordinal)
        .bind(entry.at)
        .bind(&entry.caller.subject)
        .bind(&entry.caller.via)
        .bind(&entry.action)
        .bind(&entry.summary)
        .bind(entry.incident)
        .bind(entry.event)
        .bind(entry.delivery)
        .bind(entry.caller.token.as_ref())
        .bind(entry.detail.resource.as_ref())
        .bind(outcome(&entry.detail))
        .bind(entry.job)
        .bind(kept(&entry.caller, &entry.detail))
        .any()
}

/// The statement of an explanation, the `ordinal`-th of its log entry.
pub(crate) fn insert_explanation(explanation: &Explanation, ordinal: u32) -> Result<Statement> {
    Ok(EXPLAIN
        .bind(explanation.seq)
        .bind(ordinal)
        .bind(explanation.event)
        .bind(explanation.incident)
        .bind(json("an explanation", explanation)?)
        .any())
}

pub(crate) fn audit_row(mut row: Row) -> Result<AuditRow> {
    let position = row.next()?;
    let (seq, ordinal): (Option<Seq>, Option<u32>) = (row.next()?, row.next()?);
    let (at, subject, via): (Timestamp, String, String) = (row.next()?, row.next()?, row.next()?);
    let (action, summary) = (row.next()?, row.next()?);
    let (incident, event, delivery) = (row.next()?, row.next()?, row.next()?);
    let (token, resource, outcome) = (row.next()?, row.next()?, row.next()?);
    let job = row.next()?;
    let Kept { behalf, detail } = row.json_or_default()?;
    Ok(AuditRow {
        position,
        decided: seq.zip(ordinal),
        at,
        caller: Caller { subject, via, token, behalf, authority: None },
        action,
        summary,
        incident,
        event,
        delivery,
        job,
        detail: AuditDetail { resource, outcome, ..detail },
    })
}
