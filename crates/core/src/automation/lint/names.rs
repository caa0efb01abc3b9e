//! Event names that cannot be meant as they are written.
//!
//! Invariant: says what [`matching::name_concerns`](super::super::matching::name_concerns) makes of a name, for both
//! semantics.

use super::{Code, Leaf, Notes, at};
use std::collections::BTreeSet;

pub(super) fn check(leaf: &Leaf<'_>, notes: &mut Notes<'_>) {
    for (field, names) in [("expect", &leaf.trigger.expect), ("after", &leaf.trigger.after)] {
        for (index, name) in names.iter().enumerate() {
            check_name(name, names, at(leaf.path, &[field.into(), index.into()]), notes);
        }
    }
}

fn check_name(name: &str, names: &BTreeSet<String>, path: Vec<super::PathPart>, notes: &mut Notes<'_>) {
    if let Some(rest) = name.strip_prefix('!') {
        let message = format!("`{name}` never matches: `!` means \"not\" only in labels, not in event names");
        notes.error(
            Code::NegatedName,
            path,
            message,
            format!("name the events that you want, instead of all but `{rest}`"),
        );
    } else if name.contains(['?', '[']) {
        let message = format!("`{name}` never matches what is meant: in event names only `*` is a wildcard");
        notes.error(Code::LiteralWildcard, path, message, "write each name, or use `*`");
    } else if let Some(stem) = name.strip_suffix('*').filter(|stem| ends_in_a_word(stem) && !names.contains(*stem)) {
        let message = format!("`{name}` does not match `{stem}`: `*` stands for at least one character");
        notes.warning(Code::StarNeedsMore, path, message, format!("add `{stem}` if it is meant as well"));
    }
}

/// Whether a name may end there; behind a dot or a dash something must follow anyway.
fn ends_in_a_word(stem: &str) -> bool {
    stem.ends_with(|last: char| last.is_alphanumeric())
}
