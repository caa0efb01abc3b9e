//! The log: order, identity, atomicity, reading back.

use crate::support::{at, each, entry, event};
use trackside_core::caller::Caller;
use trackside_core::ids::{EventId, derive};
use trackside_core::input::{Command, Input};
use trackside_core::ruleset::Ruleset;
use trackside_store::log::{APPEND_ENTRIES, Arrival, EventFilter, NewEntry};
use trackside_store::{Error, Store};

async fn append(store: &Store, numbers: &[u64]) -> Vec<(u64, bool)> {
    let entries = numbers.iter().map(|number| entry(*number)).collect();
    let appended = store.append(entries).await.unwrap();
    appended.iter().map(|entry| (entry.seq, entry.arrival == Arrival::New)).collect()
}

#[test]
fn positions_ascend_without_gaps_and_an_entry_is_stored_once() {
    each(|store| async move {
        assert_eq!(append(&store, &[]).await, []);
        assert_eq!(append(&store, &[1, 2]).await, [(1, true), (2, true)]);
        assert_eq!(append(&store, &[2, 3, 3, 1]).await, [(2, false), (3, true), (3, false), (1, false)]);
        assert_eq!(append(&store, &[4]).await, [(4, true)]);
        assert_eq!(*store.head().borrow(), 4);
        let other = NewEntry::event(&event("prefect", "x", 1, 0)).unwrap();
        assert_eq!(store.append(vec![other]).await.unwrap()[0].seq, 5, "the same id from another source is new");
        assert_eq!((store.metrics().appended.get(), store.metrics().duplicates.get()), (5, 3));
    });
}

#[test]
fn every_input_reads_back_as_it_was() {
    each(|store| async move {
        let caller = Caller::new("ana", "session");
        let due = "2026-11-20T12:00:00.123456789Z".parse().unwrap();
        let inputs = [
            Input::Event(Box::new(event("airflow", "a", 1, 7))),
            Input::Tick { due, noticed: None },
            Input::Command {
                caller: caller.clone(),
                command: Command::SendTest { connection: "hook".to_owned() },
                origin: None,
            },
            Input::Ruleset { caller, ruleset: Box::new(Ruleset::default()) },
        ];
        let entry = |(index, input): (usize, &Input)| {
            NewEntry::input(at(9), input, derive("test", &["input", &index.to_string()])).unwrap()
        };
        store.append(inputs.iter().enumerate().map(entry).collect()).await.unwrap();
        let read = store.entries_after(0, 100).await.unwrap();
        assert_eq!(read.iter().map(|entry| entry.input.clone()).collect::<Vec<_>>(), inputs);
        let times: Vec<_> = read.iter().map(|entry| entry.at).collect();
        assert_eq!(times, [at(7), due, at(9), at(9)], "received, due to the nanosecond, accepted");
        assert_eq!(store.entries_after(2, 1).await.unwrap()[0].seq, 3);
        assert_eq!(store.entry(4).await.unwrap().unwrap().input, inputs[3]);
        assert_eq!(store.entry(5).await.unwrap(), None);
        let command = store.command(derive("test", &["input", "2"])).await.unwrap().unwrap();
        assert_eq!((command.seq, &command.input), (3, &inputs[2]));
        assert_eq!(store.command(derive("test", &["input", "3"])).await.unwrap(), None, "that is no command");
    });
}

#[test]
fn a_reserved_source_is_refused() {
    let error = NewEntry::event(&event("trackside.tick", "x", 1, 0)).unwrap_err();
    assert!(error.to_string().contains("is reserved"), "{error}");
}

#[test]
fn too_many_at_once_are_refused() {
    each(|store| async move {
        let entries = (0..=APPEND_ENTRIES as u64).map(entry).collect();
        assert!(matches!(store.append(entries).await, Err(Error::Invalid { .. })));
        assert_eq!(*store.head().borrow(), 0);
    });
}

#[test]
fn events_are_found_by_id_name_and_source() {
    each(|store| async move {
        let names = ["airflow.task.failed", "airflow.run.failed", "prefect.flow-run.Failed"];
        let entries = (0..9u64)
            .map(|number| {
                let name = names[number as usize % 3];
                NewEntry::event(&event(name.split('.').next().unwrap(), name, number, number as i64)).unwrap()
            })
            .collect();
        store.append(entries).await.unwrap();
        let tick = Input::Tick { due: at(9), noticed: None };
        store.append(vec![NewEntry::input(at(9), &tick, derive("test", &["tick"])).unwrap()]).await.unwrap();

        let found = store.event(EventId(derive("test", &["4"]))).await.unwrap().unwrap();
        assert_eq!((found.seq, found.event.event.as_str(), found.at), (5, "airflow.run.failed", at(4)));
        assert_eq!(store.event(EventId(derive("test", &["tick"]))).await.unwrap(), None, "a tick is no event");

        let list = |prefix: Option<&str>, source: Option<&str>, before, limit| EventFilter {
            name_prefix: prefix.map(str::to_owned),
            source: source.map(str::to_owned),
            before,
            limit,
        };
        let check = async |filter: EventFilter, expect: &[u64], next: Option<u64>| {
            let page = store.events(&filter).await.unwrap();
            let seqs: Vec<u64> = page.items.iter().map(|event| event.seq).collect();
            assert_eq!((seqs.as_slice(), page.next), (expect, next), "{filter:?}");
        };
        check(list(None, None, None, 4), &[9, 8, 7, 6], Some(6)).await;
        check(list(None, None, Some(6), 10), &[5, 4, 3, 2, 1], None).await;
        check(list(Some("airflow.task"), None, None, 10), &[7, 4, 1], None).await;
        check(list(Some("airflow."), Some("prefect"), None, 10), &[], None).await;
        check(list(Some("%"), None, None, 10), &[], None).await;
        check(list(None, Some("prefect"), None, 2), &[9, 6], Some(6)).await;
        let tail: Vec<u64> = store.tail(7, 10).await.unwrap().iter().map(|event| event.seq).collect();
        assert_eq!(tail, [8, 9]);
    });
}
