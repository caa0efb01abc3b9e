//! Overrides of on-call schedules: somebody takes over, nobody is on call, two people swap.
//!
//! Every write goes through the log. A swap is two overrides in one entry: both or none.

use crate::access::teams;
use crate::api::decided::{settled, status};
use crate::api::model::OverrideOut;
use crate::api::oncall::roster;
use crate::api::span::{Stretch, moment, moment_or_none};
use crate::api::{JsonBody, Segments, id, names};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trackside_core::caller::Caller;
use trackside_core::duty::schedule::Override;
use trackside_core::input::DutyEdit;
use trackside_identity::directory::Identity;
use trackside_identity::role::Role;
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest reason, in bytes.
pub(crate) const REASON_BYTES: usize = 1000;

/// An override to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOverride, example = json!({"user": "bo", "start": "2026-12-24T09:00:00Z", "end": "2026-12-26T09:00:00Z", "reason": "Ana is away"}))]
pub(crate) struct OverrideIn {
    /// The person, by name or alias; null for nobody. Must be given.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) user: Option<String>,
    /// From, inclusive; what is over already is cut off. Default now.
    #[serde(default, deserialize_with = "moment_or_none")]
    pub(crate) start: Option<Timestamp>,
    /// Until, exclusive; at most 366 days.
    #[serde(deserialize_with = "moment")]
    pub(crate) end: Timestamp,
    /// Why, at most 1,000 bytes.
    #[serde(default)]
    pub(crate) reason: String,
}

/// A stretch of time in which one person is on call.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Turn)]
pub(crate) struct TurnIn {
    /// From, inclusive; what is over already is cut off.
    #[serde(deserialize_with = "moment")]
    pub(crate) start: Timestamp,
    /// Until, exclusive.
    #[serde(deserialize_with = "moment")]
    pub(crate) end: Timestamp,
}

/// A swap to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSwap, example = json!({
    "a": {"start": "2026-11-23T09:00:00Z", "end": "2026-11-30T09:00:00Z"},
    "b": {"start": "2026-11-30T09:00:00Z", "end": "2026-12-07T09:00:00Z"}, "reason": "holidays"}))]
pub(crate) struct SwapIn {
    /// A time in which one person is on call …
    pub(crate) a: TurnIn,
    /// … and one in which another is. Each takes the other's.
    pub(crate) b: TurnIn,
    /// Why, at most 1,000 bytes.
    #[serde(default)]
    pub(crate) reason: String,
}

/// The two overrides of a swap.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Swap)]
pub(crate) struct SwapOut {
    /// Over the first time.
    a: OverrideOut,
    /// Over the second time.
    b: OverrideOut,
}

/// Puts somebody else on call for a time, or nobody.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/overrides", tag = "on-call", request_body = OverrideIn,
    params(("name" = String, Path, description = "Name of the schedule")),
    responses((status = 201, body = OverrideOut), (status = 202, body = OverrideOut, description = "Will be decided"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The decision refused it")))]
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
    JsonBody(wanted): JsonBody<OverrideIn>,
) -> Result<(StatusCode, Json<OverrideOut>), Problem> {
    let (made, effect) = make(&state, &who, &name, &wanted).await?;
    Ok((status(effect, StatusCode::CREATED), Json(OverrideOut::from(&made))))
}

/// Takes an override back.
#[utoipa::path(delete, path = "/api/v1/overrides/{id}", tag = "on-call",
    params(("id" = Uuid, Path, description = "Id of the override")),
    responses((status = 204), (status = 202, description = "Will be decided"), (status = 404, body = Problem)))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<StatusCode, Problem> {
    Ok(status(take_back(&state, &who, &text).await?, StatusCode::NO_CONTENT))
}

/// Two people take each other's time.
#[utoipa::path(post, path = "/api/v1/schedules/{name}/swaps", tag = "on-call", request_body = SwapIn,
    params(("name" = String, Path, description = "Name of the schedule")),
    responses((status = 201, body = SwapOut), (status = 202, body = SwapOut, description = "Will be decided"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "A time has not exactly one person, or both have the same")))]
pub(crate) async fn swap(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
    JsonBody(wanted): JsonBody<SwapIn>,
) -> Result<(StatusCode, Json<SwapOut>), Problem> {
    let ([a, b], effect) = make_swap(&state, &who, &name, &wanted).await?;
    let out = SwapOut { a: OverrideOut::from(&a), b: OverrideOut::from(&b) };
    Ok((status(effect, StatusCode::CREATED), Json(out)))
}

/// Makes an override.
pub(crate) async fn make(
    state: &AppState,
    who: &Identity,
    schedule: &str,
    wanted: &OverrideIn,
) -> Result<(Override, Effect), Problem> {
    let ruleset = state.configured().ruleset.clone();
    names::schedule(&ruleset, schedule)?;
    may_change(state, who, schedule).await?;
    let (caller, user) = (&who.caller, wanted.user.as_deref());
    let user = user.map(|user| names::person(&ruleset, "user", user)).transpose()?;
    let now = state.now();
    let stretch = ahead(wanted.start.unwrap_or(now), wanted.end, ["start", "end"], now)?;
    let made = new(state, caller, schedule, stretch, user, reason("reason", &wanted.reason)?);
    let effect = put(state, caller, vec![DutyEdit::PutOverride(made.clone())]).await?;
    Ok((made, effect))
}

/// Takes back an override that is not over.
pub(crate) async fn take_back(state: &AppState, who: &Identity, text: &str) -> Result<Effect, Problem> {
    let id: Uuid = id("an override", text)?;
    let made = state.store.override_of(id).await?;
    let made = made.filter(|made| made.ended.is_none() && made.item.end > state.now());
    let made = made.ok_or_else(|| Problem::missing("override that is not over", text))?;
    may_change(state, who, &made.item.schedule).await?;
    put(state, &who.caller, vec![DutyEdit::RemoveOverride { id }]).await
}

/// Passes when the caller may say who is on call in a schedule: all teams that are paged there have to bear it.
async fn may_change(state: &AppState, who: &Identity, schedule: &str) -> Result<(), Problem> {
    let paged = teams::paged_by(&state.configured().ruleset, schedule);
    teams::may_plan(state, who, Role::Responder, &paged).await
}

/// Makes the two overrides of a swap.
pub(crate) async fn make_swap(
    state: &AppState,
    who: &Identity,
    name: &str,
    wanted: &SwapIn,
) -> Result<([Override; 2], Effect), Problem> {
    let ruleset = state.configured().ruleset.clone();
    let schedule = names::schedule(&ruleset, name)?;
    may_change(state, who, name).await?;
    let (caller, now) = (&who.caller, state.now());
    let a = ahead(wanted.a.start, wanted.a.end, ["a.start", "a.end"], now)?;
    let b = ahead(wanted.b.start, wanted.b.end, ["b.start", "b.end"], now)?;
    let why = reason("reason", &wanted.reason)?;
    let mut people = Vec::new();
    for (at, stretch) in [("a", a), ("b", b)] {
        let users: Vec<Vec<String>> =
            roster(state, name, schedule, stretch).await?.shifts.into_iter().map(|shift| shift.on_call.users).collect();
        match users.as_slice() {
            [first, rest @ ..] if first.len() == 1 && rest.iter().all(|users| users == first) => {
                people.push(first[0].clone());
            }
            _ => {
                return Err(conflict(
                    at,
                    format!("not exactly one person is on call from {} until {}", stretch.from, stretch.until),
                ));
            }
        }
    }
    if people[0] == people[1] {
        return Err(conflict("b", format!("`{}` is on call in both", people[0])));
    }
    if a.from < b.until && b.from < a.until {
        return Err(Problem::bad("b", "the two times overlap"));
    }
    let [of_a, of_b] = [people.remove(0), people.remove(0)];
    let pair = [new(state, caller, name, a, Some(of_b), why.clone()), new(state, caller, name, b, Some(of_a), why)];
    let effect = put(state, caller, pair.iter().cloned().map(DutyEdit::PutOverride).collect()).await?;
    Ok((pair, effect))
}

/// Puts changes of what is planned into the log; fails when the decision refuses one.
pub(crate) async fn put(state: &AppState, caller: &Caller, edits: Vec<DutyEdit>) -> Result<Effect, Problem> {
    let done = state.duty(caller.clone(), edits).await?;
    settled(state, done).await
}

/// A stretch that is not over, from now on where it has begun.
pub(crate) fn ahead(start: Timestamp, end: Timestamp, names: [&str; 2], now: Timestamp) -> Result<Stretch, Problem> {
    let whole = Stretch::new(start, end, names)?;
    if whole.until <= now {
        return Err(Problem::bad(names[1], format!("`{}` {end} is in the past", names[1])));
    }
    Ok(Stretch { from: whole.from.max(now), ..whole })
}

/// A reason without spaces around it; may be empty.
pub(crate) fn reason(at: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.len() > REASON_BYTES {
        return Err(Problem::bad(
            at,
            format!("a reason has at most {REASON_BYTES} bytes; this one has {}", text.len()),
        ));
    }
    Ok(text.to_owned())
}

fn new(
    state: &AppState,
    caller: &Caller,
    schedule: &str,
    stretch: Stretch,
    user: Option<String>,
    reason: String,
) -> Override {
    let ruleset = state.configured().ruleset.clone();
    Override {
        id: state.new_id(),
        schedule: schedule.to_owned(),
        start: stretch.from,
        end: stretch.until,
        user,
        created: state.now(),
        by: names::behind(&ruleset, &caller.subject).to_owned(),
        reason,
    }
}

fn conflict(at: &str, detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, detail).at(at)
}
