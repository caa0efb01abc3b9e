//! When keys are read, and what happens when they cannot be, on virtual time.

use crate::world::{World, at, now, vectors};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use std::sync::Arc;
use trackside_identity::callers::{Callers, NotKnown};
use trackside_identity::certificate::Certificates;
use trackside_identity::issuer::Issuers;

const JWKS: &str = "https://idp.test/jwks";

fn config() -> Value {
    json!({"idp": {"issuer": "https://idp.test/", "audience": ["hub"], "keys": {"url": JWKS}}})
}

fn token(id: &str) -> &'static str {
    let tokens = vectors()["tokens"].as_array().expect("tokens");
    tokens.iter().find(|case| case["id"] == id).and_then(|case| case["token"].as_str()).expect("a token")
}

/// The key set with only these keys.
fn keys(kids: &[&str]) -> String {
    let mut jwks = vectors()["jwks"].clone();
    jwks["keys"].as_array_mut().expect("keys").retain(|key| kids.iter().any(|kid| key["kid"] == *kid));
    jwks.to_string()
}

async fn taken(callers: &Callers, id: &str, seconds: i64) -> bool {
    callers.identify(token(id), at(seconds)).await.is_ok()
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_in_five_minutes() {
    let world = World::new(keys(&["rs1"]));
    let callers = world.callers(config());
    assert!(taken(&callers, "pyjwt-RS256-rs1", 0).await);
    assert!(!taken(&callers, "pyjwt-RS256-rs2", 1).await);
    assert_eq!(world.asked(), [JWKS]);
    world.answer(JWKS, 200, keys(&["rs1", "rs2"]));
    assert!(!taken(&callers, "pyjwt-RS256-rs2", 299).await, "asked a moment ago");
    assert_eq!(world.asked(), [""; 0]);
    // Another unknown key is asked for when the time has come, and that finds this one as well.
    assert!(!taken(&callers, "unknown-kid", 300).await);
    assert_eq!(world.asked(), [JWKS]);
    assert!(taken(&callers, "pyjwt-RS256-rs2", 301).await);
    // What keeps coming and is known to be unknown does not use up the next turn.
    assert!(!taken(&callers, "unknown-kid", 700).await);
    assert_eq!(world.asked(), [""; 0]);
    assert!(!taken(&callers, "unknown-kid", 1300).await);
    assert_eq!(world.asked(), [JWKS]);
}

#[tokio::test]
async fn a_key_that_came_after_the_keys_were_read_is_not_taken_for_unknown() {
    let world = World::new(keys(&["rs1"]));
    let callers = world.callers(config());
    assert!(!taken(&callers, "unknown-kid", 0).await);
    // It is asked for too early, again and again, and found as soon as the keys may be read.
    for seconds in [1, 100, 299] {
        assert!(!taken(&callers, "pyjwt-RS256-rs2", seconds).await, "{seconds}");
    }
    assert_eq!(world.asked(), [JWKS]);
    world.answer(JWKS, 200, keys(&["rs1", "rs2"]));
    assert!(taken(&callers, "pyjwt-RS256-rs2", 300).await);
    assert_eq!(world.asked(), [JWKS]);
}

#[tokio::test]
async fn a_key_that_came_just_after_the_background_read_is_found_at_once() {
    let world = World::new(keys(&["rs1"]));
    let issuers = Arc::new(world.issuers(config(), &Issuers::default()));
    let callers = Callers::new(Arc::clone(&issuers), Certificates::default());
    issuers.refresh(now()).await;
    world.answer(JWKS, 200, keys(&["rs1", "rs2"]));
    assert!(taken(&callers, "pyjwt-RS256-rs2", 1).await);
    assert_eq!(world.asked(), [JWKS, JWKS]);
    assert!(!taken(&callers, "unknown-kid", 2).await, "and then not for five minutes");
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test]
async fn a_key_that_nobody_can_look_for_is_neither_unknown_nor_refused_for_good() {
    let world = World::new(keys(&["rs1"]));
    let callers = world.callers(config());
    assert!(taken(&callers, "pyjwt-RS256-rs1", 0).await);
    world.gone(JWKS);
    let refused = callers.identify(token("pyjwt-RS256-rs2"), at(600)).await;
    let why = "the keys of `idp` cannot be had: idp.test cannot be reached: nobody is there";
    assert_eq!(refused.map(drop), Err(NotKnown::Unavailable(why.to_owned())));
    assert!(taken(&callers, "jose-RS256-rs1", 600).await, "the last good keys stay in use");
    world.answer(JWKS, 200, keys(&["rs1", "rs2"]));
    assert!(taken(&callers, "pyjwt-RS256-rs2", 900).await);
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_gap() {
    let world = World::new(keys(&["rs1"]));
    let issuers = Arc::new(world.issuers(config(), &Issuers::default()));
    let callers = Callers::new(Arc::clone(&issuers), Certificates::default());
    // The exchange yields once before it answers; the caller does not wait for that.
    assert!(callers.identify(token("pyjwt-RS256-rs1"), now()).now_or_never().is_none());
    assert_eq!(world.asked(), [""; 0], "nothing came of it");
    assert!(!taken(&callers, "pyjwt-RS256-rs1", 1).await, "going away is no way to have keys read more often");
    issuers.refresh(at(60)).await;
    assert!(taken(&callers, "pyjwt-RS256-rs1", 61).await);
}

#[tokio::test]
async fn however_many_wait_one_fetch_is_under_way() {
    let world = World::new(keys(&["rs1"]));
    let callers = world.callers(config());
    let all = (0..50).map(|_| callers.identify(token("jose-RS256-rs1"), now()));
    let found = futures_util::future::join_all(all).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(world.asked(), [JWKS]);
}

#[tokio::test]
async fn the_last_good_keys_stay_in_use() {
    let world = World::new(keys(&["rs1"]));
    let issuers = Arc::new(world.issuers(config(), &Issuers::default()));
    let callers = Callers::new(Arc::clone(&issuers), Certificates::default());
    issuers.refresh(now()).await;
    world.gone(JWKS);
    for hours in 1..=30 {
        issuers.refresh(at(hours * 3600)).await;
    }
    let status = issuers.status().remove(0).keys;
    assert_eq!((status.keys, status.fetched), (1, Some(now())));
    assert_eq!(status.problem.as_deref(), Some("idp.test cannot be reached: nobody is there"));
    assert!(taken(&callers, "pyjwt-RS256-rs1", 0).await);
    // A page that is no key set changes nothing either.
    world.answer(JWKS, 200, "<html>");
    issuers.refresh(at(200_000)).await;
    assert!(taken(&callers, "jose-RS256-rs1", 0).await);
    world.answer(JWKS, 200, keys(&["rs2"]));
    issuers.refresh(at(300_000)).await;
    assert!(
        !taken(&callers, "jose-RS256-rs1", 0).await,
        "a key that was withdrawn counts no more, not even for kept identities"
    );
    assert!(taken(&callers, "pyjwt-RS256-rs2", 0).await);
}

#[tokio::test]
async fn the_background_reads_once_an_hour_and_soon_after_a_failure() {
    let world = World::new(keys(&["rs1"]));
    let issuers = world.issuers(config(), &Issuers::default());
    let check = async |seconds: i64, expect: usize| {
        issuers.refresh(at(seconds)).await;
        assert_eq!(world.asked().len(), expect, "{seconds}");
    };
    check(0, 1).await;
    check(3599, 0).await;
    world.gone(JWKS);
    check(3600, 1).await;
    check(3659, 0).await;
    check(3660, 1).await;
    world.answer(JWKS, 200, keys(&["rs1"]));
    check(3720, 1).await;
    check(3800, 0).await;
}

#[tokio::test]
async fn without_keys_nobody_is_refused_for_good() {
    let world = World::default();
    let callers = world.callers(config());
    let refused = callers.identify(token("pyjwt-RS256-rs1"), now()).await;
    let why = "the keys of `idp` cannot be had: idp.test cannot be reached: nobody is there";
    assert_eq!(refused.map(drop), Err(NotKnown::Unavailable(why.to_owned())));
}

#[tokio::test]
async fn discovery_leads_to_the_keys_of_this_issuer_only() {
    let place = "https://idp.test/.well-known/openid-configuration";
    let config = json!({"idp": {"issuer": "https://idp.test/", "audience": ["hub"]}});
    let document = |issuer: &str| json!({"issuer": issuer, "jwks_uri": JWKS}).to_string();
    let check = async |status: u16, body: String, expect: bool| {
        let world = World::new(keys(&["rs1"]));
        world.answer(place, status, body);
        let callers = world.callers(config.clone());
        assert_eq!(taken(&callers, "pyjwt-RS256-rs1", 0).await, expect);
        assert_eq!(world.asked().len(), if expect { 2 } else { 1 });
    };
    check(200, document("https://idp.test/"), true).await;
    check(200, document("https://idp.test"), false).await;
    check(302, document("https://idp.test/"), false).await;
    check(200, format!("{}{}", document("https://idp.test/"), " ".repeat(1024 * 1024)), false).await;
}

#[tokio::test]
async fn another_configuration_keeps_the_keys_and_forgets_the_identities() {
    let world = World::new(keys(&["rs1"]));
    let first = Arc::new(world.issuers(config(), &Issuers::default()));
    let callers = Callers::new(Arc::clone(&first), Certificates::default());
    assert!(taken(&callers, "pyjwt-RS256-rs1", 0).await);
    let mut other = config();
    other["idp"]["map"] = json!([{"role": "viewer"}]);
    let second = Arc::new(world.issuers(other, &first));
    let callers = callers.succeeded_by(second, Certificates::default());
    let identity = callers.identify(token("pyjwt-RS256-rs1"), now()).await.expect("taken");
    assert_eq!(identity.rights.to_string(), "viewer");
    assert_eq!(world.asked(), [JWKS]);
    assert_eq!(callers.counts().verified, 2);
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let folder = std::env::temp_dir().join(format!("trackside-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("jwks.json");
    std::fs::write(&path, keys(&["rs1"])).expect("written");
    let world = World::default();
    let config = json!({"idp": {"issuer": "https://idp.test/", "audience": ["hub"], "keys": {"file": path}}});
    let issuers = Arc::new(world.issuers(config, &Issuers::default()));
    let callers = Callers::new(Arc::clone(&issuers), Certificates::default());
    assert!(taken(&callers, "pyjwt-RS256-rs1", 0).await);
    std::fs::write(&path, keys(&["rs2"])).expect("written");
    issuers.refresh(at(5)).await;
    assert!(taken(&callers, "pyjwt-RS256-rs2", 6).await);
    assert!(!taken(&callers, "pyjwt-RS256-rs1", 6).await);
    std::fs::remove_dir_all(&folder).expect("removed");
}
