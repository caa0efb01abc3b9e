//! Questions for agreement and grants: kept with the decision, loaded while they matter, listed, deleted when old.

use crate::support::{at, changes, each};
use std::collections::BTreeSet;
use trackside_core::approval::request::{Approval, ApprovalState, Grant, Subject};
use trackside_core::approval::rule::ApprovalRule;
use trackside_core::caller::Caller;
use trackside_core::decision::Change;
use trackside_store::approvals::{ApprovalFilter, GrantFilter, GrantStanding};
use trackside_store::retention::Retention;
use uuid::Uuid;

fn approval(number: u64, who: &str, state: ApprovalState) -> Approval {
    Approval {
        id: Uuid::from_u128(u128::from(number)),
        number,
        subject: Subject::Route { route: "billing".to_owned() },
        team: None,
        rule: ApprovalRule::default(),
        requester: Caller::new(who, "test"),
        known_as: BTreeSet::from([who.to_owned()]),
        justification: Some("figures of the month".to_owned()),
        created: at(0),
        expires: at(3600),
        voices: Vec::new(),
        state,
        decided: (state != ApprovalState::Open).then(|| at(60)),
        note: None,
    }
}

fn grant(number: u128, who: &str) -> Grant {
    let approvers = vec!["bob".to_owned()];
    let (subject, route) = (who.to_owned(), "billing".to_owned());
    Grant { id: Uuid::from_u128(number), subject, behalf: Vec::new(), route, from: at(60), until: at(960), approvers }
}

#[test]
fn questions_are_kept_listed_and_deleted_when_old() {
    each(async |store| {
        let put = |approval: &Approval| Change::Approval(Box::new(approval.clone()));
        let [one, two] = [("ana", 1), ("bob", 2)].map(|(who, number)| approval(number, who, ApprovalState::Open));
        let over = approval(1, "ana", ApprovalState::Denied);
        store.commit(&changes(1, vec![put(&one), put(&two)]), 0).await.unwrap();
        assert_eq!(store.open_approvals().await.unwrap(), [one, two.clone()]);
        store.commit(&changes(2, vec![put(&over)]), 1).await.unwrap();
        assert_eq!(store.load().await.unwrap().approvals, std::slice::from_ref(&two));
        assert_eq!(store.approval(over.id).await.unwrap(), Some(over.clone()));
        let listed = async |filter: ApprovalFilter| {
            let page = store.approvals(&ApprovalFilter { limit: 10, ..filter }).await.unwrap();
            page.items.into_iter().map(|row| row.approval.number).collect::<Vec<_>>()
        };
        let states = |state| Some(BTreeSet::from([state]));
        assert_eq!(listed(ApprovalFilter::default()).await, [2, 1]);
        assert_eq!(
            listed(ApprovalFilter { states: states(ApprovalState::Denied), ..ApprovalFilter::default() }).await,
            [1]
        );
        assert_eq!(
            listed(ApprovalFilter { requester: Some("bob".to_owned()), ..ApprovalFilter::default() }).await,
            [2]
        );
        let about = Some("route billing".to_owned());
        assert_eq!(listed(ApprovalFilter { about, before: Some(2), ..ApprovalFilter::default() }).await, [1]);
        let old = Retention { audit: Some(at(7200)), ..Retention::default() };
        assert_eq!(store.purge(&old).await.unwrap().approvals, 1);
        assert_eq!(listed(ApprovalFilter::default()).await, [2], "what is open stays");
    });
}

#[test]
fn grants_are_kept_with_the_time_they_ended() {
    each(async |store| {
        let (one, two) = (grant(1, "ana"), grant(2, "bob"));
        let put = vec![Change::Grant(one.clone()), Change::Grant(two.clone())];
        store.commit(&changes(1, put), 0).await.unwrap();
        assert_eq!(store.load().await.unwrap().grants, [one.clone(), two.clone()]);
        store.commit(&changes(2, vec![Change::GrantGone { id: one.id, at: at(120) }]), 1).await.unwrap();
        assert_eq!(store.load().await.unwrap().grants, std::slice::from_ref(&two));
        assert_eq!(store.grant(one.id).await.unwrap().unwrap().ended, Some(at(120)));
        let listed = async |standing| {
            let filter = GrantFilter { standing, limit: 10, ..GrantFilter::default() };
            let page = store.grants(&filter).await.unwrap();
            page.items.into_iter().map(|row| row.grant.subject).collect::<Vec<_>>()
        };
        assert_eq!(listed(Some(GrantStanding::Active)).await, ["bob"]);
        assert_eq!(listed(Some(GrantStanding::Ended)).await, ["ana"]);
        assert_eq!(listed(None).await, ["bob", "ana"]);
        let old = Retention { audit: Some(at(7200)), ..Retention::default() };
        assert_eq!(store.purge(&old).await.unwrap().approvals, 1);
        assert_eq!(listed(None).await, ["bob"]);
    });
}
