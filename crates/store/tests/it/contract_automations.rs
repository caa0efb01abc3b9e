//! Automations: they change with the decision, are listed, keep their history, and come back at start.

use crate::support::{at, automation, automation_id, caller, changes, each, entry, event, put};
use std::collections::BTreeSet;
use trackside_core::automation::definition::{Automation, Origin};
use trackside_core::automation::edit::{AutomationEdit, Cell, SenderClock};
use trackside_core::automation::set::{Automations, SEEN};
use trackside_core::caller::Caller;
use trackside_core::decision::{Change, Decision};
use trackside_core::ids::{EventId, derive};
use trackside_core::input::Input;
use trackside_store::automations::{AutomationFilter, AutomationSort, HISTORY_ROWS, HistoryKind};
use trackside_store::log::NewEntry;
use trackside_store::retention::{Purged, Retention};
use trackside_store::{Error, Store};

fn gone(number: u128, seconds: i64) -> Change {
    let by = Caller::new("bo", "token");
    Change::AutomationGone { id: automation_id(number), by, at: at(seconds) }
}

fn cell(owner: Option<u128>, key: &str, body: Option<&str>) -> Cell {
    Cell { automation: owner.map(automation_id), key: key.to_owned(), body: body.map(str::to_owned) }
}

fn tagged(number: u128, name: &str, tags: &[&str]) -> Automation {
    let mut automation = automation(number, name);
    automation.spec.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    automation
}

#[test]
fn an_automation_changes_with_its_decision_and_keeps_its_history() {
    each(|store| async move {
        let first = tagged(1, "first", &["a", "b", "a"]);
        let mut second = Automation { version: 2, updated: at(5), ..first.clone() };
        second.spec.tags = vec!["b".to_owned()];
        let changed = vec![put(&first), Change::AutomationCell(cell(Some(1), "k", Some("1")))];
        store.commit(&changes(1, changed), 0).await.unwrap();
        assert_eq!(store.automation(first.id).await.unwrap(), Some(first.clone()));
        store.commit(&changes(2, vec![put(&second)]), 1).await.unwrap();
        assert_eq!(store.automation(first.id).await.unwrap(), Some(second.clone()));
        let with_a = AutomationFilter { any_tags: Some(["a".to_owned()].into()), ..AutomationFilter::default() };
        assert_eq!(store.count_automations(&with_a).await.unwrap(), 0, "tags are replaced");

        store.commit(&changes(3, vec![gone(1, 9)]), 2).await.unwrap();
        assert_eq!(store.automation(first.id).await.unwrap(), None);
        assert_eq!(store.load().await.unwrap().automations.cells, [], "state goes with it");
        let page = store.automation_history(first.id, None, 2).await.unwrap();
        let rows: Vec<_> = page.items.iter().map(|row| (row.kind, row.version, row.at, &row.automation)).collect();
        assert_eq!(
            rows,
            [(HistoryKind::Delete, 2, at(9), &second), (HistoryKind::Edit, 2, at(5), &second)],
            "newest first, with what was removed"
        );
        let who: Vec<_> = page.items.iter().map(|row| row.caller.subject.as_str()).collect();
        assert_eq!(who, ["bo", "ana"]);
        let rest = store.automation_history(first.id, page.next, 2).await.unwrap();
        assert_eq!((rest.items.len(), &rest.items[0].automation, rest.next), (1, &first, None));
        store.commit(&changes(4, vec![gone(1, 10)]), 3).await.unwrap();
        assert_eq!(store.automation_history(first.id, None, 9).await.unwrap().items.len(), 3, "gone once");
    });
}

#[test]
fn every_edit_leaves_a_mark() {
    each(|store| async move {
        let none = store.automations_mark().await.unwrap();
        let mut marks = vec![none];
        for (seq, change) in [(1, put(&automation(1, "a"))), (2, put(&automation(1, "a"))), (3, gone(1, 9))] {
            store.commit(&changes(seq, vec![change]), seq - 1).await.unwrap();
            let mark = store.automations_mark().await.unwrap();
            assert_eq!(store.automations_mark().await.unwrap(), mark);
            assert!(!marks.contains(&mark), "{mark:?}");
            marks.push(mark);
        }
    });
}

#[test]
fn history_has_a_bound_and_ends_after_the_automation() {
    each(|store| async move {
        let versions = u32::try_from(HISTORY_ROWS).unwrap() + 3;
        let version = |version| put(&Automation { version, ..automation(1, "often") });
        let mut edits = vec![put(&automation(2, "other"))];
        edits.extend((1..=versions).map(version));
        store.commit(&changes(1, edits), 0).await.unwrap();
        let kept = store.automation_history(automation_id(1), None, HISTORY_ROWS).await.unwrap();
        assert_eq!((kept.items.len(), kept.items[0].version), (HISTORY_ROWS, versions));
        assert_eq!(kept.items[HISTORY_ROWS - 1].version, 4, "the oldest gave way");
        assert_eq!(store.automation_history(automation_id(2), None, 9).await.unwrap().items.len(), 1);

        store.commit(&changes(2, vec![gone(1, 10), put(&automation(1, "again"))]), 1).await.unwrap();
        let purge = async |until| store.purge(&Retention { audit: Some(at(until)), ..Retention::default() }).await;
        assert_eq!(purge(10).await.unwrap(), Purged::default(), "removed at 10, not before");
        let purged = purge(11).await.unwrap();
        assert_eq!((purged.history, purged.may_have_more()), (HISTORY_ROWS as u64 - 1, false));
        let rest = store.automation_history(automation_id(1), None, 9).await.unwrap().items;
        assert_eq!(rest.len(), 1, "what was made after the removal stays");
        assert_eq!(rest[0].automation.spec.name, "again");
        assert_eq!(store.automation_history(automation_id(2), None, 9).await.unwrap().items.len(), 1);
    });
}

async fn fill(store: &Store) {
    let mut paused = tagged(2, "Beta", &["x", "y"]);
    paused.spec.enabled = false;
    paused.updated = at(100);
    let mut files = tagged(3, "alpha 100%", &["x"]);
    files.origin = Origin::Files;
    let mut owned = automation(4, "gamma");
    owned.spec.owner_resource = Some("prefect.deployment.1".to_owned());
    let twin = automation(5, "gamma");
    let all = [tagged(1, "alpha", &["y", "z"]), paused, files, owned, twin];
    store.commit(&changes(1, all.iter().map(put).collect()), 0).await.unwrap();
}

fn set(texts: &[&str]) -> Option<BTreeSet<String>> {
    Some(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn automations_are_listed_by_filter_order_and_page() {
    each(|store| async move {
        fill(&store).await;
        let list = async |filter: &AutomationFilter, sort, offset, limit| {
            let found = store.automations(filter, sort, offset, limit).await.unwrap();
            found.iter().map(|automation| automation.id.0.as_u128()).collect::<Vec<_>>()
        };
        let all = AutomationFilter::default;
        for (sort, expect) in [
            (AutomationSort::NameAsc, [2, 1, 3, 4, 5]),
            (AutomationSort::NameDesc, [5, 4, 3, 1, 2]),
            (AutomationSort::CreatedDesc, [5, 4, 3, 2, 1]),
            (AutomationSort::UpdatedDesc, [2, 5, 4, 3, 1]),
        ] {
            assert_eq!(list(&all(), sort, 0, 9).await, expect, "{sort:?}");
            assert_eq!(list(&all(), sort, 1, 2).await, expect[1..3], "{sort:?}, a page");
            assert_eq!(list(&all(), sort, 5, 2).await, [0; 0], "{sort:?}, after the end");
        }
        let check = async |filter: AutomationFilter, expect: &[u128]| {
            assert_eq!(list(&filter, AutomationSort::CreatedDesc, 0, 9).await, expect, "{filter:?}");
            assert_eq!(store.count_automations(&filter).await.unwrap(), expect.len() as u64, "{filter:?}");
        };
        let ids = |numbers: &[u128]| Some(numbers.iter().map(|number| automation_id(*number)).collect());
        check(AutomationFilter { ids: ids(&[1, 5, 9]), ..all() }, &[5, 1]).await;
        check(AutomationFilter { ids: ids(&[]), ..all() }, &[]).await;
        check(AutomationFilter { names: set(&["gamma", "Beta", "BETA"]), ..all() }, &[5, 4, 2]).await;
        check(AutomationFilter { text: Some("LPHA".to_owned()), ..all() }, &[3, 1]).await;
        check(AutomationFilter { text: Some("0%".to_owned()), ..all() }, &[3]).await;
        check(AutomationFilter { all_tags: set(&["y"]), ..all() }, &[2, 1]).await;
        check(AutomationFilter { all_tags: set(&["x", "y"]), ..all() }, &[2]).await;
        check(AutomationFilter { all_tags: set(&[]), ..all() }, &[5, 4, 3, 2, 1]).await;
        check(AutomationFilter { any_tags: set(&["x", "z"]), ..all() }, &[3, 2, 1]).await;
        check(AutomationFilter { any_tags: set(&[]), ..all() }, &[]).await;
        check(AutomationFilter { tagged: Some(false), ..all() }, &[5, 4]).await;
        check(AutomationFilter { tagged: Some(true), text: Some("a".to_owned()), ..all() }, &[3, 2, 1]).await;
        check(AutomationFilter { enabled: Some(false), ..all() }, &[2]).await;
        check(AutomationFilter { origin: Some(Origin::Files), ..all() }, &[3]).await;
        check(AutomationFilter { owner_resource: Some("prefect.deployment.1".to_owned()), ..all() }, &[4]).await;
        check(AutomationFilter { created_until: Some(at(2)), enabled: Some(true), ..all() }, &[1]).await;
        let long = AutomationFilter { ids: Some((0..501).map(automation_id).collect()), ..all() };
        assert!(matches!(store.count_automations(&long).await, Err(Error::Invalid { .. })));
    });
}

#[test]
fn state_comes_back_as_it_was() {
    each(|store| async move {
        let clock = SenderClock { occurred: "2026-11-20T12:00:00.123456789Z".parse().unwrap(), at: at(1) };
        let cells = [
            cell(None, "shared", Some("1")),
            cell(Some(2), "b", Some("[2]")),
            cell(Some(1), "b", Some("3")),
            cell(Some(1), "a", Some("{\"é\":4}")),
        ];
        let mut first = vec![put(&automation(2, "two")), put(&automation(1, "one"))];
        first.extend(cells.iter().cloned().map(Change::AutomationCell));
        let first = Decision { sender_clock: Some(clock), ..changes(1, first) };
        store.commit(&first, 0).await.unwrap();
        let loaded = store.load().await.unwrap().automations;
        assert_eq!(loaded.automations, [automation(1, "one"), automation(2, "two")]);
        let [shared, two, one_b, one_a] = cells;
        assert_eq!(loaded.cells, [shared.clone(), one_a, one_b.clone(), two]);
        assert_eq!(loaded.sender_clock, Some(clock), "to the nanosecond");

        let edited = [cell(None, "shared", None), cell(None, "never", None), cell(Some(1), "a", Some("5")), {
            cell(Some(2), "b", None)
        }];
        let second = changes(2, edited.into_iter().map(Change::AutomationCell).collect());
        store.commit(&second, 1).await.unwrap();
        let loaded = store.load().await.unwrap().automations;
        assert_eq!(loaded.cells, [cell(Some(1), "a", Some("5")), one_b]);
        assert_eq!(loaded.sender_clock, Some(clock), "a decision without one leaves it");
        let later = SenderClock { occurred: at(7), at: at(8) };
        store.commit(&Decision { cursor: 3, sender_clock: Some(later), ..Decision::default() }, 2).await.unwrap();
        assert_eq!(store.load().await.unwrap().automations.sender_clock, Some(later), "stored with the cursor alone");
    });
}

fn id(number: u64) -> EventId {
    EventId(derive("test", &[&number.to_string()]))
}

#[test]
fn the_newest_decided_events_are_known_as_seen() {
    each(|store| async move {
        let seen = async |cursor, expected| {
            store.commit(&Decision { cursor, ..Decision::default() }, expected).await.unwrap();
            store.load().await.unwrap().automations.seen
        };
        assert_eq!(seen(0, 0).await, []);
        let arrivals = [(1, 0), (2, 100), (3, 50), (4, 1_900), (5, 3_000)];
        let entries = arrivals.map(|(number, at)| NewEntry::event(&event("airflow", "x", number, at)).unwrap());
        store.append(entries.into()).await.unwrap();
        let tick = Input::Tick { due: at(3_000), noticed: None };
        store.append(vec![NewEntry::input(at(3_000), &tick, derive("test", &["tick"])).unwrap()]).await.unwrap();
        assert_eq!(seen(4, 0).await, [(id(2), at(100)), (id(4), at(1_900))], "half an hour before the newest decided");
        assert_eq!(seen(6, 4).await, [(id(4), at(1_900)), (id(5), at(3_000))], "without what is no event");
    });
}

#[test]
fn no_more_events_are_known_as_seen_than_are_remembered() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Store::memory().unwrap();
        let count = SEEN as u64 + 10;
        for first in (0..count).step_by(1_000) {
            let some = (first..count.min(first + 1_000)).map(entry);
            store.append(some.collect()).await.unwrap();
        }
        store.commit(&Decision { cursor: count, ..Decision::default() }, 0).await.unwrap();
        let seen = store.load().await.unwrap().automations.seen;
        assert_eq!((seen.len(), seen[0].0, seen[SEEN - 1].0), (SEEN, id(10), id(count - 1)));
    });
}

#[test]
fn an_event_that_waits_for_its_leader_comes_back_with_its_body() {
    each(|store| async move {
        let mut follower = event("airflow", "airflow.task.failed", 2, 0);
        follower.follows = Some(id(1));
        store.append(vec![entry(9), NewEntry::event(&follower).unwrap()]).await.unwrap();
        let mut set = Automations::default();
        set.put(automation(1, "one"), at(0));
        assert_eq!(set.on_event(&follower, 2, at(0)), []);
        let cells = set.take_cells().into_iter().map(Change::AutomationCell).collect();
        store.commit(&changes(2, cells), 0).await.unwrap();
        let parked = store.load().await.unwrap().automations.parked;
        assert_eq!(parked, [(2, follower)]);
    });
}

#[test]
fn edits_are_inputs_that_read_back() {
    each(|store| async move {
        let edits = vec![
            AutomationEdit::Put(Box::new(automation(1, "one"))),
            AutomationEdit::Pause { id: automation_id(1) },
            AutomationEdit::Delete { id: automation_id(2) },
        ];
        let input = Input::Automations { caller: caller(), edits };
        store.append(vec![NewEntry::input(at(1), &input, derive("test", &["edit"])).unwrap()]).await.unwrap();
        assert_eq!(store.entry(1).await.unwrap().unwrap().input, input);
        assert_eq!(store.tail(0, 9).await.unwrap(), [], "an edit is no event");
    });
}
