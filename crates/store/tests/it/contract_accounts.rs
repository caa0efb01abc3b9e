//! Tokens and their audit rows.

use crate::support::{at, caller, each};
use trackside_store::accounts::{NewToken, Rotation};
use trackside_store::audit::{AuditFilter, NewAudit};
use trackside_store::{Error, Page};
use uuid::Uuid;

fn token(number: u8, name: &str) -> NewToken {
    NewToken {
        id: Uuid::from_u128(number.into()),
        name: name.to_owned(),
        hash: [number; 32],
        role: "ingest".to_owned(),
        scopes: std::collections::BTreeSet::from(["jobs.run".to_owned()]),
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
fn a_rotated_token_keeps_its_name_and_for_a_while_its_secret() {
    each(|store| async move {
        store.create_token(&token(1, "airflow"), at(0), &caller()).await.unwrap();
        let rotate = async |hash: u8, until: i64, now: i64| {
            let to = Rotation { hash: [hash; 32], expires: Some(at(500)), former_until: at(until) };
            store.rotate_token(Uuid::from_u128(1), &to, at(now), &caller()).await
        };
        rotate(2, 60, 10).await.unwrap();
        let found = store.tokens().await.unwrap().remove(0);
        assert_eq!((found.hash, found.former, found.rotated), ([2; 32], Some(([1; 32], at(60))), Some(at(10))));
        assert_eq!((found.expires, found.scopes.into_iter().collect()), (Some(at(500)), vec!["jobs.run".to_owned()]));
        rotate(3, 90, 20).await.unwrap();
        let found = store.tokens().await.unwrap().remove(0);
        assert_eq!(found.former, Some(([2; 32], at(90))), "what was before the former counts no more");
        store.revoke_token(found.id, at(30), &caller()).await.unwrap();
        assert!(matches!(rotate(4, 90, 40).await, Err(Error::Conflict { .. })));
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
