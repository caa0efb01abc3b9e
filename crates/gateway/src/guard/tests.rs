use super::*;
use http::HeaderValue;

fn guards(yaml: serde_json::Value) -> Guards {
    let config: Vec<GuardConfig> = serde_json::from_value(yaml).expect("a configuration");
    Guards::new(&config).expect("rules")
}

fn headers(kind: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers
}

#[track_caller]
fn judged(kind: &'static str, body: &str, expect: &str, count: usize) {
    let guards = guards(serde_json::json!([{"name": "pii", "mask": ["ssn", "/user/name"]}]));
    let mut hits = Vec::new();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let out = guards.judge(Direction::Request, &headers(kind), body, &mut hits).expect("passes");
    assert_eq!(std::str::from_utf8(&out).expect("text"), expect);
    let masked = hits.iter().map(|hit| if let Did::Masked(count) = hit.did { count } else { 0 }).sum::<usize>();
    assert_eq!(masked, count);
}

#[test]
fn fields_are_masked() {
    judged("application/json", r#"{"a": 1}"#, r#"{"a": 1}"#, 0);
    judged(
        "application/json; charset=utf-8",
        r#"{"z":1,"user":{"name":"Ana","ssn":"1"},"l":[{"ssn":2}]}"#,
        r#"{"z":1,"user":{"name":"[masked]","ssn":"[masked]"},"l":[{"ssn":"[masked]"}]}"#,
        3,
    );
    // The first of two members is what some readers take.
    judged("application/json", r#"{"ssn":"1","ssn":"2"}"#, r#"{"ssn":"[masked]"}"#, 1);
    judged("application/x-ndjson", "{\"ssn\":1}\n{\"b\":2}\n", "{\"ssn\":\"[masked]\"}\n{\"b\":2}\n", 1);
    judged("application/x-www-form-urlencoded", "a=1&s%73n=2", "a=1&ssn=%5Bmasked%5D", 1);
    judged(
        "multipart/form-data; boundary=x",
        "--x\r\nContent-Disposition: form-data; name=\"ssn\"\r\n\r\n12\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n",
        "--x\r\nContent-Disposition: form-data; name=\"ssn\"\r\n\r\n[masked]\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n",
        1,
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    let guards = guards(serde_json::json!([{"name": "pii", "mask": ["ssn"]}]));
    let refused = |kind, body: &'static str| {
        guards.judge(Direction::Request, &headers(kind), Bytes::from_static(body.as_bytes()), &mut Vec::new())
    };
    let hit = Err(Hit { rule: "pii".into(), did: Did::Refused(Why::Unreadable) });
    assert_eq!(refused("application/json", "{"), hit);
    assert_eq!(refused("multipart/form-data", "--x--"), hit);
    for body in [
        "",
        "--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
        "--x\r\nContent-Disposition: form-data; name=a; name=ssn\r\n\r\n1\r\n--x--",
        "--x\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n1\r\n--x--",
        "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--more",
        "pre--x\r\n\r\n--x--",
    ] {
        assert_eq!(refused("multipart/form-data; boundary=x", body), hit, "{body:?}");
    }
}

#[test]
fn patterns_see_through_escapes() {
    let guards = guards(serde_json::json!([{"name": "cards", "deny": ["4[0-9]{15}"]}]));
    let hit = Err(Hit { rule: "cards".into(), did: Did::Refused(Why::Pattern) });
    let judge = |kind, body: &'static str| {
        guards.judge(Direction::Request, &headers(kind), Bytes::from_static(body.as_bytes()), &mut Vec::new())
    };
    assert_eq!(judge("text/plain", "pay 4111111111111111 now"), hit);
    assert_eq!(judge("application/json", r#"{"card":"\u0034111111111111111"}"#), hit);
    assert_eq!(judge("application/x-www-form-urlencoded", "c=%34111111111111111"), hit);
    assert!(judge("text/plain", "pay 4111 now").is_ok());
}

#[test]
fn plans() {
    let guards = guards(serde_json::json!([
        {"name": "small", "max_bytes": 100},
        {"name": "pii", "mask": ["ssn"]},
        {"name": "lax", "on": "response", "deny": ["x"], "otherwise": "pass"},
    ]));
    let plan = |on, kind, length| guards.plan(on, &headers(kind), length, &mut Vec::new());
    assert_eq!(plan(Direction::Request, "application/json", Some(10)), Plan::Keep(100));
    assert!(matches!(plan(Direction::Request, "application/json", Some(101)), Plan::Refuse(_)));
    assert!(matches!(plan(Direction::Request, "image/png", Some(10)), Plan::Refuse(_)));
    assert_eq!(plan(Direction::Response, "image/png", None), Plan::Stream);
    assert_eq!(plan(Direction::Response, "text/html", None), Plan::Keep(LOOKED_AT as u64));
    let mut zipped = headers("application/json");
    zipped.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert!(matches!(guards.plan(Direction::Request, &zipped, None, &mut Vec::new()), Plan::Refuse(_)));
}
