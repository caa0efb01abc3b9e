//! Tokens of Trackside, verified by another implementation with our published keys.

use super::*;
use crate::seal::{Randomness, SealKey};
use crate::workload::claims::{Usage, Work};
use crate::workload::key;
use crate::workload::settings::WorkloadAlgorithm;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use std::collections::{BTreeMap, HashSet};
use trackside_core::caller::Caller;

const ISSUER: &str = "https://trackside.example.net";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// An issuer with keys that sign from these times on.
fn issuer(algorithm: WorkloadAlgorithm, signs: &[i64]) -> Workload {
    let seal = SealKey::new([7; 32]);
    let keys = signs
        .iter()
        .zip(1..)
        .map(|(second, number)| {
            let times = (Timestamp::UNIX_EPOCH, at(*second));
            let random = Randomness::new([number; 56]);
            key::make(algorithm, Uuid::from_u128(number.into()), times, &seal, random)
                .expect("made")
                .open(&seal)
                .expect("opened")
        })
        .collect();
    let workload = Workload::default();
    workload.put(ISSUER, &WorkloadSettings { algorithm, ..WorkloadSettings::default() }, keys, Vec::new());
    workload
}

fn wanted<'a>(claims: &'a BTreeMap<String, Value>, caller: Option<&'a Caller>) -> Wanted<'a> {
    let lifetime = SignedDuration::from_hours(9);
    let work = Work { job: Some("embed"), run: Some(Uuid::from_u128(5)) };
    Wanted { audience: "far-end", subject: "trackside", lifetime, usage: Usage::Access, caller, work, claims }
}

/// Signs, finds the key on the page, verifies; gives header's key and claims.
fn verified(workload: &Workload, wanted: &Wanted<'_>, now: Timestamp) -> (usize, Value) {
    let (token, ends) = workload.sign(wanted, now, Uuid::from_u128(9)).expect("signed");
    let token = secrecy::ExposeSecret::expose_secret(&token);
    let header = jsonwebtoken::decode_header(token).expect("a header");
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let page: JwkSet = serde_json::from_value(workload.key_page()).expect("a key set");
    let kid = header.kid.expect("a key id");
    let index = page.keys.iter().position(|key| key.common.key_id.as_ref() == Some(&kid)).expect("published");
    let mut rules = Validation::new(header.alg);
    rules.validate_exp = false;
    rules.required_spec_claims = HashSet::new();
    rules.set_audience(&["far-end"]);
    rules.set_issuer(&[ISSUER]);
    let key = DecodingKey::from_jwk(&page.keys[index]).expect("usable");
    let claims = jsonwebtoken::decode::<Value>(token, &key, &rules).expect("verified").claims;
    assert_eq!(claims["exp"], ends.as_second());
    (index, claims)
}

#[test]
fn a_token_says_who_for_whom_and_why() {
    let claims = BTreeMap::from([("role".to_owned(), Value::from("admin"))]);
    let caller = Caller { behalf: vec!["airflow".to_owned(), "cron".to_owned()], ..Caller::new("alice", "jwt") };
    for algorithm in [WorkloadAlgorithm::ES256, WorkloadAlgorithm::RS256, WorkloadAlgorithm::EdDSA] {
        let workload = issuer(algorithm, &[0]);
        let (_, told) = verified(&workload, &wanted(&claims, Some(&caller)), at(1_000));
        assert_eq!(
            told,
            json!({
                "iss": ISSUER, "sub": "alice", "aud": "far-end", "iat": 1_000, "nbf": 995, "exp": 4_600,
                "jti": "00000000-0000-0000-0000-000000000009", "client_id": "trackside",
                "act": {"sub": "trackside", "act": {"sub": "airflow", "act": {"sub": "cron"}}},
                "job": "embed", "run": "00000000-0000-0000-0000-000000000005", "role": "admin",
            })
        );
        let (_, told) = verified(&workload, &wanted(&BTreeMap::new(), None), at(0));
        assert_eq!((&told["sub"], told.get("act")), (&json!("trackside"), None));
    }
}

#[test]
fn the_key_whose_time_has_come_signs_and_all_are_published() {
    let workload = issuer(WorkloadAlgorithm::ES256, &[0, 100]);
    let claims = BTreeMap::new();
    for (second, index) in [(0, 0), (99, 0), (100, 1), (500, 1)] {
        assert_eq!(verified(&workload, &wanted(&claims, None), at(second)).0, index, "{second}");
    }
    assert_eq!(
        Workload::default().sign(&wanted(&claims, None), at(0), Uuid::nil()).map(|_| ()),
        Err(WorkloadError::NoKey)
    );
}

#[test]
fn the_pages_are_what_far_ends_read() {
    let workload = issuer(WorkloadAlgorithm::EdDSA, &[0]);
    let page = workload.discovery_page();
    assert_eq!(page["issuer"], ISSUER);
    assert_eq!(page["jwks_uri"], format!("{ISSUER}/.well-known/jwks.json"));
    assert_eq!(page["id_token_signing_alg_values_supported"], json!(["EdDSA"]));
    let key = &workload.key_page()["keys"][0];
    assert_eq!((&key["use"], &key["alg"], key.get("d")), (&json!("sig"), &json!("EdDSA"), None));
}

#[test]
fn keys_of_others_must_be_public() {
    let good = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qY","kid":"airflow"}]}"#;
    assert_eq!(public_keys(good).map(|keys| keys.len()), Ok(1));
    for bad in [
        "",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qY","d":"secret","kid":"k"}]}"#,
        r#"{"keys":[{"kty":"oct","k":"secret","kid":"k"}]}"#,
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qY"}]}"#,
        r#"{"keys":[7]}"#,
    ] {
        let refused = public_keys(bad).expect_err("refused");
        assert!(!refused.contains("secret"), "{refused}");
    }
}
