//! Memory of open alerts: many pipelines, each with a failed run, an open incident and its figures.

use super::load::Connection;
use super::server::Server;
use anyhow::{Result, bail};
use std::time::Duration;

/// Nobody is told, so that the outbox plays no part.
const CONFIGURATION: &str = "incidents: {storm: null}\nteams: {platform: {}}\nowners: {default: platform}\n";
/// Runs per request.
const BATCH: usize = 500;
/// How long decisions may take after the last request.
const SETTLE: Duration = Duration::from_secs(10);

/// Measures and prints one line.
pub(super) async fn run(alerts: usize) -> Result<()> {
    let server = Server::start(CONFIGURATION)?;
    let mut connection = Connection::open(server.address).await?;
    // Caches and buffers of a busy server, before the alerts: successes of pipelines that stay healthy.
    for first in (0..20_000).step_by(BATCH) {
        send(&mut connection, "warm", first, "succeeded", 100).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let before = server.resident()?;
    for first in (0..alerts).step_by(BATCH) {
        send(&mut connection, "cold", first, "failed", usize::MAX).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let after = server.resident()?;
    println!(
        "memory: {:.1} MB before, {:.1} MB with {alerts} open alerts (each its own pipeline and incident): {:.0} bytes per alert\n",
        before as f64 / 1e6,
        after as f64 / 1e6,
        (after.saturating_sub(before)) as f64 / alerts as f64,
    );
    Ok(())
}

async fn send(connection: &mut Connection, source: &str, first: usize, state: &str, pipelines: usize) -> Result<()> {
    let runs: Vec<String> = (first..first + BATCH)
        .map(|number| {
            let pipeline = number % pipelines;
            format!(
                r#"{{"id":"{source}-{number}","source":"{source}","event":"bench.run","run":{{"pipeline":"warehouse_load_{pipeline}","run_id":"scheduled_{number}","state":"{state}","error":"connection refused by the warehouse"}}}}"#
            )
        })
        .collect();
    let status = connection.post("/api/v1/events", &format!("[{}]", runs.join(","))).await?;
    if status == 202 { Ok(()) } else { bail!("the server answered {status}") }
}
