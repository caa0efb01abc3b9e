use super::*;
use crate::far_end;
use crate::template::sample_effect;
use trackside_core::effect::Action;

fn now() -> Timestamp {
    Timestamp::from_second(1_795_190_000).unwrap()
}

#[test]
fn both_secrets_sign_while_a_receiver_changes_over() {
    let old = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let new = SecretString::from("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
    let signature = sign(&[new.clone(), old.clone()], "msg_1", now().as_second(), b"{}").unwrap();
    let header = |name: &str| match name {
        ID => Some("msg_1"),
        TIMESTAMP => Some("1795190000"),
        _ => Some(signature.as_str()),
    };
    assert_eq!(verify(header, b"{}", &[old], now()), Ok(()));
    assert_eq!(verify(header, b"{}", std::slice::from_ref(&new), now()), Ok(()));
    assert_eq!(verify(header, b"{ }", &[new], now()), Err(BadSignature::Mismatch(SIGNATURE)));
    for bad in ["hunter2", "whsec_", "whsec_!!!", "whsec_c2hvcnQ="] {
        let error = sign(&[SecretString::from(bad)], "m", 0, b"").unwrap_err();
        assert!(matches!(error, BadSignature::Secret(_)), "{error}");
    }
}

#[test]
fn the_request_carries_the_delivery_id_and_hides_the_query() {
    let connection = far_end::tests::connection(crate::connection::Target::Webhook {
        url: HttpUrl::try_from("https://example.net/in?sig=s3cret".to_owned()).unwrap(),
        secrets: vec![SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
    });
    let effect = sample_effect(Action::Update, now());
    let request = far_end::request(&connection, &effect, None, now()).unwrap();
    insta::assert_json_snapshot!(far_end::tests::shown(&request));
    let Wire::Http(http) = &request.wire else { panic!("not HTTP") };
    assert!(http.url.ends_with("?sig=s3cret"));
    assert!(!format!("{request:?}").contains("s3cret"));
}
