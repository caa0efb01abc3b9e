//! An issuer as configured: whose tokens are taken, for whom they must be made, and what their claims mean here.
//!
//! Invariants: an issuer without audience does not exist, as tokens made for others would open Trackside; a role comes
//! from a rule of `map` and from nowhere else. What only a profile demands is checked in [`super::profile`].

use super::discovery::Address;
use super::profile;
use crate::jwt::Algorithm;
use crate::role::Role;
use crate::secret::SecretRef;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use trackside_core::ruleset::Span;

/// Leeway when nothing is said.
const LEEWAY: SignedDuration = SignedDuration::from_secs(30);
/// Most leeway.
const MOST_LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The issuer exactly as in its tokens' `iss`, to the last character.
    pub issuer: String,
    /// Which kind of issuer it is, hence what a token must hold.
    #[serde(default)]
    pub profile: Profile,
    /// For whom tokens must be made: one of these must be in `aud`.
    pub audience: Vec<String>,
    /// Signature algorithms; default RS256, PS256, ES256 and EdDSA (TeamCity: RS256, RS384 and ES256).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub algorithms: BTreeSet<Algorithm>,
    /// Types (`typ` of the header) that tokens may have. Default: what the profile says; `[at+jwt]` is stricter.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub types: BTreeSet<String>,
    /// Where its keys are.
    #[serde(default)]
    pub keys: Keys,
    /// How far clocks may be apart, 0s to 60s; default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leeway: Option<Span>,
    /// How opaque tokens are asked about (RFC 7662). Signed tokens never are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspection>,
    /// Applications whose tokens are taken (`azp`, `appid` or `client_id`; for Entra also `oid`); empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub clients: BTreeSet<String>,
    /// Claim that says who it is; default `sub` (Entra: `oid`; build servers: the immutable id of what is built).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_claim: Option<String>,
    /// Claims whose texts routes and jobs may ask for by name; default `roles`, `scope` and `scp`. A claim inside another
    /// is a JSON pointer: `/realm_access/roles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names_from: Option<Vec<String>>,
    /// Claims that policies may look at: name for the policies, and the claim.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Which teams they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teams: Option<TeamClaim>,
    /// What they may do in Trackside. Rights of all rules that apply add up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<MapRule>,
    /// Whether they are people or programs; default: as far as the token shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<KindRule>,
}

/// Kinds of issuers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Any issuer of signed access tokens: Keycloak, Okta, Auth0, Google and others.
    #[default]
    Standard,
    /// An issuer that follows RFC 9068 (`typ: at+jwt`).
    AccessToken,
    /// Microsoft Entra ID, one tenant, version 1 or 2 of its tokens.
    Entra,
    /// Jobs of GitHub Actions.
    Github,
    /// Jobs of GitLab CI.
    Gitlab,
    /// Builds of TeamCity.
    Teamcity,
}

/// Where keys are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// Where the issuer's discovery page says.
    #[default]
    Discovery,
    /// A JWK set in a file, read again when it changes.
    File(PathBuf),
    /// A JWK set at an address.
    Url(String),
}

/// How opaque tokens are asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// Where; default: as the discovery page says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Our name there.
    pub client_id: String,
    /// Our secret there.
    pub secret: SecretRef,
}

/// How groups become teams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamClaim {
    /// The claim with the groups.
    pub claim: String,
    /// From group (its id, where the issuer sends ids) to team.
    pub map: BTreeMap<String, String>,
}

/// One value or several, of which one must fit. `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Values {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// A rule that gives a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapRule {
    /// Claims that must all have one of these values; none: every token that is taken.
    #[serde(default)]
    pub when: BTreeMap<String, Values>,
    /// The role.
    pub role: Role,
    /// Where it holds.
    #[serde(default)]
    pub scope: RoleScope,
}

/// Where a role holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleScope {
    /// For everything.
    #[default]
    Everywhere,
    /// For what the caller's own teams own.
    OwnTeams,
    /// For what these teams own.
    Teams(BTreeSet<String>),
}

/// Who counts as a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindRule {
    /// Nobody.
    Person,
    /// Everybody.
    Service,
    /// Who has these claims.
    ServiceWhen(BTreeMap<String, Values>),
}

/// A part that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which part, as a path: `map[0].when`.
    pub field: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl Invalid {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl Values {
    /// The values.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

impl IssuerConfig {
    /// Clock leeway in force.
    #[must_use]
    pub fn leeway(&self) -> SignedDuration {
        self.leeway.map_or(LEEWAY, |leeway| leeway.0)
    }

    /// Algorithms in force.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        if self.algorithms.is_empty() {
            return profile::algorithms(self.profile).to_vec();
        }
        self.algorithms.iter().copied().collect()
    }

    /// Every claim that a rule looks at, with where it stands.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (String, &String, &Values)> {
        self.map.iter().enumerate().flat_map(|(index, rule)| {
            rule.when.iter().map(move |(claim, values)| (format!("map[{index}].when.{claim}"), claim, values))
        })
    }

    /// Whether anything here depends on a claim.
    pub(super) fn reads(&self, claim: &str) -> bool {
        let kind = match &self.kind {
            Some(KindRule::ServiceWhen(when)) => when.contains_key(claim),
            Some(KindRule::Person | KindRule::Service) | None => false,
        };
        kind || self.conditions().any(|(_, condition, _)| condition == claim)
            || self.teams.as_ref().is_some_and(|teams| teams.claim == claim)
            || self.names_from.as_ref().is_some_and(|names| names.iter().any(|name| name == claim))
            || self.attributes.values().any(|attribute| attribute == claim)
    }

    /// Everything that is wrong with it.
    #[must_use]
    pub fn check(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        if let Err(problem) = Address::parse(&self.issuer) {
            found.push(Invalid::new("issuer", problem));
        }
        if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            let problem = "name the audience that tokens for Trackside are made for; without one, a token made for any \
                           other application would open it";
            found.push(Invalid::new("audience", problem));
        }
        if !(SignedDuration::ZERO..=MOST_LEEWAY).contains(&self.leeway()) {
            found.push(Invalid::new("leeway", "must be between 0s and 60s; set clocks right instead"));
        }
        if let Keys::Url(url) = &self.keys
            && let Err(problem) = Address::parse(url)
        {
            found.push(Invalid::new("keys", problem));
        }
        if let Some(Introspection { url: Some(url), .. }) = &self.introspection
            && let Err(problem) = Address::parse(url)
        {
            found.push(Invalid::new("introspection.url", problem));
        }
        if self.introspection.as_ref().is_some_and(|asked| asked.url.is_none()) && self.keys != Keys::Discovery {
            found.push(Invalid::new("introspection.url", "is needed when keys do not come from the discovery page"));
        }
        for (field, _, values) in self.conditions() {
            if values.all().is_empty() {
                found.push(Invalid::new(field, "name at least one value"));
            }
        }
        let own = self.map.iter().position(|rule| rule.scope == RoleScope::OwnTeams);
        if let Some(index) = own.filter(|_| self.teams.is_none()) {
            let problem = "nobody has teams of their own: say with `teams` which groups are which teams";
            found.push(Invalid::new(format!("map[{index}].scope"), problem));
        }
        found.extend(profile::check(self));
        found
    }
}
