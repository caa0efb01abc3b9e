//! Events that came.

use super::timeline::{automation, check, check_automation, reasons};
use serde_json::{Value, json};
use trackside_core::automation::action::ActionSpec;

fn failures(threshold: i64, within: f64) -> Value {
    json!({"expect": ["failed"], "threshold": threshold, "within": within})
}

/// The automation without anybody who acts when it resolves.
#[track_caller]
fn check_firing(trigger: Value, timeline: &str) {
    let mut automation = automation(trigger);
    automation.spec.actions_on_resolve.clear();
    check_automation(&automation, timeline);
}

#[test]
fn every_event_fires_without_a_threshold() {
    check(
        failures(1, 0.0),
        "0 failed
         ! 0 fires
         0 failed job.2
         ! 0 fires
         1 other
         9 failed @3
         ! 9 fires",
    );
}

#[test]
fn the_window_slides() {
    // Prefect: 0 and 50 lie in one window, 61 and 62 in the next; nothing fires.
    check_firing(
        failures(3, 60.0),
        "0 failed
         50 failed
         61 failed
         62 failed
         ! 62 fires",
    );
}

#[test]
fn events_exactly_within_apart_do_not_lie_in_one_window() {
    check_firing(
        failures(2, 60.0),
        "0 failed
         60 failed
         119.999999 failed
         ! 119.999999 fires",
    );
}

#[test]
fn a_firing_uses_up_what_it_counted() {
    // Prefect drops everything until the end of the old window.
    check_firing(
        failures(3, 60.0),
        "0 failed
         1 failed
         2 failed
         ! 2 fires
         3 failed
         4 failed
         5 failed
         ! 5 fires
         6 failed
         7 failed",
    );
}

#[test]
fn with_threshold_one_every_event_fires_whatever_the_window() {
    // Prefect fires at 0 and 60 and drops what comes between.
    check_firing(
        failures(1, 60.0),
        "0 failed
         ! 0 fires
         1 failed
         ! 1 fires
         60 failed
         ! 60 fires",
    );
}

#[test]
fn a_late_event_counts_where_it_belongs() {
    check_firing(
        failures(3, 60.0),
        "0 failed
         90 failed
         100 failed @30
         110 failed @20
         ! 110 fires
         120 failed @100
         130 failed
         ! 130 fires",
    );
}

#[test]
fn a_backlog_counts_by_when_it_occurred() {
    check_firing(
        failures(3, 60.0),
        "0 failed
         400 failed @5
         800 failed @10
         ! 800 fires",
    );
}

#[test]
fn what_is_dated_in_the_future_counts_as_of_now() {
    check_firing(
        failures(2, 60.0),
        "0 failed @1000000
         10 failed
         ! 10 fires",
    );
}

#[test]
fn keys_are_counted_apart() {
    check_firing(
        json!({"expect": ["failed"], "for_each": ["prefect.resource.id"], "threshold": 2, "within": 60}),
        "0 failed job.1
         1 failed job.2
         2 failed job.2
         ! 2 fires [job.2]
         3 failed job.1
         ! 3 fires [job.1]",
    );
}

#[test]
fn a_threshold_below_one_is_one() {
    check_firing(
        failures(0, 60.0),
        "0 failed
         ! 0 fires",
    );
}

#[test]
fn no_window_holds_two_events_without_within() {
    check_firing(
        failures(2, 0.0),
        "0 failed
         0 failed",
    );
}

#[test]
fn it_is_over_when_the_window_has_slid_empty() {
    check(
        failures(2, 60.0),
        "0 failed
         10 failed
         ! 10 fires
         50 failed
         109 .
         110 .
         ! 110 resolves
         200 failed
         210 failed
         ! 210 fires
         270 .
         ! 270 resolves",
    );
}

#[test]
fn a_single_event_is_over_when_nothing_comes_for_the_window() {
    check(
        failures(1, 60.0),
        "0 failed
         ! 0 fires
         30 failed
         ! 30 fires
         89 .
         90 .
         ! 90 resolves
         600 failed @0
         ! 600 fires
         600 .
         ! 600 resolves",
    );
}

#[test]
fn that_it_is_over_is_told_only_when_somebody_acts_on_it() {
    let line = "0 failed
         ! 0 fires
         60 .";
    check_firing(failures(1, 60.0), line);
    let mut resolving = automation(failures(1, 60.0));
    resolving.spec.actions_on_resolve.clear();
    resolving.spec.actions.push(ActionSpec::ResolveIncident {});
    check_automation(&resolving, &format!("{line}\n! 60 resolves"));
}

#[test]
fn after_opens_a_window() {
    let trigger = json!({"after": ["started"], "expect": ["failed"], "within": 60});
    check_firing(
        trigger,
        "0 failed
         10 started
         69 failed
         ! 69 fires
         69.5 failed
         80 started
         140 failed
         141 started
         141 failed
         ! 141 fires",
    );
}

#[test]
fn every_opening_event_has_a_window_of_its_own() {
    // Prefect: the second opening event changes nothing, so that 70 is too late.
    check_firing(
        json!({"after": ["started"], "expect": ["failed"], "within": 60}),
        "0 started
         50 started
         70 failed
         ! 70 fires
         71 failed",
    );
}

#[test]
fn what_follows_is_told_by_when_it_occurred() {
    // Prefect: an expected event that comes before its opening event is lost.
    check_firing(
        json!({"after": ["started"], "expect": ["failed"], "within": 60}),
        "6 failed @5
         7 started @0
         ! 7 fires
         8 failed @4
         20 started @19
         21 failed @18
         22 failed @20
         ! 22 fires",
    );
}

#[test]
fn after_with_a_threshold_per_key() {
    check_firing(
        json!({
            "after": ["started"], "expect": ["failed"], "threshold": 2, "within": 60,
            "for_each": ["prefect.resource.id"],
        }),
        "0 started job.1
         1 failed job.2
         2 failed job.1
         3 started job.2
         4 failed job.2
         5 failed job.1
         ! 5 fires [job.1]
         6 failed job.2
         ! 6 fires [job.2]",
    );
}

#[test]
fn after_without_within_has_no_end() {
    check(
        json!({"after": ["started"], "expect": ["failed"]}),
        "0 started
         100000 failed
         ! 100000 fires
         100001 failed",
    );
}

#[test]
fn an_event_does_not_follow_itself() {
    check_firing(
        json!({"after": ["beat"], "expect": ["beat"], "within": 60}),
        "0 beat
         30 beat
         ! 30 fires
         40 beat
         ! 40 fires
         200 beat",
    );
}

#[test]
fn an_opened_window_is_over_when_it_has_slid_empty() {
    check(
        json!({"after": ["started"], "expect": ["failed"], "within": 60}),
        "0 started
         10 failed
         ! 10 fires
         20 failed
         80 .
         ! 80 resolves",
    );
}

#[test]
fn a_pause_keeps_what_was_counted() {
    check_firing(
        failures(3, 600.0),
        "0 failed
         1 failed
         10 pause
         20 failed
         30 resume
         40 failed
         ! 40 fires",
    );
}

#[test]
fn nothing_is_told_in_a_pause() {
    check(
        failures(1, 60.0),
        "0 failed
         ! 0 fires
         10 pause
         100 .
         200 resume
         200 .
         ! 200 resolves",
    );
}

#[test]
fn reasons_have_their_values() {
    let said = reasons(
        failures(3, 600.0),
        "0 failed
         1 failed
         2 failed
         602 .",
    );
    assert_eq!(
        said,
        [
            "3 of 3 `failed` within 10m, the first at 2026-01-05T09:00:00Z, the last at 2026-01-05T09:00:02Z",
            "no more `failed` for 10m",
        ]
    );
    let said = reasons(
        json!({"after": ["started"], "expect": ["failed", "crashed"], "within": 60}),
        "0 started
         1 crashed
         61 .",
    );
    assert_eq!(
        said,
        [
            "`crashed` or `failed` within 1m after `started`, the last at 2026-01-05T09:00:01Z",
            "no more `crashed` or `failed` for 1m",
        ]
    );
    assert_eq!(reasons(json!({"expect": ["job.*"]}), "0 job.failed"), ["`job.failed` came"]);
}
