use crate::far_end::tests::{now, pagerduty, shown};
use crate::far_end::{Wire, request};
use crate::template::sample_effect;
use proptest::prelude::*;
use serde_json::Value;
use trackside_core::effect::{Action, Effect};

fn body(effect: &Effect) -> Value {
    let request = request(&pagerduty(), effect, None, now()).unwrap();
    let Wire::Http(http) = request.wire else { panic!("not HTTP") };
    assert!(http.body.len() <= super::BODY_BYTES, "{}", http.body.len());
    serde_json::from_str(&http.body).unwrap()
}

#[test]
fn a_trigger_tells_what_where_and_whose() {
    let request = request(&pagerduty(), &sample_effect(Action::Trigger, now()), None, now()).unwrap();
    insta::assert_json_snapshot!(shown(&request));
}

#[test]
fn acknowledge_and_resolve_need_the_key_only() {
    for (action, word) in [(Action::Acknowledge, "acknowledge"), (Action::Resolve, "resolve")] {
        let body = body(&sample_effect(action, now()));
        assert_eq!(body["event_action"], word);
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    }
}

#[test]
fn a_test_says_that_it_is_one() {
    let body = body(&sample_effect(Action::Test, now()));
    assert_eq!(body["payload"]["class"], "test");
    assert!(body["payload"]["summary"].as_str().unwrap().starts_with("Test: "), "{body}");
}

#[test]
fn details_give_way_when_the_body_is_too_large() {
    let mut effect = sample_effect(Action::Trigger, now());
    effect.notice.details = [("log".to_owned(), "x".repeat(600_000))].into();
    let cut = body(&effect);
    assert!(cut["payload"]["custom_details"]["log"].as_str().unwrap().ends_with('…'));
    assert!(cut["payload"]["custom_details"]["owner"].is_string());
    effect.notice.details = (0..2_000).map(|n| (format!("k{n}"), "x".repeat(900))).collect();
    assert!(body(&effect)["payload"]["custom_details"]["note"].is_string());
}

#[test]
fn a_key_that_is_too_long_is_replaced_by_one_derived_from_it() {
    let mut effect = sample_effect(Action::Trigger, now());
    effect.key = "k".repeat(256);
    let (first, second) = (body(&effect)["dedup_key"].clone(), body(&effect)["dedup_key"].clone());
    assert_eq!(first, second);
    assert!(first.as_str().unwrap().len() <= 255);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_notice_stays_within_the_limits(title in ".{0,3000}", summary in ".{0,300}", error in ".{0,3000}", links in 0_usize..40) {
        let mut effect = sample_effect(Action::Trigger, now());
        effect.notice.title = title;
        effect.notice.summary = summary;
        effect.notice.run.as_mut().unwrap().error = Some(error);
        effect.notice.links = (0..links)
            .map(|n| trackside_core::event::Link { text: "x".to_owned(), href: format!("https://x.example/{n}") })
            .collect();
        let body = body(&effect);
        let summary = body["payload"]["summary"].as_str().unwrap();
        prop_assert!(!summary.is_empty() && summary.chars().count() <= super::SUMMARY_CHARS);
    }
}
