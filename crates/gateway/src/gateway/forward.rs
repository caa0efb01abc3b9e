//! The second half of a request's way: made anew for the upstream, sent, and its answer passed back.

use super::hops::{X_FORWARDED_FOR, chain};
use super::unanswered::{NotAnswered, bad_answer, explain, faulty, kept_back, withheld};
use super::{Asked, Gateway, InForce, Origin, REQUEST_ID};
use crate::answer::Problem;
use crate::call::Call;
use crate::config::guard::Direction;
use crate::config::route::{CredentialUse, HostForm, Recording, Retries, WebSocket};
use crate::front::headers;
use crate::guard::{LOOKED_AT, Plan};
use crate::identity;
use crate::proxy::body::{Answer, Bounds, Fault, Keep, Outgoing, Oversized, Pace, Progress, Relay, Stream};
use crate::proxy::tunnel::{self, Handshake};
use crate::proxy::upstream::{Failed, Link, Upstream};
use crate::route::table::Route;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use jiff::Timestamp;
use secrecy::SecretString;
use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio::time::Instant;
use trackside_identity::broker::{self, Credential, CredentialHeader, OnBehalf, RequestSigner};
use trackside_identity::directory::Identity;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A refusal with the call it ends.
type Refused = (Problem, Box<Call>);

/// What goes to the upstream, so that it can be made twice.
struct Sending<'a> {
    route: &'a Route,
    method: &'a Method,
    target: http::Uri,
    headers: HeaderMap,
    /// Signs it, when the upstream takes signatures; then its body must be known.
    signer: Option<RequestSigner>,
    until: Option<Instant>,
}

impl Gateway {
    /// Sends a request on and gives the answer.
    pub(super) async fn forward(
        &self,
        in_force: &InForce,
        asked: Asked,
        who: Option<Arc<Identity>>,
        origin: &Origin,
        request_id: &HeaderValue,
        mut call: Box<Call>,
    ) -> Result<Response<Answer>, Refused> {
        let Asked { mut parts, body, host, path, target, route } = asked;
        let path = target.as_deref().unwrap_or(&path);
        let handshake = match handshake(&route, &parts) {
            Ok(handshake) => handshake,
            Err(problem) => return Err((problem, call)),
        };
        let told = Told { who: who.as_ref(), host: &host, origin, request_id, in_force, cookies: &self.shell.cookies };
        let mut sending = match prepare(&route, &parts, path, &told, call.began()) {
            Ok(sending) => sending,
            Err(problem) => return Err((problem, call)),
        };
        if let Err(problem) = Box::pin(self.authorize(&mut sending, &parts.headers, who.as_ref())).await {
            return Err((problem, call));
        }
        let (outgoing, progress) = match outgoing(&mut sending, in_force, body, &mut call).await {
            Ok(outgoing) => outgoing,
            Err(problem) => return Err((problem, call)),
        };
        if let Some(handshake) = &handshake {
            handshake.write(&mut sending.headers);
        }
        sending.sign(&outgoing, (self.shell.clock)());
        call.sending(&sending.headers, progress.clone());
        let answered = self.exchange(&mut sending, outgoing, progress.as_deref(), &parts.headers, who.as_ref()).await;
        let (response, link) = match answered {
            Ok(answered) => answered,
            Err(problem) => {
                if problem.status.is_server_error() {
                    call.upstream_failed();
                }
                return Err((problem, call));
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(handshake) = handshake else { return Err((bad_answer(), call)) };
            let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
            return tunnel::open(&handshake, response, link, upgrade, origin.signals.clone(), call, route.times.idle);
        }
        answer(&route, response, link, sending.until, request_id, call).await
    }

    /// Adds what authenticates the request at the upstream.
    async fn authorize(
        &self,
        sending: &mut Sending<'_>,
        given: &HeaderMap,
        who: Option<&Arc<Identity>>,
    ) -> Result<(), Problem> {
        let route = sending.route;
        match route.config.credential {
            CredentialUse::None => return Ok(()),
            CredentialUse::Callers => {
                if let Some(value) = given.get(header::AUTHORIZATION) {
                    sending.headers.insert(header::AUTHORIZATION, value.clone());
                }
                return Ok(());
            }
            CredentialUse::Connection if !route.upstream.config.has_credential => return Ok(()),
            CredentialUse::Connection => {}
        }
        self.authenticate(sending, given, who).await
    }

    async fn authenticate(
        &self,
        sending: &mut Sending<'_>,
        given: &HeaderMap,
        who: Option<&Arc<Identity>>,
    ) -> Result<(), Problem> {
        let route = sending.route;
        let token = token(given);
        let behalf = behalf(who, token.as_ref());
        let credential = self.shell.brokers.credential(&route.upstream.config.name, behalf).await.map_err(|error| {
            tracing::warn!(route = %route.name, %error, "no credential for the upstream");
            let detail = "the gateway has no credential for the upstream now";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(error.retry_after)
        })?;
        match credential {
            Credential::Headers(headers) => sending.put(headers),
            Credential::Signer(signer) => sending.signer = Some(signer),
        }
        Ok(())
    }

    /// Sends, and sends once more where that can do no harm: when nothing was sent, when the method only reads and no
    /// answer began, when a reading request was refused with a credential that may be stale.
    async fn exchange(
        &self,
        sending: &mut Sending<'_>,
        outgoing: Outgoing,
        progress: Option<&Progress>,
        given: &HeaderMap,
        who: Option<&Arc<Identity>>,
    ) -> Result<(Response<Incoming>, Link), Problem> {
        let route = sending.route;
        let repeatable = matches!(outgoing, Outgoing::Empty) && is_reading(sending.method);
        let brokered = route.config.credential == CredentialUse::Connection && route.upstream.config.has_credential;
        let first = match send(sending, sending.request(outgoing), Fresh::Kept).await {
            Err(failed) => self.again(sending, failed, repeatable).await,
            answered => answered,
        };
        let (response, link) = first.map_err(|failed| explain(&failed, progress, route))?;
        if response.status() != StatusCode::UNAUTHORIZED || !brokered {
            return Ok((response, link));
        }
        let token = token(given);
        self.shell.brokers.rejected(&route.upstream.config.name, behalf(who, token.as_ref()));
        if !repeatable {
            return Ok((response, link));
        }
        drop((response, link));
        self.authenticate(sending, given, who).await?;
        sending.sign(&Outgoing::Empty, (self.shell.clock)());
        let second = send(sending, sending.request(Outgoing::Empty), Fresh::Kept).await;
        second.map_err(|failed| explain(&failed, progress, route))
    }

    async fn again(
        &self,
        sending: &Sending<'_>,
        failed: NotAnswered,
        repeatable: bool,
    ) -> Result<(Response<Incoming>, Link), NotAnswered> {
        let allowed = sending.route.config.retries == Retries::Safe;
        match failed {
            NotAnswered::Failed(Failed::Exchange { unsent: Some(request), .. }) if allowed => {
                send(sending, *request, Fresh::New).await
            }
            NotAnswered::Failed(Failed::Exchange { .. }) if allowed && repeatable => {
                send(sending, sending.request(Outgoing::Empty), Fresh::New).await
            }
            failed => Err(failed),
        }
    }
}

/// Whether a kept connection may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fresh {
    Kept,
    New,
}

impl Sending<'_> {
    fn put(&mut self, headers: Vec<CredentialHeader>) {
        for (name, mut value) in headers {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
    }

    /// Signs what is about to be sent, where the upstream takes signatures.
    fn sign(&mut self, body: &Outgoing, now: Timestamp) {
        let Some(signer) = &self.signer else { return };
        let body = if let Outgoing::Whole(Some(body)) = body { &body[..] } else { &[] };
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let (path, query) = (self.target.path(), self.target.query());
        let request = broker::Outgoing { method: self.method, host, path, query, headers: &self.headers, body };
        let headers = signer.headers(&request, now);
        self.put(headers);
    }

    fn request(&self, body: Outgoing) -> Request<Outgoing> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// What the upstream is told beside what the client sent.
struct Told<'a> {
    who: Option<&'a Arc<Identity>>,
    host: &'a str,
    origin: &'a Origin,
    request_id: &'a HeaderValue,
    in_force: &'a InForce,
    cookies: &'a [&'static str],
}

/// Makes the head of the request anew.
fn prepare<'a>(
    route: &'a Route,
    parts: &'a http::request::Parts,
    path: &str,
    told: &Told<'_>,
    began: Instant,
) -> Result<Sending<'a>, Problem> {
    let config = &route.config;
    let rest = match &config.strip_prefix {
        Some(prefix) => path.strip_prefix(prefix.as_str()).unwrap_or(path),
        None => path,
    };
    let rest = if rest.starts_with('/') { Cow::Borrowed(rest) } else { Cow::Owned(format!("/{rest}")) };
    let bad = |_| Problem::new(StatusCode::BAD_REQUEST, "the address cannot be forwarded");
    let target = route.upstream.target(&rest, parts.uri.query()).map_err(bad)?;
    let mut headers = headers::request(&parts.headers, &route.rules);
    headers::cookies(&mut headers, told.cookies);
    let host = match config.host {
        HostForm::Upstream => route.upstream.host.clone(),
        HostForm::Client => HeaderValue::from_str(told.host)
            .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the host cannot be forwarded"))?,
    };
    headers.insert(header::HOST, host);
    headers.insert(X_FORWARDED_FOR, chain(told.in_force, &parts.headers, told.origin));
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(told.origin.scheme));
    if let Ok(host) = HeaderValue::from_str(told.host) {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.insert(REQUEST_ID, told.request_id.clone());
    if let Some(who) = told.who {
        for (key, name) in &route.identity {
            if let Some(value) = identity::told(key, who) {
                headers.insert(name, value);
            } else if *key == "subject" {
                let detail = "your subject has characters that cannot be told to the upstream";
                return Err(Problem::forbidden(detail));
            }
        }
    }
    let until = route.times.total.map(|total| began + total);
    Ok(Sending { route, method: &parts.method, target, headers, signer: None, until })
}

/// The body that goes to the upstream: streamed, or read and judged where rules look at it.
async fn outgoing(
    sending: &mut Sending<'_>,
    in_force: &InForce,
    body: Incoming,
    call: &mut Call,
) -> Result<(Outgoing, Option<Arc<Progress>>), Problem> {
    let route = sending.route;
    if body.is_end_stream() {
        if matches!(*sending.method, Method::POST | Method::PUT | Method::PATCH) {
            sending.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        return Ok((Outgoing::Empty, None));
    }
    let keep = if route.config.recording >= Recording::Bodies { Keep::Beginning } else { Keep::Nothing };
    let mut pace = Pace { limit: route.body_limit, pause: in_force.body_pause, keep };
    let progress = Arc::new(Progress::default());
    let mut hits = Vec::new();
    let plan = if route.guards.any(Direction::Request) {
        route.guards.plan(Direction::Request, &sending.headers, body.size_hint().exact(), &mut hits)
    } else {
        Plan::Stream
    };
    call.hit(hits);
    let plan = match plan {
        Plan::Stream if sending.signer.is_some() => Plan::Keep(LOOKED_AT as u64),
        Plan::Bounded(most, _) if sending.signer.is_some() => Plan::Keep(most.min(LOOKED_AT as u64)),
        plan => plan,
    };
    match plan {
        Plan::Stream => {}
        Plan::Bounded(most, _) => pace.limit = Some(pace.limit.map_or(most, |limit| limit.min(most))),
        Plan::Refuse(hit) => return Err(withheld(hit, call)),
        Plan::Keep(most) => {
            let most = pace.limit.map_or(most, |limit| limit.min(most));
            pace.limit = Some(most);
            pace.keep = Keep::Nothing;
            let whole = Stream::new(body, pace, progress).whole().await;
            let whole = whole.map_err(|fault| match fault {
                Fault::TooLarge => {
                    let detail = format!("this route reads bodies whole, and takes at most {most} bytes");
                    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
                }
                fault => faulty(fault, route),
            })?;
            let mut hits = Vec::new();
            let judged = route.guards.judge(Direction::Request, &sending.headers, whole, &mut hits);
            call.hit(hits);
            let whole = judged.map_err(|hit| withheld(hit, call))?;
            call.sent_whole(&whole);
            return Ok((Outgoing::Whole(Some(whole)), None));
        }
    }
    let stream = Stream::new(body, pace, Arc::clone(&progress));
    Ok((Outgoing::Stream(Box::new(stream)), Some(progress)))
}

/// One try.
async fn send(
    sending: &Sending<'_>,
    request: Request<Outgoing>,
    fresh: Fresh,
) -> Result<(Response<Incoming>, Link), NotAnswered> {
    let (upstream, times): (&Arc<Upstream>, _) = (&sending.route.upstream, sending.route.times);
    let link = match fresh {
        Fresh::Kept => upstream.link(times.connect).await,
        Fresh::New => upstream.open(times.connect).await,
    };
    let mut link = link.map_err(NotAnswered::Failed)?;
    let until = Instant::now() + times.first_byte;
    let until = sending.until.map_or(until, |total| total.min(until));
    match link.exchange(request, until).await {
        Some(Ok(response)) => Ok((response, link)),
        Some(Err(failed)) => Err(NotAnswered::Failed(failed)),
        None => Err(NotAnswered::Late),
    }
}

/// Passes an answer back.
async fn answer(
    route: &Arc<Route>,
    response: Response<Incoming>,
    mut link: Link,
    until: Option<Instant>,
    request_id: &HeaderValue,
    mut call: Box<Call>,
) -> Result<Response<Answer>, Refused> {
    let (mut parts, incoming) = response.into_parts();
    headers::response(&mut parts.headers);
    let length = parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(REQUEST_ID, request_id.clone());
    parts.version = http::Version::HTTP_11;
    parts.extensions = http::Extensions::new();
    call.answered(parts.status, &parts.headers);
    if incoming.is_end_stream() {
        // An answer to HEAD, or 304: its length is that of another answer.
        if let Some(length) = length {
            parts.headers.insert(header::CONTENT_LENGTH, length);
        }
        call.completed();
        if poll_fn(|cx| Poll::Ready(link.is_open(cx))).await {
            route.upstream.keep(link);
        }
        return Ok(Response::from_parts(parts, Answer::Whole(None, Some(call))));
    }
    let mut hits = Vec::new();
    let plan = if route.guards.any(Direction::Response) {
        route.guards.plan(Direction::Response, &parts.headers, incoming.size_hint().exact(), &mut hits)
    } else {
        Plan::Stream
    };
    call.hit(hits);
    let limit = if let Plan::Bounded(most, _) = &plan { Some(*most) } else { None };
    if let Plan::Refuse(hit) = plan {
        let problem = kept_back(hit, &mut call);
        return Err((problem, call));
    }
    let bounds = Bounds { pause: route.times.idle, until, limit };
    let relay = Relay::new(incoming, link, Arc::clone(&route.upstream), call, bounds);
    let Plan::Keep(most) = plan else {
        return Ok(Response::from_parts(parts, Answer::Relay(Box::new(relay))));
    };
    judged(route, parts, relay, most).await
}

/// An answer that rules look at.
async fn judged(
    route: &Route,
    mut parts: http::response::Parts,
    relay: Relay,
    most: u64,
) -> Result<Response<Answer>, Refused> {
    let (whole, mut call) = relay.whole(most).await;
    let whole = match whole {
        Ok(whole) => whole,
        Err(Oversized::Broken) => return Err((bad_answer(), call)),
        Err(Oversized::TooLarge) => {
            let detail = "the upstream's answer is too large for the rules of this route";
            return Err((Problem::new(StatusCode::BAD_GATEWAY, detail), call));
        }
    };
    let mut hits = Vec::new();
    let judged = route.guards.judge(Direction::Response, &parts.headers, whole, &mut hits);
    if !hits.is_empty() {
        // The digest and the validators are of the unmasked body.
        for name in [header::ETAG, header::LAST_MODIFIED, HeaderName::from_static("content-digest")] {
            parts.headers.remove(name);
        }
    }
    call.hit(hits);
    match judged {
        Ok(body) => {
            call.replaced(&body);
            Ok(Response::from_parts(parts, Answer::Whole(Some(body), Some(call))))
        }
        Err(hit) => {
            let problem = kept_back(hit, &mut call);
            Err((problem, call))
        }
    }
}

/// The WebSocket that is asked for, if the route opens any.
fn handshake(route: &Route, parts: &http::request::Parts) -> Result<Option<Handshake>, Problem> {
    if route.config.websocket != WebSocket::Allowed {
        return Ok(None);
    }
    Handshake::of(parts)
        .map_err(|detail| Problem::new(StatusCode::BAD_REQUEST, detail).with(header::SEC_WEBSOCKET_VERSION, "13"))
}

/// The token the caller sent, for connections that exchange it.
fn token(given: &HeaderMap) -> Option<SecretString> {
    let text = given.get(header::AUTHORIZATION)?.to_str().ok()?;
    text.split_once(' ').map(|(_, token)| SecretString::from(token.trim()))
}

fn behalf<'a>(who: Option<&'a Arc<Identity>>, token: Option<&'a SecretString>) -> Option<OnBehalf<'a>> {
    who.map(|who| OnBehalf { token, ..OnBehalf::caller(&who.caller) })
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}
