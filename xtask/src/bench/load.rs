//! A closed-loop HTTP/1.1 client: each connection sends its next request when the last one was answered.
//!
//! It writes and reads bytes itself, so that the load costs little beside the server that shares the machine.

use super::server::TOKEN;
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What a load came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) latencies_us: Vec<u32>,
}

impl Outcome {
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// The latency that `share` of the requests did not exceed, in milliseconds.
    pub(super) fn percentile(&mut self, share: f64) -> f64 {
        self.latencies_us.sort_unstable();
        let index = ((self.latencies_us.len() as f64 * share) as usize).min(self.latencies_us.len().saturating_sub(1));
        self.latencies_us.get(index).map_or(0.0, |us| f64::from(*us) / 1000.0)
    }
}

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Posts a JSON body and gives the status.
    pub(super) async fn post(&mut self, path: &str, body: &str) -> Result<u16> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    /// Gets with a token and gives the status.
    pub(super) async fn get(&mut self, path: &str, token: &str) -> Result<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<u16> {
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            let head = std::str::from_utf8(&self.buffer[..end])?.to_ascii_lowercase();
            let status = head.get(9..12).and_then(|text| text.parse().ok()).context("no status")?;
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(Ok(0), |text| text.trim().parse())?;
            while self.buffer.len() < end + 4 + length {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    bail!("the server closed the connection within an answer");
                }
            }
            return Ok(status);
        }
    }
}

/// Runs `connections` connections for `time`; `body(n)` makes the n-th body, `expect` is the status each must have.
pub(super) async fn run(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    expect: u16,
    body: fn(u64) -> String,
) -> Result<Outcome> {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for index in 0..connections as u64 {
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut latencies = Vec::new();
            let mut number = index << 40;
            while start.elapsed() < time {
                let body = body(number);
                let sent = Instant::now();
                let status = connection.post("/api/v1/events", &body).await?;
                if status != expect {
                    bail!("the server answered {status}, not {expect}");
                }
                latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                number += 1;
            }
            Ok(latencies)
        });
    }
    let mut outcome = Outcome::default();
    while let Some(ended) = tasks.join_next().await {
        outcome.latencies_us.extend(ended??);
    }
    outcome.requests = outcome.latencies_us.len() as u64;
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}
