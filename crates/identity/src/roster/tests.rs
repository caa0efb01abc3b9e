use super::*;
use crate::role::Role;
use serde_json::json;
use trackside_core::caller::Caller;

fn ruleset() -> Ruleset {
    serde_json::from_value(json!({
        "teams": {"data-eng": {"aliases": ["Data Engineering"]}, "ml": {}},
        "owners": {"default": "ml"},
        "people": {
            "ana": {"aliases": ["U1", "Ana@Example.net"]},
            "ben": {"contacts": [{"via": "mail", "to": "ben@example.net"}]}
        }
    }))
    .unwrap()
}

fn listed(name: &str, standing: Standing, groups: &[&str]) -> Listed {
    let user = User::parse(json!({"userName": name, "externalId": format!("ext-{name}")})).unwrap();
    Listed { user, standing, groups: groups.iter().map(|group| (*group).to_owned()).collect() }
}

fn person(subject: &str, claims: &[(&str, &str)]) -> Arc<Identity> {
    let mut identity = Identity::simple(Caller::new(subject, "jwt"), Kind::Person, Role::Viewer);
    identity.issuer = Some("okta".to_owned());
    identity.attributes = claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Arc::new(identity)
}

#[test]
fn whoever_is_not_there_is_refused_by_every_name_they_have() {
    let all = [listed("ana@example.net", Standing::Inactive, &[]), listed("ben@example.net", Standing::Deleted, &[])];
    let roster = Roster::new(&all, &ruleset(), &BTreeMap::new());
    let check = |identity: Arc<Identity>, refused: bool| {
        let found = roster.admit(identity.clone());
        assert_eq!(found.is_err(), refused, "{identity:?}: {found:?}");
    };
    check(person("okta:00u1", &[("email", "ANA@example.net")]), true);
    check(person("okta:ext-ana@example.net", &[]), true);
    check(person("u1", &[]), true);
    check(person("ana", &[]), true);
    check(person("okta:00u2", &[("preferred_username", "ben@example.net")]), true);
    check(person("okta:00u3", &[("email", "cleo@example.net")]), false);
    let program = Identity::simple(Caller::new("ana", "token"), Kind::Service, Role::Ingest);
    check(Arc::new(program), false);
    let mut agent = Identity::clone(&person("okta:agent", &[]));
    agent.caller.behalf = vec!["ana@example.net".to_owned()];
    check(Arc::new(agent.clone()), true);
    agent.caller.behalf = vec!["okta:ANA@example.net".to_owned()];
    check(Arc::new(agent.clone()), true);
    agent.caller.behalf = vec!["other:ana@example.net".to_owned()];
    check(Arc::new(agent), false);
    // An issuer whose subjects say nothing to the directory: what else it says of them counts, unasked.
    let mut opaque = Identity::clone(&person("entra:4f0e", &[]));
    opaque.aliases = ["AAAA-pairwise", "Ana@Example.net"].map(str::to_owned).into();
    check(Arc::new(opaque), true);
    assert_eq!(roster.gone().keys().collect::<Vec<_>>(), ["ana", "ben"]);
}

#[test]
fn a_name_that_nobody_vouches_for_puts_nobody_into_a_team() {
    let all = [listed("ana@example.net", Standing::Here, &["data engineering"])];
    let roster = Roster::new(&all, &ruleset(), &BTreeMap::new());
    let mut mallory = Identity::clone(&person("okta:666", &[]));
    mallory.aliases = ["ana@example.net".to_owned()].into();
    mallory.caller.behalf = vec!["ana@example.net".to_owned()];
    let found = roster.admit(Arc::new(mallory)).expect("not refused");
    assert!(found.teams.is_empty(), "{found:?}");
}

#[test]
fn an_active_user_with_the_same_name_counts() {
    let again = Listed {
        user: User::parse(json!({"userName": "ana2", "emails": [{"value": "ana@example.net"}]})).unwrap(),
        standing: Standing::Here,
        groups: Vec::new(),
    };
    let all = [listed("ana@example.net", Standing::Deleted, &[]), again];
    let roster = Roster::new(&all, &ruleset(), &BTreeMap::new());
    assert!(roster.admit(person("okta:1", &[("email", "ana@example.net")])).is_ok());
    assert!(roster.gone().is_empty(), "{roster:?}");
}

#[test]
fn groups_are_teams_by_name_alias_or_mapping() {
    let map = BTreeMap::from([("Machine Learning".to_owned(), "ml".to_owned())]);
    let all = [listed("ana@example.net", Standing::Here, &["data engineering", "machine learning", "Everyone"])];
    let roster = Roster::new(&all, &ruleset(), &map);
    let found = roster.admit(person("okta:1", &[("email", "ana@example.net")])).unwrap();
    assert_eq!(found.teams.iter().collect::<Vec<_>>(), ["data-eng", "ml"]);
    assert_eq!(roster.members("ml"), Some(&BTreeSet::from(["ana".to_owned()])));
    assert_eq!(roster.members("other"), None);
}
