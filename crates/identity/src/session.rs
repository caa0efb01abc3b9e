//! Browser sessions: what a cookie holds, who it stands for, how long it lasts.
//!
//! The cookie holds 256 random bits and nothing else; what they stand for is kept on the server under their SHA-256, so
//! a session can be ended from either side at once. A session carries names and claims, not rights: the directory, or
//! the issuer's rules in force, are asked on every request. The session key signs what pages hand out: tokens for forms
//! ([`crate::csrf`]) and the memory of a sign-in that is under way ([`crate::sign_in::flow`]). Not here: where sessions are
//! kept, one-time links ([`crate::link`]).

use crate::role::Role;
use crate::token::TokenHash;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::COOKIE;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use trackside_core::ruleset::Span;
use zeroize::Zeroizing;

/// Longest cookie value that is looked at, in bytes.
pub const COOKIE_BYTES: usize = 4096;
/// How often the use of a session is noted, at most.
pub const NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How long a session's former secret still works after it got another, for requests under way.
pub const FADES_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Subject {
    /// The holder of the token of this name; role and team are the token's at each request.
    Token {
        /// Its name.
        name: String,
        /// The secret it had: with that the session ends, and another token of this name is another token.
        hash: TokenHash,
    },
    /// Somebody who used a one-time link.
    Link {
        /// For the audit.
        person: String,
        /// What the link grants.
        role: Role,
    },
    /// Somebody whom an identity provider knows; what the claims mean is asked at each request.
    Provider {
        /// Issuer of the configuration.
        issuer: String,
        /// What it says of them.
        claims: serde_json::Map<String, serde_json::Value>,
    },
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lifetime {
    /// Without being used.
    pub idle: Span,
    /// In any case.
    pub absolute: Span,
}

impl Default for Lifetime {
    /// A working day without use, and one day in any case.
    fn default() -> Self {
        Self { idle: Span(SignedDuration::from_hours(8)), absolute: Span(SignedDuration::from_hours(24)) }
    }
}

impl Lifetime {
    /// Where nobody but holders of tokens and links signs in: a week.
    pub const WEEK: Self =
        Self { idle: Span(SignedDuration::from_hours(7 * 24)), absolute: Span(SignedDuration::from_hours(7 * 24)) };

    /// When a session that is used now ends, if it is not used again.
    #[must_use]
    pub fn idle_end(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.idle.0).unwrap_or(now)
    }

    /// When a session that begins now ends in any case.
    #[must_use]
    pub fn last_end(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.absolute.0).unwrap_or(now)
    }
}

/// What a cookie holds; it shows in no `Debug`.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// A secret of 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(SecretString::from(URL_SAFE_NO_PAD.encode(random)))
    }

    /// The text, for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }
}

/// The key that pages are signed with. Whoever has it can make forms of others pass for ours; it signs nobody in.
#[derive(Debug)]
pub struct SessionKey(SecretBox<[u8; 32]>);

impl SessionKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(random)))
    }

    /// What is derived from a text for one purpose, as 43 characters.
    #[must_use]
    pub fn derive(&self, purpose: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(purpose, text).finalize().into_bytes())
    }

    /// Whether that is what was derived; takes the same time whatever differs.
    #[must_use]
    pub fn fits(&self, purpose: &str, text: &str, derived: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(derived) else { return false };
        self.mac(purpose, text).verify_slice(&bytes).is_ok()
    }

    fn mac(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        // RFC 2104 §2: a key shorter than the hash's block is padded with zeros.
        let mut block = Zeroizing::new([0u8; 64]);
        block[..32].copy_from_slice(self.0.expose_secret());
        let mut mac = <Hmac<Sha256>>::new((&*block).into());
        for part in ["trackside ", purpose, "\0", text] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// How browsers reach the server; decides names and attributes of cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `https`, here or at a proxy in front.
    Tls,
    /// Plain `http`; for a laptop or a closed network.
    Plain,
}

/// A cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// The session.
    Session,
    /// A sign-in that is under way: binds it to the browser that began it.
    SignIn,
}

impl Transport {
    /// Name of a cookie. The `__Host-` prefix (RFC 6265bis §4.1.3.2) binds it to this host and to TLS.
    #[must_use]
    pub fn cookie_name(self, cookie: Cookie) -> &'static str {
        match (self, cookie) {
            (Self::Tls, Cookie::Session) => "__Host-trackside",
            (Self::Plain, Cookie::Session) => "trackside",
            (Self::Tls, Cookie::SignIn) => "__Host-trackside-sign-in",
            (Self::Plain, Cookie::SignIn) => "trackside-sign-in",
        }
    }

    /// Every name that a cookie of ours can have.
    #[must_use]
    pub fn cookie_names() -> [&'static str; 4] {
        let names = |transport: Self| [Cookie::Session, Cookie::SignIn].map(|cookie| transport.cookie_name(cookie));
        let ([a, b], [c, d]) = (names(Self::Tls), names(Self::Plain));
        [a, b, c, d]
    }

    /// The `Set-Cookie` value that hands a cookie out for so long.
    #[must_use]
    pub fn set(self, cookie: Cookie, value: &str, lasts: SignedDuration) -> String {
        let secure = match self {
            Self::Tls => "; Secure",
            Self::Plain => "",
        };
        let name = self.cookie_name(cookie);
        format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", lasts.as_secs())
    }

    /// The `Set-Cookie` value that takes it back.
    #[must_use]
    pub fn clear(self, cookie: Cookie) -> String {
        self.set(cookie, "", SignedDuration::ZERO)
    }

    /// The cookie of a request; none when it is longer than [`COOKIE_BYTES`].
    #[must_use]
    pub fn find(self, cookie: Cookie, headers: &HeaderMap) -> Option<&str> {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie_name(cookie)).then_some(value))
            .filter(|value| value.len() <= COOKIE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_fits_its_purpose_text_and_key_only() {
        let key = SessionKey::new([7; 32]);
        let derived = key.derive("form", "abc");
        assert_eq!(derived.len(), 43);
        assert!(key.fits("form", "abc", &derived));
        for (purpose, text) in [("form", "abd"), ("other", "abc"), ("", "form\0abc"), ("formabc", "")] {
            assert!(!key.fits(purpose, text, &derived), "{purpose} {text}");
        }
        assert!(!SessionKey::new([8; 32]).fits("form", "abc", &derived));
        for junk in ["", "x", "é", &derived[..42], &"A".repeat(9_000)] {
            assert!(!key.fits("form", "abc", junk), "{junk}");
        }
    }

    #[test]
    fn a_secret_shows_nowhere_but_in_the_cookie() {
        let secret = Secret::new([255; 32]);
        assert_eq!(secret.expose(), "__________________________________________8");
        assert!(!format!("{secret:?}").contains("____"));
        assert_eq!(secret.hash(), TokenHash::of(secret.expose()));
    }

    #[test]
    fn what_a_session_is_made_of_reads_back() {
        let claims = serde_json::json!({"sub": "42", "groups": ["a"]});
        let subjects = [
            Subject::Token { name: "alice".to_owned(), hash: TokenHash::of("secret") },
            Subject::Link { person: "console.v1".to_owned(), role: Role::Admin },
            Subject::Provider {
                issuer: "corporate".to_owned(),
                claims: claims.as_object().expect("an object").clone(),
            },
        ];
        for subject in subjects {
            let text = serde_json::to_string(&subject).expect("text");
            assert_eq!(serde_json::from_str::<Subject>(&text).expect("reads back"), subject, "{text}");
        }
    }

    #[test]
    fn cookies() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "theme=dark; trackside=a.b".parse().expect("value"));
        headers.append(COOKIE, "__Host-trackside=c.d".parse().expect("value"));
        assert_eq!(Transport::Plain.find(Cookie::Session, &headers), Some("a.b"));
        assert_eq!(Transport::Tls.find(Cookie::Session, &headers), Some("c.d"));
        assert_eq!(Transport::Tls.find(Cookie::SignIn, &headers), None);
        headers.append(COOKIE, format!("trackside-sign-in={}", "a".repeat(5_000)).parse().expect("value"));
        assert_eq!(Transport::Plain.find(Cookie::SignIn, &headers), None, "too long");
        assert_eq!(
            Transport::Tls.set(Cookie::Session, "x", SignedDuration::from_hours(1)),
            "__Host-trackside=x; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            Transport::Plain.clear(Cookie::SignIn),
            "trackside-sign-in=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
    }
}
