//! The words in which firings say why.

use std::collections::BTreeSet;

/// Most names listed in one line.
const NAMES: usize = 3;

/// Event names as a list: `a`, `b` or 2 more. Without names: events.
pub(super) fn names(names: &BTreeSet<String>) -> String {
    let mut listed: Vec<String> = names.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
    if names.len() > NAMES {
        listed.push(format!("{} more", names.len() - NAMES));
    }
    match listed.split_last() {
        None => "events".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// A number with its thing: `1 event`, `2 events`.
pub(super) fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_list_that_ends() {
        for (given, expected) in [
            (&[][..], "events"),
            (&["a"], "`a`"),
            (&["a", "b"], "`a` or `b`"),
            (&["a", "b", "c", "d", "e"], "`a`, `b`, `c` or 2 more"),
        ] {
            assert_eq!(names(&given.iter().map(|name| (*name).to_owned()).collect()), expected);
        }
    }
}
