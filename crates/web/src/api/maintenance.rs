//! Maintenance windows: those of the configuration, and those made at run time.
//!
//! Every write goes through the log. Windows of the configuration are edited there.

use crate::access::teams;
use crate::api::decided::status;
use crate::api::model::MaintenanceOut;
use crate::api::overrides::{put, reason};
use crate::api::span::LONGEST;
use crate::api::{JsonBody, Segments, id, names};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use trackside_core::duty::maintenance::When;
use trackside_core::input::DutyEdit;
use trackside_core::ruleset::noise::{Maintenance, PlannedWork};
use trackside_identity::directory::Identity;
use trackside_identity::role::Role;
use trackside_store::planned::{PlannedFilter, Standing};
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest name, in bytes.
const NAME_BYTES: usize = 200;

/// A maintenance window to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMaintenance, example = json!({
    "name": "warehouse upgrade", "matchers": ["source=\"airflow-prod\""],
    "when": {"tz": "Europe/Berlin", "start": "2026-12-05T22:00:00", "end": "2026-12-06T02:00:00"},
    "announce": ["slack-data"], "reason": "new version of the warehouse"}))]
pub(crate) struct MaintenanceIn {
    /// Unique name.
    pub(crate) name: String,
    /// What it covers: matchers as in a silence. Everything when there are none.
    #[serde(default)]
    pub(crate) matchers: Vec<String>,
    /// When: `start` with `end`, `duration_s` or `end_time`, and `rrule`, or `intervals`; local times of `tz`. As in the
    /// configuration.
    #[schema(value_type = Object)]
    pub(crate) when: When,
    /// Connections that are told of its start and end.
    #[serde(default)]
    pub(crate) announce: Vec<String>,
    /// Why, at most 1,000 bytes.
    #[serde(default)]
    pub(crate) reason: String,
}

/// A maintenance window with where it comes from.
#[derive(Clone, Debug)]
pub(crate) enum Window {
    /// Stands in the configuration.
    Configured(Maintenance),
    /// Was made at run time.
    Made(PlannedWork),
}

impl Window {
    /// What and when.
    pub(crate) fn work(&self) -> &Maintenance {
        match self {
            Self::Configured(window) => window,
            Self::Made(made) => &made.window,
        }
    }
}

/// Maintenance windows that are not over: those under way first, then the next to begin.
#[utoipa::path(get, path = "/api/v1/maintenance", tag = "silences",
    responses((status = 200, body = Vec<MaintenanceOut>)))]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Vec<MaintenanceOut>>, Problem> {
    let now = state.now();
    Ok(Json(windows(&state).await?.iter().map(|window| MaintenanceOut::new(window, now)).collect()))
}

/// Makes a maintenance window. Nobody is paged about what it covers while it lasts.
#[utoipa::path(post, path = "/api/v1/maintenance", tag = "silences", request_body = MaintenanceIn,
    responses((status = 201, body = MaintenanceOut), (status = 202, body = MaintenanceOut, description = "Will be decided"),
        (status = 400, body = Problem), (status = 409, body = Problem, description = "There is one of this name")))]
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    JsonBody(wanted): JsonBody<MaintenanceIn>,
) -> Result<(StatusCode, Json<MaintenanceOut>), Problem> {
    let (made, effect) = make(&state, &who, wanted).await?;
    Ok((status(effect, StatusCode::CREATED), Json(MaintenanceOut::new(&Window::Made(made), state.now()))))
}

/// Ends a maintenance window now, with all its occurrences to come.
#[utoipa::path(delete, path = "/api/v1/maintenance/{id}", tag = "silences",
    params(("id" = Uuid, Path, description = "Id of the window")),
    responses((status = 204), (status = 202, description = "Will be decided"), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<StatusCode, Problem> {
    Ok(status(end(&state, &who, &text).await?, StatusCode::NO_CONTENT))
}

/// Windows that are under way or come again, the next to begin first.
pub(crate) async fn windows(state: &AppState) -> Result<Vec<Window>, Problem> {
    let now = state.now();
    let configured = state.configured().ruleset.maintenance.clone().into_iter().map(Window::Configured);
    let live = PlannedFilter { standing: Some(Standing::Live), ..PlannedFilter::new(now) };
    let made = state.store.maintenance(&live).await?.items.into_iter().map(|found| Window::Made(found.item));
    let mut windows: Vec<(Timestamp, Window)> =
        configured.chain(made).filter_map(|window| Some((begins(&window.work().when, now)?, window))).collect();
    windows.sort_by(|(a, one), (b, other)| (a, &one.work().name).cmp(&(b, &other.work().name)));
    Ok(windows.into_iter().map(|(_, window)| window).collect())
}

/// Makes a window.
pub(crate) async fn make(
    state: &AppState,
    who: &Identity,
    wanted: MaintenanceIn,
) -> Result<(PlannedWork, Effect), Problem> {
    let ruleset = state.configured().ruleset.clone();
    let name = wanted.name.trim().to_owned();
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(Problem::bad("name", format!("a name has 1 to {NAME_BYTES} bytes; this one has {}", name.len())));
    }
    names::matchers(&wanted.matchers)?;
    let (caller, touched) = (&who.caller, teams::matched(&ruleset, &wanted.matchers)?);
    teams::may_plan(state, who, Role::Operator, &touched).await?;
    for via in &wanted.announce {
        names::connection(&ruleset, "announce", via)?;
    }
    let now = state.now();
    usable(&wanted.when, now)?;
    if windows(state).await?.iter().any(|window| window.work().name == name) {
        let detail = format!("there is a maintenance window `{name}` already; choose another name");
        return Err(Problem::new(StatusCode::CONFLICT, detail).at("name"));
    }
    let why = reason("reason", &wanted.reason)?;
    let window =
        Maintenance { name, matchers: wanted.matchers, when: wanted.when, announce: wanted.announce, reason: why };
    let by = names::behind(&ruleset, &caller.subject).to_owned();
    let made = PlannedWork { id: state.new_id(), window, by, created: now };
    let effect = put(state, caller, vec![DutyEdit::PutMaintenance(Box::new(made.clone()))]).await?;
    Ok((made, effect))
}

/// Ends a window that was made at run time and is not over.
pub(crate) async fn end(state: &AppState, who: &Identity, text: &str) -> Result<Effect, Problem> {
    let id: Uuid = id("a maintenance window", text)?;
    let made = state.store.maintenance_window(id).await?;
    let made = made.filter(|made| made.ended.is_none() && begins(&made.item.window.when, state.now()).is_some());
    let made = made.ok_or_else(|| Problem::missing("maintenance window made at run time that is not over", text))?;
    let touched = teams::matched(&state.configured().ruleset, &made.item.window.matchers)?;
    teams::may_plan(state, who, Role::Operator, &touched).await?;
    put(state, &who.caller, vec![DutyEdit::EndMaintenance { id }]).await
}

/// When the occurrence under way, or the next one, begins.
fn begins(when: &When, now: Timestamp) -> Option<Timestamp> {
    when.active(now).map(|(start, _)| start).or_else(|| when.next_start(now))
}

/// A window says one thing, comes again, and does not last for ever.
fn usable(when: &When, now: Timestamp) -> Result<(), Problem> {
    let bad = |problem: String| Problem::bad("when", problem);
    when.check().map_err(bad)?;
    let begins = begins(when, now).ok_or_else(|| bad("it is over, or never begins".to_owned()))?;
    match when.active(begins) {
        Some((start, end)) if end.duration_since(start) > LONGEST => {
            Err(bad(format!("from {start} until {end} is longer than {} days", LONGEST.as_hours() / 24)))
        }
        _ => Ok(()),
    }
}
