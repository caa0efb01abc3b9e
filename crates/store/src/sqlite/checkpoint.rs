//! The checkpointer: copies the write-ahead log into the database file, beside the writer.
//!
//! A checkpoint never waits for anybody and nobody waits for it (PASSIVE). Under unbroken writing it can finish
//! without the log starting over, because new pages came in meanwhile; when the log has grown to [`LONG_PAGES`] the
//! writer, which then has just committed, does the short rest itself.

use super::connection::translate;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// A checkpoint is due each time the log has grown by this many pages (16 MiB).
pub(super) const STEP_PAGES: u64 = 4_000;
/// From here on the writer lends a hand (128 MiB).
pub(super) const LONG_PAGES: u64 = 32_000;

/// The thread.
pub(super) struct Checkpointer {
    nudges: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(connection: Connection, metrics: Arc<Metrics>) -> Result<Self> {
        let (nudges, queue) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || serve(&connection, &queue, &metrics))
            .map_err(|error| Error::Open { path: PathBuf::new(), problem: error.to_string() })?;
        Ok(Self { nudges: Some(nudges), thread: Some(thread) })
    }

    /// Asks for a checkpoint; one that is asked for already is enough.
    pub(super) fn nudge(&self) {
        if let Some(nudges) = &self.nudges {
            let _ = nudges.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.nudges = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Connection, queue: &Receiver<()>, metrics: &Metrics) {
    while queue.recv().is_ok() {
        run(connection, metrics);
    }
}

/// One checkpoint. A failure leaves the log as it is: it is counted and tried again at the next step.
pub(super) fn run(connection: &Connection, metrics: &Metrics) {
    let begun = Instant::now();
    let pages: rusqlite::Result<(i64, i64)> =
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)));
    match pages {
        Ok((in_log, copied)) => {
            metrics.checkpoint.record(begun.elapsed());
            tracing::debug!(in_log, copied, "checkpoint");
        }
        Err(error) => {
            metrics.checkpoints_failed.add(1);
            tracing::warn!(error = %translate("checkpoint", &error), "checkpoint failed; it is tried again");
        }
    }
}
