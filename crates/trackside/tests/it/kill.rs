//! The program is killed at random moments, again and again, while events stream in through two doors and messages go
//! out to three far ends. Nothing that was acknowledged is lost, nothing is stored twice, every effect arrives, and no far
//! end that honours keys or can be asked sees one twice.
//!
//! `TRACKSIDE_KILLS=N` kills more often, `TRACKSIDE_SEED=N` at other moments.

use crate::binary::{ALONE, Home, INGEST, Running};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use trackside::clock::Clock;
use trackside_core::ids::derive;
use trackside_sim::far_ends::FarEnds;
use trackside_sim::journal::{Arrival, Journal};
use trackside_sim::pagerduty::Status;

/// Kills of the ordinary test.
const KILLS: u32 = 18;
/// Clients of each door.
const CLIENTS: usize = 3;
/// Pipelines of each client; each fails and recovers in turn.
const PIPELINES: usize = 12;
/// A client sends an event this often at most.
const PACE: Duration = Duration::from_millis(100);
/// Longest life of a server, in milliseconds.
const LIFE_MS: u64 = 1_200;
/// Longest wait for everything to arrive in the end.
const SETTLE: Duration = Duration::from_secs(60);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

fn home(ends: &FarEnds) -> Home {
    let fast = "delivery: {rate_per_second: 1000, burst: 10000, timeout: 5s}";
    Home::new(&format!(
        "
incidents: {{storm: null}}
teams: {{data: {{notify: [{{via: pager}}, {{via: chat}}, {{via: hook}}]}}}}
owners: {{default: data}}
rules: [{{name: failed, when: {{failed: {{}}}}}}]
connections:
  pager: {{kind: pagerduty, url: '{pagerduty}', routing_key: {{file: secrets/pagerduty}}, {fast}}}
  # By its id the channel can be asked whether a message arrived.
  chat: {{kind: slack, api_url: '{slack}/api', token: {{file: secrets/slack}}, channel: C0123456789, {fast}}}
  hook: {{kind: webhook, url: '{webhook}/in', secret: {{file: secrets/webhook}}, {fast}}}
tokens: [{{name: stream, role: ingest, secret: {{file: secrets/ingest}}}}]
",
        pagerduty = ends.pagerduty.url(),
        slack = ends.slack.url(),
        webhook = ends.webhook.url(),
    ))
}

/// What the clients met.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: AtomicU64,
    lost_answers: AtomicU64,
    duplicates: AtomicU64,
}

/// A client that sends again, with the same ids, until it gets an acknowledgement.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    /// Where the server is; nowhere while it is dead.
    server: watch::Receiver<Option<String>>,
    tally: Arc<Tally>,
}

impl Client {
    async fn post(&mut self, path: &str, body: &Value) {
        loop {
            let url = self.server.wait_for(Option::is_some).await.unwrap().clone().unwrap();
            let request = self.http.post(format!("{url}{path}")).bearer_auth(INGEST).json(body);
            let answer = async { request.send().await?.error_for_status()?.text().await };
            match answer.await {
                Ok(text) => {
                    self.tally.acknowledged.fetch_add(1, Ordering::Relaxed);
                    if text.contains("\"duplicate\":true") {
                        self.tally.duplicates.fetch_add(1, Ordering::Relaxed);
                    }
                    return;
                }
                Err(error) if error.status().is_none_or(|status| status == 503) => {
                    self.tally.lost_answers.fetch_add(1, Ordering::Relaxed);
                    // Mostly it is dead, and comes back somewhere else.
                    let _ = timeout(PACE, self.server.changed()).await;
                }
                Err(error) => panic!("the server refused an event: {error}"),
            }
        }
    }
}

/// What is expected in the log: name of the event and the id of its resource.
type Logged = (String, String);

/// One step of a run, in the words of a door.
fn native(pipeline: &str, run: usize, state: &str) -> (Value, Logged) {
    let event = json!({
        "id": format!("{pipeline}/{run}/{state}"), "source": "stream", "event": format!("run.{state}"),
        "run": {"pipeline": pipeline, "run_id": run.to_string(), "state": state, "error": "upstream gone"},
    });
    (event, (format!("run.{state}"), format!("run.stream.{pipeline}.{run}")))
}

fn openlineage(pipeline: &str, run: usize, state: &str) -> (Value, Logged) {
    let kind = match state {
        "running" => "START",
        "failed" => "FAIL",
        _ => "COMPLETE",
    };
    let run = derive("stream", &[pipeline, &run.to_string()]);
    let event = json!({
        "eventTime": Clock::system().now(), "eventType": kind, "producer": "https://example.net/stream",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run}, "job": {"namespace": "lineage", "name": pipeline},
    });
    (event, (format!("openlineage.run.{state}"), format!("openlineage.run.lineage.{pipeline}.{run}")))
}

/// Streams until told to stop, then until every pipeline is well. Gives what was acknowledged and the failures in it.
async fn stream(mut client: Client, name: String, lineage: bool, stop: watch::Receiver<bool>) -> (Vec<Logged>, usize) {
    let (mut logged, mut failures) = (Vec::new(), 0);
    let mut pace = tokio::time::interval(PACE);
    for run in 0_usize.. {
        let fails = (run / PIPELINES).is_multiple_of(2);
        if run.is_multiple_of(2 * PIPELINES) && *stop.borrow() {
            break;
        }
        let pipeline = format!("{name}-{}", run % PIPELINES);
        for state in ["running", if fails { "failed" } else { "succeeded" }] {
            pace.tick().await;
            let (path, (event, expected)) = if lineage {
                ("/api/v1/lineage", openlineage(&pipeline, run, state))
            } else {
                ("/api/v1/events", native(&pipeline, run, state))
            };
            client.post(path, &event).await;
            logged.push(expected);
        }
        failures += usize::from(fails);
    }
    (logged, failures)
}

/// A random moment: after some time, or right after a message arrived somewhere, when its answer is on the way.
async fn moment(dice: &mut SmallRng, journal: &Journal) {
    let life = Duration::from_millis(dice.random_range(20..LIFE_MS));
    let arrivals = dice.random_range(1..40);
    let mut news = journal.subscribe();
    let at_an_arrival = async {
        for _ in 0..arrivals {
            news.changed().await.unwrap();
        }
    };
    if dice.random_bool(0.5) {
        let _ = timeout(life, std::future::pending::<()>()).await;
    } else {
        let _ = timeout(Duration::from_millis(LIFE_MS), at_an_arrival).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_it_whenever_you_like_nothing_acknowledged_is_lost_and_nothing_is_told_twice() {
    let _alone = ALONE.lock().await;
    let (kills, seed) = (number("TRACKSIDE_KILLS", KILLS.into()), number("TRACKSIDE_SEED", 1));
    let mut dice = SmallRng::seed_from_u64(seed);
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = home(&ends);
    let (server, stop) = (watch::Sender::new(None), watch::Sender::new(false));
    let tally = Arc::new(Tally::default());
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let client = Client { http, server: server.subscribe(), tally: Arc::clone(&tally) };
    let mut streams = JoinSet::new();
    for number in 0..CLIENTS {
        streams.spawn(stream(client.clone(), format!("native-{number}"), false, stop.subscribe()));
        streams.spawn(stream(client.clone(), format!("lineage-{number}"), true, stop.subscribe()));
    }
    for _ in 0..kills {
        let running = home.serve().await;
        server.send_replace(Some(running.url.clone()));
        moment(&mut dice, &ends.journal).await;
        running.kill().await;
        server.send_replace(None);
    }
    let running = home.serve().await;
    server.send_replace(Some(running.url.clone()));
    stop.send_replace(true);
    let (mut acknowledged, mut failures) = (Vec::new(), 0);
    while let Some(ended) = streams.join_next().await {
        let (logged, failed) = ended.unwrap();
        acknowledged.extend(logged);
        failures += failed;
    }
    running.decided(failures).await;
    running.settle(SETTLE).await;

    log_holds_each_once(&running, acknowledged).await;
    let deliveries = running.all("deliveries").await;
    let told = Told::of(&deliveries);
    pagerduty_opened_each_once(&ends, &told);
    slack_shows_each_once(&ends, &told);
    let repeats = webhooks_repeat_only_under_their_id(&ends, &told);
    // The worst must really have happened, or the test proves nothing.
    println!("seed {seed}: {kills} kills, {tally:?}, {failures} incidents, {repeats} webhooks repeated");
    println!("{} deliveries: {:?}", deliveries.len(), told.states);
    // How many requests a kill finds under way depends on the machine: few on one that answers at once.
    let interrupted = tally.lost_answers.load(Ordering::Relaxed) + repeats as u64;
    assert!(interrupted > 0, "no kill came while something was under way");
    assert!(told.states["delivered"] > deliveries.len() / 4, "{:?}", told.states);
}

impl Running {
    /// Waits until this many incidents were opened and all are resolved.
    async fn decided(&self, incidents: usize) {
        crate::binary::eventually("every incident is resolved", SETTLE, async || {
            let all = self.all("incidents").await;
            assert!(all.len() <= incidents, "{} incidents of {incidents} failures", all.len());
            (all.len() == incidents && all.iter().all(|incident| incident["state"] == "resolved")).then_some(())
        })
        .await;
    }
}

/// Every acknowledged event is in the log exactly once, and nothing else is.
async fn log_holds_each_once(running: &Running, acknowledged: Vec<Logged>) {
    let mut times: BTreeMap<Logged, usize> = BTreeMap::new();
    for event in running.all("events").await {
        let resource = event["resource"]["prefect.resource.id"].as_str().unwrap().to_owned();
        *times.entry((event["event"].as_str().unwrap().to_owned(), resource)).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "stored twice: {twice:?}");
    let (stored, sent): (BTreeSet<Logged>, BTreeSet<Logged>) =
        (times.into_keys().collect(), acknowledged.into_iter().collect());
    assert_eq!(sent.difference(&stored).collect::<Vec<_>>(), Vec::<&Logged>::new(), "acknowledged and lost");
    assert_eq!(stored.difference(&sent).collect::<Vec<_>>(), Vec::<&Logged>::new(), "stored and never sent");
}

/// What the outbox says was delivered: by connection and action, the ids of deliveries and of their incidents.
struct Told {
    delivered: BTreeMap<(String, String), BTreeMap<String, String>>,
    states: BTreeMap<String, usize>,
}

impl Told {
    fn of(deliveries: &[Value]) -> Self {
        let mut told = Self { delivered: BTreeMap::new(), states: BTreeMap::new() };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for row in deliveries {
            *told.states.entry(text(&row["state"])).or_default() += 1;
            assert!(row["state"] == "delivered" || row["state"] == "superseded", "given up: {row:#}");
            if row["state"] == "delivered" {
                let of = told.delivered.entry((text(&row["connection"]), text(&row["action"]))).or_default();
                of.insert(text(&row["id"]), text(&row["incident"]));
            }
        }
        told
    }

    fn deliveries(&self, connection: &str, action: &str) -> BTreeSet<&str> {
        self.delivered[&(connection.to_owned(), action.to_owned())].keys().map(String::as_str).collect()
    }

    fn incidents(&self, connection: &str, action: &str) -> BTreeSet<&str> {
        self.delivered[&(connection.to_owned(), action.to_owned())].values().map(String::as_str).collect()
    }
}

fn arrivals<'a>(all: &'a [Arrival], far_end: &str, action: &str) -> Vec<&'a Arrival> {
    all.iter().filter(|arrival| arrival.far_end == far_end && arrival.action == action).collect()
}

fn pagerduty_opened_each_once(ends: &FarEnds, told: &Told) {
    let alerts = ends.pagerduty.state().alerts();
    let keys: BTreeSet<&str> = alerts.iter().map(|alert| alert.dedup_key.as_str()).collect();
    assert_eq!(keys.len(), alerts.len(), "an incident was opened twice");
    // A page whose answer was lost, and which its resolve then overtook, is there as well.
    let missing: Vec<_> = told.incidents("pager", "trigger").difference(&keys).copied().collect();
    assert!(missing.is_empty(), "delivered, but not there: {missing:?}");
    let open: Vec<_> = alerts.iter().filter(|alert| alert.status != Status::Resolved).collect();
    assert!(open.is_empty(), "never closed: {open:?}");
}

fn slack_shows_each_once(ends: &FarEnds, told: &Told) {
    let all = ends.journal.arrivals();
    let posts = arrivals(&all, "slack", "chat.postMessage");
    let replies = arrivals(&all, "slack", "thread reply");
    let twice: Vec<_> = posts.iter().chain(&replies).filter(|arrival| arrival.times > 1).collect();
    assert!(twice.is_empty(), "shown twice: {twice:#?}");
    // A page whose answer was lost, and which its resolve then overtook, has no delivered row, but is there.
    let shown: BTreeSet<&str> = posts.iter().filter_map(|arrival| arrival.identity.rsplit('/').next()).collect();
    let missing: Vec<_> = told.deliveries("chat", "trigger").difference(&shown).copied().collect();
    assert!(missing.is_empty(), "delivered, but not there: {missing:?}");
    let ended: BTreeSet<&str> =
        posts.iter().chain(&replies).filter_map(|arrival| arrival.identity.rsplit('/').next()).collect();
    let missing: Vec<_> = told.deliveries("chat", "resolve").difference(&ended).copied().collect();
    assert!(missing.is_empty(), "delivered, but not there: {missing:?}");
}

/// Gives how many came more than once.
fn webhooks_repeat_only_under_their_id(ends: &FarEnds, told: &Told) -> usize {
    let all = ends.journal.arrivals();
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    let mut repeats = 0;
    for (kind, action) in [("incident.trigger", "trigger"), ("incident.resolve", "resolve")] {
        let mut incidents = BTreeSet::new();
        for arrival in arrivals(&all, "webhook", kind) {
            let body: Value = serde_json::from_str(&arrival.body).unwrap();
            assert_eq!(body["data"]["delivery"], arrival.identity.as_str());
            let incident = body["data"]["notice"]["incident"]["id"].as_str().unwrap().to_owned();
            assert!(incidents.insert(incident), "told twice under different ids: {arrival:#?}");
            repeats += usize::from(arrival.times > 1);
            ids.insert(&arrival.identity);
        }
        let missing: Vec<_> = told.deliveries("hook", action).difference(&ids).copied().collect();
        assert!(missing.is_empty(), "delivered, but not there: {missing:?}");
    }
    repeats
}
