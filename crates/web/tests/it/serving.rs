//! The listener over real sockets: plain and TLS, streams, and an end that waits for nobody for ever.

use crate::world::{World, bearer};
use http::Method;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use trackside_identity::role::Role;
use trackside_store::Store;
use trackside_web::{Listener, serve, tls_from_files};

/// A world that listens.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    store: Store,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Served {
    pub(crate) async fn new() -> Self {
        Self::listening(None).await
    }

    async fn listening(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let world = World::new().await;
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = tcp.local_addr().expect("bound");
        let (store, stopping) = (world.store.clone(), world.stopping.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let serving = serve(vec![Listener { tcp, tls }], world.router.clone(), world.stopping.subscribe());
            world.while_deciding(serving).await;
        });
        Self { address, store, stopping, tasks }
    }

    /// Events stored.
    pub(crate) async fn stored(&self) -> usize {
        let mut after = 0;
        let mut count = 0;
        loop {
            let page = self.store.tail(after, 500).await.expect("readable");
            let Some(last) = page.last() else { return count };
            after = last.seq;
            count += page.len();
        }
    }

    /// Stops and waits for the end.
    pub(crate) async fn stop(mut self) {
        self.stopping.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic");
        }
    }
}

/// Writes a request and reads the answer to its end.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn plain_http_is_served_until_the_stop() {
    let served = Served::new().await;
    let address = served.address;
    let answer = exchange(TcpStream::connect(address).await.expect("connected"), HEALTH).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");
    served.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn tls_is_served_with_the_certificate_of_the_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let served = Served::listening(Some(tls_from_files(&cert, &key, None).expect("a pair"))).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert).expect("a certificate")).expect("usable");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(served.address).await.expect("connected");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("a handshake");
    let answer = exchange(stream, HEALTH).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    served.stop().await;
}

#[test]
fn wrong_tls_files_are_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls");
    let missing = tls_from_files(&folder.join("none.pem"), &folder.join("key.pem"), None).map(|_| ());
    assert!(missing.is_err_and(|error| error.to_string().contains("none.pem")));
    let swapped = tls_from_files(&folder.join("cert.pem"), &folder.join("cert.pem"), None).map(|_| ());
    assert!(swapped.is_err_and(|error| error.to_string().contains("cert.pem")));
}

#[tokio::test]
async fn a_stream_tells_of_changes_and_ends_with_the_server() {
    let served = Served::new().await;
    let (_, authorization) = bearer(Role::Viewer);
    let request = format!("GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\r\n");
    let mut stream = TcpStream::connect(served.address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("data: {\"seq\":1}") {
        let read = stream.read(&mut chunk).await.expect("readable");
        assert_ne!(read, 0, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&chunk[..read]);
    }
    served.stop().await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("an end");
}

#[tokio::test]
async fn a_request_that_is_no_http_is_refused() {
    let served = Served::new().await;
    let answer =
        exchange(TcpStream::connect(served.address).await.expect("connected"), "\u{1}\u{2} nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn what_machines_ask() {
    let world = World::new().await;
    let ask = async |path: &'static str, role| world.send(Method::GET, path, &[bearer(role)], "").await;
    assert_eq!(ask("/readyz", Role::Ingest).await.text(), "ready\n");
    let tzdb = trackside_core::duty::zone::tzdb_version();
    assert!(tzdb.len() == 5 && tzdb.starts_with("20"), "{tzdb}");
    let version = serde_json::json!({"version": "0.0.0-test", "tzdb": tzdb});
    assert_eq!(ask("/version", Role::Ingest).await.json(), version);
    world.event(&serde_json::json!({"event": "x"})).await;
    let metrics = ask("/metrics", Role::Viewer).await.text();
    assert!(metrics.contains("trackside_events_accepted_total{door=\"native\"} 1"), "{metrics}");
    world.stopping.send_replace(true);
    assert_eq!(ask("/readyz", Role::Ingest).await.status.as_u16(), 503);
}
