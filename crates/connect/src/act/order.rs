//! From an action as written to what is to be done: every text rendered, every target known.

use super::prefect::{Change, Command, Pause};
use super::texts::Material;
use jiff::SignedDuration;
use serde_json::{Map, Value};
use trackside_core::automation::act::Act;
use trackside_core::automation::action::ActionSpec;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// Tell people.
    Notify { subject: String, body: String },
    /// Call a webhook.
    Call { payload: String },
    /// Ask a Prefect server.
    Prefect(Command),
    /// Something that no kind of connection does yet.
    Elsewhere,
}

/// The order for an action.
///
/// # Errors
/// Why there is none, for people: a text that does not render, a target that cannot be inferred.
pub(super) fn of(act: &Act, material: &Material<'_>) -> Result<Order, String> {
    let basis = &material.basis;
    let command = match &act.action {
        ActionSpec::SendNotification { subject, body, .. } => {
            return Ok(Order::Notify { subject: material.text(subject)?, body: material.text(body)? });
        }
        ActionSpec::NotifyChannel { subject, body, .. } => {
            let subject = match subject {
                Some(subject) => material.text(subject)?,
                None => act.automation.spec.name.clone(),
            };
            return Ok(Order::Notify { subject, body: material.text(body)? });
        }
        ActionSpec::CallWebhook { payload, .. } => return Ok(Order::Call { payload: material.text(payload)? }),
        ActionSpec::RunDeployment { deployment, parameters, job_variables, schedule_after } => Command::Run {
            deployment: basis.deployment(deployment)?,
            parameters: material.values(parameters.as_ref().unwrap_or(&Map::new()))?,
            job_variables: job_variables.clone(),
            scheduled: {
                let after = SignedDuration::try_from_secs_f64(*schedule_after)
                    .map_err(|error| format!("`schedule_after` is no time span: {error}"))?;
                material.decided.saturating_add(after).map_err(|error| error.to_string())?
            },
        },
        ActionSpec::PauseDeployment(target) => {
            Command::Schedules { deployment: basis.deployment(target)?, pause: Pause::Pause }
        }
        ActionSpec::ResumeDeployment(target) => {
            Command::Schedules { deployment: basis.deployment(target)?, pause: Pause::Resume }
        }
        ActionSpec::PauseWorkPool(target) => Command::WorkPool { pool: basis.work_pool(target)?, pause: Pause::Pause },
        ActionSpec::ResumeWorkPool(target) => {
            Command::WorkPool { pool: basis.work_pool(target)?, pause: Pause::Resume }
        }
        ActionSpec::PauseWorkQueue(target) => {
            Command::WorkQueue { queue: basis.work_queue(target)?, pause: Pause::Pause }
        }
        ActionSpec::ResumeWorkQueue(target) => {
            Command::WorkQueue { queue: basis.work_queue(target)?, pause: Pause::Resume }
        }
        ActionSpec::CancelFlowRun {} => Command::State { flow_run: basis.flow_run()?, change: Change::Cancel },
        ActionSpec::SuspendFlowRun {} => Command::State { flow_run: basis.flow_run()?, change: Change::Suspend },
        ActionSpec::ResumeFlowRun {} => Command::Resume { flow_run: basis.flow_run()? },
        ActionSpec::DeleteFlowRun {} => Command::Delete { flow_run: basis.flow_run()? },
        ActionSpec::ChangeFlowRunState { name, state, message, force } => {
            let text = |text: &Option<String>| text.as_deref().map(|text| material.text(text)).transpose();
            let change = Change::To { name: text(name)?, state: state.clone(), message: text(message)?, force: *force };
            Command::State { flow_run: basis.flow_run()?, change }
        }
        ActionSpec::TriggerDag { .. }
        | ActionSpec::ClearTask { .. }
        | ActionSpec::StartBuild { .. }
        | ActionSpec::RunJob { .. } => return Ok(Order::Elsewhere),
        ActionSpec::DoNothing {}
        | ActionSpec::PauseAutomation(_)
        | ActionSpec::ResumeAutomation(_)
        | ActionSpec::DeclareIncident { .. }
        | ActionSpec::PageOwner { .. }
        | ActionSpec::ResolveIncident {} => {
            return Err(format!("{} is decided inside Trackside and is never sent", act.action.kind()));
        }
    };
    Ok(Order::Prefect(command))
}

/// Every text of an action that may be a template.
pub(super) fn templates(action: &ActionSpec) -> Vec<&str> {
    match action {
        ActionSpec::SendNotification { subject, body, .. } => vec![subject, body],
        ActionSpec::NotifyChannel { subject, body, .. } => {
            subject.iter().chain(std::iter::once(body)).map(String::as_str).collect()
        }
        ActionSpec::CallWebhook { payload, .. } => vec![payload],
        ActionSpec::RunDeployment { parameters, .. } => {
            parameters.iter().flat_map(|map| map.values()).flat_map(texts).collect()
        }
        ActionSpec::ChangeFlowRunState { name, message, .. } => {
            name.iter().chain(message).map(String::as_str).collect()
        }
        _ => Vec::new(),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
