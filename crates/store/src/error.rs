//! What can go wrong in the store, said so that a caller can act on it.
//!
//! Invariant: no type of a database driver in here. An error can be cloned, because one failed commit answers many callers.

use std::path::PathBuf;

/// An error of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another process serves this database.
    #[error(
        "{} is in use by another Trackside process; stop it first, or point `server.data` somewhere else", path.display()
    )]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {}: {problem}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system or database said, and what to do.
        problem: String,
    },
    /// The database was written by a newer version.
    #[error("the database has schema version {found}, this program knows up to {known}; use a newer Trackside")]
    Newer {
        /// Version in the database.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// A read-only opening found a schema that a serving process has to bring up to date first.
    #[error("the database has schema version {found}, this program needs {known}; start the server once to migrate it")]
    Older {
        /// Version in the database.
        found: i64,
        /// Version this program needs.
        known: i64,
    },
    /// A write on a store opened for reading.
    #[error("this database is open for reading only")]
    ReadOnly,
    /// The store is closing; the write was not done.
    #[error("the store is closed")]
    Closed,
    /// The disk is full. Nothing of the batch was kept; later writes work once there is room.
    #[error("the disk is full; nothing was stored, free some space and send it again")]
    Full,
    /// A statement changed another number of rows than it must: somebody else was faster, or the row is not there.
    /// Nothing of the batch was kept.
    #[error("{statement}: {problem}")]
    Conflict {
        /// Name of the statement.
        statement: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// The database refused or failed. Nothing of the batch was kept.
    #[error("{statement}: {problem}")]
    Database {
        /// Name of the statement or step.
        statement: &'static str,
        /// What the database said.
        problem: String,
    },
    /// A stored value cannot be read back.
    #[error("stored {what} cannot be read: {problem}")]
    Corrupt {
        /// Which value.
        what: String,
        /// Why.
        problem: String,
    },
    /// A value cannot be stored.
    #[error("{what} cannot be stored: {problem}")]
    Invalid {
        /// Which value.
        what: String,
        /// Why, and what is allowed.
        problem: String,
    },
}

/// Result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;
