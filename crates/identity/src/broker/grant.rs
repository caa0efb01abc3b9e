//! A token or keys that were granted, and the times of their life.
//!
//! Invariants: neither shows in any `Debug`; a token is never used in the last moments of its life, because it must
//! still be valid when it arrives.

use super::signing::RequestSigner;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// Life of a token of which nobody says how long it lives.
pub const UNSAID: SignedDuration = SignedDuration::from_mins(5);
/// Longest life that is believed. Azure's managed identities get 24 hours.
const LONGEST: SignedDuration = SignedDuration::from_hours(48);
/// A token is not used in its last 30 seconds.
const SPARE: SignedDuration = SignedDuration::from_secs(30);
/// A token is renewed at least this long before it ends, if it lives long enough.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// What authenticates.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A bearer token (RFC 6750).
    Token(SecretString),
    /// Keys that sign each request.
    Signer(RequestSigner),
}

/// What was granted: mostly a token.
#[derive(Clone, Debug)]
pub struct Granted<P = SecretString> {
    /// What authenticates.
    pub proof: P,
    /// When it came.
    pub issued: Timestamp,
    /// When it ends to be valid.
    pub expires: Timestamp,
    /// Something that people should know, though it works.
    pub warning: Option<String>,
    /// On whose behalf it acts, nearest first, as the token itself says (RFC 8693 §4.1).
    pub actors: Vec<String>,
}

impl Granted {
    /// A token that lives for so long from now on.
    #[must_use]
    pub fn new(token: SecretString, now: Timestamp, life: SignedDuration) -> Self {
        Self::of(token, now, life)
    }

    /// A token of which its issuer does not say how long it lives: what it says itself, else [`UNSAID`].
    #[must_use]
    pub fn of_unsaid_life(token: SecretString, now: Timestamp) -> Self {
        let said = expiry(token.expose_secret()).map(|expires| expires.duration_since(now));
        Self::new(token, now, said.filter(SignedDuration::is_positive).unwrap_or(UNSAID))
    }

    /// The same as a proof of either kind.
    #[must_use]
    pub fn into_proof(self) -> Granted<Proof> {
        let Self { proof, issued, expires, warning, actors } = self;
        Granted { proof: Proof::Token(proof), issued, expires, warning, actors }
    }
}

impl<P> Granted<P> {
    /// Something that authenticates for so long from now on.
    #[must_use]
    pub fn of(proof: P, now: Timestamp, life: SignedDuration) -> Self {
        let expires = now.saturating_add(life.min(LONGEST)).unwrap_or(now);
        Self { proof, issued: now, expires, warning: None, actors: Vec::new() }
    }

    /// Until when it is used: 30 seconds before it ends, or three quarters of a life of less than two minutes.
    #[must_use]
    pub fn usable_until(&self) -> Timestamp {
        let life = self.life();
        before(self.expires, SPARE.min(life / 4))
    }

    /// When it is renewed: at half of its life, or five minutes before its end when that is earlier; a token that lives
    /// less than ten minutes has no such five minutes, so half of its life it is. `jitter`, in `[0, 1)`, moves it ahead by
    /// up to a tenth of that time, so that many servers do not ask at once.
    #[must_use]
    pub fn renew_at(&self, jitter: f64) -> Timestamp {
        let half = self.life() / 2;
        let early = self.life() - EARLY;
        let wait = if self.life() < EARLY * 2 { half } else { half.min(early) };
        let wait = wait.as_secs_f64() * (1.0 - 0.1 * jitter.clamp(0.0, 1.0));
        let wait = SignedDuration::try_from_secs_f64(wait).unwrap_or(half);
        self.issued.saturating_add(wait).unwrap_or(self.expires)
    }

    fn life(&self) -> SignedDuration {
        self.expires.duration_since(self.issued).max(SignedDuration::ZERO)
    }
}

/// Whether a token has the form of a JWT. Others can be understood by their issuer only.
#[must_use]
pub fn is_jwt(token: &str) -> bool {
    token.matches('.').count() == 2 && claims::<serde_json::Map<String, serde_json::Value>>(token).is_some()
}

/// When a token ends by its own words. It is not verified: it is ours, fresh from its issuer.
#[must_use]
pub fn expiry(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Life {
        exp: f64,
    }
    let Life { exp } = claims(token)?;
    if !(0.0..=253_402_207_200.0).contains(&exp) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "it is in range")]
    Timestamp::from_second(exp as i64).ok()
}

/// The chain of actors that a token names, nearest first (RFC 8693 §4.1), for the audit.
#[must_use]
pub fn actors(token: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Chain {
        act: Option<Actor>,
    }
    #[derive(Deserialize)]
    struct Actor {
        sub: String,
        act: Option<Box<Actor>>,
    }
    let mut names = Vec::new();
    let mut actor = claims::<Chain>(token).and_then(|chain| chain.act);
    while let Some(Actor { sub, act }) = actor {
        names.push(sub);
        actor = act.map(|next| *next);
    }
    names
}

fn claims<T: serde::de::DeserializeOwned>(token: &str) -> Option<T> {
    let part = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(part).or_else(|_| URL_SAFE.decode(part)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn before(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn a_token_is_renewed_well_before_it_ends() {
        for (life, renew, usable) in
            [(86_400, 43_200, 86_370), (3_600, 1_800, 3_570), (600, 300, 570), (300, 150, 270), (60, 30, 45), (4, 2, 3)]
        {
            let granted = Granted::new(SecretString::from("t"), NOW, SignedDuration::from_secs(life));
            assert_eq!(
                (granted.renew_at(0.0).as_second(), granted.usable_until().as_second()),
                (renew, usable),
                "{life}"
            );
            let early = granted.renew_at(0.999).as_second();
            assert!(early <= renew && early * 10 >= renew * 9 - 10, "{life}: {early}");
        }
        let long = Granted::new(SecretString::from("t"), NOW, SignedDuration::from_hours(24 * 365));
        assert_eq!(long.expires.as_second(), 48 * 3_600);
    }

    #[test]
    fn a_token_that_tells_of_itself_is_heard() {
        let token = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        for (claims, ends, chain) in [
            (r#"{"exp":120}"#, Some(120), vec![]),
            (r#"{"exp":120.7,"act":{"sub":"a","act":{"sub":"b"}}}"#, Some(120), vec!["a", "b"]),
            (r#"{"exp":-1}"#, None, vec![]),
            (r#"{"exp":1e300}"#, None, vec![]),
            (r#"{"exp":"120"}"#, None, vec![]),
            ("[]", None, vec![]),
        ] {
            let token = token(claims);
            assert_eq!(expiry(&token).map(Timestamp::as_second), ends, "{claims}");
            assert_eq!(actors(&token), chain, "{claims}");
            let life = Granted::of_unsaid_life(SecretString::from(token), NOW).expires.as_second();
            assert_eq!(life, ends.unwrap_or(300));
        }
        for opaque in ["", "abc", "a.b", "a.b.c", "....", "x.e30.y.z"] {
            assert!(!is_jwt(opaque), "{opaque}");
        }
        assert!(is_jwt(&token("{}")));
    }
}
