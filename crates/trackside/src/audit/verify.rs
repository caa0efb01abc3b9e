//! Verifies an export of the audit: line by line, with nothing but the public key.
//!
//! An export is JSON lines: `{"key": …}` and `{"head": …}`, the newest checkpoint when it was begun, then rows, and after
//! the rows of each checkpoint that checkpoint. Rows behind the last checkpoint are not sealed yet. Invariant: the first
//! thing that does not fit is told with its place.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use trackside_identity::audit_key::{self, BadSignature};
use trackside_store::audit::AuditRow;
use trackside_store::audit::chain::{BROKEN, CHECKPOINT_ROWS, Checkpoint, EXPIRED, EXPIRED_TO, GENESIS, hash_rows};

/// A line of an export.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Key(Key),
    /// None where nothing was sealed yet.
    Head(Option<Checkpoint>),
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
    /// Where the caller begins on purpose.
    from: Option<u64>,
    /// Checkpoints that must be there: the export's newest, and one that was noted elsewhere.
    awaited: Vec<Noted>,
    /// Up to which checkpoint retention says that it deleted.
    expired: u64,
    /// What the server itself found missing.
    lost: Option<Broken>,
}

/// The number and the hash of a checkpoint, as `41:7d0c…`: enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    number: u64,
    hash: String,
}

impl Noted {
    fn of(made: &Checkpoint) -> Self {
        Self { number: made.number, hash: made.hash.clone() }
    }
}

impl FromStr for Noted {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, hash) = text.split_once(':').ok_or("this is not NUMBER:HASH, as `audit verify` prints it")?;
        let number = number.parse().map_err(|_| format!("`{number}` is not the number of a checkpoint"))?;
        if hash.len() != GENESIS.len() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("`{hash}` is not a hash of 64 hexadecimal digits"));
        }
        Ok(Self { number, hash: hash.to_ascii_lowercase() })
    }
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
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
    /// The newest checkpoint: worth to be noted elsewhere.
    pub newest: Option<Noted>,
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
    /// The trail begins later than retention says.
    #[error("the trail begins with checkpoint {0}, and no row says that retention deleted what was before")]
    Beginning(u64),
    /// A checkpoint that must be there is not.
    #[error("checkpoint {0} is missing: the trail ends, or begins, without it")]
    Missing(u64),
    /// Another checkpoint has the number of the one that was noted.
    #[error("checkpoint {0} is not the one that was noted: the trail was written anew")]
    Other(u64),
    /// The server itself found that checkpoints were gone.
    #[error("row {position}: {summary}")]
    Lost {
        /// The row that says so.
        position: u64,
        /// Its text.
        summary: String,
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
        Self {
            key,
            last: None,
            rows: Vec::new(),
            verified: 0,
            checkpoints: 0,
            begins: None,
            from: None,
            awaited: Vec::new(),
            expired: 0,
            lost: None,
        }
    }

    /// The same, for an export that begins with this checkpoint on purpose.
    #[must_use]
    pub fn from(self, number: Option<u64>) -> Self {
        Self { from: number, ..self }
    }

    /// The same, when this checkpoint must be there.
    #[must_use]
    pub fn holding(mut self, noted: Option<Noted>) -> Self {
        self.awaited.extend(noted);
        self
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
            Line::Head(head) => head.map_or(Ok(()), |head| self.head(&head)),
            Line::Row(row) => {
                self.notice(&row);
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
    ///
    /// # Errors
    /// What is missing.
    pub fn end(self) -> Result<Verified, Broken> {
        if let Some(missing) = self.awaited.first() {
            return Err(Broken::Missing(missing.number));
        }
        if let Some(begins) = self.begins.filter(|begins| *begins > self.expired + 1 && Some(*begins) != self.from) {
            return Err(Broken::Beginning(begins));
        }
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        Ok(Verified {
            rows: self.verified,
            checkpoints: self.checkpoints,
            begins: self.begins,
            unsealed: self.rows.len() as u64,
            newest: self.last.as_ref().map(Noted::of),
        })
    }

    /// The newest checkpoint when the export was begun.
    fn head(&mut self, head: &Checkpoint) -> Result<(), Broken> {
        self.signed(head)?;
        if self.from.is_none_or(|from| from <= head.number) {
            self.awaited.push(Noted::of(head));
        }
        Ok(())
    }

    /// What rows of the audit say about the audit.
    fn notice(&mut self, row: &AuditRow) {
        let number = || row.detail.facts.get(EXPIRED_TO)?.parse::<u64>().ok();
        match row.action.as_str() {
            EXPIRED => self.expired = number().map_or(self.expired, |number| number.max(self.expired)),
            BROKEN if self.lost.is_none() => {
                self.lost = Some(Broken::Lost { position: row.position, summary: row.summary.clone() });
            }
            _ => {}
        }
    }

    fn signed(&self, made: &Checkpoint) -> Result<(), Broken> {
        let key = self.key.as_deref().ok_or(Broken::NoKey)?;
        audit_key::verify(key, &made.key, &made.signed(), &made.signature)
            .map_err(|why| Broken::Signature { number: made.number, why })
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
        self.signed(&made)?;
        if self.awaited.iter().any(|noted| noted.number == number && noted.hash != made.hash) {
            return Err(Broken::Other(number));
        }
        self.awaited.retain(|noted| noted.number != number);
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
        if let Some(newest) = &self.newest {
            write!(f, "\nnewest checkpoint: {newest}")?;
        }
        Ok(())
    }
}
