//! Events that a decision itself is: they enter the log with it, once, and wake whoever follows the log.

use crate::support::{at, changes, each, entry, event, run};
use trackside_core::decision::{Change, Decision};
use trackside_core::event::Event;
use trackside_core::run::RunState;
use trackside_store::log::NewEntry;
use trackside_store::{Error, Store};

fn emitted(number: u64) -> Event {
    event("trackside", "prefect.automation.triggered", number, 5)
}

fn decision(cursor: u64, events: &[u64]) -> Decision {
    Decision { cursor, emitted: events.iter().map(|number| emitted(*number)).collect(), ..Decision::default() }
}

async fn names(store: &Store) -> Vec<(u64, String)> {
    let events = store.tail(0, 99).await.unwrap();
    events.into_iter().map(|logged| (logged.seq, logged.event.event)).collect()
}

#[test]
fn they_enter_the_log_with_the_decision_and_are_told_of() {
    each(|store| async move {
        store.append(vec![entry(1)]).await.unwrap();
        let mut head = store.head();
        head.mark_unchanged();
        store.commit(&decision(1, &[100, 101]), 0).await.unwrap();
        assert!(head.has_changed().unwrap());
        assert_eq!(*head.borrow_and_update(), 3);
        let found = store.tail(1, 9).await.unwrap();
        assert_eq!(
            found.iter().map(|logged| logged.seq).collect::<Vec<_>>(),
            [2, 3],
            "in their order, after what is there"
        );
        assert_eq!((&found[0].event, found[0].at), (&emitted(100), at(5)));
        assert_eq!(
            store.entries_after(store.cursor().await.unwrap(), 9).await.unwrap().len(),
            2,
            "still to be decided"
        );

        store.commit(&decision(1, &[101, 102]), 1).await.unwrap();
        assert_eq!(store.tail(3, 9).await.unwrap().len(), 1, "the same event is stored once");
        assert_eq!(store.append(vec![NewEntry::event(&emitted(102)).unwrap()]).await.unwrap()[0].seq, 4);
        store.commit(&decision(4, &[]), 1).await.unwrap();
        assert!(head.has_changed().unwrap());
        head.mark_unchanged();
        store.commit(&decision(4, &[102]), 4).await.unwrap();
        assert!(!head.has_changed().unwrap(), "nothing new, nothing to tell");
    });
}

#[test]
fn a_decision_that_fails_emits_nothing() {
    each(|store| async move {
        store.append(vec![entry(1), entry(2)]).await.unwrap();
        store.commit(&decision(1, &[]), 0).await.unwrap();
        let before = names(&store).await;
        assert!(matches!(store.commit(&decision(2, &[100]), 0).await, Err(Error::Conflict { .. })), "stale");
        let reserved = event("trackside.tick", "x", 101, 0);
        let mut bad = changes(2, vec![Change::Run(run("orders", "r1", RunState::Running))]);
        bad.emitted = vec![emitted(100), reserved];
        assert!(matches!(store.commit(&bad, 1).await, Err(Error::Invalid { .. })), "a reserved source");
        assert_eq!((names(&store).await, store.cursor().await.unwrap()), (before, 1));
        assert!(store.load().await.unwrap().runs.is_empty());
        store.commit(&decision(2, &[100]), 1).await.unwrap();
        assert_eq!(names(&store).await[2].0, 3, "no gap where one failed");
    });
}

#[test]
fn runs_of_jobs_are_events_of_our_own() {
    each(|store| async move {
        store.append(vec![entry(1)]).await.unwrap();
        let own = event(trackside_core::job::SOURCE, "run.started", 7, 0);
        let decision = Decision { cursor: 1, emitted: vec![own.clone()], ..Decision::default() };
        store.commit(&decision, 0).await.unwrap();
        let entries = store.entries_after(1, 9).await.unwrap();
        assert_eq!(entries[0].input, trackside_core::input::Input::Event(Box::new(own)));
    });
}
