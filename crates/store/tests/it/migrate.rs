//! A database of an older version is brought up to date when it is served, and loses nothing.

use crate::support::{automation, changes, entry, put};
use trackside_core::duty::zone::Zone;
use trackside_core::event::Severity;
use trackside_store::reports::{ReportFilter, Spread};
use trackside_store::{Access, Error, Options, Store, Threading};

const FIRST: &str = include_str!("../../sql/sqlite/0001_spine.sql");

/// An incident as the first version wrote it: acknowledged 90 seconds after it was opened, resolved by its rules.
const OLD_INCIDENT: &str = r#"
INSERT INTO incidents (number, id, state, open, owner, source, pipeline, opened, resolved, body)
VALUES (1, x'00000000000000000000000000000007', 'resolved', 0, 'payments', 'airflow', 'orders',
  1767225600000000, 1767226200000000, '{"id":"00000000-0000-0000-0000-000000000007","number":1,"state":"resolved",
  "owner":"payments","owner_because":"tag","pipeline":{"source":"airflow","name":"orders"},"title":"t",
  "severity":"critical","opened":"2026-01-01T00:00:00Z","opened_by":1,"updated":"2026-01-01T00:10:00Z",
  "resolved":"2026-01-01T00:10:00Z","acknowledged_by":"ana","acknowledged":"2026-01-01T00:01:30.25Z",
  "occurrences":1,"told":["slack"]}');
INSERT INTO audit (at, subject, via, action, summary, incident)
VALUES (1767226200000000, 'trackside', 'rules', 'incident.resolved', 's', x'00000000000000000000000000000007');
"#;

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trackside.sqlite");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(FIRST).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.pragma_update(None, "application_id", 0x5452_434b).unwrap();
    let body = r#"{"id":"00000000-0000-0000-0000-000000000001","source":"s","occurred":"2026-01-01T00:00:00Z",
        "received":"2026-01-01T00:00:00Z","event":"e","resource":{"prefect.resource.id":"r"}}"#;
    let insert =
        "INSERT INTO log (at, source, id, name, body) VALUES (0, 's', x'00000000000000000000000000000001', 'e', ?1)";
    old.execute(insert, [body]).unwrap();
    old.execute("UPDATE meta SET value = '1' WHERE key = 'cursor'", []).unwrap();
    old.execute_batch(OLD_INCIDENT).unwrap();
    drop(old);

    let read = Options { access: Access::ReadOnly, threading: Threading::Inline };
    assert_eq!(Store::open(&path, read).unwrap_err(), Error::Older { found: 1, known: 10 });
    let serve = Options { access: Access::Serve, threading: Threading::Inline };
    for _ in 0..2 {
        let store = Store::open(&path, serve).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(store.entry(1).await.unwrap().unwrap().seq, 1, "the log is there");
            let loaded = store.load().await.unwrap();
            assert_eq!(loaded.automations.seen.len(), 1);
            let made = automation(1, "new");
            store.commit(&changes(loaded.cursor + 1, vec![put(&made)]), loaded.cursor).await.unwrap();
            assert_eq!(store.load().await.unwrap().automations.automations, [made]);
        });
    }
    let store = Store::open(&path, serve).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let filter = ReportFilter {
        from: "2025-12-31T00:00:00Z".parse().unwrap(),
        until: "2026-01-02T00:00:00Z".parse().unwrap(),
        team: None,
        zone: Zone::default(),
    };
    let figures = runtime.block_on(store.report(&filter)).unwrap().response.all;
    let spread = |seconds| Some(Spread { samples: 1, mean_s: seconds, median_s: seconds, p90_s: seconds });
    assert_eq!((figures.incidents, figures.by_severity), (1, [(Severity::Critical, 1)].into()));
    assert_eq!((figures.time_to_acknowledge, figures.time_to_resolve), (spread(90.25), spread(600.0)));
    assert_eq!(figures.noise, 0, "somebody had it");
    assert_eq!(runtime.block_on(store.append(vec![entry(1)])).unwrap()[0].seq, 2);
}
