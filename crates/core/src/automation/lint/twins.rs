//! Two automations that tell people of the same thing.
//!
//! One covers the other when it fires on every event that the other fires on: it counts the same way, and its names and
//! labels take all that the other's take. Invariants: automations that are paused or tell nobody are left out; of two
//! equal ones the later is reported, of one that covers another the covered one. Only those that share a label's value
//! or a way of counting are compared, so that thousands of automations on single pipelines stay cheap.

use super::super::action::ActionSpec;
use super::super::definition::{
    Automation, EventTrigger, Patterns, Posture, RelatedSpec, ResourceSpec, Semantics, Trigger,
};
use super::super::pattern;
use super::{Code, Finding, Severity, finding};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};

/// Every automation that another one covers, by its place in the list.
pub(super) fn find(automations: &[Automation]) -> Vec<(usize, Finding)> {
    let telling: Vec<(usize, &Automation)> =
        automations.iter().enumerate().filter(|(_, automation)| tells(automation)).collect();
    let mut shelves: BTreeMap<Shelf<'_>, Vec<usize>> = BTreeMap::new();
    for (index, automation) in &telling {
        for shelf in Shelf::places(automation) {
            shelves.entry(shelf).or_default().push(*index);
        }
    }
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, automation) in &telling {
        let beside = shelves.get(&Shelf::looked_up(automation)).into_iter().flatten().copied();
        for other in beside.filter(|other| other != index) {
            let (wide, narrow) = (automation, &automations[other]);
            // Of two equal ones the later is reported, once.
            if covers(wide, narrow) && (other > *index || !covers(narrow, wide)) {
                found.entry(other).and_modify(|first| *first = (*first).min(*index)).or_insert(*index);
            }
        }
    }
    found.into_iter().map(|(narrow, wide)| (narrow, report(&automations[narrow], &automations[wide]))).collect()
}

/// What one automation shares with others: that they cover it, or it them.
pub(super) fn find_one(automation: &Automation, others: &[Automation]) -> Vec<Finding> {
    if !tells(automation) {
        return Vec::new();
    }
    let mut others = others.iter().filter(|other| other.id != automation.id && tells(other));
    let twin = others.find(|other| covers(other, automation) || covers(automation, other));
    twin.map(|other| report(automation, other)).into_iter().collect()
}

fn report(automation: &Automation, other: &Automation) -> Finding {
    let name = &other.spec.name;
    let message = match (covers(other, automation), covers(automation, other)) {
        (true, true) => format!("`{name}` fires on the same events, and both tell people of it"),
        (true, false) => format!("`{name}` fires on all of these events too, and both tell people of it"),
        _ => format!("fires on all events of `{name}` too, and both tell people of it"),
    };
    let suggestion = "put the actions into one of them, or let one match less";
    finding(automation, Code::SameAsOther, Severity::Warning, vec!["trigger".into()], message, suggestion)
}

/// Whether it is on and one of its actions reaches people.
fn tells(automation: &Automation) -> bool {
    let mut actions = automation.spec.actions.iter().chain(&automation.spec.actions_on_trigger);
    automation.spec.enabled
        && actions.any(|action| {
            matches!(
                action,
                ActionSpec::SendNotification { .. }
                    | ActionSpec::NotifyChannel { .. }
                    | ActionSpec::PageOwner { .. }
                    | ActionSpec::DeclareIncident { .. }
            )
        })
}

/// What automations must have in common to be compared: how they count, and one value of a label if they ask for one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shelf<'a> {
    counting: (u8, i64, SignedDuration, Option<&'a BTreeSet<String>>),
    value: Option<(&'a str, &'a str)>,
}

impl<'a> Shelf<'a> {
    /// Every shelf on which one that covers the automation may look for it.
    fn places(automation: &'a Automation) -> Vec<Self> {
        let values = match &automation.spec.trigger {
            Trigger::Event(event) => event.matches.iter().filter_map(single).collect(),
            _ => Vec::new(),
        };
        let all = std::iter::once(None).chain(values.into_iter().map(Some));
        all.map(|value| Self { counting: counting(automation), value }).collect()
    }

    /// The shelf with everything that the automation may cover.
    fn looked_up(automation: &'a Automation) -> Self {
        let value = match &automation.spec.trigger {
            Trigger::Event(event) => event.matches.iter().find_map(single),
            _ => None,
        };
        Self { counting: counting(automation), value }
    }
}

/// A label that must have one value.
fn single<'a>((label, patterns): (&'a String, &'a Patterns)) -> Option<(&'a str, &'a str)> {
    match patterns.alternatives() {
        [value] if pattern::is_literal(value) => Some((label, value)),
        _ => None,
    }
}

fn counting(automation: &Automation) -> (u8, i64, SignedDuration, Option<&BTreeSet<String>>) {
    let semantics = u8::from(automation.semantics == Semantics::Prefect);
    match &automation.spec.trigger {
        Trigger::Event(event) => {
            let kind = if event.posture == Posture::Proactive { 2 } else { 4 };
            (kind + semantics, event.threshold, event.within, Some(&event.for_each))
        }
        Trigger::Consecutive(consecutive) => (6 + semantics, consecutive.count.into(), SignedDuration::ZERO, None),
        Trigger::Compound(_) | Trigger::Sequence(_) | Trigger::Metric(_) => (semantics, 0, SignedDuration::ZERO, None),
    }
}

/// Whether `wide` fires whenever `narrow` does.
fn covers(wide: &Automation, narrow: &Automation) -> bool {
    if wide.semantics != narrow.semantics {
        return false;
    }
    match (&wide.spec.trigger, &narrow.spec.trigger) {
        (Trigger::Event(wide), Trigger::Event(narrow)) => covers_events(wide, narrow),
        (wide, narrow) => wide == narrow,
    }
}

fn covers_events(wide: &EventTrigger, narrow: &EventTrigger) -> bool {
    let counts_alike = wide.posture == narrow.posture
        && wide.threshold == narrow.threshold
        && wide.within == narrow.within
        && wide.for_each == narrow.for_each
        && wide.after == narrow.after;
    if !counts_alike {
        return false;
    }
    if wide.posture == Posture::Proactive || !wide.after.is_empty() {
        // More that counts is less silence, and what opens a window opens it for one only.
        return wide.expect == narrow.expect
            && wide.matches == narrow.matches
            && wide.match_related == narrow.match_related;
    }
    takes_names(&wide.expect, &narrow.expect)
        && takes_spec(&wide.matches, &narrow.matches)
        && takes_related(&wide.match_related, &narrow.match_related)
}

fn takes_names(wide: &BTreeSet<String>, narrow: &BTreeSet<String>) -> bool {
    wide.is_empty()
        || (!narrow.is_empty() && narrow.iter().all(|name| wide.iter().any(|taken| takes_name(taken, name))))
}

fn takes_name(wide: &str, narrow: &str) -> bool {
    let family = |stem: &str| narrow.strip_prefix(stem).is_some_and(|rest| !rest.is_empty());
    wide == narrow
        || (!wide.contains(['?', '[', '!'])
            && wide.strip_suffix('*').is_some_and(|stem| !stem.contains('*') && family(stem)))
}

/// Every label that the wide one asks for is asked for by the narrow one, with patterns that are taken.
fn takes_spec(wide: &ResourceSpec, narrow: &ResourceSpec) -> bool {
    wide.iter().all(|(label, taken)| {
        narrow.get(label).map(Patterns::alternatives).is_some_and(|asked| {
            !asked.is_empty() && asked.iter().all(|asked| taken.alternatives().iter().any(|taken| takes(taken, asked)))
        })
    })
}

fn takes(wide: &str, narrow: &str) -> bool {
    wide == narrow || wide == "*" || (pattern::is_literal(narrow) && pattern::matches(wide, Some(narrow)))
}

fn takes_related(wide: &RelatedSpec, narrow: &RelatedSpec) -> bool {
    let mut wide = wide.specs().iter().filter(|spec| !spec.is_empty());
    wide.all(|wide| narrow.specs().iter().any(|narrow| takes_spec(wide, narrow)))
}
