//! The writer: commits whatever is queued together.
//!
//! Invariants: batches are committed in the order they were queued; a batch that fails takes nothing with it, because
//! each has its own savepoint (one insert is atomic by itself); an answer is sent after COMMIT has returned; after
//! any error the writer is ready for the next group.

use super::checkpoint::{self, Checkpointer, LONG_PAGES, STEP_PAGES};
use super::connection::{prepare, translate};
use crate::error::{Error, Result};
use crate::log::{Appended, Arrival, NewEntry};
use crate::metrics::Metrics;
use crate::statement::{Batch, Expect, Receipt, Statement};
use rusqlite::{Connection, OptionalExtension};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use trackside_core::ids::Seq;

/// Batches that may wait; more wait in their callers.
const QUEUE: usize = 1_024;
/// Most batches in one commit: bounds how long the first waits for the last.
const GROUP: usize = 256;

const INSERT: &str =
    "INSERT INTO log (at, source, id, name, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (source, id) DO NOTHING";
const FIND: &str = "SELECT seq FROM log WHERE source = $1 AND id = $2";
const HEAD: &str = "SELECT max(seq) FROM log";

#[cfg(test)]
pub(super) static SQL: &[&str] = &[INSERT, FIND, HEAD];

struct Job {
    batch: Batch,
    queued: Instant,
    reply: oneshot::Sender<Result<Receipt>>,
}

/// The writing connection and what follows a commit.
pub(super) struct Writer {
    connection: Connection,
    head: watch::Sender<Seq>,
    metrics: Arc<Metrics>,
    checkpointer: Option<Checkpointer>,
    /// Pages in the write-ahead log when a checkpoint was last due.
    checkpointed_at: u64,
}

impl Writer {
    pub(super) fn new(
        mut connection: Connection,
        head: watch::Sender<Seq>,
        metrics: Arc<Metrics>,
        checkpointer: Option<Checkpointer>,
    ) -> Result<Self> {
        head.send_replace(read_head(&connection)?);
        let pages = Arc::clone(&metrics);
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count: std::ffi::c_int| {
                pages.wal_pages.set(u64::try_from(count).unwrap_or(0));
                Ok(())
            }))
            .map_err(|error| translate("wal hook", &error))?;
        Ok(Self { connection, head, metrics, checkpointer, checkpointed_at: 0 })
    }

    /// The connection, for reading between commits.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Commits one batch.
    pub(super) fn write_alone(&mut self, batch: Batch) -> Result<Receipt> {
        let (reply, mut answer) = oneshot::channel();
        self.write_group(Job { batch, queued: Instant::now(), reply }, || None);
        answer.try_recv().unwrap_or(Err(Error::Closed))
    }

    /// Commits a batch with those that `more` has ready, and answers each.
    fn write_group(&mut self, first: Job, mut more: impl FnMut() -> Option<Job>) {
        let mut waiting = Vec::with_capacity(GROUP);
        let outcome = self.run_group(first, &mut more, &mut waiting);
        if let Err(error) = &outcome {
            self.metrics.commits_failed.add(1);
            tracing::error!(%error, batches = waiting.len(), "a commit failed; nothing of it was kept");
            self.roll_back();
        }
        for waiter in &mut waiting {
            if let Err(error) = &outcome {
                waiter.result = Err(error.clone());
            }
            self.metrics.write.record(waiter.queued.elapsed());
            self.count(&waiter.result);
        }
        // Before the answers: whoever has one finds the head at or after it.
        self.publish_head(&waiting);
        for Waiting { reply, result, .. } in waiting {
            // A caller that went away does not need the answer; what it asked for is done.
            let _ = reply.send(result);
        }
        self.check_log_length();
    }

    /// One transaction. An error here means that nothing of the whole group was kept.
    fn run_group(
        &mut self,
        first: Job,
        more: &mut impl FnMut() -> Option<Job>,
        waiting: &mut Vec<Waiting>,
    ) -> Result<()> {
        let mut transaction = self.execute("BEGIN IMMEDIATE");
        let mut next = Some(first);
        while let Some(Job { batch, queued, reply }) = next {
            let result = transaction.clone().and_then(|()| self.run_batch(&batch));
            let result = result.unwrap_or_else(|fatal| {
                transaction = Err(fatal.clone());
                Err(fatal)
            });
            waiting.push(Waiting { queued, reply, result });
            next = if transaction.is_ok() && waiting.len() < GROUP { more() } else { None };
        }
        transaction?;
        let commit = Instant::now();
        self.execute("COMMIT")?;
        self.metrics.commit.record(commit.elapsed());
        Ok(())
    }

    /// One batch: what it did, or why nothing of it was done.
    ///
    /// # Errors
    /// When the transaction cannot go on: the database gave it up (disk full, I/O error), or the batch could not be
    /// taken back.
    fn run_batch(&self, batch: &Batch) -> Result<Result<Receipt>> {
        if let ([entry], []) = (batch.entries.as_slice(), batch.statements.as_slice()) {
            let appended = self.append(entry).map(|appended| vec![appended]);
            self.still_in_transaction(appended.as_ref().err())?;
            return Ok(appended.map(|appended| Receipt { appended, changed: Vec::new() }));
        }
        self.execute("SAVEPOINT batch")?;
        let result = self.run_steps(batch);
        self.still_in_transaction(result.as_ref().err())?;
        if result.is_err() {
            self.execute("ROLLBACK TO batch")?;
        }
        self.execute("RELEASE batch")?;
        Ok(result)
    }

    fn still_in_transaction(&self, error: Option<&Error>) -> Result<()> {
        match error {
            Some(error) if self.connection.is_autocommit() => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn run_steps(&self, batch: &Batch) -> Result<Receipt> {
        let appended = batch.entries.iter().map(|entry| self.append(entry)).collect::<Result<_>>()?;
        let changed = batch.statements.iter().map(|statement| self.change(statement)).collect::<Result<_>>()?;
        Ok(Receipt { appended, changed })
    }

    fn append(&self, entry: &NewEntry) -> Result<Appended> {
        let failed = |error: rusqlite::Error| translate("log.append", &error);
        let id = entry.id.as_bytes();
        let inserted = self
            .connection
            .prepare_cached(INSERT)
            .and_then(|mut insert| {
                insert.execute((entry.at.as_microsecond(), &entry.source, id, &entry.name, &entry.body))
            })
            .map_err(failed)?;
        if inserted == 1 {
            let seq = self.connection.last_insert_rowid().cast_unsigned();
            return Ok(Appended { seq, arrival: Arrival::New });
        }
        let mut find = self.connection.prepare_cached(FIND).map_err(failed)?;
        let seq: i64 = find.query_row((&entry.source, id), |row| row.get(0)).map_err(failed)?;
        Ok(Appended { seq: seq.cast_unsigned(), arrival: Arrival::Duplicate })
    }

    fn change(&self, statement: &Statement) -> Result<u64> {
        let bound = &statement.bound;
        let mut prepared = prepare(&self.connection, bound)?;
        let changed = prepared.raw_execute().map_err(|error| translate(bound.name, &error))?;
        match statement.expect {
            Expect::One { otherwise } if changed != 1 => {
                Err(Error::Conflict { statement: bound.name, problem: otherwise.to_owned() })
            }
            Expect::One { .. } | Expect::Any => Ok(changed as u64),
        }
    }

    fn execute(&self, text: &'static str) -> Result<()> {
        let run = self.connection.prepare_cached(text).and_then(|mut statement| statement.execute(()));
        run.map(|_| ()).map_err(|error| translate(text, &error))
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(%error, "the transaction cannot be rolled back; the next commit tries again");
        }
    }

    fn count(&self, result: &Result<Receipt>) {
        let Ok(receipt) = result else { return self.metrics.batches_failed.add(1) };
        self.metrics.batches.add(1);
        let new = receipt.new_entries().count() as u64;
        self.metrics.appended.add(new);
        self.metrics.duplicates.add(receipt.appended.len() as u64 - new);
    }

    fn publish_head(&self, answered: &[Waiting]) {
        let receipts = answered.iter().filter_map(|waiting| waiting.result.as_ref().ok());
        if let Some(head) = receipts.flat_map(Receipt::new_entries).map(|entry| entry.seq).max() {
            self.head.send_replace(head);
        }
    }

    /// Sees that the write-ahead log is copied away in time.
    fn check_log_length(&mut self) {
        let pages = self.metrics.wal_pages.get();
        if pages < self.checkpointed_at {
            self.checkpointed_at = 0;
        }
        if pages - self.checkpointed_at < STEP_PAGES {
            return;
        }
        self.checkpointed_at = pages;
        match &self.checkpointer {
            Some(checkpointer) if pages < LONG_PAGES => checkpointer.nudge(),
            _ => checkpoint::run(&self.connection, &self.metrics),
        }
    }
}

struct Waiting {
    queued: Instant,
    reply: oneshot::Sender<Result<Receipt>>,
    result: Result<Receipt>,
}

/// Position of the newest log entry.
pub(super) fn read_head(connection: &Connection) -> Result<Seq> {
    let failed = |error: rusqlite::Error| translate("log.head", &error);
    let head: Option<Option<i64>> = connection.query_row(HEAD, [], |row| row.get(0)).optional().map_err(failed)?;
    Ok(head.flatten().map_or(0, i64::cast_unsigned))
}

/// The writer on its own thread.
pub(super) struct WriterThread {
    jobs: Option<mpsc::Sender<Job>>,
    metrics: Arc<Metrics>,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    pub(super) fn start(mut writer: Writer) -> Result<Self> {
        let metrics = Arc::clone(&writer.metrics);
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || {
                while let Some(first) = queue.blocking_recv() {
                    writer.metrics.queued.down();
                    let metrics = Arc::clone(&writer.metrics);
                    writer.write_group(first, || queue.try_recv().ok().inspect(|_| metrics.queued.down()));
                }
            })
            .map_err(|error| Error::Open { path: PathBuf::new(), problem: error.to_string() })?;
        Ok(Self { jobs: Some(jobs), metrics, thread: Some(thread) })
    }

    /// Commits a batch; returns when it is durable. A caller that stops waiting does not undo it.
    pub(super) async fn write(&self, batch: Batch) -> Result<Receipt> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        let permit = jobs.reserve().await.map_err(|_| Error::Closed)?;
        self.metrics.queued.up();
        permit.send(Job { batch, queued: Instant::now(), reply });
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has answered nobody it did not commit for.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::open_memory;
    use super::*;
    use crate::statement::Sql;
    use jiff::Timestamp;
    use uuid::Uuid;

    fn entry(number: u128, bytes: usize) -> Batch {
        let entry = NewEntry {
            at: Timestamp::UNIX_EPOCH,
            source: "test".to_owned(),
            id: Uuid::from_u128(number),
            name: "test".to_owned(),
            body: "x".repeat(bytes),
        };
        Batch { entries: vec![entry], statements: Vec::new() }
    }

    fn writer() -> Writer {
        Writer::new(open_memory().unwrap(), watch::channel(0).0, Arc::default(), None).unwrap()
    }

    /// Commits batches as one group.
    fn group(writer: &mut Writer, batches: Vec<Batch>) -> Vec<Result<Vec<u64>>> {
        let mut answers = Vec::new();
        let mut jobs = batches.into_iter().map(|batch| {
            let (reply, answer) = oneshot::channel();
            answers.push(answer);
            Job { batch, queued: Instant::now(), reply }
        });
        let first = jobs.next().unwrap();
        writer.write_group(first, || jobs.next());
        drop(jobs);
        let seqs = |receipt: Receipt| receipt.appended.iter().map(|entry| entry.seq).collect();
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap().map(seqs)).collect()
    }

    #[test]
    fn a_full_disk_fails_the_group_and_nothing_after_it() {
        let mut writer = writer();
        assert_eq!(group(&mut writer, vec![entry(1, 10)]), [Ok(vec![1])]);
        let pages: i64 = writer.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |writer: &Writer, pages: i64| {
            writer
                .connection
                .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
                .unwrap()
        };
        limit(&writer, pages + 2);
        let full = group(&mut writer, vec![entry(2, 10), entry(3, 1_000_000), entry(4, 10)]);
        assert_eq!(full[1], Err(Error::Full));
        let kept = full.iter().filter(|result| result.is_ok()).count() as u64;
        assert_eq!(*writer.head.borrow(), 1 + kept, "what was answered with success is there, the rest is not");
        limit(&writer, pages + 1_000);
        assert_eq!(group(&mut writer, vec![entry(5, 1_000_000)]), [Ok(vec![2 + kept])]);
        assert_eq!(read_head(&writer.connection), Ok(2 + kept));
    }

    #[test]
    fn a_transaction_that_the_database_gives_up_fails_whole() {
        static GIVE_UP: Sql = Sql::write("give up", "INSERT OR ROLLBACK INTO meta (key, value) VALUES ('cursor', 'x')");
        let mut writer = writer();
        let give_up = Batch::of(vec![GIVE_UP.bound().any()]);
        let answers = group(&mut writer, vec![entry(1, 10), give_up]);
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
        assert_eq!(*writer.head.borrow(), 0);
        assert_eq!(group(&mut writer, vec![entry(1, 10), entry(2, 10)]), [Ok(vec![1]), Ok(vec![2])]);
        assert_eq!((writer.metrics.commits_failed.get(), writer.metrics.batches_failed.get()), (1, 2));
    }
}
