//! Keys and tokens of a test issuer, well-formed and not.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RsaKeyPair,
};
use aws_lc_rs::{hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who a good token says it is for.
pub(crate) const SUBJECT: &str = "spn-000000-airflow@svc.example.com";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The keys of the issuer, and one that is not its.
pub(crate) struct Keys {
    rsa: BTreeMap<String, RsaKeyPair>,
    es1: EcdsaKeyPair,
    ed1: signature::Ed25519KeyPair,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let rsa = |name: &str| (name.to_owned(), RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        Self {
            rsa: ["rs1", "rs2", "evil"].into_iter().map(rsa).collect(),
            es1: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed1: signature::Ed25519KeyPair::generate().unwrap(),
        }
    }

    fn rsa_jwk(&self, name: &str) -> Value {
        let public = self.rsa[name].public_key();
        let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent());
        json!({"kty": "RSA", "kid": name, "use": "sig", "alg": "RS256", "n": b64(n), "e": b64(e.big_endian_without_leading_zero())})
    }

    /// The keys that the issuer publishes: rs1, rs2, es1.
    pub(crate) fn jwks(&self) -> Value {
        let point = self.es1.public_key().as_ref();
        let es1 = json!({"kty": "EC", "kid": "es1", "use": "sig", "alg": "ES256", "crv": "P-256",
            "x": b64(&point[1..33]), "y": b64(&point[33..65])});
        json!({"keys": [self.rsa_jwk("rs1"), self.rsa_jwk("rs2"), es1]})
    }

    /// The token that a case describes.
    pub(crate) fn token(&self, case: &Value) -> String {
        let case = match case {
            Value::Null => return String::new(),
            Value::String(_) => &json!({}),
            case => case,
        };
        if let Some(literal) = case["lit"].as_str() {
            return crate::hostile::expand(literal);
        }
        let key = case["key"].as_str().unwrap_or("rs1");
        let alg = case["alg"].as_str().unwrap_or("RS256");
        let header = self.header(case, key, alg);
        let claims = claims(case);
        let payload = payload(case, &claims);
        let (mut h, mut p) = (b64(header.to_string()), b64(&payload));
        let message = format!("{h}.{p}");
        let mut signed = self.sign(case, key, alg, message.as_bytes());
        if let Some(tamper) = case["tamper"].as_object() {
            let mut claims = claims;
            claims.extend(tamper.clone());
            p = b64(Value::Object(claims).to_string());
        }
        match case["sig"].as_str() {
            Some("empty") => signed.clear(),
            Some("garbage") => signed = vec![1; 256],
            Some("flip") => signed[0] ^= 1,
            Some("trunc") => drop(signed.pop()),
            Some("zero64") => signed = vec![0; 64],
            Some("cut") => return format!("{h}.{p}"),
            Some("der") => signed.insert(0, 0x30),
            _ => {}
        }
        let mut s = b64(&signed);
        if case["pad"] == json!(true) {
            for part in [&mut h, &mut p, &mut s] {
                while part.len() % 4 != 0 {
                    part.push('=');
                }
            }
        }
        if case["stdb64"] == json!(true) {
            s = s.replace('-', "+").replace('_', "/");
        }
        if case["space"] == json!(true) {
            s.insert_str(20, "%20");
        }
        format!("{h}.{p}.{s}{}", case["suffix"].as_str().unwrap_or_default())
    }

    fn header(&self, case: &Value, key: &str, alg: &str) -> Value {
        let mut header = json!({"alg": alg, "typ": "at+jwt", "kid": key});
        let members = header.as_object_mut().unwrap();
        for (name, value) in case["headers"].as_object().into_iter().flatten() {
            let value = if *value == json!("${evil_jwk}") { self.rsa_jwk("evil") } else { value.clone() };
            members.insert(name.clone(), expanded(value));
        }
        members.retain(|_, value| !value.is_null());
        if let Some(raw) = case.get("alg_raw") {
            members.remove("alg");
            if !raw.is_null() {
                members.insert("alg".to_owned(), raw.clone());
            }
        }
        header
    }

    fn sign(&self, case: &Value, key: &str, alg: &str, message: &[u8]) -> Vec<u8> {
        if let Some(secret) = case["hmac_pub"].as_str() {
            let public = self.rsa[key].public_key();
            let secret = match secret {
                "empty" => Vec::new(),
                "n" => public.modulus().big_endian_without_leading_zero().to_vec(),
                "jwk" => self.rsa_jwk(key).to_string().into_bytes(),
                _ => public.as_ref().to_vec(),
            };
            return hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message).as_ref().to_vec();
        }
        let random = SystemRandom::new();
        let rsa = |how: &'static dyn signature::RsaEncoding| {
            let pair = &self.rsa[if self.rsa.contains_key(key) { key } else { "rs1" }];
            let mut out = vec![0; pair.public_modulus_len()];
            pair.sign(how, &random, message, &mut out).unwrap();
            out
        };
        match alg {
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "ES256" => self.es1.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed1.sign(message).as_ref().to_vec(),
            _ => rsa(&RSA_PKCS1_SHA256),
        }
    }
}

fn claims(case: &Value) -> Map<String, Value> {
    #[allow(clippy::disallowed_methods, reason = "tokens end in real time")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let mut claims = json!({
        "iss": "https://idp.test/", "sub": SUBJECT, "aud": "hub", "exp": now + 86400, "nbf": now - 60, "iat": now - 60,
        "jti": "0", "azp": "6f2a7d7c", "scope": "jobs.run jobs.read events.write", "roles": ["jobs.run", "events.write"],
    });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in case["claims"].as_object().into_iter().flatten() {
        members.insert(name.clone(), expanded(value.clone()));
    }
    members.retain(|_, value| !value.is_null());
    for (name, offset) in case["claims_rel"].as_object().into_iter().flatten() {
        members.insert(name.clone(), json!(now + offset.as_i64().unwrap()));
    }
    for (name, value) in case["payload_set"].as_object().into_iter().flatten() {
        members.insert(name.clone(), value.clone());
    }
    members.clone()
}

fn payload(case: &Value, claims: &Map<String, Value>) -> String {
    if let Some(raw) = case["payload_raw"].as_str() {
        return crate::hostile::expand(raw);
    }
    let mut claims = claims.clone();
    let texts: Vec<(String, String)> = case["payload_text"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, text)| {
            claims.remove(name);
            (name.clone(), text.as_str().unwrap().to_owned())
        })
        .collect();
    let mut payload = Value::Object(claims).to_string();
    let mut append = |name: &str, text: &str| {
        payload.pop();
        payload.push_str(&format!(",\"{name}\":{text}}}"));
    };
    for (name, text) in &texts {
        append(name, text);
    }
    for (name, value) in case["payload_dup"].as_object().into_iter().flatten() {
        append(name, &value.to_string());
    }
    payload
}

fn expanded(value: Value) -> Value {
    if let Value::String(text) = value { Value::String(crate::hostile::expand(&text)) } else { value }
}
