//! Browser sessions: the cookie that carries one.
//!
//! The value is a token of 256 random bits; what is kept of it is its SHA-256, as for API tokens, so a copy of the
//! database opens no session and signing out ends it at once. `HttpOnly` keeps it from scripts, `SameSite=Lax` off
//! cross-site posts; [`crate::csrf`] is the second lock. Not here: where sessions are kept, one-time links
//! ([`crate::link`]).

use http::HeaderMap;
use http::header::COOKIE;
use jiff::SignedDuration;

/// How long a session lasts.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How browsers reach the server; decides the cookie's name and its `Secure` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `https`, here or at a proxy in front.
    Tls,
    /// Plain `http`; for a laptop or a closed network.
    Plain,
}

impl Transport {
    /// Name of the session cookie. The `__Host-` prefix (RFC 6265bis §4.1.3.2) binds it to this host and to TLS.
    #[must_use]
    pub fn cookie_name(self) -> &'static str {
        match self {
            Self::Tls => "__Host-trackside",
            Self::Plain => "trackside",
        }
    }

    /// The `Set-Cookie` value that begins a session.
    #[must_use]
    pub fn begin(self, value: &str) -> String {
        self.set_cookie(value, SESSION_LIFETIME.as_secs())
    }

    /// The `Set-Cookie` value that ends it.
    #[must_use]
    pub fn end(self) -> String {
        self.set_cookie("", 0)
    }

    /// The session cookie of a request.
    #[must_use]
    pub fn find(self, headers: &HeaderMap) -> Option<&str> {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie_name()).then_some(value))
    }

    fn set_cookie(self, value: &str, max_age: i64) -> String {
        let secure = match self {
            Self::Tls => "; Secure",
            Self::Plain => "",
        };
        format!("{}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}", self.cookie_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "theme=dark; trackside=a".parse().expect("value"));
        headers.append(COOKIE, "__Host-trackside=b".parse().expect("value"));
        assert_eq!(Transport::Plain.find(&headers), Some("a"));
        assert_eq!(Transport::Tls.find(&headers), Some("b"));
        assert_eq!(
            Transport::Tls.begin("x"),
            "__Host-trackside=x; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(Transport::Plain.end(), "trackside=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
