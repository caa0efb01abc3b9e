//! Automations as Prefect's API shows them.
//!
//! Pure. A trigger's id is a function of the automation, of what the trigger says and of its place in it: it stays while
//! the automation is paused and resumed and changes when the trigger is edited.

use serde_json::{Value, json};
use trackside_core::automation::action::{ActionSpec, Via};
use trackside_core::automation::definition::{Automation, AutomationId, AutomationSpec, Trigger};
use trackside_core::ids::derive;

/// An automation as Prefect's API answers it.
pub(super) fn automation(automation: &Automation) -> Result<Value, serde_json::Error> {
    let mut shown = serde_json::to_value(&automation.spec)?;
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("owner_resource");
    }
    let written = shown["trigger"].to_string();
    number(&mut shown["trigger"], automation.id, &written, "");
    shown["id"] = json!(automation.id);
    shown["created"] = json!(automation.created);
    shown["updated"] = json!(automation.updated);
    Ok(shown)
}

/// Gives a trigger and its children their ids.
fn number(trigger: &mut Value, automation: AutomationId, written: &str, path: &str) {
    trigger["id"] = json!(derive("trigger", &[&automation.to_string(), written, path]));
    if let Some(children) = trigger.get_mut("triggers").and_then(Value::as_array_mut) {
        for (index, child) in children.iter_mut().enumerate() {
            number(child, automation, written, &format!("{path}.{index}"));
        }
    }
}

/// Whether Prefect's vocabulary can say all of an automation.
pub(super) fn is_prefects(spec: &AutomationSpec) -> bool {
    let mut actions = spec.actions.iter().chain(&spec.actions_on_trigger).chain(&spec.actions_on_resolve);
    is_prefects_trigger(&spec.trigger) && actions.all(is_prefects_action)
}

fn is_prefects_trigger(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::Event(_) => true,
        Trigger::Compound(_) | Trigger::Sequence(_) => trigger.children().iter().all(is_prefects_trigger),
        Trigger::Metric(_) | Trigger::Consecutive(_) => false,
    }
}

fn is_prefects_action(action: &ActionSpec) -> bool {
    match action {
        ActionSpec::SendNotification { via, .. } | ActionSpec::CallWebhook { via, .. } => {
            matches!(via, Via::Block { .. })
        }
        ActionSpec::DoNothing {}
        | ActionSpec::RunDeployment { .. }
        | ActionSpec::PauseDeployment(_)
        | ActionSpec::ResumeDeployment(_)
        | ActionSpec::PauseWorkPool(_)
        | ActionSpec::ResumeWorkPool(_)
        | ActionSpec::PauseWorkQueue(_)
        | ActionSpec::ResumeWorkQueue(_)
        | ActionSpec::PauseAutomation(_)
        | ActionSpec::ResumeAutomation(_)
        | ActionSpec::CancelFlowRun {}
        | ActionSpec::SuspendFlowRun {}
        | ActionSpec::ResumeFlowRun {}
        | ActionSpec::DeleteFlowRun {}
        | ActionSpec::ChangeFlowRunState { .. } => true,
        ActionSpec::DeclareIncident { .. }
        | ActionSpec::PageOwner { .. }
        | ActionSpec::ResolveIncident {}
        | ActionSpec::NotifyChannel { .. }
        | ActionSpec::TriggerDag { .. }
        | ActionSpec::ClearTask { .. }
        | ActionSpec::StartBuild { .. }
        | ActionSpec::RunJob { .. } => false,
    }
}
