//! The outbox: heads, claims, ends, retries, and what enters the log.

use crate::support::{at, caller, each, effect, effects};
use jiff::Timestamp;
use trackside_core::input::{DeliveryResult, Input};
use trackside_store::outbox::{AttemptRecord, AttemptVerdict, Delivery, DeliveryFilter, DeliveryState, Next};
use trackside_store::{Error, Store};

fn attempt(verdict: AttemptVerdict) -> AttemptRecord {
    AttemptRecord {
        call: None,
        at: at(1),
        took_ms: 12,
        verdict,
        in_doubt: verdict == AttemptVerdict::Unknown,
        status: Some(503),
        request: Some("POST /".to_owned()),
        answer: Some("busy".to_owned()),
        error: (verdict != AttemptVerdict::Done).then(|| "503 from the far end".to_owned()),
        far_ref: (verdict == AttemptVerdict::Done).then(|| "1700.01".to_owned()),
    }
}

async fn due(store: &Store, seconds: i64) -> Vec<Delivery> {
    store.due(at(seconds), &[], 10).await.unwrap()
}

/// Claims the only due row.
async fn claim(store: &Store, seconds: i64) -> Delivery {
    let due = due(store, seconds).await;
    assert_eq!(due.len(), 1, "{due:#?}");
    store.claim(&[due[0].effect.id], at(seconds + 30)).await.unwrap();
    store.delivery(due[0].effect.id).await.unwrap().unwrap().delivery
}

fn delivered() -> Next {
    Next::End(DeliveryResult::Delivered)
}

fn dead() -> Next {
    Next::End(DeliveryResult::Dead { error: "given up".to_owned() })
}

fn causes(rows: &[Delivery]) -> Vec<(u64, &str)> {
    rows.iter().map(|row| (row.effect.cause, row.effect.connection.as_str())).collect()
}

#[test]
fn only_the_head_of_a_lane_is_due() {
    each(|store| async move {
        let rows = vec![
            effect(1, 0, "slack", Some(1)),
            effect(1, 1, "pager", Some(1)),
            effect(2, 0, "slack", Some(1)),
            effect(2, 1, "slack", Some(2)),
            effect(3, 0, "slack", None),
            effect(3, 1, "slack", None),
        ];
        store.commit(&effects(3, rows), 0).await.unwrap();
        assert_eq!(due(&store, -1).await, []);
        assert_eq!(
            causes(&due(&store, 0).await),
            [(1, "pager"), (1, "slack"), (2, "slack"), (3, "slack"), (3, "slack")]
        );
        let without = store.due(at(0), &["slack".to_owned()], 10).await.unwrap();
        assert_eq!(causes(&without), [(1, "pager")], "a connection that is left out hides nobody");
        assert_eq!(causes(&store.due(at(0), &[], 1).await.unwrap()), [(1, "pager"), (1, "slack")]);
        assert_eq!(store.next_due(&[]).await.unwrap(), Some(at(0)));
        assert_eq!(store.oldest_due(at(5)).await.unwrap().unwrap().effect.cause, 1);

        let head = due(&store, 0).await.into_iter().find(|row| row.effect.connection == "slack").unwrap();
        let lane = store.lane(&head).await.unwrap();
        assert_eq!((causes(&lane.rows), lane.far_ref), (vec![(1, "slack"), (2, "slack")], None));
        assert!(matches!(store.claim(&[lane.rows[1].effect.id], at(9)).await, Err(Error::Conflict { .. })));
        let ids = [head.effect.id, lane.rows[1].effect.id];
        assert!(store.claim(&ids, at(9)).await.is_err());
        assert_eq!(store.delivery(head.effect.id).await.unwrap().unwrap().delivery, head, "all of them or none");
    });
}

#[test]
fn a_delivery_is_tried_again_until_it_ends_and_the_next_follows() {
    each(|store| async move {
        store
            .commit(&effects(2, vec![effect(1, 0, "slack", Some(1)), effect(2, 0, "slack", Some(1))]), 0)
            .await
            .unwrap();
        let row = claim(&store, 0).await;
        assert_eq!((row.state, row.attempts, row.lease_until), (DeliveryState::Sending, 1, Some(at(30))));
        assert_eq!(due(&store, 100).await, [], "what is being sent is not due");
        assert_eq!(store.next_due(&[]).await.unwrap(), None);

        store.record_attempt(&row, &attempt(AttemptVerdict::Retry), &Next::Retry { due: at(10) }, at(2)).await.unwrap();
        assert_eq!(due(&store, 9).await, []);
        assert_eq!(store.next_due(&[]).await.unwrap(), Some(at(10)));
        let stale = store.record_attempt(&row, &attempt(AttemptVerdict::Done), &delivered(), at(3)).await;
        assert!(matches!(stale, Err(Error::Conflict { .. })), "an attempt is recorded once: {stale:?}");

        let row = claim(&store, 10).await;
        assert_eq!((row.attempts, row.last_error.as_deref()), (2, Some("503 from the far end")));
        store.record_attempt(&row, &attempt(AttemptVerdict::Done), &delivered(), at(11)).await.unwrap();
        let detail = store.delivery(row.effect.id).await.unwrap().unwrap();
        assert_eq!((detail.delivery.state, detail.delivery.done), (DeliveryState::Delivered, Some(at(11))));
        let attempts: Vec<_> = detail.attempts.iter().map(|attempt| (attempt.n, attempt.verdict)).collect();
        assert_eq!(attempts, [(1, AttemptVerdict::Retry), (2, AttemptVerdict::Done)]);

        let next = due(&store, 11).await;
        assert_eq!((next[0].effect.cause, next[0].due), (2, Some(at(11))));
        assert_eq!(store.lane(&next[0]).await.unwrap().far_ref.as_deref(), Some("1700.01"));
        let entries = store.entries_after(0, 10).await.unwrap();
        let [entry] = entries.as_slice() else { panic!("one outcome: {entries:?}") };
        let Input::Outcome(outcome) = &entry.input else { panic!("{entry:?}") };
        assert_eq!((entry.at, outcome.delivery, outcome.attempts), (at(11), row.effect.id, 2));
        assert_eq!(outcome.result, DeliveryResult::Delivered);
    });
}

#[test]
fn a_row_whose_sender_died_comes_back_in_doubt() {
    each(|store| async move {
        store.commit(&effects(1, vec![effect(1, 0, "slack", Some(1))]), 0).await.unwrap();
        let row = claim(&store, 0).await;
        assert_eq!(store.expired_leases(at(29)).await.unwrap(), []);
        let expired = async |at| store.expired_leases(at).await.unwrap();
        assert_eq!(expired(Timestamp::MAX).await.as_slice(), std::slice::from_ref(&row), "at start");
        assert_eq!(expired(at(30)).await.as_slice(), std::slice::from_ref(&row));
        let unknown = attempt(AttemptVerdict::Unknown);
        store.record_attempt(&row, &unknown, &Next::Retry { due: at(30) }, at(30)).await.unwrap();
        let row = claim(&store, 30).await;
        assert!(row.in_doubt);
        store
            .record_attempt(&row, &attempt(AttemptVerdict::Retry), &Next::Retry { due: at(40) }, at(31))
            .await
            .unwrap();
        assert!(!due(&store, 40).await[0].in_doubt, "a plain answer settles it");
    });
}

#[test]
fn a_dead_row_is_put_back_before_the_rows_behind_it() {
    each(|store| async move {
        let rows = (1..=3).map(|cause| effect(cause, 0, "slack", Some(1))).collect();
        store.commit(&effects(3, rows), 0).await.unwrap();
        let first = claim(&store, 0).await;
        let retried = store.retry(first.effect.id, at(0), &caller()).await.unwrap_err();
        assert!(retried.to_string().contains("only a dead delivery"), "{retried}");
        store.record_attempt(&first, &attempt(AttemptVerdict::Refused), &dead(), at(1)).await.unwrap();
        assert_eq!(causes(&due(&store, 1).await), [(2, "slack")]);

        store.retry(first.effect.id, at(2), &caller()).await.unwrap();
        assert_eq!(causes(&due(&store, 2).await), [(1, "slack")], "the older row goes first");
        let first = claim(&store, 2).await;
        store.record_attempt(&first, &attempt(AttemptVerdict::Refused), &dead(), at(3)).await.unwrap();
        let second = claim(&store, 3).await;
        store.retry(first.effect.id, at(4), &caller()).await.unwrap();
        assert_eq!(due(&store, 4).await, [], "not beside a row that is being sent");
        store.record_attempt(&second, &attempt(AttemptVerdict::Done), &delivered(), at(5)).await.unwrap();
        assert_eq!(causes(&due(&store, 5).await), [(1, "slack")]);

        let outcomes = store.entries_after(0, 10).await.unwrap();
        assert_eq!(outcomes.len(), 3, "each end is heard of");
        let missing = store.retry(effect(9, 0, "slack", None).id, at(5), &caller()).await.unwrap_err();
        assert!(missing.to_string().contains("there is no delivery"), "{missing}");
    });
}

#[test]
fn what_is_no_longer_needed_is_superseded() {
    each(|store| async move {
        let rows = (1..=3).map(|cause| effect(cause, 0, "slack", Some(1))).collect();
        store.commit(&effects(3, rows), 0).await.unwrap();
        let head = due(&store, 0).await.remove(0);
        let lane = store.lane(&head).await.unwrap().rows;
        store.supersede(&[(&lane[0], "a newer update follows"), (&lane[1], "it was resolved")], at(1)).await.unwrap();
        assert_eq!(causes(&due(&store, 1).await), [(3, "slack")]);
        assert!(matches!(
            store.supersede(&[(&lane[1], "again"), (&lane[2], "again")], at(2)).await,
            Err(Error::Conflict { .. })
        ));
        let row = &due(&store, 2).await[0];
        assert_eq!(row.due, Some(at(1)), "a refused batch changes nothing");
        let superseded = store
            .deliveries(&DeliveryFilter {
                state: Some(DeliveryState::Superseded),
                limit: 9,
                ..DeliveryFilter::default()
            })
            .await
            .unwrap();
        assert_eq!(causes(&superseded.items), [(2, "slack"), (1, "slack")]);
        let why: Vec<_> = superseded.items.iter().map(|row| row.last_error.as_deref().unwrap()).collect();
        assert_eq!(why, ["it was resolved", "a newer update follows"], "each for its reason");
        let counts = store.delivery_counts().await.unwrap();
        let counts: Vec<_> = counts.iter().map(|row| (row.connection.as_str(), row.state, row.count)).collect();
        assert_eq!(counts, [("slack", DeliveryState::Pending, 1)]);
        assert_eq!(store.entries_after(0, 10).await.unwrap().len(), 2);
    });
}
