//! `plan` and `apply` against a running server, and what becomes of the automations that stand in files.

use crate::binary::{Home, PATIENCE, Ran, Running, redact};
use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::{Value, json};

const CONFIGURATION: &str = "\
teams: {data: {notify: [{via: pager}]}}
owners: {default: data}
rules:
  - {name: failed, when: {failed: {}}}
  - {name: slow, when: {runs_longer_than: 20m}}
connections:
  pager: {kind: pagerduty, url: 'http://127.0.0.1:9', routing_key: {file: secrets/pagerduty}}
tokens: [{name: airflow, role: ingest, secret: {file: secrets/ingest}}]
";

const AUTOMATIONS: &str = "\
automations:
  - {name: any failure, trigger: {expect: [job.failed]}, actions: [page-owner]}
  - {name: three, trigger: {expect: [job.failed], threshold: 3, within: 10m}, actions: [{type: declare-incident, team: data}]}
";

/// A server with a folder of its own, and the same files in another folder, `mine`.
struct World {
    home: Home,
    running: Running,
}

impl World {
    async fn start() -> Self {
        let home = Home::new(CONFIGURATION);
        home.write("config/automations.yaml", AUTOMATIONS);
        std::fs::create_dir(home.path("mine")).unwrap();
        for name in ["server.yaml", "trackside.yaml", "automations.yaml"] {
            std::fs::copy(home.path(&format!("config/{name}")), home.path(&format!("mine/{name}"))).unwrap();
        }
        let running = home.serve().await;
        Self { home, running }
    }

    async fn run(&self, words: &[&str]) -> Ran {
        let words: Vec<&str> = words.iter().copied().chain(["--url", &self.running.url]).collect();
        self.home.run(&words).await
    }

    async fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let ran = self.run(&words).await;
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Replaces a part of one of my files.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let path = format!("mine/{name}");
        let text = std::fs::read_to_string(self.home.path(&path)).unwrap();
        assert!(text.contains(from), "{text}");
        self.home.write(&path, &text.replace(from, to));
    }

    /// What is in force, name by name: whether it is on, where it is kept, its version.
    async fn automations(&self) -> Vec<String> {
        let list = self.json(&["automations", "list"]).await;
        let line = |item: &Value| {
            let state = if item["enabled"] == true { "on" } else { "paused" };
            format!(
                "{} {state} {} {}",
                item["name"].as_str().unwrap(),
                item["origin"].as_str().unwrap(),
                item["version"]
            )
        };
        list["items"].as_array().unwrap().iter().map(line).collect()
    }

    async fn post(&self, path: &str, body: String) -> (StatusCode, Value) {
        let admin = std::fs::read_to_string(self.home.path("data/admin.token")).unwrap();
        let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let request = client.post(format!("{}/api/v1/{path}", self.running.url)).bearer_auth(admin.trim());
        let answer = request.body(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn restart(self) -> Self {
        let Self { home, running } = self;
        running.kill().await;
        let running = home.serve().await;
        Self { home, running }
    }

    async fn reload(&mut self) {
        const DONE: &str = "the configuration was read again and is in force";
        let before = self.running.times_said(DONE);
        self.running.signal("HUP").await;
        self.running.says_again(DONE, before).await;
    }
}

#[tokio::test]
async fn a_plan_shows_what_would_change_and_changes_nothing() {
    let world = World::start().await;
    let same = world.run(&["plan", "mine"]).await;
    assert_eq!(
        (same.code, same.out.as_str()),
        (0, "No changes: what is in force is what the files say.\n"),
        "{same:?}"
    );

    world.edit("trackside.yaml", "20m", "30m");
    world.edit("trackside.yaml", "teams: {data: {", "teams: {ml: {aliases: [science], notify: [{via: hook}]}, data: {");
    world.edit(
        "trackside.yaml",
        "connections:\n",
        "connections:\n  hook: {kind: webhook, url: 'http://127.0.0.1:9/', secret: {file: secrets/webhook}}\n",
    );
    world.edit("server.yaml", "data: data", "data: data, log: json, public_url: 'https://ts.example.net'");
    world.edit("automations.yaml", "threshold: 3", "threshold: 4");
    world.edit("automations.yaml", "any failure", "every failure");
    let plan = world.run(&["plan", "mine"]).await;
    assert_eq!(plan.code, 2);
    assert_snapshot!("plan", plan.out);
    let json = world.json(&["plan", "mine"]).await;
    assert_eq!((&json["applied"], json["changes"].as_array().unwrap().len()), (&json!(false), 8));
    assert!(!json.to_string().contains("whsec_"), "secrets are references: {json}");

    assert_eq!(world.automations().await, ["any failure on files 1", "three on files 1"]);
    assert_eq!(world.running.get("connections").await.as_array().unwrap().len(), 1);
}

const PEOPLE: &str = "\
people:
  ana: {name: Ana, zone: Europe/Paris, contacts: [{via: pager}]}
  ben: {contacts: [{via: pager}]}
schedules:
  primary:
    layers:
      - name: week
        rotation: {tz: Europe/Paris, start: '2026-01-05T09:00:00', unit: week, participants: [ana, ben]}
        restrict: [{weekdays: ['monday:friday'], location: Europe/Paris}]
escalations:
  main: {steps: [{targets: ['oncall:primary']}, {after: 15m, targets: ['person:ben']}]}
rules: [{name: urgent, match: {tier: 1}, when: {failed: {}}, escalation: main}]
maintenance:
  - {name: patches, matchers: ['source=\"lab\"'], when: {start: '2026-01-31T22:00:00', duration_s: 7200, rrule: {freq: monthly, by_month_day: -1}}}
inhibitions: [{source_matchers: ['pipeline=\"a\"'], target_matchers: ['pipeline=\"b\"']}]
calendars: {holidays: [2026-12-25]}
incidents: {flap_window: 10m, storm: null}
upstreams: [{match: {pipeline: b}, on: [lab/a]}]
canary: {connections: [pager], every: 6h}
heartbeat_out: {url: 'https://hc.example.net/ping', every: 2m}
";

#[tokio::test]
async fn a_plan_names_people_and_all_that_goes_with_them() {
    let world = World::start().await;
    world.home.write("mine/people.yaml", PEOPLE);
    let plan = world.run(&["plan", "mine"]).await;
    assert_eq!(plan.code, 2);
    // The gap depends on the day of the test.
    let gap = regex::Regex::new("nobody on call in primary: .* weeks").unwrap();
    assert_snapshot!("plan_people", gap.replace(&plan.out, "nobody on call in primary: [times] in the next weeks"));
    world.run(&["apply", "mine", "--yes"]).await.good();
    let edited = PEOPLE
        .replace("after: 15m", "after: 20m")
        .replace("participants: [ana, ben]", "participants: [ben, ana]")
        .replace("zone: Europe/Paris, contacts", "zone: Asia/Kolkata, contacts")
        .replace("storm: null", "storm: {incidents: 5, within: 1m}")
        .replace("[2026-12-25]", "[2026-12-24, 2026-12-25]")
        .replace("duration_s: 7200", "duration_s: 3600")
        .replace("every: 2m", "every: 3m")
        .replace("canary:", "#");
    world.home.write("mine/people.yaml", &edited);
    let plan = world.run(&["plan", "mine"]).await;
    assert_eq!(plan.code, 2);
    let changes = plan.out.lines().skip_while(|line| line.starts_with("warning: ")).collect::<Vec<_>>().join("\n");
    assert_snapshot!("plan_people_edited", changes);
}

const ACCESS: &str = "\
issuers: {corp: {issuer: 'https://127.0.0.1:9', audience: [trackside], keys: {url: 'http://127.0.0.1:9/keys'}, map: [{when: {groups: sre}, role: admin}]}}
sign_in: {issuer: corp, client_id: trackside, session: {idle: 4h, absolute: 12h}}
scim: {groups: {Data Engineering: data}}
workload: {lifetime: 10m}
connections: {api: {kind: http, url: 'http://127.0.0.1:9'}}
approvals: {two: {any_of: [{all_of: [{from: [approvers], count: 2}]}]}}
jobs: {load: {target: {kind: http, connection: api, path: /load}, needs: [jobs.run], approval: {rule: two}}}
gateway: {listen: '127.0.0.1:0', trusted_proxies: [10.0.0.0/8]}
routes: {api: {match: {path: '/api/**'}, upstream: api, needs: [api.read]}}
";

const POLICY: &str = "@id(\"not-at-night\") forbid (principal, action, resource) when { context.hour < 6 };\n";

#[tokio::test]
async fn a_plan_names_who_is_let_in_where() {
    let mut world = World::start().await;
    world.home.write("mine/access.yaml", ACCESS);
    world.home.write("mine/night.cedar", POLICY);
    let plan = world.run(&["plan", "mine"]).await;
    assert_eq!(plan.code, 2, "{plan:?}");
    assert_snapshot!("plan_access", plan.out);
    world.run(&["apply", "mine", "--yes"]).await.good();
    let later = world.run(&["plan", "mine"]).await;
    assert!(later.out.contains("+ gateway listen  (takes effect at the next start)"), "{later:?}");

    world = world.restart().await;
    assert_eq!(world.run(&["plan", "mine"]).await.code, 0);
    world.edit("access.yaml", "needs: [api.read]", "access: public");
    world.edit("access.yaml", "10.0.0.0/8", "0.0.0.0/0");
    world.edit("access.yaml", "groups: sre", "groups: everybody");
    world.edit("night.cedar", "hour < 6", "hour < 1");
    assert_snapshot!("plan_access_edited", world.run(&["plan", "mine"]).await.out);
}

#[tokio::test]
async fn what_is_applied_is_in_force_and_on_disk() {
    let world = World::start().await;
    world.home.write("config/secrets.env", "A=1");
    world.edit("automations.yaml", "threshold: 3", "threshold: 4");
    world.edit("automations.yaml", "any failure", "every failure");
    std::fs::rename(world.home.path("mine/trackside.yaml"), world.home.path("mine/base.yml")).unwrap();
    let unasked = world.run(&["apply", "mine"]).await;
    assert!(unasked.code == 1 && unasked.err.contains("give --yes"), "{unasked:?}");
    assert_eq!(world.automations().await, ["any failure on files 1", "three on files 1"]);

    let applied = world.run(&["apply", "mine", "--yes"]).await.good();
    assert!(applied.ends_with("1 new, 1 changed, 1 removed.\nIt is in force.\n"), "{applied}");
    assert_eq!(world.automations().await, ["every failure on files 1", "three on files 2"]);
    let files = |folder: &str| {
        let entries = std::fs::read_dir(world.home.path(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(files("config"), [".previous", "automations.yaml", "base.yml", "secrets.env", "server.yaml"]);
    assert_eq!(files("config/.previous"), ["automations.yaml", "server.yaml", "trackside.yaml"]);
    let who = world.running.get("audit?limit=5").await;
    let edit = who["items"].as_array().unwrap().iter().find(|row| row["action"] == "automation.edited").unwrap();
    assert_eq!(edit["subject"], "local-admin", "{edit}");

    // The same again: nothing changes, nobody is asked, and no version is made.
    let again = world.run(&["apply", "mine"]).await.good();
    assert!(again.starts_with("No changes"), "{again}");
    let world = world.restart().await;
    assert_eq!(world.automations().await, ["every failure on files 1", "three on files 2"]);
    // Each start says with which rules of local time it decides.
    let starts = world.running.get("audit?action=server.started").await;
    let starts: Vec<&str> =
        starts["items"].as_array().unwrap().iter().filter_map(|row| row["summary"].as_str()).collect();
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert!(
        starts[0].contains(&format!("time zone database {}", trackside_core::duty::zone::tzdb_version())),
        "{starts:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing_and_is_told_with_my_places() {
    let world = World::start().await;
    world.edit("trackside.yaml", "via: pager", "via: pagr");
    world.edit("automations.yaml", "expect: [job.failed], threshold", "expct: [job.failed], threshold");
    let bad = world.run(&["apply", "mine", "--yes"]).await;
    assert_eq!(bad.code, 1);
    assert_snapshot!("apply_mistakes", bad.out);
    world.edit("trackside.yaml", "via: pagr", "via: pager");
    world.edit("automations.yaml", "expct", "expect");
    world.edit("trackside.yaml", "{file: secrets/pagerduty}", "{env: NOT_THERE}");
    let missing = world.run(&["plan", "mine"]).await;
    assert_eq!(missing.code, 1, "{missing:?}");
    assert_snapshot!("plan_without_a_secret", missing.out);
    let refused = world.run(&["apply", "mine", "--yes"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(world.run(&["plan", "config"]).await.code, 0, "what was in force is in force");
    let nowhere = world.run(&["plan", "nowhere"]).await;
    assert_eq!((nowhere.code, nowhere.out.contains("cannot read the folder")), (1, true), "{nowhere:?}");
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_and_a_folder_that_cannot_be_written_are_conflicts() {
    let world = World::start().await;
    world.edit("trackside.yaml", "20m", "30m");
    let file = |name: &str| json!({"name": name, "text": std::fs::read_to_string(world.home.path(&format!("mine/{name}"))).unwrap()});
    let files = json!(["server.yaml", "trackside.yaml", "automations.yaml"].map(file));
    let stale = json!({"files": files, "in_force": "something else"}).to_string();
    let (status, answer) = world.post("config/apply", stale).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(answer["detail"].as_str().unwrap().contains("look at the plan again"), "{answer}");
    // Something is in the way, as on a disk that cannot be written.
    world.home.write("config/.next.tmp", "");
    let (status, answer) = world.post("config/apply", json!({"files": files}).to_string()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(answer["detail"].as_str().unwrap().contains("cannot be written to config"), "{answer}");
    assert_eq!(world.run(&["plan", "mine"]).await.code, 2, "nothing changed");
    std::fs::remove_file(world.home.path("config/.next.tmp")).unwrap();
    assert_eq!(world.post("config/apply", json!({"files": files}).to_string()).await.1["applied"], true);
    let (status, _) =
        world.post("config/plan", json!({"files": [{"name": "../x.yaml", "text": ""}]}).to_string()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_token_that_was_made_by_hand_is_not_taken_over() {
    let world = World::start().await;
    world.run(&["token", "create", "grafana"]).await.good();
    world.edit(
        "trackside.yaml",
        "tokens: [",
        "tokens: [{name: grafana, role: viewer, secret: {file: secrets/webhook}}, ",
    );
    assert_eq!(world.run(&["plan", "mine"]).await.code, 2);
    let refused = world.run(&["apply", "mine", "--yes"]).await;
    assert!(refused.code == 1 && refused.err.contains("409") && refused.err.contains("grafana"), "{refused:?}");
    assert!(!world.home.path("config/.previous").exists(), "no file was touched");
}

#[tokio::test]
async fn automations_of_files_stay_paused_and_those_of_the_api_stay_as_they_are() {
    let mut world = World::start().await;
    let made = "name: mine\ntrigger: {expect: [x]}\nactions: [do-nothing]\n";
    assert_eq!(world.post("automations", made.to_owned()).await.0, StatusCode::CREATED);
    assert_eq!(world.run(&["automations", "pause", "three"]).await.good(), "automation `three` is paused\n");
    let expect = ["any failure on files 1", "mine on api 1", "three paused files 2"];
    assert_eq!(world.automations().await, expect);
    world.reload().await;
    assert_eq!(world.automations().await, expect, "a reload changes nothing");
    let mut world = world.restart().await;
    assert_eq!(world.automations().await, expect, "nor does a restart");
    assert_eq!(world.run(&["plan", "mine"]).await.code, 0, "nor is it a difference");

    let text = AUTOMATIONS.replace("threshold: 3", "threshold: 4");
    world.home.write("config/automations.yaml", &text);
    world.reload().await;
    assert_eq!(world.automations().await, ["any failure on files 1", "mine on api 1", "three on files 3"]);

    world.home.write("config/automations.yaml", &text.replace("any failure", "mine"));
    world.running.signal("HUP").await;
    let refused = world.running.says("the configuration was not changed").await;
    assert_snapshot!("reload_clash", redact(&world.home, &refused));
    assert_eq!(world.automations().await, ["any failure on files 1", "mine on api 1", "three on files 3"]);
    world.home.write("config/automations.yaml", "automations: []\n");
    world.reload().await;
    assert_eq!(world.automations().await, ["mine on api 1"]);
}
