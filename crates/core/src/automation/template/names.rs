//! What a text names: for loading objects, and for finding what cannot be meant.
//!
//! Invariant: never fails; a text that is no template names nothing (`check` says what is wrong with it).

use super::class::{self, Class};
use super::context::{Dialect, MORE, Object};
use super::{engine, is_template, scan};
use crate::automation::request::text::nearest;
use std::collections::BTreeSet;

/// Names that are always there.
const ROOTS: [&str; 6] = ["automation", "event", "labels", "firing", "firings", "events"];
/// Functions and what statements bring along.
const BUILT_IN: [&str; 8] = ["range", "dict", "namespace", "loop", "caller", "varargs", "kwargs", "super"];

/// A name that no template can find anything behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// As written: `event.nmae`.
    pub name: String,
    /// Line of its first use, from 1.
    pub line: u32,
    /// Column there, in characters from 1.
    pub column: u32,
    /// What may be meant instead.
    pub suggestion: Option<String>,
}

/// The names that a text uses and does not set itself, with the attributes written after them: `event.resource.name`.
#[must_use]
pub fn names(text: &str) -> BTreeSet<String> {
    if !is_template(text) {
        return BTreeSet::new();
    }
    let mut names: BTreeSet<String> = engine::undeclared(text, true).into_iter().collect();
    names.extend(engine::undeclared(text, false));
    let longer =
        |name: &String| names.iter().any(|other| other.strip_prefix(&**name).is_some_and(|rest| rest.starts_with('.')));
    names.iter().filter(|name| !longer(name) || scan::find_name(text, name).is_none()).cloned().collect()
}

/// The objects of the far end that a text names.
#[must_use]
pub fn wants(text: &str) -> BTreeSet<Object> {
    if !is_template(text) {
        return BTreeSet::new();
    }
    let named = engine::undeclared(text, false);
    Object::ALL.into_iter().filter(|object| named.contains(object.name())).collect()
}

/// The names of a text that mean nothing in a dialect: they render as nothing, or fail when they are called. Ordered by
/// place. Labels, payloads and parameters may hold anything and are not looked into.
#[must_use]
pub fn unknown_names(text: &str, dialect: Dialect) -> Vec<UnknownName> {
    let mut unknown: Vec<UnknownName> = names(text)
        .into_iter()
        .filter_map(|path| {
            let (name, suggestion) = unknown_part(&path, dialect)?;
            let (line, column) = scan::place(text, scan::find_name(text, &name).unwrap_or_default());
            Some(UnknownName { name, line, column, suggestion })
        })
        .collect();
    unknown.sort_by_key(|unknown| (unknown.line, unknown.column));
    unknown.dedup();
    unknown
}

/// The part of a path up to what is not known, with what may be meant.
fn unknown_part(path: &str, dialect: Dialect) -> Option<(String, Option<String>)> {
    let mut parts = path.split('.');
    let root = parts.next()?;
    let objects = Object::ALL.map(Object::name);
    let more: &[&str] = if dialect == Dialect::Trackside { &MORE } else { &[] };
    let known = || ROOTS.iter().chain(&objects).chain(more).copied();
    if !known().any(|name| name == root) {
        if BUILT_IN.contains(&root) {
            return None;
        }
        let suggestion = match root {
            "flow_run_url" => Some("flow_run | ui_url".to_owned()),
            "now" => Some("event.received".to_owned()),
            _ => nearest(root, known()).map(str::to_owned),
        };
        return Some((root.to_owned(), suggestion));
    }
    let mut class = class_of(root)?;
    let mut seen = root.to_owned();
    for part in parts {
        seen = format!("{seen}.{part}");
        match class.fields.iter().find(|(name, _)| *name == part) {
            Some((_, class::Kind::Record(next) | class::Kind::Default(next))) if !next.is_open => class = next,
            Some(_) => return None,
            None if class.is_open || class.has(part) || has_variants(class) || is_state_method(class, part) => {
                return None;
            }
            None => {
                let near = nearest(part, class.names());
                let before = &seen[..seen.len() - part.len()];
                return Some((seen.clone(), near.map(|near| format!("{before}{near}"))));
            }
        }
    }
    None
}

fn class_of(root: &str) -> Option<&'static Class> {
    match root {
        "automation" => Some(&class::AUTOMATION),
        "event" => Some(&class::EVENT),
        "firing" => Some(&class::FIRING),
        _ => Object::ALL.into_iter().find(|object| object.name() == root)?.class(),
    }
}

/// Which trigger it is, a text alone does not say.
fn has_variants(class: &Class) -> bool {
    class.name == class::EVENT_TRIGGER.name
}

fn is_state_method(class: &Class, name: &str) -> bool {
    class.name == class::STATE.name && name.starts_with("is_")
}
