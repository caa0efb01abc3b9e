//! What may be heard once: a webhook call by the name its sender gave it, a signed link by its identity.
//!
//! Invariants: the memory is written in the same commit as what was heard, so a crash between the two cannot be; a key
//! counts until it expires and no longer. The log knows its entries by (source, id) too, but only as long as they are
//! kept, which may be set to less than a sender repeats itself; so this memory stands beside it and is not touched by
//! retention. Each write clears away some of what has expired.

use crate::Store;
use crate::error::{Error, Result};
use crate::log::{APPEND_ENTRIES, Appended, NewEntry};
use crate::statement::{Batch, Sql, Statement};
use jiff::Timestamp;

/// Longest key, in bytes.
pub const KEY_BYTES: usize = 512;
/// Expired keys cleared away per write.
const CLEARED: usize = 100;

/// Something that is heard once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once<'a> {
    /// What sort of thing, with whom it is from when keys are unique there only: `webhook/pd-payments`, `link`.
    pub kind: &'a str,
    /// Which one, at most [`KEY_BYTES`].
    pub key: &'a str,
    /// Until when it counts; after that the key may come again.
    pub expires: Timestamp,
}

static CLEAR: Sql = Sql::write(
    "heard.clear",
    "DELETE FROM heard WHERE (kind, key) IN (SELECT kind, key FROM heard WHERE expires <= $1 ORDER BY expires LIMIT $2)",
);
static PUT: Sql = Sql::write(
    "heard.put",
    "INSERT INTO heard (kind, key, expires) VALUES ($1, $2, $3)
     ON CONFLICT (kind, key) DO UPDATE SET expires = excluded.expires WHERE heard.expires <= $4",
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&CLEAR, &PUT];

impl Store {
    /// Appends entries, all of them or none, unless this was heard before: then nothing is stored and the answer is
    /// `None`. Of two calls at the same time one is told that it was first. Returns when it is durable. Without entries
    /// it only remembers that it was heard.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key that is too long or more than [`APPEND_ENTRIES`]; [`Error::Full`],
    /// [`Error::Database`], [`Error::Closed`] when nothing was stored: then it was not heard either.
    pub async fn append_once(
        &self,
        once: Once<'_>,
        entries: Vec<NewEntry>,
        now: Timestamp,
    ) -> Result<Option<Vec<Appended>>> {
        if entries.len() > APPEND_ENTRIES {
            let problem = format!("{} entries in one append, at most {APPEND_ENTRIES} are allowed", entries.len());
            return Err(Error::Invalid { what: "the batch".to_owned(), problem });
        }
        let statements = hear(once, now)?.into();
        match self.write(Batch { entries, statements }).await {
            Ok(receipt) => Ok(Some(receipt.appended)),
            Err(error) if was_heard(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What remembers that something was heard, and fails its batch when it was heard before ([`was_heard`]).
pub(crate) fn hear(once: Once<'_>, now: Timestamp) -> Result<[Statement; 2]> {
    if once.key.is_empty() || once.key.len() > KEY_BYTES {
        let problem = format!("it has {} bytes, 1 to {KEY_BYTES} are allowed", once.key.len());
        return Err(Error::Invalid { what: "the key".to_owned(), problem });
    }
    let put = PUT.bind(once.kind).bind(once.key).bind(once.expires).bind(now);
    Ok([put.one("it was heard before"), CLEAR.bind(now).bind(CLEARED).any()])
}

/// Whether a batch failed because what it should remember was heard before.
pub(crate) fn was_heard(error: &Error) -> bool {
    matches!(error, Error::Conflict { statement, .. } if *statement == PUT.name)
}
