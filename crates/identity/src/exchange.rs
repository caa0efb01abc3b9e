//! Outgoing HTTP of this crate as a value: what is asked, what is answered, and the function that does it.
//!
//! Everything here that talks to an identity provider, a secret manager or a token endpoint is a pure function from its
//! state to an [`Ask`], and from a [`Reply`] to what it means; the function in between is an [`Exchange`]. Invariants:
//! no redirect is followed; a reply is read to at most `Ask::limit` bytes; an error text holds no credential and no
//! address with one. [`network`] is the real one; tests and the simulated world bring their own.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

mod network;

pub use network::network;

/// Largest reply that is read when nothing else is said, in bytes.
pub const REPLY_BYTES: usize = 1024 * 1024;

/// A request. `Debug` shows method and address only: headers and body may hold credentials.
#[derive(Clone)]
pub struct Ask {
    /// Method.
    pub method: Method,
    /// Address.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Longest wait for the whole reply.
    pub timeout: Duration,
    /// Largest reply that is read, in bytes.
    pub limit: usize,
    /// Which way it goes.
    pub way: Way,
}

/// Which way a request goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// As the environment says: through its proxy, if there is one.
    #[default]
    Usual,
    /// Never through a proxy: link-local metadata services.
    Direct,
    /// Trusting this PEM bundle beside the system's roots.
    Trusting(Arc<str>),
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.url.origin().ascii_serialization())
    }
}

impl Ask {
    /// A request without body.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(10),
            limit: REPLY_BYTES,
            way: Way::Usual,
        }
    }
}

/// A reply. `Debug` shows the status only.
#[derive(Clone)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, whole.
    pub body: Bytes,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} bytes", self.status, self.body.len())
    }
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nothing was sent: no connection.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// Something may have been sent; no whole reply came.
    #[error("{host} did not answer: {reason}")]
    Lost {
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// The reply is longer than the limit.
    #[error("{host} answered with more than {limit} bytes")]
    TooLong {
        /// Host and port.
        host: String,
        /// The limit.
        limit: usize,
    },
}

/// Does what is asked.
pub type Exchange = Arc<dyn Fn(Ask) -> BoxFuture<'static, Result<Reply, AskError>> + Send + Sync>;
