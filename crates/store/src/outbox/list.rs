//! The outbox as people and the sender look at it: one row, a lane, a listing, counts.

use super::{AttemptVerdict, DELIVERY, Delivery, DeliveryState, LANE_ROWS, delivery};
use crate::Store;
use crate::error::Result;
use crate::page::{Page, bounded};
use crate::statement::{Listing, Sql, given};
use crate::value::{Kind, Row};
use jiff::Timestamp;
use serde::Serialize;
use trackside_core::ids::{DeliveryId, IncidentId};

/// Most attempts shown of one delivery, latest first.
pub const ATTEMPTS_SHOWN: usize = 100;

/// What is still to be sent on a lane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lane {
    /// Unfinished rows, oldest first, at most [`LANE_ROWS`].
    pub rows: Vec<Delivery>,
    /// The far end's latest name for what this lane brought it (Slack `ts` to update in place).
    pub far_ref: Option<String>,
}

/// A delivery with its attempts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveryDetail {
    /// The row.
    pub delivery: Delivery,
    /// Its attempts, oldest first; the latest [`ATTEMPTS_SHOWN`].
    pub attempts: Vec<DeliveryAttempt>,
}

/// One attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveryAttempt {
    /// Number, from 1.
    pub n: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// What it came to.
    pub verdict: AttemptVerdict,
    /// HTTP or SMTP status.
    pub status: Option<u16>,
    /// What was sent.
    pub request: Option<String>,
    /// What came back.
    pub answer: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only this state.
    pub state: Option<DeliveryState>,
    /// Only this connection.
    pub connection: Option<String>,
    /// Only this incident.
    pub incident: Option<IncidentId>,
    /// Only positions below this ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

/// How many deliveries a connection has in a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryCount {
    /// The connection.
    pub connection: String,
    /// `pending`, `sending` or `dead`.
    pub state: DeliveryState,
    /// How many.
    pub count: u64,
}

static WAITING: Sql = Sql::read(
    "outbox.waiting",
    "SELECT connection, min(created) FROM outbox WHERE done_at IS NULL GROUP BY connection ORDER BY connection",
    &[Kind::Text, Kind::Time],
);
static LANE: Sql = Sql::read(
    "outbox.lane",
    "SELECT position, ordinal, state, in_doubt, attempts, due_at, lease_until, far_ref, last_error, done_at, body
     FROM outbox WHERE connection = $1 AND lane = $2 AND done_at IS NULL ORDER BY position LIMIT $3",
    DELIVERY,
);
static FAR_REF: Sql = Sql::read(
    "outbox.far_ref",
    "SELECT far_ref FROM outbox WHERE connection = $1 AND lane = $2 AND far_ref IS NOT NULL
     ORDER BY position DESC LIMIT 1",
    &[Kind::Text],
);
static GET: Sql = Sql::read(
    "outbox.get",
    "SELECT position, ordinal, state, in_doubt, attempts, due_at, lease_until, far_ref, last_error, done_at, body
     FROM outbox WHERE id = $1",
    DELIVERY,
);
static ATTEMPTS: Sql = Sql::read(
    "delivery_attempts.of",
    "SELECT n, at, took_ms, verdict, status, request, answer, error FROM delivery_attempts
     WHERE delivery = $1 ORDER BY n DESC LIMIT $2",
    &[Kind::Int, Kind::Time, Kind::Int, Kind::Text, Kind::Int, Kind::Text, Kind::Text, Kind::Text],
);
static COUNTS: Sql = Sql::read(
    "outbox.counts",
    "SELECT connection, state, count(*) FROM outbox WHERE done_at IS NULL GROUP BY connection, state
     UNION ALL SELECT connection, state, count(*) FROM outbox WHERE state = 'dead' GROUP BY connection, state
     ORDER BY 1, 2",
    &[Kind::Text, Kind::Text, Kind::Int],
);
static LIST: Listing = Listing {
    name: "outbox.list",
    head: "SELECT position, ordinal, state, in_doubt, attempts, due_at, lease_until, far_ref, last_error, done_at, body
           FROM outbox WHERE 1 = 1",
    clauses: &["state = {0}", "connection = {0}", "incident = {0}", "position < {0}"],
    order: "ORDER BY position DESC",
    columns: DELIVERY,
};

#[cfg(test)]
pub(super) static SQL: &[&Sql] = &[&WAITING, &LANE, &FAR_REF, &GET, &ATTEMPTS, &COUNTS];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST];

impl Store {
    /// What is still to be sent on the lane of a delivery, and what the far end calls the conversation.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn lane(&self, row: &Delivery) -> Result<Lane> {
        let lane = super::lane_of(&row.effect);
        let connection = &row.effect.connection;
        let mut answers = self
            .snapshot(vec![
                LANE.bind(connection).bind(lane).bind(LANE_ROWS).query(),
                FAR_REF.bind(connection).bind(lane).query(),
            ])
            .await?;
        let rows = answers.next(delivery)?;
        let far_ref = answers.next(|mut row| row.next())?.pop();
        Ok(Lane { rows, far_ref })
    }

    /// A delivery with its attempts.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>> {
        let queries = vec![GET.bind(id).query(), ATTEMPTS.bind(id).bind(ATTEMPTS_SHOWN).query()];
        let mut answers = self.snapshot(queries).await?;
        let row = answers.next(delivery)?.pop();
        let mut attempts = answers.next(attempt)?;
        attempts.reverse();
        Ok(row.map(|delivery| DeliveryDetail { delivery, attempts }))
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<Delivery>> {
        let limit = bounded(filter.limit);
        let filters = vec![
            given(filter.state.map(DeliveryState::as_str)),
            given(filter.connection.as_ref()),
            given(filter.incident),
            given(filter.before),
        ];
        let rows = self.rows(LIST.query(filters, limit)).await?;
        let items = rows.into_iter().map(delivery).collect::<Result<Vec<_>>>()?;
        Ok(Page::new(items, limit, |row| row.position))
    }

    /// Since when the oldest unfinished row of each connection waits.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn waiting_since(&self) -> Result<Vec<(String, Timestamp)>> {
        let read = |mut row: Row| Ok((row.next()?, row.next()?));
        self.rows(WAITING.bound().query()).await?.into_iter().map(read).collect()
    }

    /// Unfinished and dead deliveries by connection and state. Finished ones are not counted: they are many.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub async fn delivery_counts(&self) -> Result<Vec<DeliveryCount>> {
        let count = |mut row: Row| {
            Ok(DeliveryCount {
                connection: row.next()?,
                state: DeliveryState::parse(&row.next::<String>()?)?,
                count: row.next()?,
            })
        };
        self.rows(COUNTS.bound().query()).await?.into_iter().map(count).collect()
    }

    pub(super) async fn delivery_row(&self, id: DeliveryId) -> Result<Option<Delivery>> {
        self.row(GET.bind(id).query()).await?.map(delivery).transpose()
    }
}

fn attempt(mut row: Row) -> Result<DeliveryAttempt> {
    Ok(DeliveryAttempt {
        n: row.next()?,
        at: row.next()?,
        took_ms: row.next()?,
        verdict: verdict(&row.next::<String>()?)?,
        status: row.next()?,
        request: row.next()?,
        answer: row.next()?,
        error: row.next()?,
    })
}

fn verdict(text: &str) -> Result<AttemptVerdict> {
    AttemptVerdict::ALL.into_iter().find(|verdict| verdict.as_str() == text).ok_or_else(|| crate::Error::Corrupt {
        what: "an attempt's verdict".to_owned(),
        problem: format!("`{text}` is not one"),
    })
}
