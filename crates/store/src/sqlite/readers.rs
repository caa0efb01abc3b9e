//! Reader threads: each has its own read-only connection and takes the next question from one bounded queue.

use super::connection::{decode, open_reader, prepare, translate};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::statement::{Answer, Query};
use crate::value::{Row, Value};
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Threads, and so reads at a time.
const READERS: usize = 4;
/// Questions that may wait; more wait in their callers.
const QUEUE: usize = 256;

struct Job {
    queries: Vec<Query>,
    reply: oneshot::Sender<Result<Vec<Answer>>>,
}

/// The pool.
pub(super) struct Readers {
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(path: &Path, metrics: &Arc<Metrics>) -> Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::with_capacity(READERS);
        for number in 0..READERS {
            let connection = open_reader(path)?;
            let (queue, metrics) = (Arc::clone(&queue), Arc::clone(metrics));
            let thread = std::thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || serve(&connection, &queue, &metrics))
                .map_err(|error| Error::Open { path: path.to_owned(), problem: error.to_string() })?;
            threads.push(thread);
        }
        Ok(Self { jobs: Some(jobs), threads })
    }

    /// Answers questions about one moment.
    pub(super) async fn read(&self, queries: Vec<Query>) -> Result<Vec<Answer>> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(Job { queries, reply }).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A reader that panicked has nothing left to hand over.
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Connection, queue: &Mutex<mpsc::Receiver<Job>>, metrics: &Metrics) {
    loop {
        // The lock is held while waiting: the others wait for the lock instead of the queue.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(Job { queries, reply }) = job else { return };
        if !reply.is_closed() {
            let _ = reply.send(answer(connection, &queries, metrics));
        }
    }
}

/// Answers questions in one read transaction.
pub(super) fn answer(connection: &Connection, queries: &[Query], metrics: &Metrics) -> Result<Vec<Answer>> {
    let begun = Instant::now();
    let answers = match queries {
        [] => Ok(Vec::new()),
        // One statement is one snapshot of its own.
        [query] => run(connection, query).map(|answer| vec![answer]),
        queries => {
            let failed = |error: rusqlite::Error| translate("read", &error);
            connection.execute_batch("BEGIN").map_err(failed)?;
            let answers = queries.iter().map(|query| run(connection, query)).collect();
            connection.execute_batch("COMMIT").map_err(failed)?;
            answers
        }
    };
    metrics.read.record(begun.elapsed());
    answers
}

fn run(connection: &Connection, query: &Query) -> Result<Answer> {
    let bound = &query.bound;
    let failed = |error: rusqlite::Error| translate(bound.name, &error);
    let mut statement = prepare(connection, bound)?;
    let mut rows = statement.raw_query();
    let mut answer = Answer::default();
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        if bytes > query.max_bytes {
            answer.cut = true;
            break;
        }
        let mut values = Vec::with_capacity(bound.columns.len());
        for (index, kind) in bound.columns.iter().enumerate() {
            let value = decode(bound.name, *kind, row.get_ref(index).map_err(failed)?)?;
            bytes += size(&value);
            values.push(value);
        }
        answer.rows.push(Row::new(bound.name, values));
    }
    Ok(answer)
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}
