//! What holds for automations with Prefect's semantics whatever comes in. What Prefect was recorded to do is in
//! `testdata/automations`, which `xtask` runs.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, AutomationId, Origin, Semantics, Trigger};
use trackside_core::automation::edit::Cell;
use trackside_core::automation::firing::Firing;
use trackside_core::automation::matching;
use trackside_core::automation::request::{Dialect, parse};
use trackside_core::automation::set::{self, Automations, Loaded};
use trackside_core::event::{Event, Labels, RESOURCE_ID, RESOURCE_ROLE};
use trackside_core::ids::{EventId, derive};
use uuid::Uuid;

const NAMES: [&str; 4] = ["a", "b", "job.x", "job.y"];
const RESOURCES: [&str; 3] = ["job.1", "job.2", "job.3"];

fn start() -> Timestamp {
    "2026-01-05T09:00:00Z".parse().unwrap()
}

fn second(seconds: f64) -> Timestamp {
    start() + SignedDuration::from_secs_f64(seconds)
}

fn automation(number: usize, trigger: &Value) -> Automation {
    let body = json!({"name": format!("automation {number}"), "trigger": trigger, "actions": [{"type": "do-nothing"}]});
    Automation {
        id: AutomationId(Uuid::from_u128(number as u128 + 1)),
        spec: parse(&body, Dialect::Prefect).unwrap(),
        semantics: Semantics::Prefect,
        origin: Origin::Api,
        created: start(),
        updated: start(),
        version: 1,
    }
}

/// A set with what a store would keep of it.
#[derive(Default)]
struct Desk {
    set: Automations,
    cells: BTreeMap<(Option<AutomationId>, String), Cell>,
    log: Vec<(Timestamp, Event)>,
    fired: Vec<Firing>,
}

impl Desk {
    fn new(triggers: &[Value]) -> Self {
        let mut desk = Self::default();
        for (number, trigger) in triggers.iter().enumerate() {
            desk.set.put(automation(number, trigger), start());
        }
        desk
    }

    /// Decides what is due until then, each at its moment.
    fn wait(&mut self, until: Timestamp) {
        while let Some(due) = self.set.next_due().filter(|due| *due <= until) {
            let fired = self.set.on_due(due, None);
            assert_ne!(self.set.next_due(), Some(due), "what was due is decided");
            self.fired.extend(fired);
        }
    }

    fn event(&mut self, event: &Event, now: Timestamp) {
        self.log.push((now, event.clone()));
        let fired = self.set.on_event(event, self.log.len() as u64, now);
        self.fired.extend(fired);
    }

    fn store(&mut self) {
        for cell in self.set.take_cells() {
            let key = (cell.automation, cell.key.clone());
            match cell.body {
                Some(_) => self.cells.insert(key, cell),
                None => self.cells.remove(&key),
            };
        }
    }

    /// Goes on with a set that has only what was stored.
    fn restore(&mut self) {
        self.store();
        let cells: Vec<Cell> = self.cells.values().cloned().collect();
        let body = |seq: u64| (seq, self.log[usize::try_from(seq).unwrap() - 1].1.clone());
        self.set = Automations::restore(Loaded {
            automations: self.set.iter().cloned().collect(),
            parked: set::parked(&cells).into_iter().map(body).collect(),
            cells,
            sender_clock: self.set.sender_clock(),
            seen: self.log.iter().map(|(at, event)| (event.id, *at)).collect(),
        });
    }
}

/// Something that comes in.
#[derive(Clone, Debug)]
struct Step {
    /// Seconds since the step before.
    wait: f64,
    /// Seconds that the event comes late.
    late: f64,
    name: usize,
    resource: usize,
    env: Option<&'static str>,
    flow: Option<&'static str>,
    /// The step whose event it follows, which may come later or not at all.
    follows: Option<usize>,
}

fn id(step: usize) -> EventId {
    EventId(derive("step", &[&step.to_string()]))
}

impl Step {
    fn event(&self, number: usize, now: Timestamp) -> Event {
        let mut resource = Labels::from([(RESOURCE_ID.to_owned(), RESOURCES[self.resource].to_owned())]);
        resource.extend(self.env.map(|env| ("env".to_owned(), env.to_owned())));
        let flow = |id: &str| {
            Labels::from([(RESOURCE_ID.to_owned(), id.to_owned()), (RESOURCE_ROLE.to_owned(), "flow".to_owned())])
        };
        Event {
            id: id(number),
            source: "test".to_owned(),
            occurred: now - SignedDuration::from_secs_f64(self.late),
            received: now,
            event: NAMES[self.name].to_owned(),
            resource,
            related: self.flow.map(flow).into_iter().collect(),
            payload: Value::Null,
            follows: self.follows.map(id),
            fact: None,
        }
    }
}

fn wait() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), Just(5.0), Just(12.5), Just(40.0), Just(300.0), Just(1000.0)]
}

fn step() -> impl Strategy<Value = Step> {
    let late = prop_oneof![5 => Just(0.0), 1 => Just(0.25), 1 => Just(8.0), 1 => Just(70.0)];
    let env = prop_oneof![Just(None), Just(Some("prod")), Just(Some("dev"))];
    let flow = prop_oneof![Just(None), Just(Some("flow.1")), Just(Some("flow.2"))];
    let follows = prop_oneof![4 => Just(None), 1 => (0..40usize).prop_map(Some)];
    (wait(), late, 0..NAMES.len(), 0..RESOURCES.len(), env, flow, follows).prop_map(
        |(wait, late, name, resource, env, flow, follows)| Step { wait, late, name, resource, env, flow, follows },
    )
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    let name =
        prop_oneof![3 => prop::sample::select(&NAMES[..]), 1 => prop::sample::select(vec!["*", "job.*", "j*", "!a"])];
    prop::collection::vec(name, 0..3)
}

fn specification() -> impl Strategy<Value = Value> {
    let specifications = [
        json!({}),
        json!({"env": "prod"}),
        json!({"env": ["prod", "dev"]}),
        json!({"env": "!prod", RESOURCE_ID: "job.1"}),
        json!({RESOURCE_ID: ["job.1", "job.3"]}),
        json!({RESOURCE_ID: "job.*"}),
        json!({"env": []}),
    ];
    prop::sample::select(specifications.to_vec())
}

fn related() -> impl Strategy<Value = Value> {
    let specifications = [
        json!({}),
        json!({RESOURCE_ROLE: "flow", RESOURCE_ID: "flow.1"}),
        json!([{RESOURCE_ROLE: "flow"}, {RESOURCE_ID: ["flow.1", "flow.2"]}]),
        json!([]),
    ];
    prop::sample::select(specifications.to_vec())
}

/// An event trigger; `key` are its `for_each` labels.
fn event_trigger(key: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let within = prop_oneof![Just(0u32), Just(10), Just(30), Just(90)];
    (any::<bool>(), names(), names(), specification(), related(), key, 0..4i64, within).prop_map(
        |(proactive, expect, after, matches, related, for_each, threshold, within)| {
            let posture = if proactive { "Proactive" } else { "Reactive" };
            json!({
                "type": "event", "posture": posture, "expect": expect, "after": after, "match": matches,
                "match_related": related, "for_each": for_each, "threshold": threshold,
                "within": if proactive { within.max(10) } else { within },
            })
        },
    )
}

fn any_key() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![json!([]), json!([RESOURCE_ID]), json!(["env", format!("related:flow:{RESOURCE_ID}")])])
}

fn trigger() -> impl Strategy<Value = Value> {
    event_trigger(any_key()).prop_recursive(2, 6, 3, |inner| {
        let within = prop_oneof![Just(Value::Null), Just(json!(10)), Just(json!(60))];
        let kind = prop::sample::select(vec!["any", "all", "sequence"]);
        (prop::collection::vec(inner, 1..4), within, kind).prop_map(|(triggers, within, kind)| match kind {
            "sequence" => json!({"type": "sequence", "within": within, "triggers": triggers}),
            require => json!({"type": "compound", "require": require, "within": within, "triggers": triggers}),
        })
    })
}

/// Plays the steps and the quiet half hour after them; `disturb` is asked before each step.
fn play(triggers: &[Value], steps: &[Step], mut disturb: impl FnMut(&mut Desk, usize)) -> Desk {
    let mut desk = Desk::new(triggers);
    let mut now = start();
    for (number, step) in steps.iter().enumerate() {
        disturb(&mut desk, number);
        now += SignedDuration::from_secs_f64(step.wait);
        desk.wait(now);
        desk.event(&step.event(number, now), now);
    }
    desk.wait(now + SignedDuration::from_mins(5));
    desk.store();
    desk
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn restoring_at_any_point_changes_nothing(
        triggers in prop::collection::vec(trigger(), 1..4),
        steps in prop::collection::vec(step(), 0..40),
        restored in prop::collection::vec(any::<bool>(), 40),
    ) {
        let plain = play(&triggers, &steps, |_, _| ());
        let other = play(&triggers, &steps, |desk, number| if restored[number] { desk.restore() });
        prop_assert_eq!(&plain.fired, &other.fired);
        prop_assert_eq!(&plain.cells, &other.cells);
        prop_assert_eq!(plain.set.next_due(), other.set.next_due());
    }

    #[test]
    fn the_order_of_different_keys_at_one_moment_changes_nothing(
        trigger in event_trigger(Just(json!([RESOURCE_ID]))),
        blocks in prop::collection::vec((wait(), prop::collection::vec(step(), 0..6)), 0..10),
    ) {
        let play = |order: fn(&(usize, Step)) -> usize| {
            let mut desk = Desk::new(std::slice::from_ref(&trigger));
            let mut now = start();
            let mut number = 0;
            for (wait, block) in &blocks {
                now += SignedDuration::from_secs_f64(*wait);
                desk.wait(now);
                let mut block: Vec<(usize, Step)> = block.iter().map(|step| {
                    number += 1;
                    (number, Step { follows: None, ..step.clone() })
                }).collect();
                block.sort_by_key(order);
                for (number, step) in block {
                    desk.event(&step.event(number, now), now);
                }
            }
            desk.wait(now + SignedDuration::from_mins(5));
            // Positions in the log are those of the order; all else must be the same.
            let by_key = |key: &str| -> Vec<(Timestamp, Option<EventId>, String)> {
                let of_key = |firing: &&Firing| firing.labels.values().any(|value| value == key);
                let told = |firing: &Firing| (firing.at, firing.event.map(|event| event.id), firing.because.clone());
                desk.fired.iter().filter(of_key).map(told).collect()
            };
            RESOURCES.map(by_key)
        };
        // Within a key the order stays.
        let forwards = play(|(_, step)| step.resource);
        let backwards = play(|(_, step)| RESOURCES.len() - step.resource);
        let as_it_came = play(|_| 0);
        prop_assert_eq!(&forwards, &backwards);
        prop_assert_eq!(&forwards, &as_it_came);
    }

    #[test]
    fn an_absence_is_noticed_at_the_very_moment(
        begins in 0..1_000_000u32,
        within in 10..5_000u32,
        late in 0..90u32,
        ends in 0..10_000u32,
    ) {
        let trigger = json!({
            "type": "event", "posture": "Proactive", "after": ["a"], "expect": ["b"], "for_each": [RESOURCE_ID],
            "threshold": 1, "within": within,
        });
        let mut desk = Desk::new(&[trigger]);
        let step = |name, late| Step {
            wait: 0.0, late, name, resource: 0, env: None, flow: None, follows: None,
        };
        // It began before the set heard of it; as long as nothing newer is heard, that is how late the senders are.
        let begun = second(f64::from(begins) / 1000.0);
        let late = f64::from(late);
        let heard = begun + SignedDuration::from_secs_f64(late);
        desk.wait(heard);
        desk.event(&step(0, late).event(0, heard), heard);
        let ended = heard + SignedDuration::from_secs(ends.into());
        let due = heard + SignedDuration::from_secs(within.into());
        desk.wait(ended);
        desk.event(&step(1, 0.0).event(1, ended), ended);
        desk.wait(ended + SignedDuration::from_hours(3));
        let fired: Vec<Timestamp> = desk.fired.iter().map(|firing| firing.at).collect();
        if due <= ended {
            prop_assert_eq!(fired, [due]);
        } else {
            // The event itself shows that it is too late, if its window was over by the senders' time.
            let over = ended >= begun + SignedDuration::from_secs(within.into());
            prop_assert_eq!(fired, if over { vec![ended] } else { vec![] });
        }
    }

    #[test]
    fn the_index_finds_what_asking_everybody_finds(
        triggers in prop::collection::vec(event_trigger(Just(json!([]))), 0..24),
        edits in prop::collection::vec((0..24usize, 0..4u8), 0..24),
        steps in prop::collection::vec(step(), 1..12),
    ) {
        let immediate = |trigger: &Value| {
            let mut trigger = trigger.clone();
            trigger["posture"] = json!("Reactive");
            trigger["threshold"] = json!(1);
            trigger["within"] = json!(0);
            trigger["after"] = json!([]);
            trigger
        };
        let triggers: Vec<Value> = triggers.iter().map(immediate).collect();
        let mut set = Desk::new(&triggers).set;
        for (number, edit) in edits {
            let id = AutomationId(Uuid::from_u128(number as u128 + 1));
            match edit {
                0 => drop(set.remove(id, start())),
                1 => drop(set.pause(id, start())),
                2 => drop(set.resume(id, start())),
                _ => if let Some(trigger) = triggers.get(number) { set.put(automation(number, trigger), start()) },
            }
        }
        for (number, step) in steps.iter().enumerate() {
            let event = Step { follows: None, ..step.clone() }.event(number, start());
            let interested = |automation: &&Automation| match &automation.spec.trigger {
                Trigger::Event(trigger) => automation.spec.enabled
                    && matching::interested(trigger, &event)
                    && matching::expects(trigger, &event.event),
                _ => false,
            };
            let wanted: Vec<AutomationId> = set.iter().filter(interested).map(|automation| automation.id).collect();
            let got: Vec<AutomationId> =
                set.on_event(&event, number as u64 + 1, start()).iter().map(|firing| firing.automation).collect();
            prop_assert_eq!(got, wanted);
        }
    }
}

#[test]
fn a_firing_says_why() {
    let check = |trigger: Value, names: &[usize], wanted: &[&str]| {
        let mut desk = Desk::new(&[trigger]);
        for (number, name) in names.iter().enumerate() {
            let step = Step { wait: 0.0, late: 0.0, name: *name, resource: 0, env: None, flow: None, follows: None };
            desk.event(&step.event(number, start()), start());
        }
        desk.wait(second(3600.0));
        let got: Vec<&str> = desk.fired.iter().map(|firing| firing.because.as_str()).collect();
        assert_eq!(got, wanted);
    };
    let reactive = |expect: Value, threshold: i64, within: u32| json!({"type": "event", "posture": "Reactive", "expect": expect, "threshold": threshold, "within": within});
    let missing = |within: u32| {
        json!({"type": "event", "posture": "Proactive", "after": ["a"], "expect": ["b"], "for_each": ["env"],
            "within": within})
    };
    let both = |kind: &str| {
        json!({"type": kind, "require": 2, "within": 600,
            "triggers": [reactive(json!(["a"]), 1, 0), reactive(json!(["b"]), 1, 0)]})
    };
    check(reactive(json!(["a"]), 1, 0), &[0], &["1 of 1 `a`"]);
    check(reactive(json!(["a", "b"]), 2, 600), &[0, 1], &["2 of 2 `a` or `b` within 10m"]);
    check(reactive(json!([]), 1, 5), &[3], &["1 of 1 events of any name within 5s"]);
    check(reactive(json!(NAMES), 1, 0), &[3], &["1 of 1 `a`, `b`, `job.x` or 1 more"]);
    check(missing(600), &[0], &["0 of 1 `b` by 09:10:00Z"]);
    check(both("compound"), &[1, 0], &["2 of 2 triggers within 10m"]);
    check(both("sequence"), &[0, 1], &["2 of 2 triggers in order within 10m"]);
}

#[test]
fn an_absence_that_is_noticed_late_is_one_firing_that_says_so() {
    let trigger = json!({"type": "event", "posture": "Proactive", "expect": ["b"], "within": 60});
    let mut desk = Desk::new(&[trigger]);
    desk.wait(start());
    let noticed = second(86_400.0);
    let due = desk.set.next_due().unwrap();
    let fired = desk.set.on_due(due, Some(noticed));
    assert_eq!(fired.len(), 1);
    assert_eq!((fired[0].at, fired[0].due), (noticed, Some(second(60.0))));
    assert_eq!(fired[0].because, "0 of 1 `b` by 2026-01-05 09:01:00Z");
    assert_eq!(desk.set.next_due(), Some(noticed + SignedDuration::from_secs(60)));
}

#[test]
fn a_replaced_or_removed_automation_leaves_nothing_in_the_store() {
    let trigger = json!({"type": "event", "posture": "Reactive", "expect": ["a"], "threshold": 5, "within": 60});
    let mut desk = Desk::new(std::slice::from_ref(&trigger));
    let step = Step { wait: 0.0, late: 0.0, name: 0, resource: 0, env: None, flow: None, follows: None };
    desk.event(&step.event(0, start()), start());
    desk.store();
    let keys = |desk: &Desk| -> BTreeSet<String> { desk.cells.keys().map(|(_, key)| key.clone()).collect() };
    assert_eq!(keys(&desk), ["bucket  ".to_owned()].into());
    desk.set.put(automation(0, &json!({"type": "event", "posture": "Reactive", "expect": ["b"]})), start());
    desk.store();
    assert_eq!(keys(&desk), BTreeSet::new());
}

#[test]
fn a_line_of_a_log_is_no_event_to_prefect() {
    let mut desk = Desk::new(&[json!({"type": "event", "posture": "Reactive"})]);
    let step = Step { wait: 0.0, late: 0.0, name: 0, resource: 0, env: None, flow: None, follows: None };
    desk.event(&Event { event: "prefect.log.write".to_owned(), ..step.event(0, start()) }, start());
    assert_eq!(desk.fired, []);
}

#[test]
fn absences_count_from_when_it_was_made_or_resumed() {
    let trigger = json!({"type": "event", "posture": "Proactive", "expect": ["b"], "within": 60});
    let mut desk = Desk::default();
    let made = second(100_000.0);
    desk.set.put(automation(0, &trigger), made);
    assert_eq!(desk.set.next_due(), Some(made));
    desk.wait(made + SignedDuration::from_secs(90));
    let id = AutomationId(Uuid::from_u128(1));
    desk.set.pause(id, made + SignedDuration::from_secs(90));
    desk.wait(second(200_000.0));
    desk.set.resume(id, second(200_000.0));
    assert_eq!(desk.set.next_due(), Some(second(200_000.0)));
    desk.restore();
    desk.wait(second(200_061.0));
    // The window that was open when it was paused is gone; nothing is said about the time in between.
    let at: Vec<Timestamp> = desk.fired.iter().map(|firing| firing.at).collect();
    assert_eq!(at, [made + SignedDuration::from_secs(60), second(200_060.0)]);
}
