//! Names in requests: of people, schedules, teams and connections. One that is not known is refused with those that are.
//!
//! Pure: the rules in force are handed in.

use crate::problem::Problem;
use http::StatusCode;
use trackside_core::duty::schedule::Schedule;
use trackside_core::incident::matchers::Matchers;
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::people::{Person, Target};

/// Names listed in a refusal.
const CHOICES: usize = 20;

/// The person known under a name or alias.
pub(crate) fn known<'a>(ruleset: &'a Ruleset, name: &str) -> Option<(&'a str, &'a Person)> {
    let by_name = ruleset.people.get_key_value(name);
    let by_alias = || ruleset.people.iter().find(|(_, person)| person.aliases.iter().any(|alias| alias == name));
    by_name.or_else(by_alias).map(|(name, person)| (name.as_str(), person))
}

/// The person behind a caller's name; the name itself when it is nobody's.
pub(crate) fn behind<'a>(ruleset: &'a Ruleset, subject: &'a str) -> &'a str {
    known(ruleset, subject).map_or(subject, |(name, _)| name)
}

/// The name of the person that a request means by name or alias.
pub(crate) fn person(ruleset: &Ruleset, at: &str, name: &str) -> Result<String, Problem> {
    let unknown = || Problem::bad(at, format!("there is no person `{name}`; {}", choices(ruleset.people.keys())));
    known(ruleset, name).map(|(name, _)| name.to_owned()).ok_or_else(unknown)
}

/// The schedule of an address.
pub(crate) fn schedule<'a>(ruleset: &'a Ruleset, name: &str) -> Result<&'a Schedule, Problem> {
    ruleset.schedules.get(name).ok_or_else(|| {
        let detail = format!("there is no schedule `{name}`; {}", choices(ruleset.schedules.keys()));
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

/// The team of a parameter, by name or alias.
pub(crate) fn team(ruleset: &Ruleset, at: &str, name: &str) -> Result<String, Problem> {
    let alias = |(_, team): &(&String, &trackside_core::ruleset::Team)| team.aliases.iter().any(|alias| alias == name);
    let found = ruleset.teams.get_key_value(name).or_else(|| ruleset.teams.iter().find(alias));
    let unknown = || Problem::bad(at, format!("there is no team `{name}`; {}", choices(ruleset.teams.keys())));
    found.map(|(name, _)| name.clone()).ok_or_else(unknown)
}

/// A connection that messages can go out through.
pub(crate) fn connection(ruleset: &Ruleset, at: &str, name: &str) -> Result<(), Problem> {
    let sends = ruleset.connections.iter().filter(|(_, info)| info.kind.can_tell()).map(|(name, _)| name);
    match ruleset.connections.get(name) {
        Some(info) if info.kind.can_tell() => Ok(()),
        _ => Err(Problem::bad(at, format!("nothing can be sent through `{name}`; {}", choices(sends)))),
    }
}

/// A target whose name is known, with a person's or team's own name in place of an alias.
pub(crate) fn target(ruleset: &Ruleset, at: &str, target: Target) -> Result<Target, Problem> {
    match target {
        Target::Person(name) => Ok(Target::Person(person(ruleset, at, &name)?)),
        Target::Team(name) => Ok(Target::Team(team(ruleset, at, &name)?)),
        Target::Channel(name) => connection(ruleset, at, &name).map(|()| Target::Channel(name)),
        Target::OnCall(name) => {
            schedule(ruleset, &name).map_err(|unknown| Problem::bad(at, unknown.detail))?;
            Ok(Target::OnCall(name))
        }
    }
}

/// Matchers that can be used.
pub(crate) fn matchers(texts: &[String]) -> Result<Matchers, Problem> {
    Matchers::new(texts).map_err(|problem| Problem::bad("matchers", problem))
}

fn choices<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut names: Vec<&str> = names.map(String::as_str).collect();
    let more = names.len().saturating_sub(CHOICES);
    names.truncate(CHOICES);
    match (names.is_empty(), more) {
        (true, _) => "none is declared".to_owned(),
        (false, 0) => format!("declared are {}", names.join(", ")),
        (false, more) => format!("declared are {} and {more} more", names.join(", ")),
    }
}
