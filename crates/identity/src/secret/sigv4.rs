//! Signature Version 4 of AWS, for requests with the signature in the `Authorization` header.
//!
//! Source: "Create a signed AWS API request" in the IAM user guide. Invariants: host, date and every header that is given
//! are signed; a path is encoded once more, as for every service but S3, whose requests also name the digest of their
//! body; keys are in no `Debug`.

use crate::exchange::Ask;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt::Write as _;
use url::Position;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
/// The service with rules of its own.
const S3: &str = "s3";

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

/// A request as it will be sent, as far as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Method.
    pub method: &'a Method,
    /// What its `Host` is.
    pub host: &'a str,
    /// Path, as it is sent.
    pub path: &'a str,
    /// What stands behind the `?`, as it is sent.
    pub query: &'a str,
    /// Headers that are signed beside the host and those of the signature itself.
    pub headers: &'a HeaderMap,
    /// Body, whole.
    pub body: &'a [u8],
}

/// Signs a request: adds the host, the date, the session token and the signature.
///
/// # Errors
/// The part of the keys that does not fit into a header.
pub fn add_signature(ask: &mut Ask, keys: &Keys, scope: Scope<'_>, now: Timestamp) -> Result<(), &'static str> {
    let host = ask.url[Position::BeforeHost..Position::AfterPort].to_owned();
    let draft = Draft {
        method: &ask.method,
        host: &host,
        path: ask.url.path(),
        query: ask.url.query().unwrap_or_default(),
        headers: &ask.headers,
        body: &ask.body,
    };
    let signature = signature(&draft, keys, scope, now)?;
    ask.headers.insert(header::HOST, HeaderValue::from_str(&host).map_err(|_| "host")?);
    for (name, value) in signature {
        ask.headers.insert(name, value);
    }
    Ok(())
}

/// The headers that sign a request; they take the place of those of the same name.
///
/// # Errors
/// The part of the keys that does not fit into a header.
pub fn signature(
    draft: &Draft<'_>,
    keys: &Keys,
    scope: Scope<'_>,
    now: Timestamp,
) -> Result<Vec<(HeaderName, HeaderValue)>, &'static str> {
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let payload = hex(digest(&SHA256, draft.body).as_ref());
    let mut added = vec![(DATE, HeaderValue::from_str(&date).map_err(|_| "date")?)];
    if scope.service == S3 {
        added.push((CONTENT, HeaderValue::from_str(&payload).map_err(|_| "digest")?));
    }
    if let Some(token) = &keys.token {
        let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| "session token")?;
        value.set_sensitive(true);
        added.push((TOKEN, value));
    }
    let mut headers = draft.headers.clone();
    headers.insert(header::HOST, HeaderValue::from_str(draft.host).map_err(|_| "host")?);
    headers.extend(added.iter().cloned());
    let (canonical, signed) = canonical_request(draft, &headers, scope, &payload);
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
    added.push((header::AUTHORIZATION, value));
    Ok(added)
}

/// The request as it is signed, and the names of the headers in it.
fn canonical_request(draft: &Draft<'_>, headers: &HeaderMap, scope: Scope<'_>, payload: &str) -> (String, String) {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let mut lines = String::new();
    for name in &names {
        let values: Vec<String> = headers.get_all(*name).iter().map(|value| folded(value.as_bytes())).collect();
        let _ = writeln!(lines, "{name}:{}", values.join(","));
    }
    let signed = names.join(";");
    let (path, query) = (canonical_path(draft.path, scope), canonical_query(draft.query));
    (format!("{}\n{path}\n{query}\n{lines}\n{signed}\n{payload}", draft.method), signed)
}

/// A value without spaces at its ends, runs of spaces as one.
fn folded(value: &[u8]) -> String {
    String::from_utf8_lossy(value).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The path as it is sent, encoded once more; for S3 only what is not encoded yet.
fn canonical_path(path: &str, scope: Scope<'_>) -> String {
    let once = |segment: &str| segment.split('%').map(|part| encoded(part.as_bytes())).collect::<Vec<_>>().join("%");
    let segment = |segment: &str| if scope.service == S3 { once(segment) } else { encoded(segment.as_bytes()) };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The parameters, encoded, in their order by name, then value.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (encoded(name.as_bytes()), encoded(value.as_bytes())))
        .collect();
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
