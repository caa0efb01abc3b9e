mod people;

use super::*;
use trackside_core::automation::definition::Semantics;
use trackside_core::automation::request::parse_written;

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
        "a.yaml:7:1: ruls: unknown field `ruls`, expected one of `server`, `teams`, `owners`, `rules`, `pipelines`, `connections`, `tokens`, `vaults`, `issuers`, `sign_in`, `certificates`, `approvals`, `jobs`, `gateway`, `routes`, `scim`, `workload`, `people`, `schedules`, `escalations`, `maintenance`, `inhibitions`, `calendars`, `incidents`, `upstreams`, `canary`, `heartbeat_out`, `automations`, `policy_tests`, `tests` (did you mean `rules`?)",
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

const AUTOMATIONS: &str = "\
connections:
  hook: {kind: webhook, url: 'https://example.net/in', secret: {env: TRACKSIDE_TEST_UNSET}}
teams: {platform: {notify: [{via: hook}]}}
owners: {default: platform}
";

/// The mistakes and warnings of automations beside a good folder.
#[track_caller]
fn check_automations(name: &str, text: &str, expect: &str) {
    let folder = folder(&[("base.yaml", AUTOMATIONS), (name, text)]);
    let found = match load(folder.path()) {
        Ok(config) => config.warnings,
        Err(problems) => problems.0,
    };
    let lines: Vec<String> =
        found.iter().map(|problem| problem.to_string().replace(&format!("{}/", folder.path().display()), "")).collect();
    assert_eq!(lines.join("\n"), expect, "{text}");
}

#[test]
fn mistakes_in_automations_have_a_place_and_a_suggestion() {
    check_automations(
        "a.yaml",
        "automations:\n  - name: x\n    trigger: {expect: [a], treshold: 3}\n    actions: [{type: page-ower}]\n",
        "a.yaml:3:38: automations[0].trigger.treshold: there is no field `treshold` here (did you mean `threshold`?)\n\
         a.yaml:4:22: automations[0].actions[0].type: there is no action `page-ower` (did you mean `page-owner`?)",
    );
    // A label has dots of its own.
    check_automations(
        "a.yaml",
        "automations:\n  - name: x\n    trigger:\n      match:\n        prefect.resource.id: 3\n    actions: [page-owner]\n",
        "a.yaml:5:30: automations[0].trigger.match.prefect.resource.id: `prefect.resource.id` must be text or a list of \
         texts, not a number (write it in quotes: \"3\")",
    );
    let one = "{name: x, trigger: {expect: [a]}, actions: [page-owner]}";
    check_automations(
        "a.yaml",
        &format!("automations:\n  - {one}\n  - {one}\n"),
        "a.yaml:3:12: automations[1].name: an automation `x` stands twice (first at a.yaml:2:5)",
    );
}

#[test]
fn what_the_lint_finds_has_a_place() {
    check_automations(
        "a.yaml",
        "automations:\n  - name: x\n    trigger: {expect: [a]}\n    actions:\n      - {type: notify-channel, connection: hok, body: b}\n",
        "a.yaml:5:44: automations[0].actions[0].connection: `x`: there is no connection `hok` (did you mean `hook`?)",
    );
}

const PREFECT: &str = "{\n\t\"name\": \"crashed \\ud83d\\udea8\",\n\t\"trigger\": {\"type\": \"event\", \"posture\": \"Reactive\", \
    \"expect\": [\"prefect.flow-run.Crashed\"], \"threshold\": 1, \"within\": 0},\n\t\"actions\": [{\"type\": \"do-nothing\"}]\n}";

#[test]
fn what_prefect_takes_loads_unchanged() {
    let list = format!("[{PREFECT}, {}]", PREFECT.replace("crashed", "also"));
    let shown = PREFECT.replacen(
        '{',
        "{\"id\": \"8d1f6a35-0000-4000-8000-000000000000\", \"created\": \"2026-01-01T00:00:00Z\",",
        1,
    );
    for (name, text, names) in [
        ("a.json", PREFECT.to_owned(), vec!["crashed \u{1f6a8}"]),
        ("a.json", list, vec!["crashed \u{1f6a8}", "also \u{1f6a8}"]),
        ("a.json", shown, vec!["crashed \u{1f6a8}"]),
        (
            "a.yaml",
            "name: y\ntrigger: {type: event, posture: Reactive, expect: [a]}\nactions: []\n".to_owned(),
            vec!["y"],
        ),
    ] {
        let folder = folder(&[("base.yaml", AUTOMATIONS), (name, &text)]);
        let config = load(folder.path()).unwrap();
        let found: Vec<&str> = config.automations.iter().map(|automation| automation.spec.name.as_str()).collect();
        assert_eq!(found, names);
        assert!(config.automations.iter().all(|automation| automation.semantics == Semantics::Prefect));
    }
    let ours = PREFECT.replacen('{', "{\"semantics\": \"trackside\",", 1);
    let folder = folder(&[("base.yaml", AUTOMATIONS), ("a.json", &ours)]);
    assert_eq!(load(folder.path()).unwrap().automations[0].semantics, Semantics::Trackside);
}

#[test]
fn mistakes_in_json_have_a_place_too() {
    check_automations(
        "a.json",
        &PREFECT.replace("do-nothing", "do-nothin"),
        "a.json:4:23: actions[0].type: there is no action `do-nothin` (did you mean `do-nothing`?)",
    );
    check_automations(
        "a.json",
        &format!("[{}]", PREFECT.replace("\"within\": 0", "\"within\": \"soon\"")),
        "a.json:3:120: [0].trigger.within: `within`: \"soon\" is not a length of time (write seconds as a number, or text \
         such as 90s, 10m, 1h 30m or 2d)",
    );
    check_automations("a.json", "{\"name\": }", "a.json:1:10: expected value");
    check_automations(
        "a.json",
        "[1]",
        "a.json:1:2: [0]: it must be an object, not a number (write name:, trigger: and actions:)",
    );
}

/// What the published schema offers is taken, and everything that is taken is offered.
#[test]
fn the_schema_of_automations_is_that_of_the_reader() {
    let schema: serde_json::Value = serde_json::from_str(include_str!("automation.schema.json")).unwrap();
    let actions = schema["AutomationAction"]["anyOf"].as_array().unwrap();
    let alone: Vec<&str> = actions[0]["enum"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    let body =
        |action: serde_json::Value| serde_json::json!({"name": "x", "trigger": {"expect": ["a"]}, "actions": [action]});
    let mut kinds = 0;
    for offered in &actions[1..] {
        let kind = offered["properties"]["type"]["const"].as_str().unwrap();
        let fields = offered["properties"].as_object().unwrap();
        // Every field that is offered is known: none of the errors is about an unknown one.
        let action: serde_json::Map<String, serde_json::Value> = fields
            .keys()
            .map(|name| (name.clone(), if name == "type" { kind.into() } else { serde_json::Value::Null }))
            .collect();
        let errors = parse_written(&body(action.into())).err().unwrap_or_default();
        assert!(errors.iter().all(|error| error.kind == "missing"), "{kind}: {errors:?}");
        assert_eq!(parse_written(&body(kind.into())).is_ok(), alone.contains(&kind), "{kind}");
        kinds += 1;
    }
    let unknown = parse_written(&body("x-y-z".into())).unwrap_err();
    let listed = unknown[0].suggestion.as_ref().unwrap().split(", ").count();
    assert_eq!(kinds, listed, "{unknown:?}");
}
