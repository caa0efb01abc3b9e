//! The Slack doors on what Airflow's Slack provider really sent, and on the shapes other notifiers use.

use crate::samples::{delivered, fresh, lines};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::{Value, json};
use trackside_connect::door::{Answer, AnswerBody, Delivered};
use trackside_connect::slack::door::{
    parse_post_message, parse_webhook, post_message_accepted, post_message_refused, webhook_accepted, webhook_refused,
};
use trackside_core::event::{Event, Fact, Message};

fn message(event: &Event) -> &Message {
    match &event.fact {
        Some(Fact::Message(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn form() -> HeaderMap {
    let value = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    HeaderMap::from_iter([(CONTENT_TYPE, value)])
}

#[track_caller]
fn webhook(body: &str) -> Message {
    message(&parse_webhook(&delivered(body.as_bytes()), fresh()).unwrap()[0]).clone()
}

#[test]
fn what_airflows_provider_sent_is_understood() {
    let mut seen = Vec::new();
    for recording in ["webhook", "webhook-2.9.2", "api"] {
        for line in lines(&format!("airflow/slack/{recording}.jsonl")) {
            let request: Value = serde_json::from_str(&line).unwrap();
            let body = request["body"].to_string();
            let read = if recording == "api" { parse_post_message } else { parse_webhook };
            let event = read(&delivered(body.as_bytes()), fresh()).unwrap().remove(0);
            seen.push(json!({"resource": event.resource, "message": message(&event), "payload": event.payload}));
        }
    }
    insta::assert_json_snapshot!(seen);
}

#[test]
fn webhooks_take_json_and_forms() {
    assert_eq!(webhook(r#"{"text":"hi","channel":"C1"}"#).channel.as_deref(), Some("C1"));
    assert_eq!(webhook("payload=%7B%22text%22%3A%22a+b%22%7D").text, "a b");
    let headers = form();
    let body = Delivered { headers: &headers, ..delivered(b"x=1&payload=%7B%22text%22%3A%22hi%22%7D") };
    assert_eq!(message(&parse_webhook(&body, fresh()).unwrap()[0]).text, "hi");
    let text = webhook(r#"{"attachments":[{"fallback":"disk full on db1","color":"danger"}],"token":"t"}"#);
    assert_eq!((text.text.as_str(), &text.blocks["attachments"][0]["color"]), ("disk full on db1", &json!("danger")));
    let blocks =
        webhook(r#"{"blocks":[{"type":"header","text":{"type":"plain_text","text":"Down"}},{"type":"divider"}]}"#);
    assert_eq!((blocks.text.as_str(), blocks.blocks["blocks"].as_array().unwrap().len()), ("Down", 2));
    let secret = webhook(r#"{"text":"see postgres://u:pw@h/d","attachments":[{"text":"Bearer abcdef123456"}]}"#);
    assert_eq!(secret.text, "see postgres://u:[redacted]@h/d");
    assert_eq!(secret.blocks["attachments"][0]["text"], "Bearer [redacted]");
}

#[test]
fn calls_take_json_and_forms() {
    let headers = form();
    let body = b"token=xoxb-1&channel=%23data&text=hi&blocks=%5B%7B%22type%22%3A%22divider%22%7D%5D&attachments=";
    let events =
        parse_post_message(&Delivered { headers: &headers, team: Some("web"), ..delivered(body) }, fresh()).unwrap();
    let sent = message(&events[0]);
    assert_eq!(
        (sent.text.as_str(), sent.channel.as_deref(), sent.owners.as_slice()),
        ("hi", Some("#data"), &["web".to_owned()][..])
    );
    assert_eq!(sent.blocks, json!({"blocks": [{"type": "divider"}]}));
    assert!(!serde_json::to_string(&events).unwrap().contains("xoxb"));
    assert_eq!(
        post_message_accepted(&events),
        Answer {
            status: 200,
            body: AnswerBody::Json(json!({"ok": true, "channel": "#data", "ts": "1795197600.000000",
                "message": {"type": "message", "text": "hi", "ts": "1795197600.000000"}})),
        }
    );
    assert_eq!(webhook_accepted().body, AnswerBody::Text("ok".into()));
}

#[test]
fn refusals_use_slacks_words() {
    let check = |body: &str, webhook_word: &'static str, api_word: &str| {
        let reject = parse_webhook(&delivered(body.as_bytes()), fresh()).unwrap_err();
        let expect = Answer { status: 400, body: AnswerBody::Text(webhook_word.into()) };
        assert_eq!(webhook_refused(&reject), expect, "{body}: {reject}");
        let body = body.replacen('{', "{\"channel\":\"C1\",", 1).replace(",}", "}");
        let reject = parse_post_message(&delivered(body.as_bytes()), fresh()).unwrap_err();
        let AnswerBody::Json(said) = post_message_refused(&reject).body else { panic!() };
        assert_eq!((&said["ok"], &said["error"]), (&json!(false), &json!(api_word)), "{body}: {reject}");
    };
    check("{}", "no_text", "no_text");
    check(r#"{"text":" "}"#, "no_text", "no_text");
    check(r#"{"text":"","blocks":[],"attachments":"[]"}"#, "no_text", "no_text");
    check("{not json", "invalid_payload", "invalid_json");
    check(r#"{"text":7}"#, "invalid_payload", "invalid_json");
    check(r#"{"blocks":{}}"#, "invalid_blocks", "invalid_blocks");
    check(r#"{"blocks":"[1]"}"#, "invalid_blocks", "invalid_blocks");
    check(r#"{"text":"x","attachments":"{"}"#, "invalid_attachments", "invalid_attachments");
    check(&json!({"text": "x".repeat(40_001)}).to_string(), "msg_too_long", "msg_too_long");
    let reject = parse_post_message(&delivered(br#"{"text":"x"}"#), fresh()).unwrap_err();
    assert!(reject.problem.starts_with("channel_not_found"));
    let headers = form();
    let body = Delivered { headers: &headers, ..delivered(b"text=hi") };
    assert!(parse_webhook(&body, fresh()).unwrap_err().problem.starts_with("invalid_payload"));
}
