//! `cargo xtask bench`: the release binary under load from this process, on one machine, in one run.
//!
//! Figures are ratios where they can be: durable intake against the same server refusing the same request at the last step
//! before the log (parsing, authentication and building the row included), and against the disk's own fsync rate.
//! Server and load share the machine's cores, in both halves of each ratio. Nothing here is a timed test.

mod automations;
mod gateway;
mod intake;
mod latency;
mod load;
mod memory;
mod peer;
mod receiver;
mod server;
mod storm;

use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What to measure, and how long.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Seconds per load figure
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Open alerts for the memory figure
    #[arg(long, default_value_t = 100_000)]
    alerts: usize,
    /// Interpreter of a virtual environment with Prefect, to compare automations with the real server
    #[arg(long)]
    prefect: Option<PathBuf>,
    /// Alertmanager to compare storms with, for example /usr/bin/prometheus-alertmanager
    #[arg(long)]
    alertmanager: Option<PathBuf>,
    #[command(flatten)]
    gateway: gateway::GatewayArgs,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Intake,
    Latency,
    Memory,
    Automations,
    Storm,
    Gateway,
}

/// Builds the release binary and measures.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    server::build()?;
    machine();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    if wanted(Part::Intake) {
        println!("fsync: {:.0}/s (4 KiB appended and synced, one at a time)\n", fsync_rate(Duration::from_secs(2))?);
        runtime.block_on(intake::run(Duration::from_secs(args.seconds)))?;
    }
    if wanted(Part::Latency) {
        runtime.block_on(latency::run(Duration::from_secs(args.seconds.max(20))))?;
    }
    if wanted(Part::Memory) {
        runtime.block_on(memory::run(args.alerts))?;
    }
    if wanted(Part::Automations) {
        runtime.block_on(automations::run(args.prefect.as_deref()))?;
    }
    if wanted(Part::Gateway) {
        runtime.block_on(gateway::run(&args.gateway, Duration::from_secs(args.seconds)))?;
    }
    if wanted(Part::Storm) {
        runtime.block_on(storm::run(args.alertmanager.as_deref()))?;
    }
    Ok(())
}

fn machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?");
    println!("machine: {cores} cores, {}, load {load} at the start", model.unwrap_or("unknown processor"));
}

/// How many times a second this disk makes 4 KiB durable.
fn fsync_rate(time: Duration) -> Result<f64> {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new_in(".")?;
    let block = [7u8; 4096];
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < time {
        file.write_all(&block)?;
        file.as_file().sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
