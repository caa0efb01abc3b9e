//! Numbers and times that cannot be reached, or that count something else than is meant.
//!
//! Invariant: what Prefect's semantics do is said only of automations that are evaluated so.

use super::super::definition::{EventTrigger, Patterns, Posture, RelatedSpec, ResourceSpec, Trigger};
use super::super::ours::THRESHOLD_MAX;
use super::super::pattern;
use super::{Code, Leaf, Notes, PathPart, at, subject};
use crate::event::{RESOURCE_ID, RESOURCE_NAME};
use jiff::SignedDuration;

/// A window as long as this is hardly meant as "so many failures within it".
const LONG: SignedDuration = SignedDuration::from_hours(12);

pub(super) fn check_event(leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    match leaf.trigger.posture {
        Posture::Reactive => check_reactive(leaf, notes),
        Posture::Proactive => check_proactive(leaf, notes),
    }
}

fn check_reactive(leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    let EventTrigger { threshold, within, .. } = *leaf.trigger;
    if threshold < 1 {
        let message = format!("a threshold of {threshold} fires on every event, as 1 does");
        notes.warning(Code::ThresholdBelowOne, leaf.at("threshold"), message, "write threshold: 1, or leave it out");
    }
    if threshold > 1 && within.is_zero() {
        if notes.is_prefect() {
            let message = format!(
                "{threshold} events are counted in no window at all: Prefect goes on counting until it forgets the first \
                 one, about a minute after it came"
            );
            notes.warning(Code::CountWithoutWindow, leaf.at("within"), message, "write in which time: within: 600");
        } else {
            let message = format!("{threshold} events cannot come within no time, so it never fires");
            notes.error(Code::UnreachableThreshold, leaf.at("threshold"), message, "write in which time: within: 10m");
        }
    }
    if !notes.is_prefect() && usize::try_from(threshold).is_ok_and(|threshold| threshold > THRESHOLD_MAX) {
        let message = format!("no more than {THRESHOLD_MAX} events are counted, so it fires on the {THRESHOLD_MAX}th");
        notes.warning(Code::ThresholdTooHigh, leaf.at("threshold"), message, "use a metric trigger with name: count");
    }
    if threshold > 1 {
        check_meaning(leaf, notes);
    }
}

/// Several failures: of whom, and in a row?
fn check_meaning(leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    let trigger = leaf.trigger;
    let failures = !trigger.expect.is_empty() && trigger.expect.iter().all(|name| is_failure(name));
    if failures && (trigger.within >= LONG || says_in_a_row(notes)) {
        let message = format!(
            "{} failures are counted, with successes between them or not: this is not \"{0} in a row\"",
            trigger.threshold
        );
        let suggestion = format!(
            "write trigger: {{type: consecutive, count: {}}}, which a success starts anew and which counts each pipeline \
             by itself",
            trigger.threshold
        );
        notes.warning(Code::NotConsecutive, leaf.at("threshold"), message, suggestion);
        return;
    }
    let Some(kind) = subject::of_names(&trigger.expect) else { return };
    let Some(for_each) = kind.for_each.filter(|_| trigger.for_each.is_empty() && !is_about_one(trigger)) else {
        return;
    };
    let message = format!(
        "{} events count, whichever {}s they are about: all pipelines are counted together",
        trigger.threshold, kind.word
    );
    let suggestion = format!("write for_each: [\"{for_each}\"] to count each pipeline by itself");
    notes.warning(Code::MissesForEach, leaf.at("for_each"), message, suggestion);
}

fn is_failure(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
    matches!(
        last.as_str(),
        "failed" | "failure" | "crashed" | "timedout" | "timed-out" | "timed_out" | "error" | "errored"
    )
}

fn says_in_a_row(notes: &Notes<'_>) -> bool {
    let spec = &notes.automation.spec;
    let text = format!("{} {}", spec.name, spec.description).to_lowercase();
    ["consecutive", "in a row", "in row", "in succession", "successive", "streak", "back to back", "back-to-back"]
        .iter()
        .any(|words| text.contains(words))
}

/// Whether the trigger names a single pipeline or resource already.
fn is_about_one(trigger: &EventTrigger) -> bool {
    let literal = |spec: &ResourceSpec| {
        [RESOURCE_ID, RESOURCE_NAME, "airflow.dag_id"].iter().filter_map(|label| spec.get(*label)).any(is_one_value)
    };
    literal(&trigger.matches) || specs(&trigger.match_related).iter().any(|spec| literal(spec) && !is_tag(spec))
}

fn specs(related: &RelatedSpec) -> &[ResourceSpec] {
    related.specs()
}

fn is_one_value(patterns: &Patterns) -> bool {
    matches!(patterns.alternatives(), [one] if pattern::is_literal(one))
}

/// Many pipelines have the same tag.
fn is_tag(spec: &ResourceSpec) -> bool {
    let has = |label: &str, is: fn(&str) -> bool| {
        spec.get(label).is_some_and(|patterns| patterns.alternatives().iter().any(|pattern| is(pattern)))
    };
    has(crate::event::RESOURCE_ROLE, |role| role == "tag") || has(RESOURCE_ID, |id| id.contains(".tag."))
}

fn check_proactive(leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    let trigger = leaf.trigger;
    if trigger.threshold < 1 {
        let message =
            format!("it fires when fewer than {} events come, and fewer than none cannot be", trigger.threshold);
        notes.error(Code::UnreachableThreshold, leaf.at("threshold"), message, "write threshold: 1, or leave it out");
    }
    if notes.is_prefect() && !trigger.for_each.is_empty() && trigger.after.is_empty() {
        let message =
            "never fires: Prefect forgets each of `for_each` as soon as its events came, and watches it no more";
        let suggestion = "write in `after` the event that starts the wait, or choose semantics: trackside, which goes on \
                          watching";
        notes.error(Code::NeverWatches, leaf.at("for_each"), message, suggestion);
    }
}

pub(super) fn check_composite(trigger: &Trigger, path: &[PathPart], notes: &mut Notes<'_>) {
    let (within, required) = match trigger {
        Trigger::Compound(compound) => (compound.within, compound.require.count(compound.triggers.len())),
        Trigger::Sequence(sequence) => (sequence.within, sequence.triggers.len()),
        Trigger::Event(_) | Trigger::Metric(_) | Trigger::Consecutive(_) => return,
    };
    let children = trigger.children();
    if children.is_empty() {
        let suggestion = "write triggers: [{expect: [a]}, {expect: [b]}]";
        notes.error(Code::NoChildren, at(path, &["triggers".into()]), "without triggers it never fires", suggestion);
    } else if required > children.len() {
        let message = format!("never fires: {required} of {} triggers must fire", children.len());
        notes.error(Code::RequireTooMany, at(path, &["require".into()]), message, "write require: all");
    }
    let Some(within) = within else { return };
    if within <= SignedDuration::ZERO && required > 1 {
        let message = "never fires: more than one trigger cannot fire within no time";
        notes.error(Code::NoTime, at(path, &["within".into()]), message, "write within: 1h, or null for no bound");
        return;
    }
    for (index, child) in children.iter().enumerate() {
        let Some(longer) = window(child).filter(|window| *window > within) else { continue };
        let message = format!("it may take {longer:#}, and all of it must happen within {within:#}");
        let suggestion = "make the within around it longer, or this one shorter";
        let path = at(path, &["triggers".into(), index.into(), "within".into()]);
        notes.warning(Code::ChildOutlastsParent, path, message, suggestion);
    }
}

/// How long a trigger may take from its first event to its firing.
fn window(trigger: &Trigger) -> Option<SignedDuration> {
    match trigger {
        Trigger::Event(event) => {
            let waits = event.posture == Posture::Proactive || event.threshold > 1 || !event.after.is_empty();
            waits.then_some(event.within)
        }
        Trigger::Compound(compound) => compound.within,
        Trigger::Sequence(sequence) => sequence.within,
        Trigger::Metric(_) | Trigger::Consecutive(_) => None,
    }
}
