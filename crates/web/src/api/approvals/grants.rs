//! Access for a while: what holds, and its end before its time.
//!
//! Who may: the role `viewer` sees all, others their own. A grant is revoked by whoever has it, or by the role
//! `approver`.

use crate::access::refusals;
use crate::api::decided::{settled, status};
use crate::api::model::{GrantOut, PageOut};
use crate::api::{PAGE_DEFAULT, Params, Segments, filled, id, word};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Effect};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use trackside_core::approval::request::{ApprovalAsk, Grant};
use trackside_core::input::Input;
use trackside_identity::directory::Identity;
use trackside_identity::role::Role;
use trackside_store::Page;
use trackside_store::approvals::{GrantFilter, GrantRow, GrantStanding};
use utoipa::IntoParams;
use uuid::Uuid;

/// Which grants.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GrantQuery {
    /// `active` (default) or `ended`.
    pub(crate) state: Option<String>,
    /// Only those of this caller.
    pub(crate) subject: Option<String>,
    /// Only older than this position (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Active,
    Ended,
}

/// Access for a while, the latest given first.
#[utoipa::path(get, path = "/api/v1/grants", tag = "approvals", params(GrantQuery),
    responses((status = 200, body = PageOut<GrantOut>), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    who: Who,
    Params(query): Params<GrantQuery>,
) -> Result<Json<PageOut<GrantOut>>, Problem> {
    Ok(Json(PageOut::of(&read(&state, &who, &query).await?)))
}

/// Ends access before its time.
#[utoipa::path(post, path = "/api/v1/grants/{id}/revoke", tag = "approvals", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 202, description = "Will be decided"), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    who: Who,
    Segments(text): Segments<String>,
) -> Result<StatusCode, Problem> {
    Ok(status(end(&state, &who, &text).await?, StatusCode::NO_CONTENT))
}

/// Grants that the caller may see.
pub(crate) async fn read(state: &AppState, who: &Identity, query: &GrantQuery) -> Result<Page<GrantRow>, Problem> {
    let standing = match word::<Standing>("state", query.state.as_deref())? {
        None | Some(Standing::Active) => GrantStanding::Active,
        Some(Standing::Ended) => GrantStanding::Ended,
    };
    let own = (!who.rights.allow(Role::Viewer)).then(|| who.caller.subject.clone());
    let filter = GrantFilter {
        standing: Some(standing),
        subject: own.or_else(|| filled(query.subject.clone())),
        before: query.before,
        limit: query.limit.unwrap_or(PAGE_DEFAULT),
    };
    Ok(state.store.grants(&filter).await?)
}

/// Ends access, if the caller may.
pub(crate) async fn end(state: &AppState, who: &Identity, text: &str) -> Result<Effect, Problem> {
    let wanted: Uuid = id("a grant", text)?;
    let found = state.store.grant(wanted).await?.ok_or_else(|| Problem::missing("grant", text))?;
    if !may_end(state, who, &found.grant) {
        let detail = "access of others is revoked by the role `approver`";
        return refusals::forbid(state, who, "revoke", format!("route:{}", found.grant.route), detail).await;
    }
    let ask = ApprovalAsk::Revoke { grant: wanted };
    let done = state.put(&Input::Approval { caller: who.caller.clone(), ask }).await?;
    settled(state, done).await
}

/// Whether the caller may end access: their own, or anybody's with the role `approver` for the team of the route.
pub(crate) fn may_end(state: &AppState, who: &Identity, grant: &Grant) -> bool {
    let configured = state.configured();
    let team = configured.ruleset.route_approvals.get(&grant.route).and_then(|route| route.team.as_deref());
    grant.subject == who.caller.subject || who.rights.allow_for(Role::Approver, team)
}
