//! Who is on call: now, over a time, with overrides and swaps, as a calendar.

use crate::duty::{post, refusals, send, world};
use crate::world::{World, secret};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use trackside_identity::role::Role;

async fn get(world: &World, path: &str) -> Value {
    let answer = world.get(path, Role::Viewer).await;
    assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text());
    answer.json()
}

/// Shifts as `from until people source`.
fn lines(shifts: &Value) -> Vec<String> {
    let people = |shift: &Value| {
        let names = shift["people"].as_array().expect("people").iter();
        let names: Vec<&str> = names.map(|person| person["name"].as_str().expect("a name")).collect();
        if names.is_empty() { "NOBODY".to_owned() } else { names.join(" ") }
    };
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |shift: &Value| {
        format!("{} {} {} {}", text(&shift["start"]), text(&shift["end"]), people(shift), text(&shift["source"]))
    };
    shifts["shifts"].as_array().expect("shifts").iter().map(line).collect()
}

#[tokio::test]
async fn who_is_on_call() {
    let world = world().await;
    insta::assert_json_snapshot!(get(&world, "/api/v1/oncall?zone=Europe/Berlin").await);
    insta::assert_json_snapshot!(get(&world, "/api/v1/schedules").await);
}

#[tokio::test]
async fn shifts_have_gaps_that_are_marked_and_times_of_the_zone() {
    let world = world().await;
    let found =
        get(&world, "/api/v1/schedules/primary/shifts?from=2026-11-19&until=2026-11-24&zone=Europe/Berlin").await;
    assert_eq!(
        lines(&found),
        [
            "2026-11-19T00:00:00+01:00 2026-11-21T00:00:00+01:00 ana week",
            "2026-11-21T00:00:00+01:00 2026-11-21T08:00:00+01:00 NOBODY -",
            "2026-11-21T08:00:00+01:00 2026-11-23T09:00:00+01:00 ana week",
            "2026-11-23T09:00:00+01:00 2026-11-24T00:00:00+01:00 bo week",
        ]
    );
    assert_eq!(found["shifts"][1]["gap"], true);
    let abroad = get(&world, "/api/v1/schedules/primary/shifts?until=2026-11-20T00:00:00Z&zone=America/New_York").await;
    assert_eq!(lines(&abroad), ["2026-11-18T21:14:00-05:00 2026-11-19T19:00:00-05:00 ana week"]);
}

#[tokio::test]
async fn questions_that_cannot_be_answered() {
    let world = world().await;
    for (path, status, part) in [
        ("/api/v1/schedules/nobody/shifts", 404, "declared are backup, primary"),
        ("/api/v1/schedules/primary/shifts?zone=Mars", 400, "IANA"),
        ("/api/v1/schedules/primary/shifts?from=soon", 400, "is not a time"),
        ("/api/v1/schedules/primary/shifts?from=2026-11-20&until=2026-11-19", 400, "is not after"),
        ("/api/v1/schedules/primary/shifts?from=2026-01-01&until=2028-01-01", 400, "longer than 366 days"),
        ("/api/v1/oncall?zone=Mars", 400, "IANA"),
        ("/api/v1/schedules/nobody/calendar.ics", 404, "declared are"),
        ("/api/v1/people/nobody/calendar.ics", 404, "there is no person"),
    ] {
        let answer = world.get(path, Role::Viewer).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(answer.text().contains(part), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_override_is_made_and_taken_back() {
    let world = world().await;
    let path = "/api/v1/schedules/primary/overrides";
    // What is over already is cut off; an alias means its person.
    let body = json!({"user": "responder", "start": "2026-11-19T00:00:00Z", "end": "2026-11-19T12:00:00Z", "reason": " dentist "});
    let made = post(&world, path, Role::Responder, body, 201).await;
    assert_eq!((&made["user"], &made["by"], &made["reason"]), (&json!("bo"), &json!("bo"), &json!("dentist")));
    assert_eq!(made["start"], "2026-11-19T02:14:00Z");
    let nobody = json!({"user": null, "start": "2026-11-22T12:00:00Z", "end": "2026-11-22T13:00:00Z"});
    post(&world, path, Role::Responder, nobody, 201).await;
    let shifts = "/api/v1/schedules/primary/shifts?until=2026-11-24";
    let found = get(&world, shifts).await;
    assert_eq!(
        lines(&found),
        [
            "2026-11-19T02:14:00+00:00 2026-11-19T12:00:00+00:00 bo override",
            "2026-11-19T12:00:00+00:00 2026-11-20T23:00:00+00:00 ana week",
            "2026-11-20T23:00:00+00:00 2026-11-21T07:00:00+00:00 NOBODY -",
            "2026-11-21T07:00:00+00:00 2026-11-22T12:00:00+00:00 ana week",
            "2026-11-22T12:00:00+00:00 2026-11-22T13:00:00+00:00 NOBODY override",
            "2026-11-22T13:00:00+00:00 2026-11-23T08:00:00+00:00 ana week",
            "2026-11-23T08:00:00+00:00 2026-11-24T00:00:00+00:00 bo week",
        ]
    );
    assert_eq!(found["overrides"].as_array().map(Vec::len), Some(2));
    let one = format!("/api/v1/overrides/{}", made["id"].as_str().expect("an id"));
    for status in [204, 404] {
        let answer = send(&world, Method::DELETE, &one, Role::Responder, &Value::Null).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
    assert_eq!(lines(&get(&world, shifts).await)[0], "2026-11-19T02:14:00+00:00 2026-11-20T23:00:00+00:00 ana week");
    let audit = get(&world, "/api/v1/audit?action=override.").await;
    let actions: Vec<&Value> = audit["items"].as_array().expect("rows").iter().map(|row| &row["action"]).collect();
    assert_eq!(actions, ["override.removed", "override.put", "override.put"]);
}

#[tokio::test]
async fn overrides_that_are_refused() {
    let world = world().await;
    let (start, end) = ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
    refusals(
        &world,
        "/api/v1/schedules/primary/overrides",
        Role::Responder,
        &[
            (json!({"user": "dan", "start": start, "end": end}), 400, "user", "declared are ana, bo, cleo"),
            (json!({"start": start, "end": end}), 400, "body", "missing field `user`"),
            (json!({"usr": "bo", "user": null, "start": start, "end": end}), 400, "body", "unknown field `usr`"),
            (json!({"user": "bo", "start": end, "end": start}), 400, "end", "is not after `start`"),
            (
                json!({"user": "bo", "start": "2025-01-01T00:00:00Z", "end": "2025-01-02T00:00:00Z"}),
                400,
                "end",
                "in the past",
            ),
            (json!({"user": "bo", "start": start, "end": "2029-01-01T00:00:00Z"}), 400, "end", "longer than 366 days"),
            (json!({"user": "bo", "start": "tomorrow", "end": end}), 400, "body", "tomorrow"),
            (json!({"user": "bo", "end": end, "reason": "x".repeat(1001)}), 400, "reason", "at most 1000 bytes"),
        ],
    )
    .await;
    let elsewhere = "/api/v1/schedules/other/overrides";
    let body = json!({"user": "bo", "start": start, "end": end});
    refusals(&world, elsewhere, Role::Responder, &[(body, 404, "", "declared are backup, primary")]).await;
}

#[tokio::test]
async fn two_people_swap() {
    let world = world().await;
    let path = "/api/v1/schedules/primary/swaps";
    let ana = json!({"start": "2026-11-21T07:00:00Z", "end": "2026-11-23T08:00:00Z"});
    let bo = json!({"start": "2026-11-23T08:00:00Z", "end": "2026-11-24T08:00:00Z"});
    let made = post(&world, path, Role::Responder, json!({"a": ana, "b": bo, "reason": "wedding"}), 201).await;
    assert_eq!((&made["a"]["user"], &made["b"]["user"]), (&json!("bo"), &json!("ana")));
    let found =
        get(&world, "/api/v1/schedules/primary/shifts?from=2026-11-21T07:00:00Z&until=2026-11-25T08:00:00Z").await;
    assert_eq!(
        lines(&found),
        [
            "2026-11-21T07:00:00+00:00 2026-11-23T08:00:00+00:00 bo override",
            "2026-11-23T08:00:00+00:00 2026-11-24T08:00:00+00:00 ana override",
            "2026-11-24T08:00:00+00:00 2026-11-25T08:00:00+00:00 bo week",
        ]
    );
    let later = json!({"start": "2026-11-24T08:00:00Z", "end": "2026-11-25T08:00:00Z"});
    let gap = json!({"start": "2026-11-20T12:00:00Z", "end": "2026-11-21T12:00:00Z"});
    refusals(
        &world,
        path,
        Role::Responder,
        &[
            (json!({"a": gap, "b": later}), 409, "a", "not exactly one person"),
            (json!({"a": later, "b": later}), 409, "b", "`bo` is on call in both"),
            (
                json!({"a": later, "b": {"start": "2026-11-19T00:00:00Z", "end": "2026-11-19T01:00:00Z"}}),
                400,
                "b.end",
                "in the past",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_calendar_program_has_its_token_in_the_address() {
    let world = world().await;
    let of = |path: &str, token: &str| format!("{path}?token={token}");
    let (schedule, person) = ("/api/v1/schedules/primary/calendar.ics", "/api/v1/people/U0ANA/calendar.ics");
    for path in [schedule, person] {
        let ask = async |path: &str| world.send(Method::GET, path, &[], Body::empty()).await;
        let feed = ask(&of(path, &secret(Role::Viewer))).await;
        assert_eq!((feed.status.as_u16(), feed.header("content-type")), (200, "text/calendar; charset=utf-8"));
        assert!(feed.text().starts_with("BEGIN:VCALENDAR\r\n"), "{}", feed.text());
        assert_eq!(ask(path).await.status.as_u16(), 401);
        assert_eq!(ask(&of(path, "unknown")).await.status.as_u16(), 401);
        for role in [Role::Ingest, Role::Responder, Role::Operator, Role::Admin] {
            assert_eq!(ask(&of(path, &secret(role))).await.status.as_u16(), 403, "an address is no place for {role}");
        }
        assert_eq!(world.get(path, Role::Admin).await.status.as_u16(), 200, "a header is");
    }
    // Nowhere else.
    let other = world.send(Method::GET, &of("/api/v1/oncall", &secret(Role::Viewer)), &[], Body::empty()).await;
    assert_eq!(other.status.as_u16(), 401);
    let text = world.get(person, Role::Viewer).await.text();
    assert!(text.contains("X-WR-CALNAME:Ana Müller on call\r\n"), "{text}");
    assert!(text.contains("SUMMARY:ana on call: primary\r\n") && !text.contains("bo on call"), "{text}");
}

#[tokio::test]
async fn people_and_teams() {
    let world = world().await;
    insta::assert_json_snapshot!(get(&world, "/api/v1/people").await);
    insta::assert_json_snapshot!(get(&world, "/api/v1/teams?zone=Europe/Berlin").await);
}
