//! Tokens of PyJWT and jose, and tokens that nobody may take: as data, and beside what `jsonwebtoken` says.

use crate::world::{self, World};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use trackside_identity::callers::NotKnown;

#[derive(Deserialize)]
struct Case {
    id: String,
    why: String,
    token: String,
    expect: Expect,
    roles: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expect {
    Allow,
    Refuse,
}

fn cases() -> Vec<Case> {
    serde_json::from_value(world::vectors()["tokens"].clone()).expect("cases")
}

/// An issuer that takes every algorithm, so that the key decides.
fn every_algorithm() -> serde_json::Value {
    json!({"idp": {
        "issuer": "https://idp.test/", "audience": ["hub"], "types": ["at+jwt"], "keys": {"url": "https://idp.test/jwks"},
        "algorithms": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
    }})
}

#[tokio::test]
async fn every_token_is_judged_as_its_case_says() {
    let world = World::new(world::vectors()["jwks"].to_string());
    let callers = world.callers(every_algorithm());
    let mut wrong = Vec::new();
    for case in cases() {
        let found = callers.identify(&case.token, world::now()).await;
        let verdict = if found.is_ok() { Expect::Allow } else { Expect::Refuse };
        if verdict != case.expect {
            wrong.push(format!("{} ({}): {:?}", case.id, case.why, found.map(|identity| identity.caller.clone())));
            continue;
        }
        if let (Some(roles), Ok(identity)) = (&case.roles, &found) {
            let roles: BTreeSet<String> = roles.iter().cloned().collect();
            assert_eq!(identity.names.difference(&roles).count(), 0, "{}: {:?}", case.id, identity.names);
            assert!(roles.is_subset(&identity.names), "{}: {:?}", case.id, identity.names);
        }
        if let Err(NotKnown::Invalid(why)) = &found {
            assert!(why.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{}: {why:?}", case.id);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(world.asked(), ["https://idp.test/jwks"], "no token may cause another request");
}

#[tokio::test]
async fn what_we_take_jsonwebtoken_takes_too() {
    let world = World::new(world::vectors()["jwks"].to_string());
    let callers = world.callers(every_algorithm());
    let set: jsonwebtoken::jwk::JwkSet = {
        let mut jwks = world::vectors()["jwks"].clone();
        // The library reads no set with a curve it does not know.
        jwks["keys"].as_array_mut().expect("keys").retain(|key| key["crv"] != "secp256k1" && key["crv"] != "P-521");
        serde_json::from_value(jwks).expect("a key set")
    };
    let mut compared = 0;
    for case in cases() {
        let ours = callers.identify(&case.token, world::now()).await.is_ok();
        let Some(theirs) = other_opinion(&case.token, &set) else { continue };
        compared += 1;
        assert!(!ours || theirs, "{}: taken here and refused there", case.id);
        if case.expect == Expect::Allow {
            assert!(theirs, "{}: a good token is refused there", case.id);
        }
    }
    assert!(compared > 60, "{compared}");
}

/// What the library says of the signature; `None` when it has no key to judge with.
fn other_opinion(token: &str, set: &jsonwebtoken::jwk::JwkSet) -> Option<bool> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let key = set.find(header.kid.as_ref()?)?;
    let key = jsonwebtoken::DecodingKey::from_jwk(key).ok()?;
    let mut rules = jsonwebtoken::Validation::new(header.alg);
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    Some(jsonwebtoken::decode::<serde_json::Value>(token, &key, &rules).is_ok())
}

#[tokio::test]
async fn the_identity_says_what_the_token_says() {
    let world = World::new(world::vectors()["jwks"].to_string());
    let callers = world.callers(json!({"idp": {
        "issuer": "https://idp.test/", "audience": ["hub"], "keys": {"url": "https://idp.test/jwks"},
        "names_from": ["roles", "scope"], "attributes": {"mail": "preferred_username"},
        "teams": {"claim": "groups", "map": {"g1": "ml", "g7": "payments"}},
        "map": [
            {"when": {"roles": "jobs.*"}, "role": "service"},
            {"when": {"groups": ["g1", "g2"]}, "role": "responder", "scope": "own_teams"},
            {"when": {"roles": "admin"}, "role": "admin"},
        ],
    }}));
    let token = &cases()[0].token;
    let identity = callers.identify(token, world::now()).await.expect("taken");
    assert_eq!(identity.caller.subject, "idp:spn-000000-airflow@svc.example.com");
    assert_eq!(identity.caller.via, "jwt");
    assert_eq!(identity.caller.token.as_deref(), Some("00000000000000000000000000000000"));
    assert_eq!(identity.rights.to_string(), "service, responder for ml");
    assert_eq!(identity.team.as_deref(), Some("ml"));
    assert_eq!(
        identity.names.iter().map(String::as_str).collect::<Vec<_>>(),
        ["events.write", "jobs.read", "jobs.run"]
    );
    assert_eq!(identity.attributes["sub"], "spn-000000-airflow@svc.example.com");
    assert_eq!(identity.attributes["mail"], "airflow-prod@example.com");
    assert_eq!(identity.expires, Some(world::at(3600)));
}
