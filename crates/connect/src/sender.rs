//! The one place that does outbound I/O: puts a [`Request`] on the wire and reports the [`Answer`].
//!
//! Invariants: no redirect is followed; an answer is read to at most [`ANSWER_BYTES`] and within the timeout; error
//! texts hold no address and no secret; `NotSent` is said only when no byte of the message can have been processed.
//! It does not retry, wait, or judge: that is [`crate::far_end`]'s and the delivery loop's. Connections are written by
//! administrators, so private addresses are allowed unless a request says otherwise ([`Guard`]).

use crate::connection::Connection;
use crate::far_end::{
    ANSWER_BYTES, Answer, CannotSend, Certificate, Guard, Hosts, HttpRequest, Request, Verdict, Wire, classify, request,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use trackside_core::effect::Effect;

mod mail;
mod public;

/// Longest wait for a connection (TCP and TLS), within the timeout of the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are dropped early: a far end that closes one while a request is written makes a lost answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle connections kept per host.
const IDLE_PER_HOST: usize = 4;
/// How the server names itself.
const USER_AGENT: &str = concat!("trackside/", env!("CARGO_PKG_VERSION"));

/// Puts requests on the wire. The network does it in production, a simulated world in tests.
pub trait Sender: Sync {
    /// Sends `request` and waits at most `timeout` for the whole answer.
    fn send(&self, request: &Request, timeout: Duration) -> impl Future<Output = Answer> + Send;
}

/// What one attempt of a delivery came to.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Each request that went out, with its answer, in order; mostly one.
    pub exchanges: Vec<Exchange>,
    /// The verdict on the whole.
    pub verdict: Verdict,
    /// What the next attempt must know of this one, when it is not the last.
    pub progress: Option<String>,
    /// What the reader of the delivery should know beside the verdict.
    pub notes: Vec<String>,
}

impl Attempt {
    /// Of exchanges that were made, with the notes of their requests.
    pub(crate) fn of(exchanges: Vec<Exchange>, verdict: Verdict) -> Self {
        let notes = exchanges.iter().filter_map(|exchange| exchange.request.note.clone()).collect();
        Self { exchanges, verdict, progress: None, notes }
    }

    /// Nothing was sent, and nothing will be.
    pub(crate) fn refused(why: String) -> Self {
        Self::of(Vec::new(), Verdict::Refused { why })
    }
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was sent.
    pub request: Request,
    /// What came back, without secrets.
    pub answer: Answer,
}

/// Makes one attempt: builds the request, sends it and what belongs to it ([`Request::then`],
/// [`Request::otherwise`]), and judges the answers.
///
/// # Errors
/// When no request can be built; see [`request`].
pub async fn attempt<S: Sender>(
    sender: &S,
    connection: &Connection,
    effect: &Effect,
    previous: Option<&str>,
    now: Timestamp,
    timeout: Duration,
) -> Result<Attempt, CannotSend> {
    let mut next = request(connection, effect, previous, now)?;
    let mut exchanges = Vec::new();
    let mut first_ref = None;
    loop {
        let answer = sender.send(&next, timeout).await;
        let verdict = classify(connection, &next, &answer, now);
        let (then, otherwise) = (next.then.take(), next.otherwise.take());
        exchanges.push(Exchange { request: next, answer });
        next = match (verdict, then, otherwise) {
            (Verdict::Done { far_ref }, Some(then), _) => {
                first_ref = first_ref.or(far_ref);
                *then
            }
            (Verdict::Refused { .. }, _, Some(otherwise)) => *otherwise,
            (Verdict::Done { far_ref }, None, _) => {
                let verdict = Verdict::Done { far_ref: first_ref.or(far_ref) };
                return Ok(Attempt::of(exchanges, verdict));
            }
            (verdict, _, _) => return Ok(Attempt::of(exchanges, verdict)),
        };
    }
}

/// Sends over the network: HTTP with `reqwest`, mail with `lettre`, both with rustls.
///
/// Most requests go through one client; the few with another [`Guard`] or certificates of their own get a client of
/// their own when the first comes.
#[derive(Clone, Debug)]
pub struct NetworkSender {
    client: reqwest::Client,
    others: Arc<Mutex<BTreeMap<Manner, reqwest::Client>>>,
}

/// What a client is made for.
type Manner = (Guard, Option<Arc<str>>);

impl NetworkSender {
    /// A sender with its own connection pool.
    ///
    /// # Errors
    /// When the TLS backend cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { client: client(&Manner::default())?, others: Arc::default() })
    }

    async fn http(&self, request: &HttpRequest, timeout: Duration) -> Answer {
        if let Err(error) = public::check(request) {
            return Answer::Withheld { error: error.to_string() };
        }
        let client = match self.client((request.guard, request.trust.clone())) {
            Ok(client) => client,
            Err(error) => return Answer::NotSent { error: reason(error) },
        };
        let mut builder =
            client.request(request.method.clone(), &request.url).timeout(timeout).body(request.body.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name.as_ref(), value);
        }
        match builder.send().await {
            Ok(response) => read(response).await,
            Err(error) if public::is_cause(&error) => Answer::Withheld { error: reason(error) },
            Err(error) if error.is_connect() || error.is_builder() => Answer::NotSent { error: reason(error) },
            Err(error) => Answer::Lost { error: reason(error) },
        }
    }
}

impl NetworkSender {
    fn client(&self, manner: Manner) -> Result<reqwest::Client, reqwest::Error> {
        if manner == Manner::default() {
            return Ok(self.client.clone());
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = others.get(&manner) {
            return Ok(client.clone());
        }
        let client = client(&manner)?;
        others.insert(manner, client.clone());
        Ok(client)
    }
}

fn client((guard, trust): &Manner) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST);
    if guard.hosts == Hosts::Public {
        // Not through a proxy: that would resolve the name itself.
        builder = builder.dns_resolver(Arc::new(public::Resolver)).no_proxy();
    }
    if guard.certificate == Certificate::Unchecked {
        builder = builder.danger_accept_invalid_certs(true);
    }
    if let Some(pem) = trust {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?);
    }
    builder.build()
}

impl Sender for NetworkSender {
    async fn send(&self, request: &Request, timeout: Duration) -> Answer {
        let answer = match &request.wire {
            Wire::Http(http) => self.http(http, timeout).await,
            Wire::Mail(mail) => mail::send(mail, timeout).await,
        };
        without_secrets(answer, request)
    }
}

/// Reads the answer. A success whose body breaks off is a lost answer: what the far end said is not known.
async fn read(mut response: reqwest::Response) -> Answer {
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - body.len())]),
            Ok(None) => break,
            Err(error) if status.is_success() => {
                return Answer::Lost { error: format!("the answer broke off: {}", reason(error)) };
            }
            Err(_) => break,
        }
    }
    Answer::Response { status: status.as_u16(), headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// The innermost cause, where the words are: `connection refused`, `operation timed out`.
fn reason(error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if timed_out { "timed out".to_owned() } else { cause.to_string() }
}

fn without_secrets(answer: Answer, request: &Request) -> Answer {
    match answer {
        Answer::Response { status, headers, body } => Answer::Response {
            status,
            headers: headers.into_iter().map(|(name, value)| (name, request.redact(&value))).collect(),
            body: request.redact(&body),
        },
        Answer::NotSent { error } => Answer::NotSent { error: request.redact(&error) },
        Answer::Withheld { error } => Answer::Withheld { error: request.redact(&error) },
        Answer::Lost { error } => Answer::Lost { error: request.redact(&error) },
    }
}
