//! The SQLite backend: who runs statements, on which thread and connection.
//!
//! Invariants: one connection writes; a write's answer is sent after COMMIT returned with `synchronous=FULL`;
//! readers never block the writer (WAL) and open their connections read-only. Nothing outside this module knows
//! `rusqlite`.

mod checkpoint;
mod connection;
mod lock;
mod readers;
mod writer;

use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::statement::{Answer, Batch, Query, Receipt};
use crate::{Access, Options, Threading};
use checkpoint::Checkpointer;
use lock::Lock;
use readers::Readers;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use trackside_core::ids::Seq;
use writer::{Writer, WriterThread};

/// An open database.
pub(crate) struct Backend {
    // Dropped in this order: the writer ends first, then the checkpointer, then the readers; the lock goes last.
    runner: Runner,
    head: watch::Receiver<Seq>,
    metrics: Arc<Metrics>,
    _lock: Option<Lock>,
}

enum Runner {
    Threads { writer: Option<WriterThread>, readers: Readers },
    Inline(Mutex<Inline>),
}

enum Inline {
    Serve(Writer),
    Read(Connection),
}

impl Inline {
    fn connection(&self) -> &Connection {
        match self {
            Self::Serve(writer) => writer.connection(),
            Self::Read(connection) => connection,
        }
    }
}

impl Backend {
    pub(crate) fn open(path: &Path, options: Options) -> Result<Self> {
        match options.access {
            Access::Serve => Self::serve(path, options.threading),
            Access::ReadOnly => Self::read_only(path, options.threading),
        }
    }

    fn serve(path: &Path, threading: Threading) -> Result<Self> {
        let lock = Lock::take(path)?;
        let metrics = Arc::new(Metrics::default());
        let connection = connection::open_writer(path)?;
        let (head_sender, head) = watch::channel(0);
        let runner = match threading {
            Threading::Threads => {
                let checkpointer = Checkpointer::start(connection::open_checkpointer(path)?, Arc::clone(&metrics))?;
                let writer = Writer::new(connection, head_sender, Arc::clone(&metrics), Some(checkpointer))?;
                let readers = Readers::start(path, &metrics)?;
                Runner::Threads { writer: Some(WriterThread::start(writer)?), readers }
            }
            Threading::Inline => {
                let writer = Writer::new(connection, head_sender, Arc::clone(&metrics), None)?;
                Runner::Inline(Mutex::new(Inline::Serve(writer)))
            }
        };
        Ok(Self { runner, head, metrics, _lock: Some(lock) })
    }

    fn read_only(path: &Path, threading: Threading) -> Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let reader = connection::open_reader(path)?;
        connection::check_version(&reader, path)?;
        let (_, head) = watch::channel(writer::read_head(&reader)?);
        let runner = match threading {
            Threading::Threads => Runner::Threads { writer: None, readers: Readers::start(path, &metrics)? },
            Threading::Inline => Runner::Inline(Mutex::new(Inline::Read(reader))),
        };
        Ok(Self { runner, head, metrics, _lock: None })
    }

    pub(crate) fn memory() -> Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let connection = connection::open_memory()?;
        let (head_sender, head) = watch::channel(0);
        let writer = Writer::new(connection, head_sender, Arc::clone(&metrics), None)?;
        let runner = Runner::Inline(Mutex::new(Inline::Serve(writer)));
        Ok(Self { runner, head, metrics, _lock: None })
    }

    pub(crate) fn head(&self) -> watch::Receiver<Seq> {
        self.head.clone()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Commits a batch; returns when it is durable.
    pub(crate) async fn write(&self, batch: Batch) -> Result<Receipt> {
        match &self.runner {
            Runner::Threads { writer: Some(writer), .. } => writer.write(batch).await,
            Runner::Threads { writer: None, .. } => Err(Error::ReadOnly),
            Runner::Inline(inline) => {
                match &mut *inline.lock().unwrap_or_else(PoisonError::into_inner) {
                    Inline::Serve(writer) => writer.write_alone(batch),
                    Inline::Read(_) => Err(Error::ReadOnly),
                }
            }
        }
    }

    /// Answers questions about one moment.
    pub(crate) async fn read(&self, queries: Vec<Query>) -> Result<Vec<Answer>> {
        match &self.runner {
            Runner::Threads { readers, .. } => readers.read(queries).await,
            Runner::Inline(inline) => {
                let inline = inline.lock().unwrap_or_else(PoisonError::into_inner);
                readers::answer(inline.connection(), &queries, &self.metrics)
            }
        }
    }
}
