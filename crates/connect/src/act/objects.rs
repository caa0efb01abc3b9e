//! The objects that texts name (`flow_run`, `deployment`, `variables`, …), asked from the Prefect server that the
//! event came from.
//!
//! As Prefect's `_relevant_native_objects`: the first involved resource of the kind, read by its id; the state of a flow
//! or task run is that of the event, because the server's may be newer. Bounded: one round of requests side by side,
//! each within the connection's time-out. What cannot be had is named, and then it is made up from the event.

use super::prefect::Api;
use super::target::{first_of_kind, id_of};
use crate::far_end::{Answer, Repeat, Request};
use crate::sender::Sender;
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use trackside_core::event::{Event, Labels, RESOURCE_ID};

/// Variables in one answer; also Prefect's maximum.
const VARIABLES: usize = 200;
/// Most pages of variables.
const VARIABLE_PAGES: usize = 5;
/// Labels that together are the state of a run.
const STATE: [(&str, &str); 4] = [
    ("type", "prefect.state-type"),
    ("name", "prefect.state-name"),
    ("message", "prefect.state-message"),
    ("timestamp", "prefect.state-timestamp"),
];

/// What was found, by the name that templates use, and what could not be had.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) objects: BTreeMap<String, Value>,
    /// Name and reason.
    pub(super) missing: Vec<(String, String)>,
}

/// Asks for all of `names` at once.
pub(super) async fn ask<S: Sender>(
    sender: &S,
    api: &Api<'_>,
    event: &Event,
    names: &[&str],
    timeout: Duration,
) -> Found {
    let asked = names.iter().map(|name| async move {
        let answer = match *name {
            "variables" => variables(sender, api, timeout).await.map(Some),
            name => object(sender, api, event, name, timeout).await,
        };
        ((*name).to_owned(), answer)
    });
    let mut found = Found::default();
    for (name, answer) in futures_util::future::join_all(asked).await {
        match answer {
            Ok(Some(object)) => drop(found.objects.insert(name, object)),
            Ok(None) => {}
            Err(why) => found.missing.push((name, why)),
        }
    }
    found
}

/// One object; `None` when the event involves none of its kind.
async fn object<S: Sender>(
    sender: &S,
    api: &Api<'_>,
    event: &Event,
    name: &str,
    timeout: Duration,
) -> Result<Option<Value>, String> {
    let kind = format!("prefect.{}", name.replace('_', "-"));
    let Some(labels) = first_of_kind(event, &kind) else { return Ok(None) };
    let Some(id) = labels.get(RESOURCE_ID).and_then(|resource| id_of(resource, &kind)) else { return Ok(None) };
    let get = |path: String| api.send(api.request(Method::GET, &path, None), Repeat::Harmless);
    let mut object = match name {
        "deployment" => read(sender, &get(format!("deployments/{id}")), timeout).await?,
        "flow" => read(sender, &get(format!("flows/{id}")), timeout).await?,
        "flow_run" => read(sender, &get(format!("flow_runs/{id}")), timeout).await?,
        "task_run" => read(sender, &get(format!("task_runs/{id}")), timeout).await?,
        "work_pool" => read(sender, &api.pool(id), timeout).await?,
        "work_queue" => {
            let (queue, status) = (get(format!("work_queues/{id}")), get(format!("work_queues/{id}/status")));
            let (queue, status) =
                futures_util::future::join(read(sender, &queue, timeout), read(sender, &status, timeout)).await;
            let mut queue = queue?;
            queue.extend(status?);
            queue
        }
        "concurrency_limit" => read(sender, &get(format!("v2/concurrency_limits/{id}")), timeout).await?,
        _ => return Ok(None),
    };
    if matches!(name, "flow_run" | "task_run")
        && let Some(state) = state_of(labels)
    {
        object.insert("state".to_owned(), state);
    }
    Ok(Some(Value::Object(object)))
}

/// The state in a run's labels, when all of it is there.
fn state_of(labels: &Labels) -> Option<Value> {
    let fields = STATE.iter().map(|(field, label)| Some(((*field).to_owned(), json!(labels.get(*label)?))));
    fields.collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// All variables by name.
async fn variables<S: Sender>(sender: &S, api: &Api<'_>, timeout: Duration) -> Result<Value, String> {
    let mut all = Map::new();
    for page in 0..VARIABLE_PAGES {
        let filter = json!({ "variables": {}, "limit": VARIABLES, "offset": page * VARIABLES });
        let request = api.send(api.request(Method::POST, "variables/filter", Some(&filter)), Repeat::Harmless);
        let Value::Array(variables) = answer(sender, &request, timeout).await? else {
            return Err("the answer is not a list".to_owned());
        };
        let last = variables.len() < VARIABLES;
        for mut variable in variables {
            if let (Value::String(name), value) = (variable["name"].take(), variable["value"].take()) {
                all.insert(name, value);
            }
        }
        if last {
            break;
        }
    }
    Ok(Value::Object(all))
}

/// An object, also when it is the only one in a list.
async fn read<S: Sender>(sender: &S, request: &Request, timeout: Duration) -> Result<Map<String, Value>, String> {
    let answer = match answer(sender, request, timeout).await? {
        Value::Array(mut items) if !items.is_empty() => items.swap_remove(0),
        other => other,
    };
    match answer {
        Value::Object(object) => Ok(object),
        Value::Array(_) => Err("there is none".to_owned()),
        _ => Err("the answer is not an object".to_owned()),
    }
}

async fn answer<S: Sender>(sender: &S, request: &Request, timeout: Duration) -> Result<Value, String> {
    match sender.send(request, timeout).await {
        Answer::Response { status: 200..=299, body, .. } => {
            serde_json::from_str(&body).map_err(|_| "the answer is not JSON".to_owned())
        }
        Answer::Response { status, .. } => Err(format!("answered {status}")),
        Answer::NotSent { error } | Answer::Withheld { error } | Answer::Lost { error } => Err(error),
    }
}
