//! Tests of redaction: a table of secrets as they stand in real texts, names, and properties on arbitrary input.

use super::*;
use proptest::prelude::*;
use serde_json::json;

#[track_caller]
fn check(input: &str, expect: &str) {
    assert_eq!(text(input), expect);
    assert_eq!(text(expect), expect, "not idempotent");
}

#[test]
fn secrets_leave_texts() {
    check(
        "upstream returned 503 for s3://bucket/key?token=abc",
        "upstream returned 503 for s3://bucket/key?token=[redacted]",
    );
    check("GET /x?a=1&sig=Zm9v%3D&b=2", "GET /x?a=1&sig=[redacted]&b=2");
    check("https://fn.azurewebsites.net/api/f?code=abc123==", "https://fn.azurewebsites.net/api/f?code=[redacted]");
    check("password=hunter2;Server=db", "password=[redacted];Server=db");
    check("Server=db;User Id=sa;Pwd=p@ss w", "Server=db;User Id=sa;Pwd=[redacted] w");
    check("{'password': 'it\\'s, here', 'user': 'x'}", "{'password': '[redacted]', 'user': 'x'}");
    check(r#"{"api_key": "a,b c", "n": 1}"#, r#"{"api_key": "[redacted]", "n": 1}"#);
    check(r#"body={\"client_secret\": \"s3cr3t\", \"n\": 1}"#, r#"body={\"client_secret\": \"[redacted]\", \"n\": 1}"#);
    check("secret = b'abc'", "secret = b'[redacted]'");
    check("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+x", "AWS_SECRET_ACCESS_KEY=[redacted]");
    check("psql --password hunter2 --host db", "psql --password [redacted] --host db");
    check("tool --api-key=abc", "tool --api-key=[redacted]");
    check("DB_PASS: x1, next", "DB_PASS: [redacted], next");
    check("(password=abc)", "(password=[redacted])");
}

#[test]
fn secrets_leave_headers() {
    check("Authorization: Bearer abc.def-ghi\nHost: x", "Authorization: [redacted]\nHost: x");
    check("curl -H 'Authorization: Basic dXNlcjpw' https://x", "curl -H 'Authorization: [redacted]' https://x");
    check("{'Authorization': 'Bearer abc def', 'A': 1}", "{'Authorization': '[redacted]', 'A': 1}");
    check("Set-Cookie: session=abc; Path=/", "Set-Cookie: [redacted]");
    check("sent bearer aGVsbG8gd29ybGQ1 to x", "sent bearer [redacted] to x");
}

#[test]
fn secrets_leave_addresses() {
    check("postgresql+psycopg2://air:p:w/d@db:5432/x failed", "postgresql+psycopg2://air:[redacted]@db:5432/x failed");
    check("redis://:hunter2@cache:6379/0", "redis://:[redacted]@cache:6379/0");
    check("https://ghx0123456789abcdef@github.com/a/b", "https://[redacted]@github.com/a/b");
    check("https://hooks.slack.com/services/T0/B0/abcDEF", "https://hooks.slack.com/[redacted]");
}

#[test]
fn secrets_of_known_shape_leave() {
    check("key AKIAIOSFODNN7EXAMPLE is denied", "key [redacted] is denied");
    check("xoxb-1234567890-abcdef was revoked", "[redacted] was revoked");
    check("ghp_0123456789abcdefABCDEF0123456789abcd", "[redacted]");
    check("github_pat_11ABCDEFG0abcdefghijkl_mnop", "[redacted]");
    check("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 expired", "jwt [redacted] expired");
    check("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nb", "a\n[redacted]\nb");
    check("cut -----BEGIN PRIVATE KEY-----\nMIIE", "cut [redacted]");
}

#[test]
fn texts_without_secrets_stay() {
    for plain in [
        "Basic authentication failed for user airflow",
        "password authentication failed for user \"airflow\"",
        "KeyError: 'token'",
        "the token was None: token=None",
        "password=",
        "http://127.0.0.1:18081/dags/a@b/runs/x?try_number=1",
        "postgres://airflow@db/x",
        "ssh://git@github.com/a/b.git",
        "see https://example.com/docs?page=2#key",
        "bypass: yes, compass=1, design: 4, keyboard: x",
        "max_tokens=4096, tokenizer: bpe",
        "mail to carol@example.com",
    ] {
        assert!(matches!(text(plain), Cow::Borrowed(same) if same == plain), "{plain} -> {}", text(plain));
    }
}

#[test]
fn names_announce_secrets() {
    for name in [
        "password",
        "DB_PASSWORD",
        "dbPassword",
        "client_secret",
        "clientSecret",
        "access_token",
        "x-api-key",
        "apiKey",
        "AWS_SECRET_ACCESS_KEY",
        "Authorization",
        "db_pass",
        "dbPass",
        "pwd",
        "auth",
        "credentials",
        "private-key",
        "connectionString",
        "password2",
        "password_hash",
        "routing_key",
        "prefect.auth",
        "SENTRY_DSN",
    ] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in [
        "",
        "bypass",
        "author",
        "key",
        "dedup_key",
        "token_count",
        "max_tokens",
        "tokenizer",
        "secret_name",
        "compass",
        "prefect.resource.id",
        "try_number",
        "design",
        "monkey",
        "idempotency_key",
        "task_key",
        "state",
    ] {
        assert!(!is_secret_name(name), "{name}");
    }
}

#[test]
fn members_leave_by_name_and_by_shape() {
    let mut found = json!({
        "conf": {"password": "x", "user": "u", "n": 1, "token": null, "secrets": ["a"], "pin_token": 7, "auth": {"a": 1}},
        "list": ["Bearer abcdefgh1", {"apiKey": "k"}],
        "postgres://u:p@h/d": true,
    });
    value(&mut found);
    assert_eq!(
        found,
        json!({
            "conf": {"password": PLACEHOLDER, "user": "u", "n": 1, "token": null, "secrets": PLACEHOLDER,
                "pin_token": PLACEHOLDER, "auth": PLACEHOLDER},
            "list": ["Bearer [redacted]", {"apiKey": PLACEHOLDER}],
            "postgres://u:[redacted]@h/d": true,
        })
    );
}

/// Texts made of the pieces that rules look for, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "password",
            "token",
            "Authorization",
            "cookie",
            "api_key",
            "bearer ",
            "basic ",
            "--secret ",
            "sig",
            "auth",
            "=",
            ":",
            " ",
            "\n",
            "\"",
            "'",
            "\\",
            "\\\"",
            ",",
            ";",
            "&",
            "?code=",
            "@",
            "/",
            "://",
            "http://",
            "a:b@c",
            "]",
            "[redacted]",
            "[redacted",
            "AKIAIOSFODNN7EXAMPLE",
            "xoxb-123456789",
            "eyJhbGciOiJI.eyJzdWIiOiIx.x",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
            "-----",
            "hooks.slack.com/services/T",
            "ü",
            "80",
            "null",
            "b'",
            "=>",
            "_",
            "-",
            "x1Y2z3W4x1Y2z3W4",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9]{1,10}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redaction_is_idempotent(input in pieces()) {
        let once = text(&input).into_owned();
        prop_assert_eq!(text(&once), once.as_str(), "from {:?}", input);
    }

    #[test]
    fn any_text_is_read(input in any::<String>()) {
        let once = text(&input).into_owned();
        prop_assert_eq!(text(&once), once.as_str());
    }

    #[test]
    fn what_is_assigned_to_a_secret_name_is_gone(value in "[A-Za-z0-9+/=!$%^*-]{6,40}", quote in "[\"']?", sep in "(=|: | = |=>)") {
        let found = text(&format!("x password{sep}{quote}{value}{quote}\nrest")).into_owned();
        prop_assert!(!found.contains(&value), "{}", found);
        prop_assert!(found.ends_with("\nrest"), "{}", found);
    }
}

#[test]
fn what_fuzzing_found_stays_idempotent() {
    for found in ["o://pass=/;@pa@", "po://\u{1d}@@@@@@@@@@@@@@@@@@\u{1d}\0password=x/@@@`@@@", "a://pass=/;b:c@d"] {
        let once = text(found).into_owned();
        assert_eq!(text(&once), once);
    }
}

#[test]
fn cost_is_linear_on_hostile_texts() {
    for piece in
        ["password=", "a://", "a://b:c@", "--secret ", "eyJ", "-----BEGIN PRIVATE KEY----- ", "bearer ", "'token': '"]
    {
        let hostile = piece.repeat(500_000 / piece.len());
        let _ = text(&hostile);
    }
}
