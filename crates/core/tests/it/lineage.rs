//! Stories of failures and delays that come from upstream.

use crate::scenario::Story;
use serde_json::json;

/// `load_orders` writes orders, `report` reads orders and writes figures, `mail` reads figures.
fn story(rules: serde_json::Value) -> Story {
    let mut story = Story::new(rules);
    story.at(0).run("load_orders/r0 succeeded writes=warehouse/orders");
    story.run("report/r0 succeeded reads=warehouse/orders writes=warehouse/figures");
    story.run("mail/r0 succeeded reads=warehouse/figures");
    story.expect("");
    story
}

fn failed() -> Story {
    story(json!({"rules": [{"name": "failed", "when": {"failed": {}}}]}))
}

fn affected(story: &Story) -> Vec<String> {
    let all = story.state.open_incidents().flat_map(|incident| {
        incident.affected.iter().map(|one| format!("#{} {}: {}", incident.number, one.pipeline.name, one.because))
    });
    all.collect()
}

#[test]
fn a_failure_downstream_joins_the_incident_of_its_cause() {
    let mut story = failed();
    story.at(10).run("load_orders/r1 failed");
    story.expect("10 pd trigger: load_orders failed\n10 slack trigger: load_orders failed");
    story.at(20).run("report/r1 failed");
    insta::assert_snapshot!(story.why(), @r"
    run r1 of report failed
      failed: Fires: every failure fires it
      => collected into incident #1, which is open; report reads warehouse/orders, which load_orders writes; told with the next update, at 2026-11-20T00:05:10Z
    ");
    // Through a healthy pipeline in between, too.
    story.at(30).run("mail/r1 failed").expect("");
    assert_eq!(
        affected(&story),
        [
            "#1 report: report reads warehouse/orders, which load_orders writes",
            "#1 mail: mail reads warehouse/figures, which report writes",
        ]
    );
    // All are well again, the one that was affected first.
    story.at(40).run("mail/r2 succeeded");
    assert!(story.why().contains("mail is well again before what it depends on"), "{}", story.why());
    assert_eq!(affected(&story).len(), 1);
    story.at(50).run("report/r2 succeeded").expect("");
    assert_eq!(affected(&story).len(), 0);
    story.at(60).run("load_orders/r2 succeeded");
    story.expect("60 pd resolve: load_orders failed\n60 slack resolve: load_orders failed\n60 #1 resolved");
}

#[test]
fn what_still_fails_when_the_cause_is_over_gets_its_own_incident() {
    let mut story = failed();
    story.at(10).run("load_orders/r1 failed").at(20).run("report/r1 failed").at(30).run("mail/r1 failed");
    story.expect("10 pd trigger: load_orders failed\n10 slack trigger: load_orders failed");
    // `mail` comes first by name, but it depends on `report`: one incident, not two.
    story.at(60).run("load_orders/r2 succeeded");
    story.expect(
        "60 pd resolve: load_orders failed
         60 slack resolve: load_orders failed
         60 pd trigger: report still fails
         60 slack trigger: report still fails
         60 #1 resolved",
    );
    assert_eq!(affected(&story), ["#2 mail: mail reads warehouse/figures, which report writes"]);
    story.at(70).run("report/r2 succeeded");
    story.expect(
        "70 pd resolve: report still fails
         70 slack resolve: report still fails
         70 pd trigger: mail still fails
         70 slack trigger: mail still fails
         70 #2 resolved",
    );
    story.at(80).run("mail/r2 succeeded");
    story.expect("80 pd resolve: mail still fails\n80 slack resolve: mail still fails\n80 #3 resolved");
}

#[test]
fn a_pipeline_that_is_late_joins_too() {
    let mut story = story(json!({"rules": [
        {"name": "failed", "when": {"failed": {}}},
        {"name": "late", "match": {"pipeline": "report"}, "when": {"missing": {"every": "1h"}}}]}));
    story.at(3000).run("load_orders/r1 failed");
    story.expect("3000 pd trigger: load_orders failed\n3000 slack trigger: load_orders failed");
    story.at(3601).expect("3600 slack update: load_orders failed");
    assert_eq!(affected(&story), ["#1 report: report reads warehouse/orders, which load_orders writes"]);
    story.at(4000).run("load_orders/r2 succeeded");
    story.expect(
        "4000 pd resolve: load_orders failed
         4000 slack resolve: load_orders failed
         4000 pd trigger: report is still late
         4000 slack trigger: report is still late
         4000 #1 resolved",
    );
    story.at(4100).run("report/r1 succeeded");
    story.expect("4100 pd resolve: report is still late\n4100 slack resolve: report is still late\n4100 #2 resolved");
}

#[test]
fn circles_and_pipelines_that_read_what_they_write_end() {
    let mut story = Story::new(json!({"rules": [{"name": "failed", "when": {"failed": {}}}]}));
    story.at(0).run("a/r0 succeeded reads=w/z,w/x writes=w/x").run("b/r0 succeeded reads=w/x writes=w/y");
    story.run("c/r0 succeeded reads=w/y writes=w/z").expect("");
    story.at(10).run("b/r1 failed").run("c/r1 failed").run("a/r1 failed");
    story.expect("10 pd trigger: b failed\n10 slack trigger: b failed");
    story.at(20).run("b/r2 succeeded");
    story.expect(
        "20 pd resolve: b failed
         20 slack resolve: b failed
         20 pd trigger: a still fails
         20 slack trigger: a still fails
         20 #1 resolved",
    );
    assert_eq!(affected(&story), ["#2 c: c reads w/y, which b writes; b reads w/x, which a writes"]);
}

#[test]
fn what_was_configured_counts_and_what_was_long_not_read_does_not() {
    let mut story = Story::new(json!({
        "rules": [{"name": "failed", "when": {"failed": {}}}],
        "upstreams": [{"match": {"pipeline": "ml_*"}, "on": ["airflow/features"]}]}));
    story.at(0).run("features/r0 succeeded writes=w/features").run("old/r0 succeeded reads=w/features");
    story.at(1).run("features/r1 failed").run("ml_churn/r1 failed");
    story.expect("1 pd trigger: features failed\n1 slack trigger: features failed");
    assert_eq!(affected(&story), ["#1 ml_churn: ml_churn depends on features, as configured"]);
    // It has run for a month and reads something else.
    let month = 31 * 86_400;
    story.at(month).run("features/r2 failed writes=w/features").run("old/r1 failed reads=w/other");
    story.expect(
        "301 slack update: features failed
         2678400 slack update: features failed 2 times
         2678400 pd trigger: old failed
         2678400 slack trigger: old failed",
    );
}

#[test]
fn the_work_for_one_failure_is_bounded() {
    let mut story = Story::new(json!({"rules": [{"name": "failed", "when": {"failed": {}}}]}));
    // Every one of 100 pipelines reads what 60 others write: 6,000 dependencies.
    for n in 0..100 {
        let reads: Vec<String> = (1..=60).map(|step| format!("w/{}", (n + step) % 100)).collect();
        story.at(n).run(&format!("p{n}/r0 succeeded reads={} writes=w/{n}", reads.join(",")));
    }
    story.at(200).run("p0/r1 failed").run("p50/r1 failed");
    story.expect("200 pd trigger: p0 failed\n200 slack trigger: p0 failed");
    assert_eq!(affected(&story), ["#1 p50: p50 reads w/0, which p0 writes"]);
}
