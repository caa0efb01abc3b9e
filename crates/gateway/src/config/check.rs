//! What a configuration of the gateway must not say.
//!
//! Finds every mistake, each with the path to it, so that the place in the file can be shown.

use super::GatewaySettings;
use super::guard::GuardConfig;
use super::route::{Access, CredentialUse, RouteConfig};
use crate::front::{head, headers, path};
use crate::route::pattern::Pattern;
use http::HeaderName;
use std::collections::BTreeMap;

/// A mistake: the path within the section, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `listen`, `api.match.path`, …
    pub path: String,
    /// What is wrong and what to do.
    pub problem: String,
}

/// What the checks need to know of the rest.
#[derive(Debug)]
pub struct Known<'a> {
    /// Connections that routes may lead to.
    pub upstreams: Vec<&'a str>,
    /// Every connection.
    pub connections: Vec<&'a str>,
    /// Teams.
    pub teams: Vec<&'a str>,
}

/// Mistakes of the section `gateway`.
#[must_use]
pub fn settings(settings: &GatewaySettings) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut say = |path: &str, problem: &str| {
        found.push(Mistake { path: path.to_owned(), problem: problem.to_owned() });
    };
    if !settings.listen.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
        say("listen", "is no address with a port; write for example 127.0.0.1:4181");
    }
    if settings.max_head_bytes.is_some_and(|bytes| !(1024..=1024 * 1024).contains(&bytes)) {
        say("max_head_bytes", "must be between 1024 and 1048576");
    }
    if settings.max_fields.is_some_and(|fields| !(10..=1000).contains(&fields)) {
        say("max_fields", "must be between 10 and 1000");
    }
    if settings.max_connections == Some(0) {
        say("max_connections", "must be at least 1");
    }
    found
}

/// Mistakes of the routes.
#[must_use]
pub fn routes(routes: &BTreeMap<String, RouteConfig>, known: &Known<'_>) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (name, route) in routes {
        let mut say = |path: &str, problem: String| found.push(Mistake { path: format!("{name}.{path}"), problem });
        route_shape(route, known, &mut say);
        identity(route, &mut say);
        for (index, guard) in route.guard.iter().enumerate() {
            guard_shape(guard, &format!("guard[{index}]"), &mut say);
        }
    }
    for (name, route) in routes {
        let twin =
            routes.iter().take_while(|(other, _)| *other != name).find(|(_, other)| other.r#match == route.r#match);
        if let Some((twin, _)) = twin {
            let problem = format!("takes the same requests as the route `{twin}`");
            found.push(Mistake { path: format!("{name}.match"), problem });
        }
    }
    found
}

fn route_shape(route: &RouteConfig, known: &Known<'_>, say: &mut impl FnMut(&str, String)) {
    if let Err(problem) = Pattern::new(&route.r#match.path) {
        say("match.path", problem);
    }
    if let Some(host) = &route.r#match.host
        && (host.contains([':', '/']) || host.is_empty() || host.trim_start_matches("*.").contains('*'))
    {
        say("match.host", "is no host; write for example api.example.net or *.example.net".to_owned());
    }
    if !known.upstreams.contains(&route.upstream.as_str()) {
        let problem = if known.connections.contains(&route.upstream.as_str()) {
            format!("the connection `{}` is not of kind http, airflow or app_service", route.upstream)
        } else {
            format!("there is no connection `{}`", route.upstream)
        };
        say("upstream", problem);
    }
    if let Some(team) = &route.team
        && !known.teams.contains(&team.as_str())
    {
        say("team", format!("there is no team `{team}`"));
    }
    if let Some(prefix) = &route.strip_prefix {
        let plain = path::canonical(prefix).is_ok_and(|canonical| canonical == *prefix);
        if !plain || prefix.ends_with('/') || !route.r#match.path.starts_with(prefix.as_str()) {
            say("strip_prefix", "must be the beginning of `match.path`, without a slash at its end".to_owned());
        }
    }
    if route.access == Access::Public {
        if !route.needs.is_empty() || route.approval.is_some() {
            say("access", "a public route cannot ask for names or an approval".to_owned());
        }
        if route.credential == CredentialUse::Callers || route.identity_headers.named().next().is_some() {
            say("access", "a public route knows no caller to tell the upstream about".to_owned());
        }
    }
    if route.access == Access::Authenticated && !route.needs.is_empty() {
        say("needs", "`access: authenticated` lets everybody in who is known; remove one of the two".to_owned());
    }
    for need in &route.needs {
        match need.split_once(':') {
            Some(("role", role)) => {
                if let Err(unknown) = role.parse::<trackside_identity::role::Role>() {
                    say("needs", unknown.to_string());
                }
            }
            Some(("team", team)) if !known.teams.contains(&team) => say("needs", format!("there is no team `{team}`")),
            _ => {}
        }
    }
    if route.concurrency == Some(0) {
        say("concurrency", "must be at least 1".to_owned());
    }
}

/// Names of fields that the gateway would have to write into must be its own.
fn identity(route: &RouteConfig, say: &mut impl FnMut(&str, String)) {
    let mut seen = Vec::new();
    for (key, name) in route.identity_headers.named() {
        let at = format!("identity_headers.{key}");
        let folded = headers::fold(name);
        if name.parse::<HeaderName>().is_err() || name.contains(['_', '.']) {
            say(&at, format!("`{name}` is no name of a field; write letters, digits and `-`"));
        } else if headers::is_of_connection(&folded)
            || ["host", "content-length", "authorization", "cookie", "content-type"].contains(&folded.as_str())
        {
            say(&at, format!("`{name}` means something else; choose another name, for example x-hub-{key}"));
        } else if seen.contains(&folded) {
            say(&at, format!("`{name}` is used twice"));
        }
        seen.push(folded);
    }
    for kept in &route.keep_headers {
        let folded = headers::fold(kept);
        if folded != *kept {
            say("keep_headers", format!("`{kept}` must be written in lower case, with `-` between words"));
        }
        if seen.contains(&folded)
            || headers::is_of_connection(&folded)
            || ["host", "content-length"].contains(&kept.as_str())
        {
            say("keep_headers", format!("`{kept}` is written by the gateway and cannot come from a client"));
        }
    }
}

fn guard_shape(guard: &GuardConfig, at: &str, say: &mut impl FnMut(&str, String)) {
    if guard.name.is_empty() || guard.name.len() > 64 || !guard.name.bytes().all(head::is_name) {
        say(&format!("{at}.name"), "must be 1 to 64 letters, digits, `-` or `_`".to_owned());
    }
    for (index, pattern) in guard.deny.iter().enumerate() {
        if let Err(error) = crate::guard::pattern::compile(pattern) {
            say(&format!("{at}.deny[{index}]"), format!("is no regular expression: {error}"));
        }
    }
    if guard.deny.is_empty() && guard.mask.is_empty() && guard.max_bytes.is_none() {
        say(at, "has nothing to do: give `deny`, `mask` or `max_bytes`".to_owned());
    }
    for (index, kind) in guard.content_types.iter().enumerate() {
        if kind.split('/').count() != 2 || kind.contains([';', ' ']) {
            say(
                &format!("{at}.content_types[{index}]"),
                "is no media type; write for example application/json".to_owned(),
            );
        }
    }
}
