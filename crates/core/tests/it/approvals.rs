//! Stories of approvals: asked, spoken to, decided, expired, withdrawn; access that is given for a while and ends.

use crate::scenario::{Story, start};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use trackside_core::approval::grants::Grants;
use trackside_core::approval::request::{ApprovalAsk, ReplyTo, Says, Subject};
use trackside_core::caller::Caller;
use trackside_core::input::{Input, PersonEdit};

/// Routes `billing` (one of payments and one of platform; told to Slack and by mail) and `notes` (anybody, also
/// oneself, with a reason).
fn guarded() -> Story {
    with_rules(&json!({
        "billing": {"team": "payments", "approval": {
            "any_of": [{"all_of": [{"from": ["payments"]}, {"from": ["platform"]}]}],
            "expires": "1h", "grant": "30m", "notify": ["slack", "hook"]}},
        "notes": {"approval": {"rule": "anybody"}},
    }))
}

fn with_rules(routes: &Value) -> Story {
    Story::new(json!({
        "people": {"ana": {"zone": "UTC", "aliases": ["okta:1", "U1"]}, "bob": {"zone": "UTC"}},
        "approvals": {"anybody": {"any_of": [{"all_of": [{"from": ["approvers"]}]}], "own": "allowed",
            "justification": "required"}},
        "route_approvals": routes,
    }))
}

/// `bob for payments, platform says yes`; see the match for the other words. Groups with `=` are names found at the door.
fn say(story: &mut Story, line: &str) -> String {
    let (who, rest) = line.split_once(' ').unwrap();
    let (who, behalf) = who.split_once('~').map_or((who, None), |(who, behalf)| (who, Some(behalf)));
    let mut caller = Caller::new(who, "test");
    caller.behalf.extend(behalf.map(str::to_owned));
    let id = |number: &str| {
        let approvals = story.approvals();
        approvals[number.trim_start_matches('#').parse::<usize>().unwrap() - 1].id
    };
    let words: Vec<&str> = rest.split(' ').collect();
    let ask = match words.as_slice() {
        ["asks", route, why @ ..] => ApprovalAsk::Request {
            subject: Subject::Route { route: (*route).to_owned() },
            known_as: BTreeSet::new(),
            justification: Some(why.join(" ")).filter(|why| !why.is_empty()),
        },
        ["withdraws", number] => ApprovalAsk::Withdraw { approval: id(number), known_as: BTreeSet::new() },
        ["revokes", number] => ApprovalAsk::Revoke { grant: id(number) },
        [says @ ("approves" | "denies"), number, "for", groups @ ..] => ApprovalAsk::Say {
            approval: id(number),
            says: if *says == "approves" { Says::Approve } else { Says::Deny },
            speaks_for: groups.iter().filter(|name| !name.starts_with('=')).map(|name| (*name).to_owned()).collect(),
            known_as: groups.iter().filter_map(|name| name.strip_prefix('=')).map(str::to_owned).collect(),
            remark: None,
            barred: (who == "U404").then(|| "nobody knows who this is".to_owned()),
            reply: who.starts_with('U').then(|| ReplyTo { connection: "slack".to_owned(), to: who.to_owned() }),
        },
        other => panic!("not understood: {other:?}"),
    };
    story.input(Input::Approval { caller, ask });
    let why = story.why();
    why.split("=> ").nth(1).unwrap_or_default().to_owned()
}

/// Says each line and compares what followed.
#[track_caller]
fn check(story: &mut Story, lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        assert_eq!(say(story, line), *expected, "{line}");
    }
    story.check_replay();
}

fn state(story: &Story, number: usize) -> &'static str {
    story.approvals()[number - 1].state.as_str()
}

#[test]
fn two_groups_need_two_people_and_give_access_for_a_while() {
    let mut story = guarded();
    check(&mut story, &[("zoe asks billing figures of the month", "approval #1 is asked for")]);
    story.expect(
        "0 slack trigger: Approval #1: zoe wants to use route billing for 30m
         0 hook trigger: Approval #1: zoe wants to use route billing for 30m",
    );
    check(
        &mut story,
        &[
            ("bob approves #1 for payments platform", "approval #1 still needs 1 of platform"),
            (
                "bob approves #1 for payments platform",
                "refused: approval #1: you said yes already, at 2026-11-20T00:00:00Z",
            ),
            ("cy approves #1 for ml", "refused: approval #1: you are not asked; it needs 1 of platform"),
        ],
    );
    story.expect("0 slack update: Approval #1: zoe wants to use route billing for 30m");
    story.at(60);
    check(
        &mut story,
        &[(
            "ana approves #1 for payments",
            "zoe may use route billing until 2026-11-20T00:31:00Z; approval #1 is approved",
        )],
    );
    story.expect(
        "60 slack resolve: Approval #1: zoe wants to use route billing for 30m
         60 hook resolve: Approval #1: zoe wants to use route billing for 30m",
    );
    let grants = Grants::new(story.grants());
    let holds = |who: &str, route: &str, second: i64| {
        grants.holds(&Caller::new(who, "jwt"), route, start() + SignedDuration::from_secs(second)).is_some()
    };
    assert!(holds("zoe", "billing", 60) && holds("zoe", "billing", 1859));
    assert!(!holds("zoe", "billing", 59) && !holds("zoe", "billing", 1860));
    assert!(!holds("zoe", "notes", 60) && !holds("ana", "billing", 60));
    story.at(1859);
    assert_eq!(story.grants().len(), 1);
    story.at(1860).expect("");
    assert_eq!(story.grants(), []);
}

#[test]
fn nobody_decides_their_own_request_under_whatever_name() {
    let mut story = guarded();
    check(
        &mut story,
        &[
            ("okta:1 asks billing", "approval #1 is asked for"),
            (
                "U1 approves #1 for payments",
                "refused: approval #1: it is your own request; somebody else must decide it (you can take it back)",
            ),
            (
                "bot~ana approves #1 for payments",
                "refused: approval #1: it is your own request; somebody else must decide it (you can take it back)",
            ),
            (
                "sso:77 approves #1 for payments person:ana",
                "refused: approval #1: it is your own request; somebody else must decide it (you can take it back)",
            ),
            ("bob withdraws #1", "refused: approval #1 was asked by okta:1; only they can take it back"),
            ("ana withdraws #1", "approval #1 is withdrawn"),
            ("agent~zoe asks billing", "approval #2 is asked for"),
            (
                "zoe approves #2 for payments",
                "refused: approval #2: it is your own request; somebody else must decide it (you can take it back)",
            ),
            ("bob asks notes", "refused: access to route notes needs a justification"),
            ("bob asks notes to read them", "approval #3 is asked for"),
            (
                "bob approves #3 for approvers",
                "bob may use route notes until 2026-11-20T00:15:00Z; approval #3 is approved",
            ),
        ],
    );
}

#[test]
fn one_no_decides_and_what_was_decided_stays() {
    let mut story = guarded();
    check(
        &mut story,
        &[
            ("zoe asks billing", "approval #1 is asked for"),
            ("zoe asks billing again", "asked already, as approval #1"),
            ("bob approves #1 for payments", "approval #1 still needs 1 of platform"),
            ("bob denies #1 for payments", "approval #1 is denied"),
            (
                "ana approves #1 for platform",
                "refused: approval #1 is denied since 2026-11-20T00:00:00Z; it cannot be decided again",
            ),
            ("zoe asks nowhere", "refused: there is no route `nowhere` that needs an approval"),
            ("zoe asks billing once more", "approval #2 is asked for"),
            ("sec denies #2 for approvers", "approval #2 is denied"),
            ("zoe asks billing please", "approval #3 is asked for"),
            (
                "cy denies #3 for ml",
                "refused: approval #3: you are not asked; it needs 1 of payments and 1 of platform",
            ),
        ],
    );
    let last = story.approvals()[0].clone();
    assert_eq!(last.voices.len(), 1, "the no took the place of the yes");
    assert_eq!(last.note.as_deref(), Some("denied by bob"));
}

#[test]
fn what_is_said_at_the_last_instant_counts_and_a_moment_later_it_is_over() {
    let mut story = guarded();
    check(
        &mut story,
        &[("zoe asks billing", "approval #1 is asked for"), ("zoe asks notes why", "approval #2 is asked for")],
    );
    story.at(3600);
    check(&mut story, &[("bob approves #1 for payments", "approval #1 still needs 1 of platform")]);
    assert_eq!(state(&story, 2), "open");
    check(
        &mut story,
        &[(
            "cy approves #1 for platform",
            "zoe may use route billing until 2026-11-20T01:30:00Z; approval #1 is approved",
        )],
    );
    story.at(3601);
    assert_eq!((state(&story, 1), state(&story, 2)), ("approved", "expired"));
    story.check_replay();
}

#[test]
fn a_late_voice_is_refused_also_when_nothing_ran_meanwhile() {
    let mut story = guarded();
    check(&mut story, &[("zoe asks billing", "approval #1 is asked for")]);
    story.sleep_until(4000);
    check(
        &mut story,
        &[(
            "bob approves #1 for payments",
            "approval #1 is expired; refused: approval #1 is expired since 2026-11-20T01:06:40Z; it cannot be decided again",
        )],
    );
    let audit: Vec<String> = story
        .decisions
        .last()
        .unwrap()
        .audit
        .iter()
        .map(|row| format!("{} {}: {}", row.caller.subject, row.action, row.summary))
        .collect();
    assert_eq!(audit[0], "trackside approval.expired: #1 route billing: nobody decided by 2026-11-20T01:00:00Z");
    assert_eq!(audit.last().unwrap().split(':').next().unwrap(), "bob approval.refused");
}

#[test]
fn whoever_speaks_in_a_chat_is_told_there_that_it_did_not_count() {
    let mut story = guarded();
    check(&mut story, &[("zoe asks notes to read", "approval #1 is asked for")]);
    check(
        &mut story,
        &[
            ("U404 approves #1 for", "refused: approval #1: nobody knows who this is"),
            ("U1 approves #1 for payments", "refused: approval #1: you are not asked; it needs 1 of approvers"),
        ],
    );
    story.expect(
        "0 slack to U404 message: Your answer was not counted
         0 slack to U1 message: Your answer was not counted",
    );
}

#[test]
fn access_is_revoked_and_holds_for_the_same_behalf_only() {
    let mut story = guarded();
    check(
        &mut story,
        &[
            ("agent~zoe asks notes to read", "approval #1 is asked for"),
            (
                "bob approves #1 for approvers",
                "agent may use route notes until 2026-11-20T00:15:00Z; approval #1 is approved",
            ),
        ],
    );
    let grants = Grants::new(story.grants());
    let mut caller = Caller::new("agent", "jwt");
    assert!(grants.holds(&caller, "notes", start()).is_none());
    caller.behalf.push("zoe".to_owned());
    assert!(grants.holds(&caller, "notes", start()).is_some());
    story.at(60);
    check(&mut story, &[("bob revokes #1", "access of agent to route notes revoked by bob")]);
    assert_eq!(story.grants(), []);
    let again = format!("refused: there is no grant {} that holds", story.approvals()[0].id);
    check(&mut story, &[("bob revokes #1", &again)]);
    story.at(3600).expect("");
}

#[test]
fn the_rule_is_the_one_of_the_moment_of_asking() {
    let mut story = guarded();
    check(&mut story, &[("zoe asks billing", "approval #1 is asked for")]);
    story.change_rules(|rules| rules["route_approvals"]["billing"]["approval"] = json!({"rule": "anybody"}));
    check(
        &mut story,
        &[
            (
                "cy approves #1 for approvers",
                "refused: approval #1: you are not asked; it needs 1 of payments and 1 of platform",
            ),
            ("ana asks billing for a look", "approval #2 is asked for"),
            (
                "cy approves #2 for approvers",
                "ana may use route billing until 2026-11-20T00:15:00Z; approval #2 is approved",
            ),
        ],
    );
}

/// The door finds people behind names that count for nothing, so that they cannot agree with themselves.
#[test]
fn names_that_give_nothing_still_take_away() {
    let mut story = guarded();
    check(
        &mut story,
        &[
            ("ana asks billing", "approval #1 is asked for"),
            (
                "corp:77 approves #1 for payments =person:ana",
                "refused: approval #1: it is your own request; somebody else must decide it (you can take it back)",
            ),
            ("bob approves #1 for payments", "approval #1 still needs 1 of platform"),
            (
                "corp:88 approves #1 for platform =person:bob",
                "refused: approval #1: you said yes already, at 2026-11-20T00:00:00Z",
            ),
        ],
    );
}

#[test]
fn whoever_has_left_has_no_word() {
    let mut story = guarded();
    check(&mut story, &[("zoe asks billing", "approval #1 is asked for")]);
    let edits = vec![PersonEdit::Gone { person: "ana".into(), because: "not active in the directory".into() }];
    story.input(Input::People { caller: Caller::new("scim", "scim"), edits });
    check(
        &mut story,
        &[
            ("U1 approves #1 for payments", "refused: ana has left, so this does not count"),
            ("U1 denies #1 for payments", "refused: ana has left, so this does not count"),
            ("bob approves #1 for payments", "approval #1 still needs 1 of platform"),
        ],
    );
}
