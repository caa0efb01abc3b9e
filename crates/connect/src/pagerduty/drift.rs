//! Where what PagerDuty says of teams differs from ours: whom a failure of a team would really page.
//!
//! Pure. Invariants: the same two sides give the same findings with the same keys; names are compared by their letters
//! and digits, so that `data-eng` and `Data Eng` are one; what cannot be told (a team without members, a service without
//! team) is not guessed.

use super::rest::{Account, Named, Policy, Service, Target, User};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::ruleset::people::Target as OurTarget;
use trackside_core::ruleset::{Ruleset, Team};

/// How one of our connections leads to a service of PagerDuty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// By the id of the service.
    Service(String),
    /// By the fingerprint of the integration key ([`super::rest::fingerprint`]).
    Key(String),
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What sort.
    pub kind: Kind,
    /// Our team that it concerns; none when it concerns all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// What it is about in PagerDuty or here: a connection, a policy, a person.
    pub about: String,
    /// One line for people.
    pub summary: String,
}

/// Kinds of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A failure of our team would page people of another.
    PagesOthers,
    /// A connection leads to no service.
    NoService,
    /// A service has no escalation policy, or one that is not there.
    NoPolicy,
    /// The first level of a policy reaches nobody.
    NobodyFirst,
    /// A service is switched off.
    Disabled,
    /// Somebody is in our team and not in PagerDuty's.
    MissingThere,
    /// Somebody is in PagerDuty's team and not in ours.
    MissingHere,
}

impl Finding {
    /// What identifies it among those of a connection.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{:?}/{}/{}", self.kind, self.team.as_deref().unwrap_or_default(), self.about)
    }
}

/// Compares.
#[must_use]
pub fn compare(ruleset: &Ruleset, routes: &BTreeMap<String, Route>, account: &Account) -> Vec<Finding> {
    let comparison = Comparison { ruleset, account };
    let mut findings = Vec::new();
    for (connection, route) in routes {
        let Some(service) = comparison.service(route) else {
            let how = match route {
                Route::Service(id) => format!("no service with the id {id}"),
                Route::Key(_) => "no service with its integration key".to_owned(),
            };
            let summary = format!("PagerDuty has {how}: messages through {connection} page nobody that is known here");
            findings.push(Finding { kind: Kind::NoService, team: None, about: connection.clone(), summary });
            continue;
        };
        findings.extend(comparison.of_service(connection, service));
    }
    for (name, team) in &ruleset.teams {
        findings.extend(comparison.of_members(name, team));
    }
    findings.sort_by_key(Finding::key);
    findings.dedup_by_key(|finding| finding.key());
    findings
}

struct Comparison<'a> {
    ruleset: &'a Ruleset,
    account: &'a Account,
}

impl<'a> Comparison<'a> {
    fn service(&self, route: &Route) -> Option<&'a Service> {
        self.account.services.iter().find(|service| match route {
            Route::Service(id) => service.id == *id,
            Route::Key(key) => service.keys.contains(key),
        })
    }

    /// What is wrong with the service that a connection leads to, for the teams that use it.
    fn of_service(&self, connection: &str, service: &Service) -> Vec<Finding> {
        let title = &service.name;
        let finding = |kind, team: Option<&str>, summary| Finding {
            kind,
            team: team.map(str::to_owned),
            about: service.id.clone(),
            summary,
        };
        let mut findings = Vec::new();
        if service.status == "disabled" {
            let summary = format!("the PagerDuty service {title} ({connection}) is disabled: it pages nobody");
            findings.push(finding(Kind::Disabled, None, summary));
        }
        let policy = service.escalation_policy.as_ref();
        let Some(policy) = policy.and_then(|named| self.account.policies.iter().find(|one| one.id == named.id)) else {
            let summary = format!("the PagerDuty service {title} ({connection}) has no escalation policy");
            findings.push(finding(Kind::NoPolicy, None, summary));
            return findings;
        };
        let first = self.first_level(policy);
        if first.is_empty() {
            let summary =
                format!("the first level of the PagerDuty policy {} ({connection}) reaches nobody", policy.name);
            findings.push(finding(Kind::NobodyFirst, None, summary));
        }
        for (name, team) in self.teams_through(connection) {
            if let Some(others) = self.others(name, team, service, policy, &first) {
                let summary = format!(
                    "a failure owned by {name} would page {others}: {connection} leads to the PagerDuty service {title}, \
                     policy {}",
                    policy.name
                );
                findings.push(finding(Kind::PagesOthers, Some(name), summary));
            }
        }
        findings
    }

    /// Our teams whose failures go through a connection, by what they are told or by their escalation.
    fn teams_through(&self, connection: &str) -> Vec<(&'a str, &'a Team)> {
        let escalates = |team: &Team| {
            let policy = team.escalation.as_ref().and_then(|policy| self.ruleset.escalations.get(policy));
            let mut targets = policy.into_iter().flat_map(|policy| &policy.steps).flat_map(|step| &step.targets);
            targets.any(|target| matches!(target, OurTarget::Channel(via) if via == connection))
        };
        let told = |team: &Team| team.notify.iter().any(|notify| notify.via == connection);
        let teams = self.ruleset.teams.iter().filter(|(_, team)| told(team) || escalates(team));
        teams.map(|(name, team)| (name.as_str(), team)).collect()
    }

    /// Who would be paged instead of a team; none when it is the team itself, or it cannot be told.
    fn others(
        &self,
        name: &str,
        team: &Team,
        service: &Service,
        policy: &Policy,
        first: &[&'a User],
    ) -> Option<String> {
        let owners: BTreeSet<&Named> = service.teams.iter().chain(&policy.teams).collect();
        if !owners.is_empty() {
            if owners.iter().any(|owner| is_team(name, team, owner)) {
                return None;
            }
            let names: BTreeSet<&str> = owners.iter().map(|owner| self.team_title(owner)).collect();
            return Some(names.into_iter().collect::<Vec<_>>().join(", "));
        }
        let ours = |user: &&User| team.members.iter().any(|member| self.is_person(member, user));
        if team.members.is_empty() || first.is_empty() || first.iter().any(ours) {
            return None;
        }
        let names: Vec<&str> = first.iter().map(|user| user.name.as_str()).collect();
        Some(format!("{}, who are not in the team", names.join(", ")))
    }

    fn team_title(&self, owner: &'a Named) -> &'a str {
        if !owner.name.is_empty() {
            return &owner.name;
        }
        self.account.teams.iter().find(|team| team.id == owner.id).map_or(&owner.id, |team| &team.name)
    }

    /// The people that the first level of a policy may reach.
    fn first_level(&self, policy: &Policy) -> Vec<&'a User> {
        let targets = policy.levels.first().map(|level| level.targets.as_slice()).unwrap_or_default();
        let ids: BTreeSet<&str> = targets.iter().flat_map(|target| self.reached(target)).collect();
        self.account.users.iter().filter(|user| ids.contains(user.id.as_str())).collect()
    }

    fn reached<'b>(&'b self, target: &'b Target) -> Vec<&'b str> {
        if !target.kind.starts_with("schedule") {
            return vec![&target.id];
        }
        let schedule = self.account.schedules.iter().find(|schedule| schedule.id == target.id);
        schedule.map(|schedule| schedule.users.iter().map(|user| user.id.as_str()).collect()).unwrap_or_default()
    }

    /// Who is in a team on one side only. Teams that are on one side only are left alone.
    fn of_members(&self, name: &str, team: &Team) -> Vec<Finding> {
        let Some(theirs) = self.account.teams.iter().find(|theirs| is_team(name, team, theirs)) else {
            return Vec::new();
        };
        if team.members.is_empty() {
            return Vec::new();
        }
        let there: Vec<&User> =
            self.account.users.iter().filter(|user| user.teams.iter().any(|team| team.id == theirs.id)).collect();
        let finding = |kind, about: &str, summary| Finding {
            kind,
            team: Some(name.to_owned()),
            about: about.to_owned(),
            summary,
        };
        let missing_there = team.members.iter().filter(|member| !there.iter().any(|user| self.is_person(member, user)));
        let missing_there = missing_there.map(|member| {
            let summary = format!("{member} is in {name}, but not in the PagerDuty team {}", theirs.name);
            finding(Kind::MissingThere, member, summary)
        });
        let missing_here = there.iter().filter(|user| !team.members.iter().any(|member| self.is_person(member, user)));
        let missing_here = missing_here.map(|user| {
            let summary = format!("{} is in the PagerDuty team {}, but not in {name}", user.email, theirs.name);
            finding(Kind::MissingHere, &user.id, summary)
        });
        missing_there.chain(missing_here).collect()
    }

    /// Whether a user of PagerDuty is one of our people: by id or address among their aliases and contacts.
    fn is_person(&self, person: &str, user: &User) -> bool {
        let same = |name: &str| name.eq_ignore_ascii_case(&user.id) || name.eq_ignore_ascii_case(&user.email);
        let known = self.ruleset.people.get(person);
        let aliases = known.into_iter().flat_map(|person| &person.aliases).map(String::as_str);
        let contacts = known.into_iter().flat_map(|person| &person.contacts).filter_map(|one| one.to.as_deref());
        same(person) || aliases.chain(contacts).any(same)
    }
}

/// Whether a team of PagerDuty is ours: by its id or name among the names and aliases of ours.
fn is_team(name: &str, team: &Team, theirs: &Named) -> bool {
    let ours = std::iter::once(name).chain(team.aliases.iter().map(String::as_str));
    let plain = plain(&theirs.name);
    ours.into_iter().any(|our| our == theirs.id || (!plain.is_empty() && self::plain(our) == plain))
}

/// Letters and digits in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
