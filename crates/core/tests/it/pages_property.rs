//! Whatever happens in whatever order, with restarts and sleep in between: escalations keep their promises.

use crate::scenario::Story;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use trackside_core::decision::{Change, Decision, PageRecord};
use trackside_core::effect::Action;
use trackside_core::ids::IncidentId;
use trackside_core::incident::{IncidentState, Told};
use trackside_core::input::Command;
use trackside_core::ruleset::Span;

/// Steps of the policy.
const STEPS: u32 = 4;

/// Something that happens some seconds after the last thing.
#[derive(Clone, Debug)]
enum What {
    Failed(u8),
    Succeeded(u8),
    Acknowledge,
    Unacknowledge,
    Snooze(u16),
    Escalate,
    Resolve,
    /// Nothing runs for a while.
    Sleep,
    /// Something at the instant at which something is due.
    AtTheDueInstant(Box<What>),
}

fn what() -> impl Strategy<Value = What> {
    let plain = prop_oneof![
        4 => (0u8..3).prop_map(What::Failed),
        2 => (0u8..3).prop_map(What::Succeeded),
        2 => Just(What::Acknowledge),
        1 => Just(What::Unacknowledge),
        1 => (0u16..2000).prop_map(What::Snooze),
        1 => Just(What::Escalate),
        1 => Just(What::Resolve),
        1 => Just(What::Sleep),
    ];
    plain.prop_flat_map(|what| prop_oneof![3 => Just(what.clone()), 1 => Just(What::AtTheDueInstant(Box::new(what)))])
}

fn rules() -> serde_json::Value {
    json!({
        "rules": [{"name": "failed", "severity": "warning", "when": {"failed": {"on": "run", "critical_after": 3}}}],
        "teams": {
            "payments": {"aliases": ["pay"], "notify": [{"via": "slack"}, {"via": "pd", "min_severity": "critical"}],
                "escalation": "page"},
            "platform": {"notify": [{"via": "hook"}]}
        },
        "people": {"ana": {"contacts": [{"via": "slack", "to": "U1"}, {"via": "pd", "after": "2m"}]}},
        "schedules": {"gap": {"layers": [{"name": "later", "rotation": {"tz": "UTC", "start": "2027-01-01T00:00:00",
            "unit": "week", "participants": ["ana"]}}]}},
        "escalations": {"page": {"steps": [
            {"after": "1m", "targets": ["person:ana"]},
            {"after": "5m", "targets": ["oncall:gap"]},
            {"after": "5m", "targets": ["channel:hook"]},
            {"after": "10m", "targets": ["channel:pd", "person:ana"]}
        ], "repeat": {"times": 1, "every": "5m"}, "ack_timeout": "20m"}},
        "maintenance": [{"name": "night", "matchers": ["pipeline=p2"],
            "when": {"tz": "UTC", "start": "2026-11-20T00:20:00", "duration_s": 1800}}],
        "incidents": {"flap_window": "5m"}
    })
}

fn happen(story: &mut Story, at: &mut i64, wait: i64, what: &What, number: usize) {
    *at += wait;
    match what {
        What::AtTheDueInstant(what) => {
            let due = story.state.next_due().map(|due| due.duration_since(crate::scenario::start()).as_secs());
            if let Some(due) = due.filter(|due| *due >= *at - wait) {
                *at = due;
            }
            // The clock shows the instant, and nothing that is due at it was decided.
            story.at(*at - 1).sleep_until(*at);
            act(story, what, number);
        }
        What::Sleep => {
            *at += 900;
            story.restart_at(*at);
        }
        what => {
            story.at(*at);
            act(story, what, number);
        }
    }
}

fn act(story: &mut Story, what: &What, number: usize) {
    let open = story.state.open_incidents().map(|incident| incident.number).max();
    let command: fn(IncidentId) -> Command = match what {
        What::Failed(pipeline) => {
            story.run(&format!("p{pipeline}/r{number} failed"));
            return;
        }
        What::Succeeded(pipeline) => {
            story.run(&format!("p{pipeline}/r{number} succeeded"));
            return;
        }
        What::Snooze(seconds) => {
            let length = Span(jiff::SignedDuration::from_secs(i64::from(*seconds)));
            if let Some(open) = open {
                story.ask(open, move |incident| Command::Snooze { incident, length });
            }
            return;
        }
        What::Acknowledge => |incident| Command::Acknowledge { incident },
        What::Unacknowledge => |incident| Command::Unacknowledge { incident },
        What::Escalate => |incident| Command::Escalate { incident },
        What::Resolve => |incident| Command::Resolve { incident },
        What::Sleep | What::AtTheDueInstant(_) => return,
    };
    if let Some(open) = open {
        story.ask(open, command);
    }
}

/// What begins an escalation anew.
const BEGINNINGS: [&str; 6] = [
    "escalation.begun",
    "incident.retriggered",
    "incident.unacknowledged",
    "incident.released",
    "incident.reopened",
    "incident.snoozed",
];

/// Every step once and in order between two beginnings.
#[allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]
fn check_order(decisions: &[Decision]) {
    let mut next = BTreeMap::<IncidentId, (u32, u32)>::new();
    for decision in decisions {
        let begun = decision.audit.iter().filter(|row| BEGINNINGS.contains(&row.action.as_str()));
        for incident in begun.filter_map(|row| row.incident) {
            next.insert(incident, (0, 0));
        }
        for page in decision.pages.iter().filter(|page| is_step(page)) {
            let next = next.get_mut(&page.incident).expect("a page belongs to an escalation that has begun");
            // The targets of one step come one after the other.
            let again = (page.cycle, page.step + 1) == *next || (page.cycle + 1, 0) == *next && page.step + 1 == STEPS;
            assert!(again || (page.cycle, page.step) == *next, "{page:?} came when {next:?} was next");
            *next = if page.step + 1 == STEPS { (page.cycle + 1, 0) } else { (page.cycle, page.step + 1) };
        }
    }
}

fn is_step(page: &PageRecord) -> bool {
    !page.note.starts_with("further contact")
}

/// Nobody is paged about what somebody has, what is put off, held back or over; and not before it is due.
fn check_quiet(decision: &Decision) {
    for page in &decision.pages {
        assert!(page.due <= page.at, "{page:?} came too early");
        let after = decision.changes.iter().find_map(|change| match change {
            Change::Incident(incident) if incident.id == page.incident => Some(incident),
            _ => None,
        });
        // A contact that was told before changes nothing.
        let Some(incident) = after else {
            continue;
        };
        assert_eq!(incident.state, IncidentState::Triggered, "{page:?}");
        assert!(incident.suppressed_by.is_empty(), "{page:?}");
    }
}

/// Whoever was told of a problem is told of its end, once, and nobody else is.
#[allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]
fn check_ends(decisions: &[Decision]) {
    let mut told = BTreeMap::<IncidentId, Vec<Told>>::new();
    for effect in decisions.iter().flat_map(|decision| &decision.effects) {
        let Some(incident) = effect.incident else {
            continue;
        };
        let address = Told { via: effect.connection.as_str().into(), to: effect.to.as_deref().map(Into::into) };
        let told = told.entry(incident).or_default();
        match effect.action {
            Action::Trigger => {
                assert!(!told.contains(&address), "{address} was told twice of {}", effect.notice.title);
                told.push(address);
            }
            Action::Resolve => {
                let place = told.iter().position(|known| *known == address);
                told.remove(place.expect("only whoever was told of the problem is told of its end"));
            }
            _ => assert!(told.contains(&address), "{address} hears of a change before the problem"),
        }
    }
    assert!(told.values().all(Vec::is_empty), "the end is told to everybody: {told:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn escalations_keep_their_promises(happenings in prop::collection::vec((0i64..700, what()), 1..25)) {
        let mut story = Story::new(rules());
        let mut at = 0;
        for (number, (wait, what)) in happenings.iter().enumerate() {
            happen(&mut story, &mut at, *wait, what, number);
        }
        story.at(at + 10_000);
        let numbers: Vec<u64> = story.state.open_incidents().map(|incident| incident.number).collect();
        for number in numbers {
            story.ask(number, |incident| Command::Resolve { incident });
        }
        story.decisions.iter().for_each(check_quiet);
        check_order(&story.decisions);
        check_ends(&story.decisions);
        story.check_replay();
    }
}
