//! From claims to an identity: subject, names, teams, rights, attributes.
//!
//! Invariants: what goes into the subject, a name or an attribute is printable ASCII and bounded, so that it can stand in
//! a header, a log and a page; a role comes from `map` alone; the chain of actors is kept whole or the token is refused.

use super::config::{IssuerConfig, KindRule, MapRule, RoleScope, Values};
use super::profile;
use crate::directory::{Identity, Kind};
use crate::jwt::claims::is_plain;
use crate::jwt::{BadToken, Claims, TEXT_BYTES};
use crate::rights::{Rights, Scope};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::caller::Caller;

/// Claims that name a person (OpenID Connect Core §5.1; `oid`, `upn` and `unique_name` are Entra's).
const NAMING: &[&str] = &["sub", "oid", "email", "preferred_username", "upn", "unique_name", "username", "login"];
/// Most actors in a chain (RFC 8693 §4.1).
const ACTORS: usize = 8;

/// What an issuer says, as an identity.
pub(super) fn identity(
    name: &str,
    config: &IssuerConfig,
    claims: &Claims,
    via: &str,
    expires: Option<Timestamp>,
) -> Result<Identity, BadToken> {
    profile::nothing_left_out(config, claims)?;
    let claim = profile::subject_claim(config);
    let subject = claims.required(claim)?;
    let subject = match claim {
        // A bare number says nothing in an audit.
        "repository_id" | "project_id" | "build_type_internal_id" => format!("{name}:{claim}:{subject}"),
        _ => format!("{name}:{subject}"),
    };
    let teams = teams(config, claims);
    Ok(Identity {
        token_name: subject.clone(),
        caller: Caller {
            token: ["jti", "uti"].iter().find_map(|claim| claims.text(claim).ok()?).map(str::to_owned),
            behalf: actors(name, claims)?,
            ..Caller::new(subject, via)
        },
        kind: kind(config, claims),
        rights: rights(config, claims, &teams),
        team: (teams.len() == 1).then(|| teams.first().cloned()).flatten(),
        teams,
        names: names(config, claims),
        issuer: Some(name.to_owned()),
        attributes: attributes(config, claims),
        aliases: aliases(claims),
        expires,
    })
}

fn kind(config: &IssuerConfig, claims: &Claims) -> Kind {
    match &config.kind {
        Some(KindRule::Person) => Kind::Person,
        Some(KindRule::Service) => Kind::Service,
        Some(KindRule::ServiceWhen(when)) if applies(when, claims) => Kind::Service,
        Some(KindRule::ServiceWhen(_)) => Kind::Person,
        None => profile::kind(config.profile, claims),
    }
}

fn applies(when: &BTreeMap<String, Values>, claims: &Claims) -> bool {
    when.iter().all(|(claim, values)| match scopes(claim, claims) {
        Some(scopes) => profile::any_fits(values, scopes.map(Into::into)),
        None => profile::any_fits(values, claims.texts(claim)),
    })
}

/// The single scopes of `scope` and `scp`, when those are texts: names separated by spaces (RFC 6749 §3.3). No other
/// claim is split.
fn scopes<'a>(claim: &str, claims: &'a Claims) -> Option<std::str::Split<'a, char>> {
    match claims.get(claim) {
        Some(Value::String(text)) if matches!(claim, "scope" | "scp") => Some(text.split(' ')),
        _ => None,
    }
}

fn names(config: &IssuerConfig, claims: &Claims) -> BTreeSet<String> {
    let default = ["roles", "scope", "scp"].map(str::to_owned);
    let from = config.names_from.as_deref().unwrap_or(&default);
    let mut names = BTreeSet::new();
    for claim in from {
        match scopes(claim, claims) {
            Some(scopes) => names.extend(scopes.filter(|name| is_plain(name)).map(str::to_owned)),
            None => names.extend(claims.texts(claim).filter(|name| is_plain(name)).map(std::borrow::Cow::into_owned)),
        }
    }
    names
}

fn teams(config: &IssuerConfig, claims: &Claims) -> BTreeSet<String> {
    let Some(teams) = &config.teams else { return BTreeSet::new() };
    claims.texts(&teams.claim).filter_map(|group| teams.map.get(&*group).cloned()).collect()
}

fn rights(config: &IssuerConfig, claims: &Claims, own: &BTreeSet<String>) -> Rights {
    let mut rights = Rights::default();
    for MapRule { role, scope, .. } in config.map.iter().filter(|rule| applies(&rule.when, claims)) {
        match scope {
            RoleScope::Everywhere => rights.grant(*role, Scope::Everywhere),
            RoleScope::OwnTeams if own.is_empty() => {}
            RoleScope::OwnTeams => rights.grant(*role, Scope::Teams(own.clone())),
            RoleScope::Teams(teams) => rights.grant(*role, Scope::Teams(teams.clone())),
        }
    }
    rights
}

fn attributes(config: &IssuerConfig, claims: &Claims) -> BTreeMap<String, String> {
    let told = profile::told(config.profile).iter().map(|claim| (*claim, *claim));
    let configured = config.attributes.iter().map(|(name, claim)| (name.as_str(), claim.as_str()));
    let mut attributes = BTreeMap::new();
    for (name, claim) in [("sub", "sub")].into_iter().chain(told).chain(configured) {
        if is_unverified(claim, claims) {
            continue;
        }
        let text = claims.texts(claim).collect::<Vec<_>>().join(" ");
        if is_plain(&text) && text.len() <= TEXT_BYTES {
            attributes.insert(name.to_owned(), text);
        }
    }
    if let Some(client) = profile::client(claims).filter(|client| is_plain(client)) {
        attributes.entry("client".to_owned()).or_insert_with(|| client.to_owned());
    }
    attributes
}

/// What the claims that name a person say, whichever of them is the subject.
fn aliases(claims: &Claims) -> BTreeSet<String> {
    let texts = NAMING.iter().filter_map(|claim| claims.get(claim)?.as_str());
    texts.filter(|text| is_plain(text)).map(str::to_owned).collect()
}

/// Whether the issuer says of an address that nobody has shown to own it (OpenID Connect Core §5.1). It is then a text
/// that somebody typed in, perhaps somebody else's.
fn is_unverified(claim: &str, claims: &Claims) -> bool {
    claim == "email" && claims.texts("email_verified").any(|verified| verified.eq_ignore_ascii_case("false"))
}

/// The chain of `act` claims, nearest first.
fn actors(name: &str, claims: &Claims) -> Result<Vec<String>, BadToken> {
    let mut chain = Vec::new();
    let mut next = claims.get("act");
    while let Some(actor) = next {
        let sub = actor.get("sub").and_then(Value::as_str).filter(|sub| is_plain(sub));
        let sub = sub.ok_or_else(|| BadToken::claim("act", "must name each actor with a plain `sub`"))?;
        if chain.len() == ACTORS {
            return Err(BadToken::claim("act", "names more than 8 actors"));
        }
        chain.push(format!("{name}:{sub}"));
        next = actor.get("act");
    }
    Ok(chain)
}
