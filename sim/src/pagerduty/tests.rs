use super::*;
use jiff::Timestamp;

fn pagerduty() -> Pagerduty {
    Pagerduty::new(Journal::new(|| Timestamp::UNIX_EPOCH))
}

fn enqueue(far_end: &Pagerduty, body: &[u8]) -> (u16, Value) {
    let headers = hyper::HeaderMap::new();
    let asked = Asked { method: &Method::POST, path: "/v2/enqueue", query: "", headers: &headers, body };
    let reply = far_end.reply(&asked);
    (reply.status, serde_json::from_str(&reply.body).unwrap_or_default())
}

/// Where this far end is stricter than PagerDuty on purpose: what PagerDuty cuts or guesses, Trackside must not send.
const STRICTER: [&str; 2] = ["pd-27", "pd-34"];

#[test]
fn events_are_accepted_and_refused_as_documented() {
    let vectors = include_str!("../../../testdata/oncall/pd_events_v2.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let body = match (id, case["raw_body"].as_str()) {
            (_, Some(raw)) => raw.as_bytes().to_vec(),
            ("pd-41", _) => padded(524_288),
            ("pd-42", _) => padded(524_289),
            _ => case["body"].to_string().into_bytes(),
        };
        let (status, reply) = enqueue(&pagerduty(), &body);
        let expect = if STRICTER.contains(&id) { json!(400) } else { case["expect"]["status"].clone() };
        assert_eq!(json!(status), expect, "{id}: {reply}");
        match status {
            202 => assert!(reply["dedup_key"].as_str().is_some_and(|key| !key.is_empty()), "{id}: {reply}"),
            400 => assert!(!reply["errors"].as_array().unwrap().is_empty(), "{id}: {reply}"),
            _ => {}
        }
    }
}

/// A trigger of exactly `bytes` bytes.
fn padded(bytes: usize) -> Vec<u8> {
    let event = |pad: &str| {
        json!({
            "routing_key": "0123456789abcdef0123456789abcdef",
            "event_action": "trigger",
            "payload": { "summary": "s", "source": "x", "severity": "info", "custom_details": { "pad": pad } },
        })
        .to_string()
    };
    let pad = "x".repeat(bytes - event("").len());
    event(&pad).into_bytes()
}

#[test]
fn a_resolve_is_journalled_with_the_summary_of_its_alert_and_a_repeat_is_counted() {
    let far_end = pagerduty();
    let send = |event: Value| {
        let mut event = event;
        event["routing_key"] = json!("0123456789abcdef0123456789abcdef");
        event["dedup_key"] = json!("k");
        assert_eq!(enqueue(&far_end, event.to_string().as_bytes()).0, 202);
    };
    send(json!({ "event_action": "trigger", "payload": { "summary": "it broke", "source": "x", "severity": "info" } }));
    send(json!({ "event_action": "resolve" }));
    send(json!({ "event_action": "resolve" }));
    let journal = far_end.journal.arrivals();
    let seen: Vec<_> = journal.iter().map(|a| (a.action.as_str(), a.summary.as_str(), a.times)).collect();
    assert_eq!(seen, [("trigger", "it broke", 1), ("resolve", "it broke", 2)]);
}

#[test]
fn deduplication_is_by_routing_key_and_key_of_open_alerts() {
    let vectors = include_str!("../../../testdata/oncall/pd_dedup.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let far_end = pagerduty();
        for event in case["events"].as_array().unwrap() {
            let text = |name: &str| event[name].as_str().unwrap();
            let payload = json!({ "summary": "s", "severity": "error" });
            far_end.apply(text("routing_key"), text("dedup_key"), text("event_action"), &payload);
        }
        let alerts: Vec<_> = far_end
            .alerts()
            .iter()
            .map(|a| json!({ "key": a.dedup_key, "rk": a.routing_key, "triggers": a.triggers, "status": a.status }))
            .collect();
        assert_eq!(json!(alerts), case["alerts"], "{}", case["id"]);
    }
}
