//! From the event to the webhook: failing runs at a steady pace, each opens an incident that is told at once.

use super::load::Connection;
use super::server::Server;
use anyhow::{Result, bail};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Failing runs per second.
const PACE: u64 = 50;
/// How long the last webhook may take.
const SETTLE: Duration = Duration::from_secs(5);

type Arrivals = Arc<Mutex<HashMap<u64, Instant>>>;

/// Measures and prints one line.
pub(super) async fn run(time: Duration) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let receiver = listener.local_addr()?;
    let arrivals = Arrivals::default();
    tokio::spawn(receive(listener, arrivals.clone()));
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::write(secret.path(), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")?;
    let server = Server::start(&format!(
        "teams: {{platform: {{notify: [{{via: hook}}]}}}}\nowners: {{default: platform}}\n\
         connections: {{hook: {{kind: webhook, url: 'http://{receiver}/in', secret: {{file: '{}'}}, delivery: {{rate_per_second: 1000, burst: 1000}}}}}}\n",
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
    tokio::time::sleep(SETTLE).await;
    let arrivals = arrivals.lock().map(|arrivals| arrivals.clone()).unwrap_or_default();
    let mut latencies: Vec<f64> = Vec::new();
    for (number, sent) in sent.iter().enumerate() {
        let Some(arrived) = arrivals.get(&(number as u64)) else {
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

/// Takes webhooks and notes when the one of each pipeline came.
async fn receive(listener: TcpListener, arrivals: Arrivals) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(take(stream, arrivals.clone()));
    }
}

async fn take(mut stream: TcpStream, arrivals: Arrivals) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window: &[u8]| window == b"\r\n\r\n") {
                break end + 4;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        while buffer.len() < end + length {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        }
        let now = Instant::now();
        let body: serde_json::Value = serde_json::from_slice(&buffer[end..end + length]).unwrap_or_default();
        let text = body.to_string();
        let name = text.split_once("\"name\":\"p").and_then(|(_, rest)| rest.split_once('"')?.0.parse().ok());
        if let (Some(number), Ok(mut arrivals)) = (name, arrivals.lock()) {
            arrivals.entry(number).or_insert(now);
        }
        buffer.drain(..end + length);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}
