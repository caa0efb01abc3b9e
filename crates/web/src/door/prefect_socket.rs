//! Prefect's event socket: `GET /api/events/in`, upgraded to a websocket with the subprotocol `prefect`.
//!
//! The client sends an `auth` frame, then one event per text frame without any answer. The client for Prefect Cloud
//! (`PREFECT_API_KEY`) names no subprotocol, authenticates by the `Authorization` header of the upgrade, and begins with
//! events at once. For both the only acknowledgement is the pong to a ping that they send every 700 events or 30
//! seconds; on reconnect they send everything since the last pong again. So the pong, and the answer to a close, are the durable acknowledgement: neither leaves before every frame
//! read before it is committed. This needs no timer and no queue: the websocket library sends a pong only when it is
//! polled again after it handed over the ping (tungstenite, `WebSocketContext::read`), and nothing polls it while a
//! commit is awaited. While nothing is read, the TCP window slows the client down.
//!
//! A frame that is not a valid event is counted, logged and passed over: refusing it would make the client send it,
//! and everything after it, for ever.

use crate::door::prefect::words;
use crate::door::refusal::Refusal;
use crate::door::{Door, Visit};
use crate::state::{AppState, stopped};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::FutureExt as _;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use std::time::Duration;
use trackside_connect::door::BODY_BYTES;
use trackside_connect::prefect::door::Origin;
use trackside_connect::prefect::socket::{AUTH_SUCCESS, CLOSE_POLICY, SUBPROTOCOL, read_auth, read_event};
use trackside_core::event::Event;
use trackside_identity::directory::Identity;

/// Longest wait for the `auth` frame.
const AUTH_TIME: Duration = Duration::from_secs(10);
/// Longest silence: a client pings every 30 seconds when it has something to say, and some say nothing for long.
const SILENCE: Duration = Duration::from_secs(3_600);
/// Most events committed together.
const BATCH: usize = 500;
/// Most bytes of events read before they are committed.
const BATCH_BYTES: usize = BODY_BYTES;

/// Upgrades to the event socket. The credential comes in the first frame, or in the header when no subprotocol is
/// named.
pub(crate) async fn connect(
    State(state): State<AppState>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([SUBPROTOCOL]).max_message_size(BODY_BYTES).max_frame_size(BODY_BYTES),
        Err(refused) => {
            let visit = Visit::new(&state, Door::PrefectSocket);
            return visit.end(Err(Refusal::new(refused.status(), refused.body_text())), words);
        }
    };
    let by_header = upgrade.selected_protocol().is_none() && headers.contains_key(AUTHORIZATION);
    let admitted = if by_header {
        let visit = Visit::new(&state, Door::PrefectSocket);
        match visit.admit(&headers).await {
            Ok(identity) => Some(identity),
            Err(refusal) => return visit.end(Err(refusal), words),
        }
    } else {
        None
    };
    upgrade.on_upgrade(move |socket| attend(state, socket, admitted))
}

/// Attends to one client until it leaves or the server stops. Who is not admitted yet must say who they are first.
async fn attend(state: AppState, mut socket: WebSocket, admitted: Option<Arc<Identity>>) {
    state.metrics.sockets.inc();
    if let Farewell::Close { code, why } = converse(&state, &mut socket, admitted).await {
        let close = CloseFrame { code, reason: why.into() };
        // The client may be gone already; there is nobody left to tell.
        let _ = socket.send(Message::Close(Some(close))).await;
    }
    state.metrics.sockets.dec();
}

/// How a conversation ended by the server ends.
enum Farewell {
    /// With a close frame that says why.
    Close {
        /// Status code (RFC 6455 §7.4).
        code: u16,
        /// In words.
        why: &'static str,
    },
    /// Without a word: any frame would let a pong out that is held back.
    Silent,
}

impl Farewell {
    fn new(code: u16, why: &'static str) -> Self {
        Self::Close { code, why }
    }

    fn stop() -> Self {
        Self::new(close_code::AWAY, "the server stops")
    }
}

/// Greets, then takes events. Ends when the client leaves, or with what is to be said.
async fn converse(state: &AppState, socket: &mut WebSocket, admitted: Option<Arc<Identity>>) -> Farewell {
    let mut stopping = state.stopping.clone();
    let identity = match admitted {
        Some(identity) => identity,
        None => tokio::select! {
            greeted = greet(state, socket) => match greeted {
                Ok(identity) => identity,
                Err(farewell) => return farewell,
            },
            () = stopped(&mut stopping) => return Farewell::stop(),
        },
    };
    let mut batch = Batch::new(identity);
    loop {
        // Take what has arrived; when nothing more has, commit, and only then wait.
        let next = match socket.recv().now_or_never() {
            Some(next) => next,
            None if batch.commit(state).await.is_err() => return Farewell::Silent,
            None => tokio::select! {
                next = tokio::time::timeout(SILENCE, socket.recv()) => match next {
                    Ok(next) => next,
                    Err(_) => return Farewell::new(close_code::AWAY, "nothing was said for an hour"),
                },
                () = stopped(&mut stopping) => return Farewell::stop(),
            },
        };
        let commit_now = match next {
            Some(Ok(Message::Text(frame))) => {
                batch.read(state, frame.as_str());
                batch.is_full()
            }
            // The answer waits in the library until the socket is polled again, which is after the commit.
            Some(Ok(Message::Ping(_) | Message::Close(_))) => true,
            Some(Ok(Message::Pong(_))) => false,
            Some(Ok(Message::Binary(_))) => return Farewell::new(close_code::UNSUPPORTED, "events are text frames"),
            // Gone. What it sent before is kept; it will send it again, and it is recognised by its id.
            Some(Err(_)) | None => {
                let _ = batch.commit(state).await;
                return Farewell::Silent;
            }
        };
        if commit_now {
            if batch.commit(state).await.is_err() {
                return Farewell::Silent;
            }
            if *stopping.borrow() {
                return Farewell::stop();
            }
        }
    }
}

/// Reads the `auth` frame and answers it. Pings before it are answered by the library.
async fn greet(state: &AppState, socket: &mut WebSocket) -> Result<Arc<Identity>, Farewell> {
    let first = tokio::time::timeout(AUTH_TIME, async {
        loop {
            match socket.recv().await {
                Some(Ok(Message::Text(frame))) => return Some(frame),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    });
    let policy = |why| Farewell::new(CLOSE_POLICY, why);
    let frame = first.await.map_err(|_| policy("no auth frame came"))?.ok_or(Farewell::Silent)?;
    let visit = Visit::new(state, Door::PrefectSocket);
    let token = read_auth(frame.as_str()).map_err(|_| policy("the first frame must be an auth frame"))?;
    let token = token.ok_or_else(|| policy("an API token is needed"))?;
    // `user:password`, or the token in the password, as with Basic authentication.
    let whole = token.expose_secret();
    let password = whole.split_once(':').map(|(_, password)| password);
    let identity = visit.admit_any(std::iter::once(whole).chain(password)).await.map_err(|refusal| {
        state.metrics.refused(Door::PrefectSocket, refusal.status);
        policy("the token is unknown or may not send events")
    })?;
    socket.send(Message::text(AUTH_SUCCESS)).await.map_err(|_| Farewell::Silent)?;
    Ok(identity)
}

/// Events that were read and are not committed yet.
struct Batch {
    identity: Arc<Identity>,
    events: Vec<Event>,
    bytes: usize,
}

impl Batch {
    fn new(identity: Arc<Identity>) -> Self {
        Self { identity, events: Vec::new(), bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    /// Reads one frame.
    fn read(&mut self, state: &AppState, frame: &str) {
        let origin = Origin {
            source: &self.identity.token_name,
            team: self.identity.team.as_deref(),
            pages: None,
            received: state.now(),
        };
        match read_event(frame, &origin) {
            Ok(event) => {
                self.bytes += frame.len();
                self.events.push(event);
            }
            Err(reject) => {
                let refusal = Refusal::from(reject);
                state.metrics.refused(Door::PrefectSocket, refusal.status);
                tracing::warn!(
                    token = self.identity.token_name,
                    at = refusal.at,
                    "a frame of the Prefect socket is no event and was passed over: {}",
                    refusal.problem
                );
            }
        }
    }

    /// Commits what was read. When that fails the connection ends without the pong, and the client sends again.
    async fn commit(&mut self, state: &AppState) -> Result<(), Refusal> {
        if self.events.is_empty() {
            return Ok(());
        }
        let visit = Visit::new(state, Door::PrefectSocket);
        if let Err(refusal) = visit.append(&self.events).await {
            let (token, events) = (&self.identity.token_name, self.events.len());
            tracing::warn!(token, events, "events of the Prefect socket were not stored: {}", refusal.problem);
            return Err(refusal);
        }
        self.events.clear();
        self.bytes = 0;
        Ok(())
    }
}
