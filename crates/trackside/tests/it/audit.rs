//! The audit's chain: what is sealed is verified from an export, and any change of the past is found.

use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;
use trackside::audit::seal::Sealer;
use trackside::audit::verify::{Broken, Verified, Verifier};
use trackside_core::caller::Caller;
use trackside_identity::audit_key::AuditKey;
use trackside_store::Store;
use trackside_store::audit::NewAudit;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The lines of an export of nine rows in three checkpoints, and a row that is not sealed.
async fn export(key: &AuditKey) -> Vec<String> {
    let store = Store::memory().unwrap();
    let sealer = Sealer::new(store.clone(), Arc::new(AuditKey::new(&[7; 32]).unwrap()));
    for round in 0..3 {
        for row in 0..3 {
            let what = format!("row {round}.{row}");
            store.record(&NewAudit::new(at(round), Caller::new("ana", "session"), "test.done", what)).await.unwrap();
        }
        sealer.once(at(round)).await.unwrap().expect("something to seal");
    }
    assert_eq!(sealer.once(at(9)).await.unwrap(), None, "everything is sealed");
    store.record(&NewAudit::new(at(9), Caller::new("bo", "cli"), "test.done", "later")).await.unwrap();
    let mut lines = vec![json!({"key": {"name": key.name(), "public": key.public()}}).to_string()];
    for checkpoint in store.checkpoints_after(0, 99).await.unwrap() {
        for row in store.audit_after(checkpoint.first - 1, 3).await.unwrap() {
            lines.push(json!({"row": row}).to_string());
        }
        lines.push(json!({"checkpoint": checkpoint}).to_string());
    }
    lines.extend(store.audit_after(9, 9).await.unwrap().iter().map(|row| json!({"row": row}).to_string()));
    lines
}

fn verify(lines: &[String], key: Option<String>) -> Result<Verified, Broken> {
    let mut verifier = Verifier::new(key);
    for line in lines {
        verifier.line(line)?;
    }
    Ok(verifier.end())
}

#[tokio::test]
async fn what_was_sealed_is_verified_and_a_change_is_found() {
    let key = AuditKey::new(&[7; 32]).unwrap();
    let lines = export(&key).await;
    assert_eq!(lines.len(), 1 + 12 + 1);
    assert_eq!(verify(&lines, None), Ok(Verified { rows: 9, checkpoints: 3, begins: None, unsealed: 1 }));
    assert_eq!(verify(&lines, Some(key.public())).unwrap().rows, 9);
    // The key line is 0; rows 1 to 3, checkpoint 4, rows 5 to 7, checkpoint 8, …
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        verify(&lines, None)
    };
    let within = |number, first, last| Err(Broken::Changed { number, first, last });
    assert_eq!(changed(&|lines| lines[6] = lines[6].replace("row 1.1", "row 1.9")), within(2, 4, 6));
    assert_eq!(changed(&|lines| lines[6] = lines[6].replace("\"ana\"", "\"bo\"")), within(2, 4, 6));
    assert!(matches!(changed(&|lines| drop(lines.remove(6))), Err(Broken::Rows { number: 2, found: 2, .. })));
    assert!(matches!(changed(&|lines| lines.swap(5, 6)), Err(Broken::Rows { number: 2, .. })));
    let gap = changed(&|lines| drop(lines.drain(5..9)));
    assert_eq!(gap, Err(Broken::Gap { last: 1, found: 3 }));
    // Somebody who changes a row and hashes anew has no key.
    let again = changed(&|lines| {
        let other = AuditKey::new(&[8; 32]).unwrap();
        lines[0] = json!({"key": {"name": other.name(), "public": other.public()}}).to_string();
    });
    assert!(matches!(again, Err(Broken::Signature { number: 1, .. })), "{again:?}");
    // Retention took the first checkpoint.
    let mut left = lines.clone();
    left.drain(1..5);
    assert_eq!(verify(&left, None), Ok(Verified { rows: 6, checkpoints: 2, begins: Some(2), unsealed: 1 }));
}
