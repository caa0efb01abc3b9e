//! What a token of Trackside tells.
//!
//! Invariants: it names one audience, lives an hour at most, and has an id of its own. On somebody's behalf, the subject
//! is who asked first and `act` says through whom it came, Trackside first (RFC 8693 §4.1).

use super::settings::LONGEST;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trackside_core::caller::Caller;
use uuid::Uuid;

/// Who Trackside is when it speaks for itself.
pub const OURSELVES: &str = "trackside";
/// How far a token begins in the past, for clocks that differ.
const EARLIER: i64 = 5;
/// Most actors that are named.
const ACTORS: usize = 16;
/// Claims that a configuration cannot set.
pub const RESERVED: &[&str] = &["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "act", "client_id", "job", "run"];

/// Which token is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Who it is for.
    pub audience: &'a str,
    /// Who it is about when it is on nobody's behalf.
    pub subject: &'a str,
    /// How long it lives; an hour at most.
    pub lifetime: SignedDuration,
    /// What it is used as.
    pub usage: Usage,
    /// On whose behalf it is used.
    pub caller: Option<&'a Caller>,
    /// What it is used for.
    pub work: Work<'a>,
    /// Claims of the configuration.
    pub claims: &'a BTreeMap<String, Value>,
}

/// What a token is used as; its header says so (`typ`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It opens the far end itself (RFC 9068).
    Access,
    /// It is exchanged for another token, or proves a client.
    Assertion,
}

/// The work that a token is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work<'a> {
    /// Name of the job.
    pub job: Option<&'a str>,
    /// Its run.
    pub run: Option<Uuid>,
}

/// Header (without `alg` and `kid`), claims, and the end of a token.
#[must_use]
pub fn compose(wanted: &Wanted<'_>, issuer: &str, now: Timestamp, id: Uuid) -> (Value, Value, Timestamp) {
    let second = now.as_second();
    let end = second + wanted.lifetime.min(LONGEST).max(SignedDuration::from_secs(1)).as_secs();
    let mut claims: Map<String, Value> = wanted.claims.clone().into_iter().collect();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", issuer.into());
    set("sub", wanted.caller.map_or(wanted.subject, |caller| &caller.subject).into());
    set("aud", wanted.audience.into());
    set("iat", second.into());
    set("nbf", (second - EARLIER).into());
    set("exp", end.into());
    set("jti", id.to_string().into());
    set("client_id", OURSELVES.into());
    if let Some(caller) = wanted.caller {
        set("act", actors(caller));
    }
    if let Some(job) = wanted.work.job {
        set("job", job.into());
    }
    if let Some(run) = wanted.work.run {
        set("run", run.to_string().into());
    }
    let kind = match wanted.usage {
        Usage::Access => "at+jwt",
        Usage::Assertion => "JWT",
    };
    (json!({"typ": kind}), Value::Object(claims), Timestamp::from_second(end).unwrap_or(now))
}

/// The chain of actors: Trackside, then those through whom the caller came.
fn actors(caller: &Caller) -> Value {
    let mut chain: Option<Value> = None;
    for name in caller.behalf.iter().take(ACTORS).rev() {
        chain = Some(actor(name, chain));
    }
    actor(OURSELVES, chain)
}

fn actor(name: &str, before: Option<Value>) -> Value {
    match before {
        Some(before) => json!({"sub": name, "act": before}),
        None => json!({"sub": name}),
    }
}
