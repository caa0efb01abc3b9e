//! A process that is killed loses nothing it has acknowledged.
//!
//! The test starts itself again as a child that appends from many tasks and prints each position once it is
//! acknowledged; the parent kills it in the middle with SIGKILL and looks into the database.

use crate::contract_pages::page;
use crate::support::{at, entry, event};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use trackside_core::decision::Decision;
use trackside_core::ids::{EventId, derive};
use trackside_store::heard::Once;
use trackside_store::log::{Appended, Arrival, NewEntry};
use trackside_store::{Options, Store};

const CHILD: &str = "TRACKSIDE_STORE_CRASH_CHILD";
const TASKS: u64 = 16;

/// Not a test of its own: the child.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let store = Store::open(&path, Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let begin = *store.head().borrow();
        let tasks = (0..TASKS).map(|task| append_for_ever(&store, begin * 1_000 + task));
        let decider = decide_for_ever(&store);
        let mut futures: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = vec![Box::pin(decider)];
        futures.extend(tasks.map(|task| Box::pin(task) as _));
        std::future::poll_fn(|context| {
            for future in &mut futures {
                assert!(future.as_mut().poll(context).is_pending(), "it goes on until it is killed");
            }
            std::task::Poll::<()>::Pending
        })
        .await;
    });
}

async fn append_for_ever(store: &Store, first: u64) {
    for number in (first..).step_by(TASKS as usize) {
        let appended = match number % 3 {
            0 => store.append(vec![entry(number), twin(number)]).await.unwrap(),
            1 => store.append(vec![entry(number)]).await.unwrap(),
            _ => hear(store, number).await.unwrap(),
        };
        println!("ack {number} {}", appended[0].seq);
    }
}

fn twin(number: u64) -> NewEntry {
    NewEntry::event(&event("twin", "twin", number, 0)).unwrap()
}

/// The entry of a number, when the number is heard for the first time.
async fn hear(store: &Store, number: u64) -> Option<Vec<Appended>> {
    let once = Once { kind: "webhook", key: &number.to_string(), expires: at(1) };
    store.append_once(once, vec![entry(number)], at(0)).await.unwrap()
}

async fn decide_for_ever(store: &Store) {
    let mut head = store.head();
    let mut cursor = store.cursor().await.unwrap();
    loop {
        head.wait_for(|head| *head > cursor).await.unwrap();
        let next = store.entries_after(cursor, 100).await.unwrap().last().unwrap().seq;
        let pages = vec![page(next, 0, 1, 0, None)];
        store.commit(&Decision { cursor: next, pages, ..Decision::default() }, cursor).await.unwrap();
        println!("cursor {next}");
        cursor = next;
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trackside.sqlite");
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    let mut cursor = 0;
    for round in 0..5 {
        let mut child = start(&path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 200 + 150 * round;
        while let Some(Ok(line)) = lines.next() {
            // The test harness writes on the same line.
            let words: Vec<&str> = line.rsplit("... ").next().unwrap().split(' ').collect();
            match words.as_slice() {
                ["ack", number, seq] => {
                    acknowledged.insert(number.parse().unwrap(), seq.parse().unwrap());
                    left -= 1;
                }
                ["cursor", seq] => cursor = seq.parse().unwrap(),
                _ => {}
            }
            if left == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(left <= 0, "the child ended by itself");
        check(&path, &acknowledged, cursor);
    }
}

fn check(path: &Path, acknowledged: &BTreeMap<u64, u64>, cursor: u64) {
    let store = Store::open(path, Options::default()).unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let (mut after, mut count) = (0, 0);
        loop {
            let entries = store.entries_after(after, 1_000).await.unwrap();
            let Some(last) = entries.last() else { break };
            after = last.seq;
            count += entries.len() as u64;
        }
        assert_eq!(count, after, "positions have no gaps");
        let decided = store.cursor().await.unwrap();
        assert!(decided >= cursor, "a decision that was acknowledged is there");
        let pages = store.pages_between(at(0), at(1), usize::MAX).await.unwrap();
        assert_eq!(pages.last().map_or(0, |page| page.seq), decided, "with all that belongs to it");
        for (number, seq) in acknowledged {
            let found = store.event(EventId(derive("test", &[&number.to_string()]))).await.unwrap();
            assert_eq!(found.map(|event| event.seq), Some(*seq), "event {number}");
            if number % 3 == 0 {
                let again = store.append(vec![twin(*number)]).await.unwrap();
                assert_eq!(again[0].arrival, Arrival::Duplicate, "a batch is there whole");
            }
            if number % 3 == 2 {
                assert_eq!(hear(&store, *number).await, None, "what was heard is not heard again");
            }
        }
    });
}
