//! On-call shifts as iCalendar feeds, for calendar programs.
//!
//! Invariant: a token in the address opens these feeds and nothing else, and only one of the role `viewer`: calendar
//! programs cannot send headers, and addresses are kept in many places. See [`crate::auth`].

use crate::api::{Segments, names};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use trackside_core::duty::absence::Changes;
use trackside_core::duty::calendar::{self, Feed};
use trackside_core::duty::schedule::Shift;
use trackside_core::ruleset::Ruleset;

/// How far back overrides are read: a feed begins with last month.
const BACK: SignedDuration = SignedDuration::from_hours(63 * 24);

/// Everybody's shifts in a schedule, from last month until six months ahead, as `text/calendar`.
#[utoipa::path(get, path = "/api/v1/schedules/{name}/calendar.ics", tag = "on-call",
    params(("name" = String, Path, description = "Name of the schedule"),
        ("token" = Option<String>, Query, description = "API token of the role `viewer`, when it cannot be sent as a header")),
    responses((status = 200, body = String, content_type = "text/calendar"), (status = 404, body = Problem)))]
pub(crate) async fn of_schedule(
    State(state): State<AppState>,
    Segments(name): Segments<String>,
) -> Result<Response, Problem> {
    let ruleset = state.configured().ruleset.clone();
    names::schedule(&ruleset, &name)?;
    let now = state.now();
    let shifts = shifts(&state, &ruleset, now).await?.remove(&name).unwrap_or_default();
    let host = host(&state);
    let feed = Feed { schedule: &name, person: None, host: &host, stamp: now };
    Ok(answer(calendar::render(&feed, &shifts)))
}

/// A person's shifts in all schedules, from last month until six months ahead, as `text/calendar`.
#[utoipa::path(get, path = "/api/v1/people/{name}/calendar.ics", tag = "on-call",
    params(("name" = String, Path, description = "Name or alias of the person"),
        ("token" = Option<String>, Query, description = "API token of the role `viewer`, when it cannot be sent as a header")),
    responses((status = 200, body = String, content_type = "text/calendar"), (status = 404, body = Problem)))]
pub(crate) async fn of_person(
    State(state): State<AppState>,
    Segments(name): Segments<String>,
) -> Result<Response, Problem> {
    let ruleset = state.configured().ruleset.clone();
    let (person, known) = names::known(&ruleset, &name).ok_or_else(|| Problem::missing("person", &name))?;
    let now = state.now();
    let all = shifts(&state, &ruleset, now).await?;
    let host = host(&state);
    let feed = |schedule| Feed { schedule, person: Some(person), host: &host, stamp: now };
    let feeds: Vec<_> = all.iter().map(|(schedule, shifts)| (feed(schedule.as_str()), shifts.clone())).collect();
    let title = format!("{} on call", known.name.as_deref().unwrap_or(person));
    Ok(answer(calendar::render_together(&title, &feeds)))
}

/// The shifts of a feed made now, by schedule.
async fn shifts(state: &AppState, ruleset: &Ruleset, now: Timestamp) -> Result<BTreeMap<String, Vec<Shift>>, Problem> {
    let since = now.saturating_sub(BACK).unwrap_or(Timestamp::MIN);
    let gone = crate::api::oncall::gone(state).await?;
    let mut all = BTreeMap::new();
    for (name, schedule) in &ruleset.schedules {
        let overrides = state.store.overrides(Some(name), since, Timestamp::MAX).await?;
        all.insert(name.clone(), calendar::shifts(schedule, Changes { overrides: &overrides, gone: Some(&gone) }, now));
    }
    Ok(all)
}

fn host(state: &AppState) -> String {
    state.configured().public_url.host_str().unwrap_or("trackside").to_owned()
}

fn answer(text: String) -> Response {
    let headers =
        [(CONTENT_TYPE, "text/calendar; charset=utf-8"), (CONTENT_DISPOSITION, "inline; filename=\"oncall.ics\"")];
    (headers, text).into_response()
}
