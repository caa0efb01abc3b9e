use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const GOOD: &str = "\
teams:
  payments: {aliases: [pay], notify: [{via: hook}]}
  platform: {}
owners: {default: platform}
connections:
  hook: {kind: webhook, url: 'https://example.net/in', secret: {env: TRACKSIDE_TEST_UNSET}}
";

/// The problems of a folder, one per line, without the folder's own path.
#[track_caller]
fn check(files: &[(&str, &str)], expect: &str) {
    let folder = folder(files);
    let found = match load(folder.path()) {
        Ok(config) => [config.warnings, config.unusable_here].concat(),
        Err(problems) => problems.0,
    };
    let text: Vec<String> =
        found.iter().map(|problem| problem.to_string().replace(&format!("{}/", folder.path().display()), "")).collect();
    assert_eq!(text.join("\n"), expect);
}

#[test]
fn a_good_folder_loads_with_warnings() {
    check(
        &[("a.yaml", GOOD)],
        "a.yaml:3:3: teams.platform: the default owner has no way to be told: what nobody else owns reaches nobody \
         (add `notify: [{via: CONNECTION}]`)\n\
         a.yaml:6:3: connections.hook: environment variable `TRACKSIDE_TEST_UNSET` is not set; \
         set it before starting the server",
    );
}

#[test]
fn a_secret_that_is_only_read_with_is_missed_too() {
    let prefect = "connections:\n  prod: {kind: prefect, url: 'http://p/api', api_key: {env: TRACKSIDE_TEST_UNSET}}\n";
    let teams = "teams: {platform: {}}\nowners: {default: platform}\n";
    check(
        &[("a.yaml", prefect), ("b.yaml", teams)],
        "b.yaml:1:9: teams.platform: the default owner has no way to be told: what nobody else owns reaches nobody \
         (add `notify: [{via: CONNECTION}]`)\n\
         a.yaml:2:3: connections.prod: environment variable `TRACKSIDE_TEST_UNSET` is not set; \
         set it before starting the server",
    );
}

#[test]
fn mistakes_have_a_place_and_a_suggestion() {
    let with = |more: &str| format!("{GOOD}{more}");
    check(
        &[("a.yaml", &with("ruls: []\n"))],
        "a.yaml:7:1: ruls: unknown field `ruls`, expected one of `server`, `teams`, `owners`, `rules`, `pipelines`, `connections`, `tokens`, `automations`, `tests` (did you mean `rules`?)",
    );
    check(
        &[
            ("a.yaml", GOOD),
            ("b.yaml", "rules:\n  - name: x\n    match: {pipeline: 'a[', source: y}\n    when: reported\n"),
        ],
        "b.yaml:3:23: rules[0].match.pipeline: `a[` is not a glob: unclosed character class; missing ']'",
    );
    check(
        &[("a.yaml", GOOD), ("b.yaml", "teams:\n  ml: {notify: [{via: hok}]}\n")],
        "b.yaml:2:23: teams.ml.notify[0].via: there is no connection `hok`; declared are hook (did you mean `hook`?)",
    );
    check(
        &[("a.yaml", GOOD), ("b.yaml", "rules:\n  - {name: slow, when: {runs_longer_than: 20 minuts}}\n")],
        "b.yaml:2:43: rules[0].when.runs_longer_than: `20 minuts` is not a length of time; write for example 90s, 20m, 1h 30m or 2d",
    );
    check(
        &[("a.yaml", GOOD), ("b.yaml", "teams: {payments: {}}\n")],
        "b.yaml:1:9: teams.payments: the team stands twice (first in a.yaml)",
    );
}

#[test]
fn bad_yaml_has_a_place() {
    let folder = folder(&[("a.yaml", "teams: [\n")]);
    let problems = load(folder.path()).unwrap_err();
    assert!(problems.0[0].spot.line > 0, "{problems}");
}

#[test]
fn a_literal_secret_is_refused() {
    let folder = folder(&[("a.yaml", "connections:\n  pd: {kind: pagerduty, routing_key: R0UTINGKEY}\n")]);
    let text = load(folder.path()).unwrap_err().to_string();
    assert!(text.contains("a.yaml:2:3") && text.contains("env") && !text.contains("R0UTINGKEY"), "{text}");
}

#[test]
fn an_empty_folder_says_what_to_do() {
    let folder = folder(&[]);
    assert!(load(folder.path()).unwrap_err().to_string().contains("see examples/"));
}
