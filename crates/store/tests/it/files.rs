//! Opening files: one server at a time, readers beside it, foreign and newer databases.

use crate::support::{entry, event, run};
use std::path::{Path, PathBuf};
use trackside_core::decision::{Change, Decision};
use trackside_core::run::RunState;
use trackside_store::log::NewEntry;
use trackside_store::{Access, Error, Options, Store, Threading};

const SERVE: Options = Options { access: Access::Serve, threading: Threading::Threads };
const READ: Options = Options { access: Access::ReadOnly, threading: Threading::Threads };

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn one_process_serves_and_others_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trackside.sqlite");
    assert!(matches!(Store::open(&path, READ), Err(Error::Open { .. })), "nothing to read yet");
    let store = Store::open(&path, SERVE).unwrap();
    let second = Store::open(&path, SERVE).unwrap_err();
    assert_eq!(second, Error::InUse { path: path.clone() });
    assert!(second.to_string().contains("in use by another Trackside process"));
    block_on(async {
        store.append(vec![entry(1)]).await.unwrap();
        let reader = Store::open(&path, READ).unwrap();
        assert_eq!(reader.entries_after(0, 10).await.unwrap().len(), 1);
        assert_eq!(*reader.head().borrow(), 1);
        assert_eq!(reader.append(vec![entry(2)]).await, Err(Error::ReadOnly));
    });
    drop(store);
    assert!(!log_file(&path).exists(), "closing empties the write-ahead log");
    let store = Store::open(&path, SERVE).unwrap();
    assert_eq!(*store.head().borrow(), 1, "what was stored is there again");
}

fn log_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[test]
fn the_write_ahead_log_stays_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trackside.sqlite");
    let store = Store::open(&path, Options { access: Access::Serve, threading: Threading::Inline }).unwrap();
    block_on(async {
        for number in 0..48 {
            let mut big = event("airflow", "big", number, 0);
            big.payload = "x".repeat(1024 * 1024).into();
            store.append(vec![NewEntry::event(&big).unwrap()]).await.unwrap();
        }
    });
    let metrics = store.metrics();
    assert_eq!((metrics.checkpoint.count(), metrics.checkpoints_failed.get()), (3, 0), "one for each 16 MiB");
    let length = log_file(&path).metadata().unwrap().len();
    assert!(length < 20 * 1024 * 1024, "{length} bytes");
}

fn check_open(prepare: impl Fn(&rusqlite::Connection), options: Options, expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trackside.sqlite");
    drop(Store::open(&path, SERVE).unwrap());
    prepare(&rusqlite::Connection::open(&path).unwrap());
    let error = Store::open(&path, options).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn a_database_that_does_not_fit_is_refused() {
    let set = |name: &'static str, value: i64| {
        move |connection: &rusqlite::Connection| connection.pragma_update(None, name, value).unwrap()
    };
    check_open(set("application_id", 1), SERVE, "a database of another program");
    check_open(set("application_id", 0), SERVE, "a database of another program");
    check_open(set("user_version", 999), SERVE, "use a newer Trackside");
    check_open(set("user_version", 999), READ, "use a newer Trackside");
    check_open(set("user_version", 0), READ, "start the server once to migrate it");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trackside.sqlite");
    std::fs::write(&path, "this is not a database, whatever its name says").unwrap();
    let error = Store::open(&path, SERVE).unwrap_err().to_string();
    assert!(error.contains("not a database"), "{error}");
    let missing = Store::open(Path::new("/nonexistent/folder/trackside.sqlite"), SERVE).unwrap_err();
    assert!(missing.to_string().contains("lock file"), "{missing}");
}

#[test]
fn a_failing_batch_fails_alone_in_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("trackside.sqlite"), SERVE).unwrap();
    block_on(async {
        let stale = Decision {
            cursor: 1,
            changes: vec![Change::Run(run("orders", "r1", RunState::Running))],
            ..Decision::default()
        };
        for round in 0..50u64 {
            let good = |number: u64| store.append(vec![entry(round * 10 + number)]);
            let bad = || store.commit(&stale, 77);
            let (a, x, b, y, c) = tokio::join!(good(0), bad(), good(1), bad(), good(2));
            let seqs = [a, b, c].map(|appended| appended.unwrap()[0].seq);
            assert_eq!(seqs, [round * 3 + 1, round * 3 + 2, round * 3 + 3], "no gap where a batch failed");
            assert!(x.is_err() && y.is_err());
        }
        assert!(store.load().await.unwrap().runs.is_empty());
        let metrics = store.metrics();
        assert_eq!((metrics.batches.get(), metrics.batches_failed.get(), metrics.queued.get()), (150, 100, 0));
        assert!(metrics.commit.count() < 250, "batches share commits: {}", metrics.commit.count());
    });
}

#[test]
fn an_answer_that_nobody_waits_for_is_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trackside.sqlite");
    let store = Store::open(&path, SERVE).unwrap();
    block_on(async {
        let mut waiting = Box::pin(store.append(vec![entry(1)]));
        // Queued by the first poll, then given up.
        std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context).is_ready())).await;
        drop(waiting);
        store.append(vec![entry(2)]).await.unwrap();
    });
    drop(store);
    let store = Store::open(&path, SERVE).unwrap();
    assert_eq!(*store.head().borrow(), 2);
}
