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
use trackside_identity::role::Role;
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
