//! Pages and fired alerts: written once with their decision, read per incident and time; the story of an incident.

use crate::contract_state::incident;
use crate::support::{at, caller, each, effect, incident_id, pipeline_key};
use jiff::Timestamp;
use trackside_core::decision::{AlertFired, AuditDetail, AuditEntry, Change, Decision, PageRecord};
use trackside_core::effect::{Action, Effect, delivery_id};
use trackside_core::event::Severity;
use trackside_core::ids::DeliveryId;
use trackside_core::incident::{AlertKey, Incident, IncidentState};
use trackside_core::input::DeliveryResult;
use trackside_store::Store;
use trackside_store::outbox::{AttemptRecord, AttemptVerdict, DeliveryState, Next};
use trackside_store::retention::{Purged, Retention};

pub(crate) fn page(seq: u64, ordinal: u32, number: u64, seconds: i64, person: Option<&str>) -> PageRecord {
    PageRecord {
        seq,
        ordinal,
        incident: incident_id(number),
        life: 0,
        at: at(seconds),
        due: at(seconds),
        cycle: 0,
        step: 0,
        target: "oncall:primary".to_owned(),
        team: "payments".to_owned(),
        severity: Severity::Error,
        person: person.map(str::to_owned),
        out_of_hours: seconds >= 20_000,
        deliveries: Vec::new(),
        note: String::new(),
    }
}

pub(crate) fn fired(seq: u64, number: u64, seconds: i64, pipeline: &str, rule: &str) -> AlertFired {
    let key = AlertKey { pipeline: pipeline_key(pipeline), rule: rule.into(), subject: "".into() };
    AlertFired { seq, at: at(seconds), key, severity: Severity::Error, incident: incident_id(number) }
}

fn told(seq: u64, ordinal: u32, number: u64, action: &str, delivery: Option<DeliveryId>) -> AuditEntry {
    AuditEntry {
        seq,
        ordinal,
        at: at(0),
        caller: caller(),
        action: action.to_owned(),
        summary: format!("{action} {ordinal}"),
        incident: Some(incident_id(number)),
        event: None,
        delivery,
        job: None,
        detail: AuditDetail::default(),
    }
}

/// Sends what is due and records how it ended.
pub(crate) async fn send(store: &Store, now: Timestamp, result: DeliveryResult) {
    for row in store.due(now, &[], 10).await.unwrap() {
        store.claim(&[row.effect.id], now).await.unwrap();
        let row = store.delivery(row.effect.id).await.unwrap().unwrap().delivery;
        let attempt = AttemptRecord {
            call: None,
            at: now,
            took_ms: 5,
            verdict: AttemptVerdict::Done,
            in_doubt: false,
            status: Some(200),
            request: None,
            answer: None,
            error: None,
            far_ref: Some(format!("ts-{}", row.effect.to.as_deref().unwrap_or("channel"))),
        };
        store.record_attempt(&row, &attempt, &Next::End(result.clone()), now).await.unwrap();
    }
}

#[test]
fn pages_and_alerts_are_read_per_incident_and_time() {
    each(|store| async move {
        let pages = vec![
            page(1, 0, 1, 0, Some("ana")),
            page(1, 1, 2, 0, None),
            page(2, 0, 1, 60, None),
            page(3, 0, 1, 50, None),
        ];
        let decision = Decision {
            cursor: 3,
            pages: pages.clone(),
            fired: vec![
                fired(1, 1, 0, "orders", "failed"),
                fired(1, 2, 0, "billing", "failed"),
                fired(3, 1, 5, "o", "slow"),
            ],
            ..Decision::default()
        };
        store.commit(&decision, 0).await.unwrap();
        let of_first = [&pages[0], &pages[2], &pages[3]].map(Clone::clone);
        assert_eq!(store.pages_of(incident_id(1)).await.unwrap(), of_first);
        let check = async |from: i64, until: i64, limit: usize, expect: &[usize]| {
            let found = store.pages_between(at(from), at(until), limit).await.unwrap();
            let expect: Vec<_> = expect.iter().map(|index| pages[*index].clone()).collect();
            assert_eq!(found, expect, "{from} {until} {limit}");
        };
        check(0, 100, 10, &[0, 1, 3, 2]).await;
        check(0, 60, 10, &[0, 1, 3]).await;
        check(1, 100, 1, &[3]).await;
        let alerts = store.fired_in(incident_id(1), 10).await.unwrap();
        let rules: Vec<_> = alerts.iter().map(|alert| (alert.at, &*alert.key.rule)).collect();
        assert_eq!(rules, [(at(0), "failed"), (at(5), "slow")]);
    });
}

fn paging(cause: u64, ordinal: u32, connection: &str, to: Option<&str>) -> Effect {
    let action = if ordinal == 0 { Action::Trigger } else { Action::Remind };
    let id = delivery_id("main", cause, connection, ordinal);
    Effect { to: to.map(str::to_owned), action, id, ..effect(cause, ordinal, connection, Some(1)) }
}

#[test]
fn the_story_of_an_incident_tells_each_thing_once() {
    each(|store| async move {
        let effects = vec![paging(2, 0, "slack", None), paging(2, 1, "slack", Some("U1")), paging(2, 2, "pd", None)];
        let ids: Vec<DeliveryId> = effects.iter().map(|effect| effect.id).collect();
        let mut to_channel = page(2, 0, 1, 0, None);
        to_channel.deliveries = vec![ids[0]];
        let mut to_ana = page(2, 1, 1, 0, Some("ana"));
        to_ana.deliveries = vec![ids[1], ids[2]];
        let decision = Decision {
            cursor: 2,
            changes: vec![Change::Incident(incident(1, IncidentState::Triggered, "payments"))],
            effects,
            audit: vec![
                told(1, 0, 1, "incident.opened", None),
                told(1, 1, 2, "incident.opened", None),
                told(2, 0, 1, "page.decided", Some(ids[0])),
                told(2, 1, 2, "page.decided", None),
                told(2, 2, 1, "page.decided", Some(ids[1])),
            ],
            pages: vec![to_channel.clone(), to_ana.clone(), page(2, 2, 2, 0, None)],
            fired: vec![fired(1, 1, 0, "orders", "failed")],
            ..Decision::default()
        };
        store.commit(&decision, 0).await.unwrap();
        send(&store, at(5), DeliveryResult::Delivered).await;
        let after = Decision {
            cursor: 3,
            audit: vec![told(3, 0, 1, "delivery.delivered", Some(ids[2])), told(3, 1, 1, "incident.noted", None)],
            ..Decision::default()
        };
        store.commit(&after, 2).await.unwrap();

        let story = store.timeline(incident_id(1)).await.unwrap().unwrap();
        assert_eq!((story.incident.number, story.alerts.len(), story.cut), (1, 1, false));
        let told: Vec<_> = story
            .moments
            .iter()
            .map(|moment| {
                let sent = moment.deliveries.iter().map(|sent| {
                    assert_eq!((sent.state, sent.done), (DeliveryState::Delivered, Some(at(5))));
                    format!("{} {}", sent.connection, sent.to.as_deref().unwrap_or("-"))
                });
                let person = moment.page.as_ref().and_then(|page| page.person.clone()).unwrap_or_default();
                format!("{} {person} [{}]", moment.row.action, sent.collect::<Vec<_>>().join(", "))
            })
            .collect();
        assert_eq!(
            told,
            [
                "incident.opened  []",
                "page.decided  [slack -]",
                "page.decided ana [slack U1, pd -]",
                "delivery.delivered  [pd -]",
                "incident.noted  []"
            ]
        );
        assert_eq!(story.moments[1].page, Some(to_channel));
        assert!(serde_json::to_value(&story).unwrap()["moments"][2]["page"].is_object(), "it can be exported");
        assert_eq!(store.timeline(incident_id(9)).await.unwrap(), None);
    });
}

#[test]
fn a_lane_is_an_incident_to_one_address() {
    each(|store| async move {
        let effects =
            vec![paging(1, 0, "slack", None), paging(1, 1, "slack", Some("U1")), paging(2, 1, "slack", Some("U1"))];
        let decision = Decision { cursor: 2, effects: effects.clone(), ..Decision::default() };
        store.commit(&decision, 0).await.unwrap();
        let due: Vec<_> = store.due(at(1), &[], 10).await.unwrap().iter().map(|row| row.effect.id).collect();
        assert_eq!(due, [effects[0].id, effects[1].id], "one waits for none but its own");
        send(&store, at(1), DeliveryResult::Delivered).await;
        let check = async |id: DeliveryId, expect: &str| {
            let row = store.delivery(id).await.unwrap().unwrap().delivery;
            assert_eq!(store.lane(&row).await.unwrap().far_ref.as_deref(), Some(expect));
        };
        check(effects[0].id, "ts-channel").await;
        check(effects[2].id, "ts-U1").await;
    });
}

#[test]
fn an_incident_that_is_open_again_counts_as_open() {
    each(|store| async move {
        let resolved = incident(1, IncidentState::Resolved, "payments");
        let again = Incident {
            state: IncidentState::Triggered,
            resolved: None,
            reopened: 1,
            reopened_at: Some(at(60)),
            ..resolved.clone()
        };
        let open = async || store.open_incidents().await.unwrap();
        let put =
            |cursor, incident: &Incident| crate::support::changes(cursor, vec![Change::Incident(incident.clone())]);
        store.commit(&put(1, &resolved), 0).await.unwrap();
        assert_eq!(open().await, 0);
        store.commit(&put(2, &again), 1).await.unwrap();
        assert_eq!((open().await, store.load().await.unwrap().incidents), (1, vec![again]));
        let everything = Retention { incidents: Some(at(100_000)), ..Retention::default() };
        assert_eq!(store.purge(&everything).await.unwrap().incidents, 0, "what is open stays");
    });
}

#[test]
fn incidents_are_loaded_that_were_resolved_within_the_hour_before_the_last() {
    each(|store| async move {
        let resolved = |number, seconds| Incident {
            resolved: Some(at(seconds)),
            ..incident(number, IncidentState::Resolved, "payments")
        };
        let all = [(1, 0), (2, 3_400), (3, 7_000)].map(|(number, seconds)| Change::Incident(resolved(number, seconds)));
        store.commit(&crate::support::changes(1, all.into()), 0).await.unwrap();
        let numbers: Vec<_> = store.load().await.unwrap().incidents.iter().map(|incident| incident.number).collect();
        assert_eq!(numbers, [2, 3]);
    });
}

#[test]
fn pages_and_alerts_of_what_is_over_are_deleted_when_they_are_old() {
    each(|store| async move {
        let decision = Decision {
            cursor: 2,
            changes: vec![
                Change::Incident(incident(1, IncidentState::Triggered, "payments")),
                Change::Incident(incident(2, IncidentState::Resolved, "payments")),
            ],
            pages: vec![page(1, 0, 1, 0, None), page(1, 1, 2, 0, None), page(2, 0, 2, 500, None)],
            fired: vec![fired(1, 1, 0, "orders", "failed"), fired(1, 2, 0, "billing", "failed")],
            ..Decision::default()
        };
        store.commit(&decision, 0).await.unwrap();
        let before = |seconds| Retention { incidents: Some(at(seconds)), ..Retention::default() };
        assert_eq!(store.purge(&before(0)).await.unwrap(), Purged::default());
        let expect = Purged { incidents: 1, pages: 1, alert_firings: 1, ..Purged::default() };
        assert_eq!(store.purge(&before(100)).await.unwrap(), expect);
        assert_eq!(store.pages_of(incident_id(2)).await.unwrap(), [page(2, 0, 2, 500, None)]);
        assert_eq!(store.purge(&before(1_000)).await.unwrap(), Purged { pages: 1, ..Purged::default() });
        assert_eq!(store.pages_of(incident_id(1)).await.unwrap().len(), 1, "it is open");
    });
}
