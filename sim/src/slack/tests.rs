use super::*;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use jiff::Timestamp;

fn slack() -> Slack {
    Slack::new(Journal::new(|| Timestamp::UNIX_EPOCH), "xoxb-t")
}

fn ask(far_end: &Slack, path: &str, query: &str, body: &Value) -> (u16, Value) {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer xoxb-t"));
    let body = body.to_string();
    let asked = Asked { method: &Method::POST, path, query, headers: &headers, body: body.as_bytes() };
    let reply = far_end.reply(&asked);
    (reply.status, serde_json::from_str(&reply.body).unwrap_or_else(|_| Value::from(reply.body)))
}

#[test]
fn a_message_is_posted_edited_answered_and_found_again() {
    let far_end = slack();
    let metadata = json!({ "event_type": "t", "event_payload": { "delivery": "d1" } });
    let post = json!({ "channel": "#data", "text": "one", "metadata": metadata });
    let (_, posted) = ask(&far_end, "/api/chat.postMessage", "", &post);
    let (channel, ts) = (posted["channel"].as_str().unwrap(), posted["ts"].as_str().unwrap());
    let edit = json!({ "channel": channel, "ts": ts, "text": "two" });
    assert_eq!(ask(&far_end, "/api/chat.update", "", &edit).1["ok"], true);
    let reply = json!({ "channel": channel, "thread_ts": ts, "text": "three" });
    assert_eq!(ask(&far_end, "/api/chat.postMessage", "", &reply).1["ok"], true);
    let query = format!("channel={channel}&oldest=0&include_all_metadata=true");
    let (_, history) = ask(&far_end, "/api/conversations.history", &query, &Value::Null);
    assert_eq!(history["messages"].as_array().unwrap().len(), 1);
    assert_eq!(history["messages"][0]["metadata"], metadata);
    assert_eq!(history["messages"][0]["text"], "two");
    let (_, replies) = ask(&far_end, "/api/conversations.replies", &format!("{query}&ts={ts}"), &Value::Null);
    assert_eq!(replies["messages"].as_array().unwrap().len(), 2);
    far_end.delete(ts);
    assert_eq!(ask(&far_end, "/api/chat.update", "", &edit).1["error"], "message_not_found");
}

#[test]
fn what_slack_refuses_is_refused() {
    let long = "x".repeat(3_001);
    let section = |text: &str| json!([{ "type": "section", "text": { "type": "mrkdwn", "text": text } }]);
    let header = json!([{ "type": "header", "text": { "type": "plain_text", "text": "x".repeat(151) } }]);
    for (body, error) in [
        (json!({ "channel": "#a" }), "no_text"),
        (json!({ "channel": "#a", "text": "x".repeat(40_001) }), "msg_too_long"),
        (json!({ "channel": "#a", "text": "t", "blocks": section(&long) }), "invalid_blocks"),
        (json!({ "channel": "#a", "text": "t", "blocks": section("") }), "invalid_blocks"),
        (json!({ "channel": "#a", "text": "t", "blocks": header }), "invalid_blocks"),
        (json!({ "channel": "#a", "text": "t", "blocks": "[]" }), "invalid_blocks_format"),
        (json!({ "channel": "", "text": "t" }), "channel_not_found"),
        (json!({ "channel": "#a", "text": "t", "thread_ts": "1.1" }), "thread_not_found"),
    ] {
        let (status, reply) = ask(&slack(), "/api/chat.postMessage", "", &body);
        assert_eq!((status, reply["error"].as_str()), (200, Some(error)), "{body}");
    }
    assert_eq!(ask(&slack(), "/services/T/B/x", "", &json!({})), (400, json!("no_text")));
    assert_eq!(ask(&slack(), "/services/T/B/x", "", &json!({ "text": "t" })), (200, json!("ok")));
    assert_eq!(ask(&slack(), "/services/T", "", &json!({ "text": "t" })).0, 404);
}
