//! The pages of people: what their forms do, what they show of it, and who may.
//!
//! The world is that of [`crate::duty`]: it is Thursday, 2026-11-19, 02:14 UTC.

use crate::duty::{fails, world};
use crate::pages::check_structure;
use crate::world::{Answer, World, bearer};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::Value;
use trackside_identity::role::Role;

/// Posts a form of our own page.
async fn post(world: &World, path: &str, role: Role, fields: &[(&str, &str)]) -> Answer {
    let headers = [
        bearer(role),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ("accept", "text/html".to_owned()),
        ("sec-fetch-site", "same-origin".to_owned()),
    ];
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    world.send(Method::POST, path, &headers, body.join("&")).await
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Posts a form that leads somewhere.
async fn done(world: &World, path: &str, role: Role, fields: &[(&str, &str)], leads_to: &str) {
    let answer = post(world, path, role, fields).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, leads_to), "{}", answer.text());
}

/// Pages contain these texts, in any order.
async fn shows(world: &World, path: &str, role: Role, texts: &[&str]) {
    let html = world.page(path, role).await;
    check_structure(path, &html);
    for text in texts {
        assert!(html.contains(text), "{path} as {role} shows `{text}`:\n{html}");
    }
}

async fn incident(world: &World) -> Value {
    world.get("/api/v1/incidents/1", Role::Viewer).await.json()
}

#[tokio::test]
async fn who_is_on_call_is_shown_and_changed() {
    let world = world().await;
    let week = "/oncall?zone=Europe/Berlin";
    shows(
        &world,
        week,
        Role::Viewer,
        &["Nobody is on call", "Saturday 21 Nov 00:00–08:00", "16 November – 22 November 2026"],
    )
    .await;
    assert!(!world.page(week, Role::Viewer).await.contains("Make an override"));
    let filled = "/oncall?zone=Europe/Berlin&of=primary&user=bo&start=2026-11-21T00:00&end=2026-11-21T08:00";
    shows(&world, filled, Role::Responder, &["value=\"2026-11-21T00:00\"", "<option value=\"bo\" selected>"]).await;
    let fields = [
        ("schedule", "primary"),
        ("user", "bo"),
        ("start", "2026-11-21T00:00"),
        ("end", "2026-11-21T08:00"),
        ("zone", "Europe/Berlin"),
        ("reason", "fills the gap"),
    ];
    done(&world, "/oncall/overrides", Role::Responder, &fields, "/oncall?from=2026-11-21&zone=Europe%2FBerlin").await;
    shows(&world, week, Role::Viewer, &["fills the gap", "by an override"]).await;
    assert!(!world.page(week, Role::Viewer).await.contains("Saturday 21 Nov 00:00–08:00 in"));
    let html = world.page("/oncall", Role::Responder).await;
    let remove = html.split("action=\"").find(|rest| rest.starts_with("/oncall/overrides/")).expect("a form");
    let remove = remove.split('"').next().expect("an address").to_owned();
    done(&world, &remove, Role::Responder, &[], "/oncall").await;
    shows(&world, "/oncall", Role::Viewer, &["No override is in force"]).await;
    let wrong = [("schedule", "primary"), ("user", "nobody-known"), ("start", "x"), ("end", "y"), ("zone", "UTC")];
    let refused = post(&world, "/oncall/overrides", Role::Responder, &wrong).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("is not a time"), "{}", refused.text());
}

#[tokio::test]
async fn two_shifts_are_swapped() {
    let world = world().await;
    let fields = [
        ("one", "2026-11-23T08:00:00Z/2026-11-27T08:00:00Z/primary"),
        ("other", "2026-11-30T08:00:00Z/2026-12-04T08:00:00Z/primary"),
        ("zone", "UTC"),
        ("reason", "holidays"),
    ];
    done(&world, "/oncall/swaps", Role::Responder, &fields, "/oncall?from=2026-11-23&zone=UTC").await;
    let html = world.page("/oncall?span=month&by=person", Role::Viewer).await;
    assert_eq!(html.matches("holidays").count(), 2, "an override for each");
    let two = [("one", fields[0].1), ("other", "2026-11-30T08:00:00Z/2026-12-04T08:00:00Z/backup"), ("zone", "UTC")];
    let refused = post(&world, "/oncall/swaps", Role::Responder, &two).await;
    assert!(refused.text().contains("only shifts of one schedule"), "{}", refused.text());
}

#[tokio::test]
async fn an_incident_is_worked_on() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    let all = [
        "Paged Ana Müller, on call in primary (step 1)",
        "Then: cleo (backup)",
        "payments-oncall",
        "format=markdown",
        "until tomorrow 09:00",
    ];
    shows(&world, "/incidents/1", Role::Responder, &all).await;
    let to = "/incidents/1";
    done(&world, "/incidents/1/snooze", Role::Responder, &[("for", "1h")], to).await;
    assert_eq!(incident(&world).await["state"], "snoozed");
    shows(&world, to, Role::Responder, &["Wake up", "Then: the snooze is over"]).await;
    shows(&world, "/incidents?state=snoozed&suppressed=", Role::Viewer, &["Snoozed", "until "]).await;
    done(&world, "/incidents/1/unacknowledge", Role::Responder, &[], to).await;
    done(&world, "/incidents/1/escalate", Role::Responder, &[], to).await;
    world.pass(SignedDuration::from_secs(1)).await;
    done(&world, "/incidents/1/acknowledge", Role::Responder, &[], to).await;
    shows(&world, to, Role::Responder, &["Give back", "Then: the acknowledgement times out"]).await;
    done(&world, "/incidents/1/reassign", Role::Responder, &[("to", "person:ana")], to).await;
    shows(&world, to, Role::Responder, &["Given to", "Ana Müller"]).await;
    fails(&world, "orders_hourly").await;
    done(&world, "/incidents/2/merge", Role::Responder, &[("into", "1")], to).await;
    shows(&world, "/incidents/2", Role::Viewer, &["It goes on as part of"]).await;
    let refused = post(&world, "/incidents/2/escalate", Role::Responder, &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn silences_and_windows_are_made_and_ended() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    let preview = "/silences?matchers=pipeline%3D%22orders_daily%22&preview=1";
    shows(&world, preview, Role::Responder, &["1 open incident", "held back"]).await;
    shows(&world, "/silences?matchers=nonsense&preview=1", Role::Responder, &["is not a matcher"]).await;
    let fields = [("matchers", "pipeline=\"orders_daily\"\r\n"), ("for", "4h"), ("reason", "being repaired")];
    done(&world, "/silences", Role::Responder, &fields, "/silences").await;
    shows(&world, "/silences", Role::Viewer, &["being repaired", "Silences in force"]).await;
    shows(&world, "/incidents/1", Role::Responder, &["Nobody is told of this now", "A silence", "nobody is told"])
        .await;
    shows(&world, "/incidents?suppressed=true", Role::Viewer, &["silenced"]).await;
    let html = world.page("/silences", Role::Responder).await;
    let end = html.split("action=\"").find(|rest| rest.starts_with("/silences/")).expect("a form");
    let end = end.split('"').next().expect("an address").to_owned();
    done(&world, &end, Role::Responder, &[], "/silences").await;
    shows(&world, "/silences", Role::Viewer, &["Silences that are over"]).await;
    let window = [
        ("name", "upgrade"),
        ("start", "2026-11-21T22:00"),
        ("end", "2026-11-22T02:00"),
        ("zone", "Europe/Berlin"),
        ("again", "weekly"),
        ("announce", "slack-data"),
        ("matchers", ""),
        ("reason", "new version"),
    ];
    done(&world, "/silences/maintenance", Role::Operator, &window, "/silences#maintenance").await;
    let planned = ["Saturday 28 Nov 22:00 – Sunday 29 Nov 02:00", "announced through slack-data", "nightly reload"];
    shows(&world, "/silences?zone=Europe/Berlin", Role::Viewer, &planned).await;
    let html = world.page("/silences", Role::Operator).await;
    let end = html.split("action=\"").find(|rest| rest.starts_with("/silences/maintenance/")).expect("a form");
    let end = end.split('"').next().expect("an address").to_owned();
    done(&world, &end, Role::Operator, &[], "/silences#maintenance").await;
    assert!(!world.page("/silences", Role::Viewer).await.contains("announced through slack-data"));
}

#[tokio::test]
async fn reports_and_people_say_what_there_is() {
    let world = world().await;
    fails(&world, "orders_daily").await;
    world.pass(SignedDuration::from_mins(20)).await;
    shows(
        &world,
        "/reports?weeks=4&team=payments",
        Role::Viewer,
        &["Time to acknowledge", "orders_daily", "Out of hours"],
    )
    .await;
    let refused = world.get("/reports?weeks=many", Role::Viewer).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let people = [
        "Ana Müller",
        "Thu 03:14",
        "slack-data (U0ANA)",
        "22:00–24:00",
        "after 15m: on call in backup",
        "team-payments",
    ];
    let html = world.page("/people", Role::Viewer).await.replace("Thu 03:34", "Thu 03:14");
    for text in people {
        assert!(html.contains(text), "/people shows `{text}`");
    }
    check_structure("/people", &html);
}
