//! Reports: how fast, whom pages woke, what is noise.

use crate::duty::{fails, post, world};
use jiff::SignedDuration;
use serde_json::Value;
use trackside_identity::role::Role;

#[tokio::test]
async fn a_report() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    world.pass(SignedDuration::from_mins(10)).await;
    post(&world, "/api/v1/incidents/1/acknowledge", Role::Responder, Value::Null, 200).await;
    world.pass(SignedDuration::from_mins(20)).await;
    post(&world, "/api/v1/incidents/1/resolve", Role::Responder, Value::Null, 200).await;
    fails(&world, "reports_daily").await;
    world.pass(SignedDuration::from_secs(1)).await;
    let report = world.get("/api/v1/reports?zone=Europe/Berlin", Role::Viewer).await;
    insta::assert_json_snapshot!(report.json());
    let of_platform =
        world.get("/api/v1/reports?team=platform&from=2026-11-19&until=2026-11-20", Role::Viewer).await.json();
    assert_eq!(
        (&of_platform["response"]["all"]["incidents"], &of_platform["load"]["by_person"]),
        (&1.into(), &serde_json::json!([]))
    );
}

#[tokio::test]
async fn reports_that_cannot_be_made() {
    let world = world().await;
    for (query, at) in [
        ("team=ml", "team"),
        ("zone=Mars", "zone"),
        ("from=2026-11-20", "until"),
        ("from=2020-01-01", "until"),
        ("until=never", "until"),
    ] {
        let answer = world.get(&format!("/api/v1/reports?{query}"), Role::Viewer).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["at"].as_str()),
            (400, Some(at)),
            "{query}: {}",
            answer.text()
        );
    }
}
