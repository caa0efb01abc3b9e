//! Prefect's guard against endless runs: an automation that starts a deployment whenever a flow run starts would start
//! it for its own runs as well.
//!
//! Source: `AutomationCore.prevent_run_deployment_loops`. Invariant: only what always or almost certainly loops is
//! found; paused and Proactive automations, composites and `actions_on_trigger` are left alone, as in Prefect.

use super::super::action::{ActionSpec, TargetSource};
use super::super::definition::{AutomationSpec, EventTrigger, Posture, ResourceSpec, Trigger};
use crate::event::RESOURCE_ID;

/// States that every run of a deployment goes through.
const STATES: [&str; 4] =
    ["prefect.flow-run.Scheduled", "prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.*"];

/// A loop that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    /// The action that closes it, by its place in `actions`.
    pub(super) action: usize,
    source: TargetSource,
}

impl Loop {
    /// What Prefect says about it.
    pub(super) fn message(self) -> &'static str {
        match self.source {
            TargetSource::Inferred => {
                "Running an inferred deployment from a flow run state change event will lead to an infinite loop of \
                 flow runs.  Please choose a specific deployment and add additional filtering labels to the match or \
                 match_related for this automation's trigger."
            }
            TargetSource::Selected => {
                "Running a selected deployment from a flow run state change event may lead to an infinite loop of \
                 flow runs.  Please include additional filtering labels on either match or match_related to narrow \
                 down which flow runs will trigger this automation to exclude flow runs from the deployment you've \
                 selected."
            }
        }
    }
}

/// The first action that starts runs which set off the automation again.
pub(super) fn find(spec: &AutomationSpec) -> Option<Loop> {
    let Trigger::Event(trigger) = &spec.trigger else { return None };
    let starts = spec.enabled
        && trigger.posture == Posture::Reactive
        && STATES.iter().any(|state| trigger.expect.contains(*state));
    if !starts {
        return None;
    }
    spec.actions.iter().enumerate().find_map(|(action, spec)| match spec {
        ActionSpec::RunDeployment { deployment, .. } => {
            let source = deployment.source;
            (source == TargetSource::Inferred || is_unfiltered(trigger)).then_some(Loop { action, source })
        }
        _ => None,
    })
}

fn is_unfiltered(trigger: &EventTrigger) -> bool {
    takes_every_flow_run(&trigger.matches) && trigger.match_related.specs().iter().any(takes_every_flow_run)
}

/// `ResourceSpecification.matches_every_resource_of_kind("prefect.flow-run")`
fn takes_every_flow_run(spec: &ResourceSpec) -> bool {
    match (spec.len(), spec.get(RESOURCE_ID)) {
        (0, _) => true,
        (1, Some(patterns)) => patterns.alternatives().iter().any(|pattern| pattern == "prefect.flow-run.*"),
        _ => false,
    }
}
