//! The real network, with `reqwest` and rustls.
//!
//! A client is made for each [`Way`] when its first request comes and kept. It reads no clock and never retries.

use super::{Ask, AskError, Exchange, Reply, Way};
use bytes::BytesMut;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Position;

/// Longest wait for a connection (TCP and TLS).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are dropped early, as a far end may close them at any time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// How the server names itself.
const USER_AGENT: &str = concat!("trackside/", env!("CARGO_PKG_VERSION"));

/// The real network.
#[must_use]
pub fn network() -> Exchange {
    let clients = Arc::new(Clients::default());
    Arc::new(move |ask| {
        let clients = Arc::clone(&clients);
        Box::pin(async move { clients.exchange(ask).await })
    })
}

#[derive(Default)]
struct Clients(Mutex<BTreeMap<Way, reqwest::Client>>);

impl Clients {
    async fn exchange(&self, ask: Ask) -> Result<Reply, AskError> {
        let host = ask.url[Position::BeforeHost..Position::AfterPort].to_owned();
        let unreachable = |reason: String| AskError::Unreachable { host: host.clone(), reason };
        let client = self.client(&ask.way).map_err(unreachable)?;
        let request = client.request(ask.method, ask.url).headers(ask.headers).body(ask.body).timeout(ask.timeout);
        let mut response = request.send().await.map_err(|error| {
            let connecting = error.is_connect() || error.is_builder();
            let reason = reason(error);
            if connecting { unreachable(reason) } else { AskError::Lost { host: host.clone(), reason } }
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| AskError::Lost { host: host.clone(), reason: reason(error) })?
        {
            if body.len() + chunk.len() > ask.limit {
                return Err(AskError::TooLong { host, limit: ask.limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.freeze() })
    }

    fn client(&self, way: &Way) -> Result<reqwest::Client, String> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(way) {
            return Ok(client.clone());
        }
        let client = client(way)?;
        clients.insert(way.clone(), client.clone());
        Ok(client)
    }
}

fn client(way: &Way) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT);
    match way {
        Way::Usual => {}
        Way::Direct => builder = builder.no_proxy(),
        Way::Trusting(pem) => {
            let bundle = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(reason)?;
            builder = builder.tls_certs_merge(bundle);
        }
    }
    builder.build().map_err(reason)
}

/// The innermost cause, without the address: an address may hold a credential.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
