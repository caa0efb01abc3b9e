//! Policies in a configuration folder: the example's tests pass, and mistakes have their place.

use std::path::Path;
use trackside::config;

fn example() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/policies")
}

#[test]
fn the_tests_of_the_example_pass() {
    let (policies, tests) = config::policy_tests(&example()).unwrap();
    assert_eq!(policies.names(), ["payments-start-their-own", "no-refunds-at-night"]);
    let failed: Vec<String> = tests
        .iter()
        .filter_map(|test| test.case.run(&policies).unwrap().err().map(|told| format!("{}: {told}", test.case.name)))
        .collect();
    assert!(failed.is_empty() && tests.len() == 4, "{failed:?}");
}

#[test]
fn the_example_is_a_whole_configuration() {
    let config = config::load(&example()).unwrap();
    assert_eq!(config.policies.names().len(), 2);
}

#[test]
fn mistakes_in_policies_and_their_tests_have_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.cedar", "permit(principal, action == Action::\"call\", resource)\nwhen { context.hours > 3 };\n");
    write(
        "trackside.yaml",
        "teams: {a: {}}\nowners: {default: a}\npolicy_tests:\n  - {name: x, who: {subject: a}, action: fly, resource: {job: j}, expect: silent}\n",
    );
    let told = config::load(folder.path()).unwrap_err().to_string().replace(&*folder.path().to_string_lossy(), "");
    assert!(told.contains("/a.cedar:2:8: attribute `hours` in context"), "{told}");
    assert!(told.contains("/trackside.yaml:4:42: policy_tests[0].action: `fly` is not an action"), "{told}");
}
