//! Requests with a form as body (`application/x-www-form-urlencoded`), as token endpoints take them.

use crate::exchange::Ask;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use url::Url;
use url::form_urlencoded::Serializer;

/// The kind of assertion that proves a client with a signed token (RFC 7523 §2.2).
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Largest reply of a token endpoint that is read, in bytes. Tokens with many groups have some ten kilobytes.
const TOKEN_BYTES: usize = 256 * 1024;

/// A POST of these fields; the answer is to be JSON.
pub(crate) fn post_form(url: Url, fields: &[(&str, &str)]) -> Ask {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut ask = post(url, "application/x-www-form-urlencoded", body.into());
    ask.limit = TOKEN_BYTES;
    ask
}

/// A POST of a JSON value.
pub(crate) fn post_json(url: Url, body: &serde_json::Value) -> Ask {
    let mut ask = post(url, "application/json", body.to_string().into());
    ask.limit = TOKEN_BYTES;
    ask
}

/// A text as a form encodes it.
pub(crate) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn post(url: Url, kind: &'static str, body: Bytes) -> Ask {
    let mut ask = Ask { method: Method::POST, body, ..Ask::get(url) };
    ask.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    ask.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    ask
}
