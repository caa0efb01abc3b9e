//! A slice answers as the whole does.

use jiff::Timestamp;
use proptest::prelude::*;
use std::fmt::Write as _;
use trackside_core::caller::Caller;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::question::{Context, Question, Resource, ResourceKind};
use trackside_identity::rights::Scope;
use trackside_identity::role::Role;
use trackside_policy::{Policies, Source};

const PRINCIPALS: [&str; 7] = [
    "principal",
    "principal == Caller::\"a\"",
    "principal in Caller::\"b\"",
    "principal in Role::\"operator\"",
    "principal in Role::\"operator:t\"",
    "principal is Caller in Team::\"t\"",
    "principal in Name::\"n\"",
];
const ACTIONS: [&str; 4] = [
    "action",
    "action == Action::\"start\"",
    "action in [Action::\"start\", Action::\"cancel\"]",
    "action == Action::\"call\"",
];
const RESOURCES: [&str; 7] = [
    "resource",
    "resource is Job",
    "resource == Job::\"j\"",
    "resource == Route::\"j\"",
    "resource in Team::\"t\"",
    "resource is Job in Team::\"t\"",
    "resource in Job::\"k\"",
];

/// One set for the slices and, hiding every scope from the index, one that is asked as a whole.
fn both(rules: &[(bool, usize, usize, usize)]) -> (Policies, Policies) {
    let (mut sliced, mut whole) = (String::new(), String::new());
    for (n, (forbid, p, a, r)) in rules.iter().enumerate() {
        let effect = if *forbid { "forbid" } else { "permit" };
        let (p, a, r) = (PRINCIPALS[*p], ACTIONS[*a], RESOURCES[*r]);
        writeln!(sliced, "@id(\"{n}\") {effect}({p}, {a}, {r});").unwrap();
        writeln!(
            whole,
            "@id(\"{n}\") {effect}(principal, action, resource) when {{ {} && {} && {} }};",
            condition(p),
            condition(a),
            condition(r)
        )
        .unwrap();
    }
    (compile(sliced), compile(whole))
}

/// A scope as a condition.
fn condition(scope: &str) -> &str {
    if scope.contains(' ') { scope } else { "true" }
}

fn compile(text: String) -> Policies {
    Policies::compile(&[Source { name: "t.cedar".to_owned(), text }]).expect("valid")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_slice_answers_as_the_whole(
        rules in prop::collection::vec((any::<bool>(), 0..7usize, 0..4usize, 0..7usize), 1..12),
        subject in "[abc]", operator in 0..3u8, team in any::<bool>(), name in any::<bool>(),
        action in prop::sample::select(vec!["start", "cancel"]),
        resource in prop::sample::select(vec!["j", "k"]), owned in any::<bool>(),
    ) {
        let (sliced, whole) = both(&rules);
        let mut who = Identity::simple(Caller::new(subject, "jwt"), Kind::Service, Role::Viewer);
        match operator {
            1 => who.rights.grant(Role::Operator, Scope::Everywhere),
            2 => who.rights.grant(Role::Operator, Scope::Teams(["t".to_owned()].into())),
            _ => {}
        }
        if team { who.teams.insert("t".to_owned()); }
        if name { who.names.insert("n".to_owned()); }
        let context = Context::at(Timestamp::UNIX_EPOCH);
        let resource = Resource { kind: ResourceKind::Job, name: resource, team: owned.then_some("t") };
        let question = Question { who: &who, action, resource, context: &context };
        prop_assert_eq!(sliced.answer(&question), whole.answer(&question));
        prop_assert_eq!(sliced.answer(&question), sliced.answer(&question), "a cached slice answers the same");
    }
}
