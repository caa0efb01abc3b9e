//! Keys of the issuer and the rows that tell of their changes.

use crate::support::{at, caller, each};
use trackside_store::Error;
use trackside_store::audit::{AuditFilter, NewAudit};
use trackside_store::workload::{KeyChange, WorkloadKey};
use uuid::Uuid;

#[test]
fn keys_change_with_a_trail() {
    each(|store| async move {
        let key = |number: u128| WorkloadKey {
            id: Uuid::from_u128(number),
            algorithm: "ES256".to_owned(),
            sealed: "sealed:v1:x".to_owned(),
            published: at(1),
            signs: at(2),
            retired: None,
        };
        let told = |what: &str| NewAudit::new(at(3), caller(), format!("workload.{what}"), "a key");
        store.change_workload_key(&KeyChange::Add(key(1)), &told("key_added")).await.unwrap();
        store.change_workload_key(&KeyChange::Add(key(2)), &told("key_added")).await.unwrap();
        let again = store.change_workload_key(&KeyChange::Add(key(2)), &told("key_added")).await;
        assert!(again.is_err(), "an id is one key");
        store.change_workload_key(&KeyChange::Retire(key(1).id, at(9)), &told("key_retired")).await.unwrap();
        let twice = store.change_workload_key(&KeyChange::Retire(key(1).id, at(10)), &told("key_retired")).await;
        assert!(matches!(twice, Err(Error::Conflict { .. })));
        let retired = WorkloadKey { retired: Some(at(9)), ..key(1) };
        assert_eq!(store.workload_keys().await.unwrap(), [retired, key(2)]);
        store.change_workload_key(&KeyChange::Remove(key(1).id), &told("key_removed")).await.unwrap();
        assert_eq!(store.workload_keys().await.unwrap(), [key(2)]);
        let filter = AuditFilter { action_prefix: Some("workload.".to_owned()), limit: 9, ..AuditFilter::default() };
        assert_eq!(store.audit(&filter).await.unwrap().items.len(), 4, "a refused change leaves no row");
    });
}
