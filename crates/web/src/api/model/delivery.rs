//! Deliveries in the API.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use trackside_core::effect::Action;
use trackside_core::job::run::CallProgress;
use trackside_store::outbox::{AttemptVerdict, Delivery, DeliveryAttempt, DeliveryDetail, DeliveryState};
use utoipa::ToSchema;
use uuid::Uuid;

/// A message to somebody outside: one row of the outbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryOut {
    /// Identity.
    pub(crate) id: Uuid,
    /// Position in the outbox.
    pub(crate) position: u64,
    /// Log entry that caused it.
    pub(crate) cause: u64,
    /// When it was decided.
    pub(crate) created: Timestamp,
    /// Connection it goes through.
    pub(crate) connection: String,
    /// `trigger`, `update`, `acknowledge`, `resolve`, `message` or `test`.
    #[schema(value_type = String)]
    pub(crate) action: Action,
    /// Incident it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<Uuid>,
    /// One line: what it tells.
    pub(crate) title: String,
    /// `pending`, `sending`, `delivered`, `dead` or `superseded`.
    #[schema(value_type = String)]
    pub(crate) state: DeliveryState,
    /// True when the latest attempt may have arrived.
    pub(crate) in_doubt: bool,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// When the next attempt is due; absent while it waits for an earlier message of its incident, or has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Timestamp>,
    /// What the far end calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) far_ref: Option<String>,
    /// Latest error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<Timestamp>,
}

/// What the far end calls it, as it may be shown. The place of a job's work may have a key behind its `?`.
pub(crate) fn there(row: &Delivery) -> Option<String> {
    if row.effect.action != Action::Job {
        return row.far_ref.clone();
    }
    let place = CallProgress::read(row.far_ref.as_deref()).location?;
    Some(place.split_once('?').map_or(place.clone(), |(place, _)| format!("{place}?…")))
}

impl From<&Delivery> for DeliveryOut {
    fn from(row: &Delivery) -> Self {
        let effect = &row.effect;
        Self {
            id: effect.id.0,
            position: row.position,
            cause: effect.cause,
            created: effect.at,
            connection: effect.connection.clone(),
            action: effect.action,
            incident: effect.incident.map(|id| id.0),
            title: effect.notice.title.clone(),
            state: row.state,
            in_doubt: row.in_doubt,
            attempts: row.attempts,
            due: row.due,
            far_ref: there(row),
            last_error: row.last_error.clone(),
            done: row.done,
        }
    }
}

/// A delivery with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryDetailOut {
    /// The delivery.
    #[serde(flatten)]
    pub(crate) delivery: DeliveryOut,
    /// Idempotency key for the far end.
    pub(crate) key: String,
    /// Everything the message can say.
    #[schema(value_type = Object)]
    pub(crate) notice: Value,
    /// Attempts, first to last.
    pub(crate) log: Vec<AttemptOut>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub(crate) struct AttemptOut {
    /// Number, from 1.
    pub(crate) n: u32,
    /// When it began.
    pub(crate) at: Timestamp,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: u32,
    /// `done`, `retry`, `refused` or `unknown`.
    #[schema(value_type = String)]
    pub(crate) verdict: AttemptVerdict,
    /// HTTP status or SMTP code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// What was sent, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    /// What came back, cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl From<&DeliveryAttempt> for AttemptOut {
    fn from(attempt: &DeliveryAttempt) -> Self {
        Self {
            n: attempt.n,
            at: attempt.at,
            took_ms: attempt.took_ms,
            verdict: attempt.verdict,
            status: attempt.status,
            request: attempt.request.clone(),
            answer: attempt.answer.clone(),
            error: attempt.error.clone(),
        }
    }
}

impl From<&DeliveryDetail> for DeliveryDetailOut {
    fn from(detail: &DeliveryDetail) -> Self {
        Self {
            delivery: DeliveryOut::from(&detail.delivery),
            key: detail.delivery.effect.key.clone(),
            notice: serde_json::to_value(&detail.delivery.effect.notice).unwrap_or_default(),
            log: detail.attempts.iter().map(AttemptOut::from).collect(),
        }
    }
}
