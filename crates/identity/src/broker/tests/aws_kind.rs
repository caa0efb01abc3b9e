//! AWS through the brokers: a role for a token, keys that sign each request, both renewed.

use super::kinds::{part, workload};
use super::*;
use crate::secret::sigv4::{Draft, Keys, Scope, signature};
use http::Method;
use serde_json::json;

const ROLE: &str = "arn:aws:iam::111122223333:role/trackside";

fn config(token: &str, more: &str) -> String {
    format!(
        r#"{{"kind":"aws_web_identity","role_arn":"{ROLE}","token":{token},"region":"eu-central-1","service":"execute-api"{more}}}"#
    )
}

/// What STS gives; the world's clock begins at 1970-01-12T13:46:40Z.
fn keys(name: &str, expiration: &str) -> Say {
    Say::Body(
        200,
        format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>{name}</AccessKeyId><SecretAccessKey>s3cr3t+/{name}</SecretAccessKey>\
             <SessionToken>session-{name}</SessionToken><Expiration>{expiration}</Expiration>\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    )
}

/// The headers of a request with a body, by name.
async fn signed(brokers: &Brokers, now: Timestamp) -> Result<BTreeMap<String, String>, String> {
    let credential = brokers.credential("far", None).await.map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    for (name, value) in [("content-type", "application/json"), ("x-amz-target", "Do.It"), ("accept", "*/*")] {
        headers.insert(HeaderName::from_static(name), value.parse().expect("a header"));
    }
    let request = Outgoing {
        method: &Method::POST,
        host: "far.example.net",
        path: "/a%20b",
        query: Some("z=1&a=2"),
        headers: &headers,
        body: b"{}",
    };
    assert!(!format!("{credential:?}").contains("s3cr3t"), "keys are not shown");
    let headers = credential.headers(&request, now);
    assert!(headers.iter().all(|(name, value)| name.as_str() == "x-amz-date" || value.is_sensitive()));
    let text = |value: &http::HeaderValue| value.to_str().expect("text").to_owned();
    Ok(headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}

#[tokio::test]
async fn requests_are_signed_with_the_keys_of_the_role() {
    let world = World::new([keys("ONE", "1970-01-12T14:46:40Z")]);
    let brokers = world.brokers_with(&config(r#"{"workload":{"subject":"prod"}}"#, ""), workload());
    let now = Timestamp::from_second(1_000_000).expect("in range");
    let got = signed(&brokers, now).await.expect("signed");
    let form = world.form(0);
    assert_eq!(world.ask(0).url.as_str(), "https://sts.eu-central-1.amazonaws.com/");
    assert!(!world.ask(0).headers.contains_key("authorization"), "STS is asked without a signature");
    assert_eq!(
        (form["Action"].as_str(), form["Version"].as_str(), form["RoleArn"].as_str(), form["RoleSessionName"].as_str()),
        ("AssumeRoleWithWebIdentity", "2011-06-15", ROLE, "trackside")
    );
    let claims = part(&form["WebIdentityToken"], 1);
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!("sts.amazonaws.com"), &json!("prod")));

    // What is not the sender's alone is not signed: `accept` may be changed on the way.
    let headers = [("content-type", "application/json"), ("x-amz-target", "Do.It")];
    let headers: HeaderMap = headers
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a header")))
        .into_iter()
        .collect();
    let draft = Draft {
        method: &Method::POST,
        host: "far.example.net",
        path: "/a%20b",
        query: "z=1&a=2",
        headers: &headers,
        body: b"{}",
    };
    let keys = Keys { id: "ONE".into(), secret: "s3cr3t+/ONE".into(), token: Some("session-ONE".into()) };
    let scope = Scope { region: "eu-central-1", service: "execute-api" };
    for (name, value) in signature(&draft, &keys, scope, now).expect("signed") {
        assert_eq!(got[name.as_str()], value.to_str().expect("text"));
    }
    assert_eq!(got["x-amz-security-token"], "session-ONE");
    assert_eq!(got["x-amz-date"], "19700112T134640Z");
}

#[tokio::test]
async fn keys_are_kept_renewed_and_used_while_they_hold() {
    let refused = Say::Body(
        400,
        "<ErrorResponse><Error><Code>IDPCommunicationError</Code><Message>later</Message></Error></ErrorResponse>"
            .to_owned(),
    );
    let world = World::new([keys("ONE", "1970-01-12T14:46:40Z"), refused, keys("TWO", "1970-01-12T15:46:40Z")]);
    let (_file, reference) = secret_file("a.web.identity\n");
    let file = serde_json::from_str::<serde_json::Value>(&reference).expect("a reference");
    let brokers = world.brokers(&config(&file.to_string(), r#","session_name":"prod-1","lifetime_seconds":3600"#));
    for (pass, id, asked) in [(0, "ONE", 1), (1_700, "ONE", 1), (200, "ONE", 2), (10, "TWO", 3)] {
        world.pass(pass);
        let got = signed(&brokers, Timestamp::UNIX_EPOCH).await.expect("signed");
        assert!(got["authorization"].contains(&format!("Credential={id}/19700101/eu-central-1/execute-api/")), "{id}");
        assert_eq!(world.asked(), asked);
    }
    let form = world.form(0);
    assert_eq!(
        (form["WebIdentityToken"].as_str(), form["RoleSessionName"].as_str(), form["DurationSeconds"].as_str()),
        ("a.web.identity", "prod-1", "3600")
    );
    assert_eq!(brokers.status()[0].fetched, 2);
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for (code, expect) in [
        ("AccessDenied", "trust policy"),
        ("InvalidIdentityToken", "does it trust the issuer"),
        ("ExpiredTokenException", "is over"),
    ] {
        let body = format!("<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>");
        let world = World::new([Say::Body(403, body)]);
        let brokers = world.brokers_with(&config(r#"{"workload":{"subject":"prod"}}"#, ""), workload());
        let error = signed(&brokers, Timestamp::UNIX_EPOCH).await.expect_err("refused");
        assert!(error.contains(expect), "{error}");
    }
}

#[test]
fn mistakes_are_named() {
    for (change, expect) in [
        (("role_arn", json!("trackside")), "role_arn"),
        (("region", json!("")), "region"),
        (("service", json!("Execute API")), "service"),
        (("session_name", json!("a b")), "session_name"),
        (("lifetime_seconds", json!(60)), "lifetime_seconds"),
        (("sts_endpoint", json!("http://sts.example.net/")), "sts_endpoint"),
    ] {
        let mut value: serde_json::Value = serde_json::from_str(&config(r#"{"file":"/t"}"#, "")).expect("a credential");
        let parse = |value: &serde_json::Value| serde_json::from_value::<config::CredentialConfig>(value.clone());
        assert_eq!(parse(&value).expect("fits").check(), Ok(()));
        value[change.0] = change.1;
        let wrong = parse(&value).expect("fits").check().expect_err("a mistake");
        assert_eq!(wrong.iter().map(|wrong| wrong.field).collect::<Vec<_>>(), [expect]);
    }
}

#[tokio::test]
async fn tokens_are_fetched_trusting_what_the_connection_trusts() {
    let (ca, _) = secret_file("-----BEGIN CERTIFICATE-----\n");
    let (_file, secret) = secret_file("s");
    let world = World::new([token("t", 60)]);
    let brokers = world.brokers(&client(&secret));
    let mut all = outlets(&[("far", &client(&secret))]);
    all.get_mut("far").expect("there").ca = Some(ca.path().to_owned());
    brokers.put(all);
    assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer t"));
    assert_eq!(world.ask(0).way, crate::exchange::Way::Trusting("-----BEGIN CERTIFICATE-----\n".into()));
}
