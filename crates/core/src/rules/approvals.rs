//! Rules about agreement: whom they ask exists, and enough people may ever say yes.

use super::people::{can_be_told, known_person};
use super::{BadRuleset, bad, choices};
use crate::approval::rule::{APPROVERS, ApprovalChoice, ApprovalRule, GROUP, PERSON, Voice};
use crate::limits;
use crate::ruleset::Ruleset;
use std::collections::BTreeSet;

pub(super) fn check(source: &Ruleset) -> Result<(), BadRuleset> {
    for (name, rule) in &source.approvals {
        check_rule(source, &format!("approvals.{name}"), rule)?;
    }
    for (name, job) in &source.jobs {
        if let Some(choice) = &job.approval {
            check_choice(source, &format!("jobs.{name}.approval"), choice)?;
        }
    }
    for (name, route) in &source.route_approvals {
        check_choice(source, &format!("routes.{name}.approval"), &route.approval)?;
    }
    Ok(())
}

fn check_choice(source: &Ruleset, path: &str, choice: &ApprovalChoice) -> Result<(), BadRuleset> {
    match choice {
        ApprovalChoice::Own(rule) => check_rule(source, path, rule),
        ApprovalChoice::Named(named) if source.approvals.contains_key(&named.rule) => Ok(()),
        ApprovalChoice::Named(named) => {
            let known = choices(source.approvals.keys());
            bad(format!("{path}.rule"), format!("there is no approval rule `{}`; {known}", named.rule))
        }
    }
}

fn check_rule(source: &Ruleset, path: &str, rule: &ApprovalRule) -> Result<(), BadRuleset> {
    let most = limits::APPROVAL_PARTS;
    if rule.any_of.is_empty() || rule.any_of.len() > most {
        return bad(format!("{path}.any_of"), format!("needs 1 to {most} parts, each with `all_of`"));
    }
    for (position, quorum) in rule.any_of.iter().enumerate() {
        let path = format!("{path}.any_of[{position}].all_of");
        if quorum.all_of.is_empty() || quorum.all_of.len() > most {
            return bad(path, format!("needs 1 to {most} groups, each with `from`"));
        }
        for (position, voice) in quorum.all_of.iter().enumerate() {
            check_voice(source, &format!("{path}[{position}]"), voice)?;
        }
        check_people(&path, &quorum.all_of)?;
    }
    if rule.expires.is_some_and(|span| span.seconds() < 1 || span.0 > limits::APPROVAL_WAITS_MOST) {
        let days = limits::APPROVAL_WAITS_MOST.as_hours() / 24;
        return bad(format!("{path}.expires"), format!("must be from 1s to {days}d"));
    }
    if rule.grant.is_some_and(|span| span.seconds() < 1 || span.0 > limits::GRANT_MOST) {
        return bad(format!("{path}.grant"), format!("must be from 1s to {}h", limits::GRANT_MOST.as_hours()));
    }
    for (position, via) in rule.notify.iter().enumerate() {
        can_be_told(source, &format!("{path}.notify[{position}]"), via)?;
    }
    Ok(())
}

fn check_voice(source: &Ruleset, path: &str, voice: &Voice) -> Result<(), BadRuleset> {
    if voice.from.is_empty() {
        return bad(format!("{path}.from"), format!("name a team, `{PERSON}NAME`, `{GROUP}NAME` or `{APPROVERS}`"));
    }
    let most = limits::APPROVAL_PARTS as u32;
    if voice.count.is_some_and(|count| count == 0 || count > most) {
        return bad(format!("{path}.count"), format!("must be from 1 to {most}"));
    }
    for (position, name) in voice.from.iter().enumerate() {
        let path = format!("{path}.from[{position}]");
        if let Some(person) = name.strip_prefix(PERSON) {
            known_person(source, &path, person)?;
        } else if name.starts_with(GROUP) {
            if name.len() == GROUP.len() {
                return bad(path, format!("write the name of a group of your issuer after `{GROUP}`"));
            }
        } else if name != APPROVERS && !source.teams.contains_key(name) {
            let teams = choices(source.teams.keys());
            let others = format!("or write `{PERSON}NAME`, `{GROUP}NAME`, `{APPROVERS}`");
            return bad(path, format!("there is no team `{name}`; {teams}; {others}"));
        }
    }
    Ok(())
}

/// Groups that name people one by one can be too few: a person takes one seat only.
fn check_people(path: &str, all_of: &[Voice]) -> Result<(), BadRuleset> {
    let named = |voice: &&Voice| voice.from.iter().all(|name| name.starts_with(PERSON));
    let closed: Vec<&Voice> = all_of.iter().filter(named).collect();
    for voice in &closed {
        let (people, needed) = (voice.from.len(), voice.needed());
        if needed > people {
            return bad(path.to_owned(), format!("{needed} of {people} people can never agree: {}", voice.title()));
        }
    }
    let people: BTreeSet<&String> = closed.iter().flat_map(|voice| &voice.from).collect();
    let needed: usize = closed.iter().map(|voice| voice.needed()).sum();
    if needed > people.len() {
        let problem = format!("needs {needed} people but names {}: nobody counts twice", people.len());
        return bad(path.to_owned(), problem);
    }
    Ok(())
}
