//! Back-tests: what an automation would have done over the recorded events, streamed as it is found out.
//!
//! The answer is JSON, one object per line: progress, firings, and at last the summary. Closing the connection ends the
//! test. Invariants: as many tests at once as [`AT_ONCE`]; a test ends with the server.

use super::text::{DefinitionProblemOut, Failure};
use super::trial::{Stretch, Subjects, Tried, away, through};
use crate::api::JsonBody;
use crate::api::model::FiredOut;
use crate::problem::Problem;
use crate::state::AppState;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::convert::Infallible;
use tokio::sync::OwnedSemaphorePermit;
use trackside_core::automation::backtest::{Backtest, Summary};
use trackside_core::automation::firing::Firing;
use trackside_store::log::scan::Piece;
use utoipa::ToSchema;
use uuid::Uuid;

/// Tests that run at once.
pub(crate) const AT_ONCE: usize = 2;
/// Media type of the answer; it is not compressed, so that each line leaves when it is there.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// Days looked at when the caller does not say.
const DAYS: u32 = 14;
/// Most days looked at.
const DAYS_MOST: u32 = 400;
/// Most firings that are shown of each automation; all are counted.
const FIRINGS_SHOWN: usize = 1_000;

/// A back-test to be made. With an id and a definition both are run, so that they can be compared.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestIn {
    /// Id of an automation in force.
    #[serde(default)]
    pub(crate) automation: Option<Uuid>,
    /// A definition as JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) spec: Option<Value>,
    /// A definition as text, in YAML or JSON.
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// The last so many days, 14 when nothing else is said.
    #[serde(default)]
    pub(crate) days: Option<u32>,
    /// From here on, instead of `days`.
    #[serde(default)]
    pub(crate) from: Option<Timestamp>,
    /// Up to here; up to now when nothing is said.
    #[serde(default)]
    pub(crate) until: Option<Timestamp>,
}

/// One line of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BacktestLine)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum LineOut {
    /// How far it is.
    Progress {
        /// From 0 to 1.
        share: f64,
        /// Events looked at.
        events: u64,
    },
    /// One firing.
    Firing {
        /// `tried` or `in_force`.
        of: Of,
        /// What fired.
        #[serde(flatten)]
        #[schema(inline)]
        firing: FiredOut,
    },
    /// The end.
    Summary {
        /// Where the stretch began.
        from: Timestamp,
        /// Where it ended.
        until: Timestamp,
        /// What the tried one would have done.
        #[schema(value_type = Object)]
        tried: Box<Summary>,
        /// What the one in force would have done.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        in_force: Option<Box<Summary>>,
    },
    /// It could not be done to the end.
    Failed {
        /// Why.
        detail: String,
    },
}

/// Whose firing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Of {
    /// Of what is tried.
    Tried,
    /// Of what it would replace.
    InForce,
}

/// Runs an automation over recorded events. Close the connection to give it up.
#[utoipa::path(post, path = "/api/v1/automations/backtest", tag = "automations", request_body = BacktestIn,
    responses((status = 200, body = LineOut, content_type = "application/x-ndjson", description = "One object per line"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 422, body = DefinitionProblemOut),
        (status = 503, body = Problem, description = "Others are running")))]
pub(crate) async fn backtest(
    State(state): State<AppState>,
    JsonBody(wanted): JsonBody<BacktestIn>,
) -> Result<Response, Failure> {
    let lines = run(state, wanted).await?.map(|lines| Ok::<_, Infallible>(text(&lines)));
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response())
}

/// Runs a test as far as its lines are taken; dropping them gives it up.
pub(crate) async fn run(
    state: AppState,
    wanted: BacktestIn,
) -> Result<impl Stream<Item = Vec<LineOut>> + Send + 'static, Failure> {
    let busy = || {
        let detail = format!("{AT_ONCE} back-tests are running already; try again when one is done");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    };
    let permit = state.trials.clone().try_acquire_owned().map_err(|_| busy())?;
    let runner = Runner::new(state, wanted, permit).await?;
    Ok(stream::unfold(Some(runner), |runner| async { Some(runner?.step().await) }))
}

/// A test that runs.
struct Runner {
    state: AppState,
    stretch: Stretch,
    /// A piece that is read already.
    ahead: Option<Piece>,
    from: Timestamp,
    until: Timestamp,
    runs: Vec<Run>,
    events: u64,
    _permit: OwnedSemaphorePermit,
}

/// One automation of a test.
struct Run {
    of: Of,
    test: Backtest,
    shown: usize,
}

impl Runner {
    async fn new(state: AppState, wanted: BacktestIn, permit: OwnedSemaphorePermit) -> Result<Self, Failure> {
        let (from, until) = period(&wanted, state.now())?;
        let wanted = Tried { automation: wanted.automation, spec: wanted.spec, text: wanted.text };
        let Subjects { tried, in_force } = wanted.subjects(&state).await?;
        let after = state.store.seq_at(from).await?.saturating_sub(1);
        let last = state.store.seq_at(until).await?.saturating_sub(1);
        let stretch = Stretch::new(std::iter::once(&tried).chain(&in_force), after, last);
        let ruleset = state.configured().ruleset.clone();
        let run = |of, automation| Run { of, test: Backtest::new(automation, Some(&ruleset), from), shown: 0 };
        let mut runs = vec![run(Of::Tried, tried)];
        runs.extend(in_force.map(|automation| run(Of::InForce, automation)));
        Ok(Self { state, stretch, ahead: None, from, until, runs, events: 0, _permit: permit })
    }

    /// The next lines; without a runner when they are the last.
    async fn step(self) -> (Vec<LineOut>, Option<Self>) {
        if *self.state.stopping.borrow() {
            return (failed("the server is stopping"), None);
        }
        match self.next().await {
            Ok(next) => next,
            Err(problem) => (failed(&problem.detail), None),
        }
    }

    /// Runs a piece while the one after it is read.
    async fn next(mut self) -> Result<(Vec<LineOut>, Option<Self>), Problem> {
        let piece = match self.ahead.take() {
            Some(piece) => Some(piece),
            None => self.stretch.next(&self.state).await?,
        };
        let Some(piece) = piece else { return Ok((self.finish().await, None)) };
        self.events += piece.events.len() as u64;
        let share = self.stretch.share();
        let runs = std::mem::take(&mut self.runs);
        let (ran, ahead) = tokio::join!(all_through(runs, piece), self.stretch.next(&self.state));
        let (runs, mut lines) = ran?;
        (self.runs, self.ahead) = (runs, ahead?);
        lines.push(LineOut::Progress { share, events: self.events });
        Ok((lines, Some(self)))
    }

    async fn finish(self) -> Vec<LineOut> {
        let (from, until) = (self.from, self.until);
        let mut lines = Vec::new();
        let mut summaries = Vec::new();
        for Run { of, test, mut shown } in self.runs {
            match away(move || test.finish(until)).await {
                Ok((firings, summary)) => {
                    show(of, &firings, &mut shown, &mut lines);
                    summaries.push(Box::new(summary));
                }
                Err(problem) => return failed(&problem.detail),
            }
        }
        let mut summaries = summaries.into_iter();
        if let Some(tried) = summaries.next() {
            lines.push(LineOut::Summary { from, until, tried, in_force: summaries.next() });
        }
        lines
    }
}

/// Runs a piece through every automation; the lines of what fired.
async fn all_through(runs: Vec<Run>, piece: Piece) -> Result<(Vec<Run>, Vec<LineOut>), Problem> {
    let (mut ran, mut lines) = (Vec::with_capacity(runs.len()), Vec::new());
    let copies = std::iter::repeat_n(piece, runs.len());
    for (Run { of, test, mut shown }, piece) in runs.into_iter().zip(copies) {
        let (test, firings) = through(test, piece).await?;
        show(of, &firings, &mut shown, &mut lines);
        ran.push(Run { of, test, shown });
    }
    Ok((ran, lines))
}

/// The stretch of time that is asked for.
fn period(wanted: &BacktestIn, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let until = wanted.until.unwrap_or(now).min(now);
    let from = match (wanted.from, wanted.days) {
        (Some(_), Some(_)) => return Err(Problem::bad("days", "send `days` or `from`, not both")),
        (Some(from), None) => from,
        (None, days) => {
            let days = days.unwrap_or(DAYS);
            if !(1..=DAYS_MOST).contains(&days) {
                return Err(Problem::bad("days", format!("`days` is from 1 to {DAYS_MOST}")));
            }
            until.saturating_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
        }
    };
    if from >= until {
        return Err(Problem::bad("from", "the stretch ends before it begins"));
    }
    Ok((from, until))
}

/// Lines for firings, as far as they are shown.
fn show(of: Of, firings: &[Firing], shown: &mut usize, lines: &mut Vec<LineOut>) {
    let room = FIRINGS_SHOWN.saturating_sub(*shown);
    *shown += firings.len().min(room);
    lines.extend(firings.iter().take(room).map(|firing| LineOut::Firing { of, firing: FiredOut::from(firing) }));
}

fn text(lines: &[LineOut]) -> Bytes {
    let mut text = Vec::new();
    for line in lines {
        if let Err(error) = serde_json::to_writer(&mut text, line) {
            tracing::error!(%error, "a line of a back-test could not be written");
        }
        text.push(b'\n');
    }
    Bytes::from(text)
}

fn failed(detail: &str) -> Vec<LineOut> {
    vec![LineOut::Failed { detail: detail.to_owned() }]
}
