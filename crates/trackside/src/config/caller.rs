//! Judges who is let in: issuers and client certificates, together with teams and TLS.

use super::merge::Origins;
use super::problem::Problem;
use super::{Config, Sections, ServerSettings};
use std::collections::BTreeMap;
use trackside_core::ruleset::Team;
use trackside_identity::issuer::config::{Keys, RoleScope};
use trackside_identity::issuer::{IssuerConfig, Issuers};
use trackside_identity::jwks::KeySet;
use trackside_identity::jwks::cache::read_file;
use trackside_identity::secret::{SecretError, Secrets};

/// Finds groups of the directory that are mapped to teams that are not there.
pub(super) fn check_groups(sections: &Sections, origins: &Origins<'_>, problems: &mut Vec<Problem>) {
    let groups = sections.scim.iter().flat_map(|scim| &scim.groups);
    for (group, team) in groups.filter(|(_, team)| !sections.teams.contains_key(*team)) {
        problems.push(origins.problem(&format!("scim.groups.{group}"), format!("there is no team `{team}`")));
    }
}

/// Finds what is wrong.
pub(super) fn check(sections: &Sections, server: &ServerSettings, origins: &Origins<'_>, problems: &mut Vec<Problem>) {
    for (name, invalid) in Issuers::check(&sections.issuers) {
        problems.push(origins.problem(&format!("issuers.{name}.{}", invalid.field), invalid.problem));
    }
    for (name, issuer) in &sections.issuers {
        teams(name, issuer, &sections.teams, origins, problems);
    }
    let client_ca = server.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
    for (index, rule) in sections.certificates.iter().enumerate() {
        let mut wrong = |field: &str, problem: String| {
            problems.push(origins.problem(&format!("certificates[{index}].{field}"), problem));
        };
        if let Err((field, problem)) = rule.check() {
            wrong(field, problem);
        }
        if let Some(team) = rule.team.as_ref().filter(|team| !sections.teams.contains_key(*team)) {
            wrong("team", format!("there is no team `{team}`"));
        }
        if sections.certificates[..index].iter().any(|earlier| earlier.name == rule.name) {
            wrong("name", format!("`{}` is used twice", rule.name));
        }
        if sections.tokens.iter().any(|token| token.name == rule.name) {
            wrong("name", format!("a token is named `{}` too; the audit could not tell them apart", rule.name));
        }
        if client_ca.is_none() && index == 0 {
            let problem = "no client certificate can come in: name the authority in `server.tls.client_ca`";
            wrong("name", problem.to_owned());
        }
    }
}

/// The teams that an issuer's rules name must be there.
fn teams(
    name: &str,
    issuer: &IssuerConfig,
    teams: &BTreeMap<String, Team>,
    origins: &Origins<'_>,
    problems: &mut Vec<Problem>,
) {
    let mut named: Vec<(String, &String)> = Vec::new();
    for (index, rule) in issuer.map.iter().enumerate() {
        if let RoleScope::Teams(teams) = &rule.scope {
            named.extend(teams.iter().map(|team| (format!("map[{index}].scope"), team)));
        }
    }
    if let Some(claim) = &issuer.teams {
        named.extend(claim.map.iter().map(|(group, team)| (format!("teams.map.{group}"), team)));
    }
    for (field, team) in named.into_iter().filter(|(_, team)| !teams.contains_key(*team)) {
        problems.push(origins.problem(&format!("issuers.{name}.{field}"), format!("there is no team `{team}`")));
    }
}

/// What cannot be had here: secrets of introspection, and files with keys.
pub(super) fn unusable_here(config: &Config, secrets: &Secrets, origins: &Origins<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, issuer) in &config.issuers {
        let mut wrong = |field: &str, problem: String| {
            found.push(origins.problem(&format!("issuers.{name}.{field}"), problem));
        };
        match issuer.introspection.as_ref().map(|asked| asked.secret.resolve(secrets)) {
            None | Some(Ok(_) | Err(SecretError::NotFetched(_))) => {}
            Some(Err(error)) => wrong("introspection.secret", error.to_string()),
        }
        if let Keys::File(path) = &issuer.keys {
            let read = read_file(path).and_then(|bytes| KeySet::parse(&bytes, &issuer.algorithms()));
            if let Err(problem) = read {
                wrong("keys", problem);
            }
        }
    }
    found
}
