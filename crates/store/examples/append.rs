//! Measures durable appends: `cargo run --release -p trackside-store --example append [FOLDER]`.
//!
//! Prints the rate at which the disk under FOLDER (default: the current one) can make small writes durable, and how
//! many single-event appends per second the store acknowledges with 1, 64 and 256 callers at a time.

#![allow(clippy::print_stdout, reason = "a measuring tool")]

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trackside_core::event::{Event, RESOURCE_ID};
use trackside_core::ids::{EventId, derive};
use trackside_store::log::NewEntry;
use trackside_store::{Error, Options, Store};

const TIME: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    println!("fsync of 16 KiB         {:>8.0} /s", fsyncs(&folder)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for callers in [1, 64, 256] {
        let path = folder.join(format!("append-{}-{callers}.sqlite", std::process::id()));
        let measured = runtime.block_on(measure(&path, callers));
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            let _ = std::fs::remove_file(name);
        }
        println!("{}", measured?);
    }
    Ok(())
}

fn fsyncs(folder: &Path) -> std::io::Result<f64> {
    let path = folder.join(format!("append-{}.fsync", std::process::id()));
    let mut file = File::create(&path)?;
    let page = [7; 16 * 1024];
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < TIME / 5 {
        file.seek(SeekFrom::Start(count % 64 * page.len() as u64))?;
        file.write_all(&page)?;
        file.sync_data()?;
        count += 1;
    }
    std::fs::remove_file(path)?;
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

async fn measure(path: &Path, callers: u64) -> Result<String, Error> {
    let store = Store::open(path, Options::default())?;
    let next = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + TIME;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (store, next) = (store.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < end {
                let entry = NewEntry::event(&event(next.fetch_add(1, Ordering::Relaxed)))?;
                let begun = Instant::now();
                store.append(vec![entry]).await?;
                waits.push(begun.elapsed());
            }
            Ok::<_, Error>(waits)
        });
    }
    let mut waits = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        waits.extend(joined.map_err(|_| Error::Closed)??);
    }
    waits.sort_unstable();
    let percentile = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    let metrics = store.metrics();
    let commits = metrics.commit.count().max(1);
    #[allow(clippy::cast_precision_loss, reason = "rates for people")]
    Ok(format!(
        "{callers:>4} callers            {:>8.0} /s   p50 {:>9.3?}   p99 {:>9.3?}   {:>5.1} per commit, {:>6.0} us each",
        waits.len() as f64 / TIME.as_secs_f64(),
        percentile(50),
        percentile(99),
        metrics.batches.get() as f64 / commits as f64,
        metrics.commit.sum_us() as f64 / commits as f64,
    ))
}

/// An event of about 1 KB.
fn event(number: u64) -> Event {
    let now = jiff::Timestamp::UNIX_EPOCH;
    Event {
        id: EventId(derive("bench", &[&number.to_string()])),
        source: "airflow-prod".to_owned(),
        occurred: now,
        received: now,
        event: "airflow.task.failed".to_owned(),
        resource: [(RESOURCE_ID.to_owned(), format!("airflow.task.{number}"))].into(),
        related: Vec::new(),
        payload: serde_json::Value::from("x".repeat(800)),
        follows: None,
        fact: None,
    }
}
