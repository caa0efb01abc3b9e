//! Reads the events of a Prefect server: a live subscription for speed, rounds of `/events/filter` for completeness.
//!
//! A server drops events of its subscription under load and keeps only minutes ready, so the rounds are the truth: one
//! when the connection comes up, then one every [`ROUND`]. Both append to the log, where (source, id) makes the second
//! copy the same entry. Invariants: the watermark comes from the log, so nothing is remembered beside it; trouble with one server is retried for
//! ever and never touches another. Frames and pages are read by `trackside-connect`; nothing is decided here.

use crate::clock::{Clock, sleep_until};
use futures_util::{SinkExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use trackside_connect::connection::PrefectConfig;
use trackside_connect::prefect::door::Origin;
use trackside_connect::prefect::{feed, socket};
use trackside_core::delivery::next_attempt;
use trackside_core::event::Event;
use trackside_identity::secret::{SecretError, Secrets};
use trackside_store::Store;
use trackside_store::log::{EventFilter, NewEntry};
use url::Url;

/// Time between two rounds while the subscription is up.
const ROUND: SignedDuration = SignedDuration::from_secs(20);
/// Longest wait for a connection, a page, or the answer to `auth`.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Largest page or frame, in bytes: Prefect's limit for an event times a page.
const PAGE_BYTES: usize = 80 * 1024 * 1024;
/// Most frames appended in one batch.
const FRAMES: usize = 100;
/// Events looked at to find the watermark.
const WATERMARK_EVENTS: usize = 200;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One Prefect server being read.
#[derive(Debug)]
pub struct Feed {
    name: String,
    config: PrefectConfig,
    store: Store,
    clock: Clock,
    secrets: Secrets,
    client: reqwest::Client,
    watermark: Timestamp,
    trouble_since: Option<Timestamp>,
}

/// Why reading stopped for now.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The credential cannot be read.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// The server cannot be reached or breaks off.
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    /// The subscription cannot be opened or breaks off.
    #[error("{0}")]
    Socket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    /// The server says something else than Prefect would.
    #[error("{0}")]
    Answer(String),
    /// The log cannot be written.
    #[error("{0}")]
    Store(#[from] trackside_store::Error),
}

impl Feed {
    /// A feed that begins where the log ends (or now, when nothing of this server is in the log).
    ///
    /// # Errors
    /// When the log cannot be read, or the TLS backend cannot be set up.
    pub async fn open(
        name: &str,
        config: PrefectConfig,
        store: Store,
        clock: Clock,
        secrets: Secrets,
    ) -> Result<Self, FeedError> {
        let filter = EventFilter { source: Some(name.to_owned()), limit: WATERMARK_EVENTS, ..EventFilter::default() };
        let known = store.events(&filter).await?;
        let now = clock.now();
        let latest = known.items.iter().map(|logged| logged.event.occurred.min(now)).max();
        let client = reqwest::Client::builder()
            .user_agent(concat!("trackside/", env!("CARGO_PKG_VERSION")))
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let watermark = latest.unwrap_or(now);
        Ok(Self { name: name.to_owned(), config, store, clock, secrets, client, watermark, trouble_since: None })
    }

    /// Reads until stopped.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let mut stopped = stop.clone();
            let error = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                ended = self.read() => match ended { Ok(never) => match never {}, Err(error) => error },
            };
            let now = self.clock.now();
            let since = *self.trouble_since.get_or_insert(now);
            let again = next_attempt(now, since, None, self.clock.jitter());
            tracing::warn!(connection = %self.name, %error, %again, "reading events from Prefect stopped");
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep_until(&self.clock, again) => {}
            }
        }
    }

    /// Subscribes, catches up, and follows until something breaks.
    async fn read(&mut self) -> Result<std::convert::Infallible, FeedError> {
        let token = self.token()?;
        // Subscribed before the round begins, so that nothing falls between the two.
        let mut socket = Box::pin(self.subscribe(token.as_ref())).await?;
        self.round(token.as_ref()).await?;
        if self.trouble_since.take().is_some() {
            tracing::info!(connection = %self.name, "reading events from Prefect again");
        }
        let mut round_at = self.clock.now() + ROUND;
        loop {
            let frames = tokio::select! {
                frames = next_frames(&mut socket) => frames?,
                () = sleep_until(&self.clock, round_at) => {
                    self.round(token.as_ref()).await?;
                    round_at = self.clock.now() + ROUND;
                    continue;
                }
            };
            self.follow(&frames).await?;
        }
    }

    fn token(&self) -> Result<Option<SecretString>, SecretError> {
        self.config
            .api_key
            .as_ref()
            .or(self.config.auth_string.as_ref())
            .map(|secret| secret.resolve(&self.secrets))
            .transpose()
    }

    /// One round: every event since the watermark, page by page.
    async fn round(&mut self, token: Option<&SecretString>) -> Result<(), FeedError> {
        let now = self.clock.now();
        let mut request =
            self.client.post(self.address(feed::FIRST_PATH)?).json(&feed::first_page(self.watermark, now));
        let mut watermark = self.watermark;
        loop {
            let body = self.ask(request, token).await?;
            let page =
                feed::read_page(&body, &self.origin(self.pages().as_deref())).map_err(|reject| answer(&reject))?;
            let events = self.readable(page.events);
            self.append(&events).await?;
            watermark = feed::advance(watermark, &events, now);
            match page.next {
                Some(next) => request = self.client.get(self.address(&next)?),
                None => break,
            }
        }
        self.watermark = watermark;
        Ok(())
    }

    async fn ask(&self, request: reqwest::RequestBuilder, token: Option<&SecretString>) -> Result<Vec<u8>, FeedError> {
        let request = match (token, &self.config.auth_string) {
            (Some(token), Some(_)) => match token.expose_secret().split_once(':') {
                Some((user, password)) => request.basic_auth(user, Some(password)),
                None => request.basic_auth(token.expose_secret(), None::<&str>),
            },
            (Some(token), None) => request.bearer_auth(token.expose_secret()),
            (None, _) => request,
        };
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + chunk.len() > PAGE_BYTES {
                return Err(FeedError::Answer(format!("a page has more than {PAGE_BYTES} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            Ok(body)
        } else {
            Err(FeedError::Answer(format!("the server answered {status}; check `url` and the credential")))
        }
    }

    async fn subscribe(&self, token: Option<&SecretString>) -> Result<Socket, FeedError> {
        let mut url = self.address("events/out")?;
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).map_err(|()| FeedError::Answer("the address has no websocket form".to_owned()))?;
        let mut request = url.as_str().into_client_request().map_err(Box::new)?;
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(socket::SUBPROTOCOL));
        let limits = WebSocketConfig::default().max_message_size(Some(PAGE_BYTES)).max_frame_size(Some(PAGE_BYTES));
        let connecting = connect_async_with_config(request, Some(limits), true);
        let (mut socket, _) = Box::pin(within(connecting)).await?.map_err(Box::new)?;
        send(&mut socket, socket::auth(token)).await?;
        match within(next_frames(&mut socket)).await??.first().map(|frame| socket::read_said(frame, &self.origin(None)))
        {
            Some(Ok(socket::Said::AuthSuccess)) => {}
            Some(Ok(socket::Said::AuthFailure(reason))) => {
                return Err(FeedError::Answer(format!("not let in: {reason}")));
            }
            _ => return Err(FeedError::Answer("the server did not answer the credential".to_owned())),
        }
        send(&mut socket, socket::filter(self.watermark, self.clock.now())).await?;
        Ok(socket)
    }

    async fn follow(&self, frames: &[Utf8Bytes]) -> Result<(), FeedError> {
        let pages = self.pages();
        let mut events = Vec::new();
        for frame in frames {
            match socket::read_said(frame, &self.origin(pages.as_deref())) {
                Ok(socket::Said::Event(event)) => events.push(*event),
                Ok(_) => {}
                Err(reject) => tracing::warn!(connection = %self.name, %reject, "an event could not be read"),
            }
        }
        // Only a round moves the watermark: the subscription may have dropped what came before these.
        self.append(&events).await
    }

    fn readable(&self, events: Vec<Result<Event, trackside_connect::door::Reject>>) -> Vec<Event> {
        let warn = |reject: &_| tracing::warn!(connection = %self.name, %reject, "an event could not be read");
        events.into_iter().filter_map(|event| event.inspect_err(warn).ok()).collect()
    }

    async fn append(&self, events: &[Event]) -> Result<(), FeedError> {
        let entries: Vec<NewEntry> = events.iter().map(NewEntry::event).collect::<Result<_, _>>()?;
        if !entries.is_empty() {
            self.store.append(entries).await?;
        }
        Ok(())
    }

    fn origin<'a>(&'a self, pages: Option<&'a str>) -> Origin<'a> {
        Origin { source: &self.name, team: None, pages, received: self.clock.now() }
    }

    fn pages(&self) -> Option<String> {
        Url::parse(self.config.url.as_str()).ok().and_then(|api| feed::pages_of(&api))
    }

    /// An address below the API's base.
    fn address(&self, path: &str) -> Result<Url, FeedError> {
        let base = self.config.url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/{path}")).map_err(|error| FeedError::Answer(format!("a bad address: {error}")))
    }
}

/// The text frames that are there, at least one.
async fn next_frames(socket: &mut Socket) -> Result<Vec<Utf8Bytes>, FeedError> {
    loop {
        let messages = socket.by_ref().ready_chunks(FRAMES).next().await;
        let Some(messages) = messages else {
            return Err(FeedError::Answer("the server closed the subscription".to_owned()));
        };
        let mut frames = Vec::new();
        for message in messages {
            match message.map_err(Box::new)? {
                Message::Text(text) => frames.push(text),
                Message::Close(_) => return Err(FeedError::Answer("the server closed the subscription".to_owned())),
                // Pings are answered by the library.
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        if !frames.is_empty() {
            return Ok(frames);
        }
    }
}

async fn send(socket: &mut Socket, text: String) -> Result<(), FeedError> {
    within(socket.send(Message::Text(text.into()))).await?.map_err(Box::new)?;
    Ok(())
}

async fn within<T>(future: impl Future<Output = T>) -> Result<T, FeedError> {
    let waited = tokio::time::timeout(ANSWER_WITHIN, future).await;
    waited.map_err(|_| FeedError::Answer(format!("no answer within {} s", ANSWER_WITHIN.as_secs())))
}

fn answer(reject: &trackside_connect::door::Reject) -> FeedError {
    FeedError::Answer(format!("not a page of events: {reject}"))
}
