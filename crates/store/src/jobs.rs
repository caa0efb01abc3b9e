//! Runs of jobs: written with the decision, found by id, by key and in lists, loaded while they have not ended.
//!
//! Invariants: a run is one row, the last value wins; a key leads to the latest run asked for under it; when a run ends
//! while its call waits in the outbox, that row is due at once, so that it ends too.

use crate::Store;
use crate::error::Result;
use crate::page::{Page, bounded};
use crate::statement::{Listing, Query, Sql, Statement, given, one_of};
use crate::value::{Kind, Row, json};
use jiff::Timestamp;
use std::collections::BTreeSet;
use trackside_core::job::run::{JobRun, RunState};
use uuid::Uuid;

const BODY: &[Kind] = &[Kind::Text];

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobRunFilter {
    /// Only those of this job.
    pub job: Option<String>,
    /// Only those that this caller asked for.
    pub subject: Option<String>,
    /// Only those in one of these states.
    pub states: Option<BTreeSet<RunState>>,
    /// Only those after this one in the listing ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

/// A run as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRunRow {
    /// Position, ascending by when it was asked for.
    pub position: u64,
    /// The run.
    pub run: JobRun,
}

static PUT: Sql = Sql::write(
    "job_runs.put",
    "INSERT INTO job_runs (id, seq, job, subject, key, state, open, created, ended, delivery, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, open = excluded.open, ended = excluded.ended,
       delivery = COALESCE(excluded.delivery, job_runs.delivery), body = excluded.body",
);
static DUE_NOW: Sql = Sql::write(
    "job_runs.due_now",
    "UPDATE outbox SET due_at = $1 WHERE id = $2 AND state = 'pending' AND due_at IS NOT NULL AND due_at > $1",
);
static OPEN: Sql = Sql::read("job_runs.load", "SELECT body FROM job_runs WHERE open = TRUE ORDER BY seq", BODY);
static GET: Sql = Sql::read("job_runs.get", "SELECT body FROM job_runs WHERE id = $1", BODY);
static BY_KEY: Sql = Sql::read(
    "job_runs.by_key",
    "SELECT body FROM job_runs WHERE job = $1 AND subject = $2 AND key = $3 ORDER BY seq DESC LIMIT 1",
    BODY,
);
static LIST: Listing = Listing {
    name: "job_runs.list",
    head: "SELECT position, body FROM job_runs WHERE 1 = 1",
    clauses: &["job = {0}", "subject = {0}", "state IN ({*})", "position < {0}"],
    order: "ORDER BY position DESC",
    columns: &[Kind::Int, Kind::Text],
};

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&PUT, &DUE_NOW, &OPEN, &GET, &BY_KEY];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST];

impl Store {
    /// A run.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn job_run(&self, id: Uuid) -> Result<Option<JobRun>> {
        self.row(by_id(id)).await?.map(|mut row| row.json()).transpose()
    }

    /// The latest run that a caller asked for under a key.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn job_run_of(&self, job: &str, subject: &str, key: &str) -> Result<Option<JobRun>> {
        self.row(by_key(job, subject, key)).await?.map(|mut row| row.json()).transpose()
    }

    /// Runs, the latest asked for first.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn job_runs(&self, filter: &JobRunFilter) -> Result<Page<JobRunRow>> {
        let limit = bounded(filter.limit);
        let states =
            filter.states.as_ref().map(|states| states.iter().map(|state| state.as_str().to_owned()).collect());
        let Some(states) = one_of::<String>(states.as_ref())? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let filters = vec![given(filter.job.as_ref()), given(filter.subject.as_ref()), states, given(filter.before)];
        let read = |mut row: Row| Ok(JobRunRow { position: row.next()?, run: row.json()? });
        let items = self.rows(LIST.query(filters, limit)).await?.into_iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(Page::new(items, limit, |row| row.position))
    }
}

/// All that have not ended.
pub(crate) fn open() -> Query {
    OPEN.bound().query()
}

pub(crate) fn by_id(id: Uuid) -> Query {
    GET.bind(id).query()
}

pub(crate) fn by_key(job: &str, subject: &str, key: &str) -> Query {
    BY_KEY.bind(job).bind(subject).bind(key).query()
}

/// What a decision writes of a run.
pub(crate) fn put(run: &JobRun) -> Result<Vec<Statement>> {
    let mut statements = vec![
        PUT.bind(run.id)
            .bind(run.seq)
            .bind(&run.job)
            .bind(&run.caller.subject)
            .bind(run.key.as_ref())
            .bind(run.state.as_str())
            .bind(!run.state.ended())
            .bind(run.created)
            .bind(run.ended)
            .bind(run.delivery)
            .bind(json("a run of a job", run)?)
            .any(),
    ];
    if let (Some(delivery), Some(ended)) = (run.delivery, run.ended) {
        statements.push(due_now(delivery, ended));
    }
    Ok(statements)
}

fn due_now(delivery: trackside_core::ids::DeliveryId, at: Timestamp) -> Statement {
    DUE_NOW.bind(at).bind(delivery).any()
}
