//! Judges how people sign in, and whether they may go without.

use super::merge::Origins;
use super::problem::Problem;
use super::{Sections, ServerSettings};
use std::net::SocketAddr;
use trackside_identity::local::LocalAccess;
use trackside_identity::secret::{SecretError, Secrets};
use trackside_identity::sign_in::SignInConfig;
use url::Url;

/// What is wrong with the section `sign_in` and with `server.local_access`.
pub(super) fn check(sections: &Sections, server: &ServerSettings, origins: &Origins<'_>, problems: &mut Vec<Problem>) {
    if let Some(sign_in) = &sections.sign_in {
        for invalid in sign_in.check() {
            problems.push(origins.problem(&format!("sign_in.{}", invalid.field), invalid.problem));
        }
        if !sections.issuers.contains_key(&sign_in.issuer) {
            let problem = format!("there is no issuer `{}`; describe it in the section `issuers`", sign_in.issuer);
            problems.push(origins.problem("sign_in.issuer", problem));
        }
    }
    if let Some(why) = (server.local_access == LocalAccess::Open).then(|| must_be_closed(sections, server)).flatten() {
        let problem = format!("`open` makes everybody who reaches the server its administrator, and {why}");
        problems.push(origins.problem("server.local_access", problem));
    }
}

/// Why somebody must sign in.
fn must_be_closed(sections: &Sections, server: &ServerSettings) -> Option<&'static str> {
    if !is_loopback(&server.listen) {
        return Some("it can be reached from other machines; listen on 127.0.0.1 or leave it out");
    }
    if server.tls.is_some() {
        return Some("it serves HTTPS, which a server for one machine needs not; leave one of the two out");
    }
    if server.public_url.as_deref().is_some_and(|url| !leads_here(url)) {
        return Some("`public_url` says that others reach it by a proxy; leave one of the two out");
    }
    if sections.sign_in.is_some() || !sections.issuers.is_empty() {
        return Some("people or programs can sign in by an issuer, so it is in real use; leave it out");
    }
    None
}

fn is_loopback(listen: &str) -> bool {
    let by_name = listen.rsplit_once(':').is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost"));
    by_name || listen.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}

fn leads_here(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")))
}

/// Secrets of the section `sign_in` that cannot be had here.
pub(super) fn unusable_here(sign_in: &SignInConfig, origins: &Origins<'_>) -> Vec<Problem> {
    let none = Secrets::default();
    let given = [("secret", &sign_in.secret), ("private_key", &sign_in.private_key)];
    let found = given.into_iter().filter_map(|(field, reference)| match reference.as_ref()?.resolve(&none) {
        Ok(_) | Err(SecretError::NotFetched(_)) => None,
        Err(error) => Some(origins.problem(&format!("sign_in.{field}"), error.to_string())),
    });
    found.collect()
}
