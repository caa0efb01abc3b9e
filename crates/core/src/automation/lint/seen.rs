//! Triggers against the events that came so far: names, labels and roles that none of them had.
//!
//! Warnings only: what never came may still come. Invariant: labels and roles are judged by the events whose names the
//! trigger takes, and only when there are some.

use super::super::definition::Patterns;
use super::super::request::text::nearest;
use super::super::{matching, pattern};
use super::{Code, Leaf, Notes, at};
use crate::event::{RESOURCE_ID, RESOURCE_ROLE};
use std::collections::{BTreeMap, BTreeSet};

/// The events that came so far, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What each had.
    pub events: BTreeMap<String, SeenEvent>,
}

/// What the events of one name had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenEvent {
    /// Labels of their resources.
    pub labels: BTreeSet<String>,
    /// Roles of their related resources.
    pub roles: BTreeSet<String>,
}

pub(super) fn check(seen: &Seen, leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    if seen.events.is_empty() {
        return;
    }
    check_names(seen, leaf, notes);
    let taken =
        || seen.events.iter().filter(|(name, _)| matching::name_concerns(leaf.trigger, name)).map(|(_, had)| had);
    if taken().next().is_none() {
        return;
    }
    check_labels(&taken().flat_map(|had| &had.labels).map(String::as_str).collect(), leaf, notes);
    check_roles(&taken().flat_map(|had| &had.roles).map(String::as_str).collect(), leaf, notes);
}

fn check_names(seen: &Seen, leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    let names = || seen.events.keys().map(String::as_str);
    for (field, expected) in [("expect", &leaf.trigger.expect), ("after", &leaf.trigger.after)] {
        for (index, expected) in expected.iter().enumerate() {
            if names().any(|name| pattern::glob(expected, name) && pattern::begins(expected, name)) {
                continue;
            }
            let suggestion = match nearest(expected, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "look at the page of events for the names that come".to_owned(),
            };
            let message = format!("no event so far was named `{expected}`");
            notes.warning(Code::NameNeverSeen, at(leaf.path, &[field.into(), index.into()]), message, suggestion);
        }
    }
}

fn check_labels(had: &BTreeSet<&str>, leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    let wanted =
        leaf.trigger.matches.keys().map(|label| (label, at(leaf.path, &["match".into(), label.as_str().into()])));
    let apart = leaf.trigger.for_each.iter().enumerate();
    let apart = apart.filter(|(_, label)| !label.starts_with("related:"));
    let apart = apart.map(|(index, label)| (label, at(leaf.path, &["for_each".into(), index.into()])));
    for (label, path) in wanted.chain(apart).filter(|(label, _)| label.as_str() != RESOURCE_ID) {
        if had.contains(label.as_str()) {
            continue;
        }
        let message = format!("no resource of these events had a label `{label}` so far");
        let suggestion = match nearest(label, had.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the labels are {}", had.iter().copied().collect::<Vec<_>>().join(", ")),
        };
        notes.warning(Code::LabelNeverSeen, path, message, suggestion);
    }
}

fn check_roles(had: &BTreeSet<&str>, leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    let mut wanted = Vec::new();
    for (index, spec) in leaf.trigger.match_related.specs().iter().enumerate() {
        let Some(roles) = spec.get(RESOURCE_ROLE).map(Patterns::alternatives).filter(|roles| !roles.is_empty()) else {
            continue;
        };
        if !had.iter().any(|role| roles.iter().any(|wanted| pattern::matches(wanted, Some(role)))) {
            let entry = match &leaf.trigger.match_related {
                super::super::definition::RelatedSpec::One(_) => vec!["match_related".into()],
                super::super::definition::RelatedSpec::All(_) => vec!["match_related".into(), index.into()],
            };
            wanted.push((roles.join(" or "), at(&at(leaf.path, &entry), &[RESOURCE_ROLE.into()])));
        }
    }
    for (index, label) in leaf.trigger.for_each.iter().enumerate() {
        let role = label.strip_prefix("related:").and_then(|rest| rest.rsplit_once(':')).map(|(role, _)| role);
        if let Some(role) = role.filter(|role| !had.contains(role)) {
            wanted.push((role.to_owned(), at(leaf.path, &["for_each".into(), index.into()])));
        }
    }
    for (role, path) in wanted {
        let message = format!("nothing with the role {role} was related to these events so far");
        let suggestion = match nearest(&role, had.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the roles are {}", had.iter().copied().collect::<Vec<_>>().join(", ")),
        };
        notes.warning(Code::RoleNeverSeen, path, message, suggestion);
    }
}
