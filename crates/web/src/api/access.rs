//! Whether somebody may do something, and why: the question that every place of decision asks, asked by hand.

use crate::api::Params;
use crate::api::incidents::find;
use crate::api::jobs::start::names;
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, Guard, LetsIn, RouteAccess};
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use trackside_identity::access::{Access, Decision, Needs, decide};
use trackside_identity::directory::Identity;
use trackside_identity::question::{Answer, Context, Question, Resource, ResourceKind, Verdict, actions};
use trackside_identity::role::Role;
use utoipa::{IntoParams, ToSchema};

/// The question.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// The name of an API token, somebody who is signed in, or `me`.
    pub(crate) who: String,
    /// `call`, `start`, `cancel`, `approve`, `test`, `respond` or `configure`.
    pub(crate) action: String,
    /// `route:NAME`, `job:NAME`, `connection:NAME`, `incident:NUMBER` or `server:AREA`.
    pub(crate) resource: String,
    /// HTTP method, for a route.
    pub(crate) method: Option<String>,
    /// Path, for a route.
    pub(crate) path: Option<String>,
    /// When; default now.
    pub(crate) at: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessExplained)]
pub(crate) struct ExplainOut {
    /// Who was asked about.
    pub(crate) who: WhoOut,
    /// What is asked for before policies: names, or a role.
    pub(crate) needs: Vec<String>,
    /// Whether somebody must agree too, each time (a job) or for a while (a route).
    pub(crate) needs_approval: bool,
    /// The answer: `decision`, `because`, `policies`.
    #[schema(value_type = Object)]
    pub(crate) access: Access,
}

/// A caller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessCaller)]
pub(crate) struct WhoOut {
    /// Subject.
    pub(crate) subject: String,
    /// Roles with where they hold.
    pub(crate) rights: String,
    /// Teams.
    pub(crate) teams: BTreeSet<String>,
    /// Roles, scopes and groups of the issuer; scopes of an API token.
    pub(crate) names: BTreeSet<String>,
    /// Issuer that vouches for them.
    pub(crate) issuer: Option<String>,
}

/// Whether somebody may do something, and what decides it. Nothing is done.
#[utoipa::path(get, path = "/api/v1/access/explain", tag = "access", params(ExplainQuery),
    responses((status = 200, body = ExplainOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn explain(
    State(state): State<AppState>,
    asking: Who,
    Params(query): Params<ExplainQuery>,
) -> Result<Json<ExplainOut>, Problem> {
    Ok(Json(answer(&state, &asking, &query).await?))
}

/// Answers.
pub(crate) async fn answer(state: &AppState, asking: &Who, query: &ExplainQuery) -> Result<ExplainOut, Problem> {
    let who = known(state, asking, &query.who).await?;
    let at = match query.at.as_deref().filter(|text| !text.is_empty()) {
        None => state.now(),
        Some(text) => text
            .parse::<Timestamp>()
            .map_err(|_| Problem::bad("at", format!("`{text}` is not a time such as 2026-01-31T08:00:00Z")))?,
    };
    if !actions::ALL.contains(&query.action.as_str()) {
        let detail = format!("`{}` is not an action; the actions are {}", query.action, actions::ALL.join(", "));
        return Err(Problem::bad("action", detail));
    }
    let asked = Asked::of(state, &query.resource).await?;
    let context = Context {
        method: query.method.clone().filter(|text| !text.is_empty()),
        path: query.path.clone().filter(|text| !text.is_empty()),
        severity: asked.severity.clone(),
        ..Context::at(at)
    };
    let resource = Resource { kind: asked.kind, name: &asked.name, team: asked.team.as_deref() };
    let needs = Needs { names: &asked.needs, role: role_for(&query.action) };
    let question = Question { who: &who, action: &query.action, resource, context: &context };
    let judge = &state.configured().judge;
    let access = match asked.lets_in {
        LetsIn::Holders => decide(&question, needs, judge),
        LetsIn::Known => unless_forbidden("every known caller is let in", judge(&question)),
        LetsIn::Everybody => {
            let because = "everybody is let in, known or not".to_owned();
            Access { decision: Decision::Allowed, because, policies: Vec::new() }
        }
    };
    let (needs, needs_approval) = (asked.told(needs.role), asked.guard == Guard::Approval);
    let who = WhoOut {
        subject: who.caller.subject.clone(),
        rights: who.rights.to_string(),
        teams: who.teams.clone(),
        names: who.names.clone(),
        issuer: who.issuer.clone(),
    };
    Ok(ExplainOut { who, needs, needs_approval, access })
}

/// The answer of a route that lets in every known caller.
fn unless_forbidden(because: &str, verdict: Verdict) -> Access {
    let (decision, because) = match verdict.answer {
        Answer::Forbid => (Decision::Refused, "a policy forbids it"),
        Answer::Permit | Answer::Silent => (Decision::Allowed, because),
    };
    Access { decision, because: because.to_owned(), policies: verdict.because }
}

/// The role that is enough where nothing else is asked for.
fn role_for(action: &str) -> Role {
    match action {
        actions::TEST => Role::Operator,
        actions::RESPOND => Role::Responder,
        actions::CONFIGURE => Role::Admin,
        actions::APPROVE => Role::Approver,
        _ => Role::Service,
    }
}

/// Somebody who is known: the asking one, or a token.
async fn known(state: &AppState, asking: &Who, name: &str) -> Result<Arc<Identity>, Problem> {
    if name == "me" || name == asking.caller.subject {
        return Ok(Arc::new((**asking).clone()));
    }
    if let Some(grant) = state.directory().named(name) {
        return Ok(Arc::new(grant.identity("token")));
    }
    crate::session::identity_of(state, name).await?.ok_or_else(|| {
        let detail = format!(
            "nobody is known as `{name}`: there is no such API token and nobody of that name is signed in; with their own token the name is `me`"
        );
        Problem::new(http::StatusCode::NOT_FOUND, detail).at("who")
    })
}

/// What is asked about.
struct Asked {
    kind: ResourceKind,
    name: String,
    team: Option<String>,
    needs: BTreeSet<String>,
    severity: Option<String>,
    lets_in: LetsIn,
    guard: Guard,
}

impl Asked {
    /// What is asked for before policies, in words.
    fn told(&self, role: Role) -> Vec<String> {
        // A role of Trackside is asked for under both of its spellings.
        let twice = |name: &str| name.strip_prefix("role:").is_some_and(|role| self.needs.contains(role));
        match self.lets_in {
            LetsIn::Holders if self.needs.is_empty() => vec![format!("the role {role}")],
            LetsIn::Holders => self.needs.iter().filter(|name| !twice(name)).cloned().collect(),
            LetsIn::Known => vec!["a credential that is known".to_owned()],
            LetsIn::Everybody => vec!["nothing".to_owned()],
        }
    }

    async fn of(state: &AppState, text: &str) -> Result<Self, Problem> {
        let expected = "`route:NAME`, `job:NAME`, `connection:NAME`, `incident:NUMBER` or `server:AREA`";
        let bad = || Problem::bad("resource", format!("`{text}` is none of {expected}"));
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(bad)?;
        let configured = state.configured();
        let plain = |kind| Self {
            kind,
            name: name.to_owned(),
            team: None,
            needs: BTreeSet::new(),
            severity: None,
            lets_in: LetsIn::Holders,
            guard: Guard::Open,
        };
        match kind {
            "route" => {
                let route = configured.routes.get(name).ok_or_else(|| Problem::missing("route", name))?;
                let RouteAccess { owner, needs, lets_in, guard } = route.clone();
                Ok(Self { needs, team: owner, lets_in, guard, ..plain(ResourceKind::Route) })
            }
            "job" => {
                let job = configured.ruleset.jobs.get(name).ok_or_else(|| Problem::missing("job", name))?;
                let guard = if job.approval.is_some() { Guard::Approval } else { Guard::Open };
                Ok(Self { needs: names(job), team: job.owner.clone(), guard, ..plain(ResourceKind::Job) })
            }
            "connection" if configured.connections.contains_key(name) => Ok(plain(ResourceKind::Connection)),
            "connection" => Err(Problem::missing("connection", name)),
            "incident" => {
                let incident = find(state, name).await?.incident;
                let severity = Some(incident.severity.as_str().to_owned());
                let (name, team) = (incident.number.to_string(), Some(incident.owner.to_string()));
                Ok(Self { name, team, severity, ..plain(ResourceKind::Incident) })
            }
            "server" => Ok(plain(ResourceKind::Server)),
            _ => Err(bad()),
        }
    }
}
