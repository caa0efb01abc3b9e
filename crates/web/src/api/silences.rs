//! Silences: what somebody does not want to hear of for a while.
//!
//! Who may: a responder makes silences and ends their own; an operator ends anybody's; both for the teams they have the
//! role for.

use crate::access::refusals;
use crate::access::teams;
use crate::api::decided::status;
use crate::api::model::{PreviewOut, SilenceOut, SilenceState};
use crate::api::overrides::{ahead, put, reason};
use crate::api::span::moment_or_none;
use crate::api::{JsonBody, Params, Segments, id, names, word};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;
use trackside_core::incident::labels::label;
use trackside_core::incident::matchers::Matchers;
use trackside_core::incident::{Alert, Incident};
use trackside_core::input::DutyEdit;
use trackside_core::pipeline::Pipeline;
use trackside_core::rules::Rules;
use trackside_core::ruleset::Span;
use trackside_core::ruleset::noise::Silence;
use trackside_core::run::PipelineKey;
use trackside_identity::directory::Identity;
use trackside_identity::role::Role;
use trackside_store::planned::{PlannedFilter, Standing};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which silences.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SilenceQuery {
    /// `pending`, `active` or `expired`; default those that are not over.
    pub(crate) state: Option<String>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

/// A silence to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSilence, example = json!({"matchers": ["pipeline=~\"billing_.*\"", "severity!=\"critical\""], "for": "4h", "reason": "the vendor is down, ticket 4711"}))]
pub(crate) struct SilenceIn {
    /// All must match: `label="value"`, `!=`, `=~`, `!~`. Labels: `team`, `pipeline`, `source`, `rule`, `severity`,
    /// `task`, `tags`, `tier`, and those of reports.
    pub(crate) matchers: Vec<String>,
    /// From, inclusive; default now.
    #[serde(default, deserialize_with = "moment_or_none")]
    pub(crate) starts: Option<Timestamp>,
    /// Until, exclusive; at most 366 days. Either this or `for`.
    #[serde(default, deserialize_with = "moment_or_none")]
    pub(crate) ends: Option<Timestamp>,
    /// How long, such as `90m` or `2d`. Either this or `ends`.
    #[serde(default, rename = "for")]
    #[schema(value_type = Option<String>)]
    pub(crate) length: Option<Span>,
    /// Why, at most 1,000 bytes.
    pub(crate) reason: String,
}

/// Matchers to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Matchers, example = json!({"matchers": ["team=\"payments\""]}))]
pub(crate) struct MatchersIn {
    /// All must match.
    pub(crate) matchers: Vec<String>,
}

/// What a silence would hold back now.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The incident.
    pub(crate) incident: Incident,
    /// Its alerts that match.
    pub(crate) matching: Vec<Alert>,
    /// Alerts that fire in it; it is held back only when all of them match.
    pub(crate) alerts: usize,
}

/// Silences, newest first.
#[utoipa::path(get, path = "/api/v1/silences", tag = "silences", params(SilenceQuery),
    responses((status = 200, body = Vec<SilenceOut>), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Params(query): Params<SilenceQuery>,
) -> Result<Json<Vec<SilenceOut>>, Problem> {
    let now = state.now();
    let found = read(&state, &query).await?;
    Ok(Json(found.iter().map(|silence| SilenceOut::new(silence, now)).collect()))
}

/// Makes a silence.
#[utoipa::path(post, path = "/api/v1/silences", tag = "silences", request_body = SilenceIn,
    responses((status = 201, body = SilenceOut), (status = 202, body = SilenceOut, description = "Will be decided"),
        (status = 400, body = Problem), (status = 409, body = Problem, description = "The decision refused it")))]
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    JsonBody(wanted): JsonBody<SilenceIn>,
) -> Result<(StatusCode, Json<SilenceOut>), Problem> {
    let (made, effect) = make(&state, &who, &wanted).await?;
    Ok((status(effect, StatusCode::CREATED), Json(SilenceOut::new(&made, state.now()))))
}

/// What a silence with these matchers would hold back now.
#[utoipa::path(post, path = "/api/v1/silences/preview", tag = "silences", request_body = MatchersIn,
    responses((status = 200, body = PreviewOut), (status = 400, body = Problem)))]
pub(crate) async fn preview(
    State(state): State<AppState>,
    JsonBody(wanted): JsonBody<MatchersIn>,
) -> Result<Json<PreviewOut>, Problem> {
    let matchers = usable(&wanted.matchers)?;
    Ok(Json(PreviewOut::new(&would_hold(&state, &matchers).await?)))
}

/// Ends a silence now. Those of others need the role `operator`.
#[utoipa::path(delete, path = "/api/v1/silences/{id}", tag = "silences",
    params(("id" = Uuid, Path, description = "Id of the silence")),
    responses((status = 204), (status = 202, description = "Will be decided"), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn expire(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<StatusCode, Problem> {
    Ok(status(end(&state, &who, &text).await?, StatusCode::NO_CONTENT))
}

/// Silences, newest first.
pub(crate) async fn read(state: &AppState, query: &SilenceQuery) -> Result<Vec<Silence>, Problem> {
    let wanted = word::<SilenceState>("state", query.state.as_deref())?;
    let limit = query.limit.unwrap_or(crate::api::PAGE_DEFAULT);
    let now = state.now();
    let standing = if wanted == Some(SilenceState::Expired) { Standing::Over } else { Standing::Live };
    let filter = PlannedFilter { standing: Some(standing), ..PlannedFilter::new(now) };
    let found = state.store.silences(&filter).await?.items.into_iter().map(|found| found.item);
    let wanted = |silence: &Silence| wanted.is_none_or(|wanted| wanted == SilenceState::of(silence, now));
    Ok(found.filter(wanted).take(limit).collect())
}

/// Makes a silence.
pub(crate) async fn make(state: &AppState, who: &Identity, wanted: &SilenceIn) -> Result<(Silence, Effect), Problem> {
    usable(&wanted.matchers)?;
    let why = reason("reason", &wanted.reason)?;
    if why.is_empty() {
        return Err(Problem::bad("reason", "say why, for those who wonder later"));
    }
    let touched = teams::matched(&state.configured().ruleset, &wanted.matchers)?;
    teams::may_plan(state, who, Role::Responder, &touched).await?;
    let now = state.now();
    let starts = wanted.starts.unwrap_or(now);
    let ends = match (wanted.ends, wanted.length) {
        (Some(ends), None) => ends,
        (None, Some(length)) => starts.saturating_add(length.0).unwrap_or(Timestamp::MAX),
        _ => return Err(Problem::bad("ends", "write either `ends`, a time, or `for`, a length such as 4h")),
    };
    let stretch = ahead(starts, ends, ["starts", "ends"], now)?;
    let ruleset = state.configured().ruleset.clone();
    let made = Silence {
        id: state.new_id(),
        matchers: wanted.matchers.clone(),
        starts: stretch.from,
        ends: stretch.until,
        by: names::behind(&ruleset, &who.caller.subject).to_owned(),
        reason: why,
        created: now,
    };
    let effect = put(state, &who.caller, vec![DutyEdit::PutSilence(made.clone())]).await?;
    Ok((made, effect))
}

/// Ends a silence that is not over, if the caller may.
pub(crate) async fn end(state: &AppState, who: &Identity, text: &str) -> Result<Effect, Problem> {
    let id: Uuid = id("a silence", text)?;
    let silence = state.store.silence(id).await?.map(|found| found.item).filter(|silence| silence.ends > state.now());
    let silence = silence.ok_or_else(|| Problem::missing("silence that is not over", text))?;
    if !may_end(state, who, &silence) {
        let detail = format!(
            "this silence is of `{}`; ending it needs the role `operator` for the teams it is about",
            silence.by
        );
        return refusals::forbid(state, who, "end", format!("silence:{id}"), detail).await;
    }
    put(state, &who.caller, vec![DutyEdit::ExpireSilence { id }]).await
}

/// Whether the caller may end a silence: their own, or anybody's with the role `operator`.
pub(crate) fn may_end(state: &AppState, who: &Identity, silence: &Silence) -> bool {
    let ruleset = state.configured().ruleset.clone();
    let operates = || {
        let touched = teams::matched(&ruleset, &silence.matchers).unwrap_or_default();
        teams::held_for(who, Role::Operator, &touched)
    };
    silence.by == names::behind(&ruleset, &who.caller.subject) || operates()
}

/// Open incidents of which at least one alert matches, latest first.
pub(crate) async fn would_hold(state: &AppState, matchers: &Matchers) -> Result<Vec<Held>, Problem> {
    let rules = Rules::new((*state.configured().ruleset).clone()).map_err(|bad| {
        tracing::error!(error = %bad, "the rules in force do not compile");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the rules in force cannot be read; the log says how")
    })?;
    let firing = state.store.firing_alerts().await?;
    let mut pipelines: BTreeMap<PipelineKey, Option<Pipeline>> = BTreeMap::new();
    let mut held: Vec<Held> = Vec::new();
    for (incident, alert) in firing {
        let key = &alert.key.pipeline;
        if !pipelines.contains_key(key) {
            let known = state.store.pipeline(&key.source, &key.name).await?;
            pipelines.insert(key.clone(), known);
        }
        let pipeline = pipelines.get(key).and_then(Option::as_ref);
        let hit = matchers.matches(|name| label(&rules, &incident.owner, &alert, pipeline, name));
        let place = held.iter().position(|held| held.incident.id == incident.id).unwrap_or_else(|| {
            held.push(Held { incident, matching: Vec::new(), alerts: 0 });
            held.len() - 1
        });
        held[place].alerts += 1;
        held[place].matching.extend(hit.then_some(alert));
    }
    held.retain(|held| !held.matching.is_empty());
    Ok(held)
}

/// Matchers of a silence: they can be used, and there is at least one.
pub(crate) fn usable(texts: &[String]) -> Result<Matchers, Problem> {
    if texts.is_empty() {
        return Err(Problem::bad("matchers", "without matchers it would hold back everything; write at least one"));
    }
    names::matchers(texts)
}
