//! Events that did not come.

use super::timeline::{automation, check, check_automation, reasons};
use serde_json::{Value, json};

fn beats(within: f64) -> Value {
    json!({"posture": "Proactive", "expect": ["beat"], "within": within})
}

fn beats_of_each(within: f64) -> Value {
    json!({"posture": "Proactive", "expect": ["beat"], "within": within, "for_each": ["prefect.resource.id"]})
}

fn finishes(within: f64) -> Value {
    json!({
        "posture": "Proactive", "after": ["started"], "expect": ["finished"], "within": within,
        "for_each": ["prefect.resource.id"],
    })
}

#[test]
fn the_deadline_is_the_last_event_and_within() {
    // Prefect: beats every 30 s, last at 285: told at 420, because a satisfied window leaves a gap.
    check(
        beats(60.0),
        "30 beat
         285 beat @285
         ! 90 fires
         ! 285 resolves
         344 .
         345 .
         ! 345 fires
         1000 .
         1010 beat
         ! 1010 resolves
         1070 .
         ! 1070 fires",
    );
}

#[test]
fn it_is_watched_from_the_beginning() {
    check(
        beats(60.0),
        "60 .
         ! 60 fires
         10000 .",
    );
}

#[test]
fn an_event_exactly_at_the_deadline_is_too_late() {
    check(
        beats(60.0),
        "60 beat
         ! 60 fires
         ! 60 resolves
         119.999999 beat
         179.999999 .
         ! 179.999999 fires",
    );
}

#[test]
fn an_event_that_is_received_late_counts_before_the_deadline_and_resolves_after_it() {
    check(
        beats(60.0),
        "59 beat @10
         69 beat @50
         109 .
         110 .
         ! 110 fires
         115 beat @105
         ! 115 resolves
         165 .
         ! 165 fires",
    );
}

#[test]
fn an_event_that_changes_nothing_about_now_does_not_resolve() {
    check(
        beats(60.0),
        "60 .
         ! 60 fires
         300 beat @100
         310 beat @251
         ! 310 resolves
         311 .
         ! 311 fires",
    );
}

#[test]
fn an_event_at_the_due_instant_that_occurred_before_it_counts() {
    check(
        beats(60.0),
        "60 beat @59
         119 .
         ! 119 fires",
    );
}

#[test]
fn fewer_than_the_threshold_in_the_last_within() {
    check(
        json!({"posture": "Proactive", "expect": ["beat"], "threshold": 2, "within": 60}),
        "10 beat
         50 beat
         69 .
         70 .
         ! 70 fires
         80 beat
         ! 80 resolves
         100 beat
         139 .
         140 .
         ! 140 fires",
    );
}

#[test]
fn every_key_is_watched_once_it_was_seen() {
    // Prefect never tells: the satisfied window of the key is removed and never made again.
    check(
        beats_of_each(30.0),
        "100 .
         105 beat job.1
         110 beat job.2
         120 beat job.1
         140 .
         ! 140 fires [job.2]
         150 .
         ! 150 fires [job.1]
         160 beat job.2
         ! 160 resolves [job.2]
         190 .
         ! 190 fires [job.2]",
    );
}

#[test]
fn a_key_first_seen_through_an_old_event_is_watched_from_now_on() {
    check(
        beats_of_each(30.0),
        "1000 beat job.1 @0
         1005 beat job.2 @1000
         1030 .
         ! 1030 fires [job.1]
         ! 1030 fires [job.2]",
    );
}

#[test]
fn a_key_that_stays_silent_is_forgotten_after_a_week() {
    let week = 7 * 24 * 3600;
    check(
        beats_of_each(3600.0),
        &format!(
            "0 beat job.1
             0 beat job.2
             3600 .
             ! 3600 fires [job.1]
             ! 3600 fires [job.2]
             {} beat job.1
             ! {0} resolves [job.1]
             {} beat job.2
             {1} .",
            3600 + week - 1,
            3600 + week,
        ),
    );
}

#[test]
fn a_deadline_that_passes_while_nothing_runs_is_told_late() {
    // Prefect: gone without a word when it was down for more than a minute.
    check(
        finishes(60.0),
        "0 started
         10 down
         200 up
         ! 60 fires [job.1] late
         210 finished
         ! 210 resolves [job.1]",
    );
    check(
        beats(60.0),
        "5 beat
         10 down
         200 up
         ! 65 fires late",
    );
}

#[test]
fn after_opens_a_deadline() {
    check(
        finishes(60.0),
        "0 finished
         10 started job.1
         20 started job.2
         30 finished job.1
         79 .
         80 .
         ! 80 fires [job.2]
         1000 .
         1010 finished job.2
         ! 1010 resolves [job.2]
         1020 finished job.2",
    );
}

#[test]
fn the_earliest_open_deadline_stays() {
    check(
        finishes(60.0),
        "0 started
         30 started
         60 .
         ! 60 fires [job.1]
         90 .
         100 finished
         ! 100 resolves [job.1]",
    );
    check(
        finishes(60.0),
        "0 started
         30 started
         40 finished
         200 .",
    );
}

#[test]
fn a_later_start_that_is_not_satisfied_gets_its_own_deadline() {
    check(
        finishes(60.0),
        "0 started
         30 started
         35 finished @20
         89 .
         90 .
         ! 90 fires [job.1]",
    );
}

#[test]
fn the_next_start_after_a_miss_opens_the_next_deadline() {
    check(
        finishes(60.0),
        "0 started
         60 .
         ! 60 fires [job.1]
         100 started
         130 finished
         ! 130 resolves [job.1]
         200 started
         260 .
         ! 260 fires [job.1]
         300 started
         360 .
         ! 360 fires [job.1]
         370 finished
         ! 370 resolves [job.1]",
    );
}

#[test]
fn what_must_follow_is_told_by_when_it_occurred() {
    check(
        finishes(60.0),
        "12 finished @10
         13 started @5
         100 .
         112 finished @100
         113 started @101
         160 .
         161 .
         ! 161 fires [job.1]",
    );
}

#[test]
fn finished_too_late_but_received_before_is_late() {
    // Prefect also fires when the expected event comes exactly at, or after, the end of the window.
    check(
        finishes(60.0),
        "0 started
         60 finished
         ! 60 fires [job.1]
         ! 60 resolves [job.1]",
    );
}

#[test]
fn finished_in_time_and_received_too_late_resolves() {
    check(
        finishes(60.0),
        "0 started
         61 .
         ! 60 fires [job.1]
         63 finished @59
         ! 63 resolves [job.1]",
    );
}

#[test]
fn a_backlog_of_starts_gives_the_rest_of_it_a_minute() {
    check(
        finishes(300.0),
        "1000 started job.1 @0
         1000 started job.2 @10
         1001 finished job.1 @200
         1060 .
         ! 1060 fires [job.2]",
    );
    check(
        finishes(20.0),
        "1000 started @0
         1020 .
         ! 1020 fires [job.1]",
    );
}

#[test]
fn heartbeats_that_are_both() {
    check(
        json!({
            "posture": "Proactive", "after": ["beat"], "expect": ["beat", "finished"], "within": 30,
            "for_each": ["prefect.resource.id"],
        }),
        "0 beat job.1
         0 beat job.2
         20 beat job.1
         25 finished job.2
         40 beat job.1
         69 .
         70 .
         ! 70 fires [job.1]
         75 .
         90 beat job.1
         ! 90 resolves [job.1]
         120 .
         ! 120 fires [job.1]
         130 finished job.1
         ! 130 resolves [job.1]
         1000 .",
    );
}

#[test]
fn several_must_follow() {
    check(
        json!({"posture": "Proactive", "after": ["started"], "expect": ["part"], "threshold": 3, "within": 60}),
        "0 started
         10 part
         20 part
         60 .
         ! 60 fires
         70 part
         ! 70 resolves
         100 started
         110 part
         120 part
         130 part
         200 .",
    );
}

#[test]
fn after_a_pause_everything_gets_its_full_time_again() {
    // Prefect tells of the old deadline at once.
    check(
        finishes(60.0),
        "0 started
         10 pause
         100 .
         110 resume
         169 .
         170 .
         ! 170 fires [job.1]",
    );
    check(
        beats(60.0),
        "5 beat
         10 pause
         20 beat
         30 resume
         89 .
         90 .
         ! 90 fires
         100 pause
         110 beat
         120 resume
         130 .
         140 beat
         ! 140 resolves",
    );
}

#[test]
fn an_automation_that_begins_paused_is_watched_from_when_it_goes_on() {
    let mut paused = automation(beats(60.0));
    paused.spec.enabled = false;
    check_automation(
        &paused,
        "100 .
         110 resume
         170 .
         ! 170 fires",
    );
}

#[test]
fn reasons_have_their_values() {
    let said = reasons(
        beats(60.0),
        "5 beat
         65 .
         90 beat",
    );
    assert_eq!(said, ["no `beat` for 1m, since 2026-01-05T09:00:05Z", "`beat` came after 1m 25s"]);
    let said = reasons(
        json!({"posture": "Proactive", "expect": ["beat"], "threshold": 3, "within": 60}),
        "5 beat
         60 .
         70 beat
         71 beat
         72 beat",
    );
    assert_eq!(said, ["1 of 3 `beat` in the last 1m", "3 of 3 `beat` within 1m again"]);
    let said = reasons(
        finishes(60.0),
        "0 started
         60 .
         63 finished @59
         100 started
         160 .
         175 finished",
    );
    assert_eq!(
        said,
        [
            "no `finished` within 1m after `started` (at 2026-01-05T09:00:00Z)",
            "`finished` was in time, but was received after the deadline",
            "no `finished` within 1m after `started` (at 2026-01-05T09:01:40Z)",
            "`finished` came, 15s after the deadline",
        ]
    );
}
