//! A gateway with its issuer, over real sockets.

use crate::token::Keys;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use trackside_gateway::config::GatewaySettings;
use trackside_gateway::gateway::{Gateway, Shell, Wish};
use trackside_gateway::metrics::Metrics;
use trackside_gateway::proxy::upstream::UpstreamConfig;
use trackside_gateway::serve::{Listener, serve};
use trackside_identity::broker::Brokers;
use trackside_identity::callers::Callers;
use trackside_identity::certificate::Certificates;
use trackside_identity::directory::{Directory, Grant, Origin};
use trackside_identity::exchange;
use trackside_identity::issuer::Issuers;
use trackside_identity::question::no_policies;
use trackside_identity::role::Role;
use trackside_identity::roster::Roster;
use trackside_identity::secret::Secrets;
use trackside_identity::token::TokenHash;

/// The API token that opens every route of tests that care about no token.
pub(crate) const TOKEN: &str = "test-token";

/// A running gateway.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) stop: watch::Sender<bool>,
    /// Who is still there.
    pub(crate) roster: Arc<RwLock<Roster>>,
    callers: Arc<Callers>,
    settings: GatewaySettings,
    upstream: String,
    pub(crate) serving: tokio::task::JoinHandle<()>,
    _keys: tempfile::TempDir,
}

/// The settings that most tests want.
pub(crate) fn plain() -> Value {
    json!({"listen": "127.0.0.1:0"})
}

/// One route that lets the API token in, with further members.
pub(crate) fn route(further: &Value) -> Value {
    let mut route = json!({"match": {"path": "/**"}, "upstream": "app"});
    route.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    json!({"all": route})
}

impl World {
    pub(crate) async fn start(keys: &Keys, settings: Value, routes: Value, upstream: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, keys.jwks().to_string()).unwrap();
        let issuer = json!({"issuer": "https://idp.test/", "audience": ["hub"], "keys": {"file": file},
            "algorithms": ["RS256", "ES256"], "types": ["at+jwt"]});
        let configs = BTreeMap::from([("idp".to_owned(), serde_json::from_value(issuer).unwrap())]);
        let issuers = Issuers::open(&configs, &exchange::network(), &Secrets::default(), &Issuers::default()).unwrap();
        let callers = Arc::new(Callers::new(Arc::new(issuers), Certificates::default()));
        let grant = Grant {
            name: "tester".to_owned(),
            role: Role::Service,
            team: None,
            scopes: BTreeSet::from(["jobs.run".to_owned()]),
            origin: Origin::Configuration,
            expires: None,
            hash: TokenHash::of(TOKEN),
        };
        let directory = Arc::new(Directory::new([grant]).unwrap());
        let roster = Arc::new(RwLock::new(Roster::default()));
        let people = Arc::clone(&roster);
        #[allow(clippy::disallowed_methods, reason = "tokens end in real time")]
        let clock = || jiff::Timestamp::now();
        let shell = Shell {
            clock: Arc::new(clock),
            start: 7,
            tokens: Arc::new(move || Arc::clone(&directory)),
            admit: Arc::new(move |identity| people.read().unwrap().admit(identity)),
            approved: Arc::new(|_, _, _| None),
            brokers: Brokers::default(),
            cookies: vec!["__Host-trackside"],
        };
        let settings: GatewaySettings = serde_json::from_value(settings).unwrap();
        let gateway = Arc::new(Gateway::new(shell, Metrics::default()));
        let listener = Listener::bind(&settings).await.unwrap();
        let address = listener.address().unwrap();
        let (stop, stopping) = watch::channel(false);
        #[allow(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        let serving = tokio::spawn(serve(listener, Arc::clone(&gateway), stopping));
        let upstream = format!("http://127.0.0.1:{upstream}");
        let world = Self { address, gateway, stop, roster, callers, settings, upstream, serving, _keys: folder };
        world.put(routes);
        world
    }

    /// Puts other routes in force.
    pub(crate) fn put(&self, routes: Value) {
        let routes = serde_json::from_value(routes).unwrap();
        let wish = Wish {
            routes: &routes,
            upstreams: vec![UpstreamConfig {
                name: "app".to_owned(),
                url: self.upstream.clone(),
                ca: None,
                has_credential: false,
            }],
            callers: Arc::clone(&self.callers),
            judge: no_policies(),
            settings: &self.settings,
        };
        self.gateway.put(wish).unwrap();
    }

    /// Sends bytes and reads until the end, or until nothing comes for a while.
    pub(crate) async fn send(&self, bytes: &[u8]) -> String {
        let stream = TcpStream::connect(self.address).await.unwrap();
        talk(stream, bytes).await
    }

    /// A GET with the API token.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.send(get(path).as_bytes()).await
    }
}

/// A GET with the API token, the connection closed after it.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: hub.test\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n")
}

/// Sends bytes and reads until the end, or until nothing comes for a while.
pub(crate) async fn talk(stream: impl AsyncRead + AsyncWrite, bytes: &[u8]) -> String {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let mut out = Vec::new();
    let exchange = async {
        let _ = writing.write_all(bytes).await;
        let mut chunk = vec![0; 65536];
        let mut patience = Duration::from_millis(2500);
        while let Ok(Ok(count @ 1..)) = tokio::time::timeout(patience, reading.read(&mut chunk)).await {
            out.extend_from_slice(&chunk[..count]);
            patience = Duration::from_millis(120);
        }
    };
    exchange.await;
    String::from_utf8_lossy(&out).into_owned()
}

/// The status of the first answer that is no interim one; 0 when there is none.
pub(crate) fn status(answer: &str) -> u16 {
    let statuses = answer.match_indices("HTTP/1.1 ").filter_map(|(at, _)| answer.get(at + 9..at + 12)?.parse().ok());
    statuses.into_iter().find(|status| *status >= 200 || *status == 101).unwrap_or(0)
}
