//! The commands that ask a running server, each with its table and its JSON.

use crate::binary::{Home, INGEST, PATIENCE, Ran, Running, eventually, redact};
use insta::assert_snapshot;
use serde_json::{Value, json};
use trackside_sim::behaviour::Behaviour;
use trackside_sim::far_ends::FarEnds;
use trackside_sim::journal::Journal;

struct World {
    ends: FarEnds,
    home: Home,
    running: Running,
}

impl World {
    /// A server to which a failure, a recovery and a success were told.
    async fn start() -> Self {
        let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
        let home = Home::new(&format!(
            "
teams: {{payments: {{notify: [{{via: pager}}]}}, platform: {{notify: [{{via: pager}}]}}}}
owners: {{default: platform, rules: [{{match: {{pipeline: 'billing_*'}}, team: payments}}]}}
rules: [{{name: failed, when: {{failed: {{}}}}}}, {{name: slow, match: {{source: lab}}, when: {{runs_longer_than: 1h}}}}]
connections:
  pager: {{kind: pagerduty, url: '{}', routing_key: {{file: secrets/pagerduty}}}}
tokens: [{{name: airflow, role: ingest, secret: {{file: secrets/ingest}}}}]
",
            ends.pagerduty.url()
        ));
        let running = home.serve().await;
        let run = |pipeline: &str, run: &str, state: &str, error: Option<&str>| {
            json!({
                "id": format!("{pipeline}/{run}/{state}"), "event": format!("{pipeline}.{state}"),
                "occurred": "2026-11-20T02:14:00Z",
                "run": {"pipeline": pipeline, "run_id": run, "state": state, "error": error,
                        "started": "2026-11-20T02:10:00Z"},
            })
        };
        // One after the other: a trigger that its resolve overtakes is not sent.
        let steps = [
            run("billing_daily", "1", "failed", Some("disk full\ntoken=abcdefghijklmnop")),
            run("ledger", "1", "failed", None),
            run("ledger", "2", "succeeded", None),
        ];
        for step in &steps {
            running.send(step).await;
            eventually("it is decided", PATIENCE, async || {
                let runs = running.all("runs").await;
                let name = &step["run"];
                let known = |run: &Value| run["pipeline"] == name["pipeline"] && run["run"] == name["run_id"];
                runs.iter().any(|run| known(run) && run["state"] == name["state"]).then_some(())
            })
            .await;
            running.settle(PATIENCE).await;
        }
        Self { ends, home, running }
    }

    async fn run(&self, words: &[&str]) -> Ran {
        let words: Vec<&str> = words.iter().copied().chain(["--url", &self.running.url]).collect();
        self.home.run(&words).await
    }

    /// What it prints, without what differs from run to run.
    async fn says(&self, words: &[&str]) -> String {
        redact(&self.home, &self.run(words).await.good())
    }

    async fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        self.run(&words).await.json()
    }
}

#[tokio::test]
async fn what_happened_can_be_listed_and_explained() {
    let world = World::start().await;
    assert_snapshot!("runs", world.says(&["runs"]).await);
    assert_snapshot!("runs_filtered", world.says(&["runs", "--state", "failed", "--owner", "payments"]).await);
    assert_snapshot!("incidents", world.says(&["incidents"]).await);
    assert_snapshot!("deliveries", world.says(&["deliveries"]).await);
    assert_snapshot!("events", world.says(&["events", "tail", "--no-follow"]).await);
    assert_eq!(world.says(&["events", "tail", "--no-follow", "--lines", "1"]).await.lines().count(), 1);

    let event = world.json(&["runs", "--state", "succeeded"]).await["items"][0].clone();
    assert_eq!((&event["pipeline"], &event["run"]), (&json!("ledger"), &json!("2")));
    let incidents = world.json(&["incidents", "--state", "triggered"]).await;
    let incident = incidents["items"][0]["id"].as_str().unwrap();
    assert_eq!(incidents["items"].as_array().unwrap().len(), 1);
    let deliveries = world.json(&["deliveries", "--limit", "2"]).await;
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 2);

    let tail = world.run(&["events", "tail", "--no-follow", "--json"]).await.good();
    let events: Vec<Value> = tail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["billing_daily.failed", "ledger.failed", "ledger.succeeded"]);

    let id = events[0]["id"].as_str().unwrap();
    assert_snapshot!("explain_event", world.says(&["explain", id]).await);
    assert_eq!(world.json(&["explain", id]).await["event"]["id"], id);
    let by_id = world.says(&["explain", incident]).await;
    assert_snapshot!("explain_incident", by_id);
    assert_eq!(world.says(&["explain", "1"]).await, by_id, "by its number");
    assert_eq!(world.json(&["explain", incident]).await["incidents"][0]["id"], incident);
    for (id, expect) in [
        ("7", "there is no incident #7; `trackside incidents` lists them"),
        ("nonsense", "`nonsense` is not the id of an event or incident; ids are UUIDs"),
    ] {
        let ran = world.run(&["explain", id]).await;
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains(expect), "{ran:?}");
    }
    assert_eq!(world.run(&["deliveries", "--dead"]).await.err, "nothing to show\n");
}

#[tokio::test]
async fn tokens_are_made_used_listed_and_revoked() {
    let world = World::start().await;
    let made = world.run(&["token", "create", "grafana", "--role", "viewer"]).await;
    assert_eq!(made.err, "token `grafana` (viewer); it is shown only now:\n");
    let token = made.good().trim().to_owned();
    assert!(token.starts_with("ts_"), "{token}");
    assert_eq!(world.run(&["runs", "--token", &token, "--json"]).await.json()["items"].as_array().unwrap().len(), 3);
    let refused = world.run(&["send-test", "pager", "--token", &token]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("403"), "{refused:?}");
    let key = world.run(&["token", "create", "legacy", "--team", "payments", "--routing-key", "--json"]).await.json();
    assert_eq!(key["token"].as_str().unwrap().len(), 32);
    let again = world.run(&["token", "create", "grafana"]).await;
    assert!(again.code == 1 && again.err.contains("there is a token `grafana` already"), "{again:?}");
    assert_snapshot!("tokens", world.says(&["token", "list"]).await);

    assert_eq!(world.run(&["token", "revoke", "grafana"]).await.good(), "token `grafana` is revoked\n");
    let refused = world.run(&["runs", "--token", &token]).await;
    assert!(refused.code == 1 && refused.err.contains("401"), "{refused:?}");
    let configured = world.run(&["token", "revoke", "airflow"]).await;
    assert!(configured.code == 1 && configured.err.contains("stands in the configuration"), "{configured:?}");
    let names = world.json(&["token", "list"]).await;
    let names: Vec<&str> = names.as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["airflow", "legacy", "local-admin"]);
    // A token for sending reads nothing.
    let ingest = world.run(&["runs", "--token", INGEST]).await;
    assert!(ingest.code == 1 && ingest.err.contains("403"), "{ingest:?}");
}

#[tokio::test]
async fn a_test_message_shows_how_the_far_end_took_it() {
    let world = World::start().await;
    assert_snapshot!("send_test", world.says(&["send-test", "pager"]).await);
    let arrivals = world.ends.journal.arrivals();
    assert_eq!(arrivals.last().unwrap().summary, "Test: Test message from Trackside");
    world.ends.pagerduty.set(Behaviour::Status { code: 400, retry_after: None }).await;
    let refused = world.run(&["send-test", "pager"]).await;
    assert_eq!(refused.code, 1);
    assert_snapshot!("send_test_refused", redact(&world.home, &refused.out));
    let json = world.run(&["send-test", "pager", "--json"]).await;
    assert_eq!(json.code, 1);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["state"], &json["log"][0]["status"]), (&json!("dead"), &json!(400)));
    let nowhere = world.run(&["send-test", "pagr"]).await;
    assert!(nowhere.code == 1 && nowhere.err.contains("404") && nowhere.err.contains("pagr"), "{nowhere:?}");
}

#[tokio::test]
async fn a_sign_in_link_lets_a_browser_in_once() {
    let world = World::start().await;
    let link = world.run(&["sign-in"]).await.good().trim().to_owned();
    assert!(link.starts_with(&world.running.url), "{link}");
    assert_eq!(world.json(&["sign-in"]).await["url"].as_str().unwrap().len(), link.len());
}
