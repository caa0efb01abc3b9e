//! Actions of our dialect: Prefect's and ours, told apart by `type`.
//!
//! A message goes through a connection by its name or through a block by its id. An action that needs nothing more may
//! be written as its type alone. Invariant: everything an action needs is there; whether it exists is for
//! [`super::super::lint`].

use super::super::action::{
    ActionSpec, AutomationTarget, DeploymentTarget, TargetSource, Via, WorkPoolTarget, WorkQueueTarget,
};
use super::super::definition::seconds_of;
use super::error::PathPart;
use super::object::{Object, Report};
use super::prefect_action::STATES;
use super::{parameters, text};
use crate::event::Severity;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Every type with its fields.
const TYPES: &[(&str, &[&str])] = &[
    ("do-nothing", &[]),
    ("send-notification", &["block_document_id", "block_id", "connection", "subject", "body"]),
    ("call-webhook", &["block_document_id", "block_id", "connection", "payload"]),
    ("run-deployment", &["source", "deployment_id", "parameters", "job_variables", "schedule_after"]),
    ("pause-deployment", &["source", "deployment_id"]),
    ("resume-deployment", &["source", "deployment_id"]),
    ("pause-work-pool", &["source", "work_pool_id"]),
    ("resume-work-pool", &["source", "work_pool_id"]),
    ("pause-work-queue", &["source", "work_queue_id"]),
    ("resume-work-queue", &["source", "work_queue_id"]),
    ("pause-automation", &["source", "automation_id"]),
    ("resume-automation", &["source", "automation_id"]),
    ("cancel-flow-run", &[]),
    ("suspend-flow-run", &[]),
    ("resume-flow-run", &[]),
    ("delete-flow-run", &[]),
    ("change-flow-run-state", &["name", "state", "message", "force"]),
    ("declare-incident", &["title", "summary", "severity", "team"]),
    ("page-owner", &["title", "severity"]),
    ("resolve-incident", &[]),
    ("notify-channel", &["connection", "subject", "body"]),
    ("trigger-dag", &["connection", "dag_id", "conf"]),
    ("clear-task", &["connection", "dag_id", "task_id"]),
    ("start-build", &["connection", "build_type", "properties"]),
    ("run-job", &["job", "parameters"]),
];

/// Actions of Prefect Cloud that have another name here.
const CLOUD: &[(&str, &str)] = &[
    ("send-email-notification", "use notify-channel with a connection of kind email"),
    ("pause-schedule-for-flow-run", "use pause-deployment with source: inferred"),
    ("resume-schedule-for-flow-run", "use resume-deployment with source: inferred"),
];

/// Reads one action.
pub(super) fn read(value: &Value, path: Vec<PathPart>, report: &mut Report) -> Option<ActionSpec> {
    let alone;
    let value = match value {
        Value::String(kind) => {
            alone = Value::Object(Map::from_iter([("type".to_owned(), Value::String(kind.clone()))]));
            &alone
        }
        _ => value,
    };
    let object = Object::new(value, path, "write for example {type: page-owner}", report)?;
    let kind = object.text("type", report);
    let kind = object.required(kind, "type", "write what to do, for example type: page-owner", report)?;
    let Some((kind, fields)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        unknown(&kind, &object, report);
        return None;
    };
    object.only(&[&["type"], *fields].concat(), report);
    action(kind, &object, report)
}

fn unknown(kind: &str, object: &Object<'_>, report: &mut Report) {
    let names = || TYPES.iter().map(|(name, _)| *name);
    let cloud = CLOUD.iter().find(|(name, _)| *name == kind).map(|(_, instead)| (*instead).to_owned());
    let suggestion = cloud
        .or_else(|| text::nearest(kind, names()).map(|near| format!("did you mean `{near}`?")))
        .unwrap_or_else(|| format!("the actions are {}", names().collect::<Vec<_>>().join(", ")));
    report.invalid(object.at("type"), format!("there is no action `{kind}`"), suggestion);
}

fn action(kind: &str, object: &Object<'_>, report: &mut Report) -> Option<ActionSpec> {
    let spec = match kind {
        "send-notification" => send_notification(object, report)?,
        "call-webhook" => call_webhook(object, report)?,
        "run-deployment" => run_deployment(object, report)?,
        "pause-deployment" => ActionSpec::PauseDeployment(deployment(object, report)?),
        "resume-deployment" => ActionSpec::ResumeDeployment(deployment(object, report)?),
        "pause-work-pool" => ActionSpec::PauseWorkPool(work_pool(object, report)?),
        "resume-work-pool" => ActionSpec::ResumeWorkPool(work_pool(object, report)?),
        "pause-work-queue" => ActionSpec::PauseWorkQueue(work_queue(object, report)?),
        "resume-work-queue" => ActionSpec::ResumeWorkQueue(work_queue(object, report)?),
        "pause-automation" => ActionSpec::PauseAutomation(automation(object, report)?),
        "resume-automation" => ActionSpec::ResumeAutomation(automation(object, report)?),
        "cancel-flow-run" => ActionSpec::CancelFlowRun {},
        "suspend-flow-run" => ActionSpec::SuspendFlowRun {},
        "resume-flow-run" => ActionSpec::ResumeFlowRun {},
        "delete-flow-run" => ActionSpec::DeleteFlowRun {},
        "change-flow-run-state" => change_flow_run_state(object, report)?,
        "declare-incident" => ActionSpec::DeclareIncident {
            title: object.template("title", report),
            summary: object.template("summary", report),
            severity: severity(object, report),
            team: object.text("team", report),
        },
        "page-owner" => {
            ActionSpec::PageOwner { title: object.template("title", report), severity: severity(object, report) }
        }
        "resolve-incident" => ActionSpec::ResolveIncident {},
        "notify-channel" => ActionSpec::NotifyChannel {
            connection: connection(object, report)?,
            subject: object.template("subject", report),
            body: needed_template(object, "body", report)?,
        },
        "trigger-dag" => ActionSpec::TriggerDag {
            connection: connection(object, report)?,
            dag_id: needed_template(object, "dag_id", report)?,
            conf: object.templates("conf", report),
        },
        "clear-task" => ActionSpec::ClearTask {
            connection: connection(object, report)?,
            dag_id: object.template("dag_id", report),
            task_id: object.template("task_id", report),
        },
        "start-build" => ActionSpec::StartBuild {
            connection: connection(object, report)?,
            build_type: needed_template(object, "build_type", report)?,
            properties: object.templates("properties", report),
        },
        "run-job" => {
            let job = object.text("job", report);
            let job = object.required(job, "job", "write the name of the job: job: nightly-export", report)?;
            ActionSpec::RunJob { job, parameters: object.templates("parameters", report) }
        }
        _ => ActionSpec::DoNothing {},
    };
    Some(spec)
}

fn needed_template(object: &Object<'_>, name: &str, report: &mut Report) -> Option<String> {
    let text = object.template(name, report);
    object.required(text, name, &format!("write {name}: text, which may be a template"), report)
}

fn connection(object: &Object<'_>, report: &mut Report) -> Option<String> {
    let name = object.text("connection", report);
    object.required(name, "connection", "write the name of a connection", report)
}

/// A connection by its name, or a block by its id; `block_id` is what older texts call it.
fn via(object: &Object<'_>, report: &mut Report) -> Option<Via> {
    let ways = ["connection", "block_document_id", "block_id"];
    let given: Vec<&str> = ways.into_iter().filter(|name| object.get(name).is_some()).collect();
    match given[..] {
        ["connection"] => object.text("connection", report).map(|connection| Via::Connection { connection }),
        [id] => object.id(id, report).map(|block_document_id| Via::Block { block_document_id }),
        [] => {
            object.missing("connection", "write connection: its name, or block_document_id: the id of a block", report);
            None
        }
        [first, ..] => {
            let message = format!("{} are several ways for one message", given.join(", "));
            report.invalid(object.path().to_vec(), message, format!("write only {first}"));
            None
        }
    }
}

fn send_notification(object: &Object<'_>, report: &mut Report) -> Option<ActionSpec> {
    let via = via(object, report);
    let subject = object.template("subject", report).unwrap_or_else(|| "{{ automation.name }}".to_owned());
    let body = needed_template(object, "body", report);
    Some(ActionSpec::SendNotification { via: via?, subject, body: body? })
}

fn call_webhook(object: &Object<'_>, report: &mut Report) -> Option<ActionSpec> {
    let via = via(object, report);
    let payload = match object.get("payload") {
        Some(Value::String(_)) | None => object.template("payload", report).unwrap_or_default(),
        Some(_) => {
            // An object is the call's JSON; its texts are templates.
            object.templates("payload", report).map(|payload| text::pretty(&Value::Object(payload))).unwrap_or_default()
        }
    };
    Some(ActionSpec::CallWebhook { via: via?, payload })
}

fn run_deployment(object: &Object<'_>, report: &mut Report) -> Option<ActionSpec> {
    let deployment = deployment(object, report);
    let parameters = object.object("parameters", report);
    if let Some(problems) = parameters.as_ref().and_then(parameters::problems) {
        report.invalid(object.at("parameters"), problems, "");
    }
    let job_variables = object.object("job_variables", report);
    let schedule_after = object.duration("schedule_after", report).map_or(0.0, seconds_of);
    Some(ActionSpec::RunDeployment { deployment: deployment?, parameters, job_variables, schedule_after })
}

fn change_flow_run_state(object: &Object<'_>, report: &mut Report) -> Option<ActionSpec> {
    let state = object.choice("state", &STATES, report);
    let state = object.required(state, "state", "write its type, for example state: FAILED", report);
    Some(ActionSpec::ChangeFlowRunState {
        name: object.template("name", report),
        message: object.template("message", report),
        force: object.flag("force", report).unwrap_or(false),
        state: state?.to_owned(),
    })
}

fn severity(object: &Object<'_>, report: &mut Report) -> Option<Severity> {
    Some(match object.choice("severity", &["info", "warning", "error", "critical"], report)? {
        "info" => Severity::Info,
        "warning" => Severity::Warning,
        "error" => Severity::Error,
        _ => Severity::Critical,
    })
}

fn deployment(object: &Object<'_>, report: &mut Report) -> Option<DeploymentTarget> {
    target(object, "deployment_id", report).map(|(source, deployment_id)| DeploymentTarget { source, deployment_id })
}

fn work_pool(object: &Object<'_>, report: &mut Report) -> Option<WorkPoolTarget> {
    target(object, "work_pool_id", report).map(|(source, work_pool_id)| WorkPoolTarget { source, work_pool_id })
}

fn work_queue(object: &Object<'_>, report: &mut Report) -> Option<WorkQueueTarget> {
    target(object, "work_queue_id", report).map(|(source, work_queue_id)| WorkQueueTarget { source, work_queue_id })
}

fn automation(object: &Object<'_>, report: &mut Report) -> Option<AutomationTarget> {
    target(object, "automation_id", report).map(|(source, automation_id)| AutomationTarget { source, automation_id })
}

/// What the action is done to: named by its id, or the one that the event is about.
fn target(object: &Object<'_>, field: &str, report: &mut Report) -> Option<(TargetSource, Option<Uuid>)> {
    let source = object.choice("source", &["selected", "inferred"], report);
    let id = object.id(field, report);
    match (source, object.get(field).is_some()) {
        (Some("inferred"), true) => {
            let message = format!("`{field}` names one, and `source: inferred` takes that of the event");
            report.invalid(object.at(field), message, "write only one of them");
            None
        }
        (Some("inferred"), false) => Some((TargetSource::Inferred, None)),
        (_, true) => Some((TargetSource::Selected, Some(id?))),
        (_, false) => {
            let suggestion = format!("write {field}: its id; or source: inferred for the one that the event is about");
            object.missing(field, &suggestion, report);
            None
        }
    }
}
