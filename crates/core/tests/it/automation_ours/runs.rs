//! Ends of runs.

use super::timeline::{Desk, automation, check, reasons};
use serde_json::{Value, json};

fn metric(name: &str, operator: &str, threshold: f64, range: f64, firing_for: f64) -> Value {
    json!({
        "type": "metric",
        "metric": {
            "name": name, "operator": operator, "threshold": threshold, "range": range, "firing_for": firing_for,
        },
    })
}

fn of_each(mut trigger: Value, label: &str) -> Value {
    trigger["for_each"] = json!([label]);
    trigger
}

#[test]
fn failed_runs_in_a_row() {
    check(
        json!({"type": "consecutive", "count": 3}),
        "0 bad
         1 bad
         2 ok
         3 bad
         4 bad other
         5 bad
         6 bad
         ! 6 fires [etl, airflow]
         7 bad
         8 ok other
         9 ok
         ! 9 resolves [etl, airflow]
         10 bad
         11 bad
         12 bad
         ! 12 fires [etl, airflow]",
    );
}

#[test]
fn in_a_row_is_by_when_runs_ended() {
    check(
        json!({"type": "consecutive", "count": 2}),
        "10 bad
         11 ok @5
         20 bad
         ! 20 fires [etl, airflow]
         21 ok @15
         ! 21 resolves [etl, airflow]
         22 bad @12
         23 bad
         ! 23 fires [etl, airflow]",
    );
}

#[test]
fn one_failure_may_be_enough_and_a_streak_has_no_age() {
    check(
        json!({"type": "consecutive", "count": 1}),
        "0 bad
         ! 0 fires [etl, airflow]
         10000000 bad
         20000000 ok
         ! 20000000 resolves [etl, airflow]",
    );
}

#[test]
fn runs_must_match() {
    check(
        json!({"type": "consecutive", "count": 1, "match": {"pipeline": "etl*"}}),
        "0 bad other
         1 bad etl_daily
         ! 1 fires [etl_daily, airflow]",
    );
    check(
        json!({
            "type": "consecutive", "count": 1,
            "match_related": {"prefect.resource.role": "flow", "prefect.resource.id": "flow.etl"},
        }),
        "0 bad other
         1 bad
         ! 1 fires [etl, airflow]",
    );
}

#[test]
fn success_rate_over_a_sliding_range() {
    check(
        metric("successes", "<", 0.6, 100.0, 0.0),
        "0 ok
         10 bad
         ! 10 fires
         20 ok
         ! 20 resolves
         30 bad
         ! 30 fires
         100 .
         120 .
         130 .
         ! 130 resolves",
    );
}

#[test]
fn without_runs_there_is_no_success_rate() {
    check(
        metric("successes", "<", 0.9, 60.0, 0.0),
        "0 .
         1000 bad
         ! 1000 fires
         1060 .
         ! 1060 resolves
         2000 .",
    );
}

#[test]
fn it_must_hold_for_long_enough() {
    check(
        metric("successes", "<", 0.9, 1000.0, 60.0),
        "0 bad
         59 .
         60 .
         ! 60 fires
         70 bad
         200 .",
    );
    check(
        metric("successes", "<", 0.5, 1000.0, 60.0),
        "0 bad
         30 ok
         60 .
         70 bad
         129 ok
         200 .",
    );
    check(
        metric("successes", "<", 0.5, 100.0, 60.0),
        "0 bad
         60 ok
         ! 60 fires
         ! 60 resolves",
    );
}

#[test]
fn it_fires_when_a_good_run_leaves_the_range() {
    check(
        metric("successes", "<", 0.5, 100.0, 30.0),
        "0 ok
         50 bad
         99 .
         130 .
         ! 130 fires
         150 .
         ! 150 resolves",
    );
}

#[test]
fn a_run_that_is_heard_of_late_counts_where_it_ended() {
    check(
        metric("count", ">=", 2.0, 100.0, 0.0),
        "50 ok
         90 ok @20
         ! 90 fires
         120 .
         ! 120 resolves
         130 ok @20
         160 ok @155",
    );
}

#[test]
fn mean_duration_and_lateness() {
    check(
        metric("duration", ">", 60.0, 1000.0, 0.0),
        "0 ok took=30
         1 ok took=80
         2 ok
         3 bad took=90
         ! 3 fires
         4 ok took=10
         ! 4 resolves",
    );
    check(
        metric("lateness", ">=", 30.0, 1000.0, 0.0),
        "0 ok late=10
         1 ok late=50
         ! 1 fires",
    );
}

#[test]
fn too_few_runs_are_a_dead_mans_switch() {
    check(
        metric("count", "<", 1.0, 100.0, 0.0),
        "30 ok
         99 .
         129 .
         130 .
         ! 130 fires
         200 ok
         ! 200 resolves
         300 .
         ! 300 fires",
    );
    check(
        metric("count", "<", 1.0, 100.0, 0.0),
        "100 .
         ! 100 fires",
    );
}

#[test]
fn too_few_runs_of_a_pipeline_once_it_was_seen() {
    let week = 7 * 24 * 3600;
    check(
        of_each(metric("count", "<", 1.0, 100.0, 0.0), "pipeline"),
        &format!(
            "50 ok etl
             60 ok other
             100 ok etl
             160 .
             ! 160 fires [other]
             200 .
             ! 200 fires [etl]
             300 ok etl
             ! 300 resolves [etl]
             400 .
             ! 400 fires [etl]
             {} ok other
             ! {0} resolves [other]",
            160 + week - 1,
        ),
    );
}

#[test]
fn a_bound_that_holds_without_runs_holds_from_the_beginning() {
    check(
        metric("count", ">=", 0.0, 100.0, 30.0),
        "30 .
         ! 30 fires",
    );
}

#[test]
fn a_key_whose_runs_are_all_out_of_range_is_forgotten() {
    let mut desk = Desk::new(automation(of_each(metric("successes", "<", 0.5, 100.0, 0.0), "pipeline")));
    desk.line("0 ok etl");
    desk.line("0 ok other");
    assert_eq!(desk.put_away(), 2);
    desk.line("3550 ok other");
    desk.line("3600 .");
    assert_eq!(desk.put_away(), 1);
    desk.line("7200 .");
    assert_eq!(desk.put_away(), 0);
    assert_eq!(desk.watch().next_due(), None);
}

#[test]
fn figures_are_kept_apart() {
    check(
        of_each(metric("successes", "<", 0.5, 100.0, 0.0), "related:flow:prefect.resource.id"),
        "0 bad etl
         ! 0 fires [flow.etl]
         1 bad other
         ! 1 fires [flow.other]
         2 ok etl
         ! 2 resolves [flow.etl]",
    );
}

#[test]
fn a_pause_begins_what_must_last_anew() {
    check(
        metric("successes", "<", 0.5, 1000.0, 60.0),
        "0 bad
         10 pause
         100 .
         200 resume
         259 .
         260 .
         ! 260 fires",
    );
    check(
        metric("count", "<", 1.0, 100.0, 0.0),
        "30 ok
         40 pause
         200 resume
         299 .
         300 .
         ! 300 fires",
    );
}

#[test]
fn a_figure_that_turned_while_nothing_ran_is_told_late() {
    check(
        metric("count", "<", 1.0, 100.0, 20.0),
        "10 ok
         50 down
         500 up
         ! 130 fires late",
    );
}

#[test]
fn runs_and_events_together() {
    check(
        json!({
            "type": "compound", "require": "all", "within": 60,
            "triggers": [{"type": "consecutive", "count": 2}, {"expect": ["disk.full"]}],
        }),
        "0 bad
         1 bad
         10 disk.full
         ! 10 fires [etl, airflow] (0, 1)
         20 ok
         ! 20 resolves [etl, airflow] (0)",
    );
}

#[test]
fn reasons_have_their_values() {
    let said = reasons(
        metric("successes", "<", 0.9, 3600.0, 300.0),
        "0 ok
         1 ok
         2 bad
         302 .
         3602 .",
    );
    assert_eq!(said, ["success rate 0.667 < 0.9 over 3 runs in the last 1h, for 5m", "no runs in the last 1h",]);
    let said = reasons(metric("duration", ">", 60.0, 3600.0, 0.0), "0 ok took=95.25\n3600 .");
    assert_eq!(said, ["mean duration 95.25 s > 60 s over 1 run in the last 1h", "no runs in the last 1h"]);
    assert_eq!(
        reasons(metric("count", "<", 1.0, 3600.0, 0.0), "3600 .\n3601 ok"),
        ["number of runs 0 < 1 in the last 1h", "number of runs 1 is no longer < 1 in the last 1h"]
    );
    assert_eq!(
        reasons(json!({"type": "consecutive", "count": 2}), "0 bad\n1 bad\n2 ok"),
        [
            "2 failed runs of `airflow/etl` in a row, the last ended at 2026-01-05T09:00:01Z",
            "a run of `airflow/etl` succeeded at 2026-01-05T09:00:02Z"
        ]
    );
}
