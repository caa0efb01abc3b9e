//! What kinds of issuers differ in: what a token must hold, who its subject is, what a rule may rely on.
//!
//! Invariants: an ID token or logout token is never taken as an access token (RFC 8725 §3.11, §3.12); a build server's
//! rule relies on an id that is never given to somebody else, because names of repositories and projects are; an Entra
//! token that nobody assigned a role to is not taken, because every application of the tenant can get one.

use super::config::{Invalid, IssuerConfig, Profile, Values};
use crate::directory::Kind;
use crate::jwt::{Algorithm, BadToken, Claims, Header};

/// Algorithms that are taken when the configuration names none.
pub(super) fn algorithms(profile: Profile) -> &'static [Algorithm] {
    use Algorithm::{ES256, EdDSA, PS256, RS256, RS384};
    match profile {
        Profile::Teamcity => &[RS256, RS384, ES256],
        Profile::Entra | Profile::Github | Profile::Gitlab => &[RS256],
        Profile::Standard | Profile::AccessToken => &[RS256, PS256, ES256, EdDSA],
    }
}

/// What build servers say about a build: the claims that stand for it, and those that only look so.
struct Builds {
    /// Never given to another; a rule must name one.
    ids: &'static [&'static str],
    /// Names that can change hands, and what to use instead.
    names: &'static [(&'static str, &'static str)],
    /// The claim the subject is made of.
    subject: &'static str,
    /// Claims that are kept for policies and the audit.
    told: &'static [&'static str],
}

fn builds(profile: Profile) -> Option<&'static Builds> {
    const GITHUB: Builds = Builds {
        ids: &["repository_id", "repository_owner_id", "enterprise_id"],
        names: &[
            ("repository", "repository_id"),
            ("repository_owner", "repository_owner_id"),
            ("enterprise", "enterprise_id"),
            ("actor", "actor_id"),
            ("sub", "repository_id"),
        ],
        subject: "repository_id",
        told: &["repository", "ref", "environment", "event_name", "job_workflow_ref", "run_id", "actor_id"],
    };
    const GITLAB: Builds = Builds {
        ids: &["project_id", "namespace_id"],
        names: &[
            ("project_path", "project_id"),
            ("namespace_path", "namespace_id"),
            ("user_login", "user_id"),
            ("user_email", "user_id"),
            ("sub", "project_id"),
        ],
        subject: "project_id",
        told: &["project_path", "ref", "ref_protected", "environment", "pipeline_id", "job_id", "user_id"],
    };
    const TEAMCITY: Builds = Builds {
        ids: &["build_type_internal_id", "project_internal_id"],
        names: &[
            ("build_type_external_id", "build_type_internal_id"),
            ("project_external_id", "project_internal_id"),
            ("sub", "build_type_internal_id"),
        ],
        subject: "build_type_internal_id",
        told: &["build_type_external_id", "project_internal_id", "branch", "trigger_type"],
    };
    match profile {
        Profile::Github => Some(&GITHUB),
        Profile::Gitlab => Some(&GITLAB),
        Profile::Teamcity => Some(&TEAMCITY),
        Profile::Standard | Profile::AccessToken | Profile::Entra => None,
    }
}

/// The claim that says who it is.
pub(super) fn subject_claim(config: &IssuerConfig) -> &str {
    let default = match config.profile {
        Profile::Entra => "oid",
        profile => builds(profile).map_or("sub", |builds| builds.subject),
    };
    config.subject_claim.as_deref().unwrap_or(default)
}

/// Claims that are kept for policies and the audit whatever is configured.
pub(super) fn told(profile: Profile) -> &'static [&'static str] {
    builds(profile).map_or(&[], |builds| builds.told)
}

/// What is wrong with a configuration for its profile.
pub(super) fn check(config: &IssuerConfig) -> Vec<Invalid> {
    let mut found = Vec::new();
    if config.profile == Profile::Entra && tenant(&config.issuer).is_none() {
        let problem = "name one tenant by its id: https://login.microsoftonline.com/TENANT-ID/v2.0, or \
                       https://sts.windows.net/TENANT-ID/ for version 1; `common` and `organizations` would let in every \
                       tenant of the world";
        found.push(Invalid::new("issuer", problem));
    }
    let Some(builds) = builds(config.profile) else { return found };
    let renamed = |claim: &str| builds.names.iter().find(|(name, _)| *name == claim);
    let subject = subject_claim(config);
    if let Some((_, instead)) = renamed(subject) {
        let problem = format!("`{subject}` can be given to somebody else; use `{instead}`");
        found.push(Invalid::new("subject_claim", problem));
    }
    for (field, claim, values) in config.conditions() {
        if let Some((_, instead)) = renamed(claim) {
            let problem = format!("`{claim}` can be renamed, and then belong to somebody else; use `{instead}`");
            found.push(Invalid::new(field, problem));
        } else if builds.ids.contains(&claim.as_str()) && values.all().iter().any(|value| value.contains('*')) {
            found.push(Invalid::new(field, "write the whole id, without `*`"));
        }
    }
    for (index, rule) in config.map.iter().enumerate() {
        if !rule.when.keys().any(|claim| builds.ids.contains(&claim.as_str())) {
            let ids = builds.ids.join("`, `");
            let problem = format!("the rule would apply to the builds of others too; name one of `{ids}`");
            found.push(Invalid::new(format!("map[{index}].when"), problem));
        }
    }
    found
}

/// Whether a verified token is an access token of this profile.
pub(super) fn admit(config: &IssuerConfig, header: &Header, claims: &Claims) -> Result<(), BadToken> {
    right_type(config, header)?;
    not_for_sign_in(claims)?;
    not_bound(claims)?;
    match config.profile {
        Profile::Standard => {}
        Profile::AccessToken => {
            for claim in ["client_id", "jti"] {
                claims.required(claim)?;
            }
            claims.time("iat")?.ok_or_else(|| BadToken::claim("iat", "is missing"))?;
        }
        Profile::Entra => entra(config, claims)?,
        Profile::Github | Profile::Gitlab | Profile::Teamcity => {}
    }
    let known = client(claims).is_some_and(|client| config.clients.contains(client)) || object_allowed(config, claims);
    if !config.clients.is_empty() && !known {
        return Err(BadToken::Purpose("the token was made for an application that is not taken here"));
    }
    Ok(())
}

/// Whether what an issuer says of an opaque token is about an access token that whoever has it may use.
///
/// Servers answer "active" for refresh tokens too (RFC 7662 §2.1 lets them), and say so in different words.
pub(super) fn admit_introspected(claims: &Claims) -> Result<(), BadToken> {
    not_for_sign_in(claims)?;
    not_bound(claims)?;
    let fits = |claim: &str, names: [&str; 2]| match claims.get(claim).and_then(serde_json::Value::as_str) {
        Some(text) => names.iter().any(|name| name.eq_ignore_ascii_case(text)),
        None => true,
    };
    if fits("token_type", ["bearer", "access_token"]) && fits("token_use", ["access", "access_token"]) {
        return Ok(());
    }
    Err(BadToken::Purpose("this is no access token that is taken from whoever has it"))
}

/// Refuses tokens that only the holder of a key may use (RFC 7800, RFC 8705, RFC 9449): no proof is looked at here.
fn not_bound(claims: &Claims) -> Result<(), BadToken> {
    if claims.get("cnf").is_some() {
        return Err(BadToken::Purpose("the token is bound to a key (`cnf`); send one that is not"));
    }
    Ok(())
}

fn right_type(config: &IssuerConfig, header: &Header) -> Result<(), BadToken> {
    let typ = header.typ.as_deref();
    let fits = if !config.types.is_empty() {
        typ.is_some_and(|typ| config.types.iter().any(|own| own.eq_ignore_ascii_case(typ)))
    } else {
        match config.profile {
            Profile::Standard => matches!(typ, None | Some("jwt" | "at+jwt")),
            Profile::AccessToken => typ == Some("at+jwt"),
            Profile::Entra => typ == Some("jwt"),
            Profile::Github | Profile::Gitlab | Profile::Teamcity => matches!(typ, None | Some("jwt")),
        }
    };
    if fits { Ok(()) } else { Err(BadToken::Header("`typ` is not that of an access token taken here")) }
}

/// Refuses what an issuer makes with the same keys for other purposes: ID tokens (OpenID Connect Core §2, §3.3.2.11),
/// logout tokens (Back-Channel Logout §2.4), refresh tokens of Keycloak.
fn not_for_sign_in(claims: &Claims) -> Result<(), BadToken> {
    let own_type = claims.get("typ").and_then(serde_json::Value::as_str);
    if ["at_hash", "c_hash", "s_hash"].iter().any(|claim| claims.get(claim).is_some()) || own_type == Some("ID") {
        return Err(BadToken::Purpose("this is an ID token; send the access token"));
    }
    // Older releases of Keycloak leave the nonce in access tokens, which call themselves `Bearer`.
    if claims.get("nonce").is_some() && own_type != Some("Bearer") {
        return Err(BadToken::Purpose("this is an ID token; send the access token"));
    }
    if claims.get("events").is_some() || matches!(own_type, Some("Refresh" | "Offline" | "Logout")) {
        return Err(BadToken::Purpose("this is no access token"));
    }
    Ok(())
}

/// The tenant in the issuer of an Entra token, and the version.
pub(super) fn tenant(issuer: &str) -> Option<(&str, &'static str)> {
    let is_id = |id: &&str| uuid::Uuid::try_parse(id).is_ok() && id.len() == 36;
    let v1 = issuer.strip_prefix("https://sts.windows.net/").and_then(|rest| rest.strip_suffix('/'));
    if let Some(tenant) = v1.filter(is_id) {
        return Some((tenant, "1.0"));
    }
    let (_, rest) = issuer.strip_suffix("/v2.0")?.split_once("://")?;
    let (_, tenant) = rest.rsplit_once('/')?;
    is_id(&tenant).then_some((tenant, "2.0"))
}

/// Access tokens of Entra (Microsoft identity platform, "Access token claims reference").
fn entra(config: &IssuerConfig, claims: &Claims) -> Result<(), BadToken> {
    let (tenant, version) = tenant(&config.issuer).ok_or(BadToken::Purpose("the issuer names no tenant"))?;
    if claims.required("tid")? != tenant {
        return Err(BadToken::claim("tid", "is another tenant"));
    }
    if claims.required("ver")? != version {
        return Err(BadToken::claim("ver", "does not fit the issuer"));
    }
    // An ID token for the same application has neither of these.
    claims.required(if version == "1.0" { "appid" } else { "azp" })?;
    let has_role = claims.texts("roles").next().is_some();
    let listed = client(claims).is_some_and(|client| config.clients.contains(client)) || object_allowed(config, claims);
    if is_app_only(claims) && !has_role && !listed {
        return Err(BadToken::Purpose(
            "the application was given no role (`roles`); any application of the tenant can get such a token: assign it \
             an app role, or list it under `clients`",
        ));
    }
    Ok(())
}

fn object_allowed(config: &IssuerConfig, claims: &Claims) -> bool {
    let oid = claims.get("oid").and_then(serde_json::Value::as_str);
    config.profile == Profile::Entra && oid.is_some_and(|oid| config.clients.contains(oid))
}

/// Refuses claims that leave out what the configuration reads: a claim may stand elsewhere (OpenID Connect Core §5.6.2),
/// as the groups of Entra do when there are too many. Read as "no groups" it would be wrong.
pub(super) fn nothing_left_out(config: &IssuerConfig, claims: &Claims) -> Result<(), BadToken> {
    let elsewhere = claims.get("_claim_names").and_then(serde_json::Value::as_object);
    let has = claims.get("hasgroups").is_some_and(|has| has != &serde_json::Value::Bool(false));
    let mut left_out = elsewhere.into_iter().flat_map(serde_json::Map::keys).map(String::as_str);
    let Some(claim) =
        left_out.find(|claim| config.reads(claim)).or_else(|| (has && config.reads("groups")).then_some("groups"))
    else {
        return Ok(());
    };
    Err(match claim {
        "groups" => BadToken::Purpose(
            "the token leaves the groups out because there are too many; have the application registration send only \
             groups that are assigned to the application, or use app roles",
        ),
        claim => BadToken::claim(claim, "is not in the token, which says that it stands elsewhere"),
    })
}

/// `idtyp` is optional, so its absence decides nothing; delegated tokens have `scp`.
fn is_app_only(claims: &Claims) -> bool {
    claims.texts("idtyp").any(|kind| kind == "app") || claims.get("scp").is_none()
}

/// The application a token was given to.
pub(super) fn client(claims: &Claims) -> Option<&str> {
    ["azp", "appid", "client_id", "cid"].iter().find_map(|claim| claims.get(claim)?.as_str())
}

/// Whether a program or a person holds the token, as far as it shows.
pub(super) fn kind(profile: Profile, claims: &Claims) -> Kind {
    let service = match profile {
        Profile::Entra => is_app_only(claims),
        Profile::Github | Profile::Gitlab | Profile::Teamcity => true,
        // RFC 9068 §5: where no person took part, the subject is the application itself.
        Profile::Standard | Profile::AccessToken => {
            let sub = claims.get("sub").and_then(serde_json::Value::as_str);
            client(claims).is_some_and(|client| {
                sub == Some(client) || sub.and_then(|sub| sub.strip_suffix("@clients")) == Some(client)
            })
        }
    };
    if service { Kind::Service } else { Kind::Person }
}

/// Whether a text fits a value, in which `*` stands for any characters and nothing else is special.
fn fits(value: &str, text: &str) -> bool {
    let mut parts = value.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether any text fits any of the values.
pub(super) fn any_fits<'a>(values: &Values, mut texts: impl Iterator<Item = std::borrow::Cow<'a, str>>) -> bool {
    texts.any(|text| values.all().iter().any(|value| fits(value, &text)))
}

#[cfg(test)]
mod tests;
