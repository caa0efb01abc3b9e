//! Whom a caller speaks for when agreement is asked: found here, at the door, from what is known of them.
//!
//! People speak for their teams (those of the configuration they are a member of, those their issuer or SCIM says), for
//! the groups that their issuer says, and for themselves; whoever has the role `approver` for what the team of the
//! question owns is one of the approvers. Invariants: a program speaks for its team and by its scopes only with that role,
//! because its token was given for something else; what an issuer says of somebody makes them a person of the
//! configuration only where the configuration takes it over, and every name takes away: nobody agrees to their own request.

use crate::api::names::known;
use crate::door::back;
use std::collections::BTreeSet;
use trackside_core::approval::request::Approval;
use trackside_core::approval::rule::{APPROVERS, GROUP, PERSON};
use trackside_core::approval::voice::known_as;
use trackside_core::ruleset::Ruleset;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::role::Role;

/// Attributes by which a person may be known here, where an issuer's configuration takes them over. A bare `sub` is not
/// among them: each issuer counts its own, so the one of another issuer may be anybody's.
const NAMES: [&str; 3] = ["email", "preferred_username", "upn"];

/// A caller as a voice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Voice {
    /// The names that count for rules.
    pub(crate) speaks_for: BTreeSet<String>,
    /// Every name they are known under.
    pub(crate) known_as: BTreeSet<String>,
}

impl Voice {
    /// A caller as a voice about what `team` owns.
    pub(crate) fn of(ruleset: &Ruleset, who: &Identity, team: Option<&str>) -> Self {
        let mut speaks_for = BTreeSet::new();
        let approver = who.rights.allow_for(Role::Approver, team);
        let person = person_behind(ruleset, who);
        if let Some(person) = &person {
            speaks_for.insert(format!("{PERSON}{person}"));
            speaks_for.extend(teams_of(ruleset, person));
        }
        if who.kind == Kind::Person || person.is_some() || approver {
            speaks_for.extend(who.names.iter().map(|name| format!("{GROUP}{name}")));
            speaks_for.extend(who.teams.iter().chain(&who.team).cloned());
        }
        if approver {
            speaks_for.insert(APPROVERS.to_owned());
        }
        Self::new(ruleset, who, speaks_for)
    }

    /// A person as a voice, of whom nothing is known but who they are.
    pub(crate) fn of_person(ruleset: &Ruleset, person: &str) -> BTreeSet<String> {
        teams_of(ruleset, person).chain([format!("{PERSON}{person}")]).collect()
    }

    fn new(ruleset: &Ruleset, who: &Identity, speaks_for: BTreeSet<String>) -> Self {
        let found = speaks_for.iter().cloned().chain(people_named(ruleset, &who.aliases)).collect();
        let known_as = known_as(&who.caller, &found, |name| known(ruleset, name).map(|(name, _)| name));
        Self { speaks_for, known_as }
    }

    /// Whether a question waits for them: a yes of theirs would count.
    pub(crate) fn is_awaited(&self, approval: &Approval) -> bool {
        use trackside_core::approval::request::Says;
        approval.is_open() && approval.hears(Says::Approve, &self.known_as, &self.speaks_for).is_ok()
    }

    /// The people among the names.
    pub(crate) fn people(&self) -> BTreeSet<String> {
        self.known_as.iter().filter(|name| name.starts_with(PERSON)).cloned().collect()
    }
}

/// The person of the configuration that a caller is.
fn person_behind(ruleset: &Ruleset, who: &Identity) -> Option<String> {
    let claims = NAMES.iter().filter_map(|name| who.attributes.get(*name)).map(String::as_str);
    let claims = claims.filter(|_| who.issuer.is_some());
    back::person(ruleset, [who.caller.subject.as_str(), who.token_name.as_str()].into_iter().chain(claims))
}

/// Everybody who has one of these names, whatever case it is written in.
fn people_named<'a>(ruleset: &'a Ruleset, names: &'a BTreeSet<String>) -> impl Iterator<Item = String> + 'a {
    let has = move |known: &str| names.iter().any(|name| name.eq_ignore_ascii_case(known));
    let found = ruleset.people.iter().filter(move |(name, person)| has(name) || person.aliases.iter().any(|a| has(a)));
    found.map(|(name, _)| format!("{PERSON}{name}"))
}

fn teams_of<'a>(ruleset: &'a Ruleset, person: &'a str) -> impl Iterator<Item = String> + 'a {
    let member = move |members: &Vec<String>| members.iter().any(|member| member == person);
    ruleset.teams.iter().filter(move |(_, team)| member(&team.members)).map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackside_core::caller::Caller;
    use trackside_identity::rights::Scope;

    fn ruleset() -> Ruleset {
        serde_json::from_value(serde_json::json!({
            "teams": {"payments": {"members": ["ana"]}, "ml": {}},
            "owners": {"default": "ml"},
            "people": {"ana": {"zone": "UTC", "aliases": ["ana@example.net", "okta:1"]}},
        }))
        .expect("a ruleset")
    }

    #[track_caller]
    fn check(who: &Identity, team: Option<&str>, speaks_for: &str, known_as: &str) {
        let voice = Voice::of(&ruleset(), who, team);
        let words = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        assert_eq!((words(&voice.speaks_for).as_str(), words(&voice.known_as).as_str()), (speaks_for, known_as));
    }

    #[test]
    fn people_speak_for_their_teams_and_programs_with_the_role_only() {
        let session = Identity::simple(Caller::new("ana", "session"), Kind::Person, Role::Viewer);
        check(&session, None, "payments person:ana", "person:ana");
        let mut foreign = Identity::simple(Caller::new("corp:77", "jwt"), Kind::Person, Role::Viewer);
        foreign.issuer = Some("corp".to_owned());
        foreign.names.insert("dba".to_owned());
        foreign.teams.insert("ml".to_owned());
        check(&foreign, None, "group:dba ml", "corp:77");
        foreign.attributes.insert("email".to_owned(), "ana@example.net".to_owned());
        check(&foreign, None, "group:dba ml payments person:ana", "corp:77 person:ana");
        // A name that they chose themselves gives nothing, and takes away.
        foreign.attributes.clear();
        foreign.aliases.insert("Ana@example.net".to_owned());
        check(&foreign, None, "group:dba ml", "corp:77 person:ana");
        // Another issuer's `sub` may be anybody's.
        foreign.attributes.insert("sub".to_owned(), "ana".to_owned());
        check(&foreign, None, "group:dba ml", "corp:77 person:ana");
        let mut program = Identity::simple(Caller::new("etl", "token"), Kind::Service, Role::Operator);
        program.team = Some("payments".to_owned());
        program.names.insert("dba".to_owned());
        check(&program, Some("payments"), "", "etl");
        program.rights.grant(Role::Approver, Scope::Teams(["payments".to_owned()].into()));
        check(&program, Some("payments"), "approvers group:dba payments", "etl");
        check(&program, Some("ml"), "", "etl");
    }
}
