//! A small world: an exchange that answers from a table and writes down what was asked.

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use trackside_identity::callers::Callers;
use trackside_identity::certificate::Certificates;
use trackside_identity::exchange::{Ask, AskError, Exchange, Reply};
use trackside_identity::issuer::{IssuerConfig, Issuers};
use trackside_identity::secret::Secrets;

/// The tokens of `testdata/identity`.
pub(crate) fn vectors() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| {
        let text = include_str!("../../../../testdata/identity/tokens.json");
        serde_json::from_str(text).expect("tokens.json")
    })
}

/// When the tokens were made.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(vectors()["now"].as_i64().expect("now")).expect("a time")
}

/// Seconds after [`now`].
pub(crate) fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// Answers by address.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: BTreeMap<String, Result<(u16, String), ()>>,
    asked: Vec<String>,
    bodies: Vec<String>,
}

impl World {
    /// One that answers with these keys.
    pub(crate) fn new(jwks: String) -> Self {
        let world = Self::default();
        world.answer("https://idp.test/jwks", 200, jwks);
        world
    }

    pub(crate) fn answer(&self, url: &str, status: u16, body: impl Into<String>) {
        self.0.lock().expect("lock").answers.insert(url.to_owned(), Ok((status, body.into())));
    }

    /// Nobody is there any more.
    pub(crate) fn gone(&self, url: &str) {
        self.0.lock().expect("lock").answers.insert(url.to_owned(), Err(()));
    }

    /// What was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("lock").asked)
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("lock").bodies)
    }

    pub(crate) fn exchange(&self) -> Exchange {
        let world = self.clone();
        Arc::new(move |ask| {
            let world = world.clone();
            async move {
                // Others get their turn, as with a real network.
                tokio::task::yield_now().await;
                world.reply(&ask)
            }
            .boxed()
        })
    }

    fn reply(&self, ask: &Ask) -> Result<Reply, AskError> {
        let mut inner = self.0.lock().expect("lock");
        inner.asked.push(ask.url.to_string());
        inner.bodies.push(String::from_utf8_lossy(&ask.body).into_owned());
        match inner.answers.get(ask.url.as_str()) {
            Some(Ok((_, body))) if body.len() > ask.limit => {
                Err(AskError::TooLong { host: "idp.test".to_owned(), limit: ask.limit })
            }
            Some(Ok((status, body))) => Ok(Reply {
                status: StatusCode::from_u16(*status).expect("a status"),
                headers: HeaderMap::new(),
                body: Bytes::from(body.clone()),
            }),
            Some(Err(())) | None => {
                Err(AskError::Unreachable { host: "idp.test".to_owned(), reason: "nobody is there".to_owned() })
            }
        }
    }

    pub(crate) fn issuers(&self, config: Value, before: &Issuers) -> Issuers {
        let configs: BTreeMap<String, IssuerConfig> = serde_json::from_value(config).expect("a configuration");
        Issuers::open(&configs, &self.exchange(), &Secrets::default(), before).expect("no mistake")
    }

    pub(crate) fn callers(&self, config: Value) -> Callers {
        Callers::new(Arc::new(self.issuers(config, &Issuers::default())), Certificates::default())
    }
}
