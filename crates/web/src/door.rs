//! The doors: how events come in over HTTP.
//!
//! Every door does the same four steps and differs only in the far end's own words: admit the caller, read the body
//! within bounds, let `trackside-connect` parse it, append. Invariants: a 2xx leaves after the events are durable;
//! a refusal stores nothing; a door never answers 429 (OpenLineage clients drop an event on 429) but 503 when it is
//! full. Nothing here decides or sends.

pub(crate) mod alertmanager;
pub(crate) mod back;
pub(crate) mod body;
pub(crate) mod native;
pub(crate) mod openlineage;
pub(crate) mod pagerduty;
pub(crate) mod pagerduty_webhook;
pub(crate) mod ping;
pub(crate) mod prefect;
pub(crate) mod prefect_socket;
pub(crate) mod refusal;
pub(crate) mod slack;
pub(crate) mod slack_press;

use crate::access::refusals::{self, Refused};
use crate::state::AppState;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use body::Reservation;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use refusal::Refusal;
use std::sync::Arc;
use std::time::Instant;
use trackside_connect::door::{Answer, AnswerBody, Delivered};
use trackside_core::event::Event;
use trackside_identity::credential::{self, Presented};
use trackside_identity::directory::Identity;
use trackside_identity::jwt::token::looks_signed;
use trackside_identity::role::Role;
use trackside_store::Error as StoreError;
use trackside_store::log::{Appended, Arrival, NewEntry};

/// The doors, for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub(crate) enum Door {
    Native,
    CloudEvents,
    OpenLineage,
    OpenLineageBatch,
    Prefect,
    PrefectSocket,
    Pagerduty,
    PagerdutyChange,
    SlackWebhook,
    SlackApi,
    PagerdutyWebhook,
    SlackPress,
    Alertmanager,
    AlertmanagerWebhook,
    Ping,
}

impl Door {
    /// Every door, in the order of its number.
    pub(crate) const ALL: [Self; 15] = [
        Self::Native,
        Self::CloudEvents,
        Self::OpenLineage,
        Self::OpenLineageBatch,
        Self::Prefect,
        Self::PrefectSocket,
        Self::Pagerduty,
        Self::PagerdutyChange,
        Self::SlackWebhook,
        Self::SlackApi,
        Self::PagerdutyWebhook,
        Self::SlackPress,
        Self::Alertmanager,
        Self::AlertmanagerWebhook,
        Self::Ping,
    ];

    /// Name in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::CloudEvents => "cloudevents",
            Self::OpenLineage => "openlineage",
            Self::OpenLineageBatch => "openlineage_batch",
            Self::Prefect => "prefect",
            Self::PrefectSocket => "prefect_socket",
            Self::Pagerduty => "pagerduty",
            Self::PagerdutyChange => "pagerduty_change",
            Self::SlackWebhook => "slack_webhook",
            Self::SlackApi => "slack_api",
            Self::PagerdutyWebhook => "pagerduty_webhook",
            Self::SlackPress => "slack_press",
            Self::Alertmanager => "alertmanager",
            Self::AlertmanagerWebhook => "alertmanager_webhook",
            Self::Ping => "ping",
        }
    }
}

/// A body that was read, with who sent it and when.
pub(crate) struct Call<'a> {
    /// Who.
    pub(crate) identity: Arc<Identity>,
    /// Request headers.
    pub(crate) headers: &'a HeaderMap,
    /// Body after inflation.
    pub(crate) body: Bytes,
    /// When the head of the request was read.
    pub(crate) at: Timestamp,
    _memory: Reservation<'a>,
}

impl<'a> Call<'a> {
    /// A call whose body was read before its caller was known.
    pub(crate) fn new(
        identity: Arc<Identity>,
        headers: &'a HeaderMap,
        body: Bytes,
        at: Timestamp,
        memory: Reservation<'a>,
    ) -> Self {
        Self { identity, headers, body, at, _memory: memory }
    }

    /// The input of the parsers.
    pub(crate) fn delivered(&self) -> Delivered<'_> {
        Delivered {
            headers: self.headers,
            body: &self.body,
            token: &self.identity.token_name,
            team: self.identity.team.as_deref(),
            received: self.at,
        }
    }
}

/// A visit at a door: measures it, and logs a refusal.
pub(crate) struct Visit<'a> {
    state: &'a AppState,
    door: Door,
    began: Instant,
    at: Timestamp,
}

impl<'a> Visit<'a> {
    /// A visit that begins now.
    pub(crate) fn new(state: &'a AppState, door: Door) -> Self {
        Self { state, door, began: Instant::now(), at: state.now() }
    }

    /// Admits the caller by the headers.
    ///
    /// API tokens cost no waiting; a token of an issuer may have to wait for keys.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<Arc<Identity>, Refusal> {
        let presented = credential::presented(headers)?;
        if let Presented::Token(token) = presented
            && self.state.directory().find(token, self.at).is_none()
            && looks_signed(token)
        {
            let found = self.state.callers().identify(token, self.at).await;
            let identity =
                found.and_then(|identity| self.state.roster().admit(identity)).map_err(Refusal::not_known)?;
            return self.let_in(identity).await;
        }
        self.admit_any(presented.candidates()).await
    }

    /// Admits the caller by what was found elsewhere (path, query, body).
    pub(crate) async fn admit_any<'c>(
        &self,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Result<Arc<Identity>, Refusal> {
        let identity = self.state.directory().find_any(candidates, self.at).map(Arc::clone);
        self.let_in(identity.ok_or_else(Refusal::unauthenticated)?).await
    }

    /// Whoever is known must also be one who sends; who is not is told so, and the audit too.
    async fn let_in(&self, identity: Arc<Identity>) -> Result<Arc<Identity>, Refusal> {
        if identity.rights.allow(Role::Ingest) {
            return Ok(identity);
        }
        let refused = Refused {
            kind: "events".to_owned(),
            resource: Some(format!("door:{}", self.door.as_str())),
            because: format!("the role `{}` is not held ({})", Role::Ingest, identity.rights),
            policies: Vec::new(),
        };
        if let Err(problem) = refusals::tell(self.state, &identity.caller, refused).await {
            tracing::error!(problem = problem.detail, "a refusal could not be put into the audit");
        }
        Err(Refusal::forbidden())
    }

    /// Admits by the headers, then reads the body.
    pub(crate) async fn receive(&self, headers: &'a HeaderMap, body: Body) -> Result<Call<'a>, Refusal> {
        let identity = self.admit(headers).await?;
        self.receive_from(identity, headers, body).await
    }

    /// Reads the body of a caller that was admitted.
    pub(crate) async fn receive_from(
        &self,
        identity: Arc<Identity>,
        headers: &'a HeaderMap,
        body: Body,
    ) -> Result<Call<'a>, Refusal> {
        let (body, memory) = body::read(headers, body, &self.state.budget).await?;
        Ok(Call::new(identity, headers, body, self.at, memory))
    }

    /// Reads the body of somebody who says who they are inside of it.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<(Bytes, Reservation<'a>), Refusal> {
        body::read(headers, body, &self.state.budget).await
    }

    /// Reads the body of a far end that signs it.
    pub(crate) async fn read_signed(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
    ) -> Result<(Bytes, Reservation<'a>), Refusal> {
        body::read_signed(headers, body, &self.state.budget, limit).await
    }

    /// When the visit began, for the parsers.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// Appends events, all or none; returns when they are durable.
    pub(crate) async fn append(&self, events: &[Event]) -> Result<Vec<Appended>, Refusal> {
        let entries = events.iter().map(NewEntry::event).collect::<Result<Vec<_>, _>>().map_err(refuse_store)?;
        let appended = self.state.store.append(entries).await.map_err(refuse_store)?;
        let metrics = self.state.metrics.door(self.door);
        let new = appended.iter().filter(|appended| appended.arrival == Arrival::New).count();
        metrics.accepted.inc_by(new as u64);
        metrics.duplicates.inc_by((appended.len() - new) as u64);
        Ok(appended)
    }

    /// Ends the visit: the answer, or the refusal in the words of the far end.
    pub(crate) fn end(self, result: Result<Response, Refusal>, words: fn(&Refusal) -> Response) -> Response {
        match result {
            Ok(response) => {
                self.state.metrics.door(self.door).seconds.observe(self.began.elapsed().as_secs_f64());
                response
            }
            Err(refusal) => {
                self.state.metrics.refused(self.door, refusal.status);
                self.tell(&refusal);
                finish(&refusal, words(&refusal))
            }
        }
    }

    /// Logs a refusal: the operator needs to know why a sender is turned away, as most senders do not say. One line a
    /// second and door at most, so that a sender gone wild does not fill the disk; the metric counts all of them.
    fn tell(&self, refusal: &Refusal) {
        let (door, status, at) = (self.door.as_str(), refusal.status.as_u16(), refusal.at.as_str());
        if self.state.metrics.door(self.door).may_tell(self.at) {
            tracing::info!(door, status, at, "refused: {}", refusal.problem);
        } else {
            tracing::debug!(door, status, at, "refused: {}", refusal.problem);
        }
    }
}

/// What every refusal has, whatever its words.
fn finish(refusal: &Refusal, mut response: Response) -> Response {
    let headers = response.headers_mut();
    match refusal.status {
        StatusCode::UNAUTHORIZED => {
            headers.entry(WWW_AUTHENTICATE).or_insert(HeaderValue::from_static("Bearer realm=\"trackside\""));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from(refusal::RETRY_AFTER));
        }
        // The rest of the body is not read, so the connection cannot be used again.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

pub(crate) fn refuse_store(error: StoreError) -> Refusal {
    match error {
        StoreError::Invalid { what, problem } => {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{what}: {problem}"))
        }
        error => {
            tracing::error!(%error, "events could not be stored");
            Refusal::store_failed()
        }
    }
}

/// A JSON answer from text that is already JSON.
pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = (status, body.into()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A plain text answer.
pub(crate) fn text(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = (status, body.into()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// An answer of a connector as a response.
pub(crate) fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer.body {
        AnswerBody::Json(body) => json(status, body.to_string()),
        AnswerBody::Text(body) => text(status, Body::from(body.into_owned())),
    }
}
