//! The durable memory of Trackside: log, state, outbox, audit, runs, accounts.
//!
//! Start at [`Store`]: one cheap-to-clone handle. What it can do stands in one module per subject:
//! [`log`] (append and read inputs), [`state`] (commit a decision, load at start), [`outbox`] (deliveries),
//! [`runs`], [`incidents`], [`timeline`], [`automations`], [`firings`], [`audit`], [`stats`], [`reports`] (what pages
//! and the API show), [`planned`] (overrides, silences, maintenance), [`pages`] (who was paged), [`overdue`] (what
//! should have happened by now), [`heard`] (what may be heard once), [`accounts`] (tokens), [`sessions`] (who is signed
//! in), [`blocks`] (block documents),
//! [`directory`] (people and groups as another system keeps them), [`imports`] (what PagerDuty says of teams), [`workload`] (keys that sign
//! tokens of ours), [`retention`].
//!
//! Invariants: a write answers after its commit is on disk; a write is one atomic batch of statements that are data,
//! there are no interactive transactions; every answer has a limit. Everything that knows a database is in `sqlite`.
//! Decisions are made elsewhere: this crate never looks into what it keeps beyond the columns it indexes.

pub mod accounts;
pub mod approvals;
pub mod audit;
pub mod automations;
pub mod blocks;
pub mod directory;
mod error;
pub mod firings;
pub mod heard;
pub mod imports;
pub mod incidents;
pub mod jobs;
pub mod log;
pub mod metrics;
pub mod outbox;
pub mod overdue;
pub mod page;
pub mod pages;
pub mod planned;
pub mod reports;
pub mod retention;
pub mod runs;
mod schema;
pub mod sessions;
mod sqlite;
pub mod state;
mod statement;
pub mod stats;
pub mod timeline;
mod value;
pub mod workload;

pub use error::{Error, Result};
pub use metrics::Metrics;
pub use page::Page;

use statement::{Answer, Batch, Query, Receipt};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;
use trackside_core::ids::Seq;
use value::Row;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing. One process at a time; a second one is refused.
    #[default]
    Serve,
    /// Reading only, also beside a serving process.
    ReadOnly,
}

/// Where statements run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threading {
    /// One writer thread that commits whatever is queued together, and a few reader threads.
    #[default]
    Threads,
    /// On the calling thread, one batch per commit: every call has happened when it returns. For simulations
    /// and short command-line calls.
    Inline,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What for.
    pub access: Access,
    /// Where statements run.
    pub threading: Threading,
}

/// The handle. Clones share one database; it closes when the last clone is gone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<sqlite::Backend>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("head", &*self.backend.head().borrow()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database file, creating and migrating it when it is opened for serving.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process serves it, [`Error::Newer`] or [`Error::Older`] when its schema does
    /// not fit, [`Error::Open`] for everything else.
    pub fn open(path: &Path, options: Options) -> Result<Self> {
        Ok(Self { backend: Arc::new(sqlite::Backend::open(path, options)?) })
    }

    /// A database in memory that runs inline and is gone with the last clone.
    ///
    /// # Errors
    /// [`Error::Open`] when the database library refuses.
    pub fn memory() -> Result<Self> {
        Ok(Self { backend: Arc::new(sqlite::Backend::memory()?) })
    }

    /// Position of the newest log entry, 0 before the first. Changes after each commit, before its answers; in a store
    /// opened for reading it stays what it was at opening.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Seq> {
        self.backend.head()
    }

    /// What the store measures of itself.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.backend.metrics()
    }

    /// Commits a batch; returns when it is durable.
    pub(crate) async fn write(&self, batch: Batch) -> Result<Receipt> {
        self.backend.write(batch).await
    }

    /// One question, with whether its answer was cut for its size.
    pub(crate) async fn answer(&self, query: Query) -> Result<Answer> {
        Ok(self.backend.read(vec![query]).await?.pop().unwrap_or_default())
    }

    /// One question.
    pub(crate) async fn rows(&self, query: Query) -> Result<Vec<Row>> {
        Ok(self.answer(query).await?.rows)
    }

    /// Several questions about the same moment.
    pub(crate) async fn snapshot(&self, queries: Vec<Query>) -> Result<Answers> {
        Ok(Answers { answers: self.backend.read(queries).await?.into_iter() })
    }

    /// One question with at most one row.
    pub(crate) async fn row(&self, query: Query) -> Result<Option<Row>> {
        Ok(self.rows(query).await?.into_iter().next())
    }
}

/// Answers to several questions, in their order.
pub(crate) struct Answers {
    answers: std::vec::IntoIter<Answer>,
}

impl Answers {
    /// The next answer, each row read by `read`.
    pub(crate) fn next<T>(&mut self, read: impl FnMut(Row) -> Result<T>) -> Result<Vec<T>> {
        self.answers.next().unwrap_or_default().rows.into_iter().map(read).collect()
    }
}
