//! Tokens and their audit rows.

use crate::support::{at, caller, each};
use trackside_store::accounts::NewToken;
use trackside_store::audit::{AuditFilter, NewAudit};
use trackside_store::{Error, Page};
use uuid::Uuid;

fn token(number: u8, name: &str) -> NewToken {
    NewToken {
        id: Uuid::from_u128(number.into()),
        name: name.to_owned(),
        hash: [number; 32],
        role: "ingest".to_owned(),
        team: Some("payments".to_owned()),
        expires: Some(at(100)),
    }
}

#[test]
fn tokens_are_made_used_and_revoked_with_a_trail() {
    each(|store| async move {
        store.create_token(&token(1, "airflow"), at(0), &caller()).await.unwrap();
        let again = store.create_token(&token(2, "airflow"), at(0), &caller()).await;
        assert!(matches!(again, Err(Error::Conflict { .. })), "a name is taken while its token works");
        store.touch_tokens(&[(Uuid::from_u128(1), at(9)), (Uuid::from_u128(7), at(9))]).await.unwrap();
        store.touch_tokens(&[(Uuid::from_u128(1), at(8))]).await.unwrap();
        let found = store.token_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.last_used, found.created_by.as_str()), ("airflow", Some(at(9)), "ana"));
        assert!(found.is_valid(at(99)) && !found.is_valid(at(100)));
        assert_eq!(store.token_by_hash(&[9; 32]).await.unwrap(), None);

        store.revoke_token(found.id, at(10), &caller()).await.unwrap();
        assert!(matches!(store.revoke_token(found.id, at(11), &caller()).await, Err(Error::Conflict { .. })));
        store.create_token(&token(3, "airflow"), at(12), &caller()).await.unwrap();
        let tokens = store.tokens().await.unwrap();
        let listed: Vec<_> = tokens.iter().map(|token| (token.hash[0], token.revoked)).collect();
        assert_eq!(listed, [(3, None), (1, Some(at(10)))]);

        let filter = AuditFilter { action_prefix: Some("token.".to_owned()), limit: 2, ..AuditFilter::default() };
        let Page { items, next } = store.audit(&filter).await.unwrap();
        let actions: Vec<_> = items.iter().map(|row| (row.action.as_str(), row.caller.subject.as_str())).collect();
        assert_eq!(actions, [("token.created", "ana"), ("token.revoked", "ana")]);
        let rest = store.audit(&AuditFilter { before: next, ..filter }).await.unwrap();
        assert_eq!((rest.items.len(), rest.next), (1, None), "a refused change leaves no row");
    });
}

#[test]
fn a_row_without_a_change_can_be_written() {
    each(|store| async move {
        let row = NewAudit::new(at(1), caller(), "session.begun", "signed in");
        store.record(&row).await.unwrap();
        store.record(&row).await.unwrap();
        let filter = AuditFilter { subject: Some("ana".to_owned()), limit: 9, ..AuditFilter::default() };
        let rows = store.audit(&filter).await.unwrap().items;
        assert_eq!((rows.len(), rows[0].decided, rows[0].summary.as_str()), (2, None, "signed in"));
    });
}
