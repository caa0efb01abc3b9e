//! The actions of Prefect's API: a union of seventeen models, told apart by `type`, or by their fields without it.
//!
//! Source: `ServerActionTypes` in `prefect/server/events/actions.py` (3.8); members and fields in its order. Unknown
//! fields are ignored, as there. Whether what an action names exists is not asked here.

use super::super::action::{
    ActionSpec, AutomationTarget, DeploymentTarget, TargetSource, Via, WorkPoolTarget, WorkQueueTarget,
};
use super::super::definition::seconds_of;
use super::super::template;
use super::line::{Fault, Read};
use super::model::{Member, Model, Scored};
use super::{lax, parameters, text};
use serde_json::Value;
use uuid::Uuid;

/// The members of the union, with pydantic's names of them.
pub(super) const MEMBERS: &[Member<ActionSpec>] = &[
    ("DoNothing", |value| bare(value, "do-nothing", ActionSpec::DoNothing {})),
    ("function-after[selected_deployment_requires_id(), RunDeployment]", run_deployment),
    ("function-after[selected_deployment_requires_id(), PauseDeployment]", |value| {
        targeted(value, "pause-deployment", "deployment_id", |source, deployment_id| {
            ActionSpec::PauseDeployment(DeploymentTarget { source, deployment_id })
        })
    }),
    ("function-after[selected_deployment_requires_id(), ResumeDeployment]", |value| {
        targeted(value, "resume-deployment", "deployment_id", |source, deployment_id| {
            ActionSpec::ResumeDeployment(DeploymentTarget { source, deployment_id })
        })
    }),
    ("CancelFlowRun", |value| bare(value, "cancel-flow-run", ActionSpec::CancelFlowRun {})),
    ("DeleteFlowRun", |value| bare(value, "delete-flow-run", ActionSpec::DeleteFlowRun {})),
    ("ChangeFlowRunState", change_flow_run_state),
    ("function-after[selected_work_queue_requires_id(), PauseWorkQueue]", |value| {
        targeted(value, "pause-work-queue", "work_queue_id", |source, work_queue_id| {
            ActionSpec::PauseWorkQueue(WorkQueueTarget { source, work_queue_id })
        })
    }),
    ("function-after[selected_work_queue_requires_id(), ResumeWorkQueue]", |value| {
        targeted(value, "resume-work-queue", "work_queue_id", |source, work_queue_id| {
            ActionSpec::ResumeWorkQueue(WorkQueueTarget { source, work_queue_id })
        })
    }),
    ("SendNotification", send_notification),
    ("CallWebhook", call_webhook),
    ("function-after[selected_automation_requires_id(), PauseAutomation]", |value| {
        targeted(value, "pause-automation", "automation_id", |source, automation_id| {
            ActionSpec::PauseAutomation(AutomationTarget { source, automation_id })
        })
    }),
    ("function-after[selected_automation_requires_id(), ResumeAutomation]", |value| {
        targeted(value, "resume-automation", "automation_id", |source, automation_id| {
            ActionSpec::ResumeAutomation(AutomationTarget { source, automation_id })
        })
    }),
    ("SuspendFlowRun", |value| bare(value, "suspend-flow-run", ActionSpec::SuspendFlowRun {})),
    ("ResumeFlowRun", |value| bare(value, "resume-flow-run", ActionSpec::ResumeFlowRun {})),
    ("function-after[selected_work_pool_requires_id(), PauseWorkPool]", |value| {
        targeted(value, "pause-work-pool", "work_pool_id", |source, work_pool_id| {
            ActionSpec::PauseWorkPool(WorkPoolTarget { source, work_pool_id })
        })
    }),
    ("function-after[selected_work_pool_requires_id(), ResumeWorkPool]", |value| {
        targeted(value, "resume-work-pool", "work_pool_id", |source, work_pool_id| {
            ActionSpec::ResumeWorkPool(WorkPoolTarget { source, work_pool_id })
        })
    }),
];

/// States that a flow run may be put into.
pub(super) const STATES: [&str; 9] =
    ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED", "PAUSED", "CANCELLING"];

/// The subject of a notification that has none.
pub(super) const SUBJECT: &str = "Prefect automated notification";

fn bare(value: &Value, tag: &str, action: ActionSpec) -> Read<Scored<ActionSpec>> {
    let mut model = Model::new(value)?;
    model.tag(tag);
    model.finish(|| Some(action))
}

/// An action on a target that is named by its id, or inferred from the event.
fn targeted(
    value: &Value,
    tag: &str,
    field: &str,
    make: impl FnOnce(TargetSource, Option<Uuid>) -> ActionSpec,
) -> Read<Scored<ActionSpec>> {
    let mut model = Model::new(value)?;
    model.tag(tag);
    let (source, id) = target(&mut model, field);
    let scored = model.finish(|| Some(make(source, id)))?;
    check_target(source, id, field)?;
    Ok(scored)
}

fn target(model: &mut Model<'_>, field: &str) -> (TargetSource, Option<Uuid>) {
    let source = model.or("source", TargetSource::Selected, source);
    (source, model.or(field, None, |value| lax::nullable(value, lax::uuid)))
}

fn source(value: &Value) -> Read<TargetSource> {
    match value.as_str() {
        Some("selected") => Ok(TargetSource::Selected),
        Some("inferred") => Ok(TargetSource::Inferred),
        _ => Err(Fault::expected("literal_error", "'selected' or 'inferred'").into()),
    }
}

/// `selected_…_requires_id`: an id when the target is selected, none when it is inferred.
fn check_target(source: TargetSource, id: Option<Uuid>, field: &str) -> Read<()> {
    match (source, id) {
        (TargetSource::Selected, None) => Err(Fault::value(&format!("{field} is required")).into()),
        (TargetSource::Inferred, Some(_)) => Err(Fault::value(&format!("{field} is not allowed")).into()),
        _ => Ok(()),
    }
}

fn run_deployment(value: &Value) -> Read<Scored<ActionSpec>> {
    let mut model = Model::new(value)?;
    model.tag("run-deployment");
    let (source, deployment_id) = target(&mut model, "deployment_id");
    let parameters = model.or("parameters", None, |value| {
        let parameters = lax::nullable(value, lax::object)?;
        match parameters.as_ref().and_then(parameters::problems) {
            Some(problems) => Err(Fault::value(&problems).into()),
            None => Ok(parameters),
        }
    });
    let job_variables = model.or("job_variables", None, |value| lax::nullable(value, lax::object));
    let schedule_after = model.or("schedule_after", 0.0, |value| {
        let wait = lax::duration(value)?;
        if wait.is_negative() {
            return Err(Fault::value("schedule_after must be non-negative").into());
        }
        Ok(seconds_of(wait))
    });
    let deployment = DeploymentTarget { source, deployment_id };
    let scored =
        model.finish(|| Some(ActionSpec::RunDeployment { deployment, parameters, job_variables, schedule_after }))?;
    check_target(source, deployment_id, "deployment_id")?;
    Ok(scored)
}

fn change_flow_run_state(value: &Value) -> Read<Scored<ActionSpec>> {
    let mut model = Model::new(value)?;
    model.tag("change-flow-run-state");
    let name = model.or("name", None, |value| lax::nullable(value, lax::string));
    let state = model.required("state", state);
    let message = model.or("message", None, |value| lax::nullable(value, lax::string));
    let force = model.or("force", false, lax::boolean);
    model.finish(|| Some(ActionSpec::ChangeFlowRunState { name, state: state?, message, force }))
}

fn state(value: &Value) -> Read<String> {
    match value.as_str() {
        Some(state) if STATES.contains(&state) => Ok(state.to_owned()),
        _ => Err(Fault::expected("enum", &text::one_of(&STATES)).into()),
    }
}

fn send_notification(value: &Value) -> Read<Scored<ActionSpec>> {
    let mut model = Model::new(value)?;
    model.tag("send-notification");
    let block = model.required("block_document_id", lax::uuid);
    let subject = model.or("subject", SUBJECT.to_owned(), |value| template_text(value, "subject"));
    let body = model.required("body", |value| template_text(value, "body"));
    model.finish(|| {
        Some(ActionSpec::SendNotification { via: Via::Block { block_document_id: block? }, subject, body: body? })
    })
}

fn call_webhook(value: &Value) -> Read<Scored<ActionSpec>> {
    let mut model = Model::new(value)?;
    model.tag("call-webhook");
    let block = model.required("block_document_id", lax::uuid);
    let payload = model.or("payload", String::new(), |value| match value {
        Value::Null | Value::String(_) => template_text(value, "payload"),
        other => template_text(&Value::String(text::pretty(other)), "payload"),
    });
    model.finish(|| Some(ActionSpec::CallWebhook { via: Via::Block { block_document_id: block? }, payload }))
}

fn template_text(value: &Value, field: &str) -> Read<String> {
    let text = lax::string(value)?;
    match template::check(&text) {
        Err(error) => Err(Fault::value(&format!("'{field}' is not a valid template: {}", error.message())).into()),
        Ok(()) => Ok(text),
    }
}
