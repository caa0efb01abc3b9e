//! Brokers against a scripted network, on virtual time.

use super::*;
use crate::exchange::{Ask, AskError, Reply};
use crate::secret::Secrets;
use crate::workload::Workload;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use trackside_core::caller::Caller;

mod aws_kind;
mod azure_kinds;
mod caching;
mod kinds;

/// What the network answers.
#[derive(Clone)]
pub(super) enum Say {
    /// This status and body.
    Body(u16, String),
    /// This status with `Retry-After`.
    Later(u16, &'static str),
    /// A redirect to a sign-in page.
    SignIn,
    /// Nothing.
    Lost,
}

/// A world of one server whose network says what is in the script, in order, then its last line again.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<Inner>>);

struct Inner {
    now: Timestamp,
    script: VecDeque<Say>,
    asked: Vec<Ask>,
    waited: Vec<u64>,
    dice: u8,
}

impl World {
    pub(super) fn new(script: impl IntoIterator<Item = Say>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now: Timestamp::from_second(1_000_000).expect("in range"),
            script: script.into_iter().collect(),
            asked: Vec::new(),
            waited: Vec::new(),
            dice: 0,
        })))
    }

    /// Brokers of one connection, `far`.
    pub(super) fn brokers(&self, credential: &str) -> Brokers {
        self.brokers_with(credential, Workload::default())
    }

    pub(super) fn brokers_with(&self, credential: &str, workload: Workload) -> Brokers {
        let brokers = Brokers::new(self.tools(workload));
        brokers.put(outlets(&[("far", credential)]));
        brokers
    }

    fn tools(&self, workload: Workload) -> Tools {
        let (network, clock, dice, waiting) = (self.clone(), self.clone(), self.clone(), self.clone());
        Tools {
            exchange: Arc::new(move |ask| {
                let answer = network.answer(ask);
                // Everybody else gets a turn while the network is asked.
                async move {
                    tokio::task::yield_now().await;
                    answer
                }
                .boxed()
            }),
            clock: Arc::new(move || clock.lock().now),
            random: Arc::new(move || {
                let mut inner = dice.lock();
                inner.dice = inner.dice.wrapping_add(1);
                let mut random = [inner.dice; 32];
                // No jitter.
                random[0] = 0;
                random[1] = 0;
                random
            }),
            wait: Arc::new(move |wait| {
                let seconds = wait.as_secs();
                let mut inner = waiting.lock();
                inner.waited.push(seconds);
                inner.now += SignedDuration::from_secs(i64::try_from(seconds).expect("short"));
                std::future::ready(()).boxed()
            }),
            variable: Arc::new(|_| None),
            secrets: Secrets::default(),
            workload,
        }
    }

    fn answer(&self, ask: Ask) -> Result<Reply, AskError> {
        let mut inner = self.lock();
        inner.asked.push(ask);
        let said = if inner.script.len() > 1 { inner.script.pop_front() } else { inner.script.front().cloned() };
        let mut headers = HeaderMap::new();
        let (status, body, after) = match said.expect("the script says something") {
            Say::Body(status, body) => (status, body, None),
            Say::Later(status, after) => (status, "{}".to_owned(), Some(after)),
            Say::SignIn => {
                headers.insert(http::header::LOCATION, "/.auth/login/aad".parse().expect("a header"));
                (302, String::new(), None)
            }
            Say::Lost => return Err(AskError::Lost { host: "far".to_owned(), reason: "reset".to_owned() }),
        };
        if let Some(after) = after {
            headers.insert(HeaderName::from_static("retry-after"), after.parse().expect("a header"));
        }
        Ok(Reply { status: StatusCode::from_u16(status).expect("a status"), headers, body: Bytes::from(body) })
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.lock().now += SignedDuration::from_secs(seconds);
    }

    /// How often the network was asked.
    pub(super) fn asked(&self) -> usize {
        self.lock().asked.len()
    }

    /// The form of the request of that number.
    pub(super) fn form(&self, index: usize) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&self.lock().asked[index].body).into_owned().collect()
    }

    pub(super) fn ask(&self, index: usize) -> Ask {
        self.lock().asked[index].clone()
    }

    pub(super) fn waited(&self) -> Vec<u64> {
        self.lock().waited.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().expect("not poisoned")
    }
}

/// Connections by name, their credentials as JSON.
pub(super) fn outlets(credentials: &[(&str, &str)]) -> BTreeMap<String, Outlet> {
    let outlet = |credential: &str| Outlet {
        url: "https://far.example.net/base".parse().expect("an address"),
        credential: Some(serde_json::from_str(credential).expect("a credential")),
        check: "/me".to_owned(),
        ca: None,
    };
    credentials.iter().map(|(name, credential)| ((*name).to_owned(), outlet(credential))).collect()
}

/// A token of that name that lives so long.
pub(super) fn token(name: &str, life: u32) -> Say {
    Say::Body(200, format!(r#"{{"access_token":"{name}","expires_in":{life},"token_type":"Bearer"}}"#))
}

/// The value of the one header, or the failure as `class for seconds`.
pub(super) async fn header(brokers: &Brokers, caller: Option<&str>) -> Result<String, String> {
    let caller = caller.map(|subject| Caller::new(subject, "jwt"));
    let behalf = caller.as_ref().map(OnBehalf::caller);
    match brokers.credential("far", behalf).await {
        Ok(Credential::Headers(headers)) => {
            let (_, value) = headers.first().expect("a header");
            assert!(value.is_sensitive());
            Ok(value.to_str().expect("text").to_owned())
        }
        Ok(Credential::Signer(_)) => panic!("this one signs"),
        Err(error) => Err(format!("{} for {}", error.failure.class.as_str(), error.retry_after.as_secs())),
    }
}

/// A file with a secret, that lives as long as the test.
pub(super) fn secret_file(text: &str) -> (tempfile::NamedTempFile, String) {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    let reference = format!(r#"{{"file":"{}"}}"#, file.path().display());
    (file, reference)
}

/// Client credentials with a secret in a file.
pub(super) fn client(secret: &str) -> String {
    format!(
        r#"{{"kind":"client_credentials","endpoint":{{"url":"https://idp.example.net/token"}},"client_id":"c","proof":{{"secret_post":{secret}}}}}"#
    )
}
