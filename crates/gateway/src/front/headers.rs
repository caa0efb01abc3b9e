//! Which fields of a request are forwarded.
//!
//! Dropped in every spelling: what says who the caller is or where they come from (only the gateway says that), what
//! asks a server to judge another method or path than the one that was checked, what belongs to one connection only.
//! Servers that make variables of names read `_`, `.` and `-` as one, so names are folded before they are judged, and
//! those with `_` or `.` are dropped altogether.

use super::refusal::Refusal;
use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

/// Folded names that are dropped, beside those that begin with [`PREFIXES`].
const NAMES: &[&str] = &[
    "auth-type",
    "auth-user",
    "authenticated-user",
    "cf-connecting-ip",
    "cf-ray",
    "client-ip",
    "content-length",
    "eppn",
    "expect",
    "fastly-client-ip",
    "forwarded",
    "from",
    "host",
    "logon-user",
    "path-info",
    "proxy",
    "script-name",
    "true-client-ip",
    "userid",
    "username",
    "x-access-token",
    "x-access-level",
    "x-actor",
    "x-arr-clientcert",
    "x-arr-ssl",
    "x-authorization",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-consumer",
    "x-email",
    "x-group",
    "x-groups",
    "x-host",
    "x-id-token",
    "x-is-admin",
    "x-method-override",
    "x-organization",
    "x-org-id",
    "x-real-ip",
    "x-request-id",
    "x-run-as",
    "x-script-name",
    "x-sub",
    "x-team",
    "x-teams",
    "x-tenant",
    "x-tenant-id",
    "x-uid",
    "x-url",
    "x-username",
    "x-verified",
    "x-whoami",
    "x-wap-profile",
];
/// Beginnings of folded names that are dropped.
const PREFIXES: &[&str] = &[
    "cf-access-",
    "client-cert",
    "http-",
    "proxy-",
    "remote-",
    "sec-trackside-",
    "ssl-client",
    "x-accel-",
    "x-account-",
    "x-admin",
    "x-amzn-oidc",
    "x-amzn-request-context",
    "x-anonymous-",
    "x-apigateway-",
    "x-apim-",
    "x-appengine-user",
    "x-auth",
    "x-azure-",
    "x-cert",
    "x-claim",
    "x-client-c",
    "x-client-dn",
    "x-client-s",
    "x-client-v",
    "x-consumer-",
    "x-credential-",
    "x-endpoint-api",
    "x-envoy-",
    "x-forward",
    "x-goog-authenticated",
    "x-goog-iap",
    "x-grafana-",
    "x-http-method",
    "x-identity",
    "x-impersonate",
    "x-internal",
    "x-jwt",
    "x-kong-",
    "x-login",
    "x-ms-client-",
    "x-ms-token",
    "x-oauth",
    "x-oidc",
    "x-okta-",
    "x-on-behalf",
    "x-openid",
    "x-original-",
    "x-originating-",
    "x-permission",
    "x-pomerium-",
    "x-principal",
    "x-privilege",
    "x-proxy-",
    "x-remote-",
    "x-rewrite-",
    "x-role",
    "x-saml-",
    "x-scope",
    "x-sendfile",
    "x-session-",
    "x-shib",
    "x-spiffe-",
    "x-ssl-",
    "x-sso-",
    "x-subject",
    "x-tls-",
    "x-token",
    "x-trackside-",
    "x-user",
    "x-vouch-",
    "x-webauth-",
    "shib-",
    "tailscale-",
    "impersonate-",
    "saml-",
    "oidc-",
];
/// Begins like our own names; what GitHub signs its calls with is not one of them.
const HUB: &str = "x-hub-";
/// Longest name that is looked at; a longer one is dropped.
const NAME_BYTES: usize = 128;

/// What a route says about fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Folded names that this route writes itself. They never come from a client.
    pub ours: Vec<String>,
    /// Folded names that are let through although they would be dropped, never those of `ours`.
    pub kept: Vec<String>,
}

/// Whether a field of a request is forwarded. `name` is lower case.
#[must_use]
pub fn forwarded(name: &str, rules: &Rules) -> bool {
    let mut buffer = [0_u8; NAME_BYTES];
    let Some(folded) = buffer.get_mut(..name.len()) else { return false };
    let mut plain = true;
    for (to, from) in folded.iter_mut().zip(name.bytes()) {
        *to = if from.is_ascii_alphanumeric() { from.to_ascii_lowercase() } else { b'-' };
        plain &= !matches!(from, b'_' | b'.');
    }
    let Ok(folded) = std::str::from_utf8(folded) else { return false };
    if rules.ours.iter().any(|ours| ours == folded) {
        return false;
    }
    if rules.kept.iter().any(|kept| kept == folded) {
        return true;
    }
    plain && !is_of_identity(folded) && !is_of_connection(folded)
}

/// Whether a folded name is one that only the gateway may write.
#[must_use]
pub fn is_of_identity(folded: &str) -> bool {
    // Most names of most requests begin with none of these.
    if !matches!(
        folded.as_bytes().first(),
        Some(b'a' | b'c' | b'e' | b'f' | b'h' | b'i' | b'l' | b'o' | b'p' | b'r' | b's' | b't' | b'u' | b'x')
    ) {
        return false;
    }
    if let Some(rest) = folded.strip_prefix(HUB) {
        return !rest.starts_with("signature");
    }
    NAMES.contains(&folded) || PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
}

/// Fields of one connection (RFC 9110 §7.6.1).
#[must_use]
pub fn is_of_connection(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" | "http2-settings")
        || name.starts_with("proxy-")
}

/// The folded spelling of a name: lower case, `-` for all that is no letter or digit.
#[must_use]
pub fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// The fields of a request that are forwarded.
#[must_use]
pub fn request(given: &HeaderMap, rules: &Rules) -> HeaderMap {
    let named = named_by_connection(given);
    let mut out = HeaderMap::with_capacity(given.len() + 8);
    for (name, value) in given {
        let text = name.as_str();
        if name == header::AUTHORIZATION || !forwarded(text, rules) || named.iter().any(|other| other == name) {
            continue;
        }
        out.append(name, value.clone());
    }
    out
}

/// Takes from a response what belongs to its connection, and what names the software behind.
pub fn response(headers: &mut HeaderMap) {
    let named = named_by_connection(headers);
    for name in named {
        headers.remove(name);
    }
    const OWN: [HeaderName; 6] =
        [header::CONNECTION, header::TE, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE, header::SERVER];
    for name in OWN {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authentication-info", "x-powered-by"] {
        headers.remove(name);
    }
}

/// Names that `Connection` lists, which go no further than it.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    let names = names.filter(|name| !name.eq_ignore_ascii_case("close") && !name.eq_ignore_ascii_case("keep-alive"));
    names.filter_map(|name| name.parse().ok()).collect()
}

/// Checks what no later step looks at: fields that this version does not have, expectations.
///
/// # Errors
/// Why the request is refused.
pub fn check(parts: &Parts) -> Result<(), Refusal> {
    if parts.version == Version::HTTP_2 {
        let foreign = parts.headers.keys().any(|name| is_of_connection(name.as_str()) && name != header::TE);
        let te = parts.headers.get_all(header::TE).iter().any(|value| value != "trailers");
        if foreign || te {
            return Err(Refusal::Connection);
        }
    }
    let expects = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if parts.headers.get_all(header::EXPECT).iter().all(expects) { Ok(()) } else { Err(Refusal::Expectation) }
}

/// Takes cookies of these names out of `Cookie`: a browser sends those of one host to all its ports, and our session must
/// not reach an upstream. What HTTP/2 may send in pieces becomes one field (RFC 9113 §8.2.3).
pub fn cookies(headers: &mut HeaderMap, ours: &[&str]) {
    let is_ours = |pair: &str| ours.contains(&pair.split('=').next().unwrap_or_default().trim());
    let mut given = headers.get_all(header::COOKIE).iter();
    let as_it_is = match (given.next(), given.next()) {
        (None, _) => true,
        (Some(only), None) => only.to_str().is_ok_and(|text| !text.split(';').any(is_ours)),
        _ => false,
    };
    if as_it_is {
        return;
    }
    let kept: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter(|pair| !is_ours(pair))
        .map(|pair| pair.trim().to_owned())
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(value) = HeaderValue::from_str(&kept.join("; "))
        && !kept.is_empty()
    {
        headers.insert(header::COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forwarded() {
        let rules = Rules { ours: vec!["x-caller".to_owned()], kept: vec!["x-user-locale".to_owned()] };
        for name in [
            "accept",
            "content-type",
            "user-agent",
            "traceparent",
            "cookie",
            "x-api-key",
            "range",
            "origin",
            "referer",
            "x-hub-signature-256",
            "idempotency-key",
            "if-match",
            "x-user-locale",
            "x-foo",
            "etag",
            "priority",
        ] {
            assert!(forwarded(name, &rules), "{name}");
        }
        for name in [
            "x-caller",
            "x_caller",
            "x.caller",
            "x!caller",
            "x-hub-subject",
            "x-hub-roles",
            "x-forwarded-user",
            "x-forwarded-for",
            "x_forwarded_for",
            "forwarded",
            "remote-user",
            "remote_user",
            "x-ms-client-principal",
            "x-ms-token-aad-access-token",
            "x-auth-request-user",
            "x-original-url",
            "x-rewrite-url",
            "proxy",
            "x-http-method-override",
            "connection",
            "te",
            "transfer-encoding",
            "upgrade",
            "content-length",
            "host",
            "proxy-authorization",
            "x-user",
            "x-any_thing",
            "ssl_client_s_dn",
            "x-goog-iap-jwt-assertion",
        ] {
            assert!(!forwarded(name, &rules), "{name}");
        }
        assert!(!forwarded(&"a".repeat(200), &rules));
    }

    #[test]
    fn connection_takes_its_own_along() {
        let mut given = HeaderMap::new();
        given.insert("connection", HeaderValue::from_static("close, x-hop"));
        given.insert("x-hop", HeaderValue::from_static("1"));
        given.insert("x-stays", HeaderValue::from_static("1"));
        given.insert("authorization", HeaderValue::from_static("Bearer a"));
        let out = request(&given, &Rules::default());
        assert_eq!(out.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-stays"]);
    }

    #[test]
    fn our_cookies_stay_here() {
        let check = |cookie: &'static str, expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_static(cookie));
            cookies(&mut headers, &["__Host-ours"]);
            assert_eq!(headers.get(header::COOKIE).map(|value| value.to_str().expect("text")), expect);
        };
        check("a=1; __Host-ours=secret; b=2", Some("a=1; b=2"));
        check("__Host-ours=secret", None);
        check("a=1;  b=2", Some("a=1;  b=2"));
    }
}
