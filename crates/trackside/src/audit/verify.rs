//! Verifies an export of the audit: line by line, with nothing but the public key.
//!
//! An export is JSON lines: `{"key": …}` once, then rows, and after the rows of each checkpoint that checkpoint. Rows
//! behind the last checkpoint are not sealed yet. Invariant: the first thing that does not fit is told with its place.

use serde::Deserialize;
use std::fmt;
use trackside_identity::audit_key::{self, BadSignature};
use trackside_store::audit::AuditRow;
use trackside_store::audit::chain::{CHECKPOINT_ROWS, Checkpoint, GENESIS, hash_rows};

/// A line of an export.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Key(Key),
    Row(Box<AuditRow>),
    Checkpoint(Checkpoint),
}

/// The public half of the key.
#[derive(Debug, Deserialize)]
struct Key {
    public: String,
}

/// Takes the lines of an export in order.
#[derive(Debug)]
pub struct Verifier {
    /// The key that is trusted; the export's own when none was given.
    key: Option<String>,
    last: Option<Checkpoint>,
    rows: Vec<AuditRow>,
    verified: u64,
    checkpoints: u64,
    begins: Option<u64>,
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Rows that checkpoints cover.
    pub rows: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Number of the first checkpoint, when it is not 1: earlier ones were deleted by retention.
    pub begins: Option<u64>,
    /// Rows behind the last checkpoint.
    pub unsealed: u64,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The line is none of an export.
    #[error("not a line of an export: {0}")]
    Line(String),
    /// No key is known.
    #[error("the export has no key line; give the key with --key")]
    NoKey,
    /// A checkpoint is missing.
    #[error("checkpoint {found} follows checkpoint {last}: what is between is missing")]
    Gap {
        /// The one before.
        last: u64,
        /// The one found.
        found: u64,
    },
    /// A checkpoint does not continue the one before.
    #[error("checkpoint {0} does not continue the one before it")]
    Chain(u64),
    /// Rows are missing or were added.
    #[error("checkpoint {number} covers {expected} rows, {found} are there: rows {first} to {last}")]
    Rows {
        /// Which checkpoint.
        number: u64,
        /// How many it covers.
        expected: u64,
        /// How many are there.
        found: u64,
        /// Position of its first row.
        first: u64,
        /// Position of its last row.
        last: u64,
    },
    /// A row was changed.
    #[error("a row between {first} and {last} (checkpoint {number}) is not what was sealed")]
    Changed {
        /// Which checkpoint.
        number: u64,
        /// Position of its first row.
        first: u64,
        /// Position of its last row.
        last: u64,
    },
    /// The signature does not fit.
    #[error("checkpoint {number}: {why}")]
    Signature {
        /// Which checkpoint.
        number: u64,
        /// Why.
        why: BadSignature,
    },
}

impl Verifier {
    /// A verifier that trusts a key, or else the one that the export names.
    #[must_use]
    pub fn new(key: Option<String>) -> Self {
        Self { key, last: None, rows: Vec::new(), verified: 0, checkpoints: 0, begins: None }
    }

    /// Takes a line.
    ///
    /// # Errors
    /// What does not fit.
    pub fn line(&mut self, text: &str) -> Result<(), Broken> {
        match serde_json::from_str(text).map_err(|error| Broken::Line(error.to_string()))? {
            Line::Key(key) => {
                self.key.get_or_insert(key.public);
                Ok(())
            }
            Line::Row(row) => {
                // More than a checkpoint covers means that checkpoints are missing; only unsealed rows may be many.
                if self.rows.len() < 2 * CHECKPOINT_ROWS {
                    self.rows.push(*row);
                }
                Ok(())
            }
            Line::Checkpoint(checkpoint) => self.checkpoint(checkpoint),
        }
    }

    /// What was verified, after the last line.
    #[must_use]
    pub fn end(self) -> Verified {
        let unsealed = self.rows.len() as u64;
        Verified { rows: self.verified, checkpoints: self.checkpoints, begins: self.begins, unsealed }
    }

    fn checkpoint(&mut self, made: Checkpoint) -> Result<(), Broken> {
        let Checkpoint { number, first, last, .. } = made;
        match &self.last {
            Some(before) if before.number + 1 != number => {
                return Err(Broken::Gap { last: before.number, found: number });
            }
            Some(before) if before.hash != made.previous => return Err(Broken::Chain(number)),
            None if number == 1 && made.previous != GENESIS => return Err(Broken::Chain(number)),
            None if number > 1 => self.begins = Some(number),
            _ => {}
        }
        let rows = std::mem::take(&mut self.rows);
        let ends =
            rows.first().map(|row| row.position) == Some(first) && rows.last().map(|row| row.position) == Some(last);
        if rows.len() as u64 != made.rows || !ends {
            return Err(Broken::Rows { number, expected: made.rows, found: rows.len() as u64, first, last });
        }
        let hash = hash_rows(&made.previous, &rows).map_err(|error| Broken::Line(error.to_string()))?;
        if hash != made.hash {
            return Err(Broken::Changed { number, first, last });
        }
        let key = self.key.as_deref().ok_or(Broken::NoKey)?;
        audit_key::verify(key, &made.key, &made.signed(), &made.signature)
            .map_err(|why| Broken::Signature { number, why })?;
        self.verified += made.rows;
        self.checkpoints += 1;
        self.last = Some(made);
        Ok(())
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows in {} checkpoints are what was sealed", self.rows, self.checkpoints)?;
        if let Some(begins) = self.begins {
            write!(f, "; the trail begins with checkpoint {begins}, what was before is deleted")?;
        }
        if self.unsealed > 0 {
            write!(f, "; {} rows are not sealed yet", self.unsealed)?;
        }
        Ok(())
    }
}
