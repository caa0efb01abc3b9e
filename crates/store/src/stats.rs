//! Figures for the overview: how runs and deliveries have been doing.
//!
//! Every figure is read from an index over a bounded window; nothing here grows with the age of the installation.

use crate::error::Result;
use crate::statement::{Query, Sql};
use crate::value::{Kind, Row};
use crate::{Answers, Store};
use jiff::{SignedDuration, Timestamp};
use trackside_core::ids::Seq;
use trackside_core::pipeline::Pipeline;
use trackside_core::run::RunState;

/// Hours shown.
pub const HOURS: usize = 24;
/// Deliveries that the latency is computed from.
pub const LATENCY_SAMPLES: usize = 1_000;

/// The overview.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// Runs that ended in each of the last [`HOURS`] hours, oldest first; the last hour ends now.
    pub hours: Vec<Hour>,
    /// Their sum: the last day.
    pub day: Outcomes,
    /// The same day a week before, for comparison.
    pub week_before: Outcomes,
    /// Mean duration of runs that succeeded in the last day, in seconds.
    pub mean_duration_s: Option<f64>,
    /// Median duration of the same.
    pub median_duration_s: Option<f64>,
    /// Runs that are not over.
    pub open_runs: u64,
    /// Incidents that are not resolved.
    pub open_incidents: u64,
    /// Of these, those nobody has acknowledged.
    pub unacknowledged: u64,
    /// The pipeline with the most recent success.
    pub freshest: Option<Pipeline>,
    /// The pipeline whose last success is longest ago.
    pub stalest: Option<Pipeline>,
    /// From accepting an event to the far end having the message, over the last [`LATENCY_SAMPLES`] deliveries.
    pub latency: Option<Latency>,
    /// Events accepted since the begin of the day.
    pub events_today: u64,
}

/// Runs that ended in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    /// When it begins.
    pub from: Timestamp,
    /// How they ended.
    pub outcomes: Outcomes,
}

/// How runs ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Well.
    pub succeeded: u64,
    /// Badly.
    pub failed: u64,
    /// Skipped or cancelled.
    pub other: u64,
}

impl Outcomes {
    /// Share of runs that succeeded among those that succeeded or failed, 0 to 1.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let total = self.succeeded + self.failed;
        #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
        (total > 0).then(|| self.succeeded as f64 / total as f64)
    }

    fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.other += other.other;
    }
}

/// How long messages took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Deliveries it is computed from.
    pub samples: usize,
    /// Half of them took at most this.
    pub p50: SignedDuration,
    /// 99 of 100 took at most this.
    pub p99: SignedDuration,
}

static ENDED: Sql = Sql::read(
    "runs.ended",
    "SELECT state, count(*) FROM runs WHERE state IN ('succeeded', 'failed', 'skipped', 'cancelled')
       AND ended IS NOT NULL AND ended >= $1 AND ended < $2 GROUP BY state",
    &[Kind::Text, Kind::Int],
);
static DURATIONS: Sql = Sql::read(
    "runs.durations",
    "SELECT count(*), COALESCE(sum(duration_ms), 0) FROM runs
     WHERE ended IS NOT NULL AND ended >= $1 AND ended < $2 AND state = 'succeeded' AND duration_ms IS NOT NULL",
    &[Kind::Int, Kind::Int],
);
static MEDIAN: Sql = Sql::read(
    "runs.median",
    "SELECT duration_ms FROM runs
     WHERE ended IS NOT NULL AND ended >= $1 AND ended < $2 AND state = 'succeeded' AND duration_ms IS NOT NULL
     ORDER BY duration_ms LIMIT 1 OFFSET $3",
    &[Kind::Int],
);
static OPEN_RUNS: Sql = Sql::read("runs.count_open", "SELECT count(*) FROM runs WHERE open = TRUE", &[Kind::Int]);
static OPEN_INCIDENTS: Sql = Sql::read(
    "incidents.count_open",
    "SELECT count(*), COALESCE(sum(CASE WHEN state = 'triggered' THEN 1 ELSE 0 END), 0)
     FROM incidents WHERE open = TRUE",
    &[Kind::Int, Kind::Int],
);
static FRESHEST: Sql = Sql::read(
    "pipelines.freshest",
    "SELECT body FROM pipelines WHERE last_success IS NOT NULL ORDER BY last_success DESC LIMIT 1",
    &[Kind::Text],
);
static STALEST: Sql = Sql::read(
    "pipelines.stalest",
    "SELECT body FROM pipelines WHERE last_success IS NOT NULL ORDER BY last_success LIMIT 1",
    &[Kind::Text],
);
static LATENCIES: Sql = Sql::read(
    "outbox.latencies",
    "SELECT created, done_at FROM outbox WHERE state = 'delivered' AND done_at IS NOT NULL
     ORDER BY done_at DESC LIMIT $1",
    &[Kind::Time, Kind::Time],
);
static INTERNAL: Sql = Sql::read(
    "log.count_internal",
    "SELECT count(*) FROM log WHERE seq >= $1 AND source >= 'trackside.' AND source < 'trackside/'",
    &[Kind::Int],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] =
    &[&ENDED, &DURATIONS, &MEDIAN, &OPEN_RUNS, &OPEN_INCIDENTS, &FRESHEST, &STALEST, &LATENCIES, &INTERNAL];

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Store {
    /// The overview at `now`; `today` is when the viewer's day began.
    ///
    /// # Errors
    /// When a figure cannot be read.
    pub async fn overview(&self, now: Timestamp, today: Timestamp) -> Result<Overview> {
        let (day_ago, week_ago) = (before(now, DAY), before(now, WEEK));
        let starts: Vec<Timestamp> = (0..HOURS as i32).map(|hour| before(now, HOUR * (HOURS as i32 - hour))).collect();
        let ended = |from: Timestamp, to: Timestamp| ENDED.bind(from).bind(to).query();
        let mut queries: Vec<Query> = starts.iter().map(|from| ended(*from, after(*from, HOUR))).collect();
        queries.extend([
            ended(before(week_ago, DAY), week_ago),
            DURATIONS.bind(day_ago).bind(now).query(),
            OPEN_RUNS.bound().query(),
            OPEN_INCIDENTS.bound().query(),
            FRESHEST.bound().query(),
            STALEST.bound().query(),
            LATENCIES.bind(LATENCY_SAMPLES).query(),
        ]);
        let mut answers = self.snapshot(queries).await?;
        let mut hours = Vec::with_capacity(HOURS);
        let mut day = Outcomes::default();
        for from in starts {
            let outcomes = next_outcomes(&mut answers)?;
            day.add(outcomes);
            hours.push(Hour { from, outcomes });
        }
        let week_before = next_outcomes(&mut answers)?;
        let (count, sum_ms) = one(&mut answers, |mut row| Ok((row.next::<u64>()?, row.next::<u64>()?)))?;
        let open_runs = one(&mut answers, |mut row| row.next())?;
        let (open_incidents, unacknowledged) = one(&mut answers, |mut row| Ok((row.next()?, row.next()?)))?;
        let freshest = answers.next(|mut row| row.json())?.pop();
        let stalest = answers.next(|mut row| row.json())?.pop();
        let latencies = answers.next(|mut row| {
            let (created, done): (Timestamp, Timestamp) = (row.next()?, row.next()?);
            Ok(done.duration_since(created))
        })?;
        #[allow(clippy::cast_precision_loss, reason = "a mean for people")]
        let mean_duration_s = (count > 0).then(|| sum_ms as f64 / count as f64 / 1000.0);
        Ok(Overview {
            hours,
            day,
            week_before,
            mean_duration_s,
            median_duration_s: self.median(day_ago, now, count).await?,
            open_runs,
            open_incidents,
            unacknowledged,
            freshest,
            stalest,
            latency: percentiles(latencies),
            events_today: self.events_since(today).await?,
        })
    }

    /// Incidents that are not resolved.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub async fn open_incidents(&self) -> Result<u64> {
        let row = self.row(OPEN_INCIDENTS.bound().query()).await?;
        Ok(row.map(|mut row| row.next()).transpose()?.unwrap_or(0))
    }

    async fn median(&self, from: Timestamp, to: Timestamp, count: u64) -> Result<Option<f64>> {
        let Some(last) = count.checked_sub(1) else { return Ok(None) };
        let query = MEDIAN.bind(from).bind(to).bind(last / 2).query();
        let row = self.row(query).await?;
        #[allow(clippy::cast_precision_loss, reason = "a duration for people")]
        row.map(|mut row| row.next::<i64>().map(|ms| ms as f64 / 1000.0)).transpose()
    }

    /// Events accepted at or after `since`: positions since then, without Trackside's own entries.
    async fn events_since(&self, since: Timestamp) -> Result<u64> {
        let first: Seq = self.seq_at(since).await?;
        let (_, last) = self.bounds().await?;
        let row = self.row(INTERNAL.bind(first).query()).await?;
        let internal: u64 = row.map(|mut row| row.next()).transpose()?.unwrap_or(0);
        Ok((last + 1).saturating_sub(first.max(1)).saturating_sub(internal))
    }
}

fn before(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// The only row of an aggregate.
fn one<T: Default>(answers: &mut Answers, read: impl FnMut(Row) -> Result<T>) -> Result<T> {
    Ok(answers.next(read)?.pop().unwrap_or_default())
}

fn next_outcomes(answers: &mut Answers) -> Result<Outcomes> {
    let mut outcomes = Outcomes::default();
    for (state, count) in answers.next(|mut row| Ok((row.next::<String>()?, row.next::<u64>()?)))? {
        match state {
            _ if state == RunState::Succeeded.as_str() => outcomes.succeeded += count,
            _ if state == RunState::Failed.as_str() => outcomes.failed += count,
            _ => outcomes.other += count,
        }
    }
    Ok(outcomes)
}

/// Nearest-rank percentiles.
fn percentiles(mut samples: Vec<SignedDuration>) -> Option<Latency> {
    samples.sort_unstable();
    let rank = |percent: usize| samples.get((samples.len() * percent).div_ceil(100).checked_sub(1)?).copied();
    Some(Latency { samples: samples.len(), p50: rank(50)?, p99: rank(99)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let ms = |values: &[i64]| percentiles(values.iter().map(|ms| SignedDuration::from_millis(*ms)).collect());
        assert_eq!(ms(&[]), None);
        let latency = ms(&[30, 10, 20]).unwrap();
        assert_eq!((latency.samples, latency.p50.as_millis(), latency.p99.as_millis()), (3, 20, 30));
    }
}
