//! Who speaks: every name somebody is known under, and whether they may say something to a question.
//!
//! One function for the decision and for the pages, so that a button is shown exactly where a word would count.

use super::request::{Approval, Says};
use super::rule::{APPROVERS, OwnRequests, PERSON};
use crate::caller::Caller;
use crate::limits;
use std::collections::BTreeSet;

/// Every name of a caller and of those on whose behalf: `person:NAME` for people of the configuration, whom `person`
/// finds by any name. People among the names that the door `found` are added.
#[must_use]
pub fn known_as<'p>(
    caller: &Caller,
    found: &BTreeSet<String>,
    person: impl Fn(&str) -> Option<&'p str>,
) -> BTreeSet<String> {
    let named = |name: &String| person(name).map_or_else(|| name.clone(), |person| format!("{PERSON}{person}"));
    let mut names: BTreeSet<String> = std::iter::once(&caller.subject).chain(&caller.behalf).map(named).collect();
    names.extend(found.iter().filter(|name| name.starts_with(PERSON)).cloned());
    names
}

impl Approval {
    /// Whether a word of somebody would count now.
    ///
    /// # Errors
    /// Why it would not, for people.
    pub fn hears(&self, says: Says, known_as: &BTreeSet<String>, speaks_for: &BTreeSet<String>) -> Result<(), String> {
        let stops = says == Says::Deny && speaks_for.contains(APPROVERS);
        if !self.rule.asks(speaks_for) && !stops {
            return Err(format!("you are not asked; it needs {}", self.missing()));
        }
        if self.rule.own == OwnRequests::Refused && self.is_asked_by(known_as) {
            return Err("it is your own request; somebody else must decide it (you can take it back)".to_owned());
        }
        match self.voice_of(known_as) {
            Some(voice) if says == Says::Approve => Err(format!("you said yes already, at {}", voice.at)),
            None if self.voices.len() >= limits::VOICES => Err("too many have spoken already".to_owned()),
            _ => Ok(()),
        }
    }
}
