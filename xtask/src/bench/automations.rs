//! Automations: the same load on Trackside and, when one is given, on a real Prefect server in the same run.
//!
//! Rates are taken from the first event sent to the last consequence seen at the far end, so that nothing that is only
//! queued counts as done. Trackside makes every event durable before it answers; Prefect does not.

use super::peer::{Peer, Role};
use super::receiver::{self, Receiver};
use anyhow::{Result, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Events per request.
const BATCH: usize = 100;
/// Keys that state is kept apart by while matching is measured.
const KEYS: usize = 100;
/// How long a consequence may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many events each measurement takes; a peer a hundred times slower gets fewer.
struct Sizes {
    matching: usize,
    firing: usize,
    latency: usize,
    pace: u64,
}

const OURS: Sizes = Sizes { matching: 100_000, firing: 5_000, latency: 1_000, pace: 50 };
const PREFECTS: Sizes = Sizes { matching: 2_000, firing: 60, latency: 60, pace: 2 };

/// Measures and prints a table, ours beside the peer's.
pub(super) async fn run(prefect: Option<&Path>) -> Result<()> {
    let ours = [1, 100, 1_000, 10_000];
    let mut figures = Vec::new();
    for others in ours {
        figures.push(measure(Peer::trackside()?, Others::OnOtherNames(others - 1), &OURS).await?);
    }
    figures.push(measure(Peer::trackside()?, Others::OnTheSameName(999), &OURS).await?);
    if let Some(python) = prefect {
        figures.push(measure(Peer::prefect(python).await?, Others::OnOtherNames(0), &PREFECTS).await?);
        figures.push(measure(Peer::prefect(python).await?, Others::OnTheSameName(999), &PREFECTS).await?);
    } else {
        println!("no Prefect to compare with; give one with --prefect PYTHON (see suites/prefect/requirements.txt)");
    }
    print(&figures);
    buckets(100_000).await?;
    restart().await
}

/// The automations beside the one that matches.
#[derive(Clone, Copy)]
enum Others {
    OnOtherNames(usize),
    OnTheSameName(usize),
}

struct Figures {
    what: String,
    matching: f64,
    firing: f64,
    p50: f64,
    p99: f64,
}

async fn measure(peer: Peer, others: Others, sizes: &Sizes) -> Result<Figures> {
    let client = Client::new();
    let receiver = Receiver::start(receiver::plain).await?;
    let block = peer.webhook(&client, "bench", &receiver.url()).await?;
    let call = |payload: &str| json!([{"type": "call-webhook", "block_document_id": block, "payload": payload}]);
    let counting = json!({
        "type": "event", "posture": "Reactive", "expect": ["bench.count"], "threshold": 1_000_000_000, "within": 3600,
        "match": {"prefect.resource.id": "bench.key.*"}, "for_each": ["prefect.resource.id"],
    });
    peer.automation(&client, "counts", counting, json!([{"type": "do-nothing"}])).await?;
    for (name, event) in [("fires", "bench.fire"), ("ends", "bench.end")] {
        let trigger = json!({"type": "event", "posture": "Reactive", "expect": [event]});
        peer.automation(&client, name, trigger, call("{{ event.payload.number }}")).await?;
    }
    let what = match others {
        Others::OnOtherNames(count) => {
            for number in 0..count {
                let trigger = json!({"type": "event", "posture": "Reactive", "expect": [format!("other.{number}")]});
                peer.automation(&client, &format!("other-{number}"), trigger, json!([{"type": "do-nothing"}])).await?;
            }
            format!("{}, {} automations", peer.name(), count + 1)
        }
        Others::OnTheSameName(count) => {
            for number in 0..count {
                let trigger = json!({
                    "type": "event", "posture": "Reactive", "expect": ["bench.count", "bench.fire"],
                    "match": {"prefect.resource.id": format!("nobody.{number}")},
                });
                peer.automation(&client, &format!("same-{number}"), trigger, json!([{"type": "do-nothing"}])).await?;
            }
            format!("{}, {} on the same name", peer.name(), count + 1)
        }
    };
    // A running server has read its automations before the first event.
    warm_up(&peer, &client, &receiver).await?;
    let matching = matching(&peer, &client, &receiver, sizes.matching).await?;
    let firing = firing(&peer, &client, &receiver, sizes.firing).await?;
    let (p50, p99) = latency(&peer, &client, &receiver, sizes).await?;
    println!("{what}: {matching:.0} matching/s, {firing:.0} firing/s, p50 {p50:.1} ms, p99 {p99:.1} ms");
    Ok(Figures { what, matching, firing, p50, p99 })
}

fn event(name: &str, key: usize, number: usize) -> Value {
    json!({
        "id": Uuid::now_v7(), "occurred": jiff::Timestamp::now(), "event": name,
        "resource": {"prefect.resource.id": format!("bench.key.{}", key % KEYS), "prefect.resource.name": "bench"},
        "related": [], "payload": {"number": number, "text": "x".repeat(600)}, "follows": null,
    })
}

async fn warm_up(peer: &Peer, client: &Client, receiver: &Receiver) -> Result<()> {
    let number = receiver.next();
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        peer.events(client, &[event("bench.end", 0, number)]).await?;
        if receiver.wait(number, Duration::from_secs(3)).await.is_some() {
            return Ok(());
        }
    }
    bail!("{} never called the webhook", peer.name())
}

/// Events per second that count for an automation and fire nothing, until the last one is decided.
async fn matching(peer: &Peer, client: &Client, receiver: &Receiver, count: usize) -> Result<f64> {
    let events: Vec<Value> = (0..count).map(|number| event("bench.count", number, number)).collect();
    let start = Instant::now();
    for batch in events.chunks(BATCH) {
        peer.events(client, batch).await?;
    }
    let end = receiver.next();
    peer.events(client, &[event("bench.end", 0, end)]).await?;
    match receiver.wait(end, PATIENCE).await {
        Some(at) => Ok(count as f64 / at.duration_since(start).as_secs_f64()),
        None => bail!("{}: the end never came", peer.name()),
    }
}

/// Events per second of which every one calls a webhook, until the last call came in.
async fn firing(peer: &Peer, client: &Client, receiver: &Receiver, count: usize) -> Result<f64> {
    let first = receiver.reserve(count);
    let events: Vec<Value> = (0..count).map(|number| event("bench.fire", number, first + number)).collect();
    let start = Instant::now();
    for batch in events.chunks(BATCH) {
        peer.events(client, batch).await?;
    }
    let mut last = start;
    for number in first..first + count {
        match receiver.wait(number, PATIENCE).await {
            Some(at) => last = last.max(at),
            None => bail!("{}: webhook {number} never came", peer.name()),
        }
    }
    Ok(count as f64 / last.duration_since(start).as_secs_f64())
}

/// Event to webhook at a steady pace, in milliseconds: median and 99th percentile.
async fn latency(peer: &Peer, client: &Client, receiver: &Receiver, sizes: &Sizes) -> Result<(f64, f64)> {
    let first = receiver.reserve(sizes.latency);
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / sizes.pace));
    let mut sent = Vec::new();
    for number in 0..sizes.latency {
        tick.tick().await;
        sent.push(Instant::now());
        peer.events(client, &[event("bench.fire", number, first + number)]).await?;
    }
    let mut took = Vec::new();
    for (number, sent) in sent.iter().enumerate() {
        match receiver.wait(first + number, PATIENCE).await {
            Some(at) => took.push(at.duration_since(*sent).as_secs_f64() * 1000.0),
            None => bail!("{}: webhook {number} never came", peer.name()),
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
    Ok((at(0.5), at(0.99)))
}

fn print(figures: &[Figures]) {
    println!("\n{:<40} {:>12} {:>10} {:>9} {:>9}", "automations", "matching/s", "firing/s", "p50 ms", "p99 ms");
    for row in figures {
        println!("{:<40} {:>12.0} {:>10.1} {:>9.1} {:>9.1}", row.what, row.matching, row.firing, row.p50, row.p99);
    }
    let one = &figures[0];
    println!("\n10,000 automations on other names cost {:.2} times one per event", one.matching / figures[3].matching);
    println!("1,000 automations on the same name cost {:.2} times one per event", one.matching / figures[4].matching);
    if let Some(prefect) = figures.get(5) {
        println!(
            "against Prefect with one: {:.0} times its matching rate, {:.0} times its firing rate",
            one.matching / prefect.matching,
            one.firing / prefect.firing
        );
    }
    println!();
}

/// Memory of live buckets: one event for each key of one automation.
async fn buckets(count: usize) -> Result<()> {
    let (peer, client, receiver) = (Peer::trackside()?, Client::new(), Receiver::start(receiver::plain).await?);
    let block = peer.webhook(&client, "bench", &receiver.url()).await?;
    let trigger = json!({
        "type": "event", "posture": "Reactive", "expect": ["bench.count"], "threshold": 5, "within": 86400,
        "for_each": ["prefect.resource.id"],
    });
    peer.automation(&client, "counts", trigger, json!([{"type": "do-nothing"}])).await?;
    let end = json!({"type": "event", "posture": "Reactive", "expect": ["bench.end"]});
    let action = json!([{"type": "call-webhook", "block_document_id": block, "payload": "{{ event.payload.number }}"}]);
    peer.automation(&client, "ends", end, action).await?;
    warm_up(&peer, &client, &receiver).await?;
    let before = peer.resident()?;
    let keys: Vec<Value> = (0..count)
        .map(|number| {
            let mut event = event("bench.count", number, number);
            event["resource"]["prefect.resource.id"] = json!(format!("bench.job.{number:06}"));
            event
        })
        .collect();
    for batch in keys.chunks(BATCH) {
        peer.events(&client, batch).await?;
    }
    let number = receiver.next();
    peer.events(&client, &[event("bench.end", 0, number)]).await?;
    if receiver.wait(number, PATIENCE).await.is_none() {
        bail!("the end never came");
    }
    let after = peer.resident()?;
    println!(
        "memory: {:.0} bytes per live bucket ({count} buckets); resident {:.0} MB after {count} events",
        (after.saturating_sub(before)) as f64 / count as f64,
        after as f64 / 1e6
    );
    Ok(())
}

/// Time from the start of the process to its first answer, with 1,000 automations and the events of the run before.
async fn restart() -> Result<()> {
    let (mut peer, client) = (Peer::trackside()?, Client::new());
    for number in 0..1_000 {
        let trigger = json!({"type": "event", "posture": "Reactive", "expect": [format!("other.{number}")]});
        peer.automation(&client, &format!("other-{number}"), trigger, json!([{"type": "do-nothing"}])).await?;
    }
    let events: Vec<Value> = (0..20_000).map(|number| event("bench.count", number, number)).collect();
    for batch in events.chunks(BATCH) {
        peer.events(&client, batch).await?;
    }
    let Peer::Trackside(server) = &mut peer else { bail!("restarting is measured of Trackside only") };
    let start = Instant::now();
    server.restart()?;
    peer.call(&client, Method::POST, "/automations/count", &json!({}), Role::Admin).await?;
    println!(
        "start: {:.0} ms to the first answer, after a kill, with 1,000 automations and 20,000 events\n",
        start.elapsed().as_secs_f64() * 1000.0
    );
    Ok(())
}
