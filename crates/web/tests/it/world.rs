//! A whole server in memory for tests and previews: store, decider, router; no network, no sleeping.
//!
//! Time stands still until it is moved. The decider is core and store put together as the program does it, without
//! its loop: [`World::decide`] decides everything that waits.

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tower::ServiceExt as _;
use trackside_connect::connection::Back;
use trackside_core::automation::definition::AutomationId;
use trackside_core::caller::Caller;
use trackside_core::engine::decide;
use trackside_core::ids::{Seq, derive};
use trackside_core::input::Input;
use trackside_core::ruleset::Ruleset;
use trackside_core::state::State;
use trackside_identity::act_link::ActKey;
use trackside_identity::csrf;
use trackside_identity::directory::{Grant, Origin};
use trackside_identity::role::Role;
use trackside_identity::seal::SealKey;
use trackside_identity::secret::SecretRef;
use trackside_identity::session::{Cookie, SessionKey, Transport};
use trackside_identity::token::TokenHash;
use trackside_store::Store;
use trackside_store::log::NewEntry;
use trackside_web::{
    AppState, Change, ConfigAct, ConfigAnswer, ConfigChange, ConfigProblem, ConfigRefusal, ConfigRequest, Configured,
    ConnectionInfo, FieldChange, Metrics, Sends, Shell, Version,
};

/// Workspace of the world.
const WORKSPACE: &str = "default";

/// A token whose name is a source that the store refuses: what is sent with it is admitted but cannot be committed.
pub(crate) const UNSTORABLE: &str = "unstorable";

/// The key that links in mails are signed with.
pub(crate) const ACT_KEY: [u8; 32] = [9; 32];

/// The key that tokens of forms are derived with.
const SESSION_KEY: [u8; 32] = [7; 32];

/// A server in memory.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) state: AppState,
    pub(crate) router: Router,
    /// Tells the server to stop.
    pub(crate) stopping: watch::Sender<bool>,
    decided: watch::Sender<Seq>,
    now: Arc<Mutex<Timestamp>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// The secret of the token with this role; 32 characters, so that it also serves as a routing key.
pub(crate) fn secret(role: Role) -> String {
    format!("{:0<32}", role.as_str())
}

/// `Authorization` of the token with this role.
pub(crate) fn bearer(role: Role) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", secret(role)))
}

impl World {
    /// A server with a token for every role, two teams and three connections, at 2026-11-19 02:14 UTC.
    pub(crate) async fn new() -> Self {
        Self::with(Store::memory().expect("a database in memory"), ruleset()).await
    }

    /// The same over another store, with other rules.
    pub(crate) async fn with(store: Store, ruleset: Ruleset) -> Self {
        Self::with_tokens(store, ruleset, Vec::new()).await
    }

    /// The same with more tokens.
    pub(crate) async fn with_tokens(store: Store, ruleset: Ruleset, more: Vec<Grant>) -> Self {
        let now = Arc::new(Mutex::new("2026-11-19T02:14:00Z".parse().expect("a time")));
        let (decided, stopping) = (watch::Sender::new(0), watch::Sender::new(false));
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (clock, count) = (Arc::clone(&now), AtomicU64::new(0));
        let shell = Shell {
            store: store.clone(),
            clock: Arc::new(move || *clock.lock().expect("not poisoned")),
            random: Arc::new(move || random(count.fetch_add(1, Ordering::Relaxed))),
            session_key: Arc::new(SessionKey::new(SESSION_KEY)),
            seal_key: Arc::new(SealKey::new([8; 32])),
            act_key: Arc::new(ActKey::new(ACT_KEY)),
            audit_key: Arc::new(trackside_identity::audit_key::AuditKey::new(&[5; 32]).expect("a key")),
            audit_head: watch::channel(None).1,
            secrets: trackside_identity::secret::Secrets::default(),
            brokers: trackside_identity::broker::Brokers::default(),
            wake_sender: Arc::new(|| {}),
            configure: Arc::new(|request| Box::pin(std::future::ready(configure(&request)))),
            decided: decided.subscribe(),
            stopping: stopping.subscribe(),
            registry: Arc::new(registry),
            metrics,
            configured: configured(&ruleset, more),
            version: Version { version: "0.0.0-test".to_owned(), commit: None },
        };
        let state = AppState::new(shell).await.expect("a valid configuration");
        let router = trackside_web::router(state.clone());
        let world = Self { store, state, router, stopping, decided, now };
        let caller = Caller::new("configuration", "cli");
        world.append(&Input::Ruleset { caller, ruleset: Box::new(ruleset) }).await;
        world.decide().await;
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.now.lock().expect("not poisoned")
    }

    /// Moves the clock and decides the timers that became due.
    pub(crate) async fn pass(&self, time: SignedDuration) {
        let now = self.now() + time;
        self.set(now).await;
    }

    /// Sets the clock and decides the timers that became due.
    pub(crate) async fn set(&self, now: Timestamp) {
        *self.now.lock().expect("not poisoned") = now;
        loop {
            let state = self.load().await;
            let Some(due) = state.next_due().filter(|due| *due <= now) else { break };
            self.append(&Input::Tick { due, noticed: None }).await;
            self.decide().await;
        }
    }

    /// Decides everything that waits.
    pub(crate) async fn decide(&self) {
        let mut state = self.load().await;
        loop {
            let entries = self.store.entries_after(state.cursor, 512).await.expect("readable");
            let Some(last) = entries.last() else { break };
            let (needed, last) = (state.needed(&entries), last.seq);
            state.absorb(self.store.load_needed(&needed).await.expect("readable"));
            let before = state.cursor;
            let decision = decide(&mut state, &entries);
            self.store.commit(&decision, before).await.expect("committed");
            self.decided.send_replace(last);
        }
    }

    /// Decides whatever comes until the future is done: for requests that wait for their decision.
    pub(crate) async fn while_deciding<T>(&self, work: impl Future<Output = T>) -> T {
        let mut head = self.store.head();
        let deciding = async {
            loop {
                self.decide().await;
                head.changed().await.expect("the store is open");
            }
        };
        tokio::select! {
            done = work => done,
            () = deciding => unreachable!("it goes on for ever"),
        }
    }

    /// Sends a request; decides meanwhile.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: impl Into<Body>,
    ) -> Answer {
        let before = crate::told::newest(self).await;
        let mut request = Request::builder().method(&method).uri(path).body(body.into()).expect("a request");
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect("a header"));
        }
        self.as_a_page_of_ours(&mut request);
        let answer = self.router.clone().oneshot(request);
        let response = self.while_deciding(answer).await.expect("infallible");
        let (parts, body) = response.into_parts();
        crate::told::held(self, before, &method, path, parts.status).await;
        // A stream has no end; its head is the answer.
        let endless = parts.headers.get("content-type").is_some_and(|value| value == "text/event-stream");
        let body = if endless { Vec::new() } else { body.collect().await.expect("a body").to_bytes().to_vec() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A JSON answer to a `GET` with the role.
    pub(crate) async fn get(&self, path: &str, role: Role) -> Answer {
        self.send(Method::GET, path, &[bearer(role)], Body::empty()).await
    }

    /// A page as a browser with a token gets it.
    pub(crate) async fn page(&self, path: &str, role: Role) -> String {
        let headers = [bearer(role), ("accept", "text/html".to_owned())];
        let answer = self.send(Method::GET, path, &headers, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.text()
    }

    /// Sends an event through the native door.
    pub(crate) async fn event(&self, event: &serde_json::Value) {
        let answer = self.send(Method::POST, "/api/v1/events", &[bearer(Role::Ingest)], event.to_string()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    }

    /// Entries in the log that came from outside.
    pub(crate) async fn stored(&self) -> usize {
        self.store.tail(0, 500).await.expect("readable").len()
    }

    /// What a form of our own page brings with a session's cookie; a test that brings a token of its own keeps it.
    fn as_a_page_of_ours(&self, request: &mut Request<Body>) {
        let key = SessionKey::new(SESSION_KEY);
        let Some(secret) = Transport::Plain.find(Cookie::Session, request.headers()).map(str::to_owned) else { return };
        if !request.headers().contains_key(csrf::HEADER) {
            let token = csrf::token(&key, &secret).parse().expect("a header");
            request.headers_mut().insert(csrf::HEADER, token);
        }
    }

    async fn append(&self, input: &Input) {
        let now = match input {
            Input::Tick { due, .. } => *due,
            _ => self.now(),
        };
        let id = derive("test", &[&now.to_string(), &self.store.head().borrow().to_string()]);
        let entry = NewEntry::input(now, input, id).expect("an entry");
        self.store.append(vec![entry]).await.expect("appended");
    }

    async fn load(&self) -> State {
        State::restore(WORKSPACE, self.store.load().await.expect("readable")).expect("valid rules")
    }
}

/// "Random" bytes that differ each time and repeat in every run.
/// A shell that answers by what stands in the first file.
fn configure(request: &ConfigRequest) -> Result<ConfigAnswer, ConfigRefusal> {
    let file = request.files.first().ok_or_else(|| ConfigRefusal::Failed("no files".to_owned()))?;
    let problem = ConfigProblem {
        file: file.name.clone(),
        line: 3,
        column: 5,
        path: "teams.x".to_owned(),
        problem: "no".to_owned(),
        suggestion: None,
    };
    match file.text.as_str() {
        "invalid" => Err(ConfigRefusal::Invalid(vec![problem])),
        "conflict" => Err(ConfigRefusal::Conflict("somebody was faster".to_owned())),
        "failed" => Err(ConfigRefusal::Failed("not now".to_owned())),
        text => Ok(ConfigAnswer {
            in_force: format!("{} {}", request.caller.subject, matches!(request.act, ConfigAct::Plan)),
            changes: vec![ConfigChange {
                section: "teams".to_owned(),
                name: text.to_owned(),
                change: Change::Changed,
                fields: vec![FieldChange {
                    path: "aliases[0]".to_owned(),
                    before: None,
                    after: Some(serde_json::json!("x")),
                }],
                needs_restart: false,
            }],
            warnings: vec![problem],
            errors: Vec::new(),
            applied: request.act == ConfigAct::Apply { expected: Some("then".to_owned()) },
        }),
    }
}

fn random(count: u64) -> [u8; 32] {
    let (high, low) = (derive("random", &[&count.to_string()]), derive("more", &[&count.to_string()]));
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(high.as_bytes());
    bytes[16..].copy_from_slice(low.as_bytes());
    bytes
}

/// Two teams, three connections, a rule for failures and one for reports.
pub(crate) fn ruleset() -> Ruleset {
    let json = serde_json::json!({
        "teams": {
            "payments": {"aliases": ["pay"], "notify": [{"via": "pd-payments", "min_severity": "error"}, {"via": "slack-data"}]},
            "platform": {"notify": [{"via": "slack-data"}]},
        },
        "owners": {"default": "platform"},
        "rules": [
            {"name": "failed", "when": {"failed": {}}},
            {"name": "reported", "when": "reported"},
        ],
        "pipelines": [{"match": {"pipeline": "orders_*"}, "tier": 1, "owner": "payments", "runbook": "https://wiki.example.net/orders"}],
        "connections": {
            "pd-payments": {"kind": "pagerduty", "updates": "raised"},
            "slack-data": {"kind": "slack", "updates": "every"},
        },
        "public_url": "http://127.0.0.1:4180",
    });
    serde_json::from_value(json).expect("a ruleset")
}

pub(crate) fn configured(ruleset: &Ruleset, more: Vec<Grant>) -> Configured {
    let token = |role: Role| Grant {
        name: role.as_str().to_owned(),
        role,
        team: None,
        scopes: std::collections::BTreeSet::new(),
        origin: Origin::Configuration,
        expires: None,
        hash: TokenHash::of(&secret(role)),
    };
    let unstorable =
        Grant { name: "trackside.reserved".to_owned(), hash: TokenHash::of(UNSTORABLE), ..token(Role::Ingest) };
    let connection = |kind: &str, address: &str, sends, back| ConnectionInfo {
        kind: kind.to_owned(),
        address: address.to_owned(),
        sends,
        back,
    };
    let file = |name: &str| SecretRef::File(format!("{}/tests/it/secrets/{name}", env!("CARGO_MANIFEST_DIR")).into());
    let webhooks = Back::PagerdutyWebhooks(vec![file("pagerduty-old"), file("pagerduty-new")]);
    let presses = Back::SlackInteractivity(file("slack-signing"));
    let connections = [
        ("pd-payments", connection("pagerduty", "https://events.pagerduty.com", Sends::Messages, webhooks)),
        ("slack-data", connection("slack", "#data-alerts", Sends::Messages, presses)),
        ("prefect", connection("prefect", "http://127.0.0.1:4200/api", Sends::Nothing, Back::Nothing)),
    ];
    Configured {
        public_url: "http://127.0.0.1:4180".parse().expect("an address"),
        tokens: Role::ALL.map(token).into_iter().chain([unstorable]).chain(more).collect(),
        connections: BTreeMap::from(connections.map(|(name, info)| (name.to_owned(), info))),
        ruleset: Arc::new(ruleset.clone()),
        kept_in: BTreeMap::from([(AutomationId(derive("automation", &["f"])), "alerts.yaml, line 3".to_owned())]),
        sign_in: None,
        local_access: trackside_identity::local::LocalAccess::Token,
        callers: Arc::default(),
        judge: trackside_identity::question::no_policies(),
        schemas: Default::default(),
        routes: BTreeMap::new(),
        scim: trackside_identity::scim::ScimConfig {
            groups: BTreeMap::from([("Data Engineering".to_owned(), "payments".to_owned())]),
        },
    }
}
