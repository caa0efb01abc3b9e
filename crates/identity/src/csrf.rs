//! Whether a browser's write comes from our own pages. Two locks, both must open.
//!
//! The first: Fetch Metadata (`Sec-Fetch-Site`, W3C), and `Origin` (RFC 6454) for browsers that do not send it; both are
//! set by the browser and out of reach of the attacking page. The second: a token in each form that only a page of this
//! session can hold; it is derived from the session's secret, so nothing is kept for it. Needed only for requests that a
//! cookie authenticates (the first lock also for client certificates, which browsers send by themselves too); a request
//! with an `Authorization` header is not something a foreign page can make a browser send.

use crate::session::SessionKey;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Why a browser's write is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this request did not come from a page of this server; open the page here and try again")]
pub struct ForeignOrigin;

/// Field of a form that holds the token.
pub const FIELD: &str = "csrf";
/// Header that holds the token where there is no form.
pub const HEADER: &str = "x-csrf-token";
/// What the token is derived for.
const PURPOSE: &str = "form";

/// Why a browser's write is refused although it seems to come from our page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this form is of another session; open the page again and repeat it")]
pub struct ForeignForm;

/// The token for the forms of a session, from what its cookie holds.
#[must_use]
pub fn token(key: &SessionKey, secret: &str) -> String {
    key.derive(PURPOSE, secret)
}

/// Accepts a form with the token of this session.
///
/// # Errors
/// When it has none, or one of another session.
pub fn of_this_session(key: &SessionKey, secret: &str, presented: Option<&str>) -> Result<(), ForeignForm> {
    let presented = presented.ok_or(ForeignForm)?;
    if key.fits(PURPOSE, secret, presented) { Ok(()) } else { Err(ForeignForm) }
}

/// Whether a browser made the request for a page: only browsers say where it comes from.
#[must_use]
pub fn comes_from_a_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-site") || headers.contains_key(ORIGIN)
}

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
    fn a_form_is_of_its_session() {
        let key = SessionKey::new([1; 32]);
        let mine = token(&key, "mine");
        assert_eq!(of_this_session(&key, "mine", Some(&mine)), Ok(()));
        assert_eq!(of_this_session(&key, "other", Some(&mine)), Err(ForeignForm));
        assert_eq!(of_this_session(&key, "mine", None), Err(ForeignForm));
        assert_eq!(of_this_session(&key, "mine", Some("")), Err(ForeignForm));
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
