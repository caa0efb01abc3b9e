//! Whether somebody may do something: roles and names first, then policies.
//!
//! The one place where the two meet; the API, the gateway, jobs and approvals ask here, and `trackside access explain`
//! shows the same answer. Invariants: a policy that forbids wins over everything; a policy may permit what roles leave
//! open; without either the answer is no. Nothing is cached.

use crate::question::{Answer, Judge, Question, Verdict};
use crate::role::Role;
use serde::Serialize;
use std::collections::BTreeSet;

/// What a place asks for, before policies.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// A caller with any of these is let in: names of the issuer, scopes of an API token, teams as `team:NAME`, roles of
    /// Trackside as `role:NAME`. Empty: the role below is enough.
    pub names: &'a BTreeSet<String>,
    /// The role that is enough when there are no names, for the team that owns the resource.
    pub role: Role,
}

/// The answer with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Yes or no.
    pub decision: Decision,
    /// What decided, for people ("policy `no-friday-deploys` forbids it").
    pub because: String,
    /// Policies that decided, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No.
    Refused,
}

impl Access {
    /// Whether it is a yes.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.decision == Decision::Allowed
    }
}

/// Decides.
#[must_use]
pub fn decide(question: &Question<'_>, needs: Needs<'_>, judge: &Judge) -> Access {
    let verdict = judge(question);
    let by_role = by_role(question, needs);
    match (verdict.answer, by_role) {
        (Answer::Forbid, _) => {
            let because = if verdict.errors.is_empty() {
                format!("{} forbids it", policies(&verdict))
            } else {
                format!("{} could not be evaluated: {}", policies(&verdict), verdict.errors.join("; "))
            };
            Access { decision: Decision::Refused, because, policies: verdict.because }
        }
        (_, Ok(because)) => Access { decision: Decision::Allowed, because, policies: verdict.because },
        (Answer::Permit, Err(_)) => {
            let because = format!("{} permits it", policies(&verdict));
            Access { decision: Decision::Allowed, because, policies: verdict.because }
        }
        (Answer::Silent, Err(because)) => Access {
            decision: Decision::Refused,
            because: format!("{because}; no policy permits it"),
            policies: Vec::new(),
        },
    }
}

/// What roles and names say: why yes, or why no.
fn by_role(question: &Question<'_>, needs: Needs<'_>) -> Result<String, String> {
    let who = question.who;
    if needs.names.is_empty() {
        let (role, rights, team) = (needs.role, &who.rights, question.resource.team);
        return if rights.allow_for(role, team) {
            Ok(format!("the role `{role}` is held ({rights})"))
        } else if rights.allow(role) {
            let team = team.unwrap_or("nobody");
            Err(format!("the role `{role}` is not held for what {team} owns ({rights})"))
        } else {
            Err(format!("this needs the role `{role}`; held: {rights}"))
        };
    }
    let held = needs.names.iter().find(|name| match name.split_once(':') {
        Some(("team", team)) => who.teams.contains(team),
        Some(("role", role)) => role.parse().is_ok_and(|role| who.rights.allow_for(role, question.resource.team)),
        _ => who.names.contains(*name),
    });
    held.map(|name| format!("`{name}` is held")).ok_or_else(|| {
        let names: Vec<&str> = needs.names.iter().map(String::as_str).collect();
        format!("this needs any of `{}`", names.join("`, `"))
    })
}

/// "policy `a`", "policies `a` and `b`"
fn policies(verdict: &Verdict) -> String {
    match verdict.because.as_slice() {
        [] => "a policy".to_owned(),
        [one] => format!("policy `{one}`"),
        several => format!("policies `{}`", several.join("` and `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Identity, Kind};
    use crate::question::{Context, Resource, ResourceKind, actions};
    use crate::rights::Scope;
    use jiff::Timestamp;
    use std::sync::Arc;
    use trackside_core::caller::Caller;

    fn check(who: &Identity, names: &[&str], answer: Answer, expect: (Decision, &str)) {
        let judge: Judge = Arc::new(move |_| {
            let because = if answer == Answer::Silent { Vec::new() } else { vec!["p".to_owned()] };
            Verdict { answer, because, errors: Vec::new() }
        });
        let context = Context::at(Timestamp::UNIX_EPOCH);
        let resource = Resource { kind: ResourceKind::Job, name: "load", team: Some("payments") };
        let question = Question { who, action: actions::START, resource, context: &context };
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let access = decide(&question, Needs { names: &names, role: Role::Service }, &judge);
        assert_eq!((access.decision, access.because.as_str()), expect, "{names:?} {answer:?}");
    }

    #[test]
    fn roles_first_then_policies() {
        use Answer::{Forbid, Permit, Silent};
        use Decision::{Allowed, Refused};
        let service = Identity::simple(Caller::new("etl", "token"), Kind::Service, Role::Service);
        let viewer = Identity::simple(Caller::new("ana", "session"), Kind::Person, Role::Viewer);
        let mut ml = viewer.clone();
        ml.rights.grant(Role::Operator, Scope::Teams(["ml".to_owned()].into()));
        ml.names.insert("jobs.run".to_owned());
        ml.teams.insert("ml".to_owned());
        check(&service, &[], Silent, (Allowed, "the role `service` is held (service)"));
        check(&service, &[], Forbid, (Refused, "policy `p` forbids it"));
        check(&viewer, &[], Silent, (Refused, "this needs the role `service`; held: viewer; no policy permits it"));
        check(&viewer, &[], Permit, (Allowed, "policy `p` permits it"));
        let not_theirs =
            "the role `service` is not held for what payments owns (viewer, operator for ml); no policy permits it";
        check(&ml, &[], Silent, (Refused, not_theirs));
        check(&ml, &["jobs.run", "admin"], Silent, (Allowed, "`jobs.run` is held"));
        check(&ml, &["team:ml"], Silent, (Allowed, "`team:ml` is held"));
        check(&ml, &["role:viewer"], Silent, (Allowed, "`role:viewer` is held"));
        check(&ml, &["role:operator"], Silent, (Refused, "this needs any of `role:operator`; no policy permits it"));
        check(&service, &["jobs.run"], Silent, (Refused, "this needs any of `jobs.run`; no policy permits it"));
    }
}
