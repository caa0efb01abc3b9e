//! Replies of token endpoints: the rows of what servers send, good and bad.

use super::*;
use bytes::Bytes;
use http::HeaderMap;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// Seconds of life, or class and text of the failure.
fn check(status: u16, body: &str, expected: Expected<'_>) -> Result<i64, String> {
    token(&reply(status, body), expected, NOW)
        .map(|granted| granted.expires.as_second())
        .map_err(|failure| format!("{}: {}", failure.class.as_str(), failure.text))
}

#[test]
fn tokens_in_the_words_of_each_server() {
    for (status, body, life) in [
        (200, r#"{"access_token":"t","expires_in":3600,"token_type":"Bearer"}"#, 3_600),
        (200, r#"{"access_token":"t","expires_in":3599.5,"token_type":"bearer"}"#, 3_599),
        // Azure's metadata service: every number is a string.
        (
            200,
            r#"{"access_token":"t","client_id":"c","expires_in":"86399","expires_on":"1","resource":"r","token_type":"Bearer"}"#,
            86_399,
        ),
        // App Service has no `expires_in`.
        (200, r#"{"access_token":"t","expires_on":"86400","resource":"r","token_type":"Bearer"}"#, 86_400),
        // Nobody says.
        (200, r#"{"access_token":"t","token_type":"Bearer"}"#, 300),
        // Airflow: 201, and the token says when it ends (`{"exp":7200}`).
        (201, r#"{"access_token":"e30.eyJleHAiOjcyMDB9.x"}"#, 7_200),
    ] {
        assert_eq!(check(status, body, Expected::default()), Ok(life), "{body}");
    }
}

#[test]
fn what_is_not_a_usable_token_is_refused() {
    for (status, body) in [
        (200, ""),
        (200, "<html>sign in</html>"),
        (200, r#"{"access_token":""}"#),
        (200, r#"{"access_token":"a b"}"#),
        (200, r#"{"access_token":"a\r\nX: y"}"#),
        (200, r#"{"access_token":"t","token_type":"DPoP","expires_in":60}"#),
        (200, r#"{"access_token":"t","expires_in":0}"#),
        (200, r#"{"access_token":"t","expires_in":-5}"#),
        (200, r#"{"access_token":"t","expires_in":"soon"}"#),
        (204, ""),
        (302, ""),
    ] {
        let refused = check(status, body, Expected::default()).expect_err("no token");
        assert!(refused.starts_with("unusable: "), "{status} {body}: {refused}");
        assert!(!refused.contains("a b"));
    }
}

#[test]
fn all_scopes_must_be_granted() {
    let asked = ["jobs.run".to_owned(), "jobs.read".to_owned()];
    let expected = Expected { scopes: &asked, ..Expected::default() };
    let with = |scope: &str| format!(r#"{{"access_token":"t","expires_in":60,"token_type":"Bearer"{scope}}}"#);
    assert_eq!(check(200, &with(""), expected), Ok(60), "no scope in the reply means what was asked for");
    assert_eq!(check(200, &with(r#","scope":"jobs.read other jobs.run""#), expected), Ok(60));
    let refused = check(200, &with(r#","scope":"jobs.read""#), expected).expect_err("one is missing");
    assert!(refused.contains("jobs.run") && !refused.contains("jobs.read,"), "{refused}");
}

#[test]
fn a_token_exchange_names_the_kind_of_its_token() {
    let expected = Expected { exchange: Exchanged::Token, ..Expected::default() };
    assert!(check(200, r#"{"access_token":"t","expires_in":60,"token_type":"Bearer"}"#, expected).is_err());
    let named = r#"{"access_token":"t","expires_in":60,"token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
    assert_eq!(check(200, named, expected), Ok(60));
}

#[test]
fn an_opaque_token_for_nobody_is_warned_of() {
    let body = r#"{"access_token":"opaque","expires_in":60,"token_type":"Bearer"}"#;
    let warning = |addressee| {
        let expected = Expected { addressee, ..Expected::default() };
        token(&reply(200, body), expected, NOW).expect("a token").warning.is_some()
    };
    assert!(warning(Addressee::Unnamed));
    assert!(!warning(Addressee::Named));
}

#[test]
fn refusals_say_whether_and_what_somebody_must_change() {
    for (status, body, expect) in [
        (400, r#"{"error":"invalid_request"}"#, "refused: the token endpoint answered 400 invalid_request"),
        (
            401,
            r#"{"error":"invalid_client","error_codes":[7000215],"error_description":"AADSTS7000215: Invalid client secret provided."}"#,
            "permanent: the token endpoint answered 401 invalid_client: AADSTS7000215: Invalid client secret provided. (the client secret is wrong: it must be the secret's value, not its id)",
        ),
        (
            400,
            r#"{"error":"x","error_codes":[700027]}"#,
            "permanent: the token endpoint answered 400 x (the certificate is not registered with the application)",
        ),
        (
            400,
            r#"{"error":"invalid_scope","error_codes":[1002012]}"#,
            "permanent: the token endpoint answered 400 invalid_scope (the scope must be the application id URI of the far end with `/.default` behind it)",
        ),
        (
            429,
            r#"{"error":"invalid_client"}"#,
            "busy: the token endpoint answered 429 invalid_client (the client id or what proves it is wrong, or the client must prove itself in another way)",
        ),
        (500, "oops", "busy: the token endpoint answered 500"),
        (404, "[1]", "refused: the token endpoint answered 404"),
    ] {
        assert_eq!(check(status, body, Expected::default()), Err(expect.to_owned()), "{body}");
    }
}

#[test]
fn a_sign_in_page_is_told_from_other_redirects() {
    let at = |status: u16, location: Option<&str>| {
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert(header::LOCATION, location.parse().expect("a header"));
        }
        is_sign_in(StatusCode::from_u16(status).expect("a status"), &headers)
    };
    for location in [
        "https://login.microsoftonline.com/11112222/oauth2/v2.0/authorize?client_id=x",
        "HTTPS://LOGIN.MICROSOFTONLINE.COM/",
        "/.auth/login/aad?post_login_redirect_uri=/",
        "https://app.azurewebsites.net/.auth/login/aad",
    ] {
        assert!(at(302, Some(location)), "{location}");
    }
    for location in [
        "/next",
        "https://example.net/?to=login.microsoftonline.com",
        "https://login.microsoftonline.com.evil.example/",
    ] {
        assert!(!at(302, Some(location)), "{location}");
    }
    assert!(!at(200, Some("/.auth/login/aad")) && !at(302, None));
}
