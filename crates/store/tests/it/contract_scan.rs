//! Reading stretches of the log by event name, as backtests do.

use crate::support::{at, each, event};
use std::collections::BTreeSet;
use trackside_core::ids::derive;
use trackside_core::input::Input;
use trackside_store::Store;
use trackside_store::log::NewEntry;
use trackside_store::log::scan::NameFilter;

const NAMES: [&str; 4] = ["job.failed", "job.started", "job%", "other"];

/// Twelve events at seconds 0 to 11, and a tick after each third.
async fn fill(store: &Store) {
    for number in 0..12u64 {
        let seconds = i64::try_from(number).unwrap();
        let event = event("airflow", NAMES[number as usize % 4], number, seconds);
        store.append(vec![NewEntry::event(&event).unwrap()]).await.unwrap();
        if number % 3 == 2 {
            let tick = Input::Tick { due: at(seconds), noticed: None };
            let id = derive("tick", &[&number.to_string()]);
            store.append(vec![NewEntry::input(at(seconds), &tick, id).unwrap()]).await.unwrap();
        }
    }
}

fn of(names: &[&str], prefixes: &[&str]) -> NameFilter {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    NameFilter::Of { names: owned(names), prefixes: owned(prefixes) }
}

async fn numbers(store: &Store, range: (u64, u64), names: &NameFilter, limit: usize) -> Vec<u64> {
    let (mut after, until) = range;
    let mut found = Vec::new();
    while after < until {
        let piece = store.events_between(after, until, names, limit).await.unwrap();
        assert!(piece.reached > after && piece.events.len() <= limit, "it goes on: {piece:?}");
        assert!(piece.events.iter().all(|event| event.seq > after && event.seq <= piece.reached));
        found.extend(piece.events.iter().map(|event| event.event.payload["number"].as_u64().unwrap()));
        after = piece.reached;
    }
    found
}

#[test]
fn events_of_some_names_are_read_in_order_whatever_the_piece() {
    each(|store| async move {
        fill(&store).await;
        let many: Vec<String> = (0..200).map(|number| format!("none.{number}")).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        many.push("other");
        for limit in [1, 2, 100] {
            let check = async |range, names: NameFilter, expect: &[u64]| {
                assert_eq!(numbers(&store, range, &names, limit).await, expect, "{names:?}, pieces of {limit}");
            };
            check((0, 16), NameFilter::Any, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).await;
            check((0, 16), of(&["job.failed"], &[]), &[0, 4, 8]).await;
            check((0, 16), of(&[], &["job."]), &[0, 1, 4, 5, 8, 9]).await;
            check((0, 16), of(&[], &["job%"]), &[2, 6, 10]).await;
            check((0, 16), of(&["other", "job"], &["job.f", "none"]), &[0, 3, 4, 7, 8, 11]).await;
            check((0, 16), of(&many, &[]), &[3, 7, 11]).await;
            check((0, 16), NameFilter::none(), &[]).await;
            check((3, 9), NameFilter::Any, &[3, 4, 5, 6]).await;
            check((0, 1_000_000), of(&["other"], &[]), &[3, 7, 11]).await;
        }
    });
}

#[test]
fn a_stretch_of_time_is_a_stretch_of_positions() {
    each(|store| async move {
        assert_eq!(store.seq_at(at(0)).await.unwrap(), 1, "where the first would be");
        fill(&store).await;
        assert_eq!(store.seq_at(at(-5)).await.unwrap(), 1);
        assert_eq!(store.seq_at(at(3)).await.unwrap(), 5);
        assert_eq!(store.seq_at(at(99)).await.unwrap(), 17, "after the last");
        let range = (store.seq_at(at(4)).await.unwrap() - 1, store.seq_at(at(7)).await.unwrap() - 1);
        assert_eq!(numbers(&store, range, &NameFilter::Any, 9).await, [4, 5, 6]);
    });
}

#[test]
fn how_many_there_are_is_estimated() {
    each(|store| async move {
        assert_eq!(store.estimate_events(0, 9, &NameFilter::Any).await.unwrap(), 0);
        fill(&store).await;
        let check = async |range: (u64, u64), names: NameFilter, expect: u64| {
            assert_eq!(store.estimate_events(range.0, range.1, &names).await.unwrap(), expect, "{range:?} {names:?}");
        };
        // Fewer than are sampled, so these are exact.
        check((0, 16), NameFilter::Any, 12).await;
        check((0, 1_000), of(&[], &["job."]), 6).await;
        check((0, 16), of(&["other"], &[]), 3).await;
        check((8, 8), NameFilter::Any, 0).await;
        check((16, 99), NameFilter::Any, 0).await;
    });
}

#[test]
fn a_long_log_is_estimated_from_a_sample() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Store::memory().unwrap();
        for first in (0..20_000u64).step_by(1_000) {
            let some = (first..first + 1_000)
                .map(|number| NewEntry::event(&event("airflow", NAMES[number as usize % 4], number, 0)).unwrap());
            store.append(some.collect()).await.unwrap();
        }
        let estimate = store.estimate_events(0, 20_000, &of(&["other"], &[])).await.unwrap();
        assert!((4_000..6_000).contains(&estimate), "one in four of 20,000 comes in turns: {estimate}");
    });
}

#[test]
fn patterns_become_names_and_prefixes() {
    let check = |patterns: &[&str], expect: NameFilter| {
        assert_eq!(NameFilter::patterns(patterns.iter().copied()), expect, "{patterns:?}");
    };
    check(&[], NameFilter::none());
    check(&["job.failed", "job.failed"], of(&["job.failed"], &[]));
    check(&["job.*", "a?b", "!x[ab]", "!literal"], of(&["!literal"], &["job.", "a", "!x"]));
    check(&["job.failed", "*"], NameFilter::Any);
    assert!(of(&["a"], &["b."]).matches("b.c") && !of(&["a"], &["b."]).matches("ab"));
}

#[test]
fn events_are_found_by_position() {
    each(|store| async move {
        fill(&store).await;
        let check = async |positions: &[u64], expect: &[u64]| {
            let found = store.events_at(positions).await.unwrap();
            assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), expect, "{positions:?}");
        };
        check(&[], &[]).await;
        check(&[9, 2, 2, 99, 0], &[2, 9]).await;
        check(&[3, 4, 5], &[3, 5]).await;
        let all: Vec<u64> = (0..2_000).collect();
        check(&all, &[1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15]).await;
    });
}
