//! Accepting connections: plain or TLS, HTTP/1.1 or HTTP/2, bounded in number, drained at the end.
//!
//! Invariants: HTTP/1.1 is read through the sentinel, always; HTTP/2 is spoken only where TLS agreed on it; a client
//! that says nothing is closed; a stop lets running requests finish, but not for ever.

pub mod proxy_protocol;
pub mod tls;

use crate::config::GatewaySettings;
use crate::front::head::Bounds;
use crate::front::sentinel::{Sentinel, Signals, Watch};
use crate::gateway::{Gateway, Origin};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use trackside_identity::certificate::PeerCertificate;

/// Longest wait for a TLS handshake, or for the PROXY protocol.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Longest wait for running requests at the end.
const DRAIN_TIME: Duration = Duration::from_secs(20);
/// Pause after the system refused to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often idle connections to upstreams and old limits are looked at.
const TIDY: Duration = Duration::from_secs(5);
/// Most requests at a time on one HTTP/2 connection.
const H2_STREAMS: u32 = 128;

/// A bound socket with what it needs.
pub struct Listener {
    tcp: TcpListener,
    settings: Arc<GatewaySettings>,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// Binds the configured address.
    ///
    /// # Errors
    /// When the address cannot be bound or the certificate cannot be used.
    pub async fn bind(settings: &GatewaySettings) -> Result<Self, String> {
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let tcp = TcpListener::bind(&settings.listen).await;
        let tcp = tcp.map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
        Ok(Self { tcp, settings: Arc::new(settings.clone()), tls })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Serves until `stopping` becomes true and the running requests are done.
pub async fn serve(listener: Listener, gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(listener.settings.max_connections.unwrap_or(8_192)));
    let listener = Arc::new(listener);
    let mut connections = JoinSet::new();
    let mut stop_accepting = stopping.clone();
    let mut stop = pin!(stopped(&mut stop_accepting));
    let mut tidy = tokio::time::interval(TIDY);
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.tcp.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = &mut stop => break,
            _ = tidy.tick() => {
                gateway.tidy();
                continue;
            }
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (listener, gateway, stopping) = (Arc::clone(&listener), Arc::clone(&gateway), stopping.clone());
                connections.spawn(async move {
                    gateway.metrics().connections.inc();
                    connection(&listener, stream, peer, Arc::clone(&gateway), stopping).await;
                    gateway.metrics().connections.dec();
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                let _ = tokio::time::timeout(ACCEPT_PAUSE, stopped(&mut stopping)).await;
            }
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN_TIME, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(open = connections.len(), "closing connections whose requests did not end");
    }
}

async fn connection(
    listener: &Listener,
    mut stream: TcpStream,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
    stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let mut peer = peer;
    if let Some(proxies) = &listener.settings.proxy_protocol
        && proxies.from.iter().any(|network| network.contains(peer.ip()))
    {
        match tokio::time::timeout(HANDSHAKE_TIME, proxy_protocol::read(&mut stream)).await {
            Ok(Ok(told)) => peer = told.unwrap_or(peer),
            Ok(Err(error)) => return tracing::debug!(%error, %peer, "the PROXY protocol is malformed"),
            Err(_) => return tracing::debug!(%peer, "the PROXY protocol did not come in time"),
        }
    }
    let Some(acceptor) = &listener.tls else {
        return http1(stream, Origin::new(peer, "http", None), &listener.settings, gateway, stopping).await;
    };
    let stream = match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let mut origin = Origin::new(peer, "https", None);
    let (_, session) = stream.get_ref();
    origin.server_name = session.server_name().map(str::to_owned);
    if let Some([first, ..]) = session.peer_certificates() {
        match PeerCertificate::read(first) {
            Ok(certificate) => origin.certificate = Some(Arc::new(certificate)),
            Err(error) => return tracing::debug!(error, "the client certificate cannot be read"),
        }
    }
    if session.alpn_protocol() == Some(b"h2") {
        http2(stream, origin, &listener.settings, gateway, stopping).await;
    } else {
        http1(stream, origin, &listener.settings, gateway, stopping).await;
    }
}

async fn http1<S>(
    stream: S,
    mut origin: Origin,
    settings: &GatewaySettings,
    gateway: Arc<Gateway>,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let signals = Arc::new(Signals::default());
    origin.signals = Some(Arc::clone(&signals));
    let bounds =
        Bounds { bytes: settings.max_head_bytes.unwrap_or(32 * 1024), fields: settings.max_fields.unwrap_or(100) };
    let (head_time, idle_time, write_time) = (settings.head_time(), settings.idle_time(), settings.write_time());
    let watch = Watch { head: bounds, head_time, idle_time, write_time };
    let sentinel = Sentinel::new(stream, watch, signals);
    let origin = Arc::new(origin);
    let service = service_fn(move |request: Request<Incoming>| {
        let (gateway, origin) = (Arc::clone(&gateway), Arc::clone(&origin));
        async move { Ok::<_, Infallible>(gateway.handle(request, &origin).await) }
    });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(bounds.bytes.max(16 * 1024)).half_close(false);
    // Its own bound of 100 costs hyper less than one that is said.
    if bounds.fields != 100 {
        builder.max_headers(bounds.fields);
    }
    let mut connection = pin!(builder.serve_connection(TokioIo::new(sentinel), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn http2<S>(
    stream: S,
    mut origin: Origin,
    settings: &GatewaySettings,
    gateway: Arc<Gateway>,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let signals = Arc::new(Signals::default());
    origin.signals = Some(Arc::clone(&signals));
    let origin = Arc::new(origin);
    let service = service_fn(move |request: Request<Incoming>| {
        let (gateway, origin) = (Arc::clone(&gateway), Arc::clone(&origin));
        async move { Ok::<_, Infallible>(gateway.handle(request, &origin).await) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let head_bytes = u32::try_from(settings.max_head_bytes.unwrap_or(32 * 1024)).unwrap_or(32 * 1024);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(head_bytes)
        .keep_alive_interval(settings.idle_time())
        .keep_alive_timeout(HANDSHAKE_TIME);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = idled(&signals, settings.idle_time()) => {
            connection.as_mut().graceful_shutdown();
            let rest = tokio::time::timeout(HANDSHAKE_TIME, connection);
            return drop(rest.await);
        }
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Completes when no request ran for so long. A client that only answers pings does not keep its connection.
async fn idled(signals: &Signals, time: Duration) {
    let mut before = None;
    loop {
        let begun = signals.at_rest();
        if begun.is_some() && begun == before {
            return;
        }
        before = begun;
        tokio::time::sleep_until(Instant::now() + time).await;
    }
}

/// Completes when the server is to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the shell is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("listen", &self.settings.listen).finish_non_exhaustive()
    }
}
