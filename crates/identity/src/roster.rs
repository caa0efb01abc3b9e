//! Who is there and in which team, as the source of truth for people says (SCIM): what an identity is compared with.
//!
//! A value, made anew when people or the configuration change. Invariants: a name that an active user has is never
//! refused because another user with it is not; people are compared by the names that issuers use of them (subject,
//! e-mail, user name), without regard to case; every name that an issuer says takes access away, but only those that the
//! configuration trusts (the subject, and attributes it takes over) put somebody into a team; our own API tokens are no
//! people.

use crate::callers::NotKnown;
use crate::directory::{Identity, Kind};
use crate::scim::user::User;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trackside_core::ruleset::Ruleset;

/// Attributes that name a person, where the configuration takes them over. What an issuer says without being asked is in
/// [`Identity::aliases`].
const NAMING: &[&str] = &["sub", "email", "preferred_username", "upn", "unique_name", "oid", "username", "login"];

/// Somebody as the source says.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// What it says of them.
    pub user: User,
    /// Whether they are there.
    pub standing: Standing,
    /// Names of their groups.
    pub groups: Vec<String>,
}

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Active.
    Here,
    /// Known and not active.
    Inactive,
    /// Deleted.
    Deleted,
}

/// Who is refused, and who is in which team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Names in lower case, and why they are refused.
    refused: BTreeMap<String, String>,
    /// Names in lower case, and their teams.
    teams: BTreeMap<String, BTreeSet<String>>,
    /// People of the configuration who are gone, and why.
    gone: BTreeMap<String, String>,
    /// Members of teams, as the source says, by name for people.
    members: BTreeMap<String, BTreeSet<String>>,
}

impl Roster {
    /// What follows from what the source says. `groups` maps names of groups to teams; a group that has the name or an
    /// alias of a team needs no entry.
    #[must_use]
    pub fn new(listed: &[Listed], ruleset: &Ruleset, groups: &BTreeMap<String, String>) -> Self {
        let people = names_of_people(ruleset);
        let mut roster = Self::default();
        let mut here = BTreeSet::new();
        for Listed { user, standing, groups: theirs } in listed {
            let person = user.names().iter().find_map(|name| people.get(name).copied());
            let mut names = user.names();
            if let Some(person) = person {
                names.extend(names_of_person(ruleset, person));
            }
            let why = match standing {
                Standing::Here => {
                    here.extend(names.iter().cloned());
                    here.extend(person.map(str::to_owned));
                    roster.join(user, person, &names, theirs, ruleset, groups);
                    continue;
                }
                Standing::Inactive => format!("{} is not active in the directory", user.user_name),
                Standing::Deleted => format!("{} was deleted from the directory", user.user_name),
            };
            roster.gone.extend(person.map(|person| (person.to_owned(), why.clone())));
            roster.refused.extend(names.into_iter().map(|name| (name, why.clone())));
        }
        roster.refused.retain(|name, _| !here.contains(name));
        roster.gone.retain(|name, _| !here.contains(name));
        roster
    }

    fn join(
        &mut self,
        user: &User,
        person: Option<&str>,
        names: &BTreeSet<String>,
        theirs: &[String],
        ruleset: &Ruleset,
        groups: &BTreeMap<String, String>,
    ) {
        for team in theirs.iter().filter_map(|group| team_of(group, ruleset, groups)) {
            for name in names {
                self.teams.entry(name.clone()).or_default().insert(team.to_owned());
            }
            let title = person.map_or_else(|| user.title().to_owned(), str::to_owned);
            self.members.entry(team.to_owned()).or_default().insert(title);
        }
    }

    /// The identity with the teams that the source gives it.
    ///
    /// # Errors
    /// When the person it stands for, or acts for, is not there any more.
    pub fn admit(&self, identity: Arc<Identity>) -> Result<Arc<Identity>, NotKnown> {
        if self.refused.is_empty() && self.teams.is_empty() {
            return Ok(identity);
        }
        if identity.kind == Kind::Service && identity.issuer.is_none() {
            return Ok(identity);
        }
        let names = names_of_identity(&identity);
        let refused = |name: &String| self.refused.get(name).or_else(|| self.refused.get(&name.to_lowercase()));
        if let Some(why) = names.iter().chain(&identity.aliases).chain(&actors(&identity)).find_map(refused) {
            return Err(NotKnown::Invalid(why.clone()));
        }
        let teams: BTreeSet<&String> = names.iter().filter_map(|name| self.teams.get(name)).flatten().collect();
        if teams.iter().all(|team| identity.teams.contains(*team)) {
            return Ok(identity);
        }
        let mut identity = Identity::clone(&identity);
        identity.teams.extend(teams.into_iter().cloned());
        Ok(Arc::new(identity))
    }

    /// People of the configuration who are gone, by name, with what says so.
    #[must_use]
    pub fn gone(&self) -> &BTreeMap<String, String> {
        &self.gone
    }

    /// The members of a team, as the source says; none when it says nothing of it.
    #[must_use]
    pub fn members(&self, team: &str) -> Option<&BTreeSet<String>> {
        self.members.get(team)
    }

    /// Whether the same people are refused as by another.
    #[must_use]
    pub fn refuses_the_same(&self, other: &Self) -> bool {
        self.refused.keys().eq(other.refused.keys())
    }
}

/// The team that a group is.
fn team_of<'a>(group: &str, ruleset: &'a Ruleset, groups: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let mapped = groups.iter().find(|(name, _)| name.eq_ignore_ascii_case(group)).map(|(_, team)| team.as_str());
    mapped.or_else(|| {
        let same = |name: &String| name.eq_ignore_ascii_case(group);
        let mut teams = ruleset.teams.iter();
        teams.find(|(name, team)| same(name) || team.aliases.iter().any(same)).map(|(name, _)| name.as_str())
    })
}

/// Who somebody is in the configuration, by each of their names in lower case. A name of two people means neither.
fn names_of_people(ruleset: &Ruleset) -> BTreeMap<String, &str> {
    let mut people = BTreeMap::new();
    let mut doubtful = BTreeSet::new();
    for person in ruleset.people.keys() {
        for name in names_of_person(ruleset, person) {
            if people.insert(name.clone(), person.as_str()).is_some_and(|other| other != person) {
                doubtful.insert(name);
            }
        }
    }
    people.retain(|name, _| !doubtful.contains(name));
    people
}

/// The key, the aliases and the addresses of a person.
fn names_of_person(ruleset: &Ruleset, name: &str) -> BTreeSet<String> {
    let person = ruleset.people.get(name);
    let aliases = person.into_iter().flat_map(|person| &person.aliases);
    let contacts = person.into_iter().flat_map(|person| &person.contacts);
    let addresses = contacts.filter_map(|contact| contact.to.as_ref()).filter(|to| to.contains('@'));
    aliases.chain(addresses).map(|alias| alias.to_lowercase()).chain([name.to_lowercase()]).collect()
}

fn names_of_identity(identity: &Identity) -> BTreeSet<String> {
    let caller = &identity.caller;
    let prefix = identity.issuer.as_ref().map(|issuer| format!("{issuer}:"));
    let bare = prefix.as_ref().and_then(|prefix| caller.subject.strip_prefix(prefix.as_str()));
    let claims = NAMING.iter().filter_map(|claim| identity.attributes.get(*claim)).map(String::as_str);
    let texts = [caller.subject.as_str(), identity.token_name.as_str()].into_iter().chain(bare).chain(claims);
    texts.map(str::to_lowercase).collect()
}

/// Who acts for the subject, each as the audit and as their issuer names them. Their teams are not the subject's.
fn actors(identity: &Identity) -> BTreeSet<String> {
    let bare = |actor: &String| match actor.split_once(':') {
        Some((issuer, sub)) if identity.issuer.as_deref() == Some(issuer) => vec![actor.clone(), sub.to_owned()],
        _ => vec![actor.clone()],
    };
    identity.caller.behalf.iter().flat_map(bare).collect()
}

#[cfg(test)]
mod tests;
