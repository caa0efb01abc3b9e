//! Reports in the API: time to acknowledge and to resolve, pages per person and week, out-of-hours load, noise.

use crate::api::model::{HeadOut, ReportOut};
use crate::api::span::{Stretch, local, zone};
use crate::api::{Params, filled, names};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::SignedDuration;
use serde::Deserialize;
use trackside_core::duty::zone::Zone;
use trackside_store::reports::{Report, ReportFilter};
use utoipa::IntoParams;

/// How long a report looks back when the caller does not say.
const BACK: SignedDuration = SignedDuration::from_hours(28 * 24);

/// What to report on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportQuery {
    /// Only of this team, by name or alias.
    pub(crate) team: Option<String>,
    /// From: a time, or a day in the zone; default four weeks before `until`.
    pub(crate) from: Option<String>,
    /// Until: a time, or a day in the zone; default now. At most 366 days.
    pub(crate) until: Option<String>,
    /// Time zone of days and weeks, for example `Europe/Paris`; default UTC.
    pub(crate) zone: Option<String>,
}

/// What a report is asked for, checked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The team; absent for all.
    pub(crate) team: Option<String>,
    /// Which time.
    pub(crate) stretch: Stretch,
    /// Zone of days and weeks.
    pub(crate) zone: Zone,
}

/// How a stretch of time went: how fast, whom pages woke, what is noise.
#[utoipa::path(get, path = "/api/v1/reports", tag = "people", params(ReportQuery),
    responses((status = 200, body = ReportOut), (status = 400, body = Problem)))]
pub(crate) async fn report(
    State(state): State<AppState>,
    Params(query): Params<ReportQuery>,
) -> Result<Json<ReportOut>, Problem> {
    let asked = asked(&state, &query)?;
    let report = read(&state, &asked).await?;
    let head = HeadOut {
        from: local(&asked.zone, asked.stretch.from),
        until: local(&asked.zone, asked.stretch.until),
        zone: asked.zone.name().to_owned(),
        team: asked.team,
    };
    Ok(Json(ReportOut::new(head, &report, &state.configured().ruleset)))
}

/// What a query asks for.
pub(crate) fn asked(state: &AppState, query: &ReportQuery) -> Result<Asked, Problem> {
    let zone = zone(query.zone.as_deref())?;
    let (from, until) = (query.from.as_deref(), query.until.as_deref());
    let stretch = Stretch::past(from, until, &zone, state.now(), BACK)?;
    let ruleset = state.configured().ruleset.clone();
    let team = filled(query.team.clone()).map(|team| names::team(&ruleset, "team", &team)).transpose()?;
    Ok(Asked { team, stretch, zone })
}

/// The figures.
pub(crate) async fn read(state: &AppState, asked: &Asked) -> Result<Report, Problem> {
    let filter = ReportFilter {
        from: asked.stretch.from,
        until: asked.stretch.until,
        team: asked.team.clone(),
        zone: asked.zone.clone(),
    };
    Ok(state.store.report(&filter).await?)
}
