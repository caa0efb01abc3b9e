//! What may be heard once: with its entries or not at all, until it expires.

use crate::support::{at, each, entry};
use trackside_store::heard::{KEY_BYTES, Once};
use trackside_store::{Error, Store};

async fn hear(store: &Store, kind: &str, key: &str, number: u64, seconds: i64) -> Option<u64> {
    let once = Once { kind, key, expires: at(seconds + 100) };
    let appended = store.append_once(once, vec![entry(number)], at(seconds)).await.unwrap();
    appended.map(|appended| appended[0].seq)
}

#[test]
fn a_key_counts_until_it_expires() {
    each(|store| async move {
        assert_eq!(hear(&store, "webhook/pd", "a", 1, 0).await, Some(1));
        assert_eq!(hear(&store, "webhook/pd", "a", 2, 1).await, None, "heard before");
        assert_eq!(hear(&store, "webhook/other", "a", 3, 1).await, Some(2), "of another sort");
        assert_eq!(hear(&store, "webhook/pd", "b", 4, 1).await, Some(3));
        assert_eq!(hear(&store, "webhook/pd", "a", 5, 99).await, None);
        assert_eq!(hear(&store, "webhook/pd", "a", 6, 100).await, Some(4), "expired");
        assert_eq!(hear(&store, "webhook/pd", "a", 7, 199).await, None, "heard again in between");
        assert_eq!(store.entries_after(0, 100).await.unwrap().len(), 4, "what was heard before left nothing");
    });
}

#[test]
fn it_is_not_heard_when_nothing_was_stored() {
    each(|store| async move {
        let check = async |key: &str, entries: usize| {
            let entries = (0..entries).map(|number| entry(number as u64)).collect();
            store.append_once(Once { kind: "link", key, expires: at(10) }, entries, at(0)).await
        };
        let long = "k".repeat(KEY_BYTES + 1);
        assert!(matches!(check(&long, 0).await, Err(Error::Invalid { .. })));
        assert!(matches!(check("", 0).await, Err(Error::Invalid { .. })));
        assert!(matches!(check("k", 1_001).await, Err(Error::Invalid { .. })));
        assert_eq!(check("k", 0).await.unwrap(), Some(Vec::new()), "without entries it is remembered only");
        assert_eq!(check("k", 1).await.unwrap(), None);
        assert_eq!(*store.head().borrow(), 0);
    });
}

#[test]
fn of_two_at_once_one_is_first() {
    each(|store| async move {
        let calls = (0..20).map(|number| hear(&store, "webhook/pd", "same", number, 0));
        let mut calls: Vec<_> = calls.map(Box::pin).collect();
        let mut first = Vec::new();
        for call in &mut calls {
            first.extend(call.await);
        }
        assert_eq!(first.len(), 1);
    });
}
