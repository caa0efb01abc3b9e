//! Several triggers together.

use super::timeline::{check, reasons};
use serde_json::{Value, json};

fn event(name: &str) -> Value {
    json!({"expect": [name]})
}

fn of_each(name: &str) -> Value {
    json!({"expect": [name], "for_each": ["prefect.resource.id"]})
}

fn compound(require: impl Into<Value>, within: impl Into<Value>, triggers: impl Into<Value>) -> Value {
    let (require, within, triggers) = (require.into(), within.into(), triggers.into());
    json!({"type": "compound", "require": require, "within": within, "triggers": triggers})
}

fn sequence(within: impl Into<Value>, triggers: impl Into<Value>) -> Value {
    let (within, triggers) = (within.into(), triggers.into());
    json!({"type": "sequence", "within": within, "triggers": triggers})
}

#[test]
fn any_fires_with_each() {
    check(
        compound("any", 60, json!([event("a"), event("b")])),
        "0 a
         ! 0 fires (0)
         1 b
         ! 1 fires (1)",
    );
}

#[test]
fn all_go_by_when_events_occurred() {
    // Prefect goes by when it processes them: these two would not fire.
    let both = compound("all", 60, json!([event("a"), event("b")]));
    check(
        both.clone(),
        "0 a
         100 b @1
         ! 100 fires (0, 1)",
    );
    check(
        both,
        "0 a
         60 b
         119 a @119
         ! 119 fires (0, 1)",
    );
}

#[test]
fn the_horizon_slides() {
    check(
        compound("all", 60, json!([event("a"), event("b"), event("c")])),
        "0 a
         50 b
         70 c
         75 a
         ! 75 fires (0, 1, 2)",
    );
}

#[test]
fn a_child_does_not_count_twice_and_a_firing_uses_everything_up() {
    check(
        compound("all", 60, json!([event("a"), event("b")])),
        "0 a
         1 a
         2 b
         ! 2 fires (0, 1)
         3 b
         4 a
         ! 4 fires (0, 1)
         5 a @3.5
         6 b
         7 a
         ! 7 fires (0, 1)",
    );
}

#[test]
fn some_of_several() {
    check(
        compound(2, 60, json!([event("a"), event("b"), event("c")])),
        "0 c
         1 c
         10 a
         ! 10 fires (0, 2)
         80 b
         100 c
         ! 100 fires (1, 2)",
    );
}

#[test]
fn what_belongs_to_different_keys_never_adds_up() {
    // Prefect: the first two fire.
    check(
        compound("all", 60, json!([of_each("a"), of_each("b")])),
        "0 a run.1
         1 b run.2
         2 a run.2
         ! 2 fires [run.2] (0, 1)
         3 b run.1
         ! 3 fires [run.1] (0, 1)",
    );
}

#[test]
fn a_child_without_for_each_counts_for_every_key() {
    let trigger = compound("all", 60, json!([event("deployed"), of_each("failed")]));
    check(
        trigger.clone(),
        "0 deployed
         10 failed run.1
         ! 10 fires [run.1] (0, 1)
         20 failed run.1
         30 failed run.2
         ! 30 fires [run.2] (0, 1)
         60 failed run.3",
    );
    check(
        trigger,
        "0 failed run.1
         5 failed run.2
         10 deployed
         ! 10 fires [run.1] (0, 1)
         ! 10 fires [run.2] (0, 1)
         20 deployed
         30 failed run.1
         ! 30 fires [run.1] (0, 1)",
    );
}

#[test]
fn what_a_key_has_used_up_stays_used_up_as_long_as_it_could_count() {
    let day = 24 * 3600;
    check(
        compound("all", day, json!([event("deployed"), of_each("failed")])),
        &format!(
            "0 deployed
             10 failed run.1
             ! 10 fires [run.1] (0, 1)
             40000 failed run.1
             80000 failed run.2
             ! 80000 fires [run.2] (0, 1)
             {day} failed run.3",
        ),
    );
}

#[test]
fn a_condition_of_no_key_clears_for_all_keys() {
    let silent = json!({"posture": "Proactive", "expect": ["beat"], "within": 30});
    check(
        compound("all", 100, json!([silent, of_each("failed")])),
        "40 failed run.1
         ! 40 fires [run.1] (0, 1)
         45 failed run.2
         ! 45 fires [run.2] (0, 1)
         50 beat
         ! 50 resolves [run.1] (0)
         ! 50 resolves [run.2] (0)
         55 failed run.3",
    );
}

#[test]
fn children_without_for_each_that_suffice_fire_once() {
    check(
        compound(2, 60, json!([event("a"), event("b"), of_each("c")])),
        "0 c run.1
         0 c run.2
         1 a
         ! 1 fires [run.1] (0, 2)
         ! 1 fires [run.2] (0, 2)
         2 b
         ! 2 fires (0, 1)",
    );
}

#[test]
fn only_labels_that_all_have_in_common_tell_groups_apart() {
    let by_both = json!({"expect": ["a"], "for_each": ["prefect.resource.id", "prefect.resource.name"]});
    check(
        compound("all", 60, json!([by_both, of_each("b")])),
        "0 a run.1
         1 b run.2
         2 b run.1
         ! 2 fires [run.1] (0, 1)",
    );
}

#[test]
fn a_sequence_goes_by_when_events_occurred() {
    let three = sequence(60, json!([event("a"), event("b"), event("c")]));
    check(
        three.clone(),
        "0 a
         1 b
         2 c
         ! 2 fires (0, 1, 2)
         3 a
         4 c
         5 b
         6 c
         ! 6 fires (0, 1, 2)",
    );
    // Prefect goes by the order of processing; one POST with all three is a race there.
    check(
        three.clone(),
        "10 c @3
         10 b @2
         10 a @1
         ! 10 fires (0, 1, 2)",
    );
    check(
        three,
        "10 a @3
         10 b @2
         10 c @1
         11 b @3
         12 c @3
         ! 12 fires (0, 1, 2)",
    );
}

#[test]
fn a_sequence_has_a_horizon() {
    let two = |within: Value| sequence(within, json!([event("a"), event("b")]));
    check(
        two(60.into()),
        "0 a
         60 b
         61 a
         120.9 b
         ! 120.9 fires (0, 1)",
    );
    check(
        two(Value::Null),
        "0 a
         1000000 b
         ! 1000000 fires (0, 1)
         1000001 b",
    );
}

#[test]
fn a_sequence_takes_the_last_of_what_repeats() {
    check(
        sequence(60, json!([event("a"), event("b")])),
        "0 a
         50 a
         100 b
         ! 100 fires (0, 1)
         101 b",
    );
}

#[test]
fn one_event_is_not_two_places_of_a_sequence() {
    check(
        sequence(60, json!([event("a*"), event("ab")])),
        "0 ab
         1 ab
         ! 1 fires (0, 1)",
    );
    check(
        compound("all", 60, json!([event("a*"), event("ab")])),
        "0 ab
         ! 0 fires (0, 1)",
    );
}

#[test]
fn a_sequence_per_key_in_one_batch() {
    check(
        sequence(60, json!([of_each("a"), of_each("b")])),
        "10 b run.1 @5
         10 b run.2 @4
         10 a run.2 @3
         ! 10 fires [run.2] (0, 1)
         10 a run.1 @6
         11 b run.1
         ! 11 fires [run.1] (0, 1)",
    );
}

#[test]
fn something_happened_and_something_else_did_not() {
    let missing = json!({
        "posture": "Proactive", "after": ["a"], "expect": ["b"], "within": 30, "for_each": ["prefect.resource.id"],
    });
    check(
        compound("all", 60, json!([of_each("a"), missing])),
        "0 a run.1
         1 a run.2
         5 b run.1
         31 .
         ! 31 fires [run.2] (0, 1)
         40 b run.2
         ! 40 resolves [run.2] (1)",
    );
}

#[test]
fn a_condition_that_cleared_does_not_count() {
    let silent = json!({"posture": "Proactive", "expect": ["beat"], "within": 30});
    check(
        compound("all", 100, json!([silent, event("error")])),
        "30 .
         40 beat
         45 error
         50 beat
         80 .
         ! 80 fires (0, 1)
         90 error
         95 beat
         ! 95 resolves (0)",
    );
}

#[test]
fn a_sequence_may_tell_of_a_recovery() {
    let silent = json!({"posture": "Proactive", "expect": ["beat"], "within": 30});
    check(
        sequence(600, json!([silent, event("beat")])),
        "30 .
         100 beat
         ! 100 fires (0, 1)
         110 beat
         140 .
         150 beat
         ! 150 fires (0, 1)",
    );
}

#[test]
fn any_is_over_when_all_that_fired_are() {
    let silent = |name: &str| json!({"posture": "Proactive", "expect": [name], "within": 30});
    check(
        compound("any", Value::Null, json!([silent("a"), silent("b")])),
        "10 a
         30 .
         ! 30 fires (1)
         40 .
         ! 40 fires (0)
         50 a
         60 b
         ! 60 resolves (1)",
    );
}

#[test]
fn composites_nest() {
    let inner = compound("any", Value::Null, json!([of_each("a"), of_each("b")]));
    check(
        sequence(60, json!([inner, of_each("c")])),
        "0 b run.1
         1 c run.2
         2 c run.1
         ! 2 fires [run.1] (0, 1)",
    );
}

#[test]
fn children_have_thresholds() {
    let twice = json!({"expect": ["a"], "threshold": 2, "within": 10});
    check(
        compound("all", 60, json!([twice, event("b")])),
        "0 a
         1 b
         20 a
         25 a
         ! 25 fires (0, 1)",
    );
}

#[test]
fn a_missed_child_is_late_and_so_is_the_whole() {
    let silent = json!({"posture": "Proactive", "expect": ["beat"], "within": 30});
    check(
        compound("all", 600, json!([silent, event("error")])),
        "0 error
         10 down
         200 up
         ! 30 fires late (0, 1)",
    );
}

#[test]
fn a_nested_firing_has_its_parts() {
    let said = reasons(
        compound("all", 60, json!([event("a"), sequence(Value::Null, json!([event("b"), event("c")]))])),
        "0 a
         1 b
         2 c",
    );
    assert_eq!(said, ["2 of 2 triggers fired within 1m, 2s apart"]);
    let said = reasons(sequence(60, json!([event("b"), event("c")])), "0 b\n5 c");
    assert_eq!(said, ["2 triggers fired in order within 1m, 5s apart"]);
}
