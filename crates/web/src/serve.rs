//! Accepting connections: plain or TLS, bounded in number, patient in nothing, drained on shutdown.
//!
//! Invariants: a connection that does not send its request head, or does not finish its TLS handshake, is closed; the
//! number of open connections has a limit; a shutdown lets running requests finish, but not for ever.

use crate::state::stopped;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt as _;
use trackside_identity::certificate::PeerCertificate;

/// Most connections open at a time, over one listener.
pub const CONNECTIONS: usize = 8_192;
/// Longest wait for a request head. It is also how long a kept connection may idle, and clients that send one event
/// now and then (an orchestrator between two runs) keep theirs.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// Longest wait for a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Longest wait for running requests at shutdown.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// Pause after the system refused to accept (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most requests at a time on one HTTP/2 connection.
const H2_STREAMS: u32 = 256;

/// A socket to accept on.
pub struct Listener {
    /// The bound socket.
    pub tcp: TcpListener,
    /// TLS settings, when connections are encrypted here.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("cannot read {}: {problem}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key do not fit.
    #[error("the certificate and the key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// TLS settings from a certificate chain and a private key, both PEM files, and the authorities whose client certificates
/// are taken. A client may leave its certificate out, and then authenticates in another way.
///
/// # Errors
/// When a file cannot be read, certificate and key do not fit, or there is no authority in the file.
pub fn tls_from_files(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let bad = |path: &Path| {
        let path = path.to_owned();
        move |error: rustls::pki_types::pem::Error| TlsError::File { path, problem: error.to_string() }
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(bad(cert))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(bad(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients: Arc<dyn ClientCertVerifier> = match client_ca {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in CertificateDer::pem_file_iter(path).map_err(bad(path))? {
                roots.add(authority.map_err(bad(path))?)?;
            }
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| TlsError::File { path: path.to_owned(), problem: error.to_string() })?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Serves until `stopping` becomes true and the running requests are done.
///
/// # Panics
/// Never by itself; a panic in a handler is answered with 500 and does not end the connection's task.
pub async fn serve(listeners: Vec<Listener>, router: Router, stopping: watch::Receiver<bool>) {
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, router.clone(), stopping.clone()));
    }
    while let Some(ended) = accepting.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a listener ended");
        }
    }
}

/// One listener's loop.
async fn accept(listener: Listener, router: Router, mut stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let tls = listener.tls.map(TlsAcceptor::from);
    let mut connections = JoinSet::new();
    let mut stop_accepting = stopping.clone();
    let mut stop = pin!(stopped(&mut stop_accepting));
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.tcp.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            _ = &mut stop => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let (tls, router, stopping) = (tls.clone(), router.clone(), stopping.clone());
                connections.spawn(async move {
                    connection(stream, tls, router, stopping).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                let _ = tokio::time::timeout(ACCEPT_PAUSE, stopped(&mut stopping)).await;
            }
        }
    }
    drop(listener.tcp);
    let drained = tokio::time::timeout(DRAIN_TIME, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(open = connections.len(), "closing connections whose requests did not end");
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, stopping: watch::Receiver<bool>) {
    // Answers are small; waiting to fill a packet would only add delay.
    let _ = stream.set_nodelay(true);
    match tls {
        None => http(stream, router, stopping, None).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let peer = peer(&stream);
                http(stream, router, stopping, peer).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
}

/// The client certificate that the handshake has verified.
fn peer(stream: &TlsStream<TcpStream>) -> Option<Arc<PeerCertificate>> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates()?.first()?;
    match PeerCertificate::read(leaf) {
        Ok(peer) => Some(Arc::new(peer)),
        Err(error) => {
            tracing::debug!(error, "a client certificate cannot be read");
            None
        }
    }
}

/// Speaks HTTP/1.1 or HTTP/2 on one connection. Each request carries the client's certificate, if it has one.
async fn http<S>(stream: S, router: Router, mut stopping: watch::Receiver<bool>, peer: Option<Arc<PeerCertificate>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(peer) = &peer {
            request.extensions_mut().insert(Arc::clone(peer));
        }
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(HANDSHAKE_TIME);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "connection ended");
    }
}
