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
    // Dropped in this order. The readers end first, so that the writer is the last to close the file, which empties
    // and removes the write-ahead log; the lock goes last.
    runner: Runner,
    head: watch::Receiver<Seq>,
    metrics: Arc<Metrics>,
    _lock: Option<Lock>,
}

enum Runner {
    Threads { readers: Readers, writer: Option<WriterThread> },
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
            Runner::Inline(inline) => match &mut *inline.lock().unwrap_or_else(PoisonError::into_inner) {
                Inline::Serve(writer) => writer.write_alone(batch),
                Inline::Read(_) => Err(Error::ReadOnly),
            },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Sql;

    fn all() -> Vec<&'static Sql> {
        let mut all = Vec::new();
        for module in [
            crate::log::SQL,
            crate::state::SQL,
            crate::audit::SQL,
            crate::audit::begun::SQL,
            crate::audit::chain::SQL,
            crate::runs::SQL,
            crate::incidents::SQL,
            crate::incidents::related::SQL,
            crate::accounts::SQL,
            crate::retention::SQL,
            crate::stats::SQL,
            crate::automations::SQL,
            crate::automations::write::SQL,
            crate::automations::load::SQL,
            crate::firings::SQL,
            crate::blocks::SQL,
            crate::workload::SQL,
            crate::directory::SQL,
            crate::imports::SQL,
            crate::log::scan::SQL,
            crate::planned::SQL,
            crate::approvals::SQL,
            crate::jobs::SQL,
            crate::planned::write::SQL,
            crate::pages::SQL,
            crate::heard::SQL,
            crate::sessions::SQL,
            crate::reports::SQL,
            crate::timeline::SQL,
            crate::overdue::SQL,
        ] {
            all.extend(module);
        }
        all.extend(crate::outbox::SQL.iter().copied().flatten());
        all
    }

    fn texts() -> Vec<(&'static str, String, usize)> {
        let mut texts: Vec<_> =
            all().into_iter().map(|sql| (sql.name, sql.text.to_owned(), sql.columns.len())).collect();
        for listings in [
            crate::log::LISTINGS,
            crate::audit::LISTINGS,
            crate::outbox::LISTINGS,
            crate::runs::LISTINGS,
            crate::incidents::LISTINGS,
            crate::automations::LISTINGS,
            crate::firings::LISTINGS,
            crate::blocks::LISTINGS,
            crate::directory::LISTINGS,
            crate::planned::LISTINGS,
            crate::approvals::LISTINGS,
            crate::jobs::LISTINGS,
            crate::overdue::LISTINGS,
        ] {
            for listing in listings {
                texts.extend(listing.texts().into_iter().map(|text| (listing.name, text, listing.columns.len())));
            }
        }
        texts.extend(crate::log::scan::texts().into_iter().map(|text| ("log.events_between", text, 4)));
        texts.extend(writer::SQL.iter().map(|text| ("writer", (*text).to_owned(), usize::MAX)));
        texts
    }

    /// Numbers of the placeholders in the order of their first appearance.
    fn placeholders(text: &str) -> Vec<usize> {
        let mut seen = Vec::new();
        for part in text.split('$').skip(1) {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            let number = digits.parse().expect("a number follows $");
            if !seen.contains(&number) {
                seen.push(number);
            }
        }
        seen
    }

    #[test]
    fn every_statement_prepares() {
        let connection = connection::open_memory().unwrap();
        for (name, text, columns) in texts() {
            let statement = connection.prepare(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
            if columns != usize::MAX {
                assert_eq!(statement.column_count(), columns, "{name}: columns\n{text}");
            }
            let numbers = placeholders(&text);
            assert_eq!(numbers, (1..=statement.parameter_count()).collect::<Vec<_>>(), "{name}\n{text}");
        }
    }

    /// Reading or changing a few rows must not read a table from end to end. These may, and why.
    const MAY_SCAN: &[(&str, &str)] = &[
        ("audit_checkpoints.last", "in the order of the key, and only the first"),
        ("audit.purge", "checkpoints in the order of their key, at most one batch"),
        ("audit_begun.list", "acts that a crash interrupted; there are never many"),
        ("pipelines.load", "all of it is wanted"),
        ("alerts.load", "all of it is wanted"),
        ("timers.load", "all of it is wanted"),
        ("tokens.list", "all of it is wanted"),
        ("workload.list", "all of it is wanted"),
        ("automation_cells.load", "all of it is wanted"),
        ("canaries.load", "all of it is wanted"),
        ("absences.load", "all of it is wanted"),
        ("directory.users", "all of it is wanted"),
        ("directory.memberships", "all of it is wanted"),
        ("directory.list", "ends after a page"),
        ("directory.count", "there are thousands at most"),
        ("imports.list", "all of it is wanted"),
        ("drift.list", "all of it is wanted"),
        ("silences.list", "ends after a page; there are thousands at most"),
        ("maintenance.list", "ends after a page; there are thousands at most"),
        ("log.events", "always has a window of positions"),
        ("log.events_at", "always has positions"),
        ("outbox.fates", "always has ids"),
        ("firing_days.last", "always has automations"),
        ("firing_days.list", "always has automations"),
        ("automations.count", "there are thousands at most"),
        ("blocks.list", "ends after a page"),
        ("blocks.count", "there are hundreds at most"),
        ("audit.list", "ends after a page"),
        ("job_runs.list", "ends after a page"),
        ("approvals.list", "ends after a page"),
        ("grants.list", "ends after a page"),
        ("grants.ended", "ends after a page; most have ended"),
        ("outbox.list", "ends after a page"),
        ("runs.list", "ends after a page"),
        ("incidents.list", "ends after a page"),
        ("incidents.list_open", "ends after a page"),
        ("pipelines.list", "ends after a page; there are few pipelines"),
        ("explanations.purge", "ends after a batch, oldest first"),
    ];

    /// A listing must come out of an index in its order, or a page costs as much as the table. These sort little.
    const MAY_SORT: &[(&str, &str)] = &[
        ("audit.list", "those of the time that was asked for"),
        ("approvals.list", "people answered each of them: there are few"),
        ("log.event", "one row per source"),
        ("timers.load", "all of it is wanted"),
        ("tokens.list", "all of it is wanted"),
        ("runs.load", "open runs only"),
        ("runs.find", "at most three runs"),
        ("incidents.of_rules", "incidents of the latest alerts of its rules"),
        ("silences.list", "has one bound in time, not both"),
        ("runs.median", "the durations of a day, from an index"),
        ("outbox.expired", "what is being sent now"),
        ("outbox.counts", "one row per connection and state"),
        ("outbox.purge", "two states, from an index"),
        ("automations.by_name", "those with an id, a name or an owner that was asked for"),
        ("automations.by_name_down", "those with an id, a name or an owner that was asked for"),
        ("automations.by_created", "those with an id, a name or an owner that was asked for"),
        ("automations.by_updated", "those with an id, a name or an owner that was asked for"),
        ("blocks.list", "those with an id, a type or a name that was asked for"),
        ("directory.list", "the groups of one member, at most those of a page"),
    ];

    #[test]
    fn statements_use_indexes() {
        let connection = connection::open_memory().unwrap();
        let mut problems = Vec::new();
        for (name, text, _) in texts() {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let mut rows = explain.raw_query();
            let mut steps: Vec<String> = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                steps.push(row.get(3).unwrap());
            }
            let may_scan = MAY_SCAN.iter().any(|(allowed, _)| *allowed == name);
            let scans = |step: &String| {
                step.starts_with("SCAN ")
                    && !step.contains("USING")
                    && !step.contains("CONSTANT ROW")
                    && !step.contains("open_connections")
            };
            if !may_scan && steps.iter().any(scans) {
                problems.push(format!("{name} reads a whole table:\n{text}\n{steps:#?}"));
            }
            let may_sort = MAY_SORT.iter().any(|(allowed, _)| *allowed == name);
            let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
            if sorts && !may_sort {
                problems.push(format!("{name} sorts what it found:\n{text}\n{steps:#?}"));
            }
        }
        assert!(
            problems.is_empty(),
            "{} of all texts\n{}",
            problems.len(),
            problems[..problems.len().min(20)].join("\n")
        );
    }
}
