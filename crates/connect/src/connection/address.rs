//! An `http` or `https` address from the configuration.
//!
//! Connections are written by administrators, so any host is allowed, private ones too; redirects are never followed
//! (see [`crate::sender`]), so a far end cannot point the server elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;

/// An absolute `http` or `https` URL without user part and fragment, normalised.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpUrl(Url);

impl HttpUrl {
    /// The address as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The query, which often carries a signature or token and is treated as a secret.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.0.query().filter(|query| !query.is_empty())
    }
}

impl TryFrom<String> for HttpUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The text is not repeated: it may carry credentials.
        let url = Url::parse(&text)
            .map_err(|error| format!("is not an address: {error}; write for example https://example.net/in"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("has scheme `{}`; only http and https are spoken", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user name or password; credentials are secret references".to_owned());
        }
        if url.fragment().is_some() {
            return Err("has a fragment (`#…`), which is never sent; remove it".to_owned());
        }
        Ok(Self(url))
    }
}

impl From<HttpUrl> for String {
    fn from(url: HttpUrl) -> Self {
        url.0.into()
    }
}

/// Without the query.
impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str().split_once('?') {
            Some((before, _)) => write!(f, "{before}?[redacted]"),
            None => f.write_str(self.0.as_str()),
        }
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl JsonSchema for HttpUrl {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HttpUrl".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "uri",
            "pattern": "^https?://",
            "description": "An absolute http or https address without credentials"
        })
    }
}
