//! From files to edits: what must change so that the automations in force are those of the files.
//!
//! An automation that was paused or resumed by hand stays so until its file changes: three states are compared, what the
//! files say now, what they said last, and what is in force. Invariants: automations that were made through the API are
//! never touched; no edit when the files say what they said.

use crate::config::{ConfiguredAutomation, Problem};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, AutomationId, AutomationSpec, Origin, Semantics};
use trackside_core::automation::edit::AutomationEdit;

/// What the files said of an automation when they were last put in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// What was written.
    pub spec: AutomationSpec,
    /// How it was to be evaluated.
    pub semantics: Semantics,
}

/// The edits that make what is in force what the files say. `said` holds what the files said last, as far as it is
/// known, of those that differ from what is in force.
///
/// # Errors
/// When a new automation of the files has the name or the identity of one that was made through the API.
pub fn edits(
    files: &[ConfiguredAutomation],
    in_force: &[Automation],
    said: &BTreeMap<AutomationId, Said>,
    now: Timestamp,
) -> Result<Vec<AutomationEdit>, Vec<Problem>> {
    let current: BTreeMap<AutomationId, &Automation> =
        in_force.iter().map(|automation| (automation.id, automation)).collect();
    let made = in_force.iter().filter(|automation| automation.origin == Origin::Api);
    let made: BTreeMap<&str, &Automation> =
        made.map(|automation| (automation.spec.name.as_str(), automation)).collect();
    let mut edits = Vec::new();
    let mut clashes = Vec::new();
    for wanted in files {
        match current.get(&wanted.id) {
            Some(kept) if kept.origin == Origin::Files => {
                if differs(wanted, kept, said.get(&wanted.id)) {
                    edits.push(AutomationEdit::Put(Box::new(wanted.automation(now))));
                }
            }
            Some(made) => clashes.push(clash(wanted, made)),
            None => match made.get(wanted.spec.name.as_str()) {
                Some(made) => clashes.push(clash(wanted, made)),
                None => edits.push(AutomationEdit::Put(Box::new(wanted.automation(now)))),
            },
        }
    }
    let wanted: BTreeSet<AutomationId> = files.iter().map(|automation| automation.id).collect();
    let gone = in_force.iter().filter(|kept| kept.origin == Origin::Files && !wanted.contains(&kept.id));
    edits.extend(gone.map(|kept| AutomationEdit::Delete { id: kept.id }));
    if clashes.is_empty() { Ok(edits) } else { Err(clashes) }
}

/// Whether an automation in force is not what its file says.
#[must_use]
pub fn is_other(wanted: &ConfiguredAutomation, kept: &Automation) -> bool {
    wanted.spec != kept.spec || wanted.semantics != kept.semantics
}

/// Whether the file must be put in force: it says something else than what is, and than what it said before.
fn differs(wanted: &ConfiguredAutomation, kept: &Automation, said: Option<&Said>) -> bool {
    let said_before = |said: &Said| said.spec == wanted.spec && said.semantics == wanted.semantics;
    is_other(wanted, kept) && !said.is_some_and(said_before)
}

fn clash(wanted: &ConfiguredAutomation, made: &Automation) -> Problem {
    let problem = format!(
        "an automation `{}` was made through the API (id {}); give this one another name, or delete that one",
        wanted.spec.name, made.id
    );
    wanted.spot.problem(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Spot;
    use serde_json::json;
    use std::path::PathBuf;
    use trackside_core::automation::request::parse_written;
    use trackside_core::ids::derive;

    fn id(name: &str) -> AutomationId {
        AutomationId(derive("test", &[name]))
    }

    /// `a 3` is the automation `a` with threshold 3, `a 3 paused` one that is not evaluated.
    fn file(text: &str) -> ConfiguredAutomation {
        let mut words = text.split(' ');
        let name = words.next().unwrap();
        let threshold: i64 = words.next().unwrap().parse().unwrap();
        let written = parse_written(&json!({
            "name": name, "enabled": words.next().is_none(),
            "trigger": {"expect": ["x"], "threshold": threshold, "within": "1h"},
        }))
        .unwrap();
        let spot = Spot { file: PathBuf::from("a.yaml"), line: 1, column: 1, path: String::new() };
        ConfiguredAutomation { id: id(name), spec: written.spec, semantics: written.semantics, spot }
    }

    fn kept(text: &str, origin: Origin) -> Automation {
        Automation { origin, ..file(text).automation(Timestamp::UNIX_EPOCH) }
    }

    fn check(files: &[&str], in_force: &[Automation], said: &[&str], expect: &str) {
        let files: Vec<ConfiguredAutomation> = files.iter().map(|text| file(text)).collect();
        let said = said.iter().map(|text| file(text));
        let said = said.map(|said| (said.id, Said { spec: said.spec, semantics: said.semantics })).collect();
        let got = match edits(&files, in_force, &said, Timestamp::UNIX_EPOCH) {
            Err(clashes) => clashes.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"),
            Ok(edits) => {
                let word = |edit: &AutomationEdit| match edit {
                    AutomationEdit::Put(automation) => format!("put {}", automation.spec.name),
                    AutomationEdit::Delete { id: gone } => {
                        format!("delete {}", in_force.iter().find(|kept| kept.id == *gone).unwrap().spec.name)
                    }
                    other => format!("{other:?}"),
                };
                edits.iter().map(word).collect::<Vec<_>>().join(", ")
            }
        };
        assert_eq!(got, expect, "{files:?}");
    }

    #[test]
    fn only_what_the_files_changed_is_edited() {
        let ours = |text: &str| kept(text, Origin::Files);
        check(&["a 3"], &[], &[], "put a");
        check(&["a 3"], &[ours("a 3")], &[], "");
        check(&["a 4", "b 1"], &[ours("a 3"), ours("b 1"), ours("c 1")], &["a 3"], "put a, delete c");
        check(&[], &[ours("a 3")], &[], "delete a");
        // What was said before is not known any more: the files count.
        check(&["a 4"], &[ours("a 3")], &[], "put a");
    }

    #[test]
    fn what_was_paused_by_hand_stays_so_until_the_file_changes() {
        let paused = [kept("a 3 paused", Origin::Files)];
        check(&["a 3"], &paused, &["a 3"], "");
        check(&["a 4"], &paused, &["a 3"], "put a");
        // The file itself said so before, and does not any more.
        check(&["a 3"], &paused, &["a 3 paused"], "put a");
        // Resumed by hand, while the file still says that it is paused.
        check(&["a 3 paused"], &[kept("a 3", Origin::Files)], &["a 3 paused"], "");
    }

    #[test]
    fn what_was_made_through_the_api_is_left_alone() {
        let made = |text: &str| kept(text, Origin::Api);
        check(&["a 3"], &[made("b 3")], &[], "put a");
        check(&[], &[made("b 3")], &[], "");
        let clash = "a.yaml:1:1: an automation `a` was made through the API (id ";
        let files = [file("a 3")];
        let mut other = made("a 3");
        for id in [id("a"), id("another")] {
            other.id = id;
            let clashes = edits(&files, &[other.clone()], &BTreeMap::new(), Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(clashes[0].to_string().starts_with(clash), "{}", clashes[0]);
        }
        // One that was in force before the other was made stays.
        check(&["a 3"], &[kept("a 3", Origin::Files), Automation { id: id("another"), ..made("a 3") }], &[], "");
    }
}
