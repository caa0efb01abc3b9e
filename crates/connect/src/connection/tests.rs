use super::*;
use serde_json::json;

fn parse(config: serde_json::Value) -> Result<ConnectionConfig, String> {
    serde_json::from_value(config).map_err(|error| error.to_string())
}

#[test]
fn each_kind_is_read_and_written_back() {
    for (config, kind) in [
        (json!({ "kind": "pagerduty", "routing_key": { "env": "PD" } }), ConnectionKind::Pagerduty),
        (json!({ "kind": "slack", "webhook_url": { "env": "URL" } }), ConnectionKind::Slack),
        (json!({ "kind": "slack", "token": { "file": "t" }, "channel": "#data" }), ConnectionKind::Slack),
        (
            json!({ "kind": "webhook", "url": "https://example.net/in", "secret": { "env": "S" } }),
            ConnectionKind::Webhook,
        ),
        (
            json!({ "kind": "email", "smtp": "smtp://mail:25", "from": "a@example.net", "to": ["B <b@example.net>"] }),
            ConnectionKind::Email,
        ),
        (json!({ "kind": "prefect", "url": "http://127.0.0.1:4200/api" }), ConnectionKind::Prefect),
        (
            json!({ "kind": "slack", "token": { "file": "t" }, "channel": "C1", "signing_secret": { "env": "S" } }),
            ConnectionKind::Slack,
        ),
        (
            json!({ "kind": "pagerduty", "routing_key": { "env": "PD" }, "webhook_secrets": [{ "env": "A" }, { "env": "B" }] }),
            ConnectionKind::Pagerduty,
        ),
    ] {
        let read = parse(config.clone()).unwrap();
        assert_eq!(read.kind(), kind);
        assert_eq!(read.validate(), Ok(()));
        let again = parse(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(read, again, "{config}");
    }
}

#[test]
fn what_is_wrong_is_said_without_repeating_a_secret() {
    let email = |extra: serde_json::Value| {
        let mut config = json!({ "kind": "email", "smtp": "smtp://mail", "from": "a@b.net", "to": ["a@b.net"] });
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        config
    };
    for (config, says) in [
        (json!({ "kind": "pagerduty", "routing_key": "s3cret" }), "literal secret is refused"),
        (json!({ "kind": "pagerduty", "routing_key": { "env": "A" }, "colour": 1 }), "unknown field `colour`"),
        (json!({ "kind": "pagerduty" }), "missing field `routing_key`"),
        (json!({ "kind": "teams" }), "unknown variant `teams`"),
        (json!({ "kind": "slack" }), "needs `webhook_url`, or `token` and `channel`"),
        (json!({ "kind": "slack", "token": { "env": "A" } }), "`token` needs `channel`"),
        (json!({ "kind": "slack", "webhook_url": { "env": "A" }, "channel": "#a" }), "keep one way"),
        (json!({ "kind": "slack", "webhook_url": "https://hooks.slack.com/s3cret" }), "literal secret is refused"),
        (json!({ "kind": "webhook", "url": "ftp://x", "secret": { "env": "A" } }), "only http and https"),
        (json!({ "kind": "webhook", "url": "https://u:s3cret@x", "secret": { "env": "A" } }), "secret references"),
        (json!({ "kind": "webhook", "url": "here", "secret": { "env": "A" } }), "is not an address"),
        (email(json!({ "smtp": "http://mail" })), "has scheme `http`"),
        (email(json!({ "smtp": "smtp://u:s3cret@mail" })), "use `username` and `password`"),
        (email(json!({ "to": [] })), "at least one recipient"),
        (email(json!({ "to": ["nobody"] })), "is not a mail address"),
        (email(json!({ "delivery": { "rate_per_second": 0 } })), "more than 0"),
        (email(json!({ "delivery": { "burst": 0 } })), "must be 1 to"),
        (email(json!({ "delivery": { "max_attempts": 0 } })), "at least 1"),
        (email(json!({ "delivery": { "timeout": "0s" } })), "at least 1s"),
        (email(json!({ "delivery": { "timeout": "soon" } })), "not a length of time"),
    ] {
        let error = parse(config.clone()).unwrap_err();
        assert!(error.contains(says), "{config}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn fields_that_need_each_other_and_templates_are_checked() {
    let problems = |config| -> Vec<String> {
        parse(config).unwrap().validate().unwrap_err().iter().map(ToString::to_string).collect()
    };
    let base = json!({ "kind": "email", "smtp": "smtp://mail", "from": "a@b.net", "to": ["a@b.net"] });
    let with = |name: &str, value: serde_json::Value| {
        let mut config = base.clone();
        config[name] = value;
        config
    };
    assert_eq!(problems(with("username", json!({ "env": "U" }))), ["password: is missing; `username` needs it"]);
    insta::assert_debug_snapshot!(problems(with(
        "message",
        json!({ "title": "{{ titel }}", "body": "{% if %}" })
    )), @r#"
    [
        "message.title: does not render: line 1: undefined value: `titel` is undefined",
        "message.body: does not render: line 1: syntax error: unexpected end of block",
    ]
    "#);
    let zone = problems(with("message", json!({ "zone": "Paris" })));
    assert_eq!(zone, ["message.zone: `Paris` is not an IANA time zone; write for example Europe/Paris or UTC"]);
}

#[test]
fn delivery_settings_take_the_defaults_of_the_kind() {
    let config = parse(json!({
        "kind": "slack", "webhook_url": { "env": "A" },
        "delivery": { "burst": 9, "give_up_after": "2h", "max_attempts": 7 }
    }));
    insta::assert_debug_snapshot!(config.unwrap().delivery(), @"
    DeliveryPolicy {
        rate_per_second: 1.0,
        burst: 9,
        timeout: 10s,
        max_attempts: 7,
        give_up_after: 7200s,
    }
    ");
}

#[test]
fn opening_reads_the_secrets_and_shows_none() {
    let config = parse(json!({ "kind": "pagerduty", "routing_key": { "env": "PATH" } })).unwrap();
    let connection = config.open("pd", Some("https://t.example.net/"), &Secrets::default()).unwrap();
    assert_eq!(connection.public_url.as_deref(), Some("https://t.example.net"));
    assert!(!format!("{connection:?}").contains("/bin"));
    let missing = parse(json!({ "kind": "pagerduty", "routing_key": { "env": "TRACKSIDE_TEST_UNSET" } })).unwrap();
    assert!(missing.open("pd", None, &Secrets::default()).unwrap_err().to_string().contains("TRACKSIDE_TEST_UNSET"));
}

#[test]
fn what_a_far_end_tells_back_has_an_address_to_give_it() {
    let path = |config| parse(config).unwrap().back().path("data & co");
    let slack = json!({ "kind": "slack", "webhook_url": { "env": "URL" }, "signing_secret": { "env": "S" } });
    assert_eq!(path(slack).as_deref(), Some("/api/v1/slack/interactivity/data%20&%20co"));
    let pagerduty = json!({ "kind": "pagerduty", "routing_key": { "env": "PD" }, "webhook_secrets": [{ "env": "A" }] });
    assert_eq!(path(pagerduty).as_deref(), Some("/api/v1/pagerduty/webhooks/data%20&%20co"));
    assert_eq!(path(json!({ "kind": "pagerduty", "routing_key": { "env": "PD" }, "webhook_secrets": [] })), None);
    assert_eq!(path(json!({ "kind": "slack", "webhook_url": { "env": "URL" } })), None);
}

#[test]
fn the_schema_names_every_kind() {
    let schema = schemars::schema_for!(ConnectionConfig).to_value().to_string();
    for word in ["pagerduty", "slack", "webhook", "email", "prefect", "webhook_url", "routing_key", "rate_per_second"] {
        assert!(schema.contains(word), "{word}");
    }
}

#[test]
fn mail_servers_have_a_tls_mode_and_a_default_port() {
    for (text, expect) in [
        ("smtp://mail", "smtp://mail:25"),
        ("smtp+starttls://mail", "smtp+starttls://mail:587"),
        ("smtps://mail", "smtps://mail:465"),
        ("smtp://[::1]:2525", "smtp://[::1]:2525"),
    ] {
        assert_eq!(MailServer::try_from(text.to_owned()).unwrap().to_string(), expect);
    }
    for text in ["smtp://", "mail:25", "smtp://mail/path", "smtp://mail?x=1"] {
        assert!(MailServer::try_from(text.to_owned()).is_err(), "{text}");
    }
}
