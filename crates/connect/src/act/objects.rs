//! The objects that texts name (`flow_run`, `deployment`, `variables`, …), asked from the Prefect server that the
//! event came from.
//!
//! As Prefect's `_relevant_native_objects`: the first involved resource of the kind, read by its id. Bounded: one round
//! of requests side by side, each within the connection's time-out. What cannot be had is named with its reason.

use super::prefect::Api;
use super::target::{first_of_kind, id_of};
use crate::far_end::{Answer, Repeat, Request};
use crate::sender::Sender;
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use trackside_core::automation::template::Object;
use trackside_core::event::{Event, RESOURCE_ID};

/// Variables in one answer; also Prefect's maximum.
const VARIABLES: usize = 200;
/// Most pages of variables.
const VARIABLE_PAGES: usize = 5;
/// What was found, and what could not be had.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) objects: BTreeMap<Object, Value>,
    /// With the reason.
    pub(super) missing: Vec<(Object, String)>,
}

/// Asks for all that is wanted at once.
pub(super) async fn ask<S: Sender>(
    sender: &S,
    api: &Api<'_>,
    event: &Event,
    wanted: &BTreeSet<Object>,
    timeout: Duration,
) -> Found {
    let asked = wanted.iter().map(|object| async move { (*object, one(sender, api, event, *object, timeout).await) });
    let mut found = Found::default();
    for (object, answer) in futures_util::future::join_all(asked).await {
        match answer {
            Ok(value) => found.objects.extend(value.map(|value| (object, value))),
            Err(why) => found.missing.push((object, why)),
        }
    }
    found
}

/// One object; `None` when the event involves none of its kind.
async fn one<S: Sender>(
    sender: &S,
    api: &Api<'_>,
    event: &Event,
    object: Object,
    timeout: Duration,
) -> Result<Option<Value>, String> {
    let kind = format!("prefect.{}", object.name().replace('_', "-"));
    let id = || first_of_kind(event, &kind)?.get(RESOURCE_ID).and_then(|resource| id_of(resource, &kind));
    let id = match object {
        Object::Variables => return variables(sender, api, timeout).await.map(Some),
        _ => match id() {
            Some(id) => id,
            None => return Ok(None),
        },
    };
    let get = |path: &str| api.send(api.request(Method::GET, &format!("{path}/{id}"), None), Repeat::Harmless);
    let read = |request: Request| async move { read(sender, &request, timeout).await };
    let value = match object {
        Object::Flow => read(get("flows")).await?,
        Object::FlowRun => read(get("flow_runs")).await?,
        Object::TaskRun => read(get("task_runs")).await?,
        Object::Deployment => read(get("deployments")).await?,
        Object::WorkPool => read(api.pool(id)).await?,
        Object::ConcurrencyLimit => read(get("v2/concurrency_limits")).await?,
        Object::WorkQueue => {
            let status = api.request(Method::GET, &format!("work_queues/{id}/status"), None);
            let status = read(api.send(status, Repeat::Harmless));
            let (queue, status) = futures_util::future::join(read(get("work_queues")), status).await;
            let mut queue = queue?;
            queue.extend(status?);
            queue
        }
        Object::Variables => return Ok(None),
    };
    Ok(Some(Value::Object(value)))
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
