//! The trail: what a row says, acts that a crash interrupts, the chain, and what retention leaves of it.

use crate::support::{at, caller, each};
use trackside_core::caller::Caller;
use trackside_core::decision::AuditDetail;
use trackside_core::ids::derive;
use trackside_store::Store;
use trackside_store::audit::begun::Ended;
use trackside_store::audit::chain::{Checkpoint, EXPIRED, EXPIRED_TO, GENESIS, hash_rows};
use trackside_store::audit::{AuditFilter, NewAudit};

fn row(second: i64, action: &str) -> NewAudit {
    NewAudit::new(at(second), caller(), action, format!("{action} at {second}"))
}

/// Seals what is there, without a signature.
async fn seal(store: &Store, second: i64, rows: usize) -> Checkpoint {
    let last = store.last_checkpoint().await.unwrap();
    let (number, sealed, previous) =
        last.map_or((0, 0, GENESIS.to_owned()), |last| (last.number, last.last, last.hash));
    let rows = store.audit_after(sealed, rows).await.unwrap();
    let made = Checkpoint {
        number: number + 1,
        first: rows[0].position,
        last: rows[rows.len() - 1].position,
        rows: rows.len() as u64,
        hash: hash_rows(&previous, &rows).unwrap(),
        previous,
        at: at(second),
        key: "k".to_owned(),
        signature: String::new(),
    };
    store.seal(&made).await.unwrap();
    made
}

#[test]
fn a_row_says_on_what_authority_and_is_found_by_it() {
    each(|store| async move {
        let who = Caller {
            token: Some("jti-7".to_owned()),
            behalf: vec!["airflow".to_owned(), "ana".to_owned()],
            ..Caller::new("corp:etl", "jwt")
        };
        let job = derive("test", &["run"]);
        let detail = AuditDetail {
            resource: Some("job:load".to_owned()),
            outcome: Some("refused".to_owned()),
            because: Some("policy `p` forbids it".to_owned()),
            policies: vec!["p".to_owned()],
            before: Some("a".repeat(64)),
            after: Some("b".repeat(64)),
            approval: Some(derive("test", &["approval"])),
            begun: Some(at(1)),
            facts: [("method".to_owned(), "POST".to_owned())].into(),
        };
        let told = NewAudit { job: Some(job), detail, ..NewAudit::new(at(2), who, "job.refused", "no") };
        store.record(&row(1, "other")).await.unwrap();
        store.record(&told).await.unwrap();
        let by = |filter: AuditFilter| {
            let store = store.clone();
            async move { store.audit(&AuditFilter { limit: 9, ..filter }).await.unwrap().items }
        };
        let found = by(AuditFilter { job: Some(job), ..AuditFilter::default() }).await;
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].caller, &found[0].detail, found[0].job), (&told.caller, &told.detail, told.job));
        for filter in [
            AuditFilter { resource: Some("job:load".to_owned()), ..AuditFilter::default() },
            AuditFilter { outcome: Some("refused".to_owned()), ..AuditFilter::default() },
            AuditFilter { since: Some(at(2)), ..AuditFilter::default() },
        ] {
            assert_eq!(by(filter).await, found);
        }
        let before = by(AuditFilter { until: Some(at(2)), ..AuditFilter::default() }).await;
        assert_eq!((before.len(), before[0].action.as_str()), (1, "other"));
    });
}

#[test]
fn an_act_is_a_row_when_it_has_ended_also_after_a_crash() {
    each(|store| async move {
        let (one, two, three) = (derive("t", &["1"]), derive("t", &["2"]), derive("t", &["3"]));
        for (id, second) in [(one, 1), (two, 2), (three, 3)] {
            store.begin_act(id, &row(second, "configuration.applied")).await.unwrap();
        }
        assert_eq!(store.audit_after(0, 9).await.unwrap(), [], "nothing has ended");
        store.end_act(two, row(2, "configuration.applied"), Ended::Done, at(5)).await.unwrap();
        let failed = Ended::Failed("disk full".to_owned());
        store.end_act(one, row(1, "configuration.applied"), failed, at(6)).await.unwrap();
        let again = store.end_act(one, row(1, "configuration.applied"), Ended::Done, at(7)).await;
        assert!(again.is_err(), "an act ends once");
        assert_eq!(store.end_interrupted_acts(at(9)).await.unwrap(), 1);
        assert_eq!(store.end_interrupted_acts(at(9)).await.unwrap(), 0);
        let rows = store.audit_after(0, 9).await.unwrap();
        let told: Vec<_> =
            rows.iter().map(|row| (row.at, row.detail.begun, row.detail.outcome.as_deref().unwrap())).collect();
        assert_eq!(
            told,
            [(at(5), Some(at(2)), "done"), (at(6), Some(at(1)), "failed"), (at(9), Some(at(3)), "unknown")],
            "in the order of completion"
        );
        assert!(rows[1].summary.ends_with(": disk full"), "{}", rows[1].summary);
    });
}

#[test]
fn checkpoints_chain_rows_and_retention_takes_whole_ones() {
    each(|store| async move {
        for second in 0..10 {
            store.record(&row(second, "a")).await.unwrap();
        }
        let first = seal(&store, 10, 4).await;
        let second = seal(&store, 20, 4).await;
        assert_eq!((first.first, first.last, second.first, second.last), (1, 4, 5, 8));
        assert_eq!(second.previous, first.hash);
        let rows = store.audit_after(0, 4).await.unwrap();
        assert_eq!(hash_rows(GENESIS, &rows).unwrap(), first.hash);
        let mut changed = rows.clone();
        changed[2].summary.push('!');
        assert_ne!(hash_rows(GENESIS, &changed).unwrap(), first.hash);
        assert_ne!(hash_rows(GENESIS, &rows[1..]).unwrap(), first.hash);

        // Everything is old enough, but only what was sealed before the time goes, and it says so.
        assert_eq!(store.expire_audit(at(15), at(99)).await.unwrap(), 4);
        assert_eq!(store.expire_audit(at(15), at(99)).await.unwrap(), 0);
        let left = store.audit_after(0, 99).await.unwrap();
        assert_eq!(left.iter().map(|row| row.position).collect::<Vec<_>>(), [5, 6, 7, 8, 9, 10, 11]);
        assert_eq!((left[6].action.as_str(), left[6].detail.facts[EXPIRED_TO].as_str()), (EXPIRED, "1"));
        assert_eq!(store.checkpoints_after(0, 9).await.unwrap(), std::slice::from_ref(&second));
        // The newest stays, so that the chain goes on from it.
        assert_eq!(store.expire_audit(at(1_000), at(1_000)).await.unwrap(), 0);
        let third = seal(&store, 30, 9).await;
        assert_eq!((third.number, third.previous), (3, second.hash));
        assert_eq!(store.expire_audit(at(1_000), at(1_000)).await.unwrap(), 4);
        let left = store.audit_after(0, 99).await.unwrap();
        assert_eq!(left.iter().map(|row| row.position).collect::<Vec<_>>(), [9, 10, 11, 12]);
    });
}
