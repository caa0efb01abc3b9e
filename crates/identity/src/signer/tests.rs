//! Tokens of every algorithm, checked by another implementation (`jsonwebtoken`), and keys that are refused.

use super::*;
use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};
use std::collections::HashSet;

const RSA: &str = include_str!("../../../../testdata/keys/rsa.pem");
const RSA_1024: &str = include_str!("../../../../testdata/keys/rsa-1024.pem");
const RSA_PKCS1: &str = include_str!("../../../../testdata/keys/rsa-pkcs1.pem");
const EC: &str = include_str!("../../../../testdata/keys/ec.pem");
const EC_SEC1: &str = include_str!("../../../../testdata/keys/ec-sec1.pem");
const EC_384: &str = include_str!("../../../../testdata/keys/ec-384.pem");
const ED: &str = include_str!("../../../../testdata/keys/ed25519.pem");
const ENCRYPTED: &str = include_str!("../../../../testdata/keys/encrypted.pem");

/// Signs, then verifies with the public key as it is published.
fn round(pem: &str, algorithm: Option<Algorithm>) -> Algorithm {
    let signer = Signer::from_pem(pem, algorithm).expect("the key can sign");
    let token = signer.token(&json!({"typ": "JWT", "kid": "k"}), &json!({"sub": "a", "n": 1})).expect("signed");
    let jwk: Jwk = serde_json::from_value(signer.public_jwk().expect("a public key")).expect("a JWK");
    let mut rules = Validation::new(signer.algorithm().as_str().parse().expect("known there"));
    rules.required_spec_claims = HashSet::new();
    rules.validate_exp = false;
    let read = jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(&jwk).expect("usable"), &rules)
        .expect("another implementation agrees");
    assert_eq!((read.header.kid.as_deref(), &read.claims), (Some("k"), &json!({"sub": "a", "n": 1})));
    signer.algorithm()
}

#[test]
fn each_key_signs_with_its_algorithms() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    for (pem, usual) in [(RSA, RS256), (RSA_PKCS1, RS256), (EC, ES256), (EC_SEC1, ES256), (EC_384, ES384), (ED, EdDSA)]
    {
        assert_eq!(round(pem, None), usual);
    }
    for algorithm in [RS256, RS384, RS512, PS256, PS384, PS512] {
        assert_eq!(round(RSA, Some(algorithm)), algorithm);
    }
}

#[test]
fn what_cannot_sign_is_refused_with_the_reason() {
    let refused = |pem: &str, algorithm| Signer::from_pem(pem, algorithm).map(|_| ()).expect_err("refused");
    for text in ["", "secret", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert_eq!(refused(text, None), SignError::NotPem, "{text}");
    }
    assert_eq!(refused(ENCRYPTED, None), SignError::Encrypted);
    assert_eq!(refused(RSA_1024, None), SignError::BadKey);
    assert_eq!(refused("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None), SignError::BadKey);
    assert_eq!(refused(EC, Some(Algorithm::RS256)), SignError::OtherAlgorithm(Algorithm::RS256));
    assert_eq!(refused(RSA, Some(Algorithm::ES256)), SignError::OtherAlgorithm(Algorithm::ES256));
    for name in ["none", "HS256", "rs256", ""] {
        assert_eq!(name.parse::<Algorithm>(), Err(SignError::Unknown(name.to_owned())));
    }
}

#[test]
fn a_private_key_shows_nowhere() {
    let shown = format!("{:?}", Signer::from_pem(EC, None).expect("a key"));
    assert_eq!(shown, "Signer { algorithm: ES256, .. }");
}
