//! Unit tests of policies, written beside them in the configuration.
//!
//! A case is a question spelled out and the answer that is expected, with the policies that give it. `trackside policy
//! test` runs them; nothing of a server is needed. What is left out of a case is absent, not guessed.

use crate::Policies;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use trackside_core::caller::Caller;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::question::{Answer, Context, Question, Resource, ResourceKind, Verdict, actions};
use trackside_identity::rights::{Rights, Scope};
use trackside_identity::role::UnknownRole;

/// A test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyCase {
    /// What it shows.
    pub name: String,
    /// Who asks.
    pub who: CaseCaller,
    /// What for: `call`, `start`, `cancel`, `approve`, `test`, `respond`, `configure`.
    pub action: String,
    /// With what.
    pub resource: CaseResource,
    /// Under which circumstances.
    #[serde(default)]
    pub context: CaseContext,
    /// What policies shall say.
    pub expect: Expected,
    /// The policies that shall say so. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<BTreeSet<String>>,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaseCaller {
    /// Subject.
    pub subject: String,
    /// A person or a service; default service.
    pub kind: CaseKind,
    /// How they came in; default `jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Issuer in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Roles of Trackside: `operator`, or `operator:payments` for one team.
    pub roles: BTreeSet<String>,
    /// Teams.
    pub teams: BTreeSet<String>,
    /// Roles, scopes and groups of the issuer.
    pub names: BTreeSet<String>,
    /// Claims.
    pub attributes: BTreeMap<String, String>,
    /// On whose behalf, nearest first.
    pub behalf: Vec<String>,
}

/// What calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseKind {
    /// A person.
    Person,
    /// A program.
    #[default]
    Service,
}

/// With what: one of the kinds, and the team that owns it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaseResource {
    /// Name of a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Name of a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Name of a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Id of an incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// `tokens`, `configuration`, `audit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Team that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// Circumstances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaseContext {
    /// When; default 2026-01-05T12:00:00Z, a Monday.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// HTTP method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// Severity of the incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Who approved; somebody did when this is not empty.
    pub approvers: Vec<String>,
    /// Scalar members of a job's input.
    pub input: BTreeMap<String, String>,
}

/// What policies shall say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// A policy permits and none forbids.
    Permit,
    /// A policy forbids.
    Forbid,
    /// No policy speaks about it; roles decide.
    Silent,
}

/// A case that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct BadCase {
    /// Path of the value within the case (`resource`).
    pub path: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// A case that did not come out as expected, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexpected {
    /// What was expected.
    pub expected: Expected,
    /// What the policies said.
    pub verdict: Verdict,
}

impl PolicyCase {
    /// Asks the policies.
    ///
    /// # Errors
    /// [`BadCase`] when the case makes no sense; the inner result says whether it came out as expected.
    pub fn run(&self, policies: &Policies) -> Result<Result<(), Unexpected>, BadCase> {
        let who = self.who.identity()?;
        let (kind, name) = self.resource.named()?;
        if !actions::ALL.contains(&self.action.as_str()) {
            let problem = format!("`{}` is not an action; the actions are {}", self.action, actions::ALL.join(", "));
            return Err(BadCase { path: "action", problem });
        }
        let context = self.context.context();
        let resource = Resource { kind, name, team: self.resource.team.as_deref() };
        let verdict = policies.answer(&Question { who: &who, action: &self.action, resource, context: &context });
        let as_expected = self.expect.answer() == verdict.answer
            && self.because.as_ref().is_none_or(|because| verdict.because.iter().eq(because.iter()));
        Ok(if as_expected { Ok(()) } else { Err(Unexpected { expected: self.expect, verdict }) })
    }
}

impl CaseCaller {
    /// The caller as an identity.
    ///
    /// # Errors
    /// When a role is none.
    pub fn identity(&self) -> Result<Identity, BadCase> {
        let via = self.via.as_deref().unwrap_or("jwt");
        let mut rights = Rights::default();
        for role in &self.roles {
            let (name, team) = role.split_once(':').map_or((role.as_str(), None), |(name, team)| (name, Some(team)));
            let parsed = name
                .parse()
                .map_err(|unknown: UnknownRole| BadCase { path: "who.roles", problem: unknown.to_string() })?;
            let scope = team.map_or(Scope::Everywhere, |team| Scope::Teams([team.to_owned()].into()));
            rights.grant(parsed, scope);
        }
        Ok(Identity {
            caller: Caller { behalf: self.behalf.clone(), ..Caller::new(self.subject.clone(), via) },
            kind: if self.kind == CaseKind::Person { Kind::Person } else { Kind::Service },
            rights,
            team: None,
            teams: self.teams.clone(),
            names: self.names.clone(),
            issuer: self.issuer.clone(),
            attributes: self.attributes.clone(),
            aliases: BTreeSet::new(),
            expires: None,
            token_name: self.subject.clone(),
        })
    }
}

impl CaseResource {
    fn named(&self) -> Result<(ResourceKind, &str), BadCase> {
        let all = [
            (ResourceKind::Route, &self.route),
            (ResourceKind::Job, &self.job),
            (ResourceKind::Connection, &self.connection),
            (ResourceKind::Incident, &self.incident),
            (ResourceKind::Server, &self.server),
        ];
        let mut given = all.into_iter().filter_map(|(kind, name)| Some((kind, name.as_deref()?)));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(BadCase {
                path: "resource",
                problem: "needs exactly one of `route`, `job`, `connection`, `incident` and `server`".to_owned(),
            }),
        }
    }
}

impl CaseContext {
    fn context(&self) -> Context {
        // Monday, 2026-01-05 12:00 UTC.
        let noon = Timestamp::from_second(1_767_614_400).unwrap_or(Timestamp::UNIX_EPOCH);
        Context {
            method: self.method.clone(),
            path: self.path.clone(),
            client: self.client,
            severity: self.severity.clone(),
            approved: !self.approvers.is_empty(),
            approvers: self.approvers.clone(),
            input: self.input.clone(),
            ..Context::at(self.at.unwrap_or(noon))
        }
    }
}

impl Expected {
    fn answer(self) -> Answer {
        match self {
            Self::Permit => Answer::Permit,
            Self::Forbid => Answer::Forbid,
            Self::Silent => Answer::Silent,
        }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |answer: Answer| match answer {
            Answer::Permit => "permit",
            Answer::Forbid => "forbid",
            Answer::Silent => "silent",
        };
        write!(f, "expected {}, got {}", word(self.expected.answer()), word(self.verdict.answer))?;
        if !self.verdict.because.is_empty() {
            write!(f, " by {}", self.verdict.because.join(", "))?;
        }
        if !self.verdict.errors.is_empty() {
            write!(f, " ({})", self.verdict.errors.join("; "))?;
        }
        Ok(())
    }
}
