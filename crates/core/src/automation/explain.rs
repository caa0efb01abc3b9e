//! Why an automation did or did not react to an event: each clause with the value it met.
//!
//! Invariants: asks the same functions that decide ([`super::matching`]), so that it cannot say otherwise; pure. What
//! state there was is found by running the automation over the events before (see [`super::backtest`]).

use super::definition::{
    Automation, AutomationId, CompoundTrigger, EventTrigger, Patterns, ResourceSpec, Semantics, SequenceTrigger,
    Trigger,
};
use super::firing::Firing;
use super::matching;
use super::set::Automations;
use crate::event::{Event, Labels, RESOURCE_ID, RESOURCE_ROLE};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Events are taken this late.
const LATE: SignedDuration = SignedDuration::from_hours(1);
/// How far back is looked where nothing bounds it.
const UNBOUNDED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Farthest look back.
const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Why an automation did what it did with one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Name of the automation.
    pub automation: String,
    /// How its triggers are evaluated.
    pub semantics: Semantics,
    /// One line: what the event did.
    pub verdict: String,
    /// Each trigger of the automation, the root first.
    pub triggers: Vec<TriggerExplanation>,
    /// Live state that the event changed, before it.
    pub before: Vec<StateView>,
    /// The same after it.
    pub after: Vec<StateView>,
    /// What fired.
    pub firings: Vec<Firing>,
    /// When it would fire next if nothing more came, or would be looked at next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due: Option<Timestamp>,
}

/// What one trigger makes of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerExplanation {
    /// Its path; empty for the root.
    pub trigger: String,
    /// `event`, `compound`, …
    pub kind: String,
    /// What the event is to it: `counts`, `opens`, `counts and opens`, `nothing`, or for other kinds what they wait for.
    pub role: String,
    /// Each clause, for triggers on events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clauses: Vec<Clause>,
    /// `for_each` labels with their values in the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// One clause and the value it met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// Which (`expect`, `match prefect.resource.id`, `match_related[0]`).
    pub clause: String,
    /// What is asked for.
    pub wanted: String,
    /// What the event has.
    pub found: String,
    /// Whether it holds.
    pub holds: bool,
}

/// One piece of live state, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StateView {
    /// The trigger it belongs to.
    pub trigger: String,
    /// The `for_each` values it is kept for.
    pub key: Vec<String>,
    /// What it holds, one line ("2 of 3 in 09:00:00–09:10:00").
    pub holds: String,
}

/// Each trigger of an automation with its clauses.
#[must_use]
pub fn triggers(automation: &Automation, event: &Event) -> Vec<TriggerExplanation> {
    let mut all = Vec::new();
    explain_tree(&automation.spec.trigger, "", event, &mut all);
    all
}

/// How far before an event the log must be replayed, so that the state that the event met is there.
#[must_use]
pub fn lookback(trigger: &Trigger) -> SignedDuration {
    let own = match trigger {
        Trigger::Event(event) => event.within.saturating_mul(2).saturating_add(LATE),
        Trigger::Compound(CompoundTrigger { within, .. }) | Trigger::Sequence(SequenceTrigger { within, .. }) => {
            within.unwrap_or(UNBOUNDED)
        }
        Trigger::Metric(metric) => metric.metric.range.saturating_add(metric.metric.firing_for),
        Trigger::Consecutive(_) => UNBOUNDED,
    };
    let below = trigger.children().iter().map(lookback).max().unwrap_or(SignedDuration::ZERO);
    own.saturating_add(below).min(LONGEST)
}

/// The live state of an automation in a set, one piece a line.
#[must_use]
pub fn state(set: &Automations, automation: AutomationId) -> Vec<StateView> {
    let buckets = set.buckets(automation).into_iter().map(|bucket| StateView {
        trigger: bucket.trigger,
        key: bucket.key,
        holds: format!("{} counted from {} to {}", bucket.count, bucket.start, bucket.end),
    });
    let waiting = set.child_firings(automation).into_iter().map(|waiting| StateView {
        trigger: waiting.parent,
        key: waiting.firing.labels.values().cloned().collect(),
        holds: format!("trigger {} fired at {}: {}", waiting.child, waiting.firing.at, waiting.firing.because),
    });
    buckets.chain(waiting).collect()
}

/// One line for people: the first reason why nothing happened, or what happened.
#[must_use]
pub fn verdict(automation: &Automation, triggers: &[TriggerExplanation], firings: &[Firing]) -> String {
    if let Some(firing) = firings.first() {
        return format!("it fires: {}", firing.because);
    }
    if !automation.spec.enabled {
        return "it is paused".to_owned();
    }
    if triggers.iter().any(|trigger| trigger.clauses.iter().all(|clause| clause.holds) && !trigger.clauses.is_empty()) {
        return "the event concerns it, but the condition is not met yet".to_owned();
    }
    let failed = triggers.iter().find_map(|trigger| trigger.clauses.iter().find(|clause| !clause.holds));
    match failed {
        Some(clause) => format!("{}: wanted {}, found {}", clause.clause, clause.wanted, clause.found),
        None => "it watches runs, not events; see what it waits for".to_owned(),
    }
}

fn explain_tree(trigger: &Trigger, path: &str, event: &Event, all: &mut Vec<TriggerExplanation>) {
    all.push(explain_one(trigger, path, event));
    for (index, child) in trigger.children().iter().enumerate() {
        let path = if path.is_empty() { index.to_string() } else { format!("{path}.{index}") };
        explain_tree(child, &path, event, all);
    }
}

fn explain_one(trigger: &Trigger, path: &str, event: &Event) -> TriggerExplanation {
    let kind = trigger.kind().to_owned();
    let waits = |role: String| TriggerExplanation {
        trigger: path.to_owned(),
        kind: kind.clone(),
        role,
        clauses: Vec::new(),
        labels: BTreeMap::new(),
    };
    match trigger {
        Trigger::Event(trigger) => {
            let labels = trigger.for_each.iter().cloned().zip(matching::bucketing_key(trigger, event)).collect();
            let clauses = clauses(trigger, event);
            TriggerExplanation {
                trigger: path.to_owned(),
                kind: kind.clone(),
                role: role(trigger, event),
                clauses,
                labels,
            }
        }
        Trigger::Compound(compound) => {
            let count = compound.require.count(compound.triggers.len());
            waits(format!("waits for {count} of its {} triggers", compound.triggers.len()))
        }
        Trigger::Sequence(sequence) => waits(format!("waits for its {} triggers in order", sequence.triggers.len())),
        Trigger::Metric(_) => waits("watches the ends of runs".to_owned()),
        Trigger::Consecutive(consecutive) => waits(format!("waits for {} failed runs in a row", consecutive.count)),
    }
}

fn role(trigger: &EventTrigger, event: &Event) -> String {
    let (counts, opens) = (matching::expects(trigger, &event.event), matching::starts(trigger, &event.event));
    let role = match (matching::interested(trigger, event), counts, opens) {
        (false, ..) | (true, false, false) => "nothing",
        (true, true, false) => "counts",
        (true, false, true) => "opens",
        (true, true, true) => "counts and opens",
    };
    role.to_owned()
}

fn clauses(trigger: &EventTrigger, event: &Event) -> Vec<Clause> {
    let mut clauses = Vec::new();
    if !trigger.expect.is_empty() {
        let names: Vec<&str> = trigger.expect.iter().chain(&trigger.after).map(String::as_str).collect();
        clauses.push(Clause {
            clause: if trigger.after.is_empty() { "expect" } else { "expect or after" }.to_owned(),
            wanted: names.join(" or "),
            found: event.event.clone(),
            holds: matching::name_concerns(trigger, &event.event)
                && (matching::expects(trigger, &event.event) || matching::starts(trigger, &event.event)),
        });
    }
    clauses.extend(
        trigger.matches.iter().map(|(label, patterns)| label_clause("match", label, patterns, &event.resource)),
    );
    for (index, spec) in trigger.match_related.specs().iter().enumerate().filter(|(_, spec)| !spec.is_empty()) {
        clauses.push(related_clause(index, spec, event));
    }
    clauses
}

fn label_clause(clause: &str, label: &str, patterns: &Patterns, labels: &Labels) -> Clause {
    let one = ResourceSpec::from([(label.to_owned(), patterns.clone())]);
    Clause {
        clause: format!("{clause} {label}"),
        wanted: wanted(patterns),
        found: labels.get(label).map_or_else(|| "no such label".to_owned(), |value| format!("`{value}`")),
        holds: matching::covers(&one, labels),
    }
}

/// A related resource must satisfy the whole of it; the nearest one is shown.
fn related_clause(index: usize, spec: &ResourceSpec, event: &Event) -> Clause {
    let asked: Vec<String> = spec.iter().map(|(label, patterns)| format!("{label} = {}", wanted(patterns))).collect();
    let fits = |labels: &Labels| {
        spec.iter().filter(|(label, patterns)| label_clause("", label, patterns, labels).holds).count()
    };
    let nearest = event.related.iter().max_by_key(|labels| fits(labels));
    let found = match nearest {
        None => "no related resource".to_owned(),
        Some(labels) => {
            let shown = spec.keys().map(String::as_str).chain([RESOURCE_ROLE, RESOURCE_ID]);
            let mut values: Vec<String> = Vec::new();
            for label in shown {
                let text = format!("{label} = {}", labels.get(label).map_or("absent", String::as_str));
                if !values.contains(&text) {
                    values.push(text);
                }
            }
            format!("nearest: {}", values.join(", "))
        }
    };
    Clause {
        clause: format!("match_related[{index}]"),
        wanted: asked.join(", "),
        found,
        holds: event.related.iter().any(|labels| matching::covers(spec, labels)),
    }
}

fn wanted(patterns: &Patterns) -> String {
    match patterns.alternatives() {
        [] => "nothing (an empty list matches nothing)".to_owned(),
        alternatives => alternatives.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(" or "),
    }
}
