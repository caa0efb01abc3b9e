use super::*;
use crate::far_end::tests::{now, shown};
use insta::assert_json_snapshot;
use serde_json::json;
use trackside_core::ids::derive;

fn open(slug: &str, data: &Value) -> Block {
    Block::open(Uuid::nil(), Some("alerts"), slug, data).unwrap()
}

fn occasion(state: FiringState) -> Occasion<'static> {
    Occasion { delivery: DeliveryId(derive("test", &["delivery"])), alert: "alert-key", state }
}

const NOTIFICATION: Content<'_> = Content::Notification {
    subject: "Flow run Failed",
    body: "orders <failed>: see <https://prefect.example.net/runs/1|the run>\nsecond line @everyone",
};

/// A document of each type with only what it must have, and one with everything.
fn documents() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("slack-webhook", "least", json!({"url": "https://hooks.slack.com/services/T0/B0/s3cret"})),
        (
            "ms-teams-webhook",
            "most",
            json!({"url": "https://prod-1.westeurope.logic.azure.com:443/workflows/w/triggers/manual/paths/invoke?api-version=2016-06-01&sig=s3cret",
                   "wrap": false, "include_image": true, "notify_type": "failure", "allow_private_urls": false}),
        ),
        ("pager-duty-webhook", "least", json!({"integration_key": "s3cret-key", "api_key": "s3cret-api"})),
        (
            "pager-duty-webhook",
            "most",
            json!({"integration_key": "s3cret-key", "api_key": "s3cret-api", "notify_type": "failure", "source": "prod",
                   "component": "orders", "group": "g", "class_id": "c", "region_name": "eu",
                   "clickable_url": "https://wiki.example.net", "custom_details": {"disk": "145GB"}}),
        ),
        ("opsgenie-webhook", "least", json!({"apikey": "s3cret-key"})),
        (
            "opsgenie-webhook",
            "most",
            json!({"apikey": "s3cret-key", "target_user": ["ana@example.net"], "target_team": ["data"],
                   "target_schedule": ["6f1b8a52-6f0b-4f0a-9a5e-000000000001"], "target_escalation": ["night"],
                   "region_name": "eu", "tags": ["a"], "priority": 1, "alias": "mine", "entity": "e",
                   "details": {"k": "v"}, "notify_type": "warning"}),
        ),
        ("mattermost-webhook", "least", json!({"hostname": "mm.example.net", "token": "s3cret-token"})),
        (
            "mattermost-webhook",
            "most",
            json!({"hostname": "mm.example.net", "token": "s3cret-token", "secure": true, "port": 443, "path": "/chat/",
                   "botname": "Prefect", "channels": ["#data", "town-square"]}),
        ),
        ("discord-webhook", "least", json!({"webhook_id": "s3cret-id", "webhook_token": "s3cret-token"})),
        (
            "discord-webhook",
            "most",
            json!({"webhook_id": "s3cret-id", "webhook_token": "s3cret-token", "botname": "Prefect", "tts": true,
                   "avatar": true, "avatar_url": "https://example.net/p.png"}),
        ),
    ]
    .into_iter()
    .chain(more_documents())
    .collect()
}

fn more_documents() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "twilio-sms",
            "most",
            json!({"account_sid": "AC0123", "auth_token": "s3cret-token", "from_phone_number": "18001234567",
                   "to_phone_numbers": ["18004242424", "+49 170 1234567"]}),
        ),
        (
            "sendgrid-email",
            "most",
            json!({"api_key": "s3cret-key", "sender_email": "t@example.net",
                   "to_emails": ["a@example.net", "Bo <b@example.net>"]}),
        ),
        ("custom-webhook", "least", json!({"name": "mine", "url": "https://example.net/in"})),
        (
            "custom-webhook",
            "json",
            json!({"name": "mine", "url": "https://example.net/{{path}}?a=1", "method": "PUT",
                   "params": {"key": "{{ token }}", "t": "{{subject}}"},
                   "json_data": {"text": "{{subject}}\n{{body}}", "title": "{{name}}", "token": "{{token}}", "n": 1},
                   "headers": {"X-Auth": "Bearer {{token}}", "User-Agent": "mine"}, "cookies": {"session": "{{token}}"},
                   "timeout": 2.5, "allow_private_urls": false, "secrets": {"token": "s3cret-token", "path": "in"}}),
        ),
        (
            "custom-webhook",
            "form",
            json!({"name": "mine", "url": "https://example.net/in", "form_data": {"text": "{{body}}", "who": "{{name}}"}}),
        ),
        (
            "custom-webhook",
            "raw",
            json!({"name": "mine", "url": "https://example.net/in", "form_data": "<m>{{subject}}</m>",
                   "headers": {"content-type": "application/xml"}}),
        ),
    ]
}

#[test]
fn each_type_says_it_in_the_words_of_its_far_end() {
    for (slug, variant, data) in documents() {
        for (state, word) in [(FiringState::Triggered, "triggered"), (FiringState::Resolved, "resolved")] {
            let alerts = matches!(slug, "pager-duty-webhook" | "opsgenie-webhook");
            if state == FiringState::Resolved && !alerts {
                continue;
            }
            let requests = open(slug, &data).requests(NOTIFICATION, &occasion(state)).unwrap();
            let requests: Vec<Value> = requests.iter().map(shown).collect();
            assert_json_snapshot!(format!("{slug}_{variant}_{word}"), requests);
        }
    }
}

#[test]
fn no_secret_is_printed() {
    for (slug, variant, data) in documents() {
        let block = open(slug, &data);
        let requests = block.requests(NOTIFICATION, &occasion(FiringState::Triggered)).unwrap();
        let printed = format!("{block:?} {requests:?}");
        assert!(!printed.contains("s3cret"), "{slug} {variant}: {printed}");
    }
}

#[test]
fn a_webhook_gets_the_payload_as_it_was_rendered() {
    let data = json!({"url": "https://u:s3cret@example.net/hooks/s3cret", "method": "PUT", "verify": false,
                      "allow_private_urls": false, "headers": {"X-Token": "s3cret-token", "n": 7}});
    let block = open("webhook", &data);
    let requests: Vec<Value> = ["{\"a\": 1}", "[1]", "{not json}", "just text", ""]
        .iter()
        .flat_map(|payload| block.requests(Content::Payload(payload), &occasion(FiringState::Triggered)).unwrap())
        .map(|request| {
            assert!(!format!("{request:?}").contains("s3cret"));
            shown(&request)
        })
        .collect();
    assert_json_snapshot!(requests);
    let own = json!({"url": "https://example.net", "headers": {"Content-Type": "text/csv", "Idempotency-Key": "mine"}});
    let request = open("webhook", &own).requests(Content::Payload("{}"), &occasion(FiringState::Triggered)).unwrap();
    assert_eq!(
        request[0].shown().headers,
        [("content-type".to_owned(), "[redacted]".to_owned()), ("idempotency-key".to_owned(), "mine".to_owned())]
    );
}

#[test]
fn what_a_block_cannot_do_is_said() {
    let webhook = open("webhook", &json!({"url": "https://example.net"}));
    let why = webhook.requests(NOTIFICATION, &occasion(FiringState::Triggered)).unwrap_err();
    assert!(why.starts_with("The referenced block was not a notification block"), "{why}");
    let slack = open("slack-webhook", &json!({"url": "https://hooks.slack.com/services/x"}));
    let why = slack.requests(Content::Payload("{}"), &occasion(FiringState::Triggered)).unwrap_err();
    assert!(why.starts_with("The referenced block was not a webhook block"), "{why}");
}

#[track_caller]
fn check_invalid(slug: &str, data: &Value, expect: &[&str]) {
    let problems = Block::open(Uuid::nil(), None, slug, data).err().unwrap_or_default();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, expect, "{slug} {data}");
}

#[test]
fn a_document_that_cannot_be_sent_with_is_refused() {
    check_invalid(
        "secret",
        &json!({"value": "x"}),
        &["block_type: `secret` cannot be sent through; Trackside knows slack-webhook, ms-teams-webhook, \
         pager-duty-webhook, opsgenie-webhook, mattermost-webhook, discord-webhook, twilio-sms, sendgrid-email, \
         custom-webhook, webhook"],
    );
    check_invalid(
        "slack-webhook",
        &json!({"url": "hooks.slack.com/services/s3cret"}),
        &["url: is not an address: relative URL without a base; write for example https://example.net/in"],
    );
    check_invalid(
        "webhook",
        &json!({"url": "https://x", "headers": {"a b": "c"}}),
        &["headers: `a b` is not a header name"],
    );
    check_invalid(
        "mattermost-webhook",
        &json!({"hostname": "a b", "token": "t"}),
        &[
            "hostname: makes no address: it is not an address: invalid international domain name; write for example https://example.net/in",
        ],
    );
    check_invalid(
        "mattermost-webhook",
        &json!({"hostname": "a", "token": "t", "port": 70000}),
        &["port: must be 1 to 65535"],
    );
    check_invalid(
        "twilio-sms",
        &json!({"account_sid": "AC/..", "auth_token": "t", "from_phone_number": "me", "to_phone_numbers": []}),
        &[
            "account_sid: must be letters and digits, for example AC0123…",
            "from_phone_number: is not a phone number; write for example +18001234567",
            "to_phone_numbers: must have at least one number",
        ],
    );
    check_invalid(
        "sendgrid-email",
        &json!({"api_key": "k", "sender_email": "a@b.example", "to_emails": []}),
        &["to_emails: must have 1 to 1000 recipients"],
    );
    check_invalid(
        "custom-webhook",
        &json!({"name": "n", "url": "https://x/{{$HOME}}", "json_data": {"a": "{{sbject}}"}, "form_data": {}, "timeout": 0}),
        &[
            "json_data: both `Form Data` and `JSON Data` provided; keep one",
            "timeout: must be more than 0 and at most 120 seconds",
            "url: has no value for `{{$HOME}}`; write subject, body, name, or the name of a secret",
            "json_data: has no value for `{{sbject}}`; write subject, body, name, or the name of a secret",
        ],
    );
}

#[track_caller]
fn check_answers(slug: &str, cases: &[(u16, &str, &str)]) {
    let (_, _, data) = documents().into_iter().find(|(known, ..)| *known == slug).unwrap();
    let block = open(slug, &data);
    let request = block.requests(NOTIFICATION, &occasion(FiringState::Triggered)).unwrap().remove(0);
    for (status, body, expect) in cases {
        let answer = Answer::Response { status: *status, headers: Vec::new(), body: (*body).to_owned() };
        let verdict = match block.classify(&request, &answer, now()) {
            Verdict::Done { far_ref } => format!("done {}", far_ref.unwrap_or_default()),
            Verdict::Retry { not_before, .. } => {
                format!(
                    "retry {}",
                    not_before.map(|at| at.duration_since(now()).as_millis().to_string()).unwrap_or_default()
                )
            }
            Verdict::Refused { .. } => "refused".to_owned(),
            Verdict::Unknown { .. } => "unknown".to_owned(),
        };
        assert_eq!(verdict.trim(), *expect, "{slug} {status} {body}");
    }
}

#[test]
fn answers_are_told_apart_by_what_they_mean() {
    check_answers("slack-webhook", &[(200, "ok", "done"), (404, "no_service", "refused"), (504, "", "unknown")]);
    check_answers(
        "ms-teams-webhook",
        &[(202, "", "done"), (200, "1", "done"), (400, "bad card", "refused"), (429, "", "retry")],
    );
    check_answers(
        "pager-duty-webhook",
        &[
            (202, r#"{"status":"success","dedup_key":"alert-key"}"#, "done alert-key"),
            (400, "{}", "refused"),
            (500, "", "retry"),
        ],
    );
    check_answers(
        "opsgenie-webhook",
        &[
            (202, r#"{"result":"Request will be processed","requestId":"r-1"}"#, "done r-1"),
            (422, r#"{"message":"bad"}"#, "refused"),
            (502, "", "retry"),
        ],
    );
    check_answers("mattermost-webhook", &[(200, "ok", "done"), (400, "{}", "refused"), (502, "", "unknown")]);
    check_answers(
        "discord-webhook",
        &[
            (200, r#"{"id":"m-1"}"#, "done m-1"),
            (204, "", "done"),
            (404, r#"{"code":10015}"#, "refused"),
            (429, r#"{"retry_after":1.25}"#, "retry 1250"),
            (429, r#"{"retry_after":-1}"#, "retry"),
        ],
    );
    check_answers(
        "twilio-sms",
        &[(201, r#"{"sid":"SM1"}"#, "done SM1"), (400, r#"{"code":21211}"#, "refused"), (429, "", "retry")],
    );
    check_answers(
        "sendgrid-email",
        &[(202, "", "done"), (401, "", "refused"), (503, "", "retry"), (504, "", "unknown")],
    );
    check_answers(
        "custom-webhook",
        &[(200, "", "done"), (302, "", "refused"), (410, "", "refused"), (500, "", "retry")],
    );
}

#[test]
fn a_lost_answer_is_in_doubt_only_where_a_repeat_shows() {
    let lost = Answer::Lost { error: "timed out".to_owned() };
    for (slug, _, data) in documents() {
        let block = open(slug, &data);
        let request = block.requests(NOTIFICATION, &occasion(FiringState::Triggered)).unwrap().remove(0);
        let verdict = block.classify(&request, &lost, now());
        let keyed = matches!(slug, "pager-duty-webhook" | "opsgenie-webhook");
        assert_eq!(matches!(verdict, Verdict::Retry { .. }), keyed, "{slug}: {verdict:?}");
        assert_eq!(matches!(verdict, Verdict::Unknown { .. }), !keyed, "{slug}: {verdict:?}");
    }
}

#[test]
fn long_texts_are_cut_to_what_the_far_end_takes() {
    let long = "ä😀".repeat(400_000);
    for (slug, variant, data) in documents() {
        let content = Content::Notification { subject: &long, body: &long };
        for request in open(slug, &data).requests(content, &occasion(FiringState::Triggered)).unwrap() {
            let body = request.shown().body;
            let limit = match slug {
                "custom-webhook" => usize::MAX,
                "pager-duty-webhook" => 512_000,
                "sendgrid-email" => 1024 * 1024,
                _ => 200_000,
            };
            assert!(body.len() <= limit, "{slug} {variant}: {}", body.len());
        }
    }
}
