//! What should have happened by now: timers, deliveries, pages.

use crate::contract_pages::{page, send};
use crate::support::{at, each, effect, incident_id};
use jiff::SignedDuration;
use trackside_core::decision::{Change, Decision};
use trackside_core::effect::Effect;
use trackside_core::ids::DeliveryId;
use trackside_core::input::DeliveryResult;
use trackside_core::timer::{Timer, TimerKey};
use trackside_store::Store;
use trackside_store::overdue::{Lost, Overdue};
use uuid::Uuid;

async fn look(store: &Store, seconds: i64) -> Overdue {
    store.overdue(at(seconds), SignedDuration::from_secs(30), SignedDuration::from_mins(10)).await.unwrap()
}

#[test]
fn timers_that_were_not_taken_are_told() {
    each(|store| async move {
        let step = |number, seconds| Timer { key: TimerKey::Step { incident: incident_id(number) }, due: at(seconds) };
        let regroup = Timer { key: TimerKey::Regroup { incident: incident_id(1) }, due: at(50) };
        let timers = [step(1, 100), step(2, 60), regroup.clone(), step(3, 400)];
        let changes = timers.into_iter().map(Change::Timer).collect();
        store.commit(&Decision { cursor: 1, changes, ..Decision::default() }, 0).await.unwrap();
        assert!(look(&store, 80).await.is_empty(), "within the grace");
        let found = look(&store, 91).await;
        assert_eq!(found.timers, [regroup.clone(), step(2, 60)], "earliest first");
        assert_eq!(found.people().collect::<Vec<_>>(), [&step(2, 60)]);
        assert_eq!(look(&store, 131).await.timers, [regroup, step(2, 60), step(1, 100)]);
    });
}

/// One page with one delivery per connection.
async fn paged(store: &Store, connections: &[&str]) -> Vec<DeliveryId> {
    let effect = |(ordinal, connection): (usize, &&str)| Effect {
        incident: Some(incident_id(1)),
        ..effect(1, u32::try_from(ordinal).unwrap(), connection, Some(1))
    };
    let effects: Vec<Effect> = connections.iter().enumerate().map(effect).collect();
    let ids: Vec<DeliveryId> = effects.iter().map(|effect| effect.id).collect();
    let mut record = page(1, 0, 1, 0, Some("ana"));
    record.deliveries.clone_from(&ids);
    let nobody = page(1, 1, 1, 0, None);
    let decision = Decision { cursor: 1, effects, pages: vec![record, nobody], ..Decision::default() };
    store.commit(&decision, 0).await.unwrap();
    ids
}

#[test]
fn a_page_is_lost_when_all_its_deliveries_are() {
    each(|store| async move {
        let ids = paged(&store, &["pd", "slack"]).await;
        assert!(look(&store, 29).await.is_empty(), "they are on their way");
        let late = look(&store, 31).await;
        assert_eq!(late.deliveries.len(), 2);
        let lost: Vec<_> = late.pages.iter().map(|lost| (lost.page.ordinal, lost.because)).collect();
        assert_eq!(lost, [(0, Lost::PastDue { delivery: ids[0], due: at(0) })]);
        send(&store, at(32), DeliveryResult::Dead { error: "no".to_owned() }).await;
        let late = look(&store, 100).await;
        assert_eq!(late.deliveries, []);
        assert_eq!(late.pages[0].because, Lost::Dead { delivery: ids[0] });
        assert!(look(&store, 601).await.is_empty(), "too long ago to be looked at");
    });
}

#[test]
fn a_page_that_reached_one_end_is_not_lost() {
    each(|store| async move {
        paged(&store, &["pd", "slack"]).await;
        store.retry(DeliveryId(Uuid::nil()), at(0), &crate::support::caller()).await.unwrap_err();
        let row = store.due(at(0), &["slack".to_owned()], 1).await.unwrap().remove(0);
        store.supersede(&[(&row, "acknowledged")], at(1)).await.unwrap();
        let late = look(&store, 100).await;
        assert_eq!((late.pages.len(), late.deliveries.len()), (0, 1), "the other one is late all the same");
    });
}

#[test]
fn a_page_whose_deliveries_are_not_there_is_lost() {
    each(|store| async move {
        let mut record = page(1, 0, 1, 0, Some("ana"));
        let delivery = DeliveryId(Uuid::from_u128(9));
        record.deliveries = vec![delivery];
        let decision = Decision { cursor: 1, pages: vec![record.clone()], ..Decision::default() };
        store.commit(&decision, 0).await.unwrap();
        let late = look(&store, 5).await;
        assert_eq!((&late.pages[0].page, late.pages[0].because), (&record, Lost::Missing { delivery }));
    });
}

#[test]
fn what_a_sender_took_and_did_not_bring_back_is_late() {
    each(|store| async move {
        let ids = paged(&store, &["pd"]).await;
        store.claim(&ids, at(60)).await.unwrap();
        assert!(look(&store, 85).await.is_empty(), "it is being sent");
        let late = look(&store, 91).await;
        assert_eq!(late.deliveries[0].effect.id, ids[0]);
        assert_eq!(late.pages[0].because, Lost::PastDue { delivery: ids[0], due: at(60) });
    });
}
