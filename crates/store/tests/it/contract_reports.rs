//! Reports: how fast, whom it woke, what is noise; and past incidents that may help.

use crate::contract_pages::{fired, page};
use crate::contract_state::incident;
use crate::support::{at, each, incident_id, pipeline_key};
use trackside_core::caller::Caller;
use trackside_core::decision::{AuditDetail, AuditEntry, Change, Decision};
use trackside_core::duty::zone::Zone;
use trackside_core::event::Severity;
use trackside_core::ids::DeliveryId;
use trackside_core::incident::{Incident, IncidentState};
use trackside_store::Store;
use trackside_store::reports::{Noise, Pages, Report, ReportFilter, Spread};
use uuid::Uuid;

const DAY: i64 = 24 * 3600;

/// Opened at `opened`; acknowledged and resolved so many seconds later.
fn ended(number: u64, owner: &str, opened: i64, acknowledged: Option<i64>, resolved: Option<i64>) -> Incident {
    let state = if resolved.is_some() { IncidentState::Resolved } else { IncidentState::Triggered };
    Incident {
        opened: at(opened),
        acknowledged: acknowledged.map(|after| at(opened + after)),
        resolved: resolved.map(|after| at(opened + after)),
        severity: if number == 1 { Severity::Critical } else { Severity::Error },
        ..incident(number, state, owner)
    }
}

fn resolved_by(number: u64, caller: Caller) -> AuditEntry {
    AuditEntry {
        seq: number,
        ordinal: 0,
        at: at(0),
        caller,
        action: "incident.resolved".to_owned(),
        summary: "over".to_owned(),
        incident: Some(incident_id(number)),
        event: None,
        delivery: None,
        job: None,
        detail: AuditDetail::default(),
    }
}

/// 2026-11-20 is a Friday: incidents 1 to 3 are of that week, 4 and 5 of the next.
async fn fill(store: &Store) {
    let incidents = [
        ended(1, "payments", 0, Some(60), Some(1_200)),
        ended(2, "payments", 100, None, Some(500)),
        ended(3, "ml", 200, None, Some(300)),
        ended(4, "payments", 4 * DAY, Some(120), Some(3_600)),
        ended(5, "payments", 5 * DAY, None, None),
    ];
    let paged = |seq, ordinal, number, seconds, person: Option<&str>| {
        let mut page = page(seq, ordinal, number, seconds, person);
        page.team = if number == 3 { "ml" } else { "payments" }.to_owned();
        page.deliveries = vec![DeliveryId(Uuid::from_u128(1))];
        page
    };
    let mut nobody = page(1, 2, 1, 10, Some("ana"));
    nobody.note = "first contact later".to_owned();
    let person = Caller::new("ana", "session");
    let decision = Decision {
        cursor: 9,
        changes: incidents.into_iter().map(Change::Incident).collect(),
        audit: vec![resolved_by(1, Caller::rules()), resolved_by(2, Caller::rules()), resolved_by(3, person)],
        pages: vec![
            paged(1, 0, 1, 0, Some("ana")),
            paged(1, 1, 1, 10, None),
            nobody,
            paged(2, 0, 2, 20_000, Some("ana")),
            paged(3, 0, 3, 200, Some("bob")),
            paged(4, 0, 4, 4 * DAY, Some("ana")),
        ],
        fired: vec![
            fired(1, 1, 0, "orders", "failed"),
            fired(1, 1, 0, "orders", "slow"),
            fired(2, 2, 100, "orders", "failed"),
            fired(3, 3, 200, "scores", "failed"),
            fired(4, 4, 4 * DAY, "orders", "failed"),
        ],
        ..Decision::default()
    };
    store.commit(&decision, 0).await.unwrap();
    // Acknowledged again after it was opened again: the first time counts.
    let again = Incident { acknowledged: Some(at(900)), ..ended(1, "payments", 0, None, Some(1_200)) };
    store.commit(&crate::support::changes(10, vec![Change::Incident(again)]), 9).await.unwrap();
}

async fn report(store: &Store, from: i64, until: i64, team: Option<&str>) -> Report {
    let team = team.map(str::to_owned);
    store.report(&ReportFilter { from: at(from), until: at(until), team, zone: Zone::default() }).await.unwrap()
}

#[test]
fn how_fast_incidents_were_acknowledged_and_resolved() {
    each(|store| async move {
        fill(&store).await;
        let response = report(&store, 0, 30 * DAY, None).await.response;
        assert_eq!((response.all.incidents, response.all.noise), (5, 1));
        assert_eq!(response.all.by_severity, [(Severity::Error, 4), (Severity::Critical, 1)].into());
        let spread = Spread { samples: 2, mean_s: 90.0, median_s: 60.0, p90_s: 120.0 };
        assert_eq!(response.all.time_to_acknowledge, Some(spread));
        let spread = Spread { samples: 4, mean_s: 1_400.0, median_s: 500.0, p90_s: 3_600.0 };
        assert_eq!(response.all.time_to_resolve, Some(spread));
        let teams: Vec<_> = response.by_team.iter().map(|(team, figures)| (team.as_str(), figures.incidents)).collect();
        assert_eq!(teams, [("ml", 1), ("payments", 4)]);
        let weeks: Vec<_> =
            response.by_week.iter().map(|(week, figures)| (week.to_string(), figures.incidents)).collect();
        assert_eq!(weeks, [("2026-11-16".to_owned(), 3), ("2026-11-23".to_owned(), 2)]);
        let both = response.by_team_and_week.iter();
        let both: Vec<_> = both.map(|row| format!("{} {} {}", row.team, row.week, row.figures.incidents)).collect();
        assert_eq!(both, ["ml 2026-11-16 1", "payments 2026-11-16 2", "payments 2026-11-23 2"]);
        assert_eq!(response.by_team["ml"].time_to_acknowledge, None);
        assert_eq!(report(&store, 0, 30 * DAY, Some("ml")).await.response.all.incidents, 1);
        assert_eq!(report(&store, 1, DAY, None).await.response.all.incidents, 2, "from is inclusive, until is not");
        assert_eq!(report(&store, -DAY, 0, None).await, Report::default());
    });
}

#[test]
fn whom_pages_woke() {
    each(|store| async move {
        fill(&store).await;
        let load = report(&store, 0, 30 * DAY, None).await.load;
        assert_eq!(load.by_person["ana"], Pages { pages: 3, out_of_hours: 2 });
        assert_eq!(load.by_person["ana"].out_of_hours_share(), Some(2.0 / 3.0));
        assert_eq!(load.by_person["bob"], Pages { pages: 1, out_of_hours: 0 });
        let rows: Vec<_> = load
            .by_person_and_week
            .iter()
            .map(|row| format!("{} {} {}", row.person, row.week, row.pages.pages))
            .collect();
        assert_eq!(rows, ["ana 2026-11-16 2", "ana 2026-11-23 1", "bob 2026-11-16 1"]);
        assert_eq!((load.to_channels, load.to_nobody), (1, 1));
        assert_eq!(report(&store, 0, 30 * DAY, Some("ml")).await.load.by_person.len(), 1);
    });
}

#[test]
fn what_is_noise() {
    each(|store| async move {
        fill(&store).await;
        let found = report(&store, 0, 30 * DAY, None).await;
        let orders = Noise { what: pipeline_key("orders"), alerts: 4, incidents: 3, pages: 4, noise: 1 };
        let scores = Noise { what: pipeline_key("scores"), alerts: 1, incidents: 1, pages: 1, noise: 0 };
        assert_eq!(found.pipelines, [orders, scores]);
        let failed = Noise { what: "failed".into(), alerts: 4, incidents: 4, pages: 5, noise: 1 };
        let slow = Noise { what: "slow".into(), alerts: 1, incidents: 1, pages: 2, noise: 0 };
        assert_eq!((found.rules, found.cut), (vec![failed, slow], false));
        assert_eq!(report(&store, 0, 30 * DAY, Some("ml")).await.pipelines.len(), 1);
    });
}

#[test]
fn past_incidents_that_may_help() {
    each(|store| async move {
        fill(&store).await;
        let mut elsewhere = ended(6, "ml", 300, None, Some(60));
        elsewhere.pipeline = pipeline_key("scores");
        let decision = Decision {
            cursor: 11,
            changes: vec![Change::Incident(elsewhere)],
            fired: vec![fired(11, 6, 300, "scores", "failed")],
            ..Decision::default()
        };
        store.commit(&decision, 10).await.unwrap();
        let check = async |number: u64, limit: usize, same_pipeline: &[u64], same_rule: &[u64]| {
            let incident = store.incident_numbered(number).await.unwrap().unwrap();
            let related = store.related_incidents(&incident, limit).await.unwrap();
            let numbers = |found: Vec<Incident>| found.iter().map(|incident| incident.number).collect::<Vec<_>>();
            assert_eq!(numbers(related.same_pipeline), same_pipeline, "{number}");
            assert_eq!(numbers(related.same_rule), same_rule, "{number}");
        };
        check(4, 10, &[3, 2, 1], &[6]).await;
        check(4, 2, &[3, 2], &[6]).await;
        check(6, 10, &[], &[4, 3, 2, 1]).await;
        check(5, 10, &[4, 3, 2, 1], &[]).await;
    });
}
