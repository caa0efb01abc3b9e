//! How much memory an identity takes that is kept, and how long finding it takes: figures for the README.
//!
//! `cargo run --release -p trackside-identity --example kept_identities [COUNT]` (Linux: reads `/proc/self/statm`).

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a tool for developers that measures real time")]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use trackside_identity::callers::Callers;
use trackside_identity::certificate::Certificates;
use trackside_identity::exchange::network;
use trackside_identity::issuer::{IssuerConfig, Issuers};
use trackside_identity::secret::Secrets;

const PAGE_BYTES: usize = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(50_000), |text| text.parse())?;
    let key = Ed25519KeyPair::generate().map_err(|_| "no key")?;
    let folder = std::env::temp_dir().join("trackside-kept-identities.json");
    let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    std::fs::write(&folder, json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]}).to_string())?;
    let configs: BTreeMap<String, IssuerConfig> = serde_json::from_value(json!({"idp": {
        "issuer": "https://idp.test/", "audience": ["hub"], "keys": {"file": folder},
        "map": [{"when": {"roles": "jobs.run"}, "role": "service"}],
    }}))?;
    let issuers = Issuers::open(&configs, &network(), &Secrets::default(), &Issuers::default())
        .map_err(|found| format!("{found:?}"))?;
    let callers = Callers::new(Arc::new(issuers), Certificates::default());
    let now = Timestamp::now();
    let tokens: Vec<String> = (0..count).map(|number| token(&key, number, now)).collect();
    callers.identify(&tokens[0], now).await?;
    let (before, began) = (resident()?, Instant::now());
    for token in &tokens {
        callers.identify(token, now).await?;
    }
    let (verified, grown) = (began.elapsed(), resident()?.saturating_sub(before));
    let began = Instant::now();
    for token in &tokens {
        callers.identify(token, now).await?;
    }
    let found = began.elapsed();
    let each = u32::try_from(count)?;
    println!("{count} identities: {} bytes each", grown / count);
    println!("verifying (Ed25519): {:?} each; finding again: {:?} each", verified / each, found / each);
    Ok(())
}

fn token(key: &Ed25519KeyPair, number: usize, now: Timestamp) -> String {
    let claims = json!({
        "iss": "https://idp.test/", "aud": "hub", "sub": format!("spn-{number:06}-airflow@svc.example.com"),
        "exp": now.as_second() + 3600, "iat": now.as_second(), "jti": format!("{number:032x}"),
        "azp": "6f2a7d7c-1b1e-4f0e-9a55-3f5f5d6f6a11", "scope": "jobs.run jobs.read events.write",
        "roles": ["jobs.run", "events.write"], "groups": ["g0", "g1", "g2"], "name": "Airflow production worker",
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k"})), part(&claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Bytes of memory in use.
fn resident() -> Result<usize, Box<dyn std::error::Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split(' ').nth(1).ok_or("no figure")?.parse()?;
    Ok(pages * PAGE_BYTES)
}
