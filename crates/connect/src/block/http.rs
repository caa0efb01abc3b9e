//! Requests to an address that stands in a block: its parts in their places, its secrets known.

use crate::far_end::{Guard, Hosts, HttpRequest};
use ::http::{HeaderName, HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use url::Url;

/// Shortest text that is hidden wherever it stands; a shorter one is found in ordinary text, and keeps nobody out.
const SECRET_BYTES: usize = 5;

/// A request to `address`. A user and password in it go into the `authorization` header.
pub(super) fn request(method: Method, address: &str) -> Result<HttpRequest, String> {
    let mut url = parse(address)?;
    let user = (url.username().to_owned(), url.password().unwrap_or_default().to_owned());
    if user == (String::new(), String::new()) {
        return Ok(HttpRequest::new(method, url));
    }
    // Cannot fail for http and https addresses.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(HttpRequest::new(method, url).header("authorization", basic(&percent(&user.0), &percent(&user.1))))
}

/// What is wrong with `address`, if anything. It is not repeated: it may be secret.
pub(super) fn parse(address: &str) -> Result<Url, String> {
    let mut url = Url::parse(address.trim())
        .map_err(|error| format!("is not an address: {error}; write for example https://example.net/in"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("has scheme `{}`; only http and https are spoken", url.scheme()));
    }
    url.set_fragment(None);
    Ok(url)
}

/// What of `address` must not be shown: everything behind the host, and the password.
pub(super) fn hidden(address: &str) -> Vec<SecretString> {
    let Ok(url) = parse(address) else { return vec![SecretString::from(address)] };
    let mut hidden = Vec::new();
    if let Some(password) = url.password() {
        hidden.push(SecretString::from(password));
        hidden.push(SecretString::from(basic(&percent(url.username()), &percent(password))));
    }
    let behind = &url[url::Position::BeforePath..];
    hidden.push(SecretString::from(behind));
    if let Some(query) = url.query().filter(|query| !query.is_empty()) {
        hidden.push(SecretString::from(query));
    }
    worth_hiding(hidden)
}

/// Of `secrets` those that can be hidden.
pub(super) fn worth_hiding(mut secrets: Vec<SecretString>) -> Vec<SecretString> {
    secrets.retain(|secret| secret.expose_secret().len() >= SECRET_BYTES);
    secrets
}

/// Adds headers that a person wrote, each in place of one of the same name.
pub(super) fn add_headers(mut request: HttpRequest, headers: &BTreeMap<String, String>) -> Result<HttpRequest, String> {
    for (name, value) in headers {
        let name = HeaderName::try_from(name.trim()).map_err(|_| format!("`{name}` is not a header name"))?;
        HeaderValue::try_from(value)
            .map_err(|_| format!("the value of header `{name}` has characters that none may have"))?;
        request.headers.retain(|(known, _)| *known != name.as_str());
        request = request.header(name.as_str().to_owned(), value.as_str());
    }
    Ok(request)
}

/// The value of an `authorization` header (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// How careful the sender is, by the block's `allow_private_urls`.
pub(super) fn hosts(allow_private_urls: bool) -> Guard {
    let hosts = if allow_private_urls { Hosts::Any } else { Hosts::Public };
    Guard { hosts, ..Guard::default() }
}

/// `%41` is `A`; what is not such a code stays.
fn percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_becomes_a_header_and_is_hidden() {
        let request = request(Method::POST, " https://a%40b:p%C3%A4ss@example.net:8443/in?x=1#top ").unwrap();
        assert_eq!(request.url, "https://example.net:8443/in?x=1");
        assert_eq!(request.headers[0].1, basic("a@b", "päss"));
        let hidden: Vec<String> = hidden("https://u:pw@example.net/in/TOKEN?sig=s")
            .iter()
            .map(|secret| secret.expose_secret().to_owned())
            .collect();
        assert_eq!(hidden, [basic("u", "pw").as_str(), "/in/TOKEN?sig=s", "sig=s"]);
        assert!(super::hidden("https://example.net/in").is_empty());
        assert!(super::hidden("https://example.net").is_empty());
    }

    #[test]
    fn what_is_no_address_or_header_is_said_without_repeating_it() {
        assert_eq!(
            parse("hooks.example.net/s3cret").unwrap_err().split(';').next(),
            Some("is not an address: relative URL without a base")
        );
        assert_eq!(parse("ftp://s3cret").unwrap_err(), "has scheme `ftp`; only http and https are spoken");
        let headers = |name: &str, value: &str| {
            add_headers(
                HttpRequest::new(Method::GET, "http://x"),
                &BTreeMap::from([(name.to_owned(), value.to_owned())]),
            )
        };
        assert_eq!(headers("a b", "x").err().unwrap(), "`a b` is not a header name");
        assert_eq!(
            headers("X-Key", "s3\ncret").err().unwrap(),
            "the value of header `x-key` has characters that none may have"
        );
        assert_eq!(headers("X-Key", "k").unwrap().headers[0].0, "x-key");
    }
}
