//! A back-test: what an automation would have done, had it been in force while the log was written.
//!
//! The automation alone is run over recorded events on virtual time. One whose triggers watch runs, or that opens
//! incidents, is run through the whole engine with the owners and teams in force but no other rule, so that streaks,
//! incidents and their ends are those it would have made; any other needs only the events whose names concern it.
//! Invariants: the running system is not touched; the same events give the same report. Own events of automations are
//! not fed back: one automation is tested, not what others would have made of it.

use super::action::ActionSpec;
use super::definition::{Automation, AutomationId, Origin, Semantics, Trigger};
use super::edit::AutomationEdit;
use super::explain::{self, Explanation};
use super::firing::{Firing, FiringState};
use super::set::Automations;
use crate::caller::Caller;
use crate::decision::{Change, Decision};
use crate::engine::decide;
use crate::event::Event;
use crate::ids::{IncidentId, Seq};
use crate::incident::Incident;
use crate::input::{Entry, Input};
use crate::ruleset::Ruleset;
use crate::run::PipelineKey;
use crate::state::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Events after which runs that are over are let go. Until then a repeated report of one is recognised.
const FORGET_AFTER: u64 = 100_000;

/// A back-test of one automation.
#[derive(Debug)]
pub struct Backtest {
    automation: AutomationId,
    by: By,
    summary: Summary,
}

/// What runs it.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one per back-test")]
enum By {
    /// The triggers alone.
    Triggers(Automations),
    /// The whole engine.
    Engine { state: State, incidents: BTreeMap<IncidentId, Incident> },
}

/// Which events a back-test must be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Every event.
    All,
    /// Those whose name matches one of these patterns (see [`super::pattern`]).
    Names(BTreeSet<String>),
}

/// What an automation would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Events that were looked at.
    pub events: u64,
    /// Times it would have fired.
    pub fired: u64,
    /// Times its condition would have cleared.
    pub resolved: u64,
    /// Firings per UTC day, `2026-11-20`.
    pub per_day: BTreeMap<String, u64>,
    /// Incidents it would have opened, in order.
    pub incidents: Vec<WouldBe>,
}

/// An incident that would have been opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldBe {
    /// One line.
    pub title: String,
    /// The team.
    pub owner: String,
    /// What it would have been about.
    pub pipeline: PipelineKey,
    /// How bad.
    pub severity: String,
    /// When it would have opened.
    pub opened: Timestamp,
    /// When it would have been over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Timestamp>,
    /// How often it would have been seen.
    pub occurrences: u32,
}

impl Backtest {
    /// A back-test that starts at `from`. Owners and teams are those of `ruleset`; its rules do not take part.
    #[must_use]
    pub fn new(mut automation: Automation, ruleset: Option<&Ruleset>, from: Timestamp) -> Self {
        automation.spec.enabled = true;
        let id = automation.id;
        let by = match wanted(&automation) {
            Wanted::Names(_) => By::Triggers(triggers_alone(automation, from)),
            Wanted::All if !needs_engine(&automation) => By::Triggers(triggers_alone(automation, from)),
            Wanted::All => By::Engine { state: whole_engine(automation, ruleset, from), incidents: BTreeMap::new() },
        };
        Self { automation: id, by, summary: Summary::default() }
    }

    /// The next events of the log, in its order, with their position and when they were accepted. The firings they
    /// would have led to, in order.
    pub fn events(&mut self, events: Vec<(Seq, Timestamp, Event)>) -> Vec<Firing> {
        self.summary.events += events.len() as u64;
        let forget = self.summary.events % FORGET_AFTER < events.len() as u64;
        let firings = match &mut self.by {
            By::Triggers(set) => {
                let mut firings = Vec::new();
                for (seq, at, event) in &events {
                    due_before(set, *at, &mut firings);
                    firings.extend(set.on_event(event, *seq, *at));
                }
                drop(set.take_cells());
                firings
            }
            By::Engine { state, incidents } => {
                let entries: Vec<Entry> = events
                    .into_iter()
                    .map(|(seq, at, event)| Entry { seq, at, input: Input::Event(Box::new(event)) })
                    .collect();
                let firings = run(state, incidents, &entries);
                if forget {
                    state.forget_settled();
                }
                firings
            }
        };
        self.count(firings)
    }

    /// Time passes up to `until`, and the test ends.
    #[must_use]
    pub fn finish(mut self, until: Timestamp) -> (Vec<Firing>, Summary) {
        let firings = match &mut self.by {
            By::Triggers(set) => {
                let mut firings = Vec::new();
                due_before(set, until, &mut firings);
                firings
            }
            By::Engine { state, incidents } => {
                let tick = Entry { seq: state.cursor + 1, at: until, input: Input::Tick { due: until, noticed: None } };
                run(state, incidents, &[tick])
            }
        };
        let firings = self.count(firings);
        if let By::Engine { incidents, .. } = self.by {
            let mut opened: Vec<Incident> = incidents.into_values().collect();
            opened.sort_by_key(|incident| incident.number);
            self.summary.incidents = opened.into_iter().map(would_be).collect();
        }
        (firings, self.summary)
    }

    /// What one more event does to the automation, and why. Only state that it changed is told.
    #[must_use]
    pub fn explain(mut self, automation: &Automation, seq: Seq, at: Timestamp, event: Event) -> Explanation {
        let triggers = explain::triggers(automation, &event);
        let mut due = Vec::new();
        if let By::Triggers(set) = &mut self.by {
            due_before(set, at, &mut due);
        }
        let mut before = explain::state(self.set(), self.automation);
        let firings = self.events(vec![(seq, at, event)]);
        let mut after = explain::state(self.set(), self.automation);
        let (was, is): (BTreeSet<_>, BTreeSet<_>) = (before.iter().cloned().collect(), after.iter().cloned().collect());
        before.retain(|piece| !is.contains(piece));
        after.retain(|piece| !was.contains(piece));
        Explanation {
            automation: automation.spec.name.clone(),
            semantics: automation.semantics,
            verdict: explain::verdict(automation, &triggers, &firings),
            triggers,
            before,
            after,
            next_due: self.set().next_due(),
            firings,
        }
    }

    fn set(&self) -> &Automations {
        match &self.by {
            By::Triggers(set) => set,
            By::Engine { state, .. } => state.automations(),
        }
    }

    fn count(&mut self, mut firings: Vec<Firing>) -> Vec<Firing> {
        firings.retain(|firing| firing.automation == self.automation);
        for firing in &firings {
            match firing.state {
                FiringState::Triggered => {
                    self.summary.fired += 1;
                    let day = firing.at.strftime("%Y-%m-%d").to_string();
                    *self.summary.per_day.entry(day).or_default() += 1;
                }
                FiringState::Resolved => self.summary.resolved += 1,
            }
        }
        firings
    }
}

/// The events that an automation's back-test must be given.
#[must_use]
pub fn wanted(automation: &Automation) -> Wanted {
    // Under Prefect's semantics every event moves the clock that holds missing-event checks back.
    let every = needs_engine(automation)
        || (automation.semantics == Semantics::Prefect && watches_absence(&automation.spec.trigger));
    if every {
        return Wanted::All;
    }
    let mut names = BTreeSet::new();
    if collect_names(&automation.spec.trigger, &mut names) { Wanted::Names(names) } else { Wanted::All }
}

/// Collects the names a trigger looks at; false when it looks at every name.
fn collect_names(trigger: &Trigger, names: &mut BTreeSet<String>) -> bool {
    if let Trigger::Event(event) = trigger {
        names.extend(event.expect.iter().chain(&event.after).cloned());
        return !event.expect.is_empty();
    }
    trigger.children().iter().all(|child| collect_names(child, names))
}

fn watches_absence(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::Event(event) => event.posture == super::definition::Posture::Proactive,
        _ => trigger.children().iter().any(watches_absence),
    }
}

/// Whether triggers watch runs, or actions open or end incidents.
fn needs_engine(automation: &Automation) -> bool {
    let spec = &automation.spec;
    let mut actions = spec.actions.iter().chain(&spec.actions_on_trigger).chain(&spec.actions_on_resolve);
    watches_runs(&spec.trigger)
        || actions.any(|action| matches!(action, ActionSpec::PageOwner { .. } | ActionSpec::DeclareIncident { .. }))
}

fn watches_runs(trigger: &Trigger) -> bool {
    matches!(trigger, Trigger::Metric(_) | Trigger::Consecutive(_)) || trigger.children().iter().any(watches_runs)
}

fn triggers_alone(automation: Automation, from: Timestamp) -> Automations {
    let mut set = Automations::default();
    set.put(automation, from);
    set
}

/// A world with owners and teams, but no rule and no connection, in which the automation is made at `from`.
fn whole_engine(mut automation: Automation, ruleset: Option<&Ruleset>, from: Timestamp) -> State {
    let mut state = State::new("backtest");
    let caller = Caller::rules();
    let ruleset = ruleset.map(|ruleset| Ruleset { rules: Vec::new(), ..ruleset.clone() });
    automation.origin = Origin::Api;
    let mut inputs = Vec::new();
    if let Some(ruleset) = ruleset {
        inputs.push(Input::Ruleset { caller: caller.clone(), ruleset: Box::new(ruleset) });
    }
    inputs.push(Input::Automations { caller, edits: vec![AutomationEdit::Put(Box::new(automation))] });
    for input in inputs {
        // Positions before any of the log's: the log begins at 1, and all of these are decided at once.
        let entry = Entry { seq: 1, at: from, input };
        drop(decide(&mut state, &[entry]));
        state.cursor = 0;
    }
    state.forget_settled();
    state
}

fn due_before(set: &mut Automations, until: Timestamp, firings: &mut Vec<Firing>) {
    while let Some(due) = set.next_due().filter(|due| *due < until) {
        firings.extend(set.on_due(due, None));
        assert!(set.next_due() != Some(due), "what was due at {due} is decided");
    }
}

fn run(state: &mut State, incidents: &mut BTreeMap<IncidentId, Incident>, entries: &[Entry]) -> Vec<Firing> {
    let Decision { changes, firings, .. } = decide(state, entries);
    for change in changes {
        if let Change::Incident(incident) = change {
            incidents.insert(incident.id, incident);
        }
    }
    firings.into_iter().map(|record| record.firing).collect()
}

fn would_be(incident: Incident) -> WouldBe {
    WouldBe {
        title: incident.title.to_string(),
        owner: incident.owner.to_string(),
        pipeline: incident.pipeline,
        severity: incident.severity.as_str().to_owned(),
        opened: incident.opened,
        resolved: incident.resolved,
        occurrences: incident.occurrences,
    }
}
