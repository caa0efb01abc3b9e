//! People and groups of another system, what is read of teams, and who has left.

use crate::support::{at, caller, changes, each, entry};
use serde_json::json;
use std::collections::BTreeSet;
use trackside_core::decision::Change;
use trackside_core::duty::absence::Absence;
use trackside_store::Error;
use trackside_store::audit::AuditFilter;
use trackside_store::directory::{Entry, EntryFilter, EntryKind, Keep, MemberEdit, NewEntry};
use trackside_store::imports::Drift;
use uuid::Uuid;

fn new(number: u128, kind: EntryKind, name: &str) -> NewEntry {
    NewEntry {
        id: Uuid::from_u128(number),
        kind,
        name: name.to_owned(),
        external_id: Some(format!("x{number}")),
        active: true,
        body: json!({"userName": name}),
    }
}

#[test]
fn a_user_is_made_changed_and_deleted_with_a_trail() {
    each(|store| async move {
        let made = store.directory_create(new(1, EntryKind::User, "Ana"), &[], at(1), &caller()).await.unwrap();
        assert_eq!(store.directory_entry(EntryKind::User, made.id).await.unwrap(), Some(made.clone()));
        assert_eq!(store.directory_entry(EntryKind::Group, made.id).await.unwrap(), None);
        let taken = store.directory_create(new(2, EntryKind::User, "ANA"), &[], at(2), &caller()).await;
        assert!(matches!(taken, Err(Error::Conflict { .. })), "{taken:?}");
        let none = MemberEdit::default();
        let wished = Entry { active: false, ..made.clone() };
        let edited = store.directory_update(wished, &none, at(3), &caller()).await.unwrap();
        assert_eq!((edited.version, edited.active, edited.changed), (2, false, at(3)));
        let stale = store.directory_update(made, &none, at(4), &caller()).await;
        assert!(matches!(stale, Err(Error::Conflict { .. })), "read before the other's change");

        store.directory_remove(&edited, at(5), &caller()).await.unwrap();
        assert_eq!(store.directory_entry(EntryKind::User, edited.id).await.unwrap(), None);
        let (people, _) = store.directory_people().await.unwrap();
        assert_eq!(people.iter().map(|entry| entry.gone).collect::<Vec<_>>(), [Some(at(5))], "known as gone");
        store.directory_create(new(3, EntryKind::User, "ana"), &[], at(6), &caller()).await.unwrap();
        assert_eq!(store.directory_people().await.unwrap().0.len(), 1, "the name is in use again");

        let filter = AuditFilter { action_prefix: Some("user.".to_owned()), limit: 9, ..AuditFilter::default() };
        let trail = store.audit(&filter).await.unwrap().items;
        let trail: Vec<_> = trail.iter().map(|row| row.action.as_str()).collect();
        assert_eq!(trail, ["user.created", "user.deleted", "user.changed", "user.created"]);
    });
}

#[test]
fn members_join_and_leave() {
    each(|store| async move {
        for number in 1..=3 {
            let user = new(number, EntryKind::User, &format!("user{number}"));
            store.directory_create(user, &[], at(1), &caller()).await.unwrap();
        }
        let id = Uuid::from_u128;
        let (new, members) = (new(9, EntryKind::Group, "Data"), [id(1), id(2)]);
        let group = store.directory_create(new, &members, at(2), &caller()).await.unwrap();
        let members = async || {
            let found = store.directory_members(id(9)).await.unwrap();
            found.into_iter().map(|one| one.member_name).collect::<Vec<_>>()
        };
        assert_eq!(members().await, ["user1", "user2"]);
        let edit = MemberEdit { keep: Keep::All, remove: vec![id(1)], add: vec![id(2), id(3)] };
        let group = store.directory_update(group, &edit, at(3), &caller()).await.unwrap();
        assert_eq!(members().await, ["user2", "user3"]);
        let found = store.directory_groups_of(id(3)).await.unwrap();
        assert_eq!(found.iter().map(|one| one.group_name.as_str()).collect::<Vec<_>>(), ["Data"]);
        let filter = EntryFilter { member: Some(id(3)), ..EntryFilter::all(EntryKind::Group) };
        assert_eq!(store.directory_count(&filter).await.unwrap(), 1);
        let known = store.directory_known(&[id(3), id(9), id(8)].into()).await.unwrap();
        assert_eq!(known, BTreeSet::from([id(3)]), "a group and a stranger are no users");
        let user = store.directory_entry(EntryKind::User, id(3)).await.unwrap().unwrap();
        store.directory_remove(&user, at(4), &caller()).await.unwrap();
        let edit = MemberEdit { keep: Keep::None, remove: Vec::new(), add: vec![id(1)] };
        assert_eq!(members().await, ["user2"]);
        store.directory_update(group, &edit, at(5), &caller()).await.unwrap();
        assert_eq!(members().await, ["user1"]);
    });
}

#[test]
fn entries_are_listed_by_filter_and_page() {
    each(|store| async move {
        for number in 1..=3 {
            let user = new(number, EntryKind::User, &format!("User{number}"));
            store.directory_create(user, &[], at(1), &caller()).await.unwrap();
        }
        let all = || EntryFilter::all(EntryKind::User);
        let check = async |filter: EntryFilter, offset: u64, expect: &[u128]| {
            let found = store.directory_list(&filter, offset, 2).await.unwrap();
            assert_eq!(found.iter().map(|entry| entry.id.as_u128()).collect::<Vec<_>>(), expect, "{filter:?}");
        };
        check(all(), 0, &[1, 2]).await;
        check(all(), 2, &[3]).await;
        check(EntryFilter { name: Some("USER2".to_owned()), ..all() }, 0, &[2]).await;
        check(EntryFilter { external_id: Some("x3".to_owned()), ..all() }, 0, &[3]).await;
        check(EntryFilter { external_id: Some("X3".to_owned()), ..all() }, 0, &[]).await;
        check(EntryFilter::all(EntryKind::Group), 0, &[]).await;
    });
}

#[test]
fn who_has_left_is_loaded() {
    each(|store| async move {
        let absence = |person: &str| Absence { person: person.to_owned(), since: at(1), because: "left".to_owned() };
        store.append(vec![entry(1), entry(2)]).await.unwrap();
        let gone = vec![Change::Absence(absence("ana")), Change::Absence(absence("ben"))];
        store.commit(&changes(1, gone), 0).await.unwrap();
        store.commit(&changes(2, vec![Change::AbsenceOver("ben".to_owned())]), 1).await.unwrap();
        assert_eq!(store.load().await.unwrap().absences, [absence("ana")]);
        assert_eq!(store.absences().await.unwrap(), [absence("ana")]);
    });
}

#[test]
fn what_was_read_stays_when_it_cannot_be_read() {
    each(|store| async move {
        let drift = |key: &str, second: i64| Drift {
            connection: "pd".to_owned(),
            key: key.to_owned(),
            since: at(second),
            body: json!({"summary": key}),
        };
        store.import_failed("pd", at(1), "no answer").await.unwrap();
        assert_eq!(store.imports().await.unwrap()[0].taken, None);
        let found = [drift("a", 2), drift("b", 2)];
        store.put_import("pd", at(2), &json!({"teams": []}), &found, &[]).await.unwrap();
        assert_eq!(store.drift().await.unwrap(), found);
        store.import_failed("pd", at(3), "429").await.unwrap();
        let kept = store.imports().await.unwrap().remove(0);
        assert_eq!((kept.taken, kept.tried, kept.failed.as_deref()), (Some(at(2)), at(3), Some("429")));
        assert_eq!(kept.body, Some(json!({"teams": []})));
        store.put_import("pd", at(4), &json!({}), &[drift("b", 2)], &[]).await.unwrap();
        assert_eq!(store.drift().await.unwrap(), [drift("b", 2)]);
        store.drop_import("pd").await.unwrap();
        assert!(store.imports().await.unwrap().is_empty() && store.drift().await.unwrap().is_empty());
    });
}
