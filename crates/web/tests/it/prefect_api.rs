//! Prefect's REST API: what a real Prefect server answered, asked again here.
//!
//! `testdata/prefect/api.json` holds requests in the words of Prefect's client, in order, with the answers of Prefect
//! 3.8.8; ids and times are placeholders. An id that is met first is remembered and must be the same from then on.

use crate::world::{Answer, World, bearer};
use axum::body::Body;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, Origin};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::caller::Caller;
use trackside_core::input::Input;
use trackside_identity::role::Role;
use trackside_store::log::NewEntry;
use uuid::Uuid;

#[derive(Deserialize)]
struct Recording {
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    name: String,
    method: String,
    path: String,
    body: Option<Value>,
    /// A body that is not JSON.
    raw: Option<String>,
    status: u16,
    answer: Value,
}

fn recorded() -> Vec<Exchange> {
    let recording: Recording =
        serde_json::from_str(include_str!("../../../../testdata/prefect/api.json")).expect("a recording");
    recording.exchanges
}

/// The values of placeholders.
#[derive(Default)]
struct Ids(BTreeMap<String, String>);

impl Ids {
    /// A text with every known placeholder replaced.
    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (placeholder, id)| text.replace(placeholder.as_str(), id))
    }

    /// What differs between what was recorded and what was answered.
    fn compare(&mut self, at: &str, recorded: &Value, answered: &Value) -> Result<(), String> {
        let differs = || Err(format!("{at}: recorded {recorded}, answered {answered}"));
        match (recorded, answered) {
            (Value::String(recorded), Value::String(answered)) => {
                self.compare_text(recorded, answered).or_else(|()| differs())
            }
            (Value::Array(recorded), Value::Array(answered)) if recorded.len() == answered.len() => {
                let mut pairs = recorded.iter().zip(answered).enumerate();
                pairs.try_for_each(|(index, (recorded, answered))| {
                    self.compare(&format!("{at}[{index}]"), recorded, answered)
                })
            }
            (Value::Object(recorded), Value::Object(answered)) => {
                let keys = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<String>>();
                if keys(recorded) != keys(answered) {
                    return Err(format!("{at}: recorded {:?}, answered {:?}", keys(recorded), keys(answered)));
                }
                recorded.iter().try_for_each(|(key, value)| self.compare(&format!("{at}.{key}"), value, &answered[key]))
            }
            (Value::Number(recorded), Value::Number(answered)) if recorded.as_f64() == answered.as_f64() => Ok(()),
            _ if recorded == answered => Ok(()),
            _ => differs(),
        }
    }

    fn compare_text(&mut self, recorded: &str, answered: &str) -> Result<(), ()> {
        if recorded == "<time>" {
            return answered.parse::<jiff::Timestamp>().map(drop).map_err(drop);
        }
        let filled = self.fill(recorded);
        let Some((before, rest)) = filled.split_once("<id ") else {
            return if filled == answered { Ok(()) } else { Err(()) };
        };
        let (number, after) = rest.split_once('>').ok_or(())?;
        let id = answered.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).ok_or(())?;
        id.parse::<Uuid>().map_err(drop)?;
        let taken = self.0.values().any(|known| known == id);
        self.0.insert(format!("<id {number}>"), id.to_owned());
        if taken { Err(()) } else { Ok(()) }
    }
}

/// Errors are the same when they name the same places; their words are ours where a body is not an automation's.
fn places(answer: &Value) -> Vec<String> {
    let errors = answer["exception_detail"].as_array().into_iter().flatten();
    errors.map(|error| format!("{}", error["loc"]).replace("\"body\"", "").replace(",", "")).collect()
}

async fn ask(world: &World, ids: &Ids, exchange: &Exchange) -> Answer {
    let method: Method = exchange.method.parse().expect("a method");
    let body = exchange.body.as_ref().map(|body| ids.fill(&body.to_string()));
    let body = body.or_else(|| exchange.raw.clone()).map_or_else(Body::empty, Body::from);
    let headers = [bearer(Role::Admin), ("content-type", "application/json".to_owned())];
    world.send(method, &format!("/api{}", ids.fill(&exchange.path)), &headers, body).await
}

#[tokio::test]
async fn a_client_of_prefect_is_answered_as_by_prefect() {
    let world = World::new().await;
    let mut ids = Ids::default();
    let mut wrong = Vec::new();
    for exchange in recorded() {
        if ids.fill(&exchange.path).contains("<id ") {
            wrong.push(format!("{}: an id that was not learnt", exchange.name));
            continue;
        }
        let answer = ask(&world, &ids, &exchange).await;
        let what = format!("{}: {} {}", exchange.name, exchange.method, exchange.path);
        if answer.status.as_u16() != exchange.status {
            wrong.push(format!("{what}: recorded {}, answered {}: {}", exchange.status, answer.status, answer.text()));
            continue;
        }
        let answered: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| json!(answer.text()));
        let result = if exchange.answer.get("exception_detail").is_some() {
            let (recorded, answered) = (places(&exchange.answer), places(&answered));
            if recorded == answered { Ok(()) } else { Err(format!("recorded {recorded:?}, answered {answered:?}")) }
        } else {
            ids.compare("", &exchange.answer, &answered)
        };
        wrong.extend(result.err().map(|difference| format!("{what}: {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn automation(name: &str) -> Value {
    json!({"name": name, "trigger": {"type": "event", "posture": "Reactive", "expect": ["x"]},
        "actions": [{"type": "do-nothing"}]})
}

async fn send(world: &World, role: Role, method: Method, path: &str, body: &Value) -> Answer {
    world.send(method, path, &[bearer(role)], body.to_string()).await
}

#[tokio::test]
async fn every_form_of_a_path_asks_for_the_same_role() {
    let world = World::new().await;
    for path in ["/api/automations", "/api/automations/", "/api/block_documents", "/api/block_documents/"] {
        let refused = send(&world, Role::Operator, Method::POST, path, &automation("a")).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["exception_message"]),
            (403, &json!("Forbidden")),
            "{path}"
        );
        let nobody = world.send(Method::POST, path, &[], Body::empty()).await;
        assert_eq!(
            (nobody.status.as_u16(), &nobody.json()["exception_message"]),
            (401, &json!("Unauthorized")),
            "{path}"
        );
    }
    let basic = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("anybody:{}", crate::world::secret(Role::Admin)),
    );
    let headers = [("authorization", format!("Basic {basic}"))];
    let made = world.send(Method::POST, "/api/automations/", &headers, automation("a").to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

#[tokio::test]
async fn a_secret_never_leaves() {
    const SECRET: &str = "https://hooks.slack.com/services/T0/B0/very-secret";
    let world = World::new().await;
    let slack = trackside_connect::block::BlockType::by_slug("slack-webhook").expect("a type");
    let document = |name: &str, data: Value| json!({"name": name, "data": data, "block_schema_id": slack.schema_id(), "block_type_id": slack.id()});
    let told = async |method: Method, path: &str, body: &Value, status: u16| {
        let answer = send(&world, Role::Admin, method, path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        assert!(!answer.text().contains("secret\""), "{path}: {}", answer.text());
        assert!(!answer.text().contains("very-secret"), "{path}: {}", answer.text());
        answer
    };
    let made = told(Method::POST, "/api/block_documents/", &document("alerts", json!({"url": SECRET})), 201).await;
    let path = format!("/api/block_documents/{}", made.json()["id"].as_str().expect("an id"));
    told(Method::GET, &format!("{path}?include_secrets=true"), &Value::Null, 200).await;
    let named = "/api/block_types/slug/slack-webhook/block_documents/name/alerts?include_secrets=true";
    told(Method::GET, named, &Value::Null, 200).await;
    told(Method::POST, "/api/block_documents/filter", &json!({"include_secrets": true}), 200).await;
    // What is wrong is said without the values that were sent.
    let wrong = json!({"url": SECRET, "notify_type": "loud"});
    told(Method::POST, "/api/block_documents/", &document("wrong", wrong.clone()), 422).await;
    told(Method::PATCH, &path, &json!({"data": wrong}), 422).await;
    told(Method::POST, "/api/block_documents/", &document("Bad Name", json!({"url": SECRET})), 422).await;
    // The mask is no secret, and one that comes back keeps what is there.
    told(Method::POST, "/api/block_documents/", &document("copy", json!({"url": "********"})), 422).await;
    let references = json!({"url": {"$ref": {"block_document_id": slack.id()}}});
    told(Method::POST, "/api/block_documents/", &document("refers", references), 422).await;
    told(Method::PATCH, &path, &json!({"data": {"url": "********", "notify_type": "failure"}}), 204).await;
    let stored = world.store.block_named("slack-webhook", "alerts").await.expect("readable").expect("there");
    assert!(!stored.data.to_string().contains("very-secret"), "{}", stored.data);
    let key = trackside_identity::seal::SealKey::new([8; 32]);
    let opened = slack.open(stored.id, &stored.data, &key).expect("opens");
    assert_eq!(opened, json!({"url": SECRET, "notify_type": "failure"}));
    let audit = world.get("/api/v1/audit?action=block.", Role::Viewer).await;
    assert_eq!(audit.json()["items"].as_array().map(Vec::len), Some(2), "{}", audit.text());
}

#[tokio::test]
async fn what_prefect_cannot_say_is_left_to_our_own_api() {
    let world = World::new().await;
    let ours = "name: ours\ntrigger: {consecutive: 3}\nactions: [page-owner]\n";
    let made = world.send(Method::POST, "/api/v1/automations", &[bearer(Role::Admin)], ours).await;
    assert_eq!(made.status, 201, "{}", made.text());
    send(&world, Role::Admin, Method::POST, "/api/automations/", &automation("theirs")).await;
    let names = send(&world, Role::Viewer, Method::POST, "/api/automations/filter", &json!({})).await.json();
    assert_eq!(names.as_array().map(Vec::len), Some(1), "{names}");
    assert_eq!(send(&world, Role::Viewer, Method::POST, "/api/automations/count", &json!({})).await.json(), 1);
    assert_eq!(world.get("/api/v1/automations", Role::Viewer).await.json()["total"], 2);
}

#[tokio::test]
async fn what_the_configuration_keeps_is_edited_there_and_may_be_paused_here() {
    let world = World::new().await;
    let made = send(&world, Role::Admin, Method::POST, "/api/automations/", &automation("a")).await.json();
    let id = made["id"].as_str().expect("an id").to_owned();
    keep_in_files(&world, &id).await;
    let theirs = format!("/api/automations/{id}");
    let ours = format!("/api/v1/automations/{id}");
    let yaml = json!({"name": "b", "trigger": {"expect": ["x"]}, "actions": ["page-owner"]});
    for (method, path, body, status) in [
        (Method::PUT, &theirs, automation("b"), 409),
        (Method::DELETE, &theirs, Value::Null, 409),
        (Method::PUT, &ours, yaml, 409),
        (Method::DELETE, &ours, Value::Null, 409),
        (Method::PATCH, &theirs, json!({"enabled": false}), 204),
    ] {
        let answer = send(&world, Role::Admin, method.clone(), path, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text());
        assert!(status != 409 || answer.text().contains("stands in the configuration"), "{}", answer.text());
    }
    assert_eq!(world.get(&ours, Role::Viewer).await.json()["enabled"], false);
}

/// Makes an automation one of the configuration, as a reload does.
async fn keep_in_files(world: &World, id: &str) {
    let id = id.parse().expect("an id");
    let automation = world.store.automation(id).await.expect("readable").expect("there");
    let automation = Automation { origin: Origin::Files, ..automation };
    let input = Input::Automations {
        caller: Caller::new("configuration", "cli"),
        edits: vec![AutomationEdit::Put(Box::new(automation))],
    };
    let entry = NewEntry::input(world.now(), &input, Uuid::from_u128(77)).expect("an entry");
    world.store.append(vec![entry]).await.expect("appended");
    world.decide().await;
}
