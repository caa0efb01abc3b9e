//! Requests as the platform wants them, and what is tried again.

use super::*;
use bytes::Bytes;
use http::HeaderMap;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const WANTED: Wanted<'_> = Wanted { resource: "https://vault.azure.net", client_id: None };

fn reply(status: u16, body: &str) -> Result<Reply, AskError> {
    let status = StatusCode::from_u16(status).expect("a status");
    Ok(Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) })
}

#[test]
fn the_metadata_service_is_asked_directly() {
    let host = Host::here(None, |_| None).expect("a host");
    let ask = host.ask(Wanted { client_id: Some("c 1"), ..WANTED }).expect("a request");
    assert_eq!(
        ask.url.as_str(),
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&client_id=c+1"
    );
    assert_eq!((ask.headers["metadata"].as_bytes(), ask.headers.len(), &ask.way), (&b"true"[..], 1, &Way::Direct));
}

#[test]
fn app_service_is_asked_with_its_header() {
    let variable = |name: &str| match name {
        "IDENTITY_ENDPOINT" => Some("http://127.0.0.1:4141/msi/token".to_owned()),
        "IDENTITY_HEADER" => Some("853b".to_owned()),
        _ => None,
    };
    let ask = Host::here(None, variable).and_then(|host| host.ask(WANTED)).expect("a request");
    assert_eq!(
        ask.url.as_str(),
        "http://127.0.0.1:4141/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net"
    );
    let header = &ask.headers["x-identity-header"];
    assert!(header.as_bytes() == b"853b" && header.is_sensitive());
    // A configured address goes before.
    let url = Url::parse("http://127.0.0.1:1/token").expect("an address");
    assert!(matches!(Host::here(Some(&url), variable), Ok(Host::Metadata(at)) if at == url));
    assert!(Host::here(None, |_| Some("not an address".to_owned())).is_err());
}

#[test]
fn only_what_can_pass_is_tried_again() {
    let waits = |answer: Result<Reply, AskError>| {
        let failure = judge(answer, NOW).expect_err("no token");
        let waits: Vec<u64> =
            (1..).map_while(|attempt| wait_before(attempt, Some(&failure))).map(|wait| wait.as_secs()).collect();
        (failure.class, waits)
    };
    assert_eq!(wait_before(0, None), Some(Duration::ZERO));
    let usual = vec![2, 6, 14, 30];
    for status in [404, 429, 500, 503] {
        assert_eq!(waits(reply(status, "{}")), (FailureClass::Busy, usual.clone()), "{status}");
    }
    let gone = waits(reply(410, ""));
    assert_eq!(gone, (FailureClass::Busy, vec![2, 6, 14, 30, 20]));
    assert!(gone.1.iter().sum::<u64>() >= 70);
    let lost = AskError::Lost { host: "169.254.169.254".to_owned(), reason: "timed out".to_owned() };
    assert_eq!(waits(Err(lost)), (FailureClass::NoAnswer, usual));
    for (status, class) in [(400, FailureClass::Permanent), (401, FailureClass::Refused), (403, FailureClass::Refused)]
    {
        let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
        assert_eq!(waits(reply(status, body)), (class, vec![]), "{status}");
    }
}
