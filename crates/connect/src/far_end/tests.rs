use super::*;
use crate::connection::address::HttpUrl;
use crate::connection::{Acting, PrefectAuth};
use crate::email::{MailServer, Mailbox};
use crate::template::{MessageTemplates, sample_effect};
use serde_json::{Value, json};
use trackside_core::effect::Action;
use trackside_core::ruleset::ConnectionKind;

pub(crate) fn now() -> Timestamp {
    "2026-11-20T16:40:00Z".parse().unwrap()
}

pub(crate) fn connection(target: Target) -> Connection {
    Connection {
        name: "under-test".to_owned(),
        public_url: Some("https://trackside.example.net".to_owned()),
        message: MessageTemplates::default(),
        acting: Acting::default(),
        target,
    }
}

pub(crate) fn pagerduty() -> Connection {
    connection(Target::Pagerduty {
        url: "https://events.pagerduty.com".to_owned(),
        routing_key: SecretString::from("0123456789abcdef0123456789abcdef"),
    })
}

pub(crate) fn slack_api(channel: &str) -> Connection {
    connection(Target::SlackApi {
        api_url: "https://slack.com/api".to_owned(),
        token: SecretString::from("xoxb-s3cret"),
        channel: channel.to_owned(),
    })
}

pub(crate) fn slack_webhook() -> Connection {
    connection(Target::SlackWebhook { url: SecretString::from("https://hooks.slack.com/services/T0/B0/s3cret") })
}

pub(crate) fn webhook() -> Connection {
    connection(Target::Webhook {
        url: HttpUrl::try_from("https://example.net/in".to_owned()).unwrap(),
        secrets: vec![SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
    })
}

pub(crate) fn prefect() -> Connection {
    let auth = Some(PrefectAuth::Key(SecretString::from("pnu_s3cret")));
    connection(Target::Prefect { api: "https://prefect.example.net/api".to_owned(), auth })
}

pub(crate) fn email() -> Connection {
    let mailbox = |text: &str| Mailbox::try_from(text.to_owned()).unwrap();
    connection(Target::Email {
        server: MailServer::try_from("smtp://mail.example.net".to_owned()).unwrap(),
        login: Some((SecretString::from("user"), SecretString::from("s3cret"))),
        from: mailbox("Trackside <trackside@example.net>"),
        to: vec![mailbox("ana@example.net")],
    })
}

/// The request for people, its JSON body opened for a readable snapshot.
pub(crate) fn shown(request: &Request) -> Value {
    let shown = request.shown();
    let body = serde_json::from_str(&shown.body).unwrap_or(Value::from(shown.body.clone()));
    let mut value =
        json!({ "line": format!("{} {}", shown.method, shown.url), "headers": shown.headers, "body": body });
    if let Some(note) = &request.note {
        value["note"] = json!(note);
    }
    for (name, part) in [("then", &request.then), ("otherwise", &request.otherwise)] {
        if let Some(part) = part {
            value[name] = self::shown(part);
        }
    }
    value
}

fn answer(status: u16, body: &str) -> Answer {
    Answer::Response { status, headers: Vec::new(), body: body.to_owned() }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done { .. } => "done",
        Verdict::Retry { .. } => "retry",
        Verdict::Refused { .. } => "refused",
        Verdict::Unknown { .. } => "unknown",
    }
}

fn check(connection: &Connection, cases: &[(u16, &str, &str)]) {
    let effect = sample_effect(Action::Trigger, now());
    let request = request(connection, &effect, None, now()).unwrap();
    for (status, body, expect) in cases {
        let verdict = classify(connection, &request, &answer(*status, body), now());
        assert_eq!(word(&verdict), *expect, "{:?} {status} {body}: {verdict:?}", connection.kind());
    }
}

#[test]
fn answers_are_told_apart_by_what_they_mean() {
    check(
        &pagerduty(),
        &[
            (202, r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#, "done"),
            (200, r#"{"status":"success","dedup_key":"k"}"#, "done"),
            (200, "<html>sign in</html>", "refused"),
            (302, "", "refused"),
            (400, r#"{"status":"invalid event","errors":["x"]}"#, "refused"),
            (408, "", "retry"),
            (429, "", "retry"),
            (500, "", "retry"),
            (503, "", "retry"),
        ],
    );
    check(
        &slack_webhook(),
        &[
            (200, "ok", "done"),
            (200, "<html>sign in</html>", "refused"),
            (400, "invalid_payload", "refused"),
            (404, "no_service", "refused"),
            (410, "channel_is_archived", "refused"),
            (429, r#"{"retry_after":1,"ok":false,"error":"rate_limited"}"#, "retry"),
            (500, "rollup_error", "retry"),
        ],
    );
    check(
        &slack_api("#a"),
        &[
            (200, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#, "done"),
            (200, r#"{"ok":false,"error":"channel_not_found"}"#, "refused"),
            (200, r#"{"ok":false,"error":"token_revoked"}"#, "refused"),
            (200, r#"{"ok":false,"error":"ratelimited"}"#, "retry"),
            (200, r#"{"ok":false,"error":"fatal_error"}"#, "unknown"),
            (503, r#"{"ok":false,"error":"service_unavailable"}"#, "retry"),
            (503, "<html>", "retry"),
            (504, "<html>", "unknown"),
            (302, "", "refused"),
        ],
    );
    check(
        &webhook(),
        &[
            (200, "", "done"),
            (204, "", "done"),
            (301, "", "refused"),
            (401, "", "refused"),
            (410, "", "refused"),
            (425, "", "retry"),
            (429, "", "retry"),
            (502, "", "retry"),
            (504, "", "retry"),
        ],
    );
    check(&email(), &[(250, "queued", "done"), (421, "", "retry"), (451, "", "retry"), (550, "", "refused")]);
}

#[test]
fn the_wait_that_a_far_end_asks_for_is_read_from_header_or_body() {
    let later = |seconds| Some(now().checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap());
    let wait = |connection: &Connection, headers: &[(&str, &str)], body: &str| {
        let effect = sample_effect(Action::Trigger, now());
        let request = request(connection, &effect, None, now()).unwrap();
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let answer = Answer::Response { status: 429, headers, body: body.to_owned() };
        match classify(connection, &request, &answer, now()) {
            Verdict::Retry { not_before, .. } => not_before,
            other => panic!("{other:?}"),
        }
    };
    let body = r#"{"retry_after":3,"ok":false,"error":"rate_limited"}"#;
    assert_eq!(wait(&slack_webhook(), &[], body), later(3));
    assert_eq!(wait(&slack_webhook(), &[("retry-after", "30")], body), later(30));
    assert_eq!(wait(&webhook(), &[("retry-after", "Fri, 20 Nov 2026 16:40:07 GMT")], ""), later(7));
    assert_eq!(wait(&pagerduty(), &[], ""), None);
}

#[test]
fn a_lost_answer_is_unknown_only_where_a_repeat_would_show() {
    let lost = Answer::Lost { error: "timed out".to_owned() };
    let not_sent = Answer::NotSent { error: "connection refused".to_owned() };
    for (connection, action, previous, expect) in [
        (pagerduty(), Action::Trigger, None, "retry"),
        (webhook(), Action::Trigger, None, "retry"),
        (email(), Action::Trigger, None, "retry"),
        (slack_webhook(), Action::Resolve, None, "unknown"),
        (slack_api("#a"), Action::Trigger, None, "unknown"),
        (slack_api("#a"), Action::Update, Some("C1:1.2"), "retry"),
    ] {
        let request = request(&connection, &sample_effect(action, now()), previous, now()).unwrap();
        assert_eq!(word(&classify(&connection, &request, &lost, now())), expect, "{:?}", connection.kind());
        assert_eq!(word(&classify(&connection, &request, &not_sent, now())), "retry");
    }
}

#[test]
fn only_slack_with_a_known_channel_can_be_asked() {
    let effect = sample_effect(Action::Trigger, now());
    for (connection, previous, asks) in [
        (pagerduty(), None, false),
        (slack_webhook(), None, false),
        (slack_api("#data"), None, false),
        (slack_api("#data"), Some("C0123456789:1.2"), true),
        (slack_api("C0123456789"), None, true),
    ] {
        assert_eq!(reconcile(&connection, &effect, previous).is_some(), asks, "{connection:?}");
    }
    let connection = slack_api("C0123456789");
    let ask = |answer: &Answer| word(&classify_reconcile(&connection, &effect, None, answer, now()));
    assert_eq!(ask(&answer(200, r#"{"ok":true,"messages":[]}"#)), "retry");
    assert_eq!(ask(&answer(200, r#"{"ok":false,"error":"missing_scope"}"#)), "retry");
    assert_eq!(ask(&answer(200, r#"{"ok":false,"error":"ratelimited"}"#)), "unknown");
    assert_eq!(ask(&answer(503, "")), "unknown");
    assert_eq!(ask(&answer(200, r#"{"ok":true,"messages":[{"te"#)), "unknown", "cut off: nothing is known");
    assert_eq!(ask(&Answer::Lost { error: "timed out".to_owned() }), "unknown");
}

#[test]
fn no_message_is_sent_to_prefect() {
    let connection = prefect();
    assert_eq!(connection.kind(), ConnectionKind::Prefect);
    let error = request(&connection, &sample_effect(Action::Test, now()), None, now()).unwrap_err();
    assert!(
        error.to_string().contains("under-test") && error.to_string().contains("notify through another one"),
        "{error}"
    );
}

#[test]
fn secrets_are_hidden_wherever_a_request_shows() {
    let effect = sample_effect(Action::Trigger, now());
    for connection in [pagerduty(), slack_api("#a"), slack_webhook(), email()] {
        let request = request(&connection, &effect, None, now()).unwrap();
        let shown = format!("{request:?} {connection:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("0123456789abcdef"), "{shown}");
    }
    let request = request(&slack_webhook(), &effect, None, now()).unwrap();
    assert_eq!(request.redact("no such path services/T0/B0/s3cret"), "no such path [redacted]");
    let quoted = Request::new(request.wire, Repeat::Harmless, vec![SecretString::from("a\"b")]);
    assert_eq!(quoted.redact(r#"{"key":"a\"b"} a"b"#), r#"{"key":"[redacted]"} [redacted]"#);
}
