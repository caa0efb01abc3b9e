//! Firings: written once with their decision, listed, counted per day, deleted with the log.

use crate::support::{at, automation_id, each};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use trackside_core::automation::edit::FiringRecord;
use trackside_core::automation::firing::{EventRef, Firing, FiringState};
use trackside_core::decision::Decision;
use trackside_core::ids::{EventId, derive};
use trackside_store::firings::{Activity, FiringDay, FiringFilter};
use trackside_store::retention::{Purged, Retention};
use trackside_store::{Error, Store};

const DAY: i64 = 24 * 3600;

fn event_id(seq: u64) -> EventId {
    EventId(derive("test", &[&seq.to_string()]))
}

fn firing(automation: u128, seq: u64, ordinal: u32, state: FiringState, seconds: i64) -> FiringRecord {
    FiringRecord {
        seq,
        ordinal,
        name: format!("automation {automation}"),
        firing: Firing {
            automation: automation_id(automation),
            trigger: String::new(),
            state,
            at: at(seconds),
            due: None,
            labels: [("prefect.resource.id".to_owned(), "test.1".to_owned())].into(),
            event: (seq % 2 == 1).then(|| EventRef { id: event_id(seq), seq }),
            children: Vec::new(),
            because: "3 of 3 events within 1m".to_owned(),
        },
        actions: vec!["sent".to_owned()],
        deliveries: Vec::new(),
        incident: None,
    }
}

fn fired(cursor: u64, firings: &[FiringRecord]) -> Decision {
    Decision { cursor, firings: firings.to_vec(), ..Decision::default() }
}

/// Five firings of two automations over three days, in two decisions; one was due before what was decided earlier.
async fn fill(store: &Store) -> [FiringRecord; 5] {
    use FiringState::{Resolved, Triggered};
    let all = [
        firing(1, 1, 0, Triggered, 0),
        firing(1, 1, 1, Resolved, 0),
        firing(2, 2, 0, Triggered, DAY + 10),
        firing(1, 3, 0, Triggered, DAY + 5),
        firing(1, 4, 0, Triggered, 2 * DAY),
    ];
    store.commit(&fired(3, &all[..3]), 0).await.unwrap();
    store.commit(&fired(4, &all[3..]), 3).await.unwrap();
    all
}

fn all() -> FiringFilter {
    FiringFilter { limit: 9, ..FiringFilter::default() }
}

#[test]
fn firings_are_listed_by_filter_and_page() {
    each(|store| async move {
        let written = fill(&store).await;
        let check = async |filter: FiringFilter, expect: &[usize], next: bool| {
            let page = store.firings(&filter).await.unwrap();
            let records: Vec<_> = page.items.iter().map(|row| &row.record).collect();
            assert_eq!(records, expect.iter().map(|index| &written[*index]).collect::<Vec<_>>(), "{filter:?}");
            assert_eq!(page.next.is_some(), next, "{filter:?}");
            page.next
        };
        check(all(), &[4, 2, 3, 1, 0], false).await;
        check(FiringFilter { automation: Some(automation_id(1)), ..all() }, &[4, 3, 1, 0], false).await;
        check(FiringFilter { automation: Some(automation_id(9)), ..all() }, &[], false).await;
        check(FiringFilter { event: Some(event_id(1)), ..all() }, &[1, 0], false).await;
        check(FiringFilter { since: Some(at(DAY + 6)), ..all() }, &[4, 2], false).await;
        let mut page = FiringFilter { limit: 2, ..all() };
        page.before = check(page.clone(), &[4, 2], true).await;
        page.before = check(page.clone(), &[3, 1], true).await;
        check(page, &[0], false).await;
        let of_one = FiringFilter { automation: Some(automation_id(1)), since: Some(at(1)), limit: 1, ..all() };
        let next = check(of_one.clone(), &[4], true).await;
        check(FiringFilter { before: next, ..of_one }, &[3], true).await;
    });
}

#[test]
fn a_firing_is_written_once() {
    each(|store| async move {
        let written = fill(&store).await;
        let again = store.commit(&fired(5, &written[..1]), 4).await.unwrap_err();
        assert!(matches!(again, Error::Conflict { statement: "firings.insert", .. }), "{again}");
        let days = store.activity(&[automation_id(1)].into(), at(0), 1).await.unwrap();
        assert_eq!(days[&automation_id(1)].days[0].triggered, 1, "and counted once");
    });
}

fn day(days: i64, triggered: u64, resolved: u64) -> FiringDay {
    let noon = at(0) + SignedDuration::from_hours(24 * days);
    let from: Timestamp = noon - SignedDuration::from_hours(12);
    FiringDay { from, triggered, resolved }
}

#[test]
fn a_list_knows_how_each_automation_has_been_firing() {
    each(|store| async move {
        fill(&store).await;
        let check = async |ids: &[u128], now, days, expect: &[(u128, i64, &[FiringDay])]| {
            let ids: BTreeSet<_> = ids.iter().map(|id| automation_id(*id)).collect();
            let found = store.activity(&ids, at(now), days).await.unwrap();
            let activity =
                |last: i64, days: &[FiringDay]| Activity { last_triggered: Some(at(last)), days: days.into() };
            let expect = expect.iter().map(|(id, last, days)| (automation_id(*id), activity(*last, days))).collect();
            assert_eq!(found, expect, "{ids:?}, {days} days before {now}");
        };
        let one = [day(0, 1, 1), day(1, 1, 0), day(2, 1, 0)];
        check(&[], 0, 7, &[]).await;
        check(&[1, 2, 3], 2 * DAY, 7, &[(1, 2 * DAY, &one), (2, DAY + 10, &[day(1, 1, 0)])]).await;
        check(&[1, 2], 2 * DAY, 1, &[(1, 2 * DAY, &one[2..]), (2, DAY + 10, &[])]).await;
        check(&[1], 9 * DAY, 7, &[(1, 2 * DAY, &[])]).await;
        let many = (0..501).map(automation_id).collect();
        assert!(matches!(store.activity(&many, at(0), 7).await, Err(Error::Invalid { .. })));
    });
}

#[test]
fn firings_go_with_the_log_and_a_day_when_it_is_over() {
    each(|store| async move {
        fill(&store).await;
        let purge =
            async |until| store.purge(&Retention { log: Some(at(until)), ..Retention::default() }).await.unwrap();
        assert_eq!(purge(0).await, Purged::default());
        assert_eq!(purge(DAY + 6).await, Purged { firings: 3, ..Purged::default() });
        let left = store.firings(&all()).await.unwrap().items;
        assert_eq!(left.iter().map(|row| row.record.seq).collect::<Vec<_>>(), [4, 2]);
        let found = store.activity(&[automation_id(1)].into(), at(2 * DAY), 7).await.unwrap();
        assert_eq!(found[&automation_id(1)].days, [day(1, 1, 0), day(2, 1, 0)]);
    });
}
