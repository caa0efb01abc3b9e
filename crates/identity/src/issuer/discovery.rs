//! What an issuer publishes about itself (OpenID Connect Discovery 1.0 §4, RFC 8414).
//!
//! Invariants: the document's `issuer` equals the configured text byte for byte, or somebody else's document could name
//! other keys; only `https` is spoken, but for this machine itself; no redirect is followed; a document has a bound.

use crate::exchange::{Ask, Exchange};
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// Largest document, in bytes.
pub const DOCUMENT_BYTES: usize = 1024 * 1024;

/// An address that may be asked: `https`, or `http` on this machine. Keeps the text as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    url: Url,
}

/// What is used of a document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    issuer: String,
    /// Keys.
    pub jwks_uri: Address,
    /// Where a browser signs in.
    #[serde(default)]
    pub authorization_endpoint: Option<Address>,
    /// Where tokens are had.
    #[serde(default)]
    pub token_endpoint: Option<Address>,
    /// Where opaque tokens are asked about (RFC 7662).
    #[serde(default)]
    pub introspection_endpoint: Option<Address>,
    /// Where a device asks for a code (RFC 8628).
    #[serde(default)]
    pub device_authorization_endpoint: Option<Address>,
    /// Where a browser signs out (OpenID Connect RP-Initiated Logout 1.0).
    #[serde(default)]
    pub end_session_endpoint: Option<Address>,
    /// Claims about a person.
    #[serde(default)]
    pub userinfo_endpoint: Option<Address>,
    /// Whether the answer to a sign-in names the issuer (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Address {
    /// Takes an address.
    ///
    /// # Errors
    /// When it is no address, is not `https` (but for this machine), or has a user name, a password or a fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| "it is not an address such as https://login.example.com/".to_owned())?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                return Err("use https; plain http is only taken on this machine (127.0.0.1, localhost)".to_owned());
            }
            _ => return Err("it must begin with https://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("it must have no user name, password or fragment".to_owned());
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As an address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Where the document of an issuer is: the well-known path is put behind the issuer's own (Discovery §4.1).
#[must_use]
pub fn place(issuer: &Address) -> Url {
    let mut url = issuer.url().clone();
    let path = format!("{}/.well-known/openid-configuration", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(None);
    url
}

/// Reads what an issuer publishes.
///
/// # Errors
/// When it cannot be had or does not fit; the text is for people and holds no credential.
pub async fn fetch(exchange: &Exchange, issuer: &Address) -> Result<Metadata, String> {
    let ask = Ask { limit: DOCUMENT_BYTES, ..Ask::get(place(issuer)) };
    let reply = exchange(ask).await.map_err(|error| error.to_string())?;
    match reply.status {
        StatusCode::OK => read(&reply.body, issuer),
        status if status.is_redirection() => Err(format!("the discovery page answered {status}: it is not followed")),
        status => Err(format!("the discovery page answered {status}")),
    }
}

/// Reads a document that must be of this issuer.
///
/// # Errors
/// When it is not JSON of the right form, or names another issuer.
pub fn read(body: &[u8], issuer: &Address) -> Result<Metadata, String> {
    let metadata: Metadata =
        serde_json::from_slice(body).map_err(|error| format!("the discovery page cannot be used: {error}"))?;
    if metadata.issuer != issuer.as_str() {
        return Err(format!(
            "the discovery page is of the issuer `{}`, and `{issuer}` is configured; they must be the same to the last \
             character",
            metadata.issuer.escape_debug()
        ));
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, fits: bool| assert_eq!(Address::parse(text).is_ok(), fits, "{text}");
        for good in
            ["https://idp.test/", "https://idp.test", "http://127.0.0.1:9000", "http://[::1]/x", "http://localhost"]
        {
            check(good, true);
        }
        for bad in [
            "http://idp.test/",
            "http://localhost.evil.test/",
            "ftp://idp.test",
            "idp.test",
            "https://u:p@idp.test/",
            "https://idp.test/#x",
        ] {
            check(bad, false);
        }
    }

    #[test]
    fn the_document_is_behind_the_issuers_path() {
        let check = |issuer: &str, expect: &str| {
            assert_eq!(place(&Address::parse(issuer).expect("address")).as_str(), expect);
        };
        check("https://idp.test", "https://idp.test/.well-known/openid-configuration");
        check("https://idp.test/", "https://idp.test/.well-known/openid-configuration");
        check("https://idp.test/realms/a", "https://idp.test/realms/a/.well-known/openid-configuration");
    }

    #[test]
    fn the_issuer_is_the_same_to_the_last_character() {
        let issuer = Address::parse("https://idp.test/").expect("address");
        let document = |iss: &str, keys: &str| format!(r#"{{"issuer":"{iss}","jwks_uri":"{keys}","other":1}}"#);
        let read = |iss, keys| read(document(iss, keys).as_bytes(), &issuer).map(drop);
        assert_eq!(read("https://idp.test/", "https://keys.test/jwks"), Ok(()));
        for (iss, keys) in [
            ("https://idp.test", "https://keys.test/jwks"),
            ("https://idp.test//", "https://keys.test/jwks"),
            ("https://IDP.test/", "https://keys.test/jwks"),
            ("https://idp.test/", "http://keys.test/jwks"),
        ] {
            assert!(read(iss, keys).is_err(), "{iss} {keys}");
        }
    }
}
