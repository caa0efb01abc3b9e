//! Connections to an upstream: opened, kept for a while, driven by the request that uses them.
//!
//! A connection has no task of its own: the request that holds it polls it, so that an exchange costs no hand-over
//! between threads. An idle one is polled once when it is taken, which shows whether the upstream closed it meanwhile.
//! Invariant: a connection carries one exchange at a time, and goes back to the pool only when both sides of it ended.

use super::body::Outgoing;
use super::drive::Engine;
use super::strict::Strict;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service as _;

/// How long an idle connection is kept: less than the five seconds after which common servers close theirs.
const KEEP: Duration = Duration::from_secs(4);
/// Most idle connections of one upstream.
const KEPT: usize = 256;

/// What an upstream is, in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// Name of the connection.
    pub name: String,
    /// Its address; paths are put behind it.
    pub url: String,
    /// File with the certificates to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// Whether it has a credential that a broker gives.
    pub has_credential: bool,
}

/// An upstream with its connections.
#[derive(Debug)]
pub struct Upstream {
    /// As configured.
    pub config: UpstreamConfig,
    /// What its `Host` is.
    pub host: HeaderValue,
    base: String,
    dial: Uri,
    connector: HttpsConnector<HttpConnector>,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    link: Link,
    since: Instant,
}

/// A connection to an upstream.
pub struct Link {
    sender: SendRequest<Outgoing>,
    engine: Engine,
    expecting: Arc<AtomicBool>,
    /// Wakes at the latest when an answer is late; set anew only when it would wake too late, or has woken too early.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether it was used before: then the upstream may have closed it unseen.
    pub reused: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection took too long.
    #[error("no connection in time")]
    ConnectTime,
    /// The exchange failed before an answer came.
    #[error("{error}")]
    Exchange {
        /// How.
        error: hyper::Error,
        /// The request, when none of it was sent.
        unsent: Option<Box<Request<Outgoing>>>,
    },
}

impl Upstream {
    /// An upstream without connections yet.
    ///
    /// # Errors
    /// When its address or its certificates cannot be used.
    pub fn new(config: UpstreamConfig) -> Result<Self, String> {
        let uri: Uri = config.url.parse().map_err(|error| format!("`{}` is no address: {error}", config.name))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(format!("the address of `{}` has no host", config.name));
        };
        let tls = if scheme == Scheme::HTTPS { tls(config.ca.as_ref())? } else { no_roots()? };
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
        let base = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/').to_owned();
        Ok(Self {
            host: HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?,
            dial: dial(scheme, authority)?,
            base,
            connector,
            idle: Mutex::default(),
            config,
        })
    }

    /// The target of a request for this path and query.
    ///
    /// # Errors
    /// When they make no target.
    pub fn target(&self, path: &str, query: Option<&str>) -> Result<Uri, http::uri::InvalidUri> {
        let mut text = String::with_capacity(self.base.len() + path.len() + query.map_or(0, |query| query.len() + 1));
        text.push_str(&self.base);
        text.push_str(path);
        if let Some(query) = query {
            text.push('?');
            text.push_str(query);
        }
        Uri::from_maybe_shared(bytes::Bytes::from(text))
    }

    /// A kept connection, or a new one.
    ///
    /// # Errors
    /// When none can be opened in time.
    pub async fn link(&self, within: Duration) -> Result<Link, Failed> {
        if let Some(link) = self.kept().await { Ok(link) } else { Box::pin(self.open(within)).await }
    }

    /// A new connection.
    ///
    /// # Errors
    /// When none can be opened in time.
    pub async fn open(&self, within: Duration) -> Result<Link, Failed> {
        let opening = async {
            let mut connector = self.connector.clone();
            poll_fn(|cx| connector.poll_ready(cx)).await.map_err(|error| Failed::Connect(error.to_string()))?;
            let stream = connector.call(self.dial.clone()).await.map_err(|error| Failed::Connect(error.to_string()))?;
            let expecting = Arc::new(AtomicBool::new(false));
            let wire = Strict::new(TokioIo::new(stream), Arc::clone(&expecting));
            let shaken = http1::handshake(TokioIo::new(wire)).await;
            let (sender, driver) = shaken.map_err(|error| Failed::Connect(error.to_string()))?;
            Ok(Link {
                sender,
                engine: Engine::new(Box::pin(driver.with_upgrades())),
                expecting,
                timer: None,
                reused: false,
            })
        };
        tokio::time::timeout(within, opening).await.map_err(|_| Failed::ConnectTime)?
    }

    /// The latest kept connection that is still open.
    async fn kept(&self) -> Option<Link> {
        loop {
            let Idle { mut link, since } = self.idle().pop()?;
            if since.elapsed() < KEEP && poll_fn(|cx| Poll::Ready(link.is_open(cx))).await {
                return Some(link);
            }
        }
    }

    /// Takes a connection back.
    pub fn keep(&self, mut link: Link) {
        link.reused = true;
        link.engine.leave();
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(Idle { link, since: Instant::now() });
        }
    }

    /// Closes connections that idle too long.
    pub fn tidy(&self) {
        let mut idle = self.idle();
        let gone = idle.iter().take_while(|idle| idle.since.elapsed() >= KEEP).count();
        idle.drain(..gone);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// Sends a request and waits for the head of the answer, at most until then; `None` when it is late.
    ///
    /// # Errors
    /// When the exchange fails.
    pub async fn exchange(
        &mut self,
        request: Request<Outgoing>,
        until: Instant,
    ) -> Option<Result<Response<Incoming>, Failed>> {
        let Self { sender, engine, expecting, timer, .. } = self;
        expecting.store(true, Ordering::Release);
        engine.enter();
        let mut answer = pin!(sender.try_send_request(request));
        let answered = poll_fn(|cx| match engine.turn(cx, |cx| answer.as_mut().poll(cx)) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => poll_until(timer, until, cx).map(|()| None),
        });
        let answered = answered.await?;
        Some(answered.map_err(|mut failed| {
            let unsent = failed.take_message().map(Box::new);
            Failed::Exchange { error: failed.into_error(), unsent }
        }))
    }

    /// Polls a part of the exchange, and moves bytes for it.
    pub(super) fn turn<T>(&mut self, cx: &mut Context<'_>, poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.engine.turn(cx, poll)
    }

    /// Whether another exchange may begin.
    pub fn is_open(&mut self, cx: &mut Context<'_>) -> bool {
        self.engine.is_running(cx) && self.sender.is_ready()
    }

    /// Drives to the end: for what is no HTTP any more.
    pub async fn finish(self) {
        drop(self.sender);
        self.engine.finish().await;
    }
}

/// Ready when that time has come.
fn poll_until(timer: &mut Option<Pin<Box<Sleep>>>, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
    if timer.deadline() > until {
        timer.as_mut().reset(until);
    }
    loop {
        ready!(timer.as_mut().poll(cx));
        if timer.deadline() >= until {
            return Poll::Ready(());
        }
        timer.as_mut().reset(until);
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("reused", &self.reused).finish_non_exhaustive()
    }
}

fn dial(scheme: Scheme, authority: Authority) -> Result<Uri, String> {
    Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build().map_err(|error| error.to_string())
}

/// What TLS to this upstream trusts.
fn tls(ca: Option<&PathBuf>) -> Result<rustls::ClientConfig, String> {
    let Some(path) = ca else {
        let builder = builder()?.try_with_platform_verifier().map_err(|error| error.to_string())?;
        return Ok(builder.with_no_client_auth());
    };
    let mut roots = rustls::RootCertStore::empty();
    let bad = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
        let certificate = certificate.map_err(|error| bad(&error))?;
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}

/// For an upstream without TLS: trusts nobody.
fn no_roots() -> Result<rustls::ClientConfig, String> {
    Ok(builder()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}
