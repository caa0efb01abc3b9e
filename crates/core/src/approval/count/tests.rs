//! Counting by tables, and that the order of voices does not matter.

use super::*;
use crate::approval::request::{ApprovalState, Subject};
use crate::caller::Caller;
use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

/// `dba*2+sec | ceo`: two of dba and one of sec, or one of ceo; `dba/ops` is one of either.
fn rule(text: &str) -> ApprovalRule {
    let voice = |text: &str| {
        let (from, count) = text.split_once('*').map_or((text, None), |(from, count)| (from, Some(count)));
        Voice {
            from: from.split('/').map(|name| name.trim().to_owned()).collect(),
            count: count.map(|count| count.trim().parse().unwrap()),
        }
    };
    let any_of =
        text.split('|').map(|part| Quorum { all_of: part.split('+').map(|text| voice(text.trim())).collect() });
    ApprovalRule { any_of: any_of.collect(), ..ApprovalRule::default() }
}

/// `ana:dba,sec`: what ana speaks for; a `!` before the name says no.
fn voice(text: &str) -> VoiceHeard {
    let (name, groups) = text.split_once(':').unwrap();
    let (says, name) = name.strip_prefix('!').map_or((Says::Approve, name), |name| (Says::Deny, name));
    VoiceHeard {
        caller: Caller::new(name, "test"),
        speaks_for: groups.split(',').map(str::to_owned).collect(),
        known_as: BTreeSet::from([name.to_owned()]),
        says,
        at: Timestamp::UNIX_EPOCH,
        remark: None,
    }
}

fn approval(rule: ApprovalRule, voices: Vec<VoiceHeard>) -> Approval {
    Approval {
        id: Uuid::nil(),
        number: 1,
        subject: Subject::Route { route: "billing".to_owned() },
        team: None,
        rule,
        requester: Caller::new("zoe", "test"),
        known_as: BTreeSet::from(["zoe".to_owned()]),
        justification: None,
        created: Timestamp::UNIX_EPOCH,
        expires: Timestamp::MAX,
        voices,
        state: ApprovalState::Open,
        decided: None,
        note: None,
    }
}

#[track_caller]
fn check(of: &str, voices: &str, missing: &str) {
    let approval = approval(rule(of), voices.split_whitespace().map(voice).collect());
    assert_eq!(approval.missing(), missing, "{of} with {voices}");
    assert_eq!(approval.is_agreed(), missing == "nobody", "{of} with {voices}");
}

#[test]
fn one_person_takes_one_seat() {
    check("dba", "", "1 of dba");
    check("dba", "ana:dba", "nobody");
    check("dba", "ana:sec", "1 of dba");
    check("dba", "!ana:dba", "1 of dba");
    check("dba*2", "ana:dba", "1 of dba");
    check("dba*2", "ana:dba bob:dba", "nobody");
    check("dba + sec", "ana:dba,sec", "1 of sec");
    check("dba + sec", "ana:dba,sec bob:dba", "nobody");
    check("dba + sec", "bob:dba ana:dba,sec", "nobody");
    check("dba + sec", "ana:dba bob:dba", "1 of sec");
    check("dba/ops*2 + sec", "ana:dba,sec bob:ops,sec", "1 of sec");
    check("dba/ops*2 + sec", "ana:dba,sec bob:ops,sec cy:ops", "nobody");
    // Everybody has to move once: a to 1, b to 2, c to 3 and then d takes 1.
    check("a + a/b + b/c + c/d", "p:a,b q:b,c r:c,d s:a", "nobody");
    check("dba*2 + sec | ceo", "ana:dba bob:ceo", "nobody");
    check("dba*2 + sec | ceo*2", "ana:dba bob:ceo", "1 of ceo");
    check("person:ana", "ana:person:ana", "nobody");
    check("group:dba", "", "1 of dba");
}

/// Whether there is an assignment, by trying all.
fn brute(seats: &[Voice], people: &[VoiceHeard], used: &mut Vec<bool>) -> bool {
    let Some((seat, rest)) = seats.split_first() else { return true };
    (0..people.len()).any(|person| {
        if used[person] || seat.from.is_disjoint(&people[person].speaks_for) {
            return false;
        }
        used[person] = true;
        let found = brute(rest, people, used);
        used[person] = false;
        found
    })
}

fn groups() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set("[abcd]", 1..4)
}

proptest! {
    #[test]
    fn the_order_of_voices_does_not_matter_and_all_assignments_are_found(
        seats in prop::collection::vec((groups(), 1_u32..3), 1..4),
        people in prop::collection::vec(groups(), 0..6),
        order in any::<prop::sample::Index>(),
    ) {
        let all_of: Vec<Voice> = seats.into_iter().map(|(from, count)| Voice { from, count: Some(count) }).collect();
        let single: Vec<Voice> =
            all_of.iter().flat_map(|voice| std::iter::repeat_n(voice.clone(), voice.needed())).collect();
        let rule = ApprovalRule { any_of: vec![Quorum { all_of }], ..ApprovalRule::default() };
        let mut voices: Vec<VoiceHeard> = people
            .into_iter()
            .enumerate()
            .map(|(person, speaks_for)| VoiceHeard { speaks_for, ..voice(&format!("p{person}:x")) })
            .collect();
        let expected = brute(&single, &voices, &mut vec![false; voices.len()]);
        prop_assert_eq!(approval(rule.clone(), voices.clone()).is_agreed(), expected);
        if !voices.is_empty() {
            let middle = order.index(voices.len());
            voices.rotate_left(middle);
            prop_assert_eq!(approval(rule.clone(), voices.clone()).is_agreed(), expected);
            voices.reverse();
            prop_assert_eq!(approval(rule, voices).is_agreed(), expected);
        }
    }
}
