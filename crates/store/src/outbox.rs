//! The outbox: deliveries, their attempts, and the order in which they may go out.
//!
//! A lane is the rows of one incident (or question for agreement) to one address of one connection, oldest first; any
//! other row is a lane of its own.
//! Invariants: at most one row of a lane is its head (due or being sent), and it is the oldest unfinished one unless
//! an older dead row was put back while it was being sent; only heads are ever due; every row ends `delivered`,
//! `dead` or `superseded`, and its end enters the log in the same commit. What to send and when to retry is decided
//! by the caller.

mod finish;
mod list;

pub use finish::{AttemptRecord, Next};
pub use list::{ATTEMPTS_SHOWN, DeliveryAttempt, DeliveryCount, DeliveryDetail, DeliveryFilter, Lane};

use crate::Store;
use crate::error::Result;
use crate::statement::{Batch, Query, Sql, Statement};
use crate::value::{Kind, Row, json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trackside_core::effect::Effect;
use trackside_core::ids::{DeliveryId, derive};

/// Most rows of one lane that are read at a time.
pub const LANE_ROWS: usize = 200;
/// Most due rows read per connection at a time.
pub const DUE_ROWS: usize = 100;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be sent, now or later.
    Pending,
    /// Being sent, under a lease.
    Sending,
    /// The far end has it.
    Delivered,
    /// Given up; can be put back by [`Store::retry`].
    Dead,
    /// No longer needed.
    Superseded,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Sending, Self::Delivered, Self::Dead, Self::Superseded];

    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| crate::Error::Corrupt {
            what: "a delivery's state".to_owned(),
            problem: format!("`{text}` is not one"),
        })
    }
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptVerdict {
    /// The far end has it.
    Done,
    /// It did not work and may be tried again.
    Retry,
    /// The far end will never take it.
    Refused,
    /// It may or may not have arrived: ask before sending again, where the far end can be asked.
    Unknown,
}

impl AttemptVerdict {
    /// All verdicts.
    pub const ALL: [Self; 4] = [Self::Done, Self::Retry, Self::Refused, Self::Unknown];

    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    /// Position in the outbox, ascending.
    pub position: u64,
    /// What to do, with id, connection, key and message.
    pub effect: Effect,
    /// Place among the effects of the same log entry, from 0.
    pub ordinal: u32,
    /// Where it stands.
    pub state: DeliveryState,
    /// True when an attempt ended without knowing whether it arrived, and nothing has settled it since.
    pub in_doubt: bool,
    /// Attempts begun.
    pub attempts: u32,
    /// When it may be tried (next); absent while it waits behind an older row of its lane.
    pub due: Option<Timestamp>,
    /// Until when the sender has it.
    pub lease_until: Option<Timestamp>,
    /// The far end's name for what it received (Slack `ts`, PagerDuty `dedup_key`).
    pub far_ref: Option<String>,
    /// Latest error, for people.
    pub last_error: Option<String>,
    /// When it ended.
    pub done: Option<Timestamp>,
}

pub(crate) const DELIVERY: &[Kind] = &[
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Bool,
    Kind::Int,
    Kind::Time,
    Kind::Time,
    Kind::Text,
    Kind::Text,
    Kind::Time,
    Kind::Text,
];

static INSERT: Sql = Sql::write(
    "outbox.insert",
    "INSERT INTO outbox (id, cause, ordinal, connection, incident, lane, created, state, due_at, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', CASE WHEN EXISTS (SELECT 1 FROM outbox ahead
       WHERE ahead.connection = $4 AND ahead.lane = $6 AND ahead.done_at IS NULL) THEN NULL ELSE $7 END, $8)",
);
static CONNECTIONS: Sql = Sql::read(
    "outbox.connections",
    "WITH RECURSIVE open_connections (name) AS (
       SELECT min(connection) FROM outbox WHERE done_at IS NULL
       UNION ALL SELECT (SELECT min(connection) FROM outbox WHERE done_at IS NULL AND connection > name)
       FROM open_connections WHERE name IS NOT NULL)
     SELECT name FROM open_connections WHERE name IS NOT NULL",
    &[Kind::Text],
);
static DUE: Sql = Sql::read(
    "outbox.due",
    "SELECT position, ordinal, state, in_doubt, attempts, due_at, lease_until, far_ref, last_error, done_at, body
     FROM outbox WHERE connection = $1 AND state = 'pending' AND due_at IS NOT NULL AND due_at <= $2
     ORDER BY due_at, position LIMIT $3",
    DELIVERY,
);
static NEXT_DUE: Sql = Sql::read(
    "outbox.next_due",
    "SELECT min(due_at) FROM outbox WHERE connection = $1 AND state = 'pending' AND due_at IS NOT NULL",
    &[Kind::Time],
);
static OLDEST_DUE: Sql = Sql::read(
    "outbox.oldest_due",
    "SELECT position, ordinal, state, in_doubt, attempts, due_at, lease_until, far_ref, last_error, done_at, body
     FROM outbox WHERE connection = $1 AND state = 'pending' AND due_at IS NOT NULL AND due_at <= $2
     ORDER BY due_at, position LIMIT 1",
    DELIVERY,
);
static EXPIRED: Sql = Sql::read(
    "outbox.expired",
    "SELECT position, ordinal, state, in_doubt, attempts, due_at, lease_until, far_ref, last_error, done_at, body
     FROM outbox WHERE state = 'sending' AND lease_until <= $1 ORDER BY lease_until, position LIMIT $2",
    DELIVERY,
);
static CLAIM: Sql = Sql::write(
    "outbox.claim",
    "UPDATE outbox SET state = 'sending', lease_until = $1, attempts = attempts + 1
     WHERE id = $2 AND state = 'pending' AND due_at IS NOT NULL",
);

#[cfg(test)]
pub(crate) static SQL: &[&[&Sql]] =
    &[&[&INSERT, &CONNECTIONS, &DUE, &NEXT_DUE, &OLDEST_DUE, &EXPIRED, &CLAIM], finish::SQL, list::SQL];
#[cfg(test)]
pub(crate) use list::LISTINGS;

impl Store {
    /// Heads of lanes that are due at `now`, oldest due first per connection, at most `per_connection` (and
    /// [`DUE_ROWS`]) of each connection that is not in `exclude`. Each connection is asked for separately, so one
    /// with a long queue or an open breaker never hides another.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn due(&self, now: Timestamp, exclude: &[String], per_connection: usize) -> Result<Vec<Delivery>> {
        let limit = per_connection.min(DUE_ROWS);
        self.per_connection(exclude, |name| DUE.bind(name).bind(now).bind(limit).query()).await
    }

    /// When the next delivery of a connection that is not in `exclude` is due; may be in the past.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn next_due(&self, exclude: &[String]) -> Result<Option<Timestamp>> {
        let names = self.open_connections(exclude).await?;
        let queries = names.iter().map(|name| NEXT_DUE.bind(name).query()).collect();
        let mut answers = self.snapshot(queries).await?;
        let mut earliest = None;
        for _ in &names {
            for due in answers.next(|mut row: Row| row.next::<Option<Timestamp>>())?.into_iter().flatten() {
                earliest = Some(earliest.map_or(due, |other: Timestamp| other.min(due)));
            }
        }
        Ok(earliest)
    }

    /// The delivery that has been due longest at `now`, over all connections: its lag is `now` minus its due time.
    ///
    /// # Errors
    /// When the row cannot be read back.
    pub async fn oldest_due(&self, now: Timestamp) -> Result<Option<Delivery>> {
        let rows = self.per_connection(&[], |name| OLDEST_DUE.bind(name).bind(now).query()).await?;
        Ok(rows.into_iter().min_by_key(|row| (row.due, row.position)))
    }

    /// Rows whose sender did not come back before its lease ended. They may have arrived: record an attempt with
    /// [`AttemptVerdict::Unknown`], which puts them back in doubt. At start, before the first claim, every row in
    /// `sending` is of a dead process: ask with [`Timestamp::MAX`].
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn expired_leases(&self, now: Timestamp) -> Result<Vec<Delivery>> {
        self.rows(EXPIRED.bind(now).bind(DUE_ROWS).query()).await?.into_iter().map(delivery).collect()
    }

    /// Takes due rows for sending until `lease_until`: all of them or none. Counts an attempt for each.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when one is no longer a due head (sent, superseded, put behind another row).
    pub async fn claim(&self, ids: &[DeliveryId], lease_until: Timestamp) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let claim = |id: &DeliveryId| CLAIM.bind(lease_until).bind(*id).one("a delivery is no longer due");
        self.write(Batch::of(ids.iter().map(claim).collect())).await?;
        Ok(())
    }

    /// Names of connections that have unfinished rows, without those in `exclude`.
    async fn open_connections(&self, exclude: &[String]) -> Result<Vec<String>> {
        let names = self.rows(CONNECTIONS.bound().query()).await?;
        let names = names.into_iter().map(|mut row| row.next::<String>()).collect::<Result<Vec<_>>>()?;
        Ok(names.into_iter().filter(|name| !exclude.contains(name)).collect())
    }

    async fn per_connection(&self, exclude: &[String], query: impl Fn(&String) -> Query) -> Result<Vec<Delivery>> {
        let names = self.open_connections(exclude).await?;
        let mut answers = self.snapshot(names.iter().map(query).collect()).await?;
        let mut rows = Vec::new();
        for _ in &names {
            rows.extend(answers.next(delivery)?);
        }
        Ok(rows)
    }
}

/// The statement that puts an effect into the outbox, the `ordinal`-th of its cause.
pub(crate) fn insert(effect: &Effect, ordinal: u32) -> Result<Statement> {
    Ok(INSERT
        .bind(effect.id)
        .bind(effect.cause)
        .bind(ordinal)
        .bind(&effect.connection)
        .bind(effect.incident)
        .bind(lane_of(effect))
        .bind(effect.at)
        .bind(json("an effect", effect)?)
        .any())
}

/// The lane of an effect within its connection: the incident, and whom beside the connection's own address; or the
/// question for agreement.
fn lane_of(effect: &Effect) -> uuid::Uuid {
    if let (None, Some(approval)) = (effect.incident, &effect.notice.approval) {
        return derive("approval lane", &[&approval.id.to_string()]);
    }
    match (effect.incident, &effect.to) {
        (Some(incident), Some(to)) => derive("lane", &[&incident.to_string(), to]),
        (Some(incident), None) => incident.0,
        (None, _) => effect.id.0,
    }
}

pub(crate) fn delivery(mut row: Row) -> Result<Delivery> {
    Ok(Delivery {
        position: row.next()?,
        ordinal: row.next()?,
        state: DeliveryState::parse(&row.next::<String>()?)?,
        in_doubt: row.next()?,
        attempts: row.next()?,
        due: row.next()?,
        lease_until: row.next()?,
        far_ref: row.next()?,
        last_error: row.next()?,
        done: row.next()?,
        effect: row.json()?,
    })
}
