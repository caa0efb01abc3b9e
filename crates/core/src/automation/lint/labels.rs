//! Labels that no resource can have together, or that are not where they are looked for.
//!
//! The resource of an event is never among its related resources, and a tag is a related resource and not a label: the
//! two mistakes that make most automations dead. Invariant: says what [`matching`](super::super::matching) makes of it.

use super::super::definition::{Patterns, RelatedSpec, ResourceSpec};
use super::super::pattern;
use super::subject::{self, Kind};
use super::{Code, Leaf, Notes, PathPart, at};
use crate::event::{RESOURCE_ID, RESOURCE_ROLE};
use std::collections::BTreeSet;

/// Checks the labels of an event trigger.
pub(super) fn check(leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    let kind = subject::of_names(leaf.trigger.expect.union(&leaf.trigger.after));
    let kind = kind.filter(|_| !leaf.trigger.expect.is_empty());
    check_plain(&leaf.trigger.matches, &leaf.trigger.match_related, leaf.path, notes);
    check_resource(&leaf.trigger.matches, kind, leaf, notes);
    check_state(leaf, notes);
    for (path, spec) in related(&leaf.trigger.match_related, leaf.path) {
        check_own_kind(spec, kind, &path, notes);
    }
}

/// Checks what holds for labels of any trigger.
pub(super) fn check_plain(matches: &ResourceSpec, relatives: &RelatedSpec, path: &[PathPart], notes: &mut Notes<'_>) {
    let place = at(path, &["match".into()]);
    check_patterns(matches, &place, notes);
    if matches.contains_key(RESOURCE_ROLE) {
        let message = "the resource of an event has no role; only related resources have";
        notes.error(Code::RoleInMatch, at(&place, &[RESOURCE_ROLE.into()]), message, "write it in match_related");
    }
    for (path, spec) in related(relatives, path) {
        check_patterns(spec, &path, notes);
        check_role_and_id(spec, &path, notes);
    }
}

/// The entries of `match_related` with their places.
fn related<'a>(related: &'a RelatedSpec, path: &[PathPart]) -> Vec<(Vec<PathPart>, &'a ResourceSpec)> {
    let place = at(path, &["match_related".into()]);
    match related {
        RelatedSpec::One(spec) => vec![(place, spec)],
        RelatedSpec::All(specs) => {
            specs.iter().enumerate().map(|(index, spec)| (at(&place, &[index.into()]), spec)).collect()
        }
    }
}

fn check_patterns(spec: &ResourceSpec, path: &[PathPart], notes: &mut Notes<'_>) {
    for (label, patterns) in spec {
        let place = at(path, &[label.as_str().into()]);
        let alternatives = patterns.alternatives();
        if alternatives.is_empty() {
            let message = format!("`{label}` has no patterns, and so matches nothing");
            notes.error(Code::NoPatterns, place.clone(), message, "write a pattern; `*` takes every value");
        }
        if takes_everything(alternatives) {
            let message = format!("the patterns of `{label}` are alternatives, and one of them takes every value");
            notes.warning(
                Code::AlwaysTrue,
                place.clone(),
                message,
                "write one pattern with `!` that excludes all of it",
            );
        }
        if matches!(label.as_str(), "prefect.tag" | "prefect.tags") {
            let message = format!("`{label}` is no label: a tag is a related resource, so this never matches");
            notes.error(Code::TagLabel, place, message, tag_suggestion(alternatives));
        }
    }
}

fn tag_suggestion(tags: &[String]) -> String {
    let tag = tags.first().map_or("nightly", String::as_str);
    format!(
        "write match_related: {{{RESOURCE_ROLE}: tag, {RESOURCE_ID}: prefect.tag.{tag}}}, as one more entry of the list \
         when other resources must be related too"
    )
}

/// Two negations of different texts: what one excludes the other takes.
fn takes_everything(alternatives: &[String]) -> bool {
    let negated: BTreeSet<&str> = alternatives.iter().filter_map(|pattern| pattern.strip_prefix('!')).collect();
    let is_literal = |text: &str| !text.contains(['*', '?', '[']);
    (negated.len() > 1 && negated.iter().all(|text| is_literal(text)))
        || negated.iter().any(|text| alternatives.iter().any(|pattern| pattern == text))
}

/// The resource of these events is of another kind than the ids that are asked for.
fn check_resource(spec: &ResourceSpec, kind: Option<&Kind>, leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    let (Some(kind), Some(ids)) = (kind, spec.get(RESOURCE_ID)) else { return };
    let Some(asked) = subject::of_ids(ids.alternatives()).filter(|asked| asked.prefix != kind.prefix) else { return };
    let path = at(leaf.path, &["match".into(), RESOURCE_ID.into()]);
    let message = format!("the resource of these events is a {}, never a {}", kind.word, asked.word);
    let suggestion = format!("the {} may be related: write the pattern in match_related", asked.word);
    notes.error(Code::ResourceOfOtherKind, path, message, suggestion);
}

/// What these events are about is asked for among the relatives, where it never is.
fn check_own_kind(spec: &ResourceSpec, kind: Option<&Kind>, path: &[PathPart], notes: &mut Notes<'_>) {
    let Some(kind) = kind.filter(|kind| kind.is_never_related_to_itself()) else { return };
    let asks = |label: &str, is: &dyn Fn(&str) -> bool| {
        spec.get(label).map(Patterns::alternatives).is_some_and(|all| !all.is_empty() && all.iter().all(|one| is(one)))
    };
    let by_role = asks(RESOURCE_ROLE, &|role| role == kind.role);
    let by_id = spec.get(RESOURCE_ID).and_then(|ids| subject::of_ids(ids.alternatives())) == Some(kind);
    if !by_role && !by_id {
        return;
    }
    let label = if by_role { RESOURCE_ROLE } else { RESOURCE_ID };
    let message =
        format!("never matches: the {} is the resource of these events and is not among the related ones", kind.word);
    let suggestion = format!("write what the {} must be in match, and only what else is related here", kind.word);
    notes.error(Code::OwnKindAsRelated, at(path, &[label.into()]), message, suggestion);
}

/// A related resource of one role with the id of another kind.
fn check_role_and_id(spec: &ResourceSpec, path: &[PathPart], notes: &mut Notes<'_>) {
    let Some([role]) = spec.get(RESOURCE_ROLE).map(Patterns::alternatives) else { return };
    let Some(kind) = spec.get(RESOURCE_ID).and_then(|ids| subject::of_ids(ids.alternatives())) else { return };
    if subject::is_known_role(role) && role != kind.role {
        let message =
            format!("never matches: a resource `{}.…` has the role `{}`, not `{role}`", kind.prefix, kind.role);
        let suggestion = format!("write {RESOURCE_ROLE}: {}, or leave the role out", kind.role);
        notes.error(Code::RoleAndIdDisagree, at(path, &[RESOURCE_ROLE.into()]), message, suggestion);
    }
}

/// The state in the labels is not the one in the event's name (`prefect.flow-run.Failed` with the label `Completed`).
fn check_state(leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    const LABEL: &str = "prefect.state-name";
    let Some(patterns) = leaf.trigger.matches.get(LABEL) else { return };
    let states: Option<Vec<&str>> = leaf
        .trigger
        .expect
        .iter()
        .map(|name| name.strip_prefix("prefect.flow-run.").filter(|state| pattern::is_literal(state)))
        .collect();
    let Some(states) = states.filter(|states| !states.is_empty()) else { return };
    let matches = |state: &&str| patterns.alternatives().iter().any(|one| pattern::matches(one, Some(state)));
    if !patterns.alternatives().is_empty() && !states.iter().any(matches) {
        let message = format!("never matches: the state of these events is {}", states.join(" or "));
        let path = at(leaf.path, &["match".into(), LABEL.into()]);
        notes.error(
            Code::StateContradictsName,
            path,
            message,
            "leave the label out, or expect the event of that state",
        );
    }
}
