//! The overview in the API: how things stand.

use crate::api::Params;
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::tz::TimeZone;
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};
use trackside_core::duty::zone::Zone;
use trackside_core::pipeline::Pipeline;
use trackside_store::stats::{Hour, Latency, Outcomes, Overview};
use utoipa::{IntoParams, ToSchema};

/// How to count.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OverviewQuery {
    /// Time zone whose day counts as today, for example `Europe/Paris`; default UTC.
    zone: Option<String>,
}

/// How things stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub(crate) struct OverviewOut {
    /// Share of runs that succeeded in the last 24 hours, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate: Option<f64>,
    /// The same a week before.
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate_week_before: Option<f64>,
    /// Mean duration of runs that succeeded in the last 24 hours, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_duration_s: Option<f64>,
    /// Median of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    median_duration_s: Option<f64>,
    /// Runs that are not over.
    open_runs: u64,
    /// Incidents that are not resolved.
    open_incidents: u64,
    /// Of these, those nobody has acknowledged.
    unacknowledged: u64,
    /// The pipeline with the latest success.
    #[serde(skip_serializing_if = "Option::is_none")]
    freshest: Option<FreshOut>,
    /// The pipeline whose last success is longest ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    stalest: Option<FreshOut>,
    /// From accepting an event to the far end having the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_to_page: Option<LatencyOut>,
    /// Events accepted today.
    events_today: u64,
    /// Runs that ended in each of the last 24 hours, oldest first.
    hours: Vec<HourOut>,
}

/// How fresh a pipeline is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FreshOut {
    /// Source.
    source: String,
    /// Pipeline.
    pipeline: String,
    /// End of its last success.
    last_success: Option<Timestamp>,
}

/// How long messages took, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LatencyOut {
    /// Deliveries it is computed from.
    samples: usize,
    /// Half of them took at most this.
    p50_ms: f64,
    /// 99 of 100 took at most this.
    p99_ms: f64,
}

/// Runs that ended in one hour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HourOut {
    /// When the hour begins.
    from: Timestamp,
    /// Runs that succeeded.
    succeeded: u64,
    /// Runs that failed.
    failed: u64,
    /// Runs that were skipped or cancelled.
    other: u64,
}

impl From<&Overview> for OverviewOut {
    fn from(overview: &Overview) -> Self {
        let fresh = |pipeline: &Pipeline| FreshOut {
            source: pipeline.key.source.to_string(),
            pipeline: pipeline.key.name.to_string(),
            last_success: pipeline.last_success,
        };
        let ms = |duration: SignedDuration| duration.as_secs_f64() * 1000.0;
        let latency = |latency: Latency| LatencyOut {
            samples: latency.samples,
            p50_ms: ms(latency.p50),
            p99_ms: ms(latency.p99),
        };
        let hour = |Hour { from, outcomes: Outcomes { succeeded, failed, other } }: &Hour| HourOut {
            from: *from,
            succeeded: *succeeded,
            failed: *failed,
            other: *other,
        };
        Self {
            success_rate: overview.day.success_rate(),
            success_rate_week_before: overview.week_before.success_rate(),
            mean_duration_s: overview.mean_duration_s,
            median_duration_s: overview.median_duration_s,
            open_runs: overview.open_runs,
            open_incidents: overview.open_incidents,
            unacknowledged: overview.unacknowledged,
            freshest: overview.freshest.as_ref().map(fresh),
            stalest: overview.stalest.as_ref().map(fresh),
            event_to_page: overview.latency.map(latency),
            events_today: overview.events_today,
            hours: overview.hours.iter().map(hour).collect(),
        }
    }
}

/// How things stand now.
#[utoipa::path(get, path = "/api/v1/overview", tag = "overview", params(OverviewQuery),
    responses((status = 200, body = OverviewOut), (status = 400, body = Problem)))]
pub(crate) async fn overview(
    State(state): State<AppState>,
    Params(query): Params<OverviewQuery>,
) -> Result<Json<OverviewOut>, Problem> {
    Ok(Json(OverviewOut::from(&read(&state, query.zone.as_deref()).await?)))
}

/// The overview; `zone` says whose day is today.
pub(crate) async fn read(state: &AppState, zone: Option<&str>) -> Result<Overview, Problem> {
    let zone = match zone.filter(|zone| !zone.is_empty()) {
        None => TimeZone::UTC,
        Some(name) => Zone::new(name).map_err(|problem| Problem::bad("zone", problem))?.time_zone().clone(),
    };
    let now = state.now();
    let bad = |error: jiff::Error| Problem::bad("zone", error.to_string());
    let midnight = now.to_zoned(zone).start_of_day().map_err(bad)?;
    // Up to the end of this hour, so that the hours shown are those of the clock.
    let hour = TimestampRound::new().smallest(Unit::Hour).mode(RoundMode::Ceil);
    let end = now.round(hour).map_err(bad)?;
    Ok(state.store.overview(end, midnight.timestamp()).await?)
}
