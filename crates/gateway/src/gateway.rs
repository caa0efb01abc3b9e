//! The gateway: what is in force, and the way of one request through it.
//!
//! Order: front, route, caller, access, limits, body, upstream. Nothing reaches an upstream before all of it said yes,
//! and every step that says no answers with a problem document. What is in force is one value, swapped as a whole; a
//! request goes to its end with the one it began with.

mod forward;
mod hops;
mod unanswered;

use crate::answer::Problem;
use crate::call::{Beginning, Call, Ledger};

use crate::config::network::Network;
use crate::config::route::{Access, PathForm, RouteConfig};
use crate::front::refusal::Refusal;
use crate::front::sentinel::{REFUSED, Signals};
use crate::front::{headers, host, path};
use crate::identity::{self, LastToken};
use crate::metrics::Metrics;
use crate::proxy::body::Answer;
use crate::proxy::upstream::{Upstream, UpstreamConfig};
use crate::record::{Batch, Records};
use crate::route::limits::Limits;
use crate::route::table::{Found, Route, Table};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::{Body as _, Incoming};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use trackside_core::approval::request::Grant;
use trackside_core::caller::Caller;
use trackside_identity::access::{self, Needs};
use trackside_identity::broker::Brokers;
use trackside_identity::callers::{Callers, NotKnown};
use trackside_identity::certificate::PeerCertificate;
use trackside_identity::directory::{Directory, Identity};
use trackside_identity::question::{Answer as Says, Context, Judge, Question, Resource, ResourceKind, actions};
use trackside_identity::role::Role;

/// Field with the id of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id of a client's that is taken over.
const ID_BYTES: usize = 64;

/// Reads the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// The API tokens in force.
pub type Tokens = Arc<dyn Fn() -> Arc<Directory> + Send + Sync>;
/// The identity as the directory of people knows it, with the teams it gives; an error when they are not there any more.
pub type Admit = Arc<dyn Fn(Arc<Identity>) -> Result<Arc<Identity>, NotKnown> + Send + Sync>;
/// The grant under which this caller may use this route now; `None` when nobody approved.
pub type Approved = Arc<dyn Fn(&Caller, &str, Timestamp) -> Option<Grant> + Send + Sync>;
/// What the gateway needs of the rest of the server.
#[derive(Clone)]
pub struct Shell {
    /// The time.
    pub clock: Clock,
    /// A number that no other start of the server has, for ids of requests.
    pub start: u64,
    /// API tokens.
    pub tokens: Tokens,
    /// Who is still there.
    pub admit: Admit,
    /// Approvals.
    pub approved: Approved,
    /// Credentials of connections.
    pub brokers: Brokers,
    /// Names of the server's own session cookies, which never go to an upstream.
    pub cookies: Vec<&'static str>,
}

/// What is in force.
pub struct InForce {
    /// Routes.
    pub table: Table,
    /// Issuers.
    pub callers: Arc<Callers>,
    /// Policies.
    pub judge: Judge,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted: Vec<Network>,
    /// Longest pause within a request's body.
    pub body_pause: Duration,
}

/// What a configuration puts in force.
pub struct Wish<'a> {
    /// Routes by name.
    pub routes: &'a BTreeMap<String, RouteConfig>,
    /// Connections that they lead to.
    pub upstreams: Vec<UpstreamConfig>,
    /// Issuers.
    pub callers: Arc<Callers>,
    /// Policies.
    pub judge: Judge,
    /// The section `gateway`.
    pub settings: &'a crate::config::GatewaySettings,
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The other end of the connection, or the client that a load balancer told of.
    pub peer: SocketAddr,
    /// The same as a field's value.
    pub(crate) peer_text: HeaderValue,
    /// The server name of TLS.
    pub server_name: Option<String>,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The client's certificate, which TLS has verified.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// Tells the sentinel of the connection.
    pub signals: Option<Arc<Signals>>,
    pub(crate) last_token: Arc<LastToken>,
}

/// The gateway. Shared by all connections.
pub struct Gateway {
    shell: Shell,
    in_force: RwLock<Arc<InForce>>,
    ledger: Arc<Ledger>,
    requests: AtomicU64,
}

/// A request that the front let in, with what it means.
struct Asked {
    parts: Parts,
    body: Incoming,
    host: String,
    /// The path that routes were asked for.
    path: String,
    /// The path that goes on, when it is another one.
    target: Option<String>,
    route: Arc<Route>,
}

impl Gateway {
    /// A gateway with nothing in force.
    #[must_use]
    pub fn new(shell: Shell, metrics: Metrics) -> Self {
        let nothing = InForce {
            table: Table::default(),
            callers: Arc::default(),
            judge: trackside_identity::question::no_policies(),
            trusted: Vec::new(),
            body_pause: Duration::from_secs(30),
        };
        let ledger = Arc::new(Ledger { metrics, records: Records::default() });
        Self { shell, in_force: RwLock::new(Arc::new(nothing)), ledger, requests: AtomicU64::new(0) }
    }

    /// Puts a configuration in force. Routes and upstreams that did not change keep their limits and connections.
    ///
    /// # Errors
    /// When it cannot be used; what was in force stays.
    pub fn put(&self, wish: Wish<'_>) -> Result<(), String> {
        let before = self.in_force();
        let mut upstreams: BTreeMap<String, Arc<Upstream>> = BTreeMap::new();
        for config in wish.upstreams {
            let kept = before.table.iter().map(|route| &route.upstream).find(|known| known.config == config);
            let upstream = match kept {
                Some(kept) => Arc::clone(kept),
                None => Arc::new(Upstream::new(config.clone())?),
            };
            upstreams.insert(config.name, upstream);
        }
        let mut routes = Vec::new();
        for (name, config) in wish.routes {
            let upstream = upstreams.get(&config.upstream).ok_or_else(|| format!("route `{name}` leads nowhere"))?;
            let kept = before.table.iter().find(|route| {
                *route.name == *name.as_str()
                    && route.config.rate_limit == config.rate_limit
                    && route.config.concurrency == config.concurrency
            });
            let limits = kept.map_or_else(
                || Arc::new(Limits::new(config.rate_limit, config.concurrency)),
                |route| Arc::clone(&route.limits),
            );
            let metrics = self.ledger.metrics.of(name);
            routes.push(Arc::new(Route::new(name, config.clone(), Arc::clone(upstream), limits, metrics)?));
        }
        let in_force = InForce {
            table: Table::new(routes),
            callers: wish.callers,
            judge: wish.judge,
            trusted: wish.settings.trusted_proxies.clone(),
            body_pause: wish.settings.body_time(),
        };
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(in_force);
        Ok(())
    }

    /// What is in force.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The identity, if who stands behind it is still there.
    pub(crate) fn admit(&self, identity: Arc<Identity>) -> Result<Arc<Identity>, NotKnown> {
        (self.shell.admit)(identity)
    }

    /// The API tokens in force.
    #[must_use]
    pub(crate) fn directory(&self) -> Arc<Directory> {
        (self.shell.tokens)()
    }

    /// Takes the records of calls that ended.
    #[must_use]
    pub fn take_records(&self) -> Batch {
        self.ledger.records.take()
    }

    /// Puts records back that could not be stored.
    pub fn put_back(&self, batch: Batch) {
        self.ledger.records.put_back(batch);
    }

    /// Counts connections.
    #[must_use]
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.ledger.metrics
    }

    /// The time.
    #[must_use]
    pub(crate) fn now(&self) -> Timestamp {
        (self.shell.clock)()
    }

    /// Closes idle connections and forgets callers who did not call for a while.
    pub fn tidy(&self) {
        for route in self.in_force().table.iter() {
            route.limits.tidy();
            route.upstream.tidy();
        }
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>, origin: &Origin) -> Response<Answer> {
        let (parts, body) = request.into_parts();
        let refused = parts.method.as_str() == REFUSED;
        let unread = refused || (!body.is_end_stream() && parts.version < Version::HTTP_2);
        let request_id = self.request_id(&parts);
        let beginning = Beginning {
            at: self.now(),
            request_id: request_id.to_str().unwrap_or_default().to_owned(),
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            client: Some(origin.peer.ip()),
        };
        let mut call = Box::new(Call::new(Arc::clone(&self.ledger), beginning, origin.signals.clone()));
        let in_force = self.in_force();
        let admitted = self.let_in(&in_force, parts, body, origin, &mut call).await;
        let (asked, who) = match admitted {
            Ok(admitted) => admitted,
            Err(problem) => return refuse(&problem, &request_id, call, unread),
        };
        match self.forward(&in_force, asked, who, origin, &request_id, call).await {
            Ok(response) => response,
            Err((problem, call)) => refuse(&problem, &request_id, call, unread),
        }
    }

    /// Everything that must say yes before anything is sent.
    async fn let_in(
        &self,
        in_force: &InForce,
        parts: Parts,
        body: Incoming,
        origin: &Origin,
        call: &mut Call,
    ) -> Result<(Asked, Option<Arc<Identity>>), Problem> {
        let asked = front(in_force, parts, body, origin)?;
        call.taken_by(&asked.route);
        let route = &asked.route;
        let who = if route.config.access == Access::Public {
            None
        } else {
            let who = identity::authenticate(self, in_force, &asked.parts.headers, origin, call.at()).await?;
            call.sent_by(&who);
            self.decide(in_force, &asked, &who, origin, call)?;
            Some(who)
        };
        let subject = who.as_ref().map_or_else(|| origin.peer.ip().to_string(), |who| who.caller.subject.clone());
        route.limits.count(&subject).map_err(|wait| {
            route.metrics.rate_limited.inc();
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "you sent too many requests to this route").after(wait)
        })?;
        let place = route.limits.enter().ok_or_else(|| {
            route.metrics.crowded.inc();
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "this route has as many requests as it takes at a time")
                .after(Duration::from_secs(1))
        })?;
        call.placed(place);
        let announced = asked.body.size_hint().lower();
        if route.body_limit.is_some_and(|limit| announced > limit) {
            return Err(too_large(route));
        }
        Ok((asked, who))
    }

    /// Whether the caller may.
    fn decide(
        &self,
        in_force: &InForce,
        asked: &Asked,
        who: &Arc<Identity>,
        origin: &Origin,
        call: &mut Call,
    ) -> Result<(), Problem> {
        let route = &asked.route;
        let guarded = route.config.approval.is_some();
        let grant = if guarded { (self.shell.approved)(&who.caller, &route.name, call.at()) } else { None };
        let approved = grant.is_some();
        let context = Context {
            method: Some(asked.parts.method.as_str().to_owned()),
            path: Some(asked.path.clone()),
            client: Some(hops::client(in_force, &asked.parts.headers, origin)),
            approved,
            approvers: grant.as_ref().map(|grant| grant.approvers.clone()).unwrap_or_default(),
            ..Context::at(call.at())
        };
        let resource = Resource { kind: ResourceKind::Route, name: &route.name, team: route.config.team.as_deref() };
        let question = Question { who, action: actions::CALL, resource, context: &context };
        let access = if route.config.access == Access::Authenticated {
            let verdict = (in_force.judge)(&question);
            let refused = verdict.answer == Says::Forbid;
            let because = if refused { "a policy forbids it" } else { "every known caller is let in" };
            access::Access {
                decision: if refused { access::Decision::Refused } else { access::Decision::Allowed },
                because: because.to_owned(),
                policies: verdict.because,
            }
        } else {
            access::decide(&question, Needs { names: &route.config.needs, role: Role::Service }, &in_force.judge)
        };
        let allowed = access.allowed();
        call.decided(access.because.clone(), access.policies, grant);
        if !allowed {
            return Err(Problem::forbidden(access.because));
        }
        if guarded && !approved {
            let detail = format!(
                "the route `{}` needs an approval; ask for one on the page Approvals, or with `trackside approvals \
                 request {}`",
                route.name, route.name
            );
            return Err(Problem::forbidden(detail));
        }
        Ok(())
    }

    /// The id of a request: the client's if it is a plain word, else one of ours.
    fn request_id(&self, parts: &Parts) -> HeaderValue {
        let mut given = parts.headers.get_all(REQUEST_ID).iter();
        if let (Some(value), None) = (given.next(), given.next()) {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if (8..=ID_BYTES).contains(&value.len()) && value.as_bytes().iter().all(plain) {
                return value.clone();
            }
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut text = String::with_capacity(24);
        let _ = write!(text, "{:016x}{number:08x}", self.shell.start);
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

impl Origin {
    /// A connection from this address.
    #[must_use]
    pub fn new(peer: SocketAddr, scheme: &'static str, signals: Option<Arc<Signals>>) -> Self {
        let ip: IpAddr = peer.ip().to_canonical();
        let peer_text = HeaderValue::from_str(&ip.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
        let peer = SocketAddr::new(ip, peer.port());
        Self { peer, peer_text, server_name: None, scheme, certificate: None, signals, last_token: Arc::default() }
    }
}

/// What the request means, and which route takes it.
fn front(in_force: &InForce, parts: Parts, body: Incoming, origin: &Origin) -> Result<Asked, Problem> {
    if parts.method.as_str() == REFUSED {
        let digit = parts.uri.path().as_bytes().get(1).copied().unwrap_or_default();
        return Err(Refusal::from_digit(digit).into());
    }
    if !crate::front::head::METHODS.contains(&parts.method.as_str()) {
        return Err(Refusal::Method.into());
    }
    headers::check(&parts)?;
    let host = host::of(&parts)?.to_owned();
    let name = host::name(&host);
    if origin.server_name.as_deref().is_some_and(|server| !server.eq_ignore_ascii_case(name)) {
        let detail = "this connection was opened for another host; open a new one";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    if parts.uri.query().is_some_and(|query| !path::query_is_plain(query)) {
        return Err(Refusal::Target.into());
    }
    let given = parts.uri.path();
    let (path, found) = match path::canonical(given) {
        Ok(path) => {
            let found = in_force.table.find(name, &path, &parts.method);
            (path.into_owned(), found)
        }
        Err(refusal) => {
            let readings = if in_force.table.has_raw() { path::readings(given)? } else { Vec::new() };
            let route = in_force.table.find_raw(name, &readings, &parts.method).ok_or(refusal)?;
            (given.to_owned(), Found::Route(route))
        }
    };
    let route = match found {
        Found::Route(route) => Arc::clone(route),
        Found::Nothing => return Err(Problem::new(StatusCode::NOT_FOUND, "no route is for this address")),
        Found::Methods(methods) => {
            let detail = "this address has routes for other methods only";
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).with(header::ALLOW, &methods.join(", ")));
        }
    };
    let target = (route.config.path == PathForm::Raw).then(|| given.to_owned());
    Ok(Asked { parts, body, host, path, target, route })
}

fn too_large(route: &Route) -> Problem {
    let limit = route.body_limit.unwrap_or_default();
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("this route takes bodies of at most {limit} bytes"))
}

/// Answers with a problem. A connection with an unread body is closed: what follows on it cannot be told from the body.
fn refuse(problem: &Problem, request_id: &HeaderValue, mut call: Box<Call>, unread: bool) -> Response<Answer> {
    call.refused(problem.status, &problem.detail);
    let mut response = problem.response(request_id).map(|body| Answer::Whole(Some(body), Some(call)));
    response.headers_mut().insert(REQUEST_ID, request_id.clone());
    let framing = matches!(problem.status.as_u16(), 400 | 408 | 414 | 417 | 431 | 505);
    if unread || framing {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}
