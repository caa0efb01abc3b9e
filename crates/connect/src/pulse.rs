//! A sign of life to a service that tells somebody when it stays away (healthchecks.io, a push monitor).
//!
//! Invariants: the address may be a secret and is never shown; a sign of life can be repeated.
//! Source: healthchecks.io, "Pinging API": `GET URL` is well, `POST URL/fail` is not, the body is kept as a note.

use crate::far_end::{Guard, HttpRequest, Repeat, Request, Wire};
use http::Method;
use secrecy::{ExposeSecret as _, SecretString};

/// What a sign of life says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// All that was due was sent.
    Well,
    /// Something is wrong, in words.
    Trouble(String),
}

/// The request that carries a sign.
#[must_use]
pub fn request(url: &SecretString, sign: &Sign) -> Request {
    let address = url.expose_secret();
    let (method, url_text, body) = match sign {
        Sign::Well => (Method::GET, address.to_owned(), String::new()),
        Sign::Trouble(text) => (Method::POST, failing(address), text.clone()),
    };
    let headers = vec![("content-type".into(), "text/plain; charset=utf-8".to_owned())];
    let secrets = vec![url.clone(), SecretString::from(url_text.as_str())];
    let http = HttpRequest { method, url: url_text, headers, body, guard: Guard::default(), trust: None };
    Request::new(Wire::Http(http), Repeat::Harmless, secrets)
}

/// `/fail` belongs to the path, before a query.
fn failing(address: &str) -> String {
    match address.split_once('?') {
        Some((path, query)) => format!("{}/fail?{query}", path.trim_end_matches('/')),
        None => format!("{}/fail", address.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, sign: &Sign, method: &str, expect: &str) {
        let request = request(&SecretString::from(url), sign);
        let Wire::Http(http) = &request.wire else { panic!("a sign of life is HTTP") };
        assert_eq!((http.method.as_str(), http.url.as_str()), (method, expect));
        assert!(!request.shown().url.contains("abc"), "the address is a secret");
    }

    #[test]
    fn signs_of_life_are_what_healthchecks_expects() {
        let trouble = Sign::Trouble("2 pages are late".into());
        check("https://hc-ping.com/abc", &Sign::Well, "GET", "https://hc-ping.com/abc");
        check("https://hc-ping.com/abc", &trouble, "POST", "https://hc-ping.com/abc/fail");
        check("https://push.example.net/abc/?x=1", &trouble, "POST", "https://push.example.net/abc/fail?x=1");
    }
}
