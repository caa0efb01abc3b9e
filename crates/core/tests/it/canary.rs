//! Stories of test alerts: they go out on time, their arrival is noted, and one that is lost is told another way.

use crate::scenario::Story;
use serde_json::json;

fn tested() -> Story {
    Story::new(json!({
        "teams": {"payments": {}, "platform": {"notify": [{"via": "slack"}]}},
        "connections": {
            "pd": {"kind": "pagerduty", "updates": "raised"},
            "slack": {"kind": "slack", "updates": "every"},
            "mail": {"kind": "email", "updates": "raised"},
            "hook": {"kind": "webhook", "updates": "raised"}
        },
        "canary": {"connections": ["pd", "slack"], "every": "1h", "timeout": "2m"}
    }))
}

#[test]
fn a_test_that_arrives_is_followed_by_the_next_and_resolved_at_pagerduty() {
    let mut story = tested();
    story.at(10).expect(
        "0 pd test: Trackside test alert: nothing is wrong
         0 slack test: Trackside test alert: nothing is wrong",
    );
    story.delivered("pd").expect("10 pd resolve: Test arrived");
    story.delivered("slack").at(3599).expect("").at(3600).expect(
        "3600 pd test: Trackside test alert: nothing is wrong
         3600 slack test: Trackside test alert: nothing is wrong",
    );
    story.check_replay();
}

#[test]
fn a_test_that_is_lost_is_told_another_way_until_one_arrives() {
    let mut story = tested();
    story.at(10).expect(
        "0 pd test: Trackside test alert: nothing is wrong
         0 slack test: Trackside test alert: nothing is wrong",
    );
    story.delivered("pd").expect("10 pd resolve: Test arrived");
    story.at(120).expect("120 hook trigger: Test alerts through slack do not arrive");
    story.at(3600).expect(
        "3600 pd test: Trackside test alert: nothing is wrong
         3600 slack test: Trackside test alert: nothing is wrong",
    );
    story.delivered("slack").expect(
        "3600 hook resolve: Test alerts through slack do not arrive
         3600 #1 resolved",
    );
    story.check_replay();
}
