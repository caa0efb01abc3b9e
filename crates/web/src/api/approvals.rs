//! Approvals: what waits for agreement, asked, decided, taken back.
//!
//! Who may: the role `viewer` sees everything, others what they asked and what waits for them. Everybody may ask for
//! access to a route. Whose word counts is said by the rule of the question ([`crate::voice`]); a policy may forbid it.
//! Invariant: what the pages do goes this way too.

pub(crate) mod grants;

use crate::access::refusals;
use crate::api::decided::{settled, status};
use crate::api::model::{ApprovalOut, PageOut};
use crate::api::{JsonBody, PAGE_DEFAULT, Params, Segments, filled, id, word};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use crate::voice::Voice;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeSet;
use trackside_core::approval::request::{Approval, ApprovalAsk, ApprovalState, Says, Subject};
use trackside_core::input::Input;
use trackside_core::limits;
use trackside_identity::directory::Identity;
use trackside_identity::question::{Answer, Context, Question, Resource, ResourceKind, actions};
use trackside_identity::role::Role;
use trackside_store::Page;
use trackside_store::approvals::{ApprovalFilter, ApprovalRow};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which approvals.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ApprovalQuery {
    /// `open`, `approved`, `denied`, `expired` or `withdrawn`.
    pub(crate) state: Option<String>,
    /// `asked`: only those that you asked; `waiting`: only those that wait for your word.
    pub(crate) mine: Option<String>,
    /// Only those that this caller asked.
    pub(crate) requester: Option<String>,
    /// Only those about this: `job reload`, `route billing`.
    pub(crate) about: Option<String>,
    /// Only older than this position (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

/// Ask for access.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApproval, example = json!({"route": "billing", "justification": "figures of the month, ticket 4711"}))]
pub(crate) struct ApprovalIn {
    /// The route.
    pub(crate) route: String,
    /// Why, at most 2,000 bytes. Some rules ask for it.
    #[serde(default)]
    pub(crate) justification: Option<String>,
}

/// What goes with a word.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ApprovalRemark, example = json!({"remark": "after the backup"}))]
pub(crate) struct RemarkIn {
    /// Why, at most 2,000 bytes.
    pub(crate) remark: Option<String>,
}

/// What of one's own is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mine {
    Asked,
    Waiting,
}

/// Approvals, the latest asked first. Without the role `viewer` those that concern the caller.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", params(ApprovalQuery),
    responses((status = 200, body = PageOut<ApprovalOut>), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    who: Who,
    Params(query): Params<ApprovalQuery>,
) -> Result<Json<PageOut<ApprovalOut>>, Problem> {
    let page = read(&state, &who, &query).await?;
    let items = page.items.iter().map(|row| out(&state, &who, &row.approval)).collect();
    Ok(Json(PageOut { items, next: page.next }))
}

/// One approval.
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "approvals", params(("id" = Uuid, Path)),
    responses((status = 200, body = ApprovalOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<Json<ApprovalOut>, Problem> {
    let approval = find(&state, &who, &text).await?;
    Ok(Json(out(&state, &who, &approval)))
}

/// Asks for access to a route. One that is open already is given back.
#[utoipa::path(post, path = "/api/v1/approvals", tag = "approvals", request_body = ApprovalIn,
    responses((status = 201, body = ApprovalOut), (status = 202, description = "Will be decided"),
        (status = 400, body = Problem), (status = 409, body = Problem, description = "The decision refused it")))]
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    JsonBody(wanted): JsonBody<ApprovalIn>,
) -> Result<(StatusCode, Json<Option<ApprovalOut>>), Problem> {
    let (asked, effect) = request(&state, &who, &wanted).await?;
    Ok((status(effect, StatusCode::CREATED), Json(asked.map(|asked| out(&state, &who, &asked)))))
}

/// Says yes.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/approve", tag = "approvals", params(("id" = Uuid, Path)),
    request_body = RemarkIn, responses((status = 200, body = ApprovalOut), (status = 202, body = ApprovalOut, description = "Will be decided"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem, description = "It does not count, and why")))]
pub(crate) async fn approve(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
    JsonBody(remark): JsonBody<RemarkIn>,
) -> Result<(StatusCode, Json<ApprovalOut>), Problem> {
    answered(&state, &who, &text, Says::Approve, remark).await
}

/// Says no. One is enough.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/deny", tag = "approvals", params(("id" = Uuid, Path)),
    request_body = RemarkIn, responses((status = 200, body = ApprovalOut), (status = 202, body = ApprovalOut, description = "Will be decided"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem, description = "It does not count, and why")))]
pub(crate) async fn deny(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
    JsonBody(remark): JsonBody<RemarkIn>,
) -> Result<(StatusCode, Json<ApprovalOut>), Problem> {
    answered(&state, &who, &text, Says::Deny, remark).await
}

/// Takes a question back. Only whoever asked.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/withdraw", tag = "approvals", params(("id" = Uuid, Path)),
    responses((status = 200, body = ApprovalOut), (status = 202, body = ApprovalOut, description = "Will be decided"),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<(StatusCode, Json<ApprovalOut>), Problem> {
    let effect = take_back(&state, &who, &text).await?;
    let approval = find(&state, &who, &text).await?;
    Ok((status(effect, StatusCode::OK), Json(out(&state, &who, &approval))))
}

async fn answered(
    state: &AppState,
    who: &Identity,
    text: &str,
    says: Says,
    remark: RemarkIn,
) -> Result<(StatusCode, Json<ApprovalOut>), Problem> {
    let effect = say(state, who, text, says, remark.remark).await?;
    let approval = find(state, who, text).await?;
    Ok((status(effect, StatusCode::OK), Json(out(state, who, &approval))))
}

fn out(state: &AppState, who: &Identity, approval: &Approval) -> ApprovalOut {
    ApprovalOut::new(approval, &voice(state, who, approval))
}

/// The caller as a voice about a question.
pub(crate) fn voice(state: &AppState, who: &Identity, approval: &Approval) -> Voice {
    Voice::of(&state.configured().ruleset, who, approval.team.as_deref())
}

/// Whether the caller may see a question.
fn sees(state: &AppState, who: &Identity, approval: &Approval) -> bool {
    let voice = voice(state, who, approval);
    who.rights.allow(Role::Viewer) || approval.is_asked_by(&voice.known_as) || approval.rule.asks(&voice.speaks_for)
}

/// Approvals that the caller may see. A page may have fewer items than asked for and still go on.
pub(crate) async fn read(
    state: &AppState,
    who: &Identity,
    query: &ApprovalQuery,
) -> Result<Page<ApprovalRow>, Problem> {
    let wanted = word::<ApprovalState>("state", query.state.as_deref())?;
    let mine = word::<Mine>("mine", query.mine.as_deref())?;
    let wanted = if mine == Some(Mine::Waiting) { Some(ApprovalState::Open) } else { wanted };
    let filter = ApprovalFilter {
        states: wanted.map(|state| BTreeSet::from([state])),
        requester: filled(query.requester.clone()),
        about: filled(query.about.clone()),
        before: query.before,
        limit: query.limit.unwrap_or(PAGE_DEFAULT),
    };
    let mut page = state.store.approvals(&filter).await?;
    page.items.retain(|row| {
        let voice = voice(state, who, &row.approval);
        let fits = match mine {
            None => true,
            Some(Mine::Asked) => row.approval.is_asked_by(&voice.known_as),
            Some(Mine::Waiting) => voice.is_awaited(&row.approval),
        };
        fits && sees(state, who, &row.approval)
    });
    Ok(page)
}

/// A question that the caller may see; what they may not see is not there.
pub(crate) async fn find(state: &AppState, who: &Identity, text: &str) -> Result<Approval, Problem> {
    let wanted: Uuid = id("an approval", text)?;
    let approval = state.store.approval(wanted).await?.filter(|approval| sees(state, who, approval));
    approval.ok_or_else(|| Problem::missing("approval", text))
}

/// Asks for access to a route; the question, once it is decided that it is asked.
pub(crate) async fn request(
    state: &AppState,
    who: &Identity,
    wanted: &ApprovalIn,
) -> Result<(Option<Approval>, Effect), Problem> {
    let (route, justification) = (wanted.route.trim(), remark("justification", wanted.justification.clone())?);
    let configured = state.configured();
    let Some(guarded) = configured.ruleset.route_approvals.get(route) else {
        return Err(Problem::bad("route", format!("there is no route `{route}` that needs an approval")));
    };
    let voice = Voice::of(&configured.ruleset, who, guarded.team.as_deref());
    let subject = Subject::Route { route: route.to_owned() };
    let ask = ApprovalAsk::Request { subject: subject.clone(), known_as: voice.people(), justification };
    let done = state.put(&Input::Approval { caller: who.caller.clone(), ask }).await?;
    let effect = settled(state, done).await?;
    Ok((latest(state, who, &subject).await?, effect))
}

/// The latest question of a caller about the same: the one just asked, or the one that was open already.
async fn latest(state: &AppState, who: &Identity, subject: &Subject) -> Result<Option<Approval>, Problem> {
    let filter = ApprovalFilter {
        requester: Some(who.caller.subject.clone()),
        about: Some(subject.title()),
        limit: 1,
        ..ApprovalFilter::default()
    };
    Ok(state.store.approvals(&filter).await?.items.pop().map(|row| row.approval))
}

/// Says yes or no to a question.
pub(crate) async fn say(
    state: &AppState,
    who: &Identity,
    text: &str,
    says: Says,
    said: Option<String>,
) -> Result<Effect, Problem> {
    let approval = find(state, who, text).await?;
    let remark = remark("remark", said)?;
    if let Some(why) = forbidden(state, who, &approval) {
        let resource = match &approval.subject {
            Subject::JobRun { job, .. } => format!("job:{job}"),
            Subject::Route { route } => format!("route:{route}"),
        };
        return refusals::forbid(state, who, actions::APPROVE, resource, why).await;
    }
    let voice = voice(state, who, &approval);
    let known_as = voice.people();
    let (approval, speaks_for) = (approval.id, voice.speaks_for);
    let ask = ApprovalAsk::Say { approval, says, speaks_for, known_as, remark, barred: None, reply: None };
    let done = state.put(&Input::Approval { caller: who.caller.clone(), ask }).await?;
    settled(state, done).await
}

/// Why a policy forbids a caller to decide a question. The rule of the question says who is asked; policies only forbid.
pub(crate) fn forbidden(state: &AppState, who: &Identity, approval: &Approval) -> Option<String> {
    let (kind, name) = match &approval.subject {
        Subject::JobRun { job, .. } => (ResourceKind::Job, job),
        Subject::Route { route } => (ResourceKind::Route, route),
    };
    let context = Context::at(state.now());
    let resource = Resource { kind, name, team: approval.team.as_deref() };
    let verdict = (state.configured().judge)(&Question { who, action: actions::APPROVE, resource, context: &context });
    let policies = verdict.because.join("`, `");
    match (verdict.answer, verdict.errors.is_empty()) {
        (Answer::Forbid, true) => Some(format!("policy `{policies}` forbids it")),
        (Answer::Forbid, false) => {
            Some(format!("policy `{policies}` cannot be evaluated: {}", verdict.errors.join("; ")))
        }
        _ => None,
    }
}

/// Takes a question back.
pub(crate) async fn take_back(state: &AppState, who: &Identity, text: &str) -> Result<Effect, Problem> {
    let approval = find(state, who, text).await?;
    let known_as = voice(state, who, &approval).people();
    let ask = ApprovalAsk::Withdraw { approval: approval.id, known_as };
    let done = state.put(&Input::Approval { caller: who.caller.clone(), ask }).await?;
    settled(state, done).await
}

/// A text within bounds, or none.
fn remark(at: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let text = filled(text);
    if text.as_ref().is_some_and(|text| text.len() > limits::REMARK_BYTES) {
        return Err(Problem::bad(at, format!("has more than {} bytes", limits::REMARK_BYTES)));
    }
    Ok(text)
}
