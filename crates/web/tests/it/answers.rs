//! What people answer to a message, told back: PagerDuty webhooks, presses in Slack, links in mails.
//!
//! Through the whole server: the door verifies, the engine decides, the outbox shows who is told of it.

use crate::world::{ACT_KEY, Answer, World, bearer, ruleset, secret};
use axum::body::Body;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::Sha256;
use trackside_core::ids::{DeliveryId, IncidentId};
use trackside_core::ruleset::Ruleset;
use trackside_identity::act_link::{ACT_LINK_LIFETIME, ActKey, ActLink, Wish};
use trackside_identity::role::Role;
use trackside_store::Store;
use uuid::Uuid;

const SLACK: &str = "/api/v1/slack/interactivity/slack-data";
const PAGERDUTY: &str = "/api/v1/pagerduty/webhooks/pd-payments";
const SLACK_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const OLD: &str = "the-first-webhook-secret";
const NEW: &str = "the-second-webhook-secret";

/// Ana is known by her user ids; payments pages her after ten minutes, and again after twenty.
fn people() -> Ruleset {
    let mut json = serde_json::to_value(ruleset()).unwrap();
    json["people"] = json!({"ana": {"name": "Ana", "aliases": ["U061F7AUR", "PLH1HKV", "ana@example.net"],
        "contacts": [{"via": "slack-data", "to": "U061F7AUR"}]}});
    json["escalations"] = json!({"primary": {"steps": [
        {"after": "10m", "targets": ["person:ana"]}, {"after": "20m", "targets": ["person:ana"]}]}});
    json["teams"]["payments"]["escalation"] = json!("primary");
    json["incidents"]["flap_window"] = json!("10m");
    serde_json::from_value(json).unwrap()
}

/// A world with incident #1, told to PagerDuty and Slack.
async fn world() -> World {
    let world = World::with(Store::memory().unwrap(), people()).await;
    run(&world, "r1", "failed").await;
    world
}

async fn run(world: &World, id: &str, state: &str) {
    let run = json!({"pipeline": "orders_daily", "run_id": id, "state": state, "error": "disk full"});
    world.event(&json!({"event": "run", "source": "airflow-prod", "run": run})).await;
    world.decide().await;
}

async fn incident(world: &World) -> Value {
    world.get("/api/v1/incidents/1", Role::Viewer).await.json()
}

async fn id(world: &World) -> String {
    incident(world).await["id"].as_str().unwrap().to_owned()
}

/// State, and who has it.
async fn stands(world: &World) -> (String, String) {
    let incident = incident(world).await;
    let text = |name: &str| incident[name].as_str().unwrap_or_default().to_owned();
    (text("state"), text("acknowledged_by"))
}

/// Messages so far: `connection action`, oldest first.
async fn sent(world: &World) -> Vec<String> {
    let list = world.get("/api/v1/deliveries?limit=100", Role::Viewer).await.json();
    let line = |row: &Value| format!("{} {}", row["connection"].as_str().unwrap(), row["action"].as_str().unwrap());
    list["items"].as_array().unwrap().iter().rev().map(line).collect()
}

fn mac(secret: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn event(id: &str, event_type: &str, data: &Value) -> Value {
    json!({"event": {"id": id, "event_type": event_type, "resource_type": "incident",
        "occurred_at": "2026-11-19T02:15:00Z", "client": {"name": "PagerDuty"}, "data": data,
        "agent": {"id": "PLH1HKV", "summary": "Ana", "type": "user_reference"}}})
}

fn theirs(key: &str) -> Value {
    json!({"id": "PGR0VU2", "type": "incident", "incident_key": key,
        "html_url": "https://acme.pagerduty.com/incidents/PGR0VU2"})
}

async fn webhook(world: &World, secret: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let signature = format!("v1={},v1={}", "0".repeat(64), mac(secret, &[body.as_bytes()]));
    let headers = [("x-pagerduty-signature", signature), ("x-webhook-id", "w-1".to_owned())];
    let answer = world.send(Method::POST, PAGERDUTY, &headers, body).await;
    world.decide().await;
    answer
}

fn press(action: &str, incident: &str, life: u32, at: &str) -> String {
    let payload = json!({"type": "block_actions", "user": {"id": "U061F7AUR", "username": "not-ana"},
        "trigger_id": "1.2.3", "container": {"message_ts": "1795190000.000100"},
        "actions": [{"action_id": action, "value": format!("{incident}.{life}"), "action_ts": at}]});
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
}

/// What Slack sends when somebody presses a button of a question.
pub(crate) fn press_answer(action: &str, approval: &str, user: &str, at: &str) -> String {
    let payload = json!({"type": "block_actions", "user": {"id": user, "username": "somebody"},
        "trigger_id": "1.2.3", "container": {"message_ts": "1795190000.000100"},
        "actions": [{"action_id": action, "value": approval, "action_ts": at}]});
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
}

pub(crate) async fn slack(world: &World, body: &str) -> Answer {
    let now = world.now().as_second().to_string();
    let signature = format!("v0={}", mac(SLACK_SECRET, &[b"v0:", now.as_bytes(), b":", body.as_bytes()]));
    let headers = [
        ("x-slack-request-timestamp", now),
        ("x-slack-signature", signature),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    let answer = world.send(Method::POST, SLACK, &headers, body.to_owned()).await;
    world.decide().await;
    answer
}

fn link(incident: &str, wish: Wish, life: u32, world: &World) -> ActLink {
    ActLink {
        wish,
        incident: incident.parse::<IncidentId>().unwrap(),
        life,
        delivery: DeliveryId(Uuid::from_u128(5)),
        expires: world.now() + ACT_LINK_LIFETIME,
        connection: "mail".to_owned(),
        to: None,
        who: "ana@example.net".to_owned(),
    }
}

fn address(link: &ActLink) -> String {
    format!("/act/{}", ActKey::new(ACT_KEY).seal(link))
}

async fn open(world: &World, address: &str) -> Answer {
    world.send(Method::GET, address, &[("accept", "text/html".to_owned())], Body::empty()).await
}

async fn use_up(world: &World, address: &str) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    world.send(Method::POST, address, &headers, Body::empty()).await
}

#[tokio::test]
async fn an_acknowledgement_at_pagerduty_stops_the_escalation_and_is_not_sent_back_there() {
    let world = world().await;
    let ours = id(&world).await;
    let before = sent(&world).await;
    assert_eq!(before, ["pd-payments trigger", "slack-data trigger"]);
    for (secret, status) in [("another", 401), (OLD, 202), (NEW, 202)] {
        let answer = webhook(&world, secret, &event("e1", "incident.acknowledged", &theirs(&ours))).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
    assert_eq!(stands(&world).await, ("acknowledged".to_owned(), "ana".to_owned()));
    assert_eq!(sent(&world).await[2..], ["slack-data acknowledge"], "once, and not to PagerDuty");
    world.pass(SignedDuration::from_mins(60)).await;
    assert_eq!(sent(&world).await.len(), 3, "nobody is paged");

    let given_back = event("e2", "incident.unacknowledged", &theirs(&ours));
    assert_eq!(webhook(&world, NEW, &given_back).await.status, 202);
    assert_eq!(stands(&world).await.0, "triggered");
    webhook(&world, NEW, &event("e1", "incident.acknowledged", &theirs(&ours))).await;
    assert_eq!(stands(&world).await.0, "triggered", "what was heard before is not heard again");
    webhook(&world, NEW, &event("e3", "incident.resolved", &theirs(&ours))).await;
    assert_eq!(stands(&world).await.0, "resolved");
    assert!(!sent(&world).await.contains(&"pd-payments resolve".to_owned()));
}

#[tokio::test]
async fn notes_at_pagerduty_stand_in_the_timeline() {
    let world = world().await;
    let ours = id(&world).await;
    let note = json!({"type": "incident_note", "content": "looking at it", "incident": {"id": "PGR0VU2"}});
    webhook(&world, NEW, &event("e1", "incident.annotated", &note)).await;
    webhook(&world, NEW, &event("e2", "incident.escalated", &theirs(&ours))).await;
    webhook(&world, NEW, &event("e3", "incident.annotated", &note)).await;
    let audit = world.get("/api/v1/audit?limit=100", Role::Viewer).await.json();
    let rows = audit["items"].as_array().unwrap().iter().rev().filter(|row| row["action"] == "incident.noted");
    let lines: Vec<String> =
        rows.map(|row| format!("{}: {}", row["subject"].as_str().unwrap(), row["summary"].as_str().unwrap())).collect();
    assert_eq!(
        lines,
        [
            "PagerDuty: PagerDuty has it as incident PGR0VU2, https://acme.pagerduty.com/incidents/PGR0VU2",
            "ana: PagerDuty: escalated",
            "ana: PagerDuty: looking at it",
        ],
        "a note before PagerDuty's incident was introduced is about nothing that is known"
    );
}

#[tokio::test]
async fn every_event_that_is_signed_is_taken() {
    let world = world().await;
    for body in [
        json!({"event": {"id": "p", "event_type": "pagey.ping", "data": {"message": "Hello", "type": "ping"}}}),
        event("x", "incident.something_new", &theirs("00000000-0000-0000-0000-000000000000")),
        event("y", "incident.resolved", &theirs("a key of another integration")),
        event("z", "service.updated", &json!({"type": "service"})),
        json!({}),
    ] {
        let answer = webhook(&world, NEW, &body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{body}: {}", answer.text());
    }
    assert_eq!(stands(&world).await.0, "triggered");
}

#[tokio::test]
async fn what_is_not_proved_is_refused_with_what_to_look_at() {
    let world = world().await;
    let body = press("trackside.resolve", &id(&world).await, 0, "1.0");
    let now = world.now().as_second().to_string();
    let fits = |time: &str| format!("v0={}", mac(SLACK_SECRET, &[b"v0:", time.as_bytes(), b":", body.as_bytes()]));
    let old = (world.now().as_second() - 301).to_string();
    let time = |time: &str| ("x-slack-request-timestamp", time.to_owned());
    let signature = |signature: String| ("x-slack-signature", signature);
    for (headers, path, status, says) in [
        (vec![], SLACK, 401, "`x-slack-request-timestamp` is missing"),
        (vec![time(&now)], SLACK, 401, "`x-slack-signature` is missing"),
        (vec![time(&now), signature(fits(&old))], SLACK, 401, "no signature in `x-slack-signature` fits"),
        (vec![time(&old), signature(fits(&old))], SLACK, 401, "more than 300 s away"),
        (vec![bearer(Role::Admin)], SLACK, 401, "is missing"),
        (vec![], PAGERDUTY, 401, "`x-pagerduty-signature` is missing"),
        (vec![], "/api/v1/slack/interactivity/pd-payments", 404, "no connection of this name and kind"),
        (vec![], "/api/v1/pagerduty/webhooks/nobody", 404, "no connection of this name and kind"),
        (vec![("content-encoding", "gzip".to_owned())], PAGERDUTY, 415, "without Content-Encoding"),
    ] {
        let answer = world.send(Method::POST, path, &headers, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?} {}", answer.text());
        assert!(answer.text().contains(says), "{}", answer.text());
        assert!(!answer.text().contains(SLACK_SECRET));
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), "Signature");
        }
    }
    for (path, bytes) in [(SLACK, 64 * 1024), (PAGERDUTY, 256 * 1024)] {
        let answer = world.send(Method::POST, path, &[], vec![b' '; bytes + 1]).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
    assert_eq!(stands(&world).await.0, "triggered");
}

#[tokio::test]
async fn a_button_in_slack_stops_the_escalation_everywhere_and_its_message_shows_who_has_it() {
    let world = world().await;
    let ours = id(&world).await;
    let body = press("trackside.acknowledge", &ours, 0, "1.0");
    let answer = slack(&world, &body).await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, ""));
    assert_eq!(
        stands(&world).await,
        ("acknowledged".to_owned(), "ana".to_owned()),
        "by her id, not the name she chose"
    );
    let told = sent(&world).await;
    assert_eq!(told[2..], ["pd-payments acknowledge", "slack-data acknowledge"], "Slack's message is edited");
    slack(&world, &body).await;
    world.pass(SignedDuration::from_mins(60)).await;
    assert_eq!(sent(&world).await, told, "sent again it changes nothing, and nobody is paged");

    slack(&world, &press("trackside.snooze_1h", &ours, 0, "2.0")).await;
    assert_eq!(stands(&world).await.0, "snoozed");
    slack(&world, &press("trackside.resolve", &ours, 0, "3.0")).await;
    assert_eq!(stands(&world).await.0, "resolved");
    let others =
        [press("somebody.elses", &ours, 0, "4.0"), "payload=%7B%22user%22%3A%7B%22id%22%3A%22U1%22%7D%7D".to_owned()];
    for other in others {
        assert_eq!(slack(&world, &other).await.status, StatusCode::OK, "what is not ours is left alone");
    }
}

#[tokio::test]
async fn escalate_in_slack_pages_the_next_one_now() {
    let world = world().await;
    slack(&world, &press("trackside.escalate", &id(&world).await, 0, "1.0")).await;
    world.pass(SignedDuration::from_secs(1)).await;
    let told = sent(&world).await;
    assert_eq!(told.last().map(String::as_str), Some("slack-data trigger"), "{told:?}");
    assert_eq!(told.len(), 3);
}

#[tokio::test]
async fn late_answers_never_touch_a_new_life() {
    let world = world().await;
    let ours = id(&world).await;
    run(&world, "r2", "success").await;
    assert_eq!(stands(&world).await.0, "resolved");
    world.pass(SignedDuration::from_mins(2)).await;
    run(&world, "r3", "failed").await;
    let reopened = incident(&world).await;
    assert_eq!((reopened["state"].as_str(), reopened["reopened"].as_u64()), (Some("triggered"), Some(1)), "{reopened}");

    assert_eq!(slack(&world, &press("trackside.acknowledge", &ours, 0, "1.0")).await.status, StatusCode::OK);
    webhook(&world, NEW, &event("e1", "incident.resolved", &theirs(&ours))).await;
    let old = address(&link(&ours, Wish::Resolve, 0, &world));
    assert_eq!(use_up(&world, &old).await.status, StatusCode::GONE);
    assert_eq!(stands(&world).await.0, "triggered", "all three were said of its first life");
    slack(&world, &press("trackside.acknowledge", &ours, 1, "2.0")).await;
    assert_eq!(stands(&world).await, ("acknowledged".to_owned(), "ana".to_owned()));
}

#[tokio::test]
async fn a_link_asks_first_and_acts_once() {
    let world = world().await;
    let ours = id(&world).await;
    let acknowledge = address(&link(&ours, Wish::Acknowledge, 0, &world));
    for method in [Method::GET, Method::HEAD] {
        let answer = world.send(method, &acknowledge, &[], Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let question = open(&world, &acknowledge).await;
    assert!(question.text().contains("method=\"post\"") && question.text().contains("ana@example.net"));
    assert_eq!(question.header("cache-control"), "no-store");
    assert_eq!(stands(&world).await.0, "triggered", "mail scanners open every link");

    let done = use_up(&world, &acknowledge).await;
    assert!(done.status == StatusCode::OK && done.text().contains("You have it"), "{}", done.text());
    assert_eq!(stands(&world).await, ("acknowledged".to_owned(), "ana".to_owned()));
    for again in [use_up(&world, &acknowledge).await, open(&world, &acknowledge).await] {
        assert_eq!(again.status, StatusCode::GONE);
        assert!(again.text().contains("was used already"), "{}", again.text());
    }
    let resolve = address(&link(&ours, Wish::Resolve, 0, &world));
    assert!(open(&world, &resolve).await.text().contains("ana has it at the moment"));
    assert_eq!(use_up(&world, &resolve).await.status, StatusCode::OK);
    assert_eq!(stands(&world).await.0, "resolved");
    let told = sent(&world).await;
    assert_eq!(
        told[2..],
        ["pd-payments acknowledge", "slack-data acknowledge", "pd-payments resolve", "slack-data resolve"]
    );
}

#[tokio::test]
async fn links_that_lead_nowhere_say_so() {
    let world = world().await;
    let ours = id(&world).await;
    let good = link(&ours, Wish::Acknowledge, 0, &world);
    let forged = format!("{}A", address(&good));
    let other_key = format!("/act/{}", ActKey::new([1; 32]).seal(&good));
    let gone = address(&link("00000000-0000-0000-0000-000000000007", Wish::Resolve, 0, &world));
    let old = address(&ActLink { expires: world.now(), ..good });
    for (address, status, says) in [
        (forged, 403, "not whole"),
        (other_key, 403, "not made here"),
        (format!("/act/{}", secret(Role::Admin)), 403, "not made here"),
        (gone, 410, "not kept"),
        (old, 410, "older than a week"),
    ] {
        for answer in [open(&world, &address).await, use_up(&world, &address).await] {
            assert_eq!(answer.status.as_u16(), status, "{address}");
            assert!(answer.text().contains(says), "{}", answer.text());
        }
    }
    assert_eq!(stands(&world).await.0, "triggered");
}

#[tokio::test]
async fn connections_say_what_to_enter_at_the_far_end() {
    let world = World::new().await;
    let list = world.get("/api/v1/connections", Role::Viewer).await.json();
    let told_at = |name: &str| list.as_array().unwrap().iter().find(|c| c["name"] == name).unwrap()["told_at"].clone();
    assert_eq!(told_at("slack-data"), format!("http://127.0.0.1:4180{SLACK}"));
    assert_eq!(told_at("pd-payments"), format!("http://127.0.0.1:4180{PAGERDUTY}"));
    assert_eq!(told_at("prefect"), Value::Null);
    assert!(world.page("/connections", Role::Viewer).await.contains(SLACK));
}
