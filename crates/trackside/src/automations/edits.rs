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
            None => match in_force.iter().find(|other| other.spec.name == wanted.spec.name) {
                Some(made) if made.origin == Origin::Api => clashes.push(clash(wanted, made)),
                _ => edits.push(AutomationEdit::Put(Box::new(wanted.automation(now)))),
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
