//! Serves the pages over a day of made-up history, for looking at them: `cargo run -p trackside-web --example preview`.
//!
//! Everything goes the way of real data: events into the log, decisions, deliveries with attempts. Only the far ends
//! are made up. Prints an address that signs in.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a preview may fail loudly"
)]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/told.rs"]
mod told;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/world.rs"]
mod world;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use trackside_core::automation::definition::{Automation, AutomationId, Origin};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::automation::request::parse_written;
use trackside_core::caller::Caller;
use trackside_core::event::{Event, Fact, Labels};
use trackside_core::ids::{EventId, derive};
use trackside_core::input::{DeliveryResult, Input};
use trackside_core::run::{AttemptRef, RunReport, RunUpdate, System};
use trackside_identity::role::Role;
use trackside_store::Store;
use trackside_store::log::NewEntry;
use trackside_store::outbox::{AttemptRecord, AttemptVerdict, Next};
use trackside_web::{Listener, serve};
use world::World;

/// A pipeline of the history: system, name, owner, minutes between runs, mean duration in seconds, failures per 100.
struct Pipeline(System, &'static str, &'static str, i64, f64, u64);

const PIPELINES: [Pipeline; 7] = [
    Pipeline(System::Prefect, "ml_features_hourly", "ml-research", 20, 290.0, 3),
    Pipeline(System::Teamcity, "deploy api-gateway", "platform", 45, 850.0, 4),
    Pipeline(System::Prefect, "exchange-rates-daily", "finance-data", 12, 420.0, 9),
    Pipeline(System::Airflow, "warehouse_compact", "platform", 9, 190.0, 2),
    Pipeline(System::Airflow, "orders_daily", "payments", 30, 700.0, 0),
    Pipeline(System::Airflow, "ledger_export", "finance-data", 41, 300.0, 0),
    Pipeline(System::Openlineage, "spark_sessions", "ml-research", 15, 95.0, 1),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:4181".to_owned());
    let world = World::with(Store::memory().expect("a database in memory"), rules()).await;
    #[allow(clippy::disallowed_methods, reason = "a preview is a shell")]
    let end = Timestamp::now();
    past(&world, end).await;
    history(&world, end).await;
    trouble(&world, end).await;
    planned(&world, end).await;
    deliver(&world).await;
    let tcp = tokio::net::TcpListener::bind(&listen).await.expect("a free address");
    let mut link = world.state.sign_in_link("preview", Role::Admin);
    link.set_host(Some("127.0.0.1")).expect("a host");
    link.set_port(tcp.local_addr().ok().map(|address| address.port())).expect("a port");
    println!("{link}");
    let serving = serve(vec![Listener { tcp, tls: None }], world.router.clone(), world.stopping.subscribe());
    world.while_deciding(serving).await;
}

fn rules() -> trackside_core::ruleset::Ruleset {
    let mut rules = world::ruleset();
    for team in ["ml-research", "finance-data"] {
        let notify = json!({"notify": [{"via": "slack-data"}], "members": ["chen"], "escalation": "data-oncall"});
        rules.teams.insert(team.to_owned(), serde_json::from_value(notify).expect("a team"));
    }
    let payments = rules.teams.get_mut("payments").expect("is there");
    payments.members = vec!["ana".to_owned(), "bruno".to_owned()];
    payments.escalation = Some("payments-oncall".to_owned());
    let parse = |value: serde_json::Value| serde_json::from_value(value).expect("a ruleset");
    let people: trackside_core::ruleset::Ruleset = parse(people());
    rules.people = people.people;
    rules.schedules = people.schedules;
    rules.escalations = people.escalations;
    rules.maintenance = people.maintenance;
    rules.upstreams = people.upstreams;
    rules
}

/// People, who of them is on call when, and whom a problem goes to.
fn people() -> serde_json::Value {
    let working = |zone: &str, from: &str, to: &str| json!([{"weekdays": ["monday:friday"], "times": [{"start_time": from, "end_time": to}], "location": zone}]);
    let night = json!({"during": [{"times": [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "07:00"}]}], "below": "error"});
    let rotation = |zone: &str, unit: &str, who: &[&str]| json!({"tz": zone, "start": "2026-01-05T09:00", "unit": unit, "participants": who});
    json!({
        "people": {
            "ana": {"name": "Ana Martin", "zone": "Europe/Paris", "aliases": ["preview", "responder", "ana@example.net"],
                "contacts": [{"via": "slack-data", "to": "U024BE7LH"}, {"via": "pd-payments", "after": "5m"}], "quiet": night},
            "bruno": {"name": "Bruno Keller", "zone": "Europe/Zurich", "contacts": [{"via": "slack-data", "to": "U0G9QF9C6"}, {"via": "pd-payments", "after": "5m", "min_severity": "error"}]},
            "chen": {"name": "Chen Wei", "zone": "Asia/Singapore", "contacts": [{"via": "slack-data", "to": "U061F7AUR"}]},
            "dana": {"name": "Dana Okafor", "zone": "America/New_York", "contacts": [{"via": "slack-data", "to": "U08DANA42"}]},
        },
        "schedules": {
            "primary": {"layers": [{"name": "weekly", "rotation": rotation("Europe/Paris", "week", &["ana", "bruno", "dana"])}]},
            "secondary": {"layers": [{"name": "daily", "rotation": rotation("Europe/Paris", "day", &["bruno", "chen", "dana", "ana"])}]},
            "follow the sun": {"layers": [
                {"name": "asia", "rotation": rotation("Asia/Singapore", "week", &["chen"]), "restrict": working("Asia/Singapore", "08:00", "16:00")},
                {"name": "europe", "rotation": rotation("Europe/Paris", "week", &["ana", "bruno"]), "restrict": working("Europe/Paris", "09:00", "17:00")},
                {"name": "americas", "rotation": rotation("America/New_York", "week", &["dana"]), "restrict": working("America/New_York", "11:00", "19:00")},
            ]},
        },
        "escalations": {
            "payments-oncall": {"steps": [{"targets": ["oncall:primary"]}, {"after": "15m", "targets": ["oncall:secondary"]},
                {"after": "30m", "targets": ["person:chen", "channel:slack-data"]}, {"after": "1h", "targets": ["team:platform"]}],
                "repeat": {"times": 2, "every": "30m"}, "ack_timeout": "4h"},
            "data-oncall": {"steps": [{"targets": ["oncall:follow the sun"]}, {"after": "20m", "targets": ["oncall:secondary"]}]},
        },
        "maintenance": [{"name": "warehouse night", "matchers": ["pipeline=~\"warehouse_.*\""], "announce": ["slack-data"], "reason": "vacuum and statistics",
            "when": {"tz": "Europe/Paris", "start": "2026-01-03T22:00:00", "end_time": "02:00", "rrule": {"freq": "weekly"}}}],
        "upstreams": [{"match": {"pipeline": "ledger_export"}, "on": ["airflow-prod/orders_daily"]}],
    })
}

/// Two weeks before: automations are made and edited, and a run fails now and then.
async fn past(world: &World, end: Timestamp) {
    world.set(end - SignedDuration::from_hours(24 * 15)).await;
    kept_in_files(world).await;
    for text in AUTOMATIONS {
        automation(world, http::Method::POST, "", text).await;
    }
    let mut at = end - SignedDuration::from_hours(24 * 14);
    while at < end - SignedDuration::from_hours(28) {
        for (pipeline, system, owner) in
            [("exchange-rates-daily", System::Prefect, "finance-data"), ("orders_daily", System::Airflow, "payments")]
        {
            for attempt in 0..dice(pipeline, at) % 4 {
                let when = at + SignedDuration::from_mins(20 * attempt as i64);
                let run = format!("scheduled__{}", when.strftime("%Y-%m-%dT%H:%M:00+00:00"));
                let failed = RunUpdate {
                    started: Some(when - SignedDuration::from_mins(6)),
                    ended: Some(when),
                    error: Some("TimeoutError: the warehouse did not answer".to_owned()),
                    ..update(system, pipeline, &run, owner, RunReport::Failed)
                };
                report(world, when, failed).await;
            }
            let when = at + SignedDuration::from_mins(100);
            if !dice(owner, at).is_multiple_of(3) {
                world.set(world.now() + SignedDuration::from_mins((dice("taken", at) % 40) as i64)).await;
                deliver(world).await;
                take(world).await;
            }
            let run = format!("manual__{}", when.strftime("%Y-%m-%dT%H:%M:00+00:00"));
            let done = RunUpdate { ended: Some(when), ..update(system, pipeline, &run, owner, RunReport::Succeeded) };
            report(world, when, done).await;
            deliver(world).await;
        }
        at += SignedDuration::from_hours(11);
    }
    let listed = world.get("/api/v1/automations?q=often", Role::Viewer).await.json();
    let id = listed["items"][0]["id"].as_str().expect("is there").to_owned();
    let edited = AUTOMATIONS[0].replace("threshold: 4", "threshold: 3").replace("within: 1h", "within: 2h");
    automation(world, http::Method::PUT, &format!("/{id}"), &edited).await;
}

/// Somebody takes every incident that nobody has.
async fn take(world: &World) {
    let open = world.get("/api/v1/incidents?state=triggered", Role::Viewer).await.json();
    for incident in open["items"].as_array().expect("a list") {
        let path = format!("/api/v1/incidents/{}/acknowledge", incident["number"]);
        world.send(http::Method::POST, &path, &[world::bearer(Role::Responder)], "").await;
    }
}

/// What is planned: somebody stands in for another, something is silenced, work is announced.
async fn planned(world: &World, end: Timestamp) {
    let hours = |hours: i64| end + SignedDuration::from_hours(hours);
    let work = hours(40).strftime("%Y-%m-%dT%H:00:00").to_string();
    let posts = [
        (
            "/api/v1/schedules/primary/overrides",
            json!({"user": "chen", "start": hours(30), "end": hours(42), "reason": "Ana is at a wedding"}),
        ),
        (
            "/api/v1/schedules/secondary/overrides",
            json!({"user": null, "start": hours(54), "end": hours(60), "reason": "moving house"}),
        ),
        (
            "/api/v1/silences",
            json!({"matchers": ["alertname=\"DiskFull\"", "severity!=\"critical\""], "for": "6h", "reason": "the disk is being replaced, ticket 4711"}),
        ),
        (
            "/api/v1/silences",
            json!({"matchers": ["team=\"ml-research\""], "starts": hours(20), "ends": hours(26), "reason": "training on the cluster"}),
        ),
        (
            "/api/v1/maintenance",
            json!({"name": "new version of Airflow", "matchers": ["source=\"airflow-prod\""], "announce": ["slack-data"], "reason": "3.1 to 3.2",
            "when": {"tz": "Europe/Paris", "start": work, "duration_s": 7200}}),
        ),
    ];
    for (path, body) in posts {
        let answer = world.send(http::Method::POST, path, &[world::bearer(Role::Operator)], body.to_string()).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
    }
    let open = world.get("/api/v1/incidents?state=triggered&owner=finance-data", Role::Viewer).await.json();
    if let Some(number) = open["items"][0]["number"].as_u64() {
        let path = format!("/api/v1/incidents/{number}/snooze");
        let body = json!({"for": "4h"}).to_string();
        world.send(http::Method::POST, &path, &[world::bearer(Role::Responder)], body).await;
    }
}

const AUTOMATIONS: [&str; 4] = [
    "name: orders fail too often\ndescription: Several failures of one pipeline in a short time are no accident.\ntags: [orders, nightly]\ntrigger:\n  expect: [airflow-prod.run.failed, prefect.run.failed]\n  for_each: [prefect.resource.name]\n  threshold: 4\n  within: 1h\nactions:\n  - type: notify-channel\n    connection: slack-data\n    subject: \"{{ event.resource.name }} fails again\"\n    body: \"{{ event.resource.name }} failed at {{ event.occurred }}.\"\nactions_on_trigger:\n  - {type: declare-incident, title: \"Fails too often\", severity: warning}\n",
    "name: three in a row\ntags: [nightly]\ntrigger: {consecutive: 3, match: {pipeline: \"orders_*\"}}\nactions_on_trigger: [page-owner]\nactions_on_resolve: [resolve-incident]\n",
    "name: nothing from the warehouse\nenabled: false\ntrigger:\n  posture: Proactive\n  expect: [airflow-prod.run.succeeded]\n  match: {prefect.resource.name: \"warehouse_*\"}\n  within: 90m\nactions_on_trigger: [{type: page-owner, title: Nothing from the warehouse}]\nactions_on_resolve: [resolve-incident]\n",
    "name: late and failing\ntrigger:\n  type: compound\n  require: all\n  within: 30m\n  triggers:\n    - {expect: [prefect.run.failed], match_related: {prefect.resource.role: flow-run}}\n    - {expect: [airflow-prod.run.failed], threshold: 40, within: 10m}\nactions: [{type: notify-channel, connection: slack-dta, body: \"{{ flow_rn.name }} is late\"}]\n",
];

/// Makes or edits an automation through the API.
async fn automation(world: &World, method: http::Method, path: &str, text: &str) {
    let path = format!("/api/v1/automations{path}");
    let answer = world.send(method, &path, &[world::bearer(Role::Admin)], text.to_owned()).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

/// Automations as the configuration holds them: one of ours, one of Prefect's.
async fn kept_in_files(world: &World) {
    let every = json!({"name": "say every failure", "tags": ["channel"],
        "trigger": {"expect": ["airflow-prod.run.failed"]},
        "actions": [{"type": "notify-channel", "connection": "slack-data", "body": "{{ event.resource.name }} failed."}]});
    let prefect = json!({"name": "flows that fail (from Prefect)", "semantics": "prefect",
        "trigger": {"type": "event", "expect": ["prefect.run.failed"], "match": {"prefect.resource.id": "prefect.run.*"},
            "for_each": ["prefect.resource.id"], "posture": "Reactive", "threshold": 1, "within": 0},
        "actions": [{"type": "send-notification", "block_document_id": "6b2dbbcb-3d3b-4c0f-9c0b-0f6a3f3b7b11",
            "subject": "Flow run failed", "body": "{{ flow_run.name }} failed"}]});
    let edits = [every, prefect].map(|body| {
        let written = parse_written(&body).expect("an automation");
        let id = AutomationId(derive("automation", &[&written.spec.name]));
        let (spec, semantics, origin) = (written.spec, written.semantics, Origin::Files);
        let now = world.now();
        AutomationEdit::Put(Box::new(Automation {
            id,
            spec,
            semantics,
            origin,
            created: now,
            updated: now,
            version: 1,
        }))
    });
    let input = Input::Automations { caller: Caller::rules(), edits: edits.into() };
    let entry = NewEntry::input(world.now(), &input, derive("preview", &["files"])).expect("an entry");
    world.store.append(vec![entry]).await.expect("appended");
    world.decide().await;
}

/// A day of runs.
async fn history(world: &World, end: Timestamp) {
    let begin = end - SignedDuration::from_hours(26);
    let mut runs: Vec<(Timestamp, f64, bool, &Pipeline)> = Vec::new();
    for pipeline in &PIPELINES {
        let Pipeline(_, name, _, every, mean, failing) = pipeline;
        let mut at = begin;
        while at < end - SignedDuration::from_mins(30) {
            let dice = dice(name, at);
            let busy = if at.as_second() / 3_600 % 24 == 4 { 12 } else { 1 };
            let fails = dice % 100 < failing * busy;
            runs.push((at, mean * (0.6 + (dice % 83) as f64 / 100.0), fails, pipeline));
            at += SignedDuration::from_mins(every - 3 + (dice % 7) as i64);
        }
    }
    runs.sort_by_key(|(at, ..)| *at);
    for (at, seconds, fails, Pipeline(system, name, owner, ..)) in runs {
        let run = format!("scheduled__{}", at.strftime("%Y-%m-%dT%H:%M:%S+00:00"));
        let over = at + SignedDuration::from_millis((seconds * 1000.0) as i64);
        let end = if fails { RunReport::Failed } else { RunReport::Succeeded };
        let error = fails.then(|| "OperationalError: connection to server at \"warehouse\" timed out".to_owned());
        let update =
            RunUpdate { started: Some(at), ended: Some(over), error, ..update(*system, name, &run, owner, end) };
        report(world, over, update).await;
        deliver(world).await;
    }
}

/// What the night looks like: a pipeline that fails for the third time, a run under way, a message that did not go out.
async fn trouble(world: &World, end: Timestamp) {
    let ago = |minutes: i64| end - SignedDuration::from_mins(minutes);
    let stack = "OperationalError: connection refused by Snowflake\n  File \"/dags/orders.py\", line 88, in load\n    cursor.execute(sql)";
    for minutes in [19, 12, 6] {
        let run = format!("scheduled__{}", ago(minutes + 4).strftime("%Y-%m-%dT%H:%M:00+00:00"));
        let running = RunUpdate {
            started: Some(ago(minutes + 4)),
            ..update(System::Airflow, "orders_daily", &run, "payments", RunReport::Started)
        };
        report(world, ago(minutes + 4), running).await;
        let task = AttemptRef {
            task: "load_to_warehouse".to_owned(),
            map_index: None,
            try_number: Some(1),
            retries: Some(0),
            aliases: Vec::new(),
        };
        let failed = RunUpdate {
            attempt: Some(task),
            started: Some(ago(minutes + 3)),
            ended: Some(ago(minutes)),
            error: Some(stack.to_owned()),
            log_url: Some("https://airflow.example.net/dags/orders_daily/log".to_owned()),
            ..update(System::Airflow, "orders_daily", &run, "payments", RunReport::Failed)
        };
        report(world, ago(minutes), failed).await;
        let over = RunUpdate {
            started: Some(ago(minutes + 4)),
            ended: Some(ago(minutes)),
            ..update(System::Airflow, "orders_daily", &run, "payments", RunReport::Failed)
        };
        report(world, ago(minutes), over).await;
        deliver(world).await;
    }
    downstream(world, end).await;
    for (minutes, system, name, owner) in [
        (3, System::Airflow, "warehouse_compact", "platform"),
        (1, System::Prefect, "ml_features_hourly", "ml-research"),
    ] {
        let running =
            RunUpdate { started: Some(ago(minutes)), ..update(system, name, "manual__now", owner, RunReport::Started) };
        report(world, ago(minutes), running).await;
    }
    world.set(ago(2)).await;
    let task = AttemptRef {
        task: "score".to_owned(),
        map_index: None,
        try_number: Some(1),
        retries: Some(2),
        aliases: Vec::new(),
    };
    let maybe = RunUpdate {
        attempt: Some(task),
        started: Some(ago(3)),
        ended: Some(ago(2)),
        error: Some("MemoryError".to_owned()),
        ..update(System::Airflow, "warehouse_compact", "manual__now", "platform", RunReport::FailedMaybeRetry)
    };
    report(world, ago(2), maybe).await;
    let alert = json!([{"labels": {"alertname": "DiskFull", "job": "warehouse", "severity": "warning", "team": "platform"},
        "annotations": {"summary": "Disk of warehouse is 97% full"}, "startsAt": ago(2), "generatorURL": "https://prometheus.example.net/graph"}]);
    let by = [world::bearer(Role::Ingest)];
    world.send(http::Method::POST, "/api/v2/alerts", &by, alert.to_string()).await;
    deliver(world).await;
    world.set(end).await;
}

/// A pipeline that fails because what it reads from failed.
async fn downstream(world: &World, end: Timestamp) {
    let ago = |minutes: i64| end - SignedDuration::from_mins(minutes);
    let export = format!("scheduled__{}", ago(9).strftime("%Y-%m-%dT%H:%M:00+00:00"));
    let failed = RunUpdate {
        started: Some(ago(9)),
        ended: Some(ago(5)),
        error: Some("the table orders is empty".to_owned()),
        ..update(System::Airflow, "ledger_export", &export, "finance-data", RunReport::Failed)
    };
    report(world, ago(5), failed).await;
    deliver(world).await;
}

fn update(system: System, pipeline: &str, run: &str, owner: &str, report: RunReport) -> RunUpdate {
    RunUpdate {
        system,
        pipeline: pipeline.to_owned(),
        run_id: Some(run.to_owned()),
        run_aliases: Vec::new(),
        attempt: None,
        report,
        started: None,
        ended: None,
        nominal: None,
        error: None,
        owners: vec![owner.to_owned()],
        tags: vec![format!("team:{owner}")],
        url: (system == System::Airflow).then(|| format!("https://airflow.example.net/dags/{pipeline}/runs/{run}")),
        log_url: None,
        doc: None,
        clear_number: 0,
        rows: None,
        task_states: Default::default(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        deadlines: Vec::new(),
    }
}

async fn report(world: &World, at: Timestamp, update: RunUpdate) {
    world.set(at).await;
    let source = match update.system {
        System::Airflow => "airflow-prod",
        System::Prefect => "prefect",
        System::Teamcity => "teamcity",
        _ => "spark",
    };
    let word = format!("{:?}", update.report).to_lowercase();
    let what = if update.attempt.is_some() { "task" } else { "run" };
    let id = derive("preview", &[&update.pipeline, update.run_id.as_deref().unwrap_or(""), &word, what]);
    let name = format!("{}.{}", update.pipeline, update.run_id.as_deref().unwrap_or(""));
    let event = Event {
        id: EventId(id),
        source: source.to_owned(),
        occurred: at,
        received: at,
        event: format!("{source}.{what}.{word}"),
        resource: Labels::from([
            ("prefect.resource.id".to_owned(), format!("{source}.run.{name}")),
            ("prefect.resource.name".to_owned(), update.pipeline.clone()),
        ]),
        related: Vec::new(),
        payload: json!({"state": word, "error": update.error, "owner": update.owners}),
        follows: None,
        fact: Some(Fact::Run(Box::new(update))),
    };
    world.store.append(vec![NewEntry::event(&event).expect("an event")]).await.expect("appended");
    world.decide().await;
}

/// The far ends: PagerDuty is busy at the first try, Slack takes everything, one message in twenty is refused.
async fn deliver(world: &World) {
    loop {
        let now = world.now();
        let due = world.store.due(now, &[], 50).await.expect("readable");
        if due.is_empty() {
            break;
        }
        for row in due {
            let ids = [row.effect.id];
            world.store.claim(&ids, now + SignedDuration::from_secs(30)).await.expect("claimed");
            let found = world.store.delivery(row.effect.id).await.expect("readable").expect("there");
            let pagerduty = row.effect.connection == "pd-payments";
            let first = found.delivery.attempts == 1;
            let refused = dice(&row.effect.id.to_string(), now).is_multiple_of(20);
            let took = 60 + dice(&row.effect.key, now) % 220;
            let (verdict, status, answer) = match (refused, pagerduty && first) {
                (true, _) => (AttemptVerdict::Refused, 404, "channel_not_found"),
                (_, true) => (AttemptVerdict::Retry, 429, "{\"status\":\"throttle exceeded\"}"),
                _ => (
                    AttemptVerdict::Done,
                    if pagerduty { 202 } else { 200 },
                    "{\"status\":\"success\",\"message\":\"Event processed\"}",
                ),
            };
            let error = (verdict != AttemptVerdict::Done).then(|| format!("answered {status}: {answer}"));
            let attempt = AttemptRecord {
                at: now,
                took_ms: u32::try_from(took).unwrap_or(0),
                verdict,
                status: Some(status),
                request: Some(format!(
                    "POST https://far.example.net/v2/enqueue\n\n{}",
                    json!({"summary": row.effect.notice.title, "dedup_key": row.effect.key})
                )),
                answer: Some(answer.to_owned()),
                error: error.clone(),
                far_ref: None,
                in_doubt: false,
                call: None,
            };
            let next = match verdict {
                AttemptVerdict::Retry => Next::Retry { due: now },
                AttemptVerdict::Refused => Next::End(DeliveryResult::Dead { error: error.unwrap_or_default() }),
                _ => Next::End(DeliveryResult::Delivered),
            };
            let done = now + SignedDuration::from_millis(took as i64);
            world.store.record_attempt(&found.delivery, &attempt, &next, done).await.expect("recorded");
            world.set(done).await;
        }
        world.decide().await;
    }
}

/// A number that looks random and repeats.
fn dice(name: &str, at: Timestamp) -> u64 {
    u64::from(derive("dice", &[name, &at.as_second().to_string()]).as_bytes()[0]) * 7
        + u64::from(derive("die", &[name, &at.as_second().to_string()]).as_bytes()[3])
}
