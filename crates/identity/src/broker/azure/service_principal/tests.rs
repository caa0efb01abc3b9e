//! Forms and assertions, read back with another implementation.

use super::*;
use std::collections::BTreeMap;

const KEY: &str = include_str!("../../../../../../testdata/keys/rsa.pem");
const CERTIFICATE: &str = include_str!("../../../../../../testdata/keys/certificate.pem");
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn fields(ask: &Ask) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&ask.body).into_owned().collect()
}

#[test]
fn a_secret_is_sent_as_a_form() {
    let endpoint = endpoint(None, "11112222-bbbb").expect("an address");
    assert_eq!(endpoint.as_str(), "https://login.microsoftonline.com/11112222-bbbb/oauth2/v2.0/token");
    let ask = ask(&endpoint, "app", "api://x/.default", &Proof::Secret(SecretString::from("s3cr3t+/=~")));
    let expect = [
        ("client_id", "app"),
        ("client_secret", "s3cr3t+/=~"),
        ("grant_type", "client_credentials"),
        ("scope", "api://x/.default"),
    ];
    assert_eq!(fields(&ask), expect.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(format!("{ask:?}"), "POST https://login.microsoftonline.com");
}

#[test]
fn an_assertion_names_the_certificate() {
    let endpoint = Url::parse("https://127.0.0.1:1/t/oauth2/v2.0/token").expect("an address");
    for (algorithm, member) in [(None, "x5t#S256"), (Some("PS256"), "x5t#S256"), (Some("RS256"), "x5t")] {
        let certificate = Certificate::new(CERTIFICATE, KEY, algorithm).expect("usable");
        let proof = certificate.assertion(&endpoint, "app", NOW, Uuid::from_u128(7)).expect("signed");
        let ask = ask(&endpoint, "app", "s", &proof);
        let fields = fields(&ask);
        assert_eq!(fields["client_assertion_type"], crate::broker::form::ASSERTION_TYPE);
        let part = |index: usize| -> Value {
            let part = fields["client_assertion"].split('.').nth(index).expect("three parts");
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
        };
        assert_eq!(part(0)["alg"], algorithm.unwrap_or("PS256"));
        assert!(part(0)[member].is_string(), "{member}");
        assert_eq!(
            part(1),
            json!({"aud": endpoint.as_str(), "iss": "app", "sub": "app", "iat": 0, "nbf": -30, "exp": 600,
                "jti": "00000000-0000-0000-0000-000000000007"})
        );
    }
}

#[test]
fn a_certificate_that_cannot_sign_is_refused() {
    for (certificate, key, algorithm) in [
        (CERTIFICATE, KEY, Some("ES256")),
        (CERTIFICATE, KEY, Some("none")),
        (KEY, KEY, None),
        ("", KEY, None),
        (CERTIFICATE, "", None),
    ] {
        assert!(Certificate::new(certificate, key, algorithm).is_err());
    }
}
