//! A server for one person on one machine that asks nobody to sign in.
//!
//! Off unless the configuration says `local_access: open`, and then only for a server that listens on this machine
//! alone. Invariants: a page of another site can neither write (it is told by `Origin` and `Sec-Fetch-Site`) nor come
//! in under a name of its own that leads to this machine (DNS rebinding: the `Host` must be a name of this machine); a
//! request that came through a proxy is nobody's, because the proxy may serve the whole world.

use http::HeaderMap;
use http::header::{FORWARDED, HOST, ORIGIN, VIA};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether somebody on this machine must sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LocalAccess {
    /// They must: with a token, a one-time link or an identity provider.
    #[default]
    Token,
    /// They need not: whoever reaches the server is its administrator. For a first try on a machine of one's own.
    Open,
}

/// How such a caller came in, for the audit.
pub const CAME_BY: &str = "local";
/// Who such a caller is, for the audit.
pub const SUBJECT: &str = "local-user";

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To look.
    Read,
    /// To change something.
    Write,
}

/// Whether a request is made by somebody on this machine, and not by a page of another site or through a proxy.
#[must_use]
pub fn is_local(headers: &HeaderMap, intent: Intent) -> bool {
    let through_proxy = headers.contains_key(FORWARDED)
        || headers.contains_key(VIA)
        || ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"]
            .iter()
            .any(|name| headers.contains_key(*name));
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
    let Some(host) = host.filter(|host| is_this_machine(host)) else { return false };
    !through_proxy && (intent == Intent::Read || from_here(headers, host))
}

/// A browser says where a write comes from; a program says nothing.
fn from_here(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site == "same-origin");
    let origin = headers.get(ORIGIN).map(|origin| {
        let authority = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    });
    site.unwrap_or(true) && origin.unwrap_or(true)
}

/// Whether a `Host` is a name that always means this machine, whatever DNS says.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(headers: &[(&'static str, &'static str)], read: bool, write: bool) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        assert_eq!((is_local(&map, Intent::Read), is_local(&map, Intent::Write)), (read, write), "{headers:?}");
    }

    #[test]
    fn who_is_on_this_machine() {
        let host = ("host", "127.0.0.1:4180");
        check(&[host], true, true);
        check(&[("host", "localhost")], true, true);
        check(&[("host", "[::1]:4180")], true, true);
        check(&[host, ("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:4180")], true, true);
        check(&[host, ("sec-fetch-site", "cross-site")], true, false);
        check(&[host, ("sec-fetch-site", "same-site")], true, false);
        check(&[host, ("origin", "http://127.0.0.1:9999")], true, false);
        check(&[host, ("origin", "null")], true, false);
        check(&[host, ("x-forwarded-for", "1.2.3.4")], false, false);
        check(&[host, ("via", "1.1 proxy")], false, false);
        for name in ["evil.example:4180", "127.0.0.1.evil.example", "localhost:evil", "::1", "", "127.0.0.1:"] {
            check(&[("host", name)], false, false);
        }
        check(&[], false, false);
    }
}
