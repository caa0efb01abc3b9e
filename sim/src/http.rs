//! HTTP for the far ends: reads a request, asks the far end for the reply, and spoils it as the behaviour says.

use crate::behaviour::Behaviour;
use crate::journal::Journal;
use crate::page;
use crate::requests::Requests;
use crate::server::Protocol;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Largest body read.
const BODY_BYTES: usize = 4 * 1024 * 1024;

/// A request as a far end sees it.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What a far end replies.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// Further headers.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// The same with one header more.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, content_type: "application/json", body: body.to_string(), headers: Vec::new() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.to_owned(), headers: Vec::new() }
    }
}

/// A far end that speaks HTTP: a state machine without I/O.
pub(crate) trait App: Send + Sync + 'static {
    /// Takes a request and replies.
    fn reply(&self, asked: &Asked<'_>) -> Reply;
    /// What it answers, in its own form, when it is told to fail with `status`.
    fn failure(&self, status: u16, retry_after: Option<u32>) -> Reply;
}

/// Serves an [`App`] over HTTP/1.1. `GET /` shows the journal.
pub(crate) struct Http<A> {
    pub(crate) app: Arc<A>,
    pub(crate) journal: Journal,
    pub(crate) requests: Requests,
}

/// The connection ends without an answer.
#[derive(Debug)]
struct HungUp;

impl std::fmt::Display for HungUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the far end hangs up")
    }
}

impl std::error::Error for HungUp {}

type Body = BoxBody<Bytes, Infallible>;

impl<A: App> Protocol for Http<A> {
    async fn serve(&self, stream: TcpStream, behaviour: watch::Receiver<Behaviour>) {
        let service = service_fn(|request| answer(self, request, behaviour.clone()));
        // Ends with an error whenever the behaviour is to hang up, or the sender does.
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}

async fn answer<A: App>(
    http: &Http<A>,
    request: Request<Incoming>,
    mut behaviour: watch::Receiver<Behaviour>,
) -> Result<Response<Body>, HungUp> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES).collect().await.map_err(|_| HungUp)?.to_bytes();
    let asked = Asked {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
    };
    if parts.method == Method::GET && asked.path == "/" {
        return Ok(response(page::render(&http.journal.arrivals(), http.journal.now())));
    }
    http.requests.note(http.journal.now());
    let app = &*http.app;
    let now = *behaviour.borrow_and_update();
    match now {
        Behaviour::Healthy => Ok(response(app.reply(&asked))),
        Behaviour::Status { code, retry_after } => {
            let mut response = response(app.failure(code, retry_after));
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            Ok(response)
        }
        Behaviour::Hang | Behaviour::Refuse => {
            let _ = behaviour.changed().await;
            Err(HungUp)
        }
        Behaviour::SlowBody => Ok(endless(&app.reply(&asked))),
        Behaviour::DropAfterAccept => {
            app.reply(&asked);
            Err(HungUp)
        }
    }
}

fn response(reply: Reply) -> Response<Body> {
    let mut response = with_body(reply.status, reply.content_type, Full::new(Bytes::from(reply.body)).boxed());
    for (name, value) in reply.headers {
        if let Ok(value) = hyper::header::HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The first byte of the reply, and then nothing.
fn endless(reply: &Reply) -> Response<Body> {
    let first = Bytes::copy_from_slice(&reply.body.as_bytes()[..reply.body.len().min(1)]);
    let mut first = Some(first);
    let frames = futures_util::stream::poll_fn(move |_| match first.take() {
        Some(byte) => std::task::Poll::Ready(Some(Ok::<_, Infallible>(Frame::data(byte)))),
        None => std::task::Poll::Pending,
    });
    with_body(reply.status, reply.content_type, BodyExt::boxed(StreamBody::new(frames)))
}

fn with_body(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    response
}
