//! Far ends that fail, each in its own way, while problems stream in: refused connections, no answer, 503, 429 with
//! `Retry-After`. Healthy far ends notice nothing; a failing one is asked once per back-off slot; everything arrives soon
//! after it is well again, and nothing that was over by then.
//!
//! `TRACKSIDE_OUTAGE_SECONDS=N` makes the outage longer.

use crate::binary::{ALONE, Home, PATIENCE, Running, eventually};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;
use trackside::clock::Clock;
use trackside_core::delivery::{RETRY_FIRST, longest_wait};
use trackside_sim::behaviour::Behaviour;
use trackside_sim::far_ends::FarEnds;
use trackside_sim::journal::{Arrival, Journal};

/// Length of the ordinary test's outage.
const OUTAGE_S: u64 = 6;
/// Time between two problems: 5 a second, each told through six connections.
const EVERY: Duration = Duration::from_millis(200);
/// Every so many problems, one is over while the outage lasts.
const OVER_EVERY: usize = 5;
/// Everything arrives this soon after a far end is well.
const RECOVERY: SignedDuration = SignedDuration::from_secs(10);
/// What the far end that answers 429 asks for.
const RETRY_AFTER_S: u32 = 2;
/// Longest wait for an answer, as configured.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(1);
/// What a busy machine may add to any time.
const SLACK: SignedDuration = SignedDuration::from_millis(900);

fn outage() -> Duration {
    let seconds = std::env::var("TRACKSIDE_OUTAGE_SECONDS").map_or(OUTAGE_S, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// The far ends by the way they fail. Each set has its own journal.
struct Ends {
    refusing: FarEnds,
    hanging: FarEnds,
    well: FarEnds,
}

/// Connections that fail; the last two are well.
const FAILING: [&str; 4] = ["refusing", "hanging", "unavailable", "limited"];

impl Ends {
    async fn start() -> Self {
        let start = async || FarEnds::start(Journal::wall_clock()).await.unwrap();
        Self { refusing: start().await, hanging: start().await, well: start().await }
    }

    fn home(&self) -> Home {
        let fast = "delivery: {rate_per_second: 1000, burst: 10000, timeout: 1s}";
        let hook =
            |url: String| format!("{{kind: webhook, url: '{url}/in', secret: {{file: secrets/webhook}}, {fast}}}");
        let pager = |url: String| {
            format!("{{kind: pagerduty, url: '{url}', routing_key: {{file: secrets/pagerduty}}, {fast}}}")
        };
        Home::new(&format!(
            "
incidents: {{storm: null}}
teams: {{data: {{notify: [{{via: refusing}}, {{via: hanging}}, {{via: unavailable}}, {{via: limited}}, {{via: well-hook}}, {{via: well-pager}}]}}}}
owners: {{default: data}}
rules: [{{name: failed, when: {{failed: {{}}}}}}]
connections:
  refusing: {refusing}
  hanging: {hanging}
  unavailable: {unavailable}
  limited: {{kind: slack, api_url: '{limited}/api', token: {{file: secrets/slack}}, channel: C0123456789, {fast}}}
  well-hook: {well_hook}
  well-pager: {well_pager}
tokens: [{{name: stream, role: ingest, secret: {{file: secrets/ingest}}}}]
",
            refusing = hook(self.refusing.webhook.url()),
            hanging = hook(self.hanging.webhook.url()),
            unavailable = pager(self.refusing.pagerduty.url()),
            limited = self.refusing.slack.url(),
            well_hook = hook(self.well.webhook.url()),
            well_pager = pager(self.well.pagerduty.url()),
        ))
    }

    async fn fail(&self) {
        let limited = Behaviour::Status { code: 429, retry_after: Some(RETRY_AFTER_S) };
        self.refusing.webhook.set(Behaviour::Refuse).await;
        self.hanging.webhook.set(Behaviour::Hang).await;
        self.refusing.pagerduty.set(Behaviour::Status { code: 503, retry_after: None }).await;
        self.refusing.slack.set(limited).await;
    }

    async fn recover(&self) {
        self.refusing.webhook.set(Behaviour::Healthy).await;
        self.hanging.webhook.set(Behaviour::Healthy).await;
        self.refusing.pagerduty.set(Behaviour::Healthy).await;
        self.refusing.slack.set(Behaviour::Healthy).await;
    }

    /// What arrived through a connection. After a minute Trackside also tells of its own trouble, through another
    /// connection; the lag test is about that.
    fn arrivals(&self, connection: &str) -> Vec<Arrival> {
        let (ends, name) = match connection {
            "refusing" => (&self.refusing, "webhook"),
            "hanging" => (&self.hanging, "webhook"),
            "unavailable" => (&self.refusing, "pagerduty"),
            "limited" => (&self.refusing, "slack"),
            "well-hook" => (&self.well, "webhook"),
            _ => (&self.well, "pagerduty"),
        };
        let about_itself = |arrival: &Arrival| arrival.summary.contains("Messages through ");
        ends.journal
            .arrivals()
            .into_iter()
            .filter(|arrival| arrival.far_end == name && !about_itself(arrival))
            .collect()
    }

    /// When the far end of a connection was asked; nothing for the one that refuses connections.
    fn asked(&self, connection: &str) -> Vec<Timestamp> {
        match connection {
            "hanging" => self.hanging.webhook.requests(),
            "unavailable" => self.refusing.pagerduty.requests(),
            "limited" => self.refusing.slack.requests(),
            _ => Vec::new(),
        }
    }
}

/// What was streamed: each problem with the time it was sent, and those that were over before the outage was.
struct Streamed {
    sent: BTreeMap<String, Timestamp>,
    over: Vec<String>,
}

/// Streams problems for as long as the outage lasts; some are over in its first half.
async fn stream(running: &Running, length: Duration, clock: &Clock) -> Streamed {
    let mut streamed = Streamed { sent: BTreeMap::new(), over: Vec::new() };
    let began = clock.now();
    let half = SignedDuration::try_from(length / 2).unwrap();
    let mut pace = tokio::time::interval(EVERY);
    let mut waiting: Vec<String> = Vec::new();
    for number in 0.. {
        pace.tick().await;
        let now = clock.now();
        if now.duration_since(began) >= half * 2 {
            break;
        }
        let name = format!("problem-{number:04}");
        streamed.sent.insert(name.clone(), now);
        running.send(&run(&name, "1", "failed")).await;
        if number % OVER_EVERY == 0 {
            waiting.push(name);
        }
        // Over a second after it began, so that some were tried in vain meanwhile.
        if number % OVER_EVERY == OVER_EVERY - 1 && now.duration_since(began) < half {
            for name in waiting.drain(..) {
                running.send(&run(&name, "2", "succeeded")).await;
                streamed.over.push(name);
            }
        }
    }
    streamed
}

fn run(pipeline: &str, run: &str, state: &str) -> Value {
    json!({"event": format!("run.{state}"), "run": {"pipeline": pipeline, "run_id": run, "state": state}})
}

/// The problem that an arrival is about.
fn problem(arrival: &Arrival) -> &str {
    let at = arrival.summary.find("problem-").unwrap_or_else(|| panic!("about no problem: {arrival:#?}"));
    &arrival.summary[at..at + "problem-0000".len()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_delays_only_what_goes_there_and_everything_arrives_when_it_is_over() {
    let _alone = ALONE.lock().await;
    let clock = Clock::system();
    let ends = Ends::start().await;
    let home = ends.home();
    let running = home.serve().await;
    ends.fail().await;
    let streamed = stream(&running, outage(), &clock).await;
    let asked: BTreeMap<&str, Vec<Timestamp>> = FAILING.iter().map(|name| (*name, ends.asked(name))).collect();
    let recovered = clock.now();
    ends.recover().await;
    running.settle(PATIENCE).await;
    assert!(streamed.sent.len() >= 20 && !streamed.over.is_empty(), "{} problems are no stream", streamed.sent.len());

    for connection in FAILING {
        everything_arrived_in_time(connection, &ends.arrivals(connection), &streamed, recovered);
        let attempts = attempts(&running, connection).await;
        let during: Vec<Attempt> = attempts.into_iter().filter(|attempt| attempt.at < recovered).collect();
        one_request_per_slot(connection, &during);
        let seen = &asked[connection];
        // A request that was on its way when the outage ended may be counted on one side only.
        assert!(
            connection == "refusing" || seen.len().abs_diff(during.len()) <= 1,
            "{connection}: {seen:?} {during:?}"
        );
    }
    for connection in ["well-hook", "well-pager"] {
        noticed_nothing(connection, &ends.arrivals(connection), &streamed);
    }
}

/// Each problem arrived, no later than it may, and none that was over before.
fn everything_arrived_in_time(connection: &str, arrivals: &[Arrival], streamed: &Streamed, recovered: Timestamp) {
    let mut told: Vec<&str> = arrivals.iter().filter(|arrival| is_page(arrival)).map(problem).collect();
    told.sort_unstable();
    let expected: Vec<&str> =
        streamed.sent.keys().filter(|name| !streamed.over.contains(name)).map(String::as_str).collect();
    assert_eq!(told, expected, "{connection}: each problem that is not over, once");
    let last = arrivals.iter().map(|arrival| arrival.at).max().unwrap();
    let took = last.duration_since(recovered);
    println!("{connection}: {} messages, the last {took:#} after it was well again", arrivals.len());
    assert!(took <= RECOVERY, "{connection}: the last message came {took:#} after it was well again");
}

fn is_page(arrival: &Arrival) -> bool {
    matches!(arrival.action.as_str(), "incident.trigger" | "trigger" | "chat.postMessage")
        && !arrival.summary.contains("Resolved")
}

/// An attempt as the outbox has it.
#[derive(Debug)]
struct Attempt {
    at: Timestamp,
    ended: Timestamp,
}

/// All attempts through a connection, oldest first.
async fn attempts(running: &Running, connection: &str) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for row in running.all(&format!("deliveries?connection={connection}")).await {
        if row["attempts"] == 0 {
            continue;
        }
        let detail = running.get(&format!("deliveries/{}", row["id"].as_str().unwrap())).await;
        for attempt in detail["log"].as_array().unwrap() {
            let at: Timestamp = attempt["at"].as_str().unwrap().parse().unwrap();
            let ended = at + SignedDuration::from_millis(attempt["took_ms"].as_i64().unwrap());
            attempts.push(Attempt { at, ended });
        }
    }
    attempts.sort_by_key(|attempt| attempt.at);
    attempts
}

/// After the first failure was noticed: never two requests within a slot, and none later than its slot ends.
fn one_request_per_slot(connection: &str, attempts: &[Attempt]) {
    let noticed = attempts.iter().map(|attempt| attempt.ended).min().unwrap();
    let (before, later): (Vec<&Attempt>, Vec<&Attempt>) = attempts.iter().partition(|attempt| attempt.at <= noticed);
    println!("{connection}: {} requests until the failure was noticed, then {}", before.len(), later.len());
    assert!(later.len() >= 2, "{connection}: {later:?}");
    let asked_for = SignedDuration::from_secs(if connection == "limited" { RETRY_AFTER_S.into() } else { 0 });
    for pair in later.windows(2) {
        let gap = pair[1].at.duration_since(pair[0].at);
        let shortest = RETRY_FIRST.max(asked_for);
        assert!(gap >= shortest, "{connection}: {gap:#} after the one before, must be {shortest:#} at least");
        let longest = longest_wait(pair[1].at.duration_since(noticed)).max(asked_for) + TIMEOUT + SLACK;
        assert!(gap <= longest, "{connection}: {gap:#} after the one before, may be {longest:#} at most");
    }
}

/// A healthy far end was told of everything as ever.
fn noticed_nothing(connection: &str, arrivals: &[Arrival], streamed: &Streamed) {
    let mut latencies: Vec<SignedDuration> = arrivals
        .iter()
        .filter(|arrival| is_page(arrival))
        .map(|arrival| arrival.at.duration_since(streamed.sent[problem(arrival)]))
        .collect();
    latencies.sort();
    assert_eq!(latencies.len(), streamed.sent.len(), "{connection}");
    let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
    println!("{connection}: {} problems, p50 {p50:#}, p99 {p99:#}", latencies.len());
    assert!(p99 < SignedDuration::from_secs(1), "{connection}: p99 {p99:#}");
}

/// One failing hook, and a pager for the same team.
fn hook_and_pager(ends: &FarEnds) -> Home {
    Home::new(&format!(
        "
teams: {{data: {{notify: [{{via: hook}}, {{via: pager}}]}}}}
owners: {{default: data}}
connections:
  hook: {{kind: webhook, url: '{}/in', secret: {{file: secrets/webhook}}, delivery: {{timeout: 1s}}}}
  pager: {{kind: pagerduty, url: '{}', routing_key: {{file: secrets/pagerduty}}}}
tokens: [{{name: stream, role: ingest, secret: {{file: secrets/ingest}}}}]
",
        ends.webhook.url(),
        ends.pagerduty.url(),
    ))
}

async fn arrive(ends: &FarEnds, within: Duration, enough: impl Fn(&Arrival) -> bool) -> Arrival {
    let arrived = timeout(within, ends.journal.wait_for(|all| all.iter().any(&enough))).await;
    let Ok(arrivals) = arrived else { panic!("it did not arrive, but: {:#?}", ends.journal.arrivals()) };
    arrivals.into_iter().find(&enough).unwrap()
}

#[tokio::test]
async fn what_is_refused_is_dead_in_sight_told_another_way_and_can_be_put_back() {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = hook_and_pager(&ends);
    let running = home.serve().await;
    ends.webhook.set(Behaviour::Status { code: 422, retry_after: None }).await;
    running.send(&run("billing", "1", "failed")).await;
    let told =
        arrive(&ends, PATIENCE, |arrival| arrival.far_end == "pagerduty" && arrival.summary != "billing failed").await;
    assert_eq!(told.summary, "Could not trigger through hook");
    assert!(told.body.contains("#1 billing failed") && told.body.contains("answered 422"), "{}", told.body);

    let url = running.url.clone();
    let dead = home.run(&["deliveries", "--dead", "--json", "--url", &url]).await.json();
    let dead = dead["items"].as_array().unwrap();
    assert_eq!(dead.len(), 1, "{dead:#?}");
    assert_eq!((&dead[0]["connection"], &dead[0]["attempts"]), (&json!("hook"), &json!(1)));
    let id = dead[0]["id"].as_str().unwrap();

    ends.webhook.set(Behaviour::Healthy).await;
    let said = home.run(&["deliveries", "retry", id, "--url", &url]).await.good();
    assert_eq!(said, format!("delivery {id} is in the queue again\n"));
    let came = arrive(&ends, PATIENCE, |arrival| arrival.far_end == "webhook").await;
    assert_eq!((came.identity.as_str(), came.summary.as_str()), (id, "billing failed"));
    eventually("the delivery ends", PATIENCE, async || {
        let row = running.get(&format!("deliveries/{id}")).await;
        (row["state"] == "delivered").then_some(())
    })
    .await;
    let again = home.run(&["deliveries", "retry", id, "--url", &url]).await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("only a dead delivery can be put back; this one is delivered"), "{again:?}");
}

#[tokio::test]
#[ignore = "waits for more than a minute; CI runs it with --include-ignored"]
async fn a_connection_through_which_nothing_gets_out_is_itself_a_problem_until_it_is_well() {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = hook_and_pager(&ends);
    let running = home.serve().await;
    ends.webhook.set(Behaviour::Status { code: 503, retry_after: None }).await;
    running.send(&run("billing", "1", "failed")).await;
    let about = |arrival: &Arrival| arrival.summary == "Messages through hook do not get out";
    let within = Duration::from_secs(60 + 5) + PATIENCE;
    arrive(&ends, within, |arrival| about(arrival) && arrival.action == "trigger").await;
    ends.webhook.set(Behaviour::Healthy).await;
    arrive(&ends, within, |arrival| about(arrival) && arrival.action == "resolve").await;
    let incidents = running.all("incidents").await;
    let of_itself: Vec<&Value> = incidents.iter().filter(|incident| incident["source"] == "trackside.self").collect();
    assert_eq!(of_itself.len(), 1, "{incidents:#?}");
    assert_eq!(of_itself[0]["severity"], "critical");
    assert_eq!(ends.pagerduty.state().alerts().len(), 2, "billing, and the hook");
}
