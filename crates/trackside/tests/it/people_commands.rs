//! The commands about people: who is on call, what is planned, what is said about an incident, reports.

use crate::binary::{Home, PATIENCE, Ran, Running, eventually, redact};
use insta::assert_snapshot;
use serde_json::{Value, json};
use trackside_sim::far_ends::FarEnds;
use trackside_sim::journal::Journal;

/// Ana and Ben take turns by the week; on the first weekend of February 2032 nobody is on call.
const PEOPLE: &str = "
people:
  ana: {name: Ana Martin, zone: Europe/Paris, aliases: [local-admin], contacts: [{via: pager}]}
  ben: {zone: America/New_York, contacts: [{via: pager}]}
schedules:
  primary:
    layers:
      - name: week
        rotation: {tz: Europe/Paris, start: '2026-01-05T09:00:00', unit: week, participants: [ana, ben]}
        restrict:
          - {weekdays: ['monday:friday'], location: Europe/Paris}
          - {weekdays: [saturday, sunday], location: Europe/Paris, days_of_month: ['8:31']}
          - {weekdays: [saturday, sunday], location: Europe/Paris, months: [january, 'march:december']}
          - {weekdays: [saturday, sunday], location: Europe/Paris, years: ['2026:2031']}
escalations:
  payments:
    steps: [{targets: ['oncall:primary']}, {after: 1h, targets: ['person:ben']}]
maintenance:
  - {name: patches, matchers: ['source=\"lab\"'], when: {tz: Europe/Paris, start: '2032-02-07T22:00:00', duration_s: 7200}}
";

struct World {
    _ends: FarEnds,
    home: Home,
    running: Running,
}

impl World {
    /// A server with an open incident, about which Ben or Ana was paged.
    async fn start() -> Self {
        let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
        let home = Home::new(&format!(
            "
teams: {{payments: {{notify: [{{via: pager}}], escalation: payments, members: [ana]}}, platform: {{notify: [{{via: pager}}]}}}}
owners: {{default: platform, rules: [{{match: {{pipeline: 'billing_*'}}, team: payments}}]}}
connections:
  pager: {{kind: pagerduty, url: '{}', routing_key: {{file: secrets/pagerduty}}}}
tokens: [{{name: airflow, role: ingest, secret: {{file: secrets/ingest}}}}]
",
            ends.pagerduty.url()
        ));
        home.write("config/people.yaml", PEOPLE);
        let running = home.serve().await;
        let world = Self { _ends: ends, home, running };
        world.fails("billing_daily").await;
        world
    }

    /// A pipeline fails, and whoever is to be told is told.
    async fn fails(&self, pipeline: &str) {
        let event = json!({
            "id": pipeline, "event": format!("{pipeline}.failed"), "occurred": "2026-11-20T02:14:00Z",
            "run": {"pipeline": pipeline, "run_id": "1", "state": "failed", "error": "disk full"},
        });
        self.running.send(&event).await;
        eventually("it has an incident", PATIENCE, async || {
            let all = self.running.all("incidents").await;
            all.iter().any(|incident| incident["pipeline"] == pipeline).then_some(())
        })
        .await;
        self.running.settle(PATIENCE).await;
    }

    async fn run(&self, words: &[&str]) -> Ran {
        let words: Vec<&str> = words.iter().copied().chain(["--url", &self.running.url]).collect();
        self.home.run(&words).await
    }

    /// What it prints, without what differs from run to run.
    async fn says(&self, words: &[&str]) -> String {
        blank(&redact(&self.home, &self.run(words).await.good()))
    }

    async fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        self.run(&words).await.json()
    }

    /// Waits until an incident stands like this.
    async fn stands(&self, number: &str, field: &str, value: &str) {
        eventually("the incident stands so", PATIENCE, async || {
            let incident = self.json(&["incident", "show", number]).await;
            (incident[field] == value).then_some(())
        })
        .await;
    }
}

/// Without times of this year, and the names of whoever is on call now.
fn blank(text: &str) -> String {
    let time = regex::Regex::new(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\d{4}-\d\d-\d\d )?\d\d:\d\d").unwrap();
    let far = |words: &regex::Captures<'_>| {
        if words[0].contains(" 203") { words[0].to_owned() } else { "[time]".to_owned() }
    };
    time.replace_all(text, far).into_owned()
}

#[tokio::test]
async fn who_is_on_call_can_be_asked_and_changed() {
    let world = World::start().await;
    let now = world.json(&["oncall", "now"]).await;
    assert_eq!((now[0]["schedule"].as_str(), now.as_array().unwrap().len()), (Some("primary"), 1));
    let table = world.run(&["oncall", "now", "--schedule", "primary", "--zone", "Europe/Paris"]).await;
    assert!(table.err.ends_with("times are in Europe/Paris\n"), "{table:?}");
    let table = table.good();
    assert!(table.contains("primary") && (table.contains("Ana Martin") || table.contains("ben")), "{table}");
    let unknown = world.run(&["oncall", "now", "--schedule", "secondary"]).await;
    assert!(unknown.code == 1 && unknown.err.contains("there is no schedule `secondary`"), "{unknown:?}");

    let february = ["--from", "2032-02-02", "--until", "2032-02-16"];
    let schedule = |zone: &'static str| [&["oncall", "schedule", "primary", "--zone", zone][..], &february].concat();
    assert_snapshot!("oncall_schedule", world.says(&schedule("Europe/Paris")).await);
    assert_snapshot!("oncall_schedule_elsewhere", world.says(&schedule("Asia/Kolkata")).await);

    let over = ["--from", "2032-02-07T00:00", "--until", "2032-02-09", "--zone", "Europe/Paris"];
    let put = [&["oncall", "override", "primary", "--user", "ben", "--reason", "the gap"][..], &over].concat();
    assert_snapshot!(world.says(&put).await, @"ben is on call in primary from Sat 2032-02-07 00:00 until Mon 2032-02-09 00:00 (override [id])");
    let with = world.json(&schedule("Europe/Paris")).await;
    assert!(with["shifts"].as_array().unwrap().iter().all(|shift| shift["gap"] == false), "{with}");
    assert_snapshot!("oncall_schedule_with_an_override", world.says(&schedule("Europe/Paris")).await);
    let id = with["overrides"][0]["id"].as_str().unwrap();
    assert_snapshot!(world.says(&["oncall", "override-remove", id]).await, @"override [id] is taken back");
    let gone = world.run(&["oncall", "override-remove", id]).await;
    assert!(gone.code == 1 && gone.err.contains("404"), "{gone:?}");

    let nobody = [&["oncall", "override", "primary", "--nobody"][..], &over].concat();
    assert!(world.says(&nobody).await.starts_with("nobody is on call in primary"));
    let swap = ["oncall", "swap", "primary", "2032-02-10", "2032-02-17", "--zone", "Europe/Paris"];
    assert_snapshot!("oncall_swap", world.says(&swap).await);
    for (words, expect) in [
        (vec!["oncall", "override", "primary", "--user", "eve", "--for", "2h"], "there is no person `eve`"),
        (vec!["oncall", "override", "primary", "--user", "ben", "--until", "soon"], "`soon` is not a time"),
        (vec!["oncall", "swap", "primary", "2032-03-02", "2032-03-03"], "is on call in both"),
        (vec!["oncall", "now", "--zone", "Mars"], "`Mars` is not an IANA time zone"),
    ] {
        let ran = world.run(&words).await;
        assert!(ran.code == 1 && ran.err.contains(expect), "{words:?}: {ran:?}");
    }
}

#[tokio::test]
async fn silences_and_windows_are_made_listed_and_ended() {
    let world = World::start().await;
    assert_snapshot!("silence_preview", world.says(&["silence", "preview", "pipeline=~\"billing_.*\""]).await);
    let add = ["silence", "add", "pipeline=~\"billing_.*\"", "--until", "2026-12-01", "--zone", "UTC"];
    let unreasoned = world.run(&add).await;
    assert!(unreasoned.code == 2 && unreasoned.err.contains("--reason"), "{unreasoned:?}");
    let add = ["silence", "add", "pipeline=~\"billing_.*\"", "--for", "4h", "--zone", "UTC", "--reason", "the vendor"];
    assert_snapshot!(world.says(&add).await, @"silence [id] until [time] UTC");
    assert_snapshot!("silence_list", world.says(&["silence", "list"]).await);
    let shown = world.json(&["incident", "show", "1"]).await;
    assert_eq!(shown["suppressed_by"][0]["by"], "silence");
    let silences = world.json(&["silence", "list"]).await;
    let id = silences[0]["id"].as_str().unwrap();
    assert_snapshot!(world.says(&["silence", "expire", id]).await, @"silence [id] is over");
    assert_eq!(world.run(&["silence", "list"]).await.err, "nothing to show\n");
    let bad = world.run(&["silence", "add", "billing", "--for", "1h", "--reason", "x"]).await;
    assert!(bad.code == 1 && bad.err.contains("`billing` is not a matcher"), "{bad:?}");

    let add = [
        &["maintenance", "add", "upgrade", "--matcher", "source=\"lab\"", "--from", "2032-02-01T22:00", "--for", "4h"]
            [..],
        &["--announce", "pager", "--reason", "new version", "--zone", "Europe/Paris"],
    ]
    .concat();
    assert_snapshot!(world.says(&add).await, @"maintenance upgrade from Sun 2032-02-01 22:00 until Mon 2032-02-02 02:00 Europe/Paris ([id])");
    let again = world.run(&add).await;
    assert!(again.code == 1 && again.err.contains("there is a maintenance window `upgrade` already"), "{again:?}");
    assert!(world.says(&["maintenance", "add", "now", "--for", "1h"]).await.starts_with("maintenance now from [time]"));
    assert_snapshot!("maintenance_list", world.says(&["maintenance", "list", "--zone", "Europe/Paris"]).await);
    let windows = world.json(&["maintenance", "list"]).await;
    let of_name = |name: &str| windows.as_array().unwrap().iter().find(|window| window["name"] == name).unwrap();
    for name in ["now", "upgrade"] {
        let ended = world.says(&["maintenance", "end", of_name(name)["id"].as_str().unwrap()]).await;
        assert_eq!(ended, "maintenance window [id] is over\n");
    }
    assert_eq!(world.json(&["maintenance", "list"]).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn everything_can_be_said_about_an_incident() {
    let world = World::start().await;
    world.fails("sensors").await;
    assert_eq!(world.says(&["incident", "list"]).await, world.says(&["incidents"]).await);
    world.stands("1", "state", "triggered").await;
    let shown = world.says(&["incident", "show", "#1", "--zone", "UTC"]).await;
    assert!(shown.contains("owner payments") && shown.contains("escalation payments: running"), "{shown}");
    assert!(shown.contains("step 2 person:ben (ben)"), "{shown}");
    for (words, expect) in [
        (vec!["ack", "1"], "incident #1 is acknowledged: billing_daily failed"),
        (vec!["unack", "1"], "incident #1 is triggered: billing_daily failed"),
        (vec!["snooze", "1", "--for", "2h"], "incident #1 is snoozed: billing_daily failed"),
        (vec!["unack", "1"], "incident #1 is triggered: billing_daily failed"),
        (vec!["escalate", "1"], "incident #1: the next step is paged now"),
        (vec!["reassign", "1", "--to", "person:ben"], "incident #1: reassigned (owner payments)"),
        (vec!["reassign", "1", "--to", "team:platform"], "incident #1: reassigned (owner platform)"),
        (vec!["note", "1", "the vendor is on it"], "incident #1: the remark is in its timeline"),
        (vec!["merge", "2", "--into", "#1"], "incident #2 is resolved: sensors failed"),
        (vec!["resolve", "1"], "incident #1 is resolved: billing_daily failed"),
    ] {
        let words: Vec<&str> = ["incident"].into_iter().chain(words).collect();
        let said = world.run(&words).await;
        assert_eq!((said.code, said.out.trim()), (0, expect), "{words:?}: {said:?}");
    }
    let markdown = world.says(&["incident", "timeline", "1", "--zone", "UTC"]).await;
    assert!(markdown.starts_with("# Incident 1: billing\\_daily failed"), "{markdown}");
    assert!(markdown.contains("the vendor is on it") && markdown.contains("by ana"), "{markdown}");
    let json = world.json(&["incident", "timeline", "1"]).await;
    assert_eq!(json, world.run(&["incident", "timeline", "1", "--format", "json"]).await.json());
    assert_eq!(json["incident"]["number"], 1);
    for (words, expect) in [
        (vec!["incident", "ack", "1"], "409"),
        (vec!["incident", "ack", "77"], "404"),
        (vec!["incident", "reassign", "1", "--to", "person:eve"], "eve"),
    ] {
        let ran = world.run(&words).await;
        assert!(ran.code == 1 && ran.err.contains(expect), "{words:?}: {ran:?}");
    }
    let wrong = world.run(&["incident", "reassign", "1", "--to", "ana"]).await;
    assert!(wrong.code == 2 && wrong.err.contains("`ana` is not a target"), "{wrong:?}");
}

#[tokio::test]
async fn people_and_reports_are_shown() {
    let world = World::start().await;
    let people = world.says(&["people"]).await;
    for part in ["ana", "Ana Martin", "Europe/Paris", "payments", "ben", "America/New_York", "pager"] {
        assert!(people.contains(part), "{part}: {people}");
    }
    assert_eq!(world.json(&["people"]).await[0]["name"], "ana");
    world.run(&["incident", "ack", "1"]).await.good();
    world.run(&["incident", "resolve", "1"]).await.good();
    let report = world.says(&["report", "--team", "payments", "--zone", "Europe/Paris"]).await;
    for part in ["How long it took", "Who was paged", "Noisiest pipelines", "billing_daily", "Noisiest rules", "failed"]
    {
        assert!(report.contains(part), "{part}: {report}");
    }
    let json = world.json(&["report", "--from", "2026-01-01", "--until", "2026-01-02"]).await;
    assert_eq!(json["response"]["all"]["incidents"], 0);
    let unknown = world.run(&["report", "--team", "nobody"]).await;
    assert!(unknown.code == 1 && unknown.err.contains("there is no team `nobody`"), "{unknown:?}");
}
