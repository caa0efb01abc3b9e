//! People, schedules, policies and windows of the ruleset: checked, indexed, compiled.

use super::{BadRuleset, Matcher, Rules, Subject, bad, choices};
use crate::duty::interval::TimeInterval;
use crate::incident::matchers::Matchers;
use crate::limits;
use crate::ruleset::Ruleset;
use crate::ruleset::noise::Maintenance;
use crate::ruleset::people::{Person, Policy, Target};
use crate::run::PipelineKey;
use std::collections::BTreeMap;

/// An inhibition with its matchers compiled.
#[derive(Clone, Debug)]
pub struct CompiledInhibition {
    /// Name for people.
    pub name: String,
    /// Of the problem that silences.
    pub source: Matchers,
    /// Of what it silences.
    pub target: Matchers,
    /// Labels that must be equal.
    pub equal: Vec<String>,
}

impl Rules {
    /// The name of the person known under a name or alias.
    #[must_use]
    pub fn person(&self, name: &str) -> Option<&str> {
        self.person_by_name.get(name).map(String::as_str)
    }

    /// The maintenance windows of the configuration.
    pub fn maintenance(&self) -> impl Iterator<Item = (&Maintenance, &Matchers)> {
        self.maintenance.iter().map(|(window, matchers)| (window, matchers))
    }

    /// What a pipeline depends on, as configured.
    pub fn upstreams<'a>(
        &'a self,
        subject: &'a Subject<'a>,
        owner: Option<&'a str>,
    ) -> impl Iterator<Item = PipelineKey> + 'a {
        let tier = self.tier(subject);
        let found = self.upstreams.iter().filter(move |(matcher, _)| matcher.mismatch(subject, tier, owner).is_none());
        found.flat_map(|(_, on)| on.iter().cloned())
    }

    /// The inhibitions.
    #[must_use]
    pub fn inhibitions(&self) -> &[CompiledInhibition] {
        &self.inhibitions
    }
}

pub(super) fn index(source: &Ruleset) -> Result<BTreeMap<String, String>, BadRuleset> {
    let mut index = BTreeMap::new();
    for (name, person) in &source.people {
        for alias in std::iter::once(name).chain(&person.aliases) {
            if let Some(other) = index.insert(alias.clone(), name.clone())
                && &other != name
            {
                return bad(format!("people.{name}.aliases"), format!("`{alias}` already means `{other}`"));
            }
        }
    }
    Ok(index)
}

pub(super) fn check(source: &Ruleset) -> Result<(), BadRuleset> {
    for (name, person) in &source.people {
        check_person(source, &format!("people.{name}"), person)?;
    }
    for (name, schedule) in &source.schedules {
        let path = format!("schedules.{name}");
        schedule.check().or_else(|problem| bad(path.clone(), problem))?;
        for (position, layer) in schedule.layers.iter().enumerate() {
            for (turn, user) in layer.rotation.participants.iter().enumerate() {
                known_person(source, &format!("{path}.layers[{position}].rotation.participants[{turn}]"), user)?;
            }
        }
        for via in &schedule.announce {
            can_be_told(source, &format!("{path}.announce"), via)?;
        }
    }
    for (name, policy) in &source.escalations {
        check_policy(source, &format!("escalations.{name}"), policy)?;
    }
    for (name, team) in &source.teams {
        known_policy(source, format!("teams.{name}.escalation"), team.escalation.as_deref())?;
        for member in &team.members {
            known_person(source, &format!("teams.{name}.members"), member)?;
        }
    }
    for (position, rule) in source.rules.iter().enumerate() {
        known_policy(source, format!("rules[{position}].escalation"), rule.escalation.as_deref())?;
    }
    check_incidents(source)?;
    if let Some(canary) = &source.canary {
        if canary.every.seconds() < 60 {
            return bad("canary.every".into(), "must be at least 1m".into());
        }
        for via in &canary.connections {
            can_be_told(source, "canary.connections", via)?;
        }
    }
    Ok(())
}

fn check_incidents(source: &Ruleset) -> Result<(), BadRuleset> {
    let settings = &source.incidents;
    let longest = limits::REMEMBER_RESOLVED;
    if settings.flap_window.0 > longest {
        return bad("incidents.flap_window".into(), format!("must be at most {longest:#}"));
    }
    if settings.group_by.is_empty() {
        return bad("incidents.group_by".into(), "must name at least one label, for example owner".into());
    }
    match settings.storm {
        Some(storm) if storm.incidents == 0 || storm.within.seconds() < 1 => {
            bad("incidents.storm".into(), "needs at least 1 incident and 1s; write null for no limit".into())
        }
        Some(storm) if storm.within.0 > longest => {
            bad("incidents.storm.within".into(), format!("must be at most {longest:#}"))
        }
        _ => Ok(()),
    }
}

fn check_person(source: &Ruleset, path: &str, person: &Person) -> Result<(), BadRuleset> {
    for (position, contact) in person.contacts.iter().enumerate() {
        can_be_told(source, &format!("{path}.contacts[{position}].via"), &contact.via)?;
    }
    for interval in person.quiet.iter().flat_map(|quiet| &quiet.during) {
        check_interval(format!("{path}.quiet.during"), interval)?;
    }
    Ok(())
}

fn check_interval(path: String, interval: &TimeInterval) -> Result<(), BadRuleset> {
    interval.check().or_else(|problem| bad(path, problem))
}

fn check_policy(source: &Ruleset, path: &str, policy: &Policy) -> Result<(), BadRuleset> {
    if policy.steps.is_empty() {
        return bad(format!("{path}.steps"), "a policy needs at least one step".into());
    }
    let mut before = crate::ruleset::Span::default();
    for (position, step) in policy.steps.iter().enumerate() {
        let path = format!("{path}.steps[{position}]");
        if step.after < before {
            let problem = format!("{} is before the step above; offsets count from the opening", step.after);
            return bad(format!("{path}.after"), problem);
        }
        before = step.after;
        if step.targets.is_empty() {
            return bad(format!("{path}.targets"), "a step needs at least one target".into());
        }
        for (position, target) in step.targets.iter().enumerate() {
            known_target(source, &format!("{path}.targets[{position}]"), target)?;
        }
    }
    if policy.repeat.is_some_and(|repeat| repeat.times > 0 && repeat.every.seconds() < 1) {
        return bad(format!("{path}.repeat.every"), "must be at least 1s".into());
    }
    Ok(())
}

fn known_target(source: &Ruleset, path: &str, target: &Target) -> Result<(), BadRuleset> {
    match target {
        Target::Person(name) => known_person(source, path, name),
        Target::Channel(name) => can_be_told(source, path, name),
        Target::Team(name) if source.teams.contains_key(name) => Ok(()),
        Target::Team(name) => {
            bad(path.to_owned(), format!("there is no team `{name}`; {}", choices(source.teams.keys())))
        }
        Target::OnCall(name) if source.schedules.contains_key(name) => Ok(()),
        Target::OnCall(name) => {
            bad(path.to_owned(), format!("there is no schedule `{name}`; {}", choices(source.schedules.keys())))
        }
    }
}

pub(super) fn known_person(source: &Ruleset, path: &str, name: &str) -> Result<(), BadRuleset> {
    if source.people.contains_key(name) {
        return Ok(());
    }
    bad(path.to_owned(), format!("there is no person `{name}`; {}", choices(source.people.keys())))
}

fn known_policy(source: &Ruleset, path: String, name: Option<&str>) -> Result<(), BadRuleset> {
    match name {
        Some(name) if !source.escalations.contains_key(name) => {
            bad(path, format!("there is no escalation policy `{name}`; {}", choices(source.escalations.keys())))
        }
        _ => Ok(()),
    }
}

pub(super) fn can_be_told(source: &Ruleset, path: &str, via: &str) -> Result<(), BadRuleset> {
    match source.connections.get(via) {
        Some(info) if info.kind.can_tell() => Ok(()),
        Some(_) => bad(path.to_owned(), format!("`{via}` is read from; it cannot be told")),
        None => bad(path.to_owned(), format!("there is no connection `{via}`; {}", choices(source.connections.keys()))),
    }
}

pub(super) fn compile_upstreams(source: &Ruleset) -> Result<Vec<(Matcher, Vec<PipelineKey>)>, BadRuleset> {
    let compile = |(position, upstream): (usize, &crate::ruleset::noise::Upstream)| {
        let path = format!("upstreams[{position}]");
        let key = |text: &String| match text.split_once('/') {
            Some((source, name)) if !source.is_empty() && !name.is_empty() => {
                Ok(PipelineKey { source: source.into(), name: name.into() })
            }
            _ => bad(format!("{path}.on"), format!("`{text}` is not a pipeline; write source/pipeline")),
        };
        let matcher = Matcher::new(&upstream.matches, &format!("{path}.match"))?;
        Ok((matcher, upstream.on.iter().map(key).collect::<Result<_, _>>()?))
    };
    source.upstreams.iter().enumerate().map(compile).collect()
}

pub(super) fn compile_maintenance(source: &Ruleset) -> Result<Vec<(Maintenance, Matchers)>, BadRuleset> {
    let mut compiled: Vec<(Maintenance, Matchers)> = Vec::new();
    for (position, window) in source.maintenance.iter().enumerate() {
        let path = format!("maintenance[{position}]");
        if compiled.iter().any(|(other, _)| other.name == window.name) {
            return bad(format!("{path}.name"), format!("`{}` is the name of another window too", window.name));
        }
        window.when.check().or_else(|problem| bad(format!("{path}.when"), problem))?;
        for via in &window.announce {
            can_be_told(source, &format!("{path}.announce"), via)?;
        }
        let matchers = matchers(format!("{path}.matchers"), &window.matchers)?;
        compiled.push((window.clone(), matchers));
    }
    Ok(compiled)
}

pub(super) fn compile_inhibitions(source: &Ruleset) -> Result<Vec<CompiledInhibition>, BadRuleset> {
    let compile = |(position, inhibition): (usize, &crate::ruleset::noise::Inhibition)| {
        let path = format!("inhibitions[{position}]");
        let name = match inhibition.name.as_str() {
            "" => format!("inhibition {}", position + 1),
            name => name.to_owned(),
        };
        Ok(CompiledInhibition {
            name,
            source: matchers(format!("{path}.source_matchers"), &inhibition.source_matchers)?,
            target: matchers(format!("{path}.target_matchers"), &inhibition.target_matchers)?,
            equal: inhibition.equal.clone(),
        })
    };
    source.inhibitions.iter().enumerate().map(compile).collect()
}

fn matchers(path: String, texts: &[String]) -> Result<Matchers, BadRuleset> {
    Matchers::new(texts).or_else(|problem| bad(path, problem))
}
