//! Whether an event concerns an event trigger, and what it is to it: opener, counter, or nothing.
//!
//! Exactly Prefect's three filters on names and its rules for resources
//! (`prefect.server.events.schemas.automations.EventTrigger`); used by both semantics, by `lint` and by `explain`.
//! Invariants: pure; allocates only the bucketing key.

use super::definition::{EventTrigger, Patterns, ResourceSpec, Trigger};
use super::pattern;
use crate::event::{Event, Labels, RESOURCE_ROLE};

/// Whether the event concerns the trigger at all: name (in `expect` or `after`), resource and related resources.
#[must_use]
pub fn interested(trigger: &EventTrigger, event: &Event) -> bool {
    name_concerns(trigger, &event.event)
        && spec_includes(&trigger.matches, &[&event.resource])
        && trigger
            .match_related
            .specs()
            .iter()
            .all(|spec| spec.is_empty() || event.related.iter().any(|related| covers(spec, related)))
}

/// Whether an event of this name may concern the trigger.
///
/// With `expect`, the names of `expect` and `after` are asked twice, as globs and as beginnings; a leading `!` has no
/// meaning there. Without `expect` every name will do that does not begin with a line end.
#[must_use]
pub fn name_concerns(trigger: &EventTrigger, name: &str) -> bool {
    if trigger.expect.is_empty() {
        return pattern::begins("*", name);
    }
    let keys = || trigger.expect.union(&trigger.after);
    keys().any(|key| pattern::glob(key, name)) && keys().any(|key| pattern::begins(key, name))
}

/// Whether an event of this name counts.
#[must_use]
pub fn expects(trigger: &EventTrigger, name: &str) -> bool {
    trigger.expect.is_empty() || trigger.expect.iter().any(|expected| pattern::matches(expected, Some(name)))
}

/// Whether an event of this name opens a window.
#[must_use]
pub fn starts(trigger: &EventTrigger, name: &str) -> bool {
    trigger.after.iter().any(|after| pattern::matches(after, Some(name)))
}

/// The values of the trigger's `for_each` labels in the event, in the order of the labels' names.
///
/// A label is one of the resource, or `related:<role>:<label>` of the first related resource in that role. What is
/// missing is the empty text.
#[must_use]
pub fn bucketing_key(trigger: &EventTrigger, event: &Event) -> Vec<String> {
    trigger.for_each.iter().map(|label| for_each_value(event, label).unwrap_or_default().to_owned()).collect()
}

/// The value of one `for_each` label in the event.
#[must_use]
pub fn for_each_value<'a>(event: &'a Event, label: &str) -> Option<&'a str> {
    let related = label.strip_prefix("related:").and_then(|rest| rest.rsplit_once(':')).and_then(|(role, label)| {
        let resource = event.related.iter().find(|related| related.get(RESOURCE_ROLE).is_some_and(|has| has == role));
        resource.map(|resource| resource.get(label))
    });
    // A role that is not there is not the end: the resource itself may have a label of that very name.
    related.unwrap_or_else(|| event.resource.get(label)).map(String::as_str)
}

/// Whether one of the candidates satisfies the whole specification; an empty one needs no candidate.
#[must_use]
pub fn spec_includes(spec: &ResourceSpec, candidates: &[&Labels]) -> bool {
    spec.is_empty() || candidates.iter().any(|labels| covers(spec, labels))
}

/// Whether one resource satisfies every label of a specification.
#[must_use]
pub fn covers(spec: &ResourceSpec, labels: &Labels) -> bool {
    spec.iter().all(|(label, patterns)| patterns_cover(patterns, labels.get(label).map(String::as_str)))
}

fn patterns_cover(patterns: &Patterns, value: Option<&str>) -> bool {
    patterns.alternatives().iter().any(|alternative| pattern::matches(alternative, value))
}

/// The event triggers of a tree in the order written, each with its path (empty for the root, `0.1` for the second
/// child of the first). The position in this list is how the set tells an automation which of them an event concerns.
#[must_use]
pub fn event_triggers(root: &Trigger) -> Vec<(String, &EventTrigger)> {
    fn collect<'a>(trigger: &'a Trigger, path: &str, found: &mut Vec<(String, &'a EventTrigger)>) {
        if let Trigger::Event(event) = trigger {
            found.push((path.to_owned(), event));
        }
        for (index, child) in trigger.children().iter().enumerate() {
            collect(child, &child_path(path, index), found);
        }
    }
    let mut found = Vec::new();
    collect(root, "", &mut found);
    found
}

/// The path of a child.
#[must_use]
pub fn child_path(parent: &str, index: usize) -> String {
    if parent.is_empty() { index.to_string() } else { format!("{parent}.{index}") }
}

/// One of [`event_triggers`] by its position there.
#[must_use]
pub fn event_trigger(root: &Trigger, position: usize) -> Option<&EventTrigger> {
    fn find<'a>(trigger: &'a Trigger, left: &mut usize) -> Option<&'a EventTrigger> {
        match trigger {
            Trigger::Event(event) if *left == 0 => Some(event),
            Trigger::Event(_) => {
                *left -= 1;
                None
            }
            other => other.children().iter().find_map(|child| find(child, left)),
        }
    }
    find(root, &mut { position })
}
