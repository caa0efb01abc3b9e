//! Cases as people write them, asked of policies as people write them.

use trackside_policy::case::PolicyCase;
use trackside_policy::{Policies, Source};

const POLICIES: &str = include_str!("../data/team.cedar");

fn run(cases: &str) -> Vec<String> {
    let source = Source { name: "team.cedar".to_owned(), text: POLICIES.to_owned() };
    let policies = Policies::compile(&[source]).expect("valid");
    let cases: Vec<PolicyCase> = serde_saphyr::from_str(cases).expect("cases");
    let told = |case: &PolicyCase| match case.run(&policies) {
        Ok(Ok(())) => format!("ok: {}", case.name),
        Ok(Err(unexpected)) => format!("FAILED: {}: {unexpected}", case.name),
        Err(bad) => format!("BAD: {}: {}: {}", case.name, bad.path, bad.problem),
    };
    cases.iter().map(told).collect()
}

#[test]
fn every_case_comes_out() {
    let told = run(include_str!("../data/team.cases.yaml"));
    let wrong: Vec<&String> = told.iter().filter(|told| !told.starts_with("ok: ")).collect();
    assert!(wrong.is_empty() && told.len() >= 12, "{wrong:#?}");
}

#[test]
fn what_does_not_come_out_is_told() {
    insta::assert_json_snapshot!(run(include_str!("../data/wrong.cases.yaml")));
}
