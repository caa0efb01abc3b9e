//! What is planned: kept when it is over, listed, loaded while it may matter, deleted when it is old.

use crate::support::{at, changes, each, entry};
use jiff::Timestamp;
use trackside_core::decision::Change;
use trackside_core::duty::schedule::Override;
use trackside_core::ids::DeliveryId;
use trackside_core::ruleset::noise::{Maintenance, PlannedWork, Silence};
use trackside_core::state::CanaryTest;
use trackside_store::Store;
use trackside_store::planned::{Planned, PlannedFilter, Standing};
use trackside_store::retention::{Purged, Retention};
use uuid::Uuid;

pub(crate) fn silence(number: u128, starts: i64, ends: i64) -> Silence {
    Silence {
        id: Uuid::from_u128(number),
        matchers: vec![format!("pipeline=\"p{number}\"")],
        starts: at(starts),
        ends: at(ends),
        by: if number == 2 { "ana" } else { "bob" }.to_owned(),
        reason: "known".to_owned(),
        created: at(0),
    }
}

pub(crate) fn over(number: u128, schedule: &str, start: i64, end: i64) -> Override {
    Override {
        id: Uuid::from_u128(number),
        schedule: schedule.to_owned(),
        start: at(start),
        end: at(end),
        user: Some("ana".to_owned()),
        created: at(0),
        by: "bob".to_owned(),
        reason: String::new(),
    }
}

/// A window of an hour from 12:00 of the tests' day, once or daily.
pub(crate) fn window(number: u128, rule: Option<serde_json::Value>) -> PlannedWork {
    let mut when = serde_json::json!({"tz": "UTC", "start": "2026-11-20T12:00:00", "duration_s": 3600});
    if let Some(rule) = rule {
        when["rrule"] = rule;
    }
    PlannedWork {
        id: Uuid::from_u128(number),
        window: Maintenance {
            name: format!("work {number}"),
            matchers: Vec::new(),
            when: serde_json::from_value(when).unwrap(),
            announce: Vec::new(),
            reason: String::new(),
        },
        by: "ana".to_owned(),
        created: at(0),
    }
}

/// Two hours, at the end of which the last input is decided; one window goes on daily, one was ended.
async fn fill(store: &Store) {
    let daily = serde_json::json!({"freq": "daily"});
    let first = vec![
        Change::Silence(silence(1, 0, 3600)),
        Change::Silence(silence(2, 0, 9000)),
        Change::Silence(silence(3, 8000, 9000)),
        Change::Override(over(1, "primary", 0, 3600)),
        Change::Override(over(2, "primary", 7200, 9000)),
        Change::Override(over(3, "primary", 8000, 9000)),
        Change::Override(over(4, "second", 0, 9000)),
        Change::Maintenance(Box::new(window(1, None))),
        Change::Maintenance(Box::new(window(2, Some(daily.clone())))),
        Change::Maintenance(Box::new(window(3, Some(daily)))),
        Change::Canary(CanaryTest {
            connection: "slack".to_owned(),
            sent: at(0),
            delivery: DeliveryId(Uuid::from_u128(1)),
            arrived: None,
        }),
        Change::Canary(CanaryTest {
            connection: "gone".to_owned(),
            sent: at(0),
            delivery: DeliveryId(Uuid::from_u128(2)),
            arrived: None,
        }),
    ];
    store.append(vec![entry(1), entry(2)]).await.unwrap();
    store.commit(&changes(1, first), 0).await.unwrap();
    let later = trackside_store::log::NewEntry::event(&crate::support::event("airflow", "x", 3, 7200)).unwrap();
    store.append(vec![later]).await.unwrap();
    let second = vec![
        Change::Silence(silence(2, 0, 7300)),
        Change::OverrideGone { id: Uuid::from_u128(3), at: at(7200) },
        Change::OverrideGone { id: Uuid::from_u128(4), at: at(7200) },
        Change::MaintenanceGone { id: Uuid::from_u128(3), at: at(7200) },
        Change::CanaryGone("gone".to_owned()),
    ];
    store.commit(&changes(3, second), 1).await.unwrap();
}

#[test]
fn what_may_still_matter_is_loaded() {
    each(|store| async move {
        fill(&store).await;
        let loaded = store.load().await.unwrap();
        assert_eq!(loaded.silences, [silence(2, 0, 7300), silence(3, 8000, 9000)]);
        assert_eq!(loaded.overrides, [over(2, "primary", 7200, 9000)]);
        assert_eq!(loaded.planned_work, [window(2, Some(serde_json::json!({"freq": "daily"})))]);
        assert_eq!(loaded.canaries.iter().map(|test| test.connection.as_str()).collect::<Vec<_>>(), ["slack"]);

        let again = vec![Change::Override(over(3, "primary", 8000, 9500))];
        store.commit(&changes(4, again), 3).await.unwrap();
        let loaded = store.load().await.unwrap().overrides;
        assert_eq!(
            loaded,
            [over(1, "primary", 0, 3600), over(2, "primary", 7200, 9000), over(3, "primary", 8000, 9500)]
        );
    });
}

#[test]
fn silences_and_windows_are_listed_by_how_they_stand() {
    each(|store| async move {
        fill(&store).await;
        let all = PlannedFilter { limit: 10, ..PlannedFilter::new(at(7300)) };
        let live = PlannedFilter { standing: Some(Standing::Live), ..all.clone() };
        let past = PlannedFilter { standing: Some(Standing::Over), ..all.clone() };
        let ids = |page: trackside_store::Page<Planned<Silence>>| {
            (page.items.iter().map(|row| row.item.id.as_u128()).collect::<Vec<_>>(), page.next)
        };
        let check = async |filter: &PlannedFilter, expect: &[u128], next: Option<u64>| {
            assert_eq!(ids(store.silences(filter).await.unwrap()), (expect.to_vec(), next), "{filter:?}");
        };
        check(&all, &[3, 2, 1], None).await;
        check(&live, &[3], None).await;
        check(&past, &[2, 1], None).await;
        check(&PlannedFilter { limit: 1, ..past.clone() }, &[2], Some(2)).await;
        check(&PlannedFilter { before: Some(2), ..past.clone() }, &[1], None).await;
        check(&PlannedFilter { author: Some("ana".to_owned()), ..all.clone() }, &[2], None).await;

        let check = async |filter: &PlannedFilter, expect: &[(u128, Option<Timestamp>)]| {
            let page = store.maintenance(filter).await.unwrap();
            let rows: Vec<_> = page.items.iter().map(|row| (row.item.id.as_u128(), row.ended)).collect();
            assert_eq!(rows, expect, "{filter:?}");
        };
        check(&all, &[(3, Some(at(7200))), (2, None), (1, None)]).await;
        check(&live, &[(2, None)]).await;
        check(&past, &[(3, Some(at(7200))), (1, None)]).await;

        assert_eq!(store.silence(Uuid::from_u128(2)).await.unwrap().unwrap().item, silence(2, 0, 7300));
        assert_eq!(store.silence(Uuid::from_u128(9)).await.unwrap(), None);
        assert_eq!(store.maintenance_window(Uuid::from_u128(1)).await.unwrap().unwrap().item, window(1, None));
        assert_eq!(store.override_of(Uuid::from_u128(3)).await.unwrap().unwrap().ended, Some(at(7200)));
    });
}

#[test]
fn overrides_are_listed_as_they_were_in_force() {
    each(|store| async move {
        fill(&store).await;
        let check = async |schedule: Option<&str>, from: i64, until: i64, expect: &[(u128, i64)]| {
            let found = store.overrides(schedule, at(from), at(until)).await.unwrap();
            let found: Vec<_> = found.iter().map(|over| (over.id.as_u128(), over.end)).collect();
            let expect: Vec<_> = expect.iter().map(|(id, end)| (*id, at(*end))).collect();
            assert_eq!(found, expect, "{schedule:?} {from} {until}");
        };
        check(Some("primary"), 0, 10_000, &[(1, 3600), (2, 9000)]).await;
        check(Some("primary"), 0, 7200, &[(1, 3600)]).await;
        check(Some("primary"), 3600, 10_000, &[(2, 9000)]).await;
        check(Some("second"), 0, 10_000, &[(4, 7200)]).await;
        check(Some("second"), 7200, 10_000, &[]).await;
        check(None, 0, 10_000, &[(1, 3600), (2, 9000), (4, 7200)]).await;
    });
}

#[test]
fn what_is_over_and_old_is_deleted() {
    each(|store| async move {
        fill(&store).await;
        let check = async |before: i64, expect: u64| {
            let retention = Retention { audit: Some(at(before)), ..Retention::default() };
            let purged = store.purge(&retention).await.unwrap();
            assert_eq!(purged, Purged { planned: expect, ..Purged::default() }, "{before}");
        };
        check(3600, 0).await;
        check(3601, 3).await;
        check(7201, 1).await;
        check(100_000, 5).await;
        let left = store.maintenance(&PlannedFilter::new(at(0))).await.unwrap();
        assert_eq!(left.items.len(), 1, "what comes again for ever is never over");
    });
}
