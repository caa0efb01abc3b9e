//! What holds whatever comes in.

use super::timeline::{Desk, automation, second, told};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trackside_core::automation::definition::Automation;
use trackside_core::event::{Labels, RESOURCE_ID};

/// Names of events that the triggers below know.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Triggers of every kind. Those with a key keep `prefect.resource.id` (runs: `pipeline`) apart.
fn triggers() -> Vec<Value> {
    let key = json!(["prefect.resource.id"]);
    let of = |names: Value, threshold: i64, within: f64| json!({"expect": names, "threshold": threshold, "within": within, "for_each": key});
    let after = |posture: &str, threshold: i64| {
        json!({
            "posture": posture, "after": ["a"], "expect": ["b"], "threshold": threshold, "within": 20, "for_each": key,
        })
    };
    let silence = json!({"posture": "Proactive", "expect": ["a"], "within": 20, "for_each": key});
    let metric = |name: &str, operator: &str, threshold: f64, firing_for: f64| {
        json!({
            "type": "metric", "for_each": ["pipeline"],
            "metric": {
                "name": name, "operator": operator, "threshold": threshold, "range": 25.0, "firing_for": firing_for,
            },
        })
    };
    vec![
        of(json!(["a"]), 1, 0.0),
        of(json!(["a", "b"]), 3, 20.0),
        of(json!([]), 2, 5.0),
        after("Reactive", 1),
        after("Reactive", 2),
        after("Proactive", 1),
        after("Proactive", 2),
        json!({"posture": "Proactive", "after": ["a"], "expect": ["a", "b"], "within": 15, "for_each": key}),
        silence.clone(),
        json!({"posture": "Proactive", "expect": ["a"], "threshold": 2, "within": 20, "for_each": key}),
        json!({"type": "compound", "require": "all", "within": 15, "triggers": [of(json!(["a"]), 1, 0.0), of(json!(["b"]), 1, 0.0)]}),
        json!({"type": "compound", "require": 2, "within": null, "triggers": [of(json!(["a"]), 1, 0.0), silence, of(json!(["c"]), 2, 9.0)]}),
        json!({"type": "sequence", "within": 30, "triggers": [of(json!(["a"]), 1, 0.0), of(json!(["b"]), 1, 0.0), after("Proactive", 1)]}),
        json!({"type": "consecutive", "count": 2}),
        metric("successes", "<", 0.6, 0.0),
        metric("duration", ">", 5.0, 7.0),
        metric("count", "<", 2.0, 3.0),
    ]
}

/// Triggers whose keys do influence each other: what has no key counts for all.
fn sharing_triggers() -> Vec<Value> {
    let of_each = |name: &str| json!({"expect": [name], "for_each": ["prefect.resource.id"]});
    let silence = json!({"posture": "Proactive", "expect": ["c"], "within": 12});
    let seldom = json!({"expect": ["a"], "threshold": 2, "within": 4});
    let both = json!([of_each("b"), silence]);
    vec![
        json!({"type": "compound", "require": "all", "within": 15, "triggers": [silence, of_each("b")]}),
        json!({"type": "compound", "require": 2, "within": null, "triggers": [seldom, silence, of_each("b")]}),
        json!({"type": "sequence", "within": 40, "triggers": [seldom, of_each("b"), silence]}),
        json!({"type": "sequence", "within": 40, "triggers": [{"type": "compound", "require": "any", "within": null, "triggers": both}, of_each("a")]}),
        json!({"type": "compound", "require": "all", "within": 60, "triggers": [{"type": "consecutive", "count": 2}, silence]}),
    ]
}

/// One thing that comes in.
#[derive(Clone, Debug)]
struct Step {
    /// Tenths of a second since the step before.
    wait: u32,
    /// Tenths of a second that it comes late.
    late: u32,
    what: What,
    key: usize,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Event(&'static str),
    Run(&'static str),
    /// A pause begins, or ends.
    Switch,
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        12 => prop::sample::select(&NAMES[..]).prop_map(What::Event),
        8 => prop::sample::select(&["ok", "bad"][..]).prop_map(What::Run),
        1 => Just(What::Switch),
    ];
    (0..120u32, prop_oneof![3 => Just(0u32), 1 => 0..200u32], what, 0..3usize)
        .prop_map(|(wait, late, what, key)| Step { wait, late, what, key })
}

/// The steps as lines of a timeline, with the key that they are about if it is one.
fn lines(steps: &[Step]) -> Vec<(Option<usize>, String)> {
    let (mut now, mut switches) = (0, ["pause", "resume"].into_iter().cycle());
    let line = |step: &Step| {
        now += step.wait;
        let at = format!("{}.{}", now / 10, now % 10);
        let occurred = (f64::from(now) - f64::from(step.late)) / 10.0;
        match step.what {
            What::Event(name) => (Some(step.key), format!("{at} {name} key.{} @{occurred}", step.key)),
            What::Run(end) => (Some(step.key), format!("{at} {end} key.{} @{occurred} took={}", step.key, step.wait)),
            What::Switch => (None, format!("{at} {}", switches.next().unwrap())),
        }
    };
    steps.iter().map(line).collect()
}

/// What the lines lead to. Before each line for which `disturb` says so, the desk is disturbed.
fn play(
    automation: &Automation,
    lines: impl Iterator<Item = String>,
    mut disturb: impl FnMut(&mut Desk),
) -> Vec<String> {
    let mut desk = Desk::new(automation.clone());
    for line in lines {
        disturb(&mut desk);
        desk.line(&line);
    }
    disturb(&mut desk);
    desk.line("10000 .");
    desk.fired.iter().map(|firing| format!("{} {}", told(firing), firing.because)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn restoring_at_any_point_changes_nothing(
        steps in prop::collection::vec(step(), 0..40),
        restored in prop::collection::vec(any::<bool>(), 41),
    ) {
        for trigger in triggers().into_iter().chain(sharing_triggers()) {
            let automation = automation(trigger);
            let plain = play(&automation, lines(&steps).into_iter().map(|(_, line)| line), |_| ());
            let mut points = restored.iter();
            let other = play(&automation, lines(&steps).into_iter().map(|(_, line)| line), |desk| {
                if points.next() == Some(&true) {
                    desk.restore();
                }
            });
            prop_assert_eq!(plain, other, "{:?}", automation.spec.trigger);
        }
    }

    #[test]
    fn keys_do_not_influence_each_other(steps in prop::collection::vec(step(), 0..40)) {
        for trigger in triggers() {
            let automation = automation(trigger);
            let together = play(&automation, lines(&steps).into_iter().map(|(_, line)| line), |_| ());
            for key in 0..3 {
                let of_key = |line: &&String| line.contains(&format!("[key.{key}"));
                let expected: Vec<&String> = together.iter().filter(of_key).collect();
                let own = lines(&steps).into_iter().filter(|(of, _)| of.is_none_or(|of| of == key)).map(|(_, line)| line);
                let alone = play(&automation, own, |_| ());
                prop_assert_eq!(alone.iter().collect::<Vec<_>>(), expected, "{:?}", automation.spec.trigger);
            }
        }
    }

    #[test]
    fn looking_too_often_or_too_late_changes_nothing(
        steps in prop::collection::vec(step(), 0..40),
        looks in prop::collection::vec(any::<bool>(), 41),
    ) {
        for trigger in triggers().into_iter().chain(sharing_triggers()) {
            let automation = automation(trigger);
            let plain = play(&automation, lines(&steps).into_iter().map(|(_, line)| line), |_| ());
            // The desk asks at every due instant; here nobody asks before events, and some ask for nothing.
            let mut desk = Desk::new(automation.clone());
            let mut look = looks.iter();
            for (_, line) in lines(&steps) {
                let now: f64 = line.split(' ').next().unwrap().parse().unwrap();
                if look.next() == Some(&true) {
                    let before = second(now) - SignedDuration::from_millis(1);
                    let fired = desk.watch().on_due(before, None);
                    desk.fired.extend(fired);
                }
                // A pause ends what is due before it.
                if !line.ends_with("pause") {
                    desk.forget_to_ask();
                }
                desk.line(&line);
            }
            desk.line("10000 .");
            let other: Vec<String> =
                desk.fired.iter().map(|firing| format!("{} {}", told(firing), firing.because)).collect();
            prop_assert_eq!(plain, other, "{:?}", automation.spec.trigger);
        }
    }

    #[test]
    fn thresholds_agree_with_counting_everything_anew(
        steps in prop::collection::vec((0..80u32, prop_oneof![2 => Just(0u32), 1 => 0..300u32]), 0..60),
        threshold in 1..5usize,
        within in 1..300u32,
    ) {
        let automation = automation(json!({
            "expect": ["a"], "threshold": threshold, "within": f64::from(within) / 10.0, "for_each": ["prefect.resource.id"],
        }));
        let mut desk = Desk::new(automation);
        let (mut unspent, mut now, mut expected): (Vec<i64>, i64, Vec<i64>) = (Vec::new(), 0, Vec::new());
        for (wait, late) in steps {
            now += i64::from(wait);
            let occurred = now - i64::from(late);
            unspent.push(occurred);
            unspent.sort_unstable();
            // Any full window has the new event in it: without it there was none.
            let full = |window: &[i64]| threshold == 1 || window[threshold - 1] - window[0] < i64::from(within);
            if let Some(start) = unspent.windows(threshold).position(full) {
                unspent.drain(start..start + threshold);
                expected.push(now);
            }
            let labels = Labels::from([(RESOURCE_ID.to_owned(), "job.1".to_owned())]);
            desk.pass(tenth(now), false, None);
            let fired = desk.event("a", &labels, tenth(occurred), tenth(now));
            desk.fired.extend(fired);
        }
        let fired: Vec<Timestamp> = desk.fired.iter().map(|firing| firing.at).collect();
        prop_assert_eq!(fired, expected.into_iter().map(tenth).collect::<Vec<_>>());
    }

    #[test]
    fn silences_agree_with_the_gaps_between_events(waits in prop::collection::vec(0..60u32, 1..60), within in 1..40u32) {
        let automation = automation(json!({
            "posture": "Proactive", "expect": ["a"], "within": f64::from(within), "for_each": ["prefect.resource.id"],
        }));
        let mut now = 0;
        let mut expected = Vec::new();
        let mut timeline = Vec::new();
        for (index, wait) in waits.iter().enumerate() {
            let last = now;
            now += wait;
            if index > 0 && *wait >= within {
                expected.push(format!("{} fires [job.1]", last + within));
                expected.push(format!("{now} resolves [job.1]"));
            }
            timeline.push(format!("{now} a"));
        }
        expected.push(format!("{} fires [job.1]", now + within));
        let fired: Vec<String> = {
            let mut desk = Desk::new(automation);
            timeline.iter().for_each(|line| drop(desk.line(line)));
            desk.line("10000 .");
            desk.fired.iter().map(told).collect()
        };
        prop_assert_eq!(fired, expected);
    }
}

fn tenth(tenth: i64) -> Timestamp {
    second(0.0) + SignedDuration::from_millis(tenth * 100)
}

#[test]
fn the_number_of_keys_has_a_limit() {
    use trackside_core::automation::ours::KEYS_PER_AUTOMATION;
    let automation =
        automation(json!({"expect": ["a"], "threshold": 2, "within": 1e6, "for_each": ["prefect.resource.id"]}));
    let mut desk = Desk::new(automation);
    let mut fired = 0;
    for number in 0..KEYS_PER_AUTOMATION + 10 {
        let labels = Labels::from([(RESOURCE_ID.to_owned(), format!("job.{number}"))]);
        let now = second(0.0) + SignedDuration::from_millis(i64::try_from(number).unwrap());
        fired += desk.event("a", &labels, now, now).len();
    }
    assert!(desk.put_away() <= KEYS_PER_AUTOMATION);
    assert_eq!(fired, 0);
    // The newest are there, the ones that have been still for longest are not.
    let mut again = BTreeMap::new();
    for number in [0, KEYS_PER_AUTOMATION + 9] {
        let labels = Labels::from([(RESOURCE_ID.to_owned(), format!("job.{number}"))]);
        again.insert(number, desk.event("a", &labels, second(200.0), second(200.0)).len());
    }
    assert_eq!(again, BTreeMap::from([(0, 0), (KEYS_PER_AUTOMATION + 9, 1)]));
}
