//! Stories of unusual row counts and of events that come late.

use crate::scenario::Story;
use serde_json::json;

const DAY: i64 = 86_400;

/// Twelve usual days and an unusual one.
fn days(mode: &str) -> Story {
    let mut story = Story::new(json!({"rules": [
        {"name": "rows", "severity": "warning", "when": {"rows_unusual": {"mode": mode}}}]}));
    for (day, rows) in (0..).zip([1000, 1010, 990, 1005, 995, 1000, 1000, 1020, 980, 1000, 1003, 997]) {
        story.at(day * DAY).run(&format!("etl/r{day} succeeded rows={rows}"));
    }
    story.expect("");
    story.at(12 * DAY).run("etl/r12 succeeded rows=20");
    story
}

#[test]
fn an_unusual_count_is_only_suggested_at_first() {
    let mut story = days("suggest");
    story.expect("");
    insta::assert_snapshot!(story.why(), @r"
    run r12 of etl succeeded
      rows: Passes: Run r12 wrote 20 rows; usual are 600 to 1400 (12 runs); it only suggests: to be told, write `mode: alert` in rule `rows`
      => suggested: Run r12 wrote 20 rows; usual are 600 to 1400 (12 runs)
    ");
    let suggestion = story.state.pipelines().next().unwrap().suggestion.clone().unwrap();
    assert_eq!(
        suggestion.text,
        "Run r12 wrote 20 rows; usual are 600 to 1400 (12 runs). Nobody was told: to be told, write `mode: alert` in rule `rows`."
    );
    let audit = &story.decisions.last().unwrap().audit;
    assert!(audit.iter().any(|row| row.action == "rows.suggested"), "{audit:?}");
    // A run that does not say how many it wrote changes nothing; the next usual one takes the suggestion back.
    story.at(13 * DAY).run("etl/r13 succeeded");
    assert!(story.state.pipelines().next().unwrap().suggestion.is_some());
    story.at(14 * DAY).run("etl/r14 succeeded rows=1001").expect("");
    assert!(story.state.pipelines().next().unwrap().suggestion.is_none());
}

#[test]
fn an_unusual_count_alerts_where_that_was_asked_for() {
    let mut story = days("alert");
    story.expect("1036800 slack trigger: etl wrote unusually few rows");
    story.at(13 * DAY).run("etl/r13 succeeded rows=9000");
    story.expect("1123200 slack update: etl wrote unusually many rows");
    story.at(14 * DAY).run("etl/r14 succeeded").expect("");
    story.at(15 * DAY).run("etl/r15 succeeded rows=1001");
    story.expect("1296000 slack resolve: etl wrote unusually many rows\n1296000 #1 resolved");
}

#[test]
fn too_little_history_says_so() {
    let mut story = Story::new(json!({"rules": [{"name": "rows", "when": {"rows_unusual": {"mode": "alert"}}}]}));
    story.at(1).run("etl/r1 succeeded rows=1000").at(2).run("etl/r2 succeeded rows=1").expect("");
    assert!(story.why().contains("1 counts to compare with, 8 are needed"), "{}", story.why());
    story.at(3).run("etl/r3 succeeded").expect("");
    assert!(story.why().contains("the run did not report its rows"), "{}", story.why());
}

#[test]
fn a_source_whose_events_come_late_is_told_once() {
    let mut story = Story::new(json!({"rules": [
        {"name": "late", "match": {"source": "air*"}, "when": {"late_events": {"over": "10m"}}, "severity": "warning"}]}));
    story.at(1000).happened(995).run("etl/r1 started").expect("");
    assert!(story.why().contains("accepted 5s after it happened, 10m are allowed"), "{}", story.why());
    story.at(2000).happened(1000).run("etl/r1 succeeded").happened(1100).run("etl/r2 started");
    story.expect("2000 hook trigger: Events of airflow come late");
    // A backlog that comes between fresh events is one problem.
    for second in 0..10 {
        story.at(2100 + second * 100).happened(1200 + second).run("etl/r3 started");
        story.at(2110 + second * 100).run("etl/r4 started");
    }
    story.expect("");
    assert!(story.why().contains("but a late one came as late as"), "{}", story.why());
    story.at(3400).run("etl/r3 succeeded");
    story.expect("3400 hook resolve: Events of airflow come late\n3400 #1 resolved");
}
