//! The way of a browser to the provider and back: authorization code with PKCE (RFC 6749 §4.1, RFC 7636, RFC 9207).
//!
//! Invariants: the answer counts only in the browser that was sent away (a cookie), only with the state that was given to
//! it, only from the issuer that it was sent to, and only for ten minutes; that it counts once is the caller's, who
//! remembers [`Accepted::state`]. Verifier and nonce are derived from the state with the session key, so they are kept
//! nowhere. Pure: nothing is sent here.

use crate::session::SessionKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

/// How long somebody may take at the provider.
pub const WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// Longest way back that is remembered, in bytes; a longer one leads to the overview.
const NEXT_BYTES: usize = 2048;
/// Longest parameter of an answer, in bytes. Entra's codes have about two thousand.
const PARAMETER_BYTES: usize = 8 * 1024;

/// Where a browser is sent, and what it takes along.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The provider's page.
    pub url: Url,
    /// Value of the cookie [`crate::session::Cookie::SignIn`].
    pub cookie: String,
}

/// What a sign-in is begun with.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The provider's page for it.
    pub endpoint: &'a Url,
    /// Our name there.
    pub client_id: &'a str,
    /// Where it sends the browser back to.
    pub redirect: &'a Url,
    /// What is asked for.
    pub scopes: &'a [String],
    /// Path on this server that the person wanted.
    pub next: &'a str,
}

/// The answer that the browser brings back.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Answer {
    /// What the tokens are had for.
    pub code: Option<String>,
    /// What the browser was given.
    pub state: Option<String>,
    /// Who answers.
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The same for people.
    pub error_description: Option<String>,
}

/// From whom an answer is expected.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The issuer, to the last character.
    pub issuer: &'a str,
    /// Whether its answers name it.
    pub naming: Naming,
}

/// Whether the answers of a provider name it (`authorization_response_iss_parameter_supported`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// They always do.
    Always,
    /// It does not say so.
    Unsaid,
}

/// An answer that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What the tokens are had for.
    pub code: String,
    /// What proves that we asked (RFC 7636).
    pub verifier: String,
    /// What the ID token must hold.
    pub nonce: String,
    /// Path on this server that the person wanted.
    pub next: String,
    /// What may be used once.
    pub state: String,
    /// Until when it must be remembered.
    pub expires: Timestamp,
}

/// Why an answer does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The browser has no sign-in under way.
    #[error("this browser has no sign-in under way, or began it more than ten minutes ago; begin again")]
    NotBegun,
    /// The state is another one.
    #[error("this answer belongs to another sign-in; begin again, in one tab")]
    OtherState,
    /// Another issuer answers (RFC 9207 §2.4).
    #[error("the answer does not come from the provider that was asked; nothing was signed in")]
    OtherIssuer,
    /// The person said no, or may not.
    #[error("access was not given; ask for it there, or sign in as somebody else")]
    Denied,
    /// The provider refuses. Holds its error code.
    #[error("the provider refused: {0}")]
    Provider(String),
    /// The answer has no code, or something too long.
    #[error("the answer of the provider cannot be used; begin again")]
    Malformed,
}

/// Sends a browser away. `random` makes the state.
#[must_use]
pub fn depart(key: &SessionKey, request: &Request<'_>, random: [u8; 32], now: Timestamp) -> Departure {
    let state = URL_SAFE_NO_PAD.encode(random);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier(key, &state).as_bytes()));
    let mut url = request.endpoint.clone();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", request.client_id)
        .append_pair("redirect_uri", request.redirect.as_str())
        .append_pair("scope", &request.scopes.join(" "))
        .append_pair("state", &state)
        .append_pair("nonce", &nonce(key, &state))
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    let expires = now.saturating_add(WITHIN).unwrap_or(now).as_second();
    let next = if request.next.len() <= NEXT_BYTES { request.next } else { "/" };
    let signed = format!("v1.{expires}.{state}.{}", URL_SAFE_NO_PAD.encode(next));
    let cookie = format!("{signed}.{}", key.derive("sign-in", &signed));
    Departure { url, cookie }
}

/// Judges the answer that a browser brings back; `cookie` is what it took along.
///
/// # Errors
/// When it does not count.
pub fn arrive(
    key: &SessionKey,
    cookie: Option<&str>,
    answer: &Answer,
    expected: Expected<'_>,
    now: Timestamp,
) -> Result<Accepted, Refused> {
    let (state, next, expires) = cookie.and_then(|cookie| open(key, cookie, now)).ok_or(Refused::NotBegun)?;
    let parts = [&answer.code, &answer.state, &answer.iss, &answer.error, &answer.error_description];
    if parts.into_iter().flatten().any(|part| part.len() > PARAMETER_BYTES) {
        return Err(Refused::Malformed);
    }
    if answer.state.as_deref() != Some(state.as_str()) {
        return Err(Refused::OtherState);
    }
    match (answer.iss.as_deref(), expected.naming) {
        (Some(iss), _) if iss == expected.issuer => {}
        (None, Naming::Unsaid) => {}
        _ => return Err(Refused::OtherIssuer),
    }
    if let Some(error) = &answer.error {
        return Err(refusal(error, answer.error_description.as_deref()));
    }
    let code = answer.code.clone().filter(|code| !code.is_empty()).ok_or(Refused::Malformed)?;
    Ok(Accepted { code, verifier: verifier(key, &state), nonce: nonce(key, &state), next, state, expires })
}

/// State, way back and end of what a cookie holds.
fn open(key: &SessionKey, cookie: &str, now: Timestamp) -> Option<(String, String, Timestamp)> {
    let (signed, derived) = cookie.rsplit_once('.')?;
    if !key.fits("sign-in", signed, derived) {
        return None;
    }
    let mut parts = signed.strip_prefix("v1.")?.splitn(3, '.');
    let expires = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
    let state = parts.next()?.to_owned();
    let next = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
    (now < expires).then_some((state, next, expires))
}

fn refusal(error: &str, description: Option<&str>) -> Refused {
    if error == "access_denied" {
        return Refused::Denied;
    }
    let plain = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(200).collect() };
    let said = description.filter(|text| !text.is_empty()).map(|text| format!(" ({})", plain(text)));
    Refused::Provider(format!("{}{}", plain(error), said.unwrap_or_default()))
}

fn verifier(key: &SessionKey, state: &str) -> String {
    key.derive("pkce", state)
}

fn nonce(key: &SessionKey, state: &str) -> String {
    key.derive("nonce", state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const ISSUER: &str = "https://idp.test";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn departure(next: &str) -> (Departure, BTreeMap<String, String>) {
        let request = Request {
            endpoint: &"https://idp.test/auth?tenant=a".parse().expect("address"),
            client_id: "trackside",
            redirect: &"https://ts.test/sign-in/callback".parse().expect("address"),
            scopes: &["openid".to_owned(), "profile".to_owned()],
            next,
        };
        let departure = depart(&SessionKey::new([1; 32]), &request, [2; 32], at(0));
        let query = departure.url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
        let query = query.collect();
        (departure, query)
    }

    fn answer(state: &str) -> Answer {
        Answer {
            code: Some("c".to_owned()),
            state: Some(state.to_owned()),
            iss: Some(ISSUER.to_owned()),
            ..Answer::default()
        }
    }

    fn check(cookie: &str, answer: &Answer, naming: Naming, second: i64) -> Result<String, Refused> {
        let key = SessionKey::new([1; 32]);
        let expected = Expected { issuer: ISSUER, naming };
        arrive(&key, Some(cookie), answer, expected, at(second)).map(|accepted| accepted.next)
    }

    #[test]
    fn the_way_there_holds_what_the_way_back_needs() {
        let (departure, query) = departure("/runs?state=failed");
        let expect = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        assert_eq!((expect("tenant"), expect("response_type"), expect("scope")), ("a", "code", "openid profile"));
        assert_eq!((expect("client_id"), expect("code_challenge_method")), ("trackside", "S256"));
        assert_eq!(expect("redirect_uri"), "https://ts.test/sign-in/callback");
        let key = SessionKey::new([1; 32]);
        let expected = Expected { issuer: ISSUER, naming: Naming::Always };
        let accepted =
            arrive(&key, Some(&departure.cookie), &answer(expect("state")), expected, at(599)).expect("counts");
        assert_eq!(accepted.next, "/runs?state=failed");
        assert_eq!(accepted.nonce, expect("nonce"));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(accepted.verifier.as_bytes()));
        assert_eq!(challenge, expect("code_challenge"));
        assert!(accepted.verifier.len() >= 43 && accepted.verifier != accepted.nonce);
        assert!(!departure.cookie.contains(&accepted.verifier) && !departure.url.as_str().contains(&accepted.verifier));
    }

    #[test]
    fn what_does_not_count() {
        let (departure, query) = departure("/");
        let (cookie, state) = (departure.cookie.as_str(), query["state"].as_str());
        let good = answer(state);
        assert_eq!(check(cookie, &good, Naming::Always, 0), Ok("/".to_owned()));
        assert_eq!(check(cookie, &good, Naming::Always, 600), Err(Refused::NotBegun), "too late");
        assert_eq!(check("", &good, Naming::Always, 0), Err(Refused::NotBegun));
        assert_eq!(
            check(&cookie.replace("v1.600.", "v1.900."), &good, Naming::Always, 0),
            Err(Refused::NotBegun),
            "forged"
        );
        for position in [3, 10, 40, cookie.len() - 2] {
            let mut forged = cookie.to_owned().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ascii");
            assert_eq!(check(&forged, &good, Naming::Always, 0), Err(Refused::NotBegun), "{forged}");
        }
        assert_eq!(check(cookie, &answer("other"), Naming::Always, 0), Err(Refused::OtherState));
        assert_eq!(check(cookie, &Answer { state: None, ..good.clone() }, Naming::Always, 0), Err(Refused::OtherState));
        let unnamed = Answer { iss: None, ..good.clone() };
        assert_eq!(check(cookie, &unnamed, Naming::Always, 0), Err(Refused::OtherIssuer));
        assert_eq!(check(cookie, &unnamed, Naming::Unsaid, 0), Ok("/".to_owned()));
        let other = Answer { iss: Some("https://evil.test".to_owned()), ..good.clone() };
        assert_eq!(check(cookie, &other, Naming::Unsaid, 0), Err(Refused::OtherIssuer));
        assert_eq!(check(cookie, &Answer { code: None, ..good.clone() }, Naming::Always, 0), Err(Refused::Malformed));
        let long = Answer { code: Some("c".repeat(9_000)), ..good.clone() };
        assert_eq!(check(cookie, &long, Naming::Always, 0), Err(Refused::Malformed));
        let error = |error: &str, text: &str| Answer {
            code: None,
            error: Some(error.to_owned()),
            error_description: Some(text.to_owned()),
            ..good.clone()
        };
        assert_eq!(check(cookie, &error("access_denied", "no"), Naming::Always, 0), Err(Refused::Denied));
        let said = Refused::Provider("login_required (no\u{2028}session)".to_owned());
        assert_eq!(check(cookie, &error("login_required", "no\u{2028}se\u{7}ssion"), Naming::Always, 0), Err(said));
    }

    #[test]
    fn a_way_back_that_is_too_long_leads_to_the_overview() {
        let (departure, query) = departure(&format!("/{}", "x".repeat(3_000)));
        assert!(departure.cookie.len() < 4_000);
        assert_eq!(check(&departure.cookie, &answer(&query["state"]), Naming::Always, 0), Ok("/".to_owned()));
    }
}
