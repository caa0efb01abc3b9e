//! The audit's chain, without a server: what is sealed is verified from an export, and any change of the past is found.
//! [`crate::audit_server`] does the same to the database of the real program.

use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;
use trackside::audit::head::{HEAD_FILE, Head};
use trackside::audit::seal::Sealer;
use trackside::audit::verify::{Broken, Verified, Verifier};
use trackside_core::caller::Caller;
use trackside_identity::audit_key::AuditKey;
use trackside_store::Store;
use trackside_store::audit::NewAudit;
use trackside_store::audit::chain::Checkpoint;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

async fn record(store: &Store, second: i64, what: &str) {
    store.record(&NewAudit::new(at(second), Caller::new("ana", "session"), "test.done", what)).await.unwrap();
}

/// Nine rows in three checkpoints, and a row that is not sealed.
async fn trail(head: Head) -> (Store, Sealer) {
    let store = Store::memory().unwrap();
    let sealer = Sealer::new(store.clone(), Arc::new(AuditKey::new(&[7; 32]).unwrap()), Arc::new(head));
    for round in 0..3 {
        for row in 0..3 {
            record(&store, round, &format!("row {round}.{row}")).await;
        }
        sealer.once(at(round)).await.unwrap().expect("something to seal");
    }
    assert_eq!(sealer.once(at(9)).await.unwrap(), None, "everything is sealed");
    record(&store, 9, "later").await;
    (store, sealer)
}

/// The lines of an export.
async fn export(store: &Store) -> Vec<String> {
    let key = AuditKey::new(&[7; 32]).unwrap();
    let mut lines = vec![json!({"key": {"name": key.name(), "public": key.public()}}).to_string()];
    lines.push(json!({"head": store.last_checkpoint().await.unwrap()}).to_string());
    let mut end = 0;
    for checkpoint in store.checkpoints_after(0, 99).await.unwrap() {
        let rows = store.audit_from(checkpoint.first, 99).await.unwrap();
        let covered = rows.iter().filter(|row| row.position <= checkpoint.last);
        lines.extend(covered.map(|row| json!({"row": row}).to_string()));
        end = checkpoint.last;
        lines.push(json!({"checkpoint": checkpoint}).to_string());
    }
    lines.extend(store.audit_after(end, 99).await.unwrap().iter().map(|row| json!({"row": row}).to_string()));
    lines
}

fn verify_with(mut verifier: Verifier, lines: &[String]) -> Result<Verified, Broken> {
    for line in lines {
        verifier.line(line)?;
    }
    verifier.end()
}

fn verify(lines: &[String], key: Option<String>) -> Result<Verified, Broken> {
    verify_with(Verifier::new(key), lines)
}

fn noted(made: &Checkpoint) -> String {
    format!("{}:{}", made.number, made.hash)
}

#[tokio::test]
async fn what_was_sealed_is_verified_and_a_change_is_found() {
    let key = AuditKey::new(&[7; 32]).unwrap();
    let (store, _) = trail(Head::in_memory()).await;
    let newest = store.last_checkpoint().await.unwrap().unwrap();
    let lines = export(&store).await;
    assert_eq!(lines.len(), 2 + 12 + 1);
    let whole = verify(&lines, Some(key.public())).unwrap();
    assert_eq!((whole.rows, whole.checkpoints, whole.begins, whole.unsealed), (9, 3, None, 1));
    assert_eq!(whole.newest.as_ref().unwrap().to_string(), noted(&newest));
    assert_eq!(verify(&lines, None), Ok(whole));
    // The key is line 0, the head 1; rows 2 to 4, checkpoint 5, rows 6 to 8, checkpoint 9, …
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        verify(&lines, None)
    };
    let within = |number, first, last| Err(Broken::Changed { number, first, last });
    assert_eq!(changed(&|lines| lines[7] = lines[7].replace("row 1.1", "row 1.9")), within(2, 4, 6));
    assert_eq!(changed(&|lines| lines[7] = lines[7].replace("\"ana\"", "\"bo\"")), within(2, 4, 6));
    assert!(matches!(changed(&|lines| drop(lines.remove(7))), Err(Broken::Rows { number: 2, found: 2, .. })));
    assert!(matches!(changed(&|lines| lines.swap(6, 7)), Err(Broken::Rows { number: 2, .. })));
    assert_eq!(changed(&|lines| drop(lines.drain(6..10))), Err(Broken::Gap { last: 1, found: 3 }));
    assert_eq!(changed(&|lines| drop(lines.drain(2..6))), Err(Broken::Beginning(2)));
    assert_eq!(changed(&|lines| lines.truncate(10)), Err(Broken::Missing(3)));
    assert_eq!(changed(&|lines| lines.truncate(12)), Err(Broken::Missing(3)));
    // Somebody who changes a row and hashes anew has no key.
    let again = changed(&|lines| {
        let other = AuditKey::new(&[8; 32]).unwrap();
        lines[0] = json!({"key": {"name": other.name(), "public": other.public()}}).to_string();
    });
    assert!(matches!(again, Err(Broken::Signature { number: 3, .. })), "{again:?}");
}

#[tokio::test]
async fn a_checkpoint_that_was_noted_elsewhere_must_be_there() {
    let (store, _) = trail(Head::in_memory()).await;
    let lines = export(&store).await;
    let check = |text: &str| verify_with(Verifier::new(None).holding(Some(text.parse().unwrap())), &lines).map(drop);
    let second = store.checkpoints_after(1, 1).await.unwrap().pop().unwrap();
    assert_eq!(check(&noted(&second)), Ok(()));
    assert_eq!(check(&noted(&Checkpoint { number: 1, ..second.clone() })), Err(Broken::Other(1)));
    assert_eq!(check(&noted(&Checkpoint { number: 4, ..second })), Err(Broken::Missing(4)));
    let bad = |text: &str| text.parse::<trackside::audit::verify::Noted>().unwrap_err();
    assert_eq!(bad("41"), "this is not NUMBER:HASH, as `audit verify` prints it");
    assert_eq!(bad("x:ab"), "`x` is not the number of a checkpoint");
    assert_eq!(bad("1:ab"), "`ab` is not a hash of 64 hexadecimal digits");
}

#[tokio::test]
async fn what_retention_leaves_can_be_verified() {
    let (store, sealer) = trail(Head::in_memory()).await;
    assert_eq!(store.expire_audit(at(2), at(20)).await.unwrap(), 6, "two checkpoints of three rows");
    let left = verify(&export(&store).await, None).unwrap();
    assert_eq!((left.rows, left.checkpoints, left.begins, left.unsealed), (3, 1, Some(3), 2));
    sealer.once(at(21)).await.unwrap().expect("something to seal");
    assert_eq!(store.expire_audit(at(21), at(30)).await.unwrap(), 3);
    let left = verify(&export(&store).await, None).unwrap();
    assert_eq!((left.rows, left.checkpoints, left.begins, left.unsealed), (2, 1, Some(4), 1));
    // Whoever deletes more than retention did is found.
    let mut lines = export(&store).await;
    lines.retain(|line| !line.contains("audit.expired"));
    assert!(verify(&lines, None).is_err());
    // A verification that begins there on purpose asks for no reason.
    let mut lines = export(&trail(Head::in_memory()).await.0).await;
    lines.drain(2..6);
    assert_eq!(verify_with(Verifier::new(None).from(Some(2)), &lines).unwrap().begins, Some(2));
}

#[tokio::test]
async fn a_database_that_is_older_than_its_head_is_told_once_and_sealing_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _) = trail(Head::kept(folder.path()).unwrap()).await;
    let kept = Head::kept(folder.path()).unwrap().newest().expect("the newest is remembered");
    assert_eq!(kept.number, 3);
    // Another database takes its place: nothing of what was sealed is there.
    let store = Store::memory().unwrap();
    let key = Arc::new(AuditKey::new(&[7; 32]).unwrap());
    let sealer = Sealer::new(store.clone(), key, Arc::new(Head::kept(folder.path()).unwrap()));
    record(&store, 30, "afterwards").await;
    let made = sealer.once(at(31)).await.unwrap().expect("something to seal");
    assert_eq!((made.number, made.rows), (1, 2));
    record(&store, 32, "and on").await;
    assert_eq!(sealer.once(at(33)).await.unwrap().expect("something to seal").rows, 1, "told once");
    let found = verify(&export(&store).await, None);
    assert!(
        matches!(&found, Err(Broken::Lost { position: 2, summary }) if summary.starts_with("checkpoint 3 was made")),
        "{found:?}"
    );
    assert_eq!(Head::kept(folder.path()).unwrap().newest().unwrap().number, 2);
    std::fs::write(folder.path().join(HEAD_FILE), "nonsense").unwrap();
    assert!(Head::kept(folder.path()).is_err());
}

#[tokio::test]
async fn a_head_that_a_crash_left_behind_is_no_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = trail(Head::kept(folder.path()).unwrap()).await;
    let earlier = store.checkpoints_after(1, 1).await.unwrap().pop().unwrap();
    std::fs::write(folder.path().join(HEAD_FILE), serde_json::to_vec(&earlier).unwrap()).unwrap();
    let key = Arc::new(AuditKey::new(&[7; 32]).unwrap());
    let sealer = Sealer::new(store.clone(), key, Arc::new(Head::kept(folder.path()).unwrap()));
    assert_eq!(sealer.once(at(40)).await.unwrap().expect("the row that was not sealed").number, 4);
    assert!(verify(&export(&store).await, None).is_ok());
}
