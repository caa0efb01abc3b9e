use super::*;
use crate::far_end::request;
use crate::far_end::tests::{now, shown, slack_api, slack_webhook};
use crate::template::{sample_effect, sample_question};
use proptest::prelude::*;

fn body(effect: &Effect) -> Value {
    let request = request(&slack_webhook(), effect, None, now()).unwrap();
    let Wire::Http(http) = request.wire else { panic!("not HTTP") };
    serde_json::from_str(&http.body).unwrap()
}

fn units(value: &Value) -> usize {
    value.as_str().unwrap().encode_utf16().count()
}

#[test]
fn text_is_escaped_and_cut_as_the_vectors_say() {
    let vectors: Value = serde_json::from_str(include_str!("../../../../../testdata/oncall/slack_text.json")).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let (id, input) = (&case["id"], case["input"].as_str().unwrap());
        match case["mrkdwn"].as_str() {
            Some("non-empty") => {
                let message = passed_on(input, &Value::Null);
                assert!(!message["text"].as_str().unwrap().is_empty(), "{id}");
            }
            Some(expect) => assert_eq!(slack_escape(input), expect, "{id}"),
            None if case["header_max"].is_u64() => {
                let cut = truncate_utf16(input, HEADER_CHARS);
                assert!(cut.chars().count() <= 150 && cut.len() < input.len(), "{id}");
            }
            None => {
                let section = section(&slack_escape(input));
                let text = section["text"]["text"].as_str().unwrap();
                assert!(text.chars().count() <= 3_000, "{id}");
                let whole = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
                assert!(!whole.contains('&'), "{id}");
                assert!(text.ends_with('…'), "{id}");
            }
        }
    }
}

#[test]
fn a_new_problem_is_a_message_with_blocks_and_metadata() {
    let request = request(&slack_api("#data-alerts"), &sample_effect(Action::Trigger, now()), None, now()).unwrap();
    insta::assert_json_snapshot!(shown(&request));
}

#[test]
fn the_end_is_an_edit_an_answer_in_the_thread_and_a_post_when_the_message_is_gone() {
    let effect = sample_effect(Action::Resolve, now());
    let request = request(&slack_api("#data-alerts"), &effect, Some("C0123456789:1795190000.000100"), now()).unwrap();
    insta::assert_json_snapshot!(shown(&request));
}

/// The connection with an app that tells back what is pressed.
fn with_buttons(channel: &str) -> Connection {
    Connection { acting: Acting::Buttons, ..slack_api(channel) }
}

#[test]
fn a_reminder_edits_the_message_and_tells_the_whole_channel_in_its_thread() {
    let effect = sample_effect(Action::Remind, now());
    let previous = Some("C0123456789:1795190000.000100");
    let request = request(&with_buttons("#data-alerts"), &effect, previous, now()).unwrap();
    insta::assert_json_snapshot!(shown(&request));
}

#[test]
fn buttons_are_there_when_what_is_pressed_comes_back() {
    let ids = |connection: &Connection, action: Action| -> Vec<String> {
        let mut effect = sample_effect(action, now());
        effect.notice.incident.as_mut().unwrap().reopened = 2;
        let shown = shown(&request(connection, &effect, None, now()).unwrap());
        let blocks = shown["body"]["blocks"].as_array().unwrap().clone();
        let block = blocks.iter().find(|block| block["type"] == "actions");
        let elements = block.map(|block| block["elements"].as_array().unwrap().clone()).unwrap_or_default();
        let value = format!("{}.2", effect.incident.unwrap());
        assert!(elements.iter().all(|element| element["value"] == value.as_str()));
        elements.iter().map(|element| element["action_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["trackside.acknowledge", "trackside.snooze_1h", "trackside.escalate", "trackside.resolve"];
    assert_eq!(ids(&with_buttons("#a"), Action::Trigger), all);
    assert_eq!(ids(&with_buttons("#a"), Action::Acknowledge), all[1..]);
    assert_eq!(ids(&with_buttons("#a"), Action::Resolve), [""; 0]);
    assert_eq!(ids(&slack_api("#a"), Action::Trigger), [""; 0]);
}

#[test]
fn a_question_has_two_buttons_until_it_is_decided() {
    let connection = with_buttons("#data-alerts");
    let mut asked = sample_question(Action::Trigger, now());
    insta::assert_json_snapshot!(shown(&request(&connection, &asked, None, now()).unwrap()));
    asked.action = Action::Resolve;
    let approval = asked.notice.approval.as_mut().unwrap();
    approval.state = "denied".to_owned();
    asked.notice.summary = "denied by bob: not on a Friday".to_owned();
    let decided = request(&connection, &asked, Some("C0123456789:1795190000.000100"), now()).unwrap();
    insta::assert_json_snapshot!(shown(&decided));
}

#[test]
fn an_address_of_the_effect_takes_the_channels_place() {
    let mut effect = sample_effect(Action::Trigger, now());
    effect.to = Some("U061F7AUR".to_owned());
    let shown = shown(&request(&slack_api("#data-alerts"), &effect, None, now()).unwrap());
    assert_eq!(shown["body"]["channel"], "U061F7AUR");
    let error = request(&slack_webhook(), &effect, None, now()).unwrap_err().to_string();
    assert!(error.contains("cannot send to `U061F7AUR`") && error.contains("`token` and `channel`"), "{error}");
    let error = request(&crate::far_end::tests::pagerduty(), &effect, None, now()).unwrap_err().to_string();
    assert!(error.contains("leads to one service"), "{error}");
}

#[test]
fn a_mention_in_an_error_notifies_nobody() {
    let mut effect = sample_effect(Action::Trigger, now());
    effect.notice.summary = "<!channel> & <@U1>".to_owned();
    effect.notice.run.as_mut().unwrap().error = Some("```<!here>```".to_owned());
    effect.notice.title = "<!everyone>".to_owned();
    let body = body(&effect).to_string();
    for mention in ["<!channel>", "<@U1>", "<!here>", "```<"] {
        assert!(!body.contains(mention), "{mention}: {body}");
    }
    // The header is plain text, which Slack does not parse; the text for notifications is parsed.
    assert!(body.contains("&lt;!everyone&gt;"));
}

#[test]
fn a_message_of_another_program_is_passed_on_as_it_came() {
    let mut effect = sample_effect(Action::Message, now());
    let message = |blocks: Value| trackside_core::event::Message {
        text: "*raw* <https://x.example|link>".to_owned(),
        channel: None,
        blocks,
        owners: Vec::new(),
    };
    for (blocks, expect) in [
        (Value::Null, json!({ "text": "*raw* <https://x.example|link>" })),
        (
            json!([{ "type": "divider" }]),
            json!({ "text": "*raw* <https://x.example|link>", "blocks": [{ "type": "divider" }] }),
        ),
        (
            json!([{ "color": "red" }]),
            json!({ "text": "*raw* <https://x.example|link>", "attachments": [{ "color": "red" }] }),
        ),
        (
            json!({ "blocks": [], "attachments": [{ "color": "red" }] }),
            json!({ "text": "*raw* <https://x.example|link>", "attachments": [{ "color": "red" }] }),
        ),
    ] {
        effect.notice.passthrough = Some(message(blocks));
        assert_eq!(body(&effect), expect);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_notice_stays_within_the_limits(
        title in ".{0,400}", summary in "[&<>`a😀 ]{0,5000}", error in "[&<>`a😀 \n]{0,5000}", text in ".{0,2000}",
    ) {
        let mut effect = sample_effect(Action::Trigger, now());
        effect.notice.title = title;
        effect.notice.summary = summary;
        effect.notice.run.as_mut().unwrap().error = Some(error);
        effect.notice.links = vec![trackside_core::event::Link { text, href: "https://x.example/a?b=1&c=<2>|3".to_owned() }];
        effect.notice.passthrough = None;
        let body = body(&effect);
        prop_assert!((1..=TEXT_CHARS).contains(&units(&body["text"])));
        let blocks = body["blocks"].as_array().unwrap();
        prop_assert!((1..=HEADER_CHARS).contains(&units(&blocks[0]["text"]["text"])));
        prop_assert!((1..=SECTION_CHARS).contains(&units(&blocks[1]["text"]["text"])));
    }
}
