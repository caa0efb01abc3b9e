use super::*;
use crate::{pagerduty, slack, webhook};
use serde_json::Value;

type Verify = fn(&dyn Fn(&str) -> Option<&'static str>, &[u8], &[SecretString], Timestamp) -> Result<(), BadSignature>;

/// A leaked copy: tests may hand out `'static` header values.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

#[test]
fn every_kind_is_judged_as_the_vectors_say() {
    let vectors: Value = serde_json::from_str(include_str!("../../../../testdata/oncall/signatures.json")).unwrap();
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for case in vectors["cases"].as_array().unwrap() {
        let kind = case["kind"].as_str().unwrap();
        let verify: Verify = match kind {
            "pagerduty-v3" => |header, body, secrets, now| pagerduty::webhook::verify(header, body, secrets, now),
            "slack-v0" => |header, body, secrets, now| slack::interact::verify(header, body, secrets, now),
            "standard-webhooks" => |header, body, secrets, now| webhook::verify(header, body, secrets, now),
            other => panic!("an unknown kind {other}"),
        };
        let secrets: Vec<_> =
            case["secrets"].as_array().unwrap().iter().map(|s| SecretString::from(s.as_str().unwrap())).collect();
        let header = |name: &str| case["headers"][name].as_str().map(leak);
        let now = Timestamp::from_second(case["now"].as_i64().unwrap()).unwrap();
        let result = verify(&header, case["body"].as_str().unwrap().as_bytes(), &secrets, now);
        // Null: either answer is right, as long as there is one.
        if let Some(valid) = case["valid"].as_bool() {
            assert_eq!(result.is_ok(), valid, "{}: {result:?}", case["id"]);
        }
        *seen.entry(kind.to_owned()).or_default() += 1;
    }
    assert!(seen.values().all(|count| *count >= 5) && seen.len() == 3, "{seen:?}");
}

#[test]
fn an_error_says_where_to_look() {
    let secret = [SecretString::from("s3cret")];
    let now = Timestamp::from_second(1_795_190_000).unwrap();
    let check = |headers: &[(&'static str, &'static str)], expect: BadSignature| {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        assert_eq!(slack::interact::verify(header, b"x", &secret, now), Err(expect), "{headers:?}");
    };
    let time = "x-slack-request-timestamp";
    let signature = "x-slack-signature";
    check(&[(signature, "v0=00")], BadSignature::Missing(time));
    check(&[(time, "1795190000")], BadSignature::Missing(signature));
    check(&[(time, "+1795190000"), (signature, "v0=00")], BadSignature::Unreadable(time));
    check(&[(time, "now"), (signature, "v0=00")], BadSignature::Unreadable(time));
    check(&[(time, "-9223372036854775808"), (signature, "v0=00")], BadSignature::Time(time));
    check(&[(time, "1795190000"), (signature, "v1=00")], BadSignature::Mismatch(signature));
    let none: [SecretString; 0] = [];
    let header = |name: &str| (name == "x-pagerduty-signature").then_some("v1=00");
    let mismatch = Err(BadSignature::Mismatch("x-pagerduty-signature"));
    assert_eq!(pagerduty::webhook::verify(header, b"x", &none, now), mismatch, "no secret, no entry");
    let empty = [SecretString::from("")];
    assert_eq!(
        pagerduty::webhook::verify(header, b"x", &empty, now),
        Err(BadSignature::Secret("it is empty")),
        "an empty secret opens nothing"
    );
}
