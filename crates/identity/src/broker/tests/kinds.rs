//! Each kind of credential: what is sent, and what comes of the answer.

use super::*;
use crate::seal::{Randomness, SealKey};
use crate::workload::key::make;
use crate::workload::settings::{WorkloadAlgorithm, WorkloadSettings};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

const RSA: &str = include_str!("../../../../../testdata/keys/rsa.pem");
const EC: &str = include_str!("../../../../../testdata/keys/ec.pem");
const ED: &str = include_str!("../../../../../testdata/keys/ed25519.pem");
const ISSUER: &str = "https://trackside.example.net";

/// An issuer with one key.
pub(super) fn workload() -> Workload {
    let seal = SealKey::new([7; 32]);
    let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let key = make(WorkloadAlgorithm::EdDSA, Uuid::from_u128(1), times, &seal, Randomness::new([1; 56])).expect("made");
    let workload = Workload::default();
    workload.put(ISSUER, &WorkloadSettings::default(), vec![key.open(&seal).expect("opened")], Vec::new());
    workload
}

/// A part of a token.
pub(super) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn fixed_credentials_are_read_at_each_use() {
    use std::io::{Seek as _, Write as _};
    let (mut file, secret) = secret_file("one\n");
    let world = World::new([]);
    let brokers = world.brokers(&format!(r#"{{"kind":"bearer","token":{secret}}}"#));
    assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer one"));
    file.rewind().expect("rewound");
    file.write_all(b"two\n").expect("written");
    assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer two"));
    let brokers = world.brokers(&format!(r#"{{"kind":"basic","username":{secret},"password":{secret}}}"#));
    assert_eq!(header(&brokers, None).await, Ok(format!("Basic {}", STANDARD.encode("two:two"))));
    let brokers = world.brokers(&format!(r#"{{"kind":"header","name":"X-Api-Key","value":{secret}}}"#));
    let Ok(Credential::Headers(headers)) = brokers.credential("far", None).await else { panic!("a header") };
    assert_eq!((headers[0].0.as_str(), headers[0].1.as_bytes()), ("x-api-key", &b"two"[..]));
    assert_eq!(brokers.status()[0].state, CredentialState::Fixed);
    let (_file, split) = secret_file("a\r\nX-Admin: 1");
    let brokers = world.brokers(&format!(r#"{{"kind":"bearer","token":{split}}}"#));
    assert_eq!(header(&brokers, None).await, Err("here for 5".to_owned()));
}

#[tokio::test]
async fn a_connection_without_credential_needs_none() {
    let brokers = World::new([]).brokers(r#"{"kind":"workload","audience":"a"}"#);
    let url = "https://far.example.net/".parse().expect("an address");
    brokers
        .put(BTreeMap::from([("far".to_owned(), Outlet { url, credential: None, check: "/".to_owned(), ca: None })]));
    assert!(matches!(brokers.credential("far", None).await, Ok(Credential::Headers(none)) if none.is_empty()));
    assert!(brokers.status().is_empty());
    assert!(Brokers::default().credential("far", None).await.is_err());
}

#[tokio::test]
async fn both_parts_of_a_basic_client_are_form_encoded() {
    let (_file, secret) = secret_file("a b/+");
    let world = World::new([token("t", 60)]);
    let credential =
        client(&secret).replace("secret_post", "secret_basic").replace(r#""client_id":"c""#, r#""client_id":"c:1""#);
    assert!(header(&world.brokers(&credential), None).await.is_ok());
    let value = &world.ask(0).headers["authorization"];
    assert!(value.is_sensitive());
    assert_eq!(value.to_str().expect("text"), format!("Basic {}", STANDARD.encode("c%3A1:a+b%2F%2B")));
    assert_eq!(world.form(0).get("client_secret"), None);
}

#[tokio::test]
async fn every_try_has_a_fresh_assertion() {
    for (pem, algorithm, expect) in
        [(RSA, None, "RS256"), (RSA, Some("PS256"), "PS256"), (EC, None, "ES256"), (ED, None, "EdDSA")]
    {
        let (_file, key) = secret_file(pem);
        let algorithm = algorithm.map(|name| format!(r#","algorithm":"{name}""#)).unwrap_or_default();
        let credential = format!(
            r#"{{"kind":"client_credentials","endpoint":{{"issuer":"https://idp.example.net"}},"client_id":"svc","scopes":["a","b"],"resource":"urn:far",
                "proof":{{"private_key":{{"key":{key},"kid":"k1"{algorithm}}}}}}}"#
        );
        let page = r#"{"issuer":"https://idp.example.net","jwks_uri":"https://idp.example.net/jwks","token_endpoint":"https://idp.example.net/oauth/token"}"#;
        let world =
            World::new([Say::Body(200, page.to_owned()), Say::Lost, Say::Body(500, String::new()), token("t", 60)]);
        let brokers = world.brokers(&credential);
        assert_eq!(header(&brokers, None).await, Err("busy for 5".to_owned()));
        world.pass(5);
        assert!(header(&brokers, None).await.is_ok());
        assert_eq!(world.ask(0).url.as_str(), "https://idp.example.net/.well-known/openid-configuration");
        let mut ids = std::collections::BTreeSet::new();
        for index in 1..4 {
            assert_eq!(world.ask(index).url.as_str(), "https://idp.example.net/oauth/token");
            let form = world.form(index);
            assert_eq!(
                (form["scope"].as_str(), form["resource"].as_str(), form["client_id"].as_str()),
                ("a b", "urn:far", "svc")
            );
            let (head, claims) = (part(&form["client_assertion"], 0), part(&form["client_assertion"], 1));
            assert_eq!((&head["alg"], &head["kid"]), (&json!(expect), &json!("k1")));
            assert_eq!(
                (&claims["iss"], &claims["sub"], &claims["aud"]),
                (&json!("svc"), &json!("svc"), &json!("https://idp.example.net"))
            );
            assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|at| at + 60));
            ids.insert(claims["jti"].to_string());
        }
        assert_eq!(ids.len(), 3, "a fresh one each time");
    }
}

#[tokio::test]
async fn a_discovery_page_of_somebody_else_is_refused() {
    let (_file, secret) = secret_file("s");
    let credential =
        client(&secret).replace(r#""url":"https://idp.example.net/token""#, r#""issuer":"https://idp.example.net""#);
    for (status, page) in [
        (
            200,
            r#"{"issuer":"https://evil.example.net","jwks_uri":"https://a.example/","token_endpoint":"https://evil.example.net/token"}"#,
        ),
        (
            200,
            r#"{"issuer":"https://idp.example.net","jwks_uri":"https://a.example/","token_endpoint":"http://idp.example.net/token"}"#,
        ),
        (200, r#"{"issuer":"https://idp.example.net","jwks_uri":"https://a.example/"}"#),
        (302, ""),
    ] {
        let world = World::new([Say::Body(status, page.to_owned())]);
        assert!(header(&world.brokers(&credential), None).await.is_err(), "{page}");
        assert_eq!(world.asked(), 1, "no token endpoint was asked");
    }
}

#[tokio::test]
async fn a_minted_subject_is_exchanged_for_each_caller() {
    let (_file, secret) = secret_file("s");
    let credential = client(&secret)
        .replace("client_credentials", "token_exchange")
        .replace(r#""client_id""#, r#""audience":"far-end","actor":"minted","client_id""#);
    let exchanged = |name: &str| {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        Say::Body(
            200,
            format!(
                r#"{{"access_token":"{name}","expires_in":600,"token_type":"Bearer","issued_token_type":"{kind}"}}"#
            ),
        )
    };
    let world = World::new([exchanged("alices"), exchanged("bobs")]);
    let brokers = world.brokers_with(&credential, workload());
    for (caller, expect) in [("alice", "Bearer alices"), ("bob", "Bearer bobs"), ("alice", "Bearer alices")] {
        assert_eq!(header(&brokers, Some(caller)).await.as_deref(), Ok(expect));
    }
    assert_eq!(world.asked(), 2);
    let form = world.form(0);
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(form["subject_token_type"], "urn:ietf:params:oauth:token-type:jwt");
    assert_eq!(form["audience"], "far-end");
    let subject = part(&form["subject_token"], 1);
    assert_eq!((&subject["sub"], &subject["act"]), (&json!("alice"), &json!({"sub": "trackside"})));
    assert_eq!((&subject["iss"], &subject["aud"]), (&json!(ISSUER), &json!("https://idp.example.net/token")));
    assert_eq!(part(&form["actor_token"], 1)["sub"], "trackside");
    assert_eq!(brokers.status()[0].callers, 2);
}

#[tokio::test]
async fn a_callers_own_token_is_exchanged_only_where_it_is_at_hand() {
    let (_file, secret) = secret_file("s");
    let credential = client(&secret)
        .replace("client_credentials", "token_exchange")
        .replace(r#""client_id""#, r#""subject":"callers","client_id""#);
    let kind = r#""issued_token_type":"urn:ietf:params:oauth:token-type:access_token""#;
    let world = World::new([Say::Body(
        200,
        format!(r#"{{"access_token":"t","expires_in":600,"token_type":"Bearer",{kind}}}"#),
    )]);
    let brokers = world.brokers(&credential);
    assert_eq!(header(&brokers, Some("alice")).await, Err("here for 5".to_owned()));
    assert_eq!(world.asked(), 0);
    let (caller, theirs) = (Caller::new("alice", "jwt"), secrecy::SecretString::from("their.own.token"));
    let behalf = OnBehalf { token: Some(&theirs), ..OnBehalf::caller(&caller) };
    assert!(brokers.credential("far", Some(behalf)).await.is_ok());
    let form = world.form(0);
    assert_eq!(form["subject_token"], "their.own.token");
    assert_eq!(form["subject_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(form.get("actor_token"), None);
}

#[tokio::test]
async fn airflow_gives_a_token_for_a_password() {
    let (_file, secret) = secret_file("pw");
    let world = World::new([
        Say::Body(201, r#"{"access_token":"e30.eyJleHAiOjEwODY0MDB9.x"}"#.to_owned()),
        Say::Body(401, r#"{"detail":"Invalid credentials"}"#.to_owned()),
    ]);
    let brokers = world.brokers(&format!(r#"{{"kind":"airflow_login","username":{secret},"password":{secret}}}"#));
    assert!(header(&brokers, None).await.is_ok());
    let ask = world.ask(0);
    assert_eq!(ask.url.as_str(), "https://far.example.net/base/auth/token");
    assert_eq!(serde_json::from_slice::<Value>(&ask.body).expect("JSON"), json!({"username": "pw", "password": "pw"}));
    assert_eq!(brokers.status()[0].expires, Timestamp::from_second(1_086_400).ok(), "the token says so itself");
    world.pass(100);
    brokers.rejected("far", None);
    assert_eq!(header(&brokers, None).await, Err("refused for 60".to_owned()));
}

#[tokio::test]
async fn workload_tokens_are_signed_here() {
    let world = World::new([]);
    let credential = r#"{"kind":"workload","audience":"apache-airflow","subject":"oncall","behalf":"caller","lifetime_seconds":120,"claims":{"role":"admin"}}"#;
    let brokers = world.brokers_with(credential, workload());
    let got = header(&brokers, Some("alice")).await.expect("signed");
    let token = got.strip_prefix("Bearer ").expect("a bearer token");
    let claims = part(token, 1);
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["role"]),
        (&json!("alice"), &json!("apache-airflow"), &json!("admin"))
    );
    assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|at| at + 120));
    assert_eq!(header(&brokers, Some("alice")).await, Ok(got.clone()), "kept");
    let other = header(&brokers, None).await.expect("signed");
    assert_eq!(part(&other[7..], 1)["sub"], "oncall");
    assert!(part(&other[7..], 1).get("act").is_none());
    assert_eq!(header(&world.brokers(credential), None).await, Err("here for 5".to_owned()), "no key");
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    let check = |credential: &str| -> Vec<&'static str> {
        let credential: config::CredentialConfig = serde_json::from_str(credential).expect("a credential");
        credential.check().err().unwrap_or_default().into_iter().map(|wrong| wrong.field).collect()
    };
    let client = |rest: &str, endpoint: &str| {
        format!(
            r#"{{"kind":"client_credentials","endpoint":{endpoint},"client_id":"c","proof":{{"secret_post":{{"env":"S"}}}}{rest}}}"#
        )
    };
    let good = r#"{"url":"https://idp.example.net/token"}"#;
    for (credential, expect) in [
        (client("", good), vec![]),
        (client("", r#"{"issuer":"http://127.0.0.1:19100"}"#), vec![]),
        (client("", r#"{"url":"http://idp.example.net/token"}"#), vec!["endpoint.url"]),
        (client("", r#"{"issuer":"idp"}"#), vec!["endpoint.issuer"]),
        (client(r#","scopes":["a b"]"#, good), vec!["scopes"]),
        (r#"{"kind":"header","name":"Host","value":{"env":"V"}}"#.to_owned(), vec!["name"]),
        (r#"{"kind":"header","name":"a b","value":{"env":"V"}}"#.to_owned(), vec!["name"]),
        (r#"{"kind":"workload","audience":"a","lifetime_seconds":7200,"claims":{"sub":"x"}}"#.to_owned(), vec!["lifetime_seconds", "claims"]),
        (
            r#"{"kind":"azure_service_principal","tenant":"","client_id":"c","scope":"https://x","proof":{"secret":{"env":"S"}}}"#.to_owned(),
            vec!["tenant", "scope"],
        ),
    ] {
        assert_eq!(check(&credential), expect, "{credential}");
    }
    let unknown = r#"{"kind":"token_exchange","endpoint":{"url":"https://a/"},"client_id":"c","proof":{"secret_post":{"env":"S"}},"scopez":[]}"#;
    assert!(serde_json::from_str::<config::CredentialConfig>(unknown).is_err());
}
