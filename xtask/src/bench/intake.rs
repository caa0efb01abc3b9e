//! Durable intake: events of 1 KB, one per request and in hundreds, against the ceiling.

use super::load;
use super::server::Server;
use anyhow::Result;
use std::time::Duration;

const CONFIGURATION: &str = "teams: {platform: {}}\nowners: {default: platform}\n";
/// Connections of each figure.
const CONNECTIONS: [usize; 3] = [1, 64, 256];
/// Events per request of the batched figures.
const BATCH: u64 = 100;

/// Measures and prints one table.
pub(super) async fn run(time: Duration) -> Result<()> {
    println!(
        "| events per request | connections | ceiling, requests/s | durable, requests/s | ratio | durable events/s | p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (label, refused, accepted, events) in [
        ("1", single_refused as fn(u64) -> String, single as fn(u64) -> String, 1),
        ("100", batch_refused, batch, BATCH),
    ] {
        for connections in CONNECTIONS {
            // A server of its own for each figure, so that none starts with the last one's backlog.
            let server = Server::start(CONFIGURATION)?;
            let ceiling = load::run(server.address, connections, time, 422, refused).await?;
            drop(server);
            let server = Server::start(CONFIGURATION)?;
            let mut durable = load::run(server.address, connections, time, 202, accepted).await?;
            let cpu = server.cpu_seconds()?;
            println!(
                "| {label} | {connections} | {:.0} | {:.0} | {:.2} | {:.0} | {:.2} | {:.2} |",
                ceiling.rate(),
                durable.rate(),
                durable.rate() / ceiling.rate(),
                durable.rate() * events as f64,
                durable.percentile(0.5),
                durable.percentile(0.99),
            );
            eprintln!("  (server CPU {:.1} s in {:.1} s)", cpu, durable.seconds);
        }
    }
    println!();
    Ok(())
}

fn single(number: u64) -> String {
    event(number, "bench")
}

/// The same event under a reserved source: everything is done with it but the append.
fn single_refused(number: u64) -> String {
    event(number, "trackside.bench")
}

fn batch(number: u64) -> String {
    many(number, "bench")
}

fn batch_refused(number: u64) -> String {
    many(number, "trackside.bench")
}

fn many(number: u64, source: &str) -> String {
    let events: Vec<String> = (0..BATCH).map(|index| event(number * BATCH + index, source)).collect();
    format!("[{}]", events.join(","))
}

/// An event of about 1 KB.
fn event(number: u64, source: &str) -> String {
    format!(
        concat!(
            r#"{{"id":"bench-{:016x}","source":"{}","event":"bench.row.loaded","occurred":"2026-11-20T12:00:00Z","#,
            r#""resource":{{"prefect.resource.id":"bench.table.{}","prefect.resource.name":"orders"}},"#,
            r#""payload":{{"rows":{},"table":"warehouse.orders","text":"{}"}}}}"#
        ),
        number,
        source,
        number % 100,
        number,
        "lorem ipsum dolor sit amet consetetur ".repeat(20),
    )
}
