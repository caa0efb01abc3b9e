//! Hostile and broken input at every door: a clear refusal, nothing stored, no panic, never 429.

use crate::world::{World, bearer, secret};
use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{FutureExt as _, stream};
use http::Method;
use std::convert::Infallible;
use std::io::Write as _;
use trackside_identity::role::Role;

/// Doors that take a JSON body, with the credential in a header or the path.
const DOORS: [&str; 9] = [
    "/api/v1/events",
    "/api/v1/cloudevents",
    "/api/v1/lineage",
    "/api/v1/lineage/batch",
    "/api/events",
    "/services/T/B/ingest00000000000000000000000000",
    "/slack/api/chat.postMessage",
    "/api/v2/alerts",
    "/api/v1/alertmanager",
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("write");
    encoder.finish().expect("finish")
}

/// Name, content coding, body.
fn bodies() -> Vec<(&'static str, Option<&'static str>, Vec<u8>)> {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    let key = secret(Role::Ingest);
    vec![
        ("nothing", None, Vec::new()),
        ("not JSON", None, b"hello".to_vec()),
        ("half of JSON", None, b"{\"event\": \"x".to_vec()),
        ("invalid UTF-8", None, b"{\"event\": \"\xff\xfe\"}".to_vec()),
        ("lone surrogate", None, br#"{"event": "\ud800"}"#.to_vec()),
        ("deep arrays", None, deep("[", "]")),
        ("deep objects", None, deep("{\"a\":", "}")),
        ("huge number", None, format!("{{\"event\": 1{}}}", "0".repeat(100_000)).into_bytes()),
        ("exponent", None, b"{\"event\": 1e999999999}".to_vec()),
        ("wrong types", None, b"[[], 1, null, true]".to_vec()),
        ("too many", None, format!("[{}{{}}]", "{},".repeat(5_000)).into_bytes()),
        ("10 MB", None, vec![b' '; 10 << 20]),
        ("gzip bomb", Some("gzip"), gzip(&vec![b' '; 200 << 20])),
        ("gzip of gzip", Some("gzip"), gzip(&gzip(b"{}"))),
        ("not gzip", Some("gzip"), b"{}".to_vec()),
        ("cut gzip", Some("gzip"), gzip(&vec![b'a'; 5_000])[..20].to_vec()),
        ("unknown coding", Some("br"), b"{}".to_vec()),
        ("routing key only", None, format!("{{\"routing_key\": \"{key}\"}}").into_bytes()),
    ]
}

#[tokio::test]
async fn every_door_refuses_clearly_and_stores_nothing() {
    let world = World::new().await;
    for (name, coding, body) in bodies() {
        for path in DOORS.into_iter().chain(["/v2/enqueue", "/v2/change/enqueue"]) {
            let mut headers = vec![bearer(Role::Ingest), ("content-type", "application/json".to_owned())];
            headers.extend(coding.map(|coding| ("content-encoding", coding.to_owned())));
            let answer = world.send(Method::POST, path, &headers, body.clone()).await;
            let status = answer.status.as_u16();
            // Slack's Web API says no with 200 and `ok: false`.
            let slack_no = status == 200 && answer.text().contains("\"ok\":false");
            assert!((400..429).contains(&status) || slack_no, "{name} at {path}: {status} {}", answer.text());
            assert!(!answer.body.is_empty(), "{name} at {path}: says why");
        }
    }
    assert_eq!(world.stored().await, 0, "nothing was stored");
}

#[tokio::test]
async fn a_ping_with_a_hostile_body_is_still_a_ping() {
    let world = World::new().await;
    let headers = [bearer(Role::Ingest)];
    let answer = world.send(Method::POST, "/ping/backup/1", &headers, vec![0xff_u8; 100_000]).await;
    assert_eq!(answer.status.as_u16(), 200);
    for path in ["/ping/backup/256", "/ping/backup/what", "/ping/%00", "/ping/a%2Fb%20c"] {
        let answer = world.send(Method::POST, path, &headers, Body::empty()).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
    }
    assert_eq!(world.stored().await, 1);
}

#[tokio::test]
async fn bodies_together_have_a_bound() {
    let world = World::new().await;
    let stalled = || {
        let part = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b' '; 2 << 20]))]);
        Body::from_stream(futures_util::StreamExt::chain(part, stream::pending()))
    };
    let headers = [bearer(Role::Ingest)];
    let many = (0..32).map(|_| world.send(Method::POST, "/api/v1/events", &headers, stalled()));
    let mut many: Vec<_> = many.map(Box::pin).collect();
    for request in &mut many {
        assert!(request.as_mut().now_or_never().is_none(), "it waits for the rest of the body");
    }
    let refused = world.send(Method::POST, "/api/v1/events", &headers, "{\"event\":\"x\"}").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    drop(many);
    let accepted = world.send(Method::POST, "/api/v1/events", &headers, "{\"event\":\"x\"}").await;
    assert_eq!(accepted.status.as_u16(), 202, "memory is given back");
}

#[tokio::test]
async fn a_reserved_source_is_refused() {
    let world = World::new().await;
    let body = r#"{"event": "x", "source": "trackside.command"}"#;
    let answer = world.send(Method::POST, "/api/v1/events", &[bearer(Role::Ingest)], body).await;
    assert_eq!(answer.status.as_u16(), 422, "{}", answer.text());
    assert_eq!(world.stored().await, 0);
}
