//! Browser sessions: found until they end, renewed, ended one by one and together.

use crate::support::{at, each};
use trackside_core::caller::Caller;
use trackside_store::Store;
use trackside_store::audit::AuditFilter;
use trackside_store::sessions::{SESSIONS_OF_ONE, SessionRecord, Whose};
use uuid::Uuid;

fn session(number: u8, subject: &str) -> SessionRecord {
    SessionRecord {
        hash: [number; 32],
        id: Uuid::from_bytes([number; 16]),
        subject: subject.to_owned(),
        issuer: Some("corporate".to_owned()),
        sub: Some(format!("{subject}-id")),
        sid: Some(format!("sid-{number}")),
        started: at(i64::from(number)),
        seen: at(i64::from(number)),
        ends: at(100),
        until: at(1_000),
        body: "{}".to_owned(),
    }
}

fn caller() -> Caller {
    Caller::new("tester", "session")
}

async fn begin(store: &Store, number: u8, subject: &str) {
    store.begin_session(&session(number, subject), None, format!("{subject} signed in"), &caller()).await.unwrap();
}

/// Numbers of the sessions that are not over at a second.
async fn live(store: &Store, whose: Whose<'_>, second: i64) -> Vec<u8> {
    let mut found: Vec<u8> =
        store.sessions(whose, at(second)).await.unwrap().iter().map(|session| session.hash[0]).collect();
    found.sort_unstable();
    found
}

#[test]
fn a_session_is_found_until_it_ends() {
    each(|store| async move {
        begin(&store, 1, "ana").await;
        assert_eq!(store.session(&[1; 32], at(99)).await.unwrap(), Some(session(1, "ana")));
        assert_eq!(store.session(&[1; 32], at(100)).await.unwrap(), None, "idle for too long");
        assert_eq!(store.session(&[2; 32], at(99)).await.unwrap(), None);
        store.touch_session(&[1; 32], at(50), at(150)).await.unwrap();
        let used = store.session(&[1; 32], at(149)).await.unwrap().expect("put off");
        assert_eq!((used.seen, used.ends), (at(50), at(150)));
        store.touch_session(&[1; 32], at(140), at(2_000)).await.unwrap();
        assert_eq!(store.session(&[1; 32], at(999)).await.unwrap().map(|session| session.ends), Some(at(1_000)));
        assert_eq!(store.session(&[1; 32], at(1_000)).await.unwrap(), None, "no use puts off the last end");
        store.touch_session(&[1; 32], at(1_001), at(1_100)).await.unwrap();
        assert_eq!(live(&store, Whose::All, 1_001).await, [] as [u8; 0], "what is over does not come back");
    });
}

#[test]
fn a_new_sign_in_ends_the_session_before_and_a_renewed_one_fades() {
    each(|store| async move {
        begin(&store, 1, "ana").await;
        let before = [1; 32];
        store.begin_session(&session(2, "ana"), Some(&before), "again".to_owned(), &caller()).await.unwrap();
        assert_eq!(live(&store, Whose::All, 10).await, [2]);
        store.renew_session(&session(3, "ana"), &[2; 32], at(20), &caller()).await.unwrap();
        assert_eq!(live(&store, Whose::All, 19).await, [2, 3]);
        assert_eq!(live(&store, Whose::All, 20).await, [3]);
    });
}

#[test]
fn sessions_end_by_who_and_by_what_the_provider_calls_them() {
    each(|store| async move {
        for (number, subject) in [(1, "ana"), (2, "ana"), (3, "bruno"), (4, "carla"), (5, "carla")] {
            begin(&store, number, subject).await;
        }
        let (corporate, other) = ("corporate", "other");
        assert_eq!(live(&store, Whose::Sub { issuer: other, sub: "ana-id" }, 9).await, [] as [u8; 0]);
        for (whose, ended, left) in [
            (Whose::Sid { issuer: other, sid: "sid-1" }, 0, vec![1, 2, 3, 4, 5]),
            (Whose::Sid { issuer: corporate, sid: "sid-1" }, 1, vec![2, 3, 4, 5]),
            (Whose::Sub { issuer: corporate, sub: "ana-id" }, 1, vec![3, 4, 5]),
            (Whose::One(Uuid::from_bytes([5; 16])), 1, vec![3, 4]),
        ] {
            assert_eq!(store.end_sessions(whose, "test", at(9), &caller()).await.unwrap(), ended, "{whose:?}");
            assert_eq!(live(&store, Whose::All, 9).await, left, "{whose:?}");
        }
        assert_eq!(store.end_sessions_of("carla", "removed", at(9), &caller()).await.unwrap(), 1);
        assert_eq!(store.end_sessions_of("bruno-id", "removed", at(9), &caller()).await.unwrap(), 1);
        let filter =
            AuditFilter { action_prefix: Some("session.ended".to_owned()), limit: 10, ..AuditFilter::default() };
        let rows = store.audit(&filter).await.unwrap().items;
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[0].summary, "Session of bruno ended: removed");
    });
}

#[test]
fn one_person_has_a_bounded_number() {
    each(|store| async move {
        for number in 0..=u8::try_from(SESSIONS_OF_ONE).unwrap() {
            begin(&store, number, "ana").await;
        }
        begin(&store, 60, "bruno").await;
        let left = live(&store, Whose::All, 60).await;
        assert_eq!(left.len(), SESSIONS_OF_ONE + 1);
        assert_eq!(left[0], 1, "the oldest went");
    });
}
