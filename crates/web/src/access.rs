//! Whether a caller may do one thing to one thing: what the role of a route leaves open.
//!
//! The route table asks for a role that is held anywhere; handlers that change something of a team ask here whether it is
//! held for that team, and what policies say. Invariant: a refusal is in the audit.

pub(crate) mod refusals;
pub(crate) mod teams;

use crate::problem::Problem;
use crate::state::AppState;
use http::StatusCode;
use refusals::Refused;
use std::collections::BTreeSet;
use trackside_core::caller::{Authority, Caller};
use trackside_core::incident::Incident;
use trackside_identity::access::{Access, Needs, decide};
use trackside_identity::directory::Identity;
use trackside_identity::question::{Context, Question, Resource, ResourceKind, actions};
use trackside_identity::role::Role;

/// A wish that is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// What: a word of [`actions`].
    pub(crate) action: &'static str,
    /// With what.
    pub(crate) resource: Resource<'a>,
    /// What is asked for before policies.
    pub(crate) needs: Needs<'a>,
}

/// No names are asked for: a role is enough.
static NO_NAMES: BTreeSet<String> = BTreeSet::new();

impl<'a> Wish<'a> {
    /// A wish for which a role is enough.
    pub(crate) fn by_role(
        action: &'static str,
        kind: ResourceKind,
        name: &'a str,
        team: Option<&'a str>,
        role: Role,
    ) -> Self {
        Self { action, resource: Resource { kind, name, team }, needs: Needs { names: &NO_NAMES, role } }
    }

    /// To change what is configured: `tokens`, `configuration`, `automations`, `blocks`.
    pub(crate) fn configure(what: &'a str) -> Self {
        Self::by_role(actions::CONFIGURE, ResourceKind::Server, what, None, Role::Admin)
    }

    /// To test a connection.
    pub(crate) fn test(connection: &'a str) -> Self {
        Self::by_role(actions::TEST, ResourceKind::Connection, connection, None, Role::Operator)
    }
}

/// Passes when the caller may.
///
/// # Errors
/// 403 with the reason.
pub(crate) async fn may(
    state: &AppState,
    who: &Identity,
    wish: Wish<'_>,
    context: &Context,
) -> Result<Access, Problem> {
    let access = would(state, who, wish, context);
    if access.allowed() {
        return Ok(access);
    }
    let Resource { kind, name, .. } = wish.resource;
    let refused = Refused {
        kind: wish.action.to_owned(),
        resource: Some(format!("{}:{name}", kind.as_str())),
        because: access.because.clone(),
        policies: access.policies,
    };
    refusals::tell(state, &who.caller, refused).await?;
    Err(Problem::new(StatusCode::FORBIDDEN, access.because))
}

/// Whether the caller might: for pages, which show what could be done. Nothing was tried, so nothing is in the audit.
pub(crate) fn would(state: &AppState, who: &Identity, wish: Wish<'_>, context: &Context) -> Access {
    let question = Question { who, action: wish.action, resource: wish.resource, context };
    decide(&question, wish.needs, &state.configured().judge)
}

/// Passes when the caller may, without circumstances; gives the caller with what lets them.
///
/// # Errors
/// 403 with the reason.
pub(crate) async fn may_now(state: &AppState, who: &Identity, wish: Wish<'_>) -> Result<Caller, Problem> {
    let access = may(state, who, wish, &Context::at(state.now())).await?;
    Ok(with_authority(&who.caller, &access))
}

/// The caller, with what lets them: every audit row of what they do says so.
pub(crate) fn with_authority(caller: &Caller, access: &Access) -> Caller {
    let authority = Authority { because: access.because.clone(), policies: access.policies.clone() };
    Caller { authority: Some(authority), ..caller.clone() }
}

/// Passes when the caller may act on an incident: the role holds for the team that owns it, or a policy permits it. Gives
/// the caller with what lets them.
///
/// # Errors
/// 403 with the reason.
pub(crate) async fn may_respond(state: &AppState, who: &Identity, incident: &Incident) -> Result<Caller, Problem> {
    let number = incident.number.to_string();
    let wish =
        Wish::by_role(actions::RESPOND, ResourceKind::Incident, &number, Some(&*incident.owner), Role::Responder);
    let severity = Some(incident.severity.as_str().to_owned());
    let access = may(state, who, wish, &Context { severity, ..Context::at(state.now()) }).await?;
    Ok(with_authority(&who.caller, &access))
}
