//! Whether a browser's write comes from our own pages.
//!
//! The choice: Fetch Metadata (`Sec-Fetch-Site`, W3C), and `Origin` (RFC 6454) for browsers that do not send it, rather
//! than tokens hidden in forms. Both headers are set by the browser and out of reach of the attacking page, forms need
//! no state, and pages stay the same for every visitor. Needed only for requests that a cookie authenticates; a request
//! with an `Authorization` header is not something a foreign page can make a browser send.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Why a browser's write is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this request did not come from a page of this server; open the page here and try again")]
pub struct ForeignOrigin;

/// Accepts a write that a cookie authenticates only when our own page sent it. `public_origin` is the origin people
/// use (`https://trackside.example.net`), for proxies that rewrite `Host`.
///
/// # Errors
/// When the browser says that another site sent it, or says nothing.
pub fn same_origin(headers: &HeaderMap, public_origin: &str) -> Result<(), ForeignOrigin> {
    if let Some(site) = headers.get("sec-fetch-site") {
        return if site == "same-origin" { Ok(()) } else { Err(ForeignOrigin) };
    }
    let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok()).ok_or(ForeignOrigin)?;
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let ours = origin.eq_ignore_ascii_case(public_origin)
        || authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host));
    if ours { Ok(()) } else { Err(ForeignOrigin) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(headers: &[(&'static str, &'static str)], accepted: &str) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let verdict = if same_origin(&map, "https://ts.example.net").is_ok() { "accepted" } else { "refused" };
        assert_eq!(verdict, accepted, "{headers:?}");
    }

    #[test]
    fn who_may_write() {
        check(&[("sec-fetch-site", "same-origin")], "accepted");
        check(&[("sec-fetch-site", "same-site")], "refused");
        check(&[("sec-fetch-site", "cross-site"), ("origin", "https://ts.example.net")], "refused");
        check(&[("sec-fetch-site", "none")], "refused");
        check(&[("origin", "https://ts.example.net"), ("host", "backend:4180")], "accepted");
        check(&[("origin", "http://127.0.0.1:4180"), ("host", "127.0.0.1:4180")], "accepted");
        check(&[("origin", "https://evil.example"), ("host", "ts.example.net")], "refused");
        check(&[("origin", "null"), ("host", "ts.example.net")], "refused");
        check(&[("host", "ts.example.net")], "refused");
    }
}
