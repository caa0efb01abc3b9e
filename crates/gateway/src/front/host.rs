//! The host a request is for: one, well-formed, the same in every place that names it.

use super::refusal::Refusal;
use http::request::Parts;
use http::{Version, header};

/// Longest name in bytes, with a port.
const HOST_BYTES: usize = 261;

/// The host of a request, as written, with its port.
///
/// # Errors
/// When there is none or several, it is malformed, or the target or `:authority` names another one or is not of HTTP.
pub fn of(parts: &Parts) -> Result<&str, Refusal> {
    let mut given = parts.headers.get_all(header::HOST).iter();
    let named = parts.uri.authority().map(http::uri::Authority::as_str);
    if named.is_some() && !matches!(parts.uri.scheme_str(), Some("http" | "https")) {
        return Err(Refusal::Target);
    }
    let host = match (given.next(), named) {
        (Some(host), _) => host.to_str().map_err(|_| Refusal::Host)?,
        (None, Some(authority)) if parts.version == Version::HTTP_2 => authority,
        (None, _) => return Err(Refusal::Host),
    };
    if given.next().is_some() || !is_host(host) {
        return Err(Refusal::Host);
    }
    if named.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) {
        return Err(Refusal::Host);
    }
    Ok(host)
}

/// The name alone, without the port.
#[must_use]
pub fn name(host: &str) -> &str {
    if host.starts_with('[') {
        return host.split_inclusive(']').next().unwrap_or(host);
    }
    host.split(':').next().unwrap_or(host)
}

/// A name or address with or without a port, in the letters that names have.
fn is_host(host: &str) -> bool {
    let name = name(host);
    let port = match host[name.len()..].strip_prefix(':') {
        Some(port) => !port.is_empty() && port.len() <= 5 && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => host.len() == name.len(),
    };
    let known = match name.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !name.is_empty()
                && !name.starts_with(['.', '-'])
                && !name.contains("..")
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    };
    known && port && host.len() <= HOST_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, hosts: &[&str], expect: Result<&str, Refusal>) {
        let mut request = http::Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        assert_eq!(of(&parts), expect, "{target} {hosts:?}");
    }

    #[test]
    fn hosts() {
        check("/", &["hub.test"], Ok("hub.test"));
        check("/", &["HUB.test:8080"], Ok("HUB.test:8080"));
        check("/", &["[::1]:80"], Ok("[::1]:80"));
        check("http://hub.test/a", &["HUB.test"], Ok("HUB.test"));
        check("http://evil.test/a", &["hub.test"], Err(Refusal::Host));
        check("http://hub.test/a", &[], Err(Refusal::Host));
        check("ftp://hub.test/a", &["hub.test"], Err(Refusal::Target));
        check("hub.test:80", &["hub.test:80"], Err(Refusal::Target));
        for bad in ["", "a/b", "a@b", "a b", "a:", "a:0", "a:99999", "a:1:2", "[::1", "[x]", ".a", "a..b", "a,b", "a?"]
        {
            check("/", &[bad], Err(Refusal::Host));
        }
        check("/", &[], Err(Refusal::Host));
        check("/", &["a", "a"], Err(Refusal::Host));
    }
}
