//! From the event to the webhook: failing runs at a steady pace, each opens an incident that is told at once.

use super::load::Connection;
use super::receiver::Receiver;
use super::server::Server;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Failing runs per second.
const PACE: u64 = 50;
/// How long the last webhook may take.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures and prints one line.
pub(super) async fn run(time: Duration) -> Result<()> {
    let receiver = Receiver::start(pipeline_of).await?;
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::write(secret.path(), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")?;
    let server = Server::start(&format!(
        "incidents: {{storm: null}}\nteams: {{platform: {{notify: [{{via: hook}}]}}}}\nowners: {{default: platform}}\n\
         connections: {{hook: {{kind: webhook, url: '{}', secret: {{file: '{}'}}, delivery: {{rate_per_second: 1000, burst: 1000}}}}}}\n",
        receiver.url(),
        secret.path().display()
    ))?;
    let mut connection = Connection::open(server.address).await?;
    let mut sent: Vec<Instant> = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / PACE));
    let (start, mut accepted) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        tick.tick().await;
        let number = sent.len() as u64;
        sent.push(Instant::now());
        let status = connection.post("/api/v1/events", &failed_run(number)).await?;
        if status != 202 {
            bail!("the server answered {status}");
        }
        accepted.push(sent[sent.len() - 1].elapsed());
    }
    let mut latencies: Vec<f64> = Vec::new();
    for (number, sent) in sent.iter().enumerate() {
        let Some(arrived) = receiver.wait(number, SETTLE).await else {
            bail!("the webhook of run {number} never came");
        };
        latencies.push(arrived.duration_since(*sent).as_secs_f64() * 1000.0);
    }
    latencies.sort_by(f64::total_cmp);
    let mut accepted: Vec<f64> = accepted.iter().map(|took| took.as_secs_f64() * 1000.0).collect();
    accepted.sort_by(f64::total_cmp);
    let at = |list: &[f64], share: f64| list[((list.len() as f64 * share) as usize).min(list.len() - 1)];
    println!(
        "event to webhook at {PACE}/s, {} events: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms (accepted durably: p50 {:.2} ms, p99 {:.2} ms)\n",
        latencies.len(),
        at(&latencies, 0.5),
        at(&latencies, 0.99),
        at(&latencies, 1.0),
        at(&accepted, 0.5),
        at(&accepted, 0.99),
    );
    Ok(())
}

fn failed_run(number: u64) -> String {
    format!(
        r#"{{"id":"run-{number}","source":"bench","event":"bench.run.failed","run":{{"pipeline":"p{number}","run_id":"r{number}","state":"failed","error":"boom"}}}}"#
    )
}

/// The number in the name of the pipeline that a webhook is about.
fn pipeline_of(body: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(body);
    text.split_once("\"name\":\"p").and_then(|(_, rest)| rest.split_once('"')?.0.parse().ok())
}
