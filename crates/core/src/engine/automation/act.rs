//! From the actions of a firing to what becomes of each: an effect, an incident, an edit, or nothing.
//!
//! Invariant: each action ends as one line for people; what goes outside is one outbox row per action, whose
//! connection is decided here. Whether that connection exists is found when it is sent, so that it shows as a delivery.

use super::super::turn::Turn;
use crate::automation::act::{Act, ActionList, BLOCK_PREFIX};
use crate::automation::action::{ActionSpec, AutomationTarget, TargetSource, Via};
use crate::automation::definition::{Automation, AutomationId};
use crate::automation::emitted::Trail;
use crate::automation::firing::{Firing, FiringState};
use crate::event::{Event, RESOURCE_ID, Severity};
use crate::ids::{DeliveryId, EventId, IncidentId};
use crate::notice::{Notice, OwnerView};
use crate::ruleset::ConnectionKind;

/// Connection name of Prefect's actions when no Prefect server is configured.
const PREFECT: &str = "prefect";
/// Connection name of jobs.
const JOBS: &str = "jobs";

/// What became of a firing's actions.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) lines: Vec<String>,
    pub(super) deliveries: Vec<DeliveryId>,
    pub(super) incident: Option<IncidentId>,
}

/// One action with its place and why it runs.
struct Occasion<'a> {
    automation: &'a Automation,
    firing: &'a Firing,
    event: Option<&'a Event>,
    /// The `prefect.automation.triggered` or `.resolved` event.
    cause: Option<EventId>,
    list: ActionList,
    index: u32,
}

impl Turn<'_> {
    /// Does what an automation says, in order: `actions`, then those of the state.
    pub(super) fn carry_out(
        &mut self,
        automation: &Automation,
        firing: &Firing,
        event: Option<&Event>,
        cause: Option<EventId>,
    ) -> Carried {
        let (list, conditional) = match firing.state {
            FiringState::Triggered => (ActionList::ActionsOnTrigger, &automation.spec.actions_on_trigger),
            FiringState::Resolved => (ActionList::ActionsOnResolve, &automation.spec.actions_on_resolve),
        };
        // What a person is told when it fires is not told again when it clears; Prefect does, its triggers never clear.
        let always = match firing.state {
            FiringState::Triggered => automation.spec.actions.as_slice(),
            FiringState::Resolved => &[],
        };
        let all = always.iter().map(|action| (ActionList::Actions, action));
        let all = all.chain(conditional.iter().map(|action| (list, action)));
        let mut carried = Carried::default();
        for (index, (list, action)) in all.enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let occasion = Occasion { automation, firing, event, cause, list, index };
            let line = self.carry_one(&occasion, action, &mut carried);
            carried.lines.push(line);
        }
        if firing.state == FiringState::Resolved {
            self.condition_cleared(automation, firing, event, &mut carried);
        }
        carried
    }

    fn carry_one(&mut self, occasion: &Occasion<'_>, action: &ActionSpec, carried: &mut Carried) -> String {
        let (automation, firing, event) = (occasion.automation, occasion.firing, occasion.event);
        match action {
            ActionSpec::DoNothing {} => "do-nothing: recorded".to_owned(),
            ActionSpec::PauseAutomation(target) => match self.target(occasion, *target) {
                Ok(id) => self.pause_automation(id),
                Err(why) => why,
            },
            ActionSpec::ResumeAutomation(target) => match self.target(occasion, *target) {
                Ok(id) => self.resume_automation(id),
                Err(why) => why,
            },
            ActionSpec::DeclareIncident { title, summary, severity, team } => {
                let words = super::page::Words { title: title.as_deref(), summary: summary.as_deref() };
                self.raise(automation, firing, event, &words, *severity, team.as_deref(), carried)
            }
            ActionSpec::PageOwner { title, severity } => {
                let words = super::page::Words { title: title.as_deref(), summary: None };
                self.raise(automation, firing, event, &words, *severity, None, carried)
            }
            ActionSpec::ResolveIncident {} => self.settle(automation, firing, event, carried),
            _ => self.go_outside(occasion, action, carried),
        }
    }

    fn go_outside(&mut self, occasion: &Occasion<'_>, action: &ActionSpec, carried: &mut Carried) -> String {
        let connection = self.way(action, occasion.event);
        let kind = action.kind();
        let name = &occasion.automation.spec.name;
        let notice = Notice::plain(
            format!("{kind} for automation {name}"),
            occasion.firing.because.clone(),
            Severity::Info,
            self.at,
            OwnerView { team: name.clone(), because: "an automation asks for it".to_owned() },
        );
        let act = Act {
            automation: occasion.automation.clone(),
            list: occasion.list,
            index: occasion.index,
            action: action.clone(),
            firing: occasion.firing.clone(),
            cause: occasion.cause,
            trail: Trail::of(occasion.automation, occasion.event),
        };
        let delivery = self.act_effect(&connection, act.clone(), notice);
        self.audit("action.decided", format!("{kind} via {connection} for automation {name}"), None, Some(delivery));
        self.emit_action(&act, delivery);
        carried.deliveries.push(delivery);
        format!("{kind} via {connection}")
    }

    /// The connection that an action goes through.
    fn way(&self, action: &ActionSpec, event: Option<&Event>) -> String {
        match action {
            ActionSpec::SendNotification { via, .. } | ActionSpec::CallWebhook { via, .. } => match via {
                Via::Block { block_document_id } => format!("{BLOCK_PREFIX}{block_document_id}"),
                Via::Connection { connection } => connection.clone(),
            },
            ActionSpec::NotifyChannel { connection, .. }
            | ActionSpec::TriggerDag { connection, .. }
            | ActionSpec::ClearTask { connection, .. }
            | ActionSpec::StartBuild { connection, .. } => connection.clone(),
            ActionSpec::RunJob { .. } => JOBS.to_owned(),
            _ => self.prefect_of(event),
        }
    }

    /// The Prefect server that an event came from, else the only one that is configured.
    fn prefect_of(&self, event: Option<&Event>) -> String {
        let Some(rules) = self.rules() else {
            return PREFECT.to_owned();
        };
        let is_prefect = |name: &str| rules.connection(name).is_some_and(|info| info.kind == ConnectionKind::Prefect);
        if let Some(event) = event.filter(|event| is_prefect(&event.source)) {
            return event.source.clone();
        }
        let mut servers = rules.source().connections.keys().filter(|name| is_prefect(name));
        match (servers.next(), servers.next()) {
            (Some(only), None) => only.clone(),
            _ => PREFECT.to_owned(),
        }
    }

    fn target(&self, occasion: &Occasion<'_>, target: AutomationTarget) -> Result<AutomationId, String> {
        match (target.source, target.automation_id) {
            (TargetSource::Selected, Some(id)) => Ok(AutomationId(id)),
            (TargetSource::Selected, None) => Err("no automation was selected".to_owned()),
            (TargetSource::Inferred, _) => {
                let event = occasion.event.ok_or("no event says which automation is meant")?;
                let resources = std::iter::once(&event.resource).chain(&event.related);
                resources
                    .filter_map(|labels| labels.get(RESOURCE_ID)?.strip_prefix("prefect.automation."))
                    .find_map(|id| id.parse().ok())
                    .ok_or_else(|| "the event is about no automation".to_owned())
            }
        }
    }
}
