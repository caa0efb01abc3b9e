//! The keys of the issuer over months, against a real store.

use super::*;
use trackside_identity::exchange;
use trackside_store::audit::AuditFilter;
use trackside_store::{Access, Options, Threading};

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_hours(hour)).expect("in range")
}

fn issuer(folder: &Path, seal: [u8; 32]) -> (Credentials, Issuer) {
    let options = Options { access: Access::Serve, threading: Threading::Threads };
    let store = Store::open(&folder.join("db.sqlite"), options).expect("opened");
    let dice = std::sync::atomic::AtomicU8::new(seal[0]);
    let random = move || [dice.fetch_add(1, std::sync::atomic::Ordering::Relaxed); 32];
    let clock = Clock::controlled(|| Timestamp::UNIX_EPOCH, random);
    let credentials = Credentials::new(exchange::network(), &clock, Secrets::default());
    let wanted = WantedIssuer { issuer: "https://t.example.net".to_owned(), settings: WorkloadSettings::default() };
    credentials.wanted.send_replace(wanted);
    let issuer = credentials.issuer(store, Arc::new(SealKey::new(seal)), clock);
    (credentials, issuer)
}

fn published(credentials: &Credentials) -> usize {
    credentials.brokers.workload().key_page()["keys"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn keys_change_over_months_with_a_trail_and_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let day = 24;
    {
        let (credentials, mut issuer) = issuer(folder.path(), [7; 32]);
        for (hour, keys) in [(0, 1), (28 * day, 1), (29 * day, 2), (30 * day, 2), (31 * day, 2), (32 * day, 1)] {
            issuer.once(at(hour)).await.expect("looked after");
            assert_eq!(published(&credentials), keys, "at hour {hour}");
        }
        let filter = AuditFilter { action_prefix: Some("workload.".to_owned()), limit: 20, ..AuditFilter::default() };
        let rows = issuer.store.audit(&filter).await.expect("read").items;
        let actions: Vec<&str> = rows.iter().rev().map(|row| row.action.as_str()).collect();
        assert_eq!(
            actions,
            ["workload.key_published", "workload.key_published", "workload.key_retired", "workload.key_removed"]
        );
    }
    let (credentials, mut again) = issuer(folder.path(), [7; 32]);
    again.once(at(33 * day)).await.expect("looked after");
    assert_eq!(published(&credentials), 1);
}

#[tokio::test]
async fn keys_of_a_lost_seal_are_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    issuer(folder.path(), [7; 32]).1.once(at(0)).await.expect("looked after");
    let (credentials, mut other) = issuer(folder.path(), [8; 32]);
    other.once(at(1)).await.expect("looked after");
    assert_eq!(published(&credentials), 1);
    let filter =
        AuditFilter { action_prefix: Some("workload.key_removed".to_owned()), limit: 9, ..AuditFilter::default() };
    assert_eq!(other.store.audit(&filter).await.expect("read").items.len(), 1);
}

#[tokio::test]
async fn keys_of_others_are_shown_beside_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("airflow.json");
    std::fs::write(&file, r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qY","kid":"airflow"}]}"#).expect("written");
    let (credentials, mut issuer) = issuer(folder.path(), [7; 32]);
    credentials.wanted.send_modify(|wanted| wanted.settings.also_publish = vec![file, folder.path().join("missing")]);
    issuer.once(at(0)).await.expect("looked after");
    assert_eq!(credentials.brokers.workload().key_page()["keys"][1]["kid"], "airflow");
    assert_eq!(published(&credentials), 2);
}
