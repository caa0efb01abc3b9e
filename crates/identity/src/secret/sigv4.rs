//! Signature Version 4 of AWS, for requests with the signature in the `Authorization` header.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide. Invariants: host, date and every header that is there
//! are signed; the path is encoded as for every service but S3; keys are in no `Debug`.

use crate::exchange::Ask;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use http::{HeaderName, HeaderValue, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt::Write as _;
use url::{Position, Url};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Keys that requests are signed with.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Access key id.
    pub id: SecretString,
    /// Secret access key.
    pub secret: SecretString,
    /// Session token, for temporary keys.
    pub token: Option<SecretString>,
}

/// What a signature is good for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Region.
    pub region: &'a str,
    /// Service.
    pub service: &'a str,
}

/// Signs a request: adds the date, the session token and the signature.
///
/// # Errors
/// The part of the keys that does not fit into a header.
pub fn add_signature(ask: &mut Ask, keys: &Keys, scope: Scope<'_>, now: Timestamp) -> Result<(), &'static str> {
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let host = HeaderValue::from_str(&ask.url[Position::BeforeHost..Position::AfterPort]).map_err(|_| "host")?;
    ask.headers.insert(header::HOST, host);
    ask.headers.insert(DATE, HeaderValue::from_str(&date).map_err(|_| "date")?);
    if let Some(token) = &keys.token {
        let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| "session token")?;
        value.set_sensitive(true);
        ask.headers.insert(TOKEN, value);
    }
    let (canonical, signed) = canonical_request(ask);
    let day = &date[..8];
    let credential_scope = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign =
        format!("{ALGORITHM}\n{date}\n{credential_scope}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
    let signature = hex(&mac(&signing_key(keys, day, scope), to_sign.as_bytes()));
    let id = keys.id.expose_secret();
    let authorization =
        format!("{ALGORITHM} Credential={id}/{credential_scope}, SignedHeaders={signed}, Signature={signature}");
    let mut value = HeaderValue::from_str(&authorization).map_err(|_| "access key id")?;
    value.set_sensitive(true);
    ask.headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

/// The request as it is signed, and the names of the headers in it.
fn canonical_request(ask: &Ask) -> (String, String) {
    let mut names: Vec<&str> = ask.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let mut headers = String::new();
    for name in &names {
        let values: Vec<String> = ask.headers.get_all(*name).iter().map(|value| folded(value.as_bytes())).collect();
        let _ = writeln!(headers, "{name}:{}", values.join(","));
    }
    let signed = names.join(";");
    let payload = hex(digest(&SHA256, &ask.body).as_ref());
    let (path, query) = (canonical_path(&ask.url), canonical_query(&ask.url));
    (format!("{}\n{path}\n{query}\n{headers}\n{signed}\n{payload}", ask.method), signed)
}

/// A value without spaces at its ends, runs of spaces as one.
fn folded(value: &[u8]) -> String {
    String::from_utf8_lossy(value).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The path as it is sent, encoded once more.
fn canonical_path(url: &Url) -> String {
    url.path().split('/').map(|segment| encoded(segment.as_bytes())).collect::<Vec<_>>().join("/")
}

/// The parameters, encoded, in their order by name, then value.
fn canonical_query(url: &Url) -> String {
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (encoded(name.as_bytes()), encoded(value.as_bytes()))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 §2.3).
fn encoded(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn signing_key(keys: &Keys, day: &str, scope: Scope<'_>) -> Vec<u8> {
    let first = zeroize::Zeroizing::new(format!("AWS4{}", keys.secret.expose_secret()));
    let parts = [day, scope.region, scope.service, "aws4_request"];
    parts.iter().fold(first.as_bytes().to_vec(), |key, part| mac(&key, part.as_bytes()))
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), data).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests;
