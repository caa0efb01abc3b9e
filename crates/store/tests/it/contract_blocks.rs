//! Block documents and their audit rows.

use crate::support::{at, caller, each};
use serde_json::json;
use trackside_store::Error;
use trackside_store::audit::AuditFilter;
use trackside_store::blocks::{Block, BlockFilter, NewBlock};
use uuid::Uuid;

fn block(number: u128, block_type: &str, name: &str) -> NewBlock {
    NewBlock {
        id: Uuid::from_u128(number),
        block_type: block_type.to_owned(),
        name: name.to_owned(),
        checksum: "sha256:1".to_owned(),
        anonymous: name.starts_with("anonymous-"),
        data: json!({"url": "sealed:v1:abc", "notify_type": "info"}),
    }
}

#[test]
fn a_block_is_made_changed_and_removed_with_a_trail() {
    each(|store| async move {
        let made = store.create_block(block(1, "slack-webhook", "alerts"), at(1), &caller()).await.unwrap();
        assert_eq!(store.block(made.id).await.unwrap(), Some(made.clone()));
        assert_eq!(store.block_named("slack-webhook", "alerts").await.unwrap(), Some(made.clone()));
        assert_eq!(store.block_named("slack-webhook", "Alerts").await.unwrap(), None);
        let taken = store.create_block(block(2, "slack-webhook", "alerts"), at(2), &caller()).await;
        assert!(matches!(taken, Err(Error::Conflict { .. })), "{taken:?}");
        store.create_block(block(2, "webhook", "alerts"), at(2), &caller()).await.unwrap();

        let edited = Block { data: json!({"url": "sealed:v1:def"}), ..made.clone() };
        let edited = store.update_block(edited, at(1), &caller()).await.unwrap();
        assert!(edited.updated > made.updated, "two versions never have the same time");
        assert_eq!(store.block(made.id).await.unwrap(), Some(edited.clone()));
        let stale = store.update_block(made, at(9), &caller()).await;
        assert!(matches!(stale, Err(Error::Conflict { .. })), "read before the other's change");
        let renamed = Block { name: "alerts".to_owned(), block_type: "webhook".to_owned(), ..edited.clone() };
        assert_eq!(store.update_block(renamed, at(9), &caller()).await.unwrap().name, "alerts");
        let kept = store.block(edited.id).await.unwrap().unwrap();
        assert_eq!(kept.block_type, "slack-webhook", "the type never changes");

        store.delete_block(&kept, at(10), &caller()).await.unwrap();
        assert!(matches!(store.delete_block(&kept, at(11), &caller()).await, Err(Error::Conflict { .. })));
        let filter = AuditFilter { action_prefix: Some("block.".to_owned()), limit: 9, ..AuditFilter::default() };
        let trail = store.audit(&filter).await.unwrap().items;
        let trail: Vec<_> =
            trail.iter().map(|row| (row.action.as_str(), row.at, row.caller.subject.as_str())).collect();
        let expect = [
            ("block.deleted", at(10), "ana"),
            ("block.changed", at(9), "ana"),
            ("block.changed", at(1), "ana"),
            ("block.created", at(2), "ana"),
            ("block.created", at(1), "ana"),
        ];
        assert_eq!(trail, expect, "a refused change leaves no row");
    });
}

#[test]
fn blocks_are_listed_by_filter_and_page() {
    each(|store| async move {
        for (number, block_type, name) in
            [(1, "slack-webhook", "b"), (2, "webhook", "a"), (3, "webhook", "b"), (4, "webhook", "anonymous-1")]
        {
            store.create_block(block(number, block_type, name), at(1), &caller()).await.unwrap();
        }
        let check = async |filter: BlockFilter, expect: &[u128]| {
            let found = store.blocks(&filter, 0, 9).await.unwrap();
            let found: Vec<_> = found.iter().map(|block| block.id.as_u128()).collect();
            assert_eq!(found, expect, "{filter:?}");
            assert_eq!(store.count_blocks(&filter).await.unwrap(), expect.len() as u64, "{filter:?}");
        };
        let all = BlockFilter::default;
        check(all(), &[2, 4, 1, 3]).await;
        check(BlockFilter { types: Some(["webhook".to_owned()].into()), ..all() }, &[2, 4, 3]).await;
        check(BlockFilter { types: Some([].into()), ..all() }, &[]).await;
        check(BlockFilter { names: Some(["b".to_owned()].into()), ..all() }, &[1, 3]).await;
        check(BlockFilter { ids: Some([Uuid::from_u128(3), Uuid::from_u128(8)].into()), ..all() }, &[3]).await;
        check(BlockFilter { anonymous: Some(false), text: Some("B".to_owned()), ..all() }, &[1, 3]).await;
        check(BlockFilter { anonymous: Some(true), ..all() }, &[4]).await;
        let page = store.blocks(&all(), 1, 2).await.unwrap();
        assert_eq!(page.iter().map(|block| block.id.as_u128()).collect::<Vec<_>>(), [4, 1]);
    });
}
