//! What is allowed of people, schedules and escalations but probably not meant: somebody who is to be paged and cannot
//! be, a step that reaches nobody, what nobody uses.
//!
//! Gaps of schedules depend on the day they are looked for; they are found in [`super::ahead`].

use super::Config;
use super::merge::Origins;
use super::problem::Problem;
use std::collections::BTreeSet;
use trackside_connect::connection::{ConnectionConfig, SlackAccess};
use trackside_core::event::Severity;
use trackside_core::owner;
use trackside_core::rules::{Rules, Subject};
use trackside_core::ruleset::people::Target;
use trackside_core::ruleset::{PipelineEntry, Ruleset};

/// The tier whose problems are critical unless a rule says otherwise.
const CRITICAL_TIER: u8 = 1;

/// Whether something can be told through a connection: of an incident, a hand-over, a window, a question.
pub(super) fn tells(rules: &Ruleset, connection: &str) -> bool {
    let notify = rules.teams.values().flat_map(|team| &team.notify).map(|notify| &notify.via);
    let contacts = rules.people.values().flat_map(|person| &person.contacts).map(|contact| &contact.via);
    let shifts = rules.schedules.values().flat_map(|schedule| &schedule.announce);
    let windows = rules.maintenance.iter().flat_map(|window| &window.announce);
    let canary = rules.canary.iter().flat_map(|canary| &canary.connections);
    let approvals = rules.approval_rules().flat_map(|rule| &rule.notify);
    let steps = targets(rules).filter_map(|target| match target {
        Target::Channel(name) => Some(name),
        _ => None,
    });
    notify
        .chain(contacts)
        .chain(shifts)
        .chain(windows)
        .chain(canary)
        .chain(approvals)
        .chain(steps)
        .any(|via| via == connection)
}

fn targets(rules: &Ruleset) -> impl Iterator<Item = &Target> {
    rules.escalations.values().flat_map(|policy| &policy.steps).flat_map(|step| &step.targets)
}

/// Warnings about people and what pages them.
pub(super) fn warnings(config: &Config, origins: &Origins<'_>) -> Vec<Problem> {
    let rules = &config.ruleset;
    let mut warnings = Warnings { found: Vec::new(), origins };
    warnings.unreachable(rules);
    warnings.steps_to_nobody(rules);
    warnings.misdirected(config);
    warnings.unused(rules);
    warnings.unescalated(rules);
    warnings.found
}

struct Warnings<'a> {
    found: Vec<Problem>,
    origins: &'a Origins<'a>,
}

impl Warnings<'_> {
    fn add(&mut self, path: &str, problem: String, suggestion: &str) {
        let problem = self.origins.problem(path, problem);
        self.found.push(Problem { suggestion: Some(suggestion.to_owned()), ..problem });
    }

    /// People who take turns or are paged, and have no contact.
    fn unreachable(&mut self, rules: &Ruleset) {
        let layers = rules.schedules.values().flat_map(|schedule| &schedule.layers);
        let mut paged: BTreeSet<&String> = layers.flat_map(|layer| &layer.rotation.participants).collect();
        paged.extend(targets(rules).filter_map(|target| match target {
            Target::Person(name) => Some(name),
            _ => None,
        }));
        for name in paged {
            if rules.people.get(name).is_some_and(|person| person.contacts.is_empty()) {
                let problem = "is to be paged and has no contact".to_owned();
                self.add(&format!("people.{name}"), problem, "add `contacts: [{via: CONNECTION}]`");
            }
        }
    }

    fn steps_to_nobody(&mut self, rules: &Ruleset) {
        for (name, policy) in &rules.escalations {
            for (index, step) in policy.steps.iter().enumerate() {
                if !step.targets.iter().any(|target| reaches(rules, target)) {
                    let problem = format!("step {} can reach nobody", index + 1);
                    let path = format!("escalations.{name}.steps[{index}].targets");
                    self.add(&path, problem, "give one of its targets a contact, or name another target");
                }
            }
        }
    }

    /// Addresses that the connection beside them cannot use.
    fn misdirected(&mut self, config: &Config) {
        for (name, person) in &config.ruleset.people {
            for (index, contact) in person.contacts.iter().enumerate() {
                let Some(connection) = config.connections.get(&contact.via).filter(|_| contact.to.is_some()) else {
                    continue;
                };
                if let Some(only) = one_address(connection) {
                    let problem = format!("`{}` {only}; `to` changes nothing", contact.via);
                    let path = format!("people.{name}.contacts[{index}].to");
                    self.add(&path, problem, "leave it out, or name a connection of the person's own");
                }
            }
        }
    }

    fn unused(&mut self, rules: &Ruleset) {
        let called: BTreeSet<String> = targets(rules).map(ToString::to_string).collect();
        for name in rules.schedules.keys() {
            if !called.contains(&Target::OnCall(name.clone()).to_string()) {
                let problem = "no escalation policy pages who is on call in it".to_owned();
                self.add(&format!("schedules.{name}"), problem, &format!("name `oncall:{name}` in a policy's step"));
            }
        }
        let teams = rules.teams.values().filter_map(|team| team.escalation.as_ref());
        let used: BTreeSet<&String> =
            teams.chain(rules.rules.iter().filter_map(|rule| rule.escalation.as_ref())).collect();
        for name in rules.escalations.keys().filter(|name| !used.contains(name)) {
            let problem = "no team and no rule uses it".to_owned();
            let suggestion = format!("write `escalation: {name}` at a team or a rule");
            self.add(&format!("escalations.{name}"), problem, &suggestion);
        }
    }

    /// Teams whose pipelines are of the first tier and that escalate nothing, where others do.
    fn unescalated(&mut self, rules: &Ruleset) {
        let plain = rules.rules.iter().any(|rule| {
            rule.escalation.is_none() && rule.severity.is_none_or(|severity| severity == Severity::Critical)
        });
        // Mistakes of the rules are told by whoever judges the whole.
        let Ok(compiled) = Rules::new(rules.clone()) else { return };
        if rules.escalations.is_empty() || !plain {
            return;
        }
        let critical = rules.pipelines.iter().filter(|entry| entry.tier == Some(CRITICAL_TIER));
        let owners: BTreeSet<String> = critical.filter_map(|entry| owner_of(&compiled, entry)).collect();
        for name in owners {
            if rules.teams.get(&name).is_some_and(|team| team.escalation.is_none()) {
                let problem = "owns pipelines of tier 1, and nothing escalates when nobody reacts".to_owned();
                self.add(&format!("teams.{name}"), problem, "add `escalation: POLICY`");
            }
        }
    }
}

/// Whether a page to this target reaches anybody at some time.
fn reaches(rules: &Ruleset, target: &Target) -> bool {
    let has_contact = |name: &String| rules.people.get(name).is_some_and(|person| !person.contacts.is_empty());
    match target {
        Target::Person(name) => has_contact(name),
        Target::Channel(name) => rules.connections.contains_key(name),
        Target::Team(name) => rules.teams.get(name).is_some_and(|team| !team.notify.is_empty()),
        Target::OnCall(name) => rules.schedules.get(name).is_some_and(|schedule| {
            schedule.layers.iter().flat_map(|layer| &layer.rotation.participants).any(has_contact)
        }),
    }
}

/// Why a connection cannot be told another address, when it cannot.
fn one_address(connection: &ConnectionConfig) -> Option<&'static str> {
    match connection {
        ConnectionConfig::Pagerduty(_) => Some("pages the one service of its routing key"),
        ConnectionConfig::Slack(slack) => matches!(slack.access, SlackAccess::IncomingWebhook { .. })
            .then_some("is an incoming webhook, which posts to its one channel"),
        ConnectionConfig::Webhook(_) | ConnectionConfig::Email(_) | ConnectionConfig::Prefect(_) => None,
        ConnectionConfig::Http(_) | ConnectionConfig::Airflow(_) | ConnectionConfig::AppService(_) => None,
    }
}

/// The team that an entry of the catalogue gives a pipeline to: what it says, else what the owner rules make of a pipeline
/// that is named in full.
fn owner_of(rules: &Rules, entry: &PipelineEntry) -> Option<String> {
    if let Some(owner) = entry.owner.as_ref().or(entry.matches.owner.as_ref()) {
        return Some(owner.clone());
    }
    let (source, pipeline) = (entry.matches.source.as_deref(), entry.matches.pipeline.as_deref()?);
    let subject = Subject { source: source.unwrap_or_default(), pipeline, ..Subject::default() };
    let named = !pipeline.contains(['*', '?', '[', '{']);
    named.then(|| owner::resolve(rules, &subject).team)
}
