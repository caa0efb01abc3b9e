//! Retention: what is over for long enough is deleted, in small batches beside the normal work.
//!
//! Invariants: nothing undecided, unfinished or open is deleted; the newest log entry stays, so that positions are
//! never given twice; each batch is bounded, so that it never holds up the writer for long. An event that waits for its
//! leader does so for minutes and the log is kept for days, so none of those goes. State of an automation may refer to
//! older ones, if its window is longer than the log is kept: it fires all the same, and the firing names them by id.

use crate::Store;
use crate::error::Result;
use crate::firings::day_of;
use crate::statement::{Batch, Sql};
use jiff::Timestamp;

/// Rows deleted per table in one batch.
pub const PURGE_ROWS: usize = 500;

/// What is old enough to be deleted, per kind. `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Decided log entries accepted before this, with their explanations and firings. Sending such an event again makes
    /// it new.
    pub log: Option<Timestamp>,
    /// Runs that ended before this, with attempts and names; runs of jobs that ended before this, with their calls.
    pub runs: Option<Timestamp>,
    /// Incidents resolved before this; pages and firings of alerts before this, unless their incident is open.
    pub incidents: Option<Timestamp>,
    /// Delivered and superseded deliveries that ended before this. Dead ones stay until they are put back.
    pub deliveries: Option<Timestamp>,
    /// What stands beside the audit: the history of automations removed before this, and the overrides, silences,
    /// maintenance windows, approvals and grants that were over before this. Rows of the audit go by whole checkpoints,
    /// see [`Store::expire_audit`]; the history of automations that are there has a bound of its own,
    /// [`crate::automations::HISTORY_ROWS`].
    pub audit: Option<Timestamp>,
}

/// What one batch deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Log entries.
    pub log: u64,
    /// Explanations.
    pub explanations: u64,
    /// Firings of automations.
    pub firings: u64,
    /// Runs.
    pub runs: u64,
    /// Runs of jobs.
    pub job_runs: u64,
    /// Incidents.
    pub incidents: u64,
    /// Pages of escalations.
    pub pages: u64,
    /// Firings of alerts.
    pub alert_firings: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Rows of the history of automations that are gone.
    pub history: u64,
    /// Overrides, silences and maintenance windows.
    pub planned: u64,
    /// Decided questions for agreement, and grants that ended.
    pub approvals: u64,
}

impl Purged {
    /// Whether another batch may find more.
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        let counts = [
            self.log,
            self.explanations,
            self.firings,
            self.runs,
            self.job_runs,
            self.incidents,
            self.pages,
            self.alert_firings,
            self.deliveries,
            self.history,
            self.planned,
            self.approvals,
        ];
        counts.iter().any(|count| *count >= PURGE_ROWS as u64)
    }
}

static LOG: Sql = Sql::write(
    "log.purge",
    "DELETE FROM log WHERE seq IN (SELECT seq FROM log
       WHERE seq < $1 AND seq < (SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'cursor')
       ORDER BY seq LIMIT $2)",
);
static EXPLANATIONS: Sql = Sql::write(
    "explanations.purge",
    "DELETE FROM explanations WHERE (seq, ordinal) IN (SELECT seq, ordinal FROM explanations
       WHERE seq < (SELECT min(seq) FROM log) ORDER BY seq, ordinal LIMIT $1)",
);
static FIRINGS: Sql = Sql::write(
    "firings.purge",
    "DELETE FROM firings WHERE position IN (SELECT position FROM firings WHERE at < $1 ORDER BY at, position LIMIT $2)",
);
static FIRING_DAYS: Sql = Sql::write(
    "firing_days.purge",
    "DELETE FROM firing_days WHERE (automation, day) IN (SELECT automation, day FROM firing_days
       WHERE day < $1 ORDER BY day LIMIT $2)",
);
static ATTEMPTS: Sql = Sql::write(
    "attempts.purge",
    "DELETE FROM attempts WHERE (source, pipeline, run) IN (SELECT source, pipeline, run FROM runs
       WHERE ended IS NOT NULL AND ended < $1 AND open = FALSE ORDER BY ended, position LIMIT $2)",
);
static ALIASES: Sql = Sql::write(
    "aliases.purge",
    "DELETE FROM aliases WHERE (source, pipeline, run) IN (SELECT source, pipeline, run FROM runs
       WHERE ended IS NOT NULL AND ended < $1 AND open = FALSE ORDER BY ended, position LIMIT $2)",
);
static RUNS: Sql = Sql::write(
    "runs.purge",
    "DELETE FROM runs WHERE position IN (SELECT position FROM runs
       WHERE ended IS NOT NULL AND ended < $1 AND open = FALSE ORDER BY ended, position LIMIT $2)",
);
static JOB_CALLS: Sql = Sql::write(
    "job_calls.purge",
    "DELETE FROM outbox WHERE done_at IS NOT NULL AND id IN (SELECT delivery FROM job_runs
       WHERE ended IS NOT NULL AND ended < $1 ORDER BY ended, position LIMIT $2)",
);
static JOB_RUNS: Sql = Sql::write(
    "job_runs.purge",
    "DELETE FROM job_runs WHERE position IN (SELECT position FROM job_runs
       WHERE ended IS NOT NULL AND ended < $1 ORDER BY ended, position LIMIT $2)",
);
static APPROVALS: Sql = Sql::write(
    "approvals.purge",
    "DELETE FROM approvals WHERE position IN (SELECT position FROM approvals
       WHERE decided IS NOT NULL AND decided < $1 ORDER BY decided, position LIMIT $2)",
);
static GRANTS: Sql = Sql::write(
    "grants.purge",
    "DELETE FROM grants WHERE position IN (SELECT position FROM grants
       WHERE ended IS NOT NULL AND ended < $1 ORDER BY ended, position LIMIT $2)",
);
static INCIDENTS: Sql = Sql::write(
    "incidents.purge",
    "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents
       WHERE resolved IS NOT NULL AND resolved < $1 AND open = FALSE
         AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.incident = incidents.id AND outbox.done_at IS NULL)
       ORDER BY resolved LIMIT $2)",
);
static PAGES: Sql = Sql::write(
    "pages.purge",
    "DELETE FROM pages WHERE position IN (SELECT p.position FROM pages p WHERE p.at < $1
       AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = p.incident AND i.open = TRUE)
       ORDER BY p.at, p.position LIMIT $2)",
);
static ALERT_FIRINGS: Sql = Sql::write(
    "alert_firings.purge",
    "DELETE FROM alert_firings WHERE position IN (SELECT f.position FROM alert_firings f WHERE f.at < $1
       AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = f.incident AND i.open = TRUE)
       ORDER BY f.at, f.position LIMIT $2)",
);
static DELIVERIES: Sql = Sql::write(
    "outbox.purge",
    "DELETE FROM outbox WHERE position IN (SELECT position FROM outbox
       WHERE done_at IS NOT NULL AND done_at < $1 AND state IN ('delivered', 'superseded')
       ORDER BY done_at LIMIT $2)",
);

// A removal's own row goes last, so that what is left of its history is still found by it.
static HISTORY: Sql = Sql::write(
    "automation_history.purge",
    "DELETE FROM automation_history WHERE position IN (SELECT h.position FROM automation_history d
       JOIN automation_history h ON h.automation = d.automation AND h.position <= d.position
       WHERE d.kind = 'delete' AND d.at < $1 ORDER BY d.at, h.position LIMIT $2)",
);

static OVERRIDES: Sql = Sql::write(
    "overrides.purge",
    "DELETE FROM overrides WHERE position IN (SELECT position FROM overrides WHERE ends < $1 ORDER BY ends LIMIT $2)",
);
static SILENCES: Sql = Sql::write(
    "silences.purge",
    "DELETE FROM silences WHERE position IN (SELECT position FROM silences WHERE ends < $1 ORDER BY ends LIMIT $2)",
);
static MAINTENANCE: Sql = Sql::write(
    "maintenance.purge",
    "DELETE FROM maintenance WHERE position IN (SELECT position FROM maintenance WHERE ended IS NULL AND ends < $1
       UNION ALL SELECT position FROM maintenance WHERE ended < $1 LIMIT $2)",
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[
    &LOG,
    &EXPLANATIONS,
    &FIRINGS,
    &FIRING_DAYS,
    &ATTEMPTS,
    &ALIASES,
    &RUNS,
    &JOB_CALLS,
    &JOB_RUNS,
    &APPROVALS,
    &GRANTS,
    &INCIDENTS,
    &PAGES,
    &ALERT_FIRINGS,
    &DELIVERIES,
    &HISTORY,
    &OVERRIDES,
    &SILENCES,
    &MAINTENANCE,
];

impl Store {
    /// Deletes at most [`PURGE_ROWS`] per kind. Call it again while [`Purged::may_have_more`].
    ///
    /// # Errors
    /// When nothing could be deleted.
    pub async fn purge(&self, retention: &Retention) -> Result<Purged> {
        Ok(Purged {
            log: self.purge_log(retention.log).await?,
            explanations: self.purge_explanations(retention.log).await?,
            firings: self.purge_firings(retention.log).await?,
            runs: self.purge_runs(retention.runs).await?,
            job_runs: self.purge_job_runs(retention.runs).await?,
            incidents: self.purge_one(&INCIDENTS, retention.incidents).await?,
            pages: self.purge_one(&PAGES, retention.incidents).await?,
            alert_firings: self.purge_one(&ALERT_FIRINGS, retention.incidents).await?,
            deliveries: self.purge_one(&DELIVERIES, retention.deliveries).await?,
            history: self.purge_one(&HISTORY, retention.audit).await?,
            planned: self.purge_planned(retention.audit).await?,
            approvals: self.purge_one(&APPROVALS, retention.audit).await?
                + self.purge_one(&GRANTS, retention.audit).await?,
        })
    }

    async fn purge_one(&self, sql: &'static Sql, before: Option<Timestamp>) -> Result<u64> {
        let Some(before) = before else { return Ok(0) };
        let receipt = self.write(Batch::of(vec![sql.bind(before).bind(PURGE_ROWS).any()])).await?;
        Ok(receipt.changed.iter().sum())
    }

    async fn purge_log(&self, before: Option<Timestamp>) -> Result<u64> {
        let Some(before) = before else { return Ok(0) };
        let position = self.seq_at(before).await?;
        let receipt = self.write(Batch::of(vec![LOG.bind(position).bind(PURGE_ROWS).any()])).await?;
        Ok(receipt.changed.iter().sum())
    }

    async fn purge_explanations(&self, before: Option<Timestamp>) -> Result<u64> {
        if before.is_none() {
            return Ok(0);
        }
        let receipt = self.write(Batch::of(vec![EXPLANATIONS.bind(PURGE_ROWS).any()])).await?;
        Ok(receipt.changed.iter().sum())
    }

    /// Firings go one by one, the figures of a day when the whole day is over; the count is of firings.
    async fn purge_firings(&self, before: Option<Timestamp>) -> Result<u64> {
        let Some(before) = before else { return Ok(0) };
        let firings = FIRINGS.bind(before).bind(PURGE_ROWS).any();
        let days = FIRING_DAYS.bind(day_of(before)).bind(PURGE_ROWS).any();
        let receipt = self.write(Batch::of(vec![firings, days])).await?;
        Ok(receipt.changed.first().copied().unwrap_or(0))
    }

    async fn purge_planned(&self, before: Option<Timestamp>) -> Result<u64> {
        let Some(before) = before else { return Ok(0) };
        let statements = [&OVERRIDES, &SILENCES, &MAINTENANCE].map(|sql| sql.bind(before).bind(PURGE_ROWS).any());
        let receipt = self.write(Batch::of(statements.into())).await?;
        Ok(receipt.changed.iter().sum())
    }

    /// A run of a job goes with its call, dead or not; the count is of runs.
    async fn purge_job_runs(&self, before: Option<Timestamp>) -> Result<u64> {
        let Some(before) = before else { return Ok(0) };
        let statements = [&JOB_CALLS, &JOB_RUNS].map(|sql| sql.bind(before).bind(PURGE_ROWS).any());
        let receipt = self.write(Batch::of(statements.into())).await?;
        Ok(receipt.changed.last().copied().unwrap_or(0))
    }

    /// A run goes with its parts, in one batch; the count is of runs.
    async fn purge_runs(&self, before: Option<Timestamp>) -> Result<u64> {
        let Some(before) = before else { return Ok(0) };
        let statements = [&ATTEMPTS, &ALIASES, &RUNS].map(|sql| sql.bind(before).bind(PURGE_ROWS).any());
        let receipt = self.write(Batch::of(statements.into())).await?;
        Ok(receipt.changed.last().copied().unwrap_or(0))
    }
}
