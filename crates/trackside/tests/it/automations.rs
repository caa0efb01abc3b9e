//! `trackside automations …`: the tests of the example, and what a server says of its automations.

use crate::binary::{Home, PATIENCE, Ran, Running, command, eventually, finish, redact};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[tokio::test]
async fn the_tests_of_the_example_pass() {
    let out = finish(command(&root(), &["automations", "test", "examples/automations"])).await.good();
    assert_snapshot!("automations_test", out);
    let file = "examples/automations/tests.yaml";
    let json = finish(command(&root(), &["automations", "test", file, "--json"])).await.json();
    assert_eq!((&json["failed"], json["tests"].as_array().unwrap().len()), (&json!(0), 5));
    let lint = finish(command(&root(), &["automations", "lint", "examples/automations"])).await.good();
    assert_eq!(lint, "0 errors, 0 warnings\n");
}

#[tokio::test]
async fn a_test_that_fails_says_what_happened_instead() {
    let home = Home::new("teams: {data: {}}\nowners: {default: data}\n");
    home.write(
        "config/alerts.yaml",
        "automations:\n  - {name: three, trigger: {expect: [job.failed], threshold: 3, within: 10m}, actions: [page-owner]}\n\
         tests:\n  - name: too early\n    events: [{event: job.failed, repeat: {times: 3, every: 1m}}]\n    expect: [{at: +1m, automation: three}]\n\
         \x20 - name: misspelled\n    events: [{event: job.faild}]\n    expect: [{automation: three}]\n",
    );
    let ran = home.run(&["automations", "test", "config"]).await;
    assert_eq!(ran.code, 1);
    assert_snapshot!("automations_test_failures", ran.out);
    home.write(
        "config/more.yaml",
        "tests:\n  - {name: x, automations: [thre], events: [{at: soon, event: a}], expect: []}\n",
    );
    let ran = home.run(&["automations", "test", "config/more.yaml"]).await;
    assert_eq!(ran.code, 1);
    assert_snapshot!("automations_test_mistakes", ran.out);
    home.write("config/more.yaml", "tests:\n  - {name: x, automations: [thre], events: [{event: a}], expect: []}\n");
    let ran = home.run(&["automations", "test", "config/more.yaml", "config/nowhere.yaml"]).await;
    assert_eq!(ran.code, 1);
    assert_snapshot!("automations_test_unknown_automation", ran.out);
}

#[tokio::test]
async fn the_lint_has_places_in_files() {
    let home = Home::new(
        "connections: {hook: {kind: webhook, url: 'http://127.0.0.1:9/', secret: {file: secrets/webhook}}}\n\
         automations:\n\
         \x20 - name: lost\n\
         \x20   trigger: {expect: ['!job.failed']}\n\
         \x20   actions: [{type: notify-channel, connection: hok, body: x}]\n",
    );
    let lint = home.run(&["automations", "lint", "config"]).await;
    assert_eq!(lint.code, 1);
    assert_snapshot!("automations_lint", lint.out);
}

const CONFIGURATION: &str = "\
teams: {data: {}}
owners: {default: data}
tokens: [{name: jobs, role: ingest, secret: {file: secrets/ingest}}]
automations:
  - name: two failures
    trigger: {expect: [job.failed], match: {prefect.resource.id: 'job.*'}, for_each: [prefect.resource.id], threshold: 2, within: 1h}
    actions: [{type: declare-incident, title: 'Two failures'}]
";

struct World {
    home: Home,
    running: Running,
    events: Vec<Value>,
}

impl World {
    /// A server that has seen two failures of one job and one of another.
    async fn start() -> Self {
        let home = Home::new(CONFIGURATION);
        let running = home.serve().await;
        for job in ["job.a", "job.a", "job.b"] {
            running.send(&json!({"event": "job.failed", "resource": {"prefect.resource.id": job}})).await;
        }
        let events = eventually("everything is decided", PATIENCE, async || {
            let firings = running.get("incidents").await;
            (!firings["items"].as_array().unwrap().is_empty()).then_some(())
        });
        events.await;
        let mut events = running.all("events").await;
        events.retain(|event| event["event"] == "job.failed");
        events.reverse();
        Self { home, running, events }
    }

    async fn run(&self, words: &[&str]) -> Ran {
        let words: Vec<&str> = words.iter().copied().chain(["--url", &self.running.url]).collect();
        self.home.run(&words).await
    }

    async fn says(&self, words: &[&str]) -> String {
        redact(&self.home, &self.run(words).await.good())
    }
}

#[tokio::test]
async fn a_server_says_what_its_automations_do() {
    let world = World::start().await;
    assert_snapshot!("automations_list", world.says(&["automations", "list"]).await);
    assert_snapshot!("automations_show", world.says(&["automations", "show", "two failures"]).await);
    let id = |index: usize| world.events[index]["id"].as_str().unwrap();
    assert_snapshot!("automations_explain", world.says(&["automations", "explain", "two failures", id(1)]).await);
    assert_snapshot!(
        "automations_backtest",
        world.says(&["automations", "backtest", "two failures", "--days", "7"]).await
    );
    assert_eq!(world.says(&["automations", "lint"]).await, "0 errors, 0 warnings\n");

    world.home.write("new.yaml", &CONFIGURATION.replace("threshold: 2", "threshold: 3"));
    assert_snapshot!("automations_backtest_file", world.says(&["automations", "backtest", "--file", "new.yaml"]).await);
    let lines = world.run(&["automations", "backtest", "two failures", "--json"]).await.good();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["tried"]["fired"], 1, "{lines:?}");

    for (words, expect) in [
        (
            vec!["automations", "show", "nothing"],
            "there is no automation `nothing`; `trackside automations list` lists them",
        ),
        (vec!["automations", "explain", "two failures", "x"], "`x` is not the id of an event; ids are UUIDs"),
        (vec!["automations", "backtest", "three", "--file", "new.yaml"], "new.yaml holds no automation `three`"),
    ] {
        let ran = world.run(&words).await;
        assert!(ran.code == 1 && ran.err.contains(expect), "{ran:?}");
    }
    let days = world.run(&["automations", "backtest", "two failures", "--days", "0"]).await;
    assert_eq!(days.code, 2, "{days:?}");
}

#[tokio::test]
async fn a_paused_automation_does_nothing_until_it_is_resumed() {
    let world = World::start().await;
    assert_eq!(world.says(&["automations", "pause", "two failures"]).await, "automation `two failures` is paused\n");
    let shown = world.run(&["automations", "show", "two failures", "--json"]).await.json();
    assert_eq!((&shown["enabled"], shown["firings"].as_array().unwrap().len()), (&json!(false), 1));
    let expect = "automation `two failures` is evaluated again\n";
    assert_eq!(world.says(&["automations", "resume", "two failures"]).await, expect);
}
