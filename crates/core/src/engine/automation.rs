//! Automations in the engine: edits take effect, events and time are evaluated, firings lead to what follows.
//!
//! Invariants: what is due before an input is decided first, at its own due time, so that a busy log never moves a
//! deadline; a firing is recorded with what each of its actions became, whatever that was.
//!
//! - [`act`]: from the actions of a firing to effects and edits
//! - [`page`]: incidents that automations open and end
//! - [`emit`]: the events that firings and actions are themselves

mod act;
mod emit;
mod page;

use super::turn::Turn;
use crate::automation::definition::{Automation, AutomationId};
use crate::automation::edit::{AutomationEdit, FiringRecord};
use crate::automation::firing::{EventRef, Firing, FiringState};
use crate::automation::set::{RunOutcome, RunResult};
use crate::decision::{AuditDetail, Verdict};
use crate::event::{Event, RESOURCE_ID};
use crate::limits;
use crate::projection::Transition;
use crate::run::{Run, RunState};
use jiff::Timestamp;

impl Turn<'_> {
    /// Takes edits.
    pub(super) fn on_automations(&mut self, edits: &[AutomationEdit]) {
        self.means(format!("{} edits automations", self.caller.subject));
        for edit in edits {
            match edit {
                AutomationEdit::Put(automation) => self.put_automation((**automation).clone()),
                AutomationEdit::Resume { id } => drop(self.resume_automation(*id)),
                AutomationEdit::Pause { id } => drop(self.pause_automation(*id)),
                AutomationEdit::Delete { id } => self.delete_automation(*id),
            }
        }
    }

    fn put_automation(&mut self, mut automation: Automation) {
        let before = self.state.automation(automation.id).cloned();
        automation.created = before.as_ref().map_or(self.at, |before| before.created);
        automation.version = before.as_ref().map_or(1, |before| before.version + 1);
        automation.updated = self.at;
        if let Some(before) = &before
            && before.spec.name != automation.spec.name
        {
            self.clear_alerts_of(before, "the automation that opened it has another name now");
        }
        let action = if before.is_some() { "automation.edited" } else { "automation.created" };
        let summary = format!("automation {}, version {}", automation.spec.name, automation.version);
        let specs = (before.as_ref().map(|before| &before.spec), Some(&automation.spec));
        self.audit_about(action, summary, about(&automation.spec.name).changing(specs.0, specs.1));
        self.follows(format!("automation {} is in force", automation.spec.name));
        self.emit_lifecycle(if before.is_some() { "updated" } else { "created" }, &automation);
        self.state.put_automation(automation, self.caller.clone(), self.at);
    }

    /// Goes on evaluating an automation; says what became of it.
    fn resume_automation(&mut self, id: AutomationId) -> String {
        match self.state.resume_automation(id, self.caller.clone(), self.at) {
            Some(name) => self.switched("resumed", &name),
            None => self.not_switched(id, "is not paused"),
        }
    }

    /// Stops evaluating an automation; its state stays.
    fn pause_automation(&mut self, id: AutomationId) -> String {
        match self.state.pause_automation(id, self.caller.clone(), self.at) {
            Some(name) => self.switched("paused", &name),
            None => self.not_switched(id, "is paused already"),
        }
    }

    fn switched(&mut self, done: &str, name: &str) -> String {
        let said = format!("automation {name} {done}");
        self.audit_about(&format!("automation.{done}"), said.clone(), about(name));
        self.follows(said.clone());
        said
    }

    fn not_switched(&mut self, id: AutomationId, why: &str) -> String {
        let Some(automation) = self.state.automation(id) else { return self.no_such_automation(id) };
        let (said, detail) = (format!("automation {} {why}", automation.spec.name), about(&automation.spec.name));
        self.audit_about("automation.unchanged", said.clone(), detail);
        said
    }

    fn delete_automation(&mut self, id: AutomationId) {
        let Some(automation) = self.state.automation(id).cloned() else {
            drop(self.no_such_automation(id));
            return;
        };
        self.clear_alerts_of(&automation, "the automation that opened it was removed");
        let name = &automation.spec.name;
        let detail = about(name).changing(Some(&automation.spec), None);
        self.audit_about("automation.deleted", format!("automation {name}"), detail);
        self.follows(format!("automation {} is gone", automation.spec.name));
        self.emit_lifecycle("deleted", &automation);
        self.state.remove_automation(id, self.caller.clone(), self.at);
    }

    fn no_such_automation(&mut self, id: AutomationId) -> String {
        let why = format!("there is no automation {id}");
        self.audit_refused("command.refused", why.clone(), None);
        self.follows(format!("refused: {why}"));
        why
    }
}

/// Evaluation.
impl Turn<'_> {
    /// Evaluates what was due before `until`, each at its own time, and what is due then.
    pub(super) fn automations_due(&mut self, until: Timestamp, noticed: Option<Timestamp>) {
        while let Some(due) = self.state.automations().next_due().filter(|due| *due <= until) {
            let at = std::mem::replace(&mut self.at, due);
            let firings = self.state.automations_mut().on_due(due, noticed);
            self.all_fired(firings);
            self.at = at;
            let next = self.state.automations().next_due();
            assert!(next != Some(due), "what was due at {due} is decided");
        }
    }

    /// What is due before this input is decided first. It is late when the input came much later.
    pub(super) fn automations_before(&mut self) {
        let now = self.at;
        while let Some(due) = self.state.automations().next_due().filter(|due| *due < now) {
            let noticed = (now.duration_since(due) > limits::LATE_AFTER).then_some(now);
            self.automations_due(due, noticed);
        }
    }

    /// Evaluates an event.
    pub(super) fn automate(&mut self, event: &Event) {
        let firings = self.state.automations_mut().on_event(event, self.seq, self.at);
        self.all_fired(firings);
    }

    /// Evaluates the ends of runs.
    pub(super) fn automate_runs(&mut self, event: &Event, transitions: &[Transition]) {
        for transition in transitions {
            let Transition::RunEnded(key, ended) = transition else { continue };
            let result = match ended {
                RunState::Succeeded => RunResult::Succeeded,
                RunState::Failed => RunResult::Failed,
                _ => continue,
            };
            let Some(run) = self.state.run(key) else { continue };
            let outcome = run_outcome(run, event, EventRef { id: event.id, seq: self.seq }, result, self.at);
            let firings = self.state.automations_mut().on_run(&outcome, self.at);
            self.all_fired(firings);
        }
    }

    fn all_fired(&mut self, firings: Vec<Firing>) {
        for firing in firings {
            self.fired(firing);
        }
    }

    /// Carries a firing's consequences and writes down what they were.
    fn fired(&mut self, firing: Firing) {
        let Some(automation) = self.state.automation(firing.automation).cloned() else {
            return;
        };
        let body = firing.event.and_then(|event| self.event_body(event.seq));
        let (verdict, word) = match firing.state {
            FiringState::Triggered => (Verdict::Fires, "fired"),
            FiringState::Resolved => (Verdict::Clears, "resolved"),
        };
        let name = &automation.spec.name;
        self.verdict(&rule_name(&automation), verdict, firing.because.clone());
        self.means(format!("automation {name} {word}: {}{}", firing.because, late(&firing)));
        let summary = format!("automation {name}: {}{}", firing.because, late(&firing));
        self.audit_about(&format!("automation.{word}"), summary, about(name));
        let ordinal = self.next_firing();
        let cause = self.emit_state_change(&automation, &firing, body.as_deref(), ordinal);
        let carried = self.carry_out(&automation, &firing, body.as_deref(), cause);
        for line in &carried.lines {
            self.follows(line.clone());
        }
        self.record_firing(FiringRecord {
            seq: self.seq,
            ordinal,
            name: name.clone(),
            firing,
            actions: carried.lines,
            deliveries: carried.deliveries,
            incident: carried.incident,
        });
    }
}

/// Name of an automation's alerts and verdicts among those of the rules.
fn rule_name(automation: &Automation) -> String {
    format!("automation: {}", automation.spec.name)
}

/// What an audit row about an automation says of it.
fn about(name: &str) -> AuditDetail {
    AuditDetail::about(format!("automation:{name}"))
}

fn late(firing: &Firing) -> String {
    firing.due.map_or_else(String::new, |due| format!(" (late: it was due at {due}, when nothing was running)"))
}

fn run_outcome(run: &Run, event: &Event, at: EventRef, result: RunResult, now: Timestamp) -> RunOutcome {
    let mut labels = event.resource.clone();
    labels.insert("source".into(), run.key.source.to_string());
    labels.insert("pipeline".into(), run.key.pipeline.to_string());
    if let Some(owner) = &run.owner {
        labels.insert("owner".into(), owner.clone());
    }
    labels.entry(RESOURCE_ID.into()).or_insert_with(|| run.key.run.to_string());
    let ended = run.ended.unwrap_or(now);
    RunOutcome {
        labels,
        related: event.related.clone(),
        pipeline: format!("{}/{}", run.key.source, run.key.pipeline),
        result,
        ended,
        duration: run.started.map(|started| ended.duration_since(started)).filter(|took| !took.is_negative()),
        lateness: run.nominal.zip(run.started).map(|(nominal, started)| started.duration_since(nominal)),
        event: at,
    }
}
