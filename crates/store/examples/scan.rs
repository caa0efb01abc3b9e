//! Measures reading for backtests: `cargo run --release -p trackside-store --example scan [FOLDER] [EVENTS]`.
//!
//! Fills a database under FOLDER (default: the current one) with EVENTS events (default: 500,000) of 50 names and about
//! 1 KB, and prints how fast they are read in order: all, those of one name in five, one in 50 and one in 5,000.

#![allow(clippy::print_stdout, reason = "a measuring tool")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;
use trackside_core::event::{Event, RESOURCE_ID};
use trackside_core::ids::{EventId, derive};
use trackside_store::log::scan::{NameFilter, PIECE_EVENTS};
use trackside_store::log::{APPEND_ENTRIES, NewEntry};
use trackside_store::{Error, Options, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let events: u64 = args.next().map_or(Ok(500_000), |count| count.parse())?;
    let path = folder.join(format!("scan-{}.sqlite", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&path, events));
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
    Ok(measured?)
}

async fn measure(path: &Path, events: u64) -> Result<(), Error> {
    let store = Store::open(path, Options::default())?;
    let begun = Instant::now();
    for first in (0..events).step_by(APPEND_ENTRIES) {
        let entries = (first..events.min(first + APPEND_ENTRIES as u64)).map(|number| NewEntry::event(&event(number)));
        store.append(entries.collect::<Result<_, _>>()?).await?;
    }
    println!("append in batches    {:>12.0} /s", rate(events, begun));
    for (what, names) in [
        ("all", NameFilter::Any),
        ("one name in five", of(&["common.name"], &[])),
        ("one name in 50", of(&["name.7"], &[])),
        ("two names in 50", of(&["name.7", "name.8"], &[])),
        ("a prefix, 20 in 50", of(&[], &["name.1", "name.2"])),
        ("one name in 5,000", of(&["rare.name"], &[])),
    ] {
        let begun = Instant::now();
        let estimate = store.estimate_events(0, events, &names).await?;
        let estimated = begun.elapsed();
        let begun = Instant::now();
        let (mut after, mut found) = (0, 0);
        while after < events {
            let piece = store.events_between(after, events, &names, PIECE_EVENTS).await?;
            found += piece.events.len();
            after = piece.reached;
        }
        let took = begun.elapsed();
        let rate = rate(events, begun);
        println!(
            "{what:<20} {rate:>12.0} /s   {found:>8} found in {took:>9.3?}, {estimate:>8} estimated in {estimated:.3?}"
        );
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(count: u64, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

fn of(names: &[&str], prefixes: &[&str]) -> NameFilter {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    NameFilter::Of { names: owned(names), prefixes: owned(prefixes) }
}

/// An event of about 1 KB.
fn event(number: u64) -> Event {
    let name = match number {
        _ if number % 5_000 == 1 => "rare.name".to_owned(),
        _ if number.is_multiple_of(5) => "common.name".to_owned(),
        _ => format!("name.{}", number % 50),
    };
    let at = jiff::Timestamp::from_millisecond(number.cast_signed()).unwrap_or_default();
    Event {
        id: EventId(derive("bench", &[&number.to_string()])),
        source: "airflow-prod".to_owned(),
        occurred: at,
        received: at,
        event: name,
        resource: [(RESOURCE_ID.to_owned(), format!("airflow.task.{number}"))].into(),
        related: Vec::new(),
        payload: serde_json::Value::from("x".repeat(800)),
        follows: None,
        fact: None,
    }
}
