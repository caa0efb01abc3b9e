//! Prefect's own actions over its REST API: runs of deployments, pauses, states of flow runs.
//!
//! What a lost answer means: a deployment's run carries the delivery as idempotency key, a state carries it as
//! `transition_id`, pauses set a value; so all of them can be sent again. Where a repeat could meet a world that has
//! moved on (states, deletes), the flow run is looked at first ([`Command::question`], [`Command::answered`]).
//! Facts: `prefect.server.api.clients`, `events.actions`, `orchestration.core_policy` of Prefect 3.8.8.

use crate::connection::PrefectAuth;
use crate::far_end::{Answer, HttpRequest, Repeat, Request, Response, Verdict, Wire, lost, retry_after};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use trackside_core::automation::definition::Automation;
use trackside_core::ids::DeliveryId;
use uuid::Uuid;

/// How long a suspended flow run waits before it fails.
const SUSPENDED_FOR: SignedDuration = SignedDuration::from_hours(1);
/// What Prefect answers when a state with the same `transition_id` was taken before.
const SAME_TRANSITION: &str = "This run has already made this state transition.";

/// A Prefect API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api<'a> {
    pub(super) base: &'a str,
    pub(super) auth: Option<&'a PrefectAuth>,
}

/// What Prefect is asked to do, with its target known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// Start a run of a deployment.
    Run {
        deployment: Uuid,
        parameters: Map<String, Value>,
        job_variables: Option<Map<String, Value>>,
        scheduled: Timestamp,
    },
    /// Pause or resume the schedules of a deployment.
    Schedules { deployment: Uuid, pause: Pause },
    /// Pause or resume a work pool.
    WorkPool { pool: Uuid, pause: Pause },
    /// Pause or resume a work queue.
    WorkQueue { queue: Uuid, pause: Pause },
    /// Put a flow run into a state.
    State { flow_run: Uuid, change: Change },
    /// Resume a flow run that is paused or suspended.
    Resume { flow_run: Uuid },
    /// Delete a flow run.
    Delete { flow_run: Uuid },
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Pause,
    Resume,
}

/// Into which state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Cancelling.
    Cancel,
    /// Suspended, for an hour.
    Suspend,
    /// Any.
    To { name: Option<String>, state: String, message: Option<String>, force: bool },
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) automation: &'a Automation,
    /// Name of the action, for errors.
    pub(super) action: &'a str,
    pub(super) delivery: DeliveryId,
    /// Idempotency key.
    pub(super) key: &'a str,
    pub(super) now: Timestamp,
}

impl Api<'_> {
    /// A request with credential. Repeating it changes nothing.
    pub(super) fn request(&self, method: Method, path: &str, body: Option<&Value>) -> HttpRequest {
        let mut http = HttpRequest::new(method, format!("{}/{path}", self.base));
        if let Some(auth) = self.auth {
            http = http.header("authorization", authorization(auth));
        }
        match body {
            Some(body) => http.json(body),
            None => http,
        }
    }

    /// The request for the wire, with its secrets known.
    pub(super) fn send(&self, http: HttpRequest, repeat: Repeat) -> Request {
        let secrets = self.auth.map(|auth| match auth {
            PrefectAuth::Key(key) => vec![key.clone()],
            PrefectAuth::Basic(login) => {
                let encoded = authorization(auth);
                vec![login.clone(), SecretString::from(encoded.trim_start_matches("Basic "))]
            }
        });
        Request::new(Wire::Http(http), repeat, secrets.unwrap_or_default())
    }

    /// The request that asks for the name of a work pool: pools are changed by name.
    pub(super) fn pool(&self, pool: Uuid) -> Request {
        let filter = json!({ "work_pools": { "id": { "any_": [pool] } } });
        self.send(self.request(Method::POST, "work_pools/filter", Some(&filter)), Repeat::Harmless)
    }
}

fn authorization(auth: &PrefectAuth) -> String {
    match auth {
        PrefectAuth::Key(key) => format!("Bearer {}", key.expose_secret()),
        PrefectAuth::Basic(login) => format!("Basic {}", STANDARD.encode(login.expose_secret())),
    }
}

/// The name in the answer to [`Api::pool`], or what becomes of the delivery.
pub(super) fn pool_name(pool: Uuid, answer: &Answer, asking: &Asking<'_>) -> Result<String, Verdict> {
    let response = match answer {
        Answer::Response { status, headers, body } => {
            Response { status: *status, not_before: retry_after(headers, asking.now), body, now: asking.now }
        }
        Answer::NotSent { error } | Answer::Lost { error } | Answer::Withheld { error } => {
            return Err(Verdict::Retry {
                not_before: None,
                why: format!("the work pool could not be asked for: {error}"),
            });
        }
    };
    if !(200..=299).contains(&response.status) {
        return Err(failure(&response, asking));
    }
    let pools: Value = serde_json::from_str(response.body).unwrap_or_default();
    match pools[0]["name"].as_str() {
        Some(name) => Ok(name.to_owned()),
        None => Err(Verdict::Refused { why: format!("Work pool {pool} not found") }),
    }
}

impl Command {
    /// The request that does it. `pool` is the name of the work pool, for the command that needs it.
    pub(super) fn request(&self, api: &Api<'_>, asking: &Asking<'_>, pool: Option<&str>) -> Request {
        let (method, path, body) = self.parts(asking, pool);
        let http = api.request(method, &path, body.as_ref());
        // Prefect shows whom a flow run was created by.
        let http = http
            .header("prefect-automation-id", asking.automation.id.to_string())
            .header("prefect-automation-name", STANDARD.encode(&asking.automation.spec.name));
        let repeat = match self {
            Self::State { .. } | Self::Resume { .. } | Self::Delete { .. } => Repeat::Duplicates,
            Self::Run { .. } | Self::Schedules { .. } | Self::WorkPool { .. } | Self::WorkQueue { .. } => {
                Repeat::Harmless
            }
        };
        api.send(http, repeat)
    }

    fn parts(&self, asking: &Asking<'_>, pool: Option<&str>) -> (Method, String, Option<Value>) {
        match self {
            Self::Run { deployment, parameters, job_variables, scheduled } => {
                let mut run = json!({
                    "state": {
                        "type": "SCHEDULED",
                        "name": "Scheduled",
                        "message": null,
                        "state_details": { "scheduled_time": scheduled },
                    },
                    "parameters": parameters,
                    "idempotency_key": asking.key,
                });
                if let Some(job_variables) = job_variables {
                    run["job_variables"] = json!(job_variables);
                }
                (Method::POST, format!("deployments/{deployment}/create_flow_run"), Some(run))
            }
            Self::Schedules { deployment, pause } => {
                let word = match pause {
                    Pause::Pause => "pause_deployment",
                    Pause::Resume => "resume_deployment",
                };
                (Method::POST, format!("deployments/{deployment}/{word}"), None)
            }
            Self::WorkPool { pause, .. } => {
                let name = super::path_segment(pool.unwrap_or_default());
                (Method::PATCH, format!("work_pools/{name}"), Some(paused(*pause)))
            }
            Self::WorkQueue { queue, pause } => (Method::PATCH, format!("work_queues/{queue}"), Some(paused(*pause))),
            Self::State { flow_run, change } => {
                (Method::POST, format!("flow_runs/{flow_run}/set_state"), Some(change.body(asking)))
            }
            Self::Resume { flow_run } => (Method::POST, format!("flow_runs/{flow_run}/resume"), Some(json!({}))),
            Self::Delete { flow_run } => (Method::DELETE, format!("flow_runs/{flow_run}"), None),
        }
    }

    /// What the answer to its request means.
    pub(super) fn classify(&self, request: &Request, answer: &Answer, asking: &Asking<'_>) -> Verdict {
        let response = match answer {
            Answer::NotSent { error } => return Verdict::Retry { not_before: None, why: format!("not sent: {error}") },
            Answer::Withheld { error } => return Verdict::Refused { why: format!("not sent: {error}") },
            Answer::Lost { error } => return lost(request.repeat, error),
            Answer::Response { status, headers, body } => {
                Response { status: *status, not_before: retry_after(headers, asking.now), body, now: asking.now }
            }
        };
        if !(200..=299).contains(&response.status) {
            return failure(&response, asking);
        }
        let reply: Value = serde_json::from_str(response.body).unwrap_or_default();
        match self {
            Self::Run { .. } => match reply["id"].as_str() {
                Some(id) => Verdict::Done { far_ref: Some(format!("prefect.flow-run.{id}")) },
                None => Verdict::Refused {
                    why: format!("{}; Prefect answers with the flow run, so this is another server", response.reason()),
                },
            },
            // Prefect refuses to cancel what nothing runs yet, by cancelling it at once.
            Self::State { change: Change::Cancel, .. } if reply["state"]["type"] == "CANCELLED" => {
                Verdict::Done { far_ref: None }
            }
            Self::State { .. } => orchestrated(&reply, &response, "Failed to set state"),
            Self::Resume { .. } => orchestrated(&reply, &response, "Failed to resume flow run"),
            Self::Schedules { .. } | Self::WorkPool { .. } | Self::WorkQueue { .. } | Self::Delete { .. } => {
                Verdict::Done { far_ref: None }
            }
        }
    }

    /// What to ask before sending again what may have been done.
    pub(super) fn question(&self, api: &Api<'_>) -> Option<Request> {
        match self {
            Self::State { flow_run, .. } | Self::Resume { flow_run } | Self::Delete { flow_run } => {
                let http = api.request(Method::GET, &format!("flow_runs/{flow_run}"), None);
                Some(api.send(http, Repeat::Harmless))
            }
            Self::Run { .. } | Self::Schedules { .. } | Self::WorkPool { .. } | Self::WorkQueue { .. } => None,
        }
    }

    /// What the answer to the question means: `Done` it was done, `Retry` it was not (send it), else ask again later.
    pub(super) fn answered(&self, answer: &Answer, asking: &Asking<'_>) -> Verdict {
        let again = |why: String| Verdict::Unknown { not_before: None, why: format!("could not ask: {why}") };
        let (status, headers, body) = match answer {
            Answer::NotSent { error } | Answer::Lost { error } | Answer::Withheld { error } => {
                return again(error.clone());
            }
            Answer::Response { status, headers, body } => (*status, headers, body),
        };
        let done = Verdict::Done { far_ref: None };
        match (status, self) {
            (404, Self::Delete { .. }) => return done,
            (408 | 429 | 500..=599, _) => {
                let not_before = retry_after(headers, asking.now);
                return Verdict::Unknown { not_before, why: format!("could not ask: answered {status}") };
            }
            (200, _) => {}
            // Prefect will not tell; it answers the command itself with a reason.
            _ => return Verdict::Retry { not_before: None, why: format!("cannot be asked: answered {status}") },
        }
        let Ok(run) = serde_json::from_str::<Value>(body) else {
            return again("the answer cannot be read".to_owned());
        };
        let state = &run["state"];
        let transition = asking.delivery.to_string();
        let was_done = match self {
            Self::State { .. } if state["state_details"]["transition_id"] == transition.as_str() => true,
            Self::State { change: Change::Cancel, .. } => state["type"] == "CANCELLED",
            Self::Resume { .. } => state["type"] != "PAUSED",
            _ => false,
        };
        if was_done {
            done
        } else {
            Verdict::Retry { not_before: None, why: "it was not done, so it is sent".to_owned() }
        }
    }
}

impl Change {
    /// The body of `set_state`.
    fn body(&self, asking: &Asking<'_>) -> Value {
        let automation = asking.automation.id;
        let mut details = json!({ "transition_id": asking.delivery });
        let (kind, name, message, force) = match self {
            Self::Cancel => ("CANCELLING", None, format!("Cancelled by Automation {automation}"), false),
            Self::Suspend => {
                details["pause_timeout"] = json!(asking.now.saturating_add(SUSPENDED_FOR).unwrap_or(Timestamp::MAX));
                details["pause_reschedule"] = json!(true);
                ("PAUSED", Some("Suspended"), format!("Suspended by Automation {automation}"), false)
            }
            Self::To { name, state, message, force } => {
                let message = message.clone().filter(|message| !message.is_empty());
                let message = message.unwrap_or_else(|| format!("State changed by Automation {automation}"));
                (state.as_str(), name.as_deref().filter(|name| !name.is_empty()), message, *force)
            }
        };
        let mut state = json!({ "type": kind, "message": message, "state_details": details });
        if let Some(name) = name {
            state["name"] = json!(name);
        }
        json!({ "state": state, "force": force })
    }
}

fn paused(pause: Pause) -> Value {
    json!({ "is_paused": pause == Pause::Pause })
}

/// The verdict on an `OrchestrationResult`.
fn orchestrated(reply: &Value, response: &Response<'_>, failed: &str) -> Verdict {
    let reason = reply["details"]["reason"].as_str().unwrap_or("no reason given");
    match reply["status"].as_str() {
        Some("ACCEPT") => Verdict::Done { far_ref: None },
        Some("REJECT") if reason == SAME_TRANSITION => Verdict::Done { far_ref: None },
        Some("WAIT") => {
            let wait = reply["details"]["delay_seconds"].as_i64().filter(|wait| *wait >= 0).unwrap_or_default();
            let not_before = response.now.checked_add(SignedDuration::from_secs(wait)).ok();
            Verdict::Retry { not_before, why: format!("{failed}: {reason}") }
        }
        Some(_) => Verdict::Refused { why: format!("{failed}: {reason}") },
        None => Verdict::Refused {
            why: format!("{}; Prefect answers how the state was taken, so this is another server", response.reason()),
        },
    }
}

/// The verdict on a status that is no success, in Prefect's words where it has some.
fn failure(response: &Response<'_>, asking: &Asking<'_>) -> Verdict {
    if !matches!(response.status, 409 | 422) {
        return response.failure();
    }
    let reply: Value = serde_json::from_str(response.body).unwrap_or_default();
    let detail = match &reply["detail"] {
        Value::Null => response.reason(),
        Value::String(detail) => detail.clone(),
        other => other.to_string(),
    };
    Verdict::Refused { why: format!("Validation error occurred for '{}' - {detail}", asking.action) }
}
