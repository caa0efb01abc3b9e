//! What a request presents: finding the credential in the headers that clients use.
//!
//! Clients differ: OpenLineage sends `Bearer`, Prefect with an auth string sends `Basic`, scripts send `X-Api-Key`.
//! For `Basic` two readings are tried, because Prefect's whole `user:password` is the secret while other tools put a
//! token in the password (or, with an empty password, in the user name). Invariant: more than one credential header is refused, never resolved by order, so that a
//! proxy and Trackside cannot disagree on who calls. Not here: whether the credential is known ([`crate::directory`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

/// Longest credential header, in bytes.
pub const CREDENTIAL_BYTES: usize = 8 * 1024;
/// The header scripts put a token in.
pub const API_KEY_HEADER: &str = "x-api-key";

/// What a request presents. The text is wiped from memory when it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// Nothing.
    Nothing,
    /// A token as it stands in the header.
    Token(&'a str),
    /// Decoded `user:password` of Basic authentication (RFC 7617).
    Basic(Zeroizing<String>),
}

impl Presented<'_> {
    /// The texts that may be the token, most likely first; at most two.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::Nothing => (None, None),
            Self::Token(token) => (Some(*token), None),
            Self::Basic(pair) => match pair.split_once(':') {
                Some((user, "")) => (Some(user), None),
                Some((_, password)) => (Some(password), Some(pair.as_str())),
                None => (None, None),
            },
        };
        first.into_iter().chain(second)
    }
}

/// Why the credential headers cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    /// More than one header carries a credential.
    #[error("send one credential: one Authorization header, or one X-Api-Key header")]
    Several,
    /// The header is longer than [`CREDENTIAL_BYTES`].
    #[error("the credential is longer than 8 KiB")]
    TooLong,
    /// The header has bytes outside visible ASCII.
    #[error("the credential has characters outside visible ASCII")]
    NotText,
    /// A scheme other than Bearer and Basic.
    #[error("authenticate with `Authorization: Bearer TOKEN` or Basic")]
    Scheme,
    /// `Basic` that is not base64 of `user:password`.
    #[error("Basic authentication must be base64 of `user:password`")]
    Basic,
}

/// Finds what the request presents.
///
/// # Errors
/// When the headers are ambiguous or malformed.
pub fn presented(headers: &HeaderMap) -> Result<Presented<'_>, BadCredential> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let mut keys = headers.get_all(API_KEY_HEADER).iter();
    let (header, is_key) = match (given.next(), keys.next()) {
        (None, None) => return Ok(Presented::Nothing),
        (Some(_), Some(_)) => return Err(BadCredential::Several),
        (Some(header), None) => (header, false),
        (None, Some(key)) => (key, true),
    };
    if given.next().is_some() || keys.next().is_some() {
        return Err(BadCredential::Several);
    }
    if header.len() > CREDENTIAL_BYTES {
        return Err(BadCredential::TooLong);
    }
    let text = header.to_str().map_err(|_| BadCredential::NotText)?.trim();
    if is_key {
        return Ok(Presented::Token(text));
    }
    let (scheme, rest) = text.split_once(' ').ok_or(BadCredential::Scheme)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Presented::Token(rest))
    } else if scheme.eq_ignore_ascii_case("basic") {
        basic(rest).map(Presented::Basic)
    } else {
        Err(BadCredential::Scheme)
    }
}

/// Decodes the parameter of `Basic`; padding may be missing, as some clients leave it out.
fn basic(encoded: &str) -> Result<Zeroizing<String>, BadCredential> {
    const ALPHABET: &base64::alphabet::Alphabet = &base64::alphabet::STANDARD;
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        ALPHABET,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let bytes = STANDARD.decode(encoded).or_else(|_| LENIENT.decode(encoded)).map_err(|_| BadCredential::Basic)?;
    let pair = String::from_utf8(bytes).map_err(|_| BadCredential::Basic)?;
    if pair.contains(':') { Ok(Zeroizing::new(pair)) } else { Err(BadCredential::Basic) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(headers: &[(&str, &str)], expect: Result<&[&str], BadCredential>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).expect("name"),
                HeaderValue::from_bytes(value.as_bytes()).expect("value"),
            );
        }
        let found = presented(&map);
        let candidates: Result<Vec<&str>, BadCredential> =
            found.as_ref().map(|p| p.candidates().collect()).map_err(|e| *e);
        assert_eq!(candidates, expect.map(<[&str]>::to_vec), "{headers:?}");
    }

    #[test]
    fn what_clients_send() {
        check(&[], Ok(&[]));
        check(&[("authorization", "Bearer ts_x")], Ok(&["ts_x"]));
        check(&[("authorization", "bearer   ts_x ")], Ok(&["ts_x"]));
        check(&[("x-api-key", "ts_x")], Ok(&["ts_x"]));
        // Prefect: `user:pass` is the secret; curl -u x:TOKEN and curl -u TOKEN: put it on either side.
        check(&[("authorization", "Basic dXNlcjpwYXNz")], Ok(&["pass", "user:pass"]));
        check(&[("authorization", "Basic dHNfeDo=")], Ok(&["ts_x"]));
        check(&[("authorization", "Basic dHNfeDo")], Ok(&["ts_x"]));
    }

    #[test]
    fn what_is_refused() {
        use BadCredential as Bad;
        check(&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Err(Bad::Several));
        check(&[("authorization", "Bearer a"), ("x-api-key", "a")], Err(Bad::Several));
        check(&[("authorization", "ts_x")], Err(Bad::Scheme));
        check(&[("authorization", "Digest username=a")], Err(Bad::Scheme));
        check(&[("authorization", "Basic !!")], Err(Bad::Basic));
        check(&[("authorization", "Basic dXNlcg==")], Err(Bad::Basic));
        check(&[("authorization", "Bearer \u{e9}")], Err(Bad::NotText));
        check(&[("authorization", &format!("Bearer {}", "a".repeat(9000)))], Err(Bad::TooLong));
    }
}
