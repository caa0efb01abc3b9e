//! A far end that behaves like the part of a Prefect server (3.8.8) that actions use, under `/api/`.
//!
//! Objects are put there by the test. Rules kept: a second run with the same idempotency key is the first; a state
//! with the `transition_id` of the state before it is refused; a run that ended does not go on; a run that nobody works
//! on is cancelled at once, which reads as a refusal. Sources: `prefect/server/api/{deployments,flow_runs,workers,
//! work_queues,variables}.py`, `prefect/server/orchestration/core_policy.py`.

use crate::http::{App, Asked, Reply};
use crate::journal::{Entry, Journal};
use hyper::Method;
use hyper::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use trackside_core::ids::derive;
use uuid::Uuid;

/// Name in the journal.
pub const NAME: &str = "prefect";

/// The far end's state.
#[derive(Debug)]
pub struct Prefect {
    journal: Journal,
    key: String,
    objects: Mutex<Objects>,
}

/// What there is.
#[derive(Clone, Debug, Default)]
struct Objects {
    /// By path below `/api/`: `deployments/{id}`, `flow_runs/{id}`, `flows/{id}`, `task_runs/{id}`,
    /// `work_queues/{id}`, `work_pools/{name}`.
    all: BTreeMap<String, Map<String, Value>>,
    variables: BTreeMap<String, Value>,
}

impl Prefect {
    /// `key` is the API key that it accepts as a bearer token.
    pub(crate) fn new(journal: Journal, key: &str) -> Self {
        Self { journal, key: key.to_owned(), objects: Mutex::default() }
    }

    /// Puts an object there, or replaces it: `("flow_runs", json!({"id": …, "name": …, "state": {"type": …}}))`. Work pools
    /// stand under their name, everything else under its id.
    pub fn put(&self, kind: &str, object: &Value) {
        let name = if kind == "work_pools" { &object["name"] } else { &object["id"] };
        let path = format!("{kind}/{}", name.as_str().unwrap_or_default());
        self.lock().all.insert(path, object.as_object().cloned().unwrap_or_default());
    }

    /// Sets a variable.
    pub fn set_variable(&self, name: &str, value: Value) {
        self.lock().variables.insert(name.to_owned(), value);
    }

    /// An object as it is now, by kind and id (work pools: name).
    #[must_use]
    pub fn get(&self, kind: &str, id: &str) -> Option<Value> {
        self.lock().all.get(&format!("{kind}/{id}")).cloned().map(Value::Object)
    }

    /// All objects of a kind.
    #[must_use]
    pub fn all(&self, kind: &str) -> Vec<Value> {
        let begin = format!("{kind}/");
        let objects = self.lock();
        objects.all.iter().filter(|(path, _)| path.starts_with(&begin)).map(|(_, o)| Value::Object(o.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, action: &str, target: &str, identity: String, body: &[u8]) {
        let entry = Entry {
            identity,
            key: target.to_owned(),
            action: action.to_owned(),
            summary: format!("{action} {target}"),
            body: String::from_utf8_lossy(body).into_owned(),
        };
        self.journal.record(NAME, entry);
    }

    fn write(&self, method: &Method, path: &str, asked: &Asked<'_>, body: &Value) -> Option<Reply> {
        let mut objects = self.lock();
        let parts: Vec<String> = path.split('/').map(decoded).collect();
        let (target, action) = (parts.get(..2)?.join("/"), parts.get(2).map(String::as_str).unwrap_or_default());
        if !objects.all.contains_key(&target) {
            return Some(not_found());
        }
        let mut identity = format!("{method} {path} {}", String::from_utf8_lossy(asked.body));
        let reply = match (method, parts[0].as_str(), action) {
            (&Method::POST, "deployments", "create_flow_run") => {
                let key = body["idempotency_key"].as_str().unwrap_or_default();
                identity = format!("run {key}");
                objects.create_run(&parts[1], key, body)
            }
            (&Method::POST, "deployments", "pause_deployment") => objects.set(&target, "paused", json!(true), 200),
            (&Method::POST, "deployments", "resume_deployment") => objects.set(&target, "paused", json!(false), 200),
            (&Method::PATCH, "work_pools" | "work_queues", "") => {
                objects.set(&target, "is_paused", body["is_paused"].clone(), 204)
            }
            (&Method::POST, "flow_runs", "set_state") => {
                if let Some(transition) = body["state"]["state_details"]["transition_id"].as_str() {
                    identity = format!("state {transition}");
                }
                objects.set_state(&target, body)
            }
            (&Method::POST, "flow_runs", "resume") => objects.resume(&target),
            (&Method::DELETE, "flow_runs", "") => {
                objects.all.remove(&target);
                Reply::text(204, "")
            }
            _ => return None,
        };
        drop(objects);
        let action = if action.is_empty() { method.as_str() } else { action };
        self.note(action, &parts[1], identity, asked.body);
        Some(reply)
    }

    fn read(&self, path: &str) -> Reply {
        let objects = self.lock();
        if let Some(queue) = path.strip_suffix("/status").filter(|path| path.starts_with("work_queues/")) {
            return if objects.all.contains_key(queue) {
                Reply::json(200, &json!({"healthy": true}))
            } else {
                not_found()
            };
        }
        match objects.all.get(path.trim_start_matches("v2/")) {
            Some(object) => Reply::json(200, &Value::Object(object.clone())),
            None => not_found(),
        }
    }

    fn filter(&self, path: &str, body: &Value) -> Option<Reply> {
        let objects = self.lock();
        match path {
            "work_pools/filter" => {
                let wanted = &body["work_pools"]["id"]["any_"];
                let wanted = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
                let pools = objects.all.iter().filter(|(path, _)| path.starts_with("work_pools/"));
                let pools = pools.filter(|(_, pool)| pool.get("id").is_some_and(|id| wanted.contains(id)));
                Some(Reply::json(200, &pools.map(|(_, pool)| Value::Object(pool.clone())).collect()))
            }
            "variables/filter" => {
                let number = |name: &str| body[name].as_u64().and_then(|number| usize::try_from(number).ok());
                let (offset, limit) = (number("offset").unwrap_or(0), number("limit").unwrap_or(200));
                let page = objects.variables.iter().skip(offset).take(limit);
                Some(Reply::json(200, &page.map(|(name, value)| json!({"name": name, "value": value})).collect()))
            }
            _ => None,
        }
    }
}

impl Objects {
    fn create_run(&mut self, deployment: &str, key: &str, body: &Value) -> Reply {
        let known = self.all.values().find(|run| !key.is_empty() && run.get("idempotency_key") == Some(&json!(key)));
        if let Some(known) = known {
            return Reply::json(200, &Value::Object(known.clone()));
        }
        let id = derive("sim-flow-run", &[deployment, key, &self.all.len().to_string()]).to_string();
        let run = json!({
            "id": id, "name": format!("run-{}", self.all.len()), "deployment_id": deployment, "idempotency_key": key,
            "parameters": body["parameters"], "job_variables": body["job_variables"], "state": body["state"],
        });
        self.all.insert(format!("flow_runs/{id}"), run.as_object().cloned().unwrap_or_default());
        Reply::json(201, &run)
    }

    fn set(&mut self, target: &str, field: &str, value: Value, status: u16) -> Reply {
        if let Some(object) = self.all.get_mut(target) {
            object.insert(field.to_owned(), value);
        }
        Reply::text(status, "")
    }

    fn set_state(&mut self, target: &str, body: &Value) -> Reply {
        let Some(run) = self.all.get_mut(target) else { return not_found() };
        let current = run.get("state").cloned().unwrap_or_default();
        let mut state = body["state"].clone();
        let transition = &state["state_details"]["transition_id"];
        if !transition.is_null() && *transition == current["state_details"]["transition_id"] {
            return outcome(200, "REJECT", &current, "This run has already made this state transition.");
        }
        let kind = state["type"].as_str().unwrap_or_default().to_owned();
        let now = current["type"].as_str().unwrap_or_default();
        let ended = matches!(now, "COMPLETED" | "FAILED" | "CANCELLED" | "CRASHED");
        if body["force"] != true {
            if ended && matches!(kind.as_str(), "CANCELLING" | "PAUSED" | "CRASHED") {
                return outcome(200, "ABORT", &current, &format!("Run is already in terminal state {now}."));
            }
            if now == "SCHEDULED" && kind == "CANCELLING" {
                let cancelled = json!({"type": "CANCELLED", "name": "Cancelled", "state_details": {}});
                run.insert("state".to_owned(), cancelled.clone());
                return outcome(201, "REJECT", &cancelled, "Scheduled flow run has no infrastructure to terminate.");
            }
        }
        if state["name"].is_null() {
            state["name"] = json!(titled(&kind));
        }
        run.insert("state".to_owned(), state.clone());
        outcome(201, "ACCEPT", &state, "")
    }

    fn resume(&mut self, target: &str) -> Reply {
        let Some(run) = self.all.get_mut(target) else { return not_found() };
        if run.get("state").is_none_or(|state| state["type"] != "PAUSED") {
            return outcome(200, "ABORT", &Value::Null, "Cannot resume a flow run that is not paused.");
        }
        let state = json!({"type": "SCHEDULED", "name": "Resuming", "state_details": {}});
        run.insert("state".to_owned(), state.clone());
        outcome(201, "ACCEPT", &state, "")
    }
}

impl App for Prefect {
    fn reply(&self, asked: &Asked<'_>) -> Reply {
        let token = asked.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if token.and_then(|token| token.strip_prefix("Bearer ")) != Some(self.key.as_str()) {
            return Reply::json(401, &json!({"exception_message": "Unauthorized"}));
        }
        let Some(path) = asked.path.strip_prefix("/api/") else { return not_found() };
        let body: Value = serde_json::from_slice(asked.body).unwrap_or_default();
        if asked.method == Method::POST
            && let Some(reply) = self.filter(path, &body)
        {
            return reply;
        }
        if asked.method == Method::GET {
            return self.read(path);
        }
        self.write(asked.method, path, asked, &body).unwrap_or_else(not_found)
    }

    fn failure(&self, status: u16, _: Option<u32>) -> Reply {
        Reply::json(status, &json!({"exception_message": "Internal Server Error"}))
    }
}

fn outcome(status: u16, word: &str, state: &Value, reason: &str) -> Reply {
    let details = if word == "ACCEPT" {
        json!({"type": "accept_details"})
    } else {
        json!({"type": format!("{}_details", word.to_lowercase()), "reason": reason})
    };
    Reply::json(status, &json!({"state": state, "status": word, "details": details}))
}

fn not_found() -> Reply {
    Reply::json(404, &json!({"detail": "Not Found"}))
}

/// `AWAITING_RETRY` is `Awaiting Retry`.
fn titled(kind: &str) -> String {
    let words = kind.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{first}{}", rest.to_lowercase())
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `%20` is a blank.
fn decoded(segment: &str) -> String {
    let pairs = format!("p={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, text)| text.into_owned()).unwrap_or_default()
}

/// An id for an object, the same for the same words.
#[must_use]
pub fn id(words: &str) -> Uuid {
    derive("sim-prefect", &[words])
}
