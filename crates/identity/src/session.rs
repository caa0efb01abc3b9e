//! Browser sessions: a signed cookie that says who signed in and until when.
//!
//! The value is `v1.EXPIRES.KIND.SUBJECT.MAC` with an HMAC-SHA-256 over all before it, so sessions survive a restart
//! without a table. A session that came from a token carries the token's name, not its rights: the directory is asked
//! on every request, so revoking the token ends its sessions. `SameSite=Lax` keeps the cookie off cross-site posts;
//! [`crate::csrf`] is the second lock. Not here: one-time links ([`crate::link`]).

use crate::role::Role;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::header::COOKIE;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretBox};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How long a session lasts.
pub const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Longest cookie value that is looked at, in bytes.
const COOKIE_BYTES: usize = 1024;

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The holder of the token of this name; role and team are the token's at each request.
    Token(String),
    /// Somebody who used a one-time link.
    Link {
        /// For the audit.
        person: String,
        /// What the link grants.
        role: Role,
    },
}

/// A session as the cookie carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub subject: Subject,
    /// Until when (whole seconds count).
    pub expires: Timestamp,
}

/// The key sessions are signed with. Whoever has it can sign in as anybody; changing it ends every session.
#[derive(Debug)]
pub struct SessionKey(SecretBox<[u8; 32]>);

impl SessionKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(random)))
    }

    /// The cookie value of a session.
    #[must_use]
    pub fn seal(&self, session: &Session) -> String {
        let (kind, subject) = match &session.subject {
            Subject::Token(name) => ("token", name),
            Subject::Link { person, role } => (role.as_str(), person),
        };
        let signed =
            format!("v1.{}.{kind}.{}", session.expires.as_second(), URL_SAFE_NO_PAD.encode(subject.as_bytes()));
        let mac = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{mac}")
    }

    /// The session in a cookie value; `None` when it is forged, malformed or over.
    #[must_use]
    pub fn open(&self, value: &str, now: Timestamp) -> Option<Session> {
        if value.len() > COOKIE_BYTES {
            return None;
        }
        let (signed, mac) = value.rsplit_once('.')?;
        self.mac(signed).verify_slice(&URL_SAFE_NO_PAD.decode(mac).ok()?).ok()?;
        let mut parts = signed.strip_prefix("v1.")?.splitn(3, '.');
        let expires = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
        let kind = parts.next()?;
        let name = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        let subject = match kind {
            "token" => Subject::Token(name),
            role => Subject::Link { person: name, role: role.parse().ok()? },
        };
        (now < expires).then_some(Session { subject, expires })
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        // RFC 2104 §2: a key shorter than the hash's block is padded with zeros.
        let mut block = Zeroizing::new([0u8; 64]);
        block[..32].copy_from_slice(self.0.expose_secret());
        let mut mac = <Hmac<Sha256>>::new((&*block).into());
        mac.update(b"trackside session ");
        mac.update(signed.as_bytes());
        mac
    }
}

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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn sessions() -> [Session; 2] {
        [
            Session { subject: Subject::Token("alice".to_owned()), expires: at(2_000) },
            Session {
                subject: Subject::Link { person: "console.v1".to_owned(), role: Role::Admin },
                expires: at(2_000),
            },
        ]
    }

    #[test]
    fn what_is_sealed_opens_until_it_expires() {
        let key = SessionKey::new([7; 32]);
        for session in sessions() {
            let value = key.seal(&session);
            assert_eq!(key.open(&value, at(1_999)), Some(session));
            assert_eq!(key.open(&value, at(2_000)), None);
        }
    }

    #[test]
    fn nothing_else_opens() {
        let key = SessionKey::new([7; 32]);
        let [session, _] = sessions();
        let value = key.seal(&session);
        assert_eq!(SessionKey::new([8; 32]).open(&value, at(0)), None, "another key");
        for position in 0..value.len() {
            let mut forged = value.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ascii");
            assert_eq!(key.open(&forged, at(0)), None, "{forged}");
        }
        for junk in ["", ".", "v1", "v1.1.token.YQ", &"a.".repeat(4_000)] {
            assert_eq!(key.open(junk, at(0)), None);
        }
    }

    #[test]
    fn cookies() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "theme=dark; trackside=a.b".parse().expect("value"));
        headers.append(COOKIE, "__Host-trackside=c.d".parse().expect("value"));
        assert_eq!(Transport::Plain.find(&headers), Some("a.b"));
        assert_eq!(Transport::Tls.find(&headers), Some("c.d"));
        assert_eq!(
            Transport::Tls.begin("x"),
            "__Host-trackside=x; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(Transport::Plain.end(), "trackside=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
