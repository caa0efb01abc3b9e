//! The chain: checkpoints that bind the rows of the trail to each other, so that a change of the past shows.
//!
//! A checkpoint covers the rows since the one before. Its hash begins with the hash before it and takes in every row,
//! in order: `hash = SHA-256(hash || row)` for each row, as the JSON of [`AuditRow`]. It is signed with a key that is
//! not in the database. Invariants: checkpoints ascend without gaps; rows are sealed in the order they were written;
//! retention deletes whole checkpoints with their rows, never the newest, and leaves a row that says so ([`EXPIRED`]), so
//! that what is left can be verified. What is not here: the key, and when to seal.

use super::{AuditRow, LIST, NewAudit, audit_row, insert};
use crate::Store;
use crate::error::Result;
use crate::statement::{Batch, Sql};
use crate::value::{Kind, Row};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use trackside_core::caller::Caller;

/// Most rows of one checkpoint.
pub const CHECKPOINT_ROWS: usize = 500;
/// Action of the row that retention leaves; its fact [`EXPIRED_TO`] is the last checkpoint that it deleted.
pub const EXPIRED: &str = "audit.expired";
/// The fact of an [`EXPIRED`] row.
pub const EXPIRED_TO: &str = "checkpoint";
/// Action of the row about checkpoints that were sealed and are not there any more.
pub const BROKEN: &str = "audit.broken";
/// The hash before the first checkpoint.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// From 1, without gaps.
    pub number: u64,
    /// Position of the first row.
    pub first: u64,
    /// Position of the last row.
    pub last: u64,
    /// How many rows.
    pub rows: u64,
    /// Hash of the checkpoint before, hex; [`GENESIS`] before the first.
    pub previous: String,
    /// Hash over that and the rows, hex.
    pub hash: String,
    /// When it was made.
    pub at: Timestamp,
    /// Name of the key it is signed with.
    pub key: String,
    /// Ed25519 signature of [`Checkpoint::signed`], base64url.
    pub signature: String,
}

impl Checkpoint {
    /// What is signed: everything but the signature.
    #[must_use]
    pub fn signed(&self) -> Vec<u8> {
        format!(
            "trackside audit checkpoint 1\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
            self.number, self.first, self.last, self.rows, self.previous, self.hash, self.at, self.key,
        )
        .into_bytes()
    }
}

/// The hash over rows, beginning with the hash before.
///
/// # Errors
/// When a row cannot be written as JSON, which would be a mistake of this program.
pub fn hash_rows<'a>(previous: &str, rows: impl IntoIterator<Item = &'a AuditRow>) -> Result<String> {
    let mut hash: [u8; 32] = Sha256::digest(previous.as_bytes()).into();
    for row in rows {
        let text = crate::value::json("an audit row", row)?;
        let mut hasher = Sha256::new();
        hasher.update(hash);
        hasher.update(text.as_bytes());
        hash = hasher.finalize().into();
    }
    let mut hex = String::with_capacity(64);
    for byte in hash {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

static LAST: Sql = Sql::read(
    "audit_checkpoints.last",
    "SELECT number, first, last, rows, previous, hash, at, key, signature FROM audit_checkpoints
     ORDER BY number DESC LIMIT 1",
    CHECKPOINT,
);
static PAGE: Sql = Sql::read(
    "audit_checkpoints.page",
    "SELECT number, first, last, rows, previous, hash, at, key, signature FROM audit_checkpoints
     WHERE number > $1 ORDER BY number LIMIT $2",
    CHECKPOINT,
);
static SEAL: Sql = Sql::write(
    "audit_checkpoints.insert",
    "INSERT INTO audit_checkpoints (number, first, last, rows, previous, hash, at, key, signature)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
static FROM: Sql = Sql::read(
    "audit.from",
    "SELECT position, seq, ordinal, at, subject, via, action, summary, incident, event, delivery, token,
            resource, outcome, job, detail
     FROM audit WHERE position >= $1 ORDER BY position LIMIT $2",
    LIST.columns,
);

static EXPIRE_ROWS: Sql = Sql::write("audit.expire", "DELETE FROM audit WHERE position <= $1");
static EXPIRE: Sql = Sql::write("audit_checkpoints.expire", "DELETE FROM audit_checkpoints WHERE number <= $1");

const CHECKPOINT: &[Kind] =
    &[Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Text, Kind::Text, Kind::Time, Kind::Text, Kind::Text];

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&LAST, &PAGE, &SEAL, &FROM, &EXPIRE_ROWS, &EXPIRE];

impl Store {
    /// The newest checkpoint.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn last_checkpoint(&self) -> Result<Option<Checkpoint>> {
        self.row(LAST.bound().query()).await?.map(checkpoint).transpose()
    }

    /// Checkpoints after a number, in order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn checkpoints_after(&self, number: u64, limit: usize) -> Result<Vec<Checkpoint>> {
        let rows = self.rows(PAGE.bind(number).bind(crate::page::bounded(limit)).query()).await?;
        rows.into_iter().map(checkpoint).collect()
    }

    /// Rows of the trail after a position, in order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn audit_after(&self, position: u64, limit: usize) -> Result<Vec<AuditRow>> {
        self.audit_from(position.saturating_add(1), limit).await
    }

    /// Rows of the trail from a position on, in order. The first that is ever written has position 1.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn audit_from(&self, position: u64, limit: usize) -> Result<Vec<AuditRow>> {
        let rows = self.rows(FROM.bind(position).bind(crate::page::bounded(limit)).query()).await?;
        rows.into_iter().map(audit_row).collect()
    }

    /// Adds a checkpoint.
    ///
    /// # Errors
    /// When it is there already, or cannot be stored.
    pub async fn seal(&self, made: &Checkpoint) -> Result<()> {
        let row = SEAL
            .bind(made.number)
            .bind(made.first)
            .bind(made.last)
            .bind(made.rows)
            .bind(&made.previous)
            .bind(&made.hash)
            .bind(made.at)
            .bind(&made.key)
            .bind(&made.signature);
        self.write(Batch::of(vec![row.any()])).await?;
        Ok(())
    }
}

impl Store {
    /// Deletes the oldest checkpoints that were made before `before`, with their rows, at most [`CHECKPOINT_ROWS`] of
    /// them, and never the newest; returns how many rows went. Call it again until that is none.
    ///
    /// # Errors
    /// When nothing could be deleted.
    pub async fn expire_audit(&self, before: Timestamp, now: Timestamp) -> Result<u64> {
        let Some(newest) = self.last_checkpoint().await? else { return Ok(0) };
        let mut rows = 0;
        let mut going = None;
        for made in self.checkpoints_after(0, CHECKPOINT_ROWS).await? {
            let many = going.is_some() && rows + made.rows > CHECKPOINT_ROWS as u64;
            if made.at >= before || made.number >= newest.number || many {
                break;
            }
            rows += made.rows;
            going = Some((made.number, made.last));
        }
        let Some((number, last)) = going else { return Ok(0) };
        let summary = format!("{rows} rows deleted after their time: those to {last}, with checkpoints to {number}");
        let mut told = NewAudit::new(now, Caller::rules(), EXPIRED, summary).about("audit");
        told.detail.facts.insert(EXPIRED_TO.to_owned(), number.to_string());
        let statements = vec![EXPIRE_ROWS.bind(last).any(), EXPIRE.bind(number).any(), insert(&told)];
        self.write(Batch::of(statements)).await?;
        Ok(rows)
    }
}

fn checkpoint(mut row: Row) -> Result<Checkpoint> {
    Ok(Checkpoint {
        number: row.next()?,
        first: row.next()?,
        last: row.next()?,
        rows: row.next()?,
        previous: row.next()?,
        hash: row.next()?,
        at: row.next()?,
        key: row.next()?,
        signature: row.next()?,
    })
}
