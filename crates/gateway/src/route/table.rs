//! The table of routes: which route takes a request.
//!
//! Order, whatever the order of files: a host before `*.host` before any host; then the pattern of the path that says
//! more ([`super::pattern`]); then a route with methods before one without; then by name. The first that fits takes the
//! request. A path that fits while no method does is a 405.

use super::limits::Limits;
use super::pattern::Pattern;
use crate::config::length;
use crate::config::route::{PathForm, RouteConfig};
use crate::front::headers::{self, Rules};
use crate::guard::Guards;
use crate::metrics::RouteMetrics;
use crate::proxy::upstream::Upstream;
use http::{HeaderName, Method};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a body when a route says nothing.
const BODY_BYTES: u64 = 10 * 1024 * 1024;

/// A route in force.
#[derive(Debug)]
pub struct Route {
    /// Name in the configuration.
    pub name: Arc<str>,
    /// As configured.
    pub config: RouteConfig,
    /// Where it leads.
    pub upstream: Arc<Upstream>,
    /// Its limits.
    pub limits: Arc<Limits>,
    /// What is counted of it.
    pub metrics: RouteMetrics,
    /// Which fields are forwarded.
    pub(crate) rules: Rules,
    /// Fields that tell who calls, by key.
    pub(crate) identity: Vec<(&'static str, HeaderName)>,
    pub(crate) guards: Guards,
    pub(crate) times: Times,
    pub(crate) body_limit: Option<u64>,
    pattern: Pattern,
    host: HostRule,
}

/// Time limits, resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) total: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostRule {
    Exact(String),
    /// With the dot in front.
    Below(String),
    Any,
}

impl HostRule {
    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name.eq_ignore_ascii_case(host),
            Self::Below(tail) => {
                host.len() > tail.len()
                    && host.get(host.len() - tail.len()..).is_some_and(|end| end.eq_ignore_ascii_case(tail))
            }
            Self::Any => true,
        }
    }

    fn rank(&self) -> (u8, std::cmp::Reverse<usize>) {
        match self {
            Self::Exact(_) => (0, std::cmp::Reverse(0)),
            Self::Below(tail) => (1, std::cmp::Reverse(tail.len())),
            Self::Any => (2, std::cmp::Reverse(0)),
        }
    }
}

impl Route {
    /// A route of its configuration.
    ///
    /// # Errors
    /// When a pattern in it is none; [`crate::config::check`] says so with its place.
    pub fn new(
        name: &str,
        config: RouteConfig,
        upstream: Arc<Upstream>,
        limits: Arc<Limits>,
        metrics: RouteMetrics,
    ) -> Result<Self, String> {
        let host = match config.r#match.host.as_deref() {
            None => HostRule::Any,
            Some(host) => match host.strip_prefix('*') {
                Some(tail) => HostRule::Below(tail.to_owned()),
                None => HostRule::Exact(host.to_owned()),
            },
        };
        let mut identity = Vec::new();
        for (key, name) in config.identity_headers.named() {
            identity.push((key, name.to_ascii_lowercase().parse::<HeaderName>().map_err(|error| error.to_string())?));
        }
        let rules = Rules {
            ours: identity.iter().map(|(_, name)| headers::fold(name.as_str())).collect(),
            kept: config.keep_headers.iter().map(|name| headers::fold(name)).collect(),
        };
        let timeouts = &config.timeouts;
        let times = Times {
            connect: length(timeouts.connect, 5),
            first_byte: length(timeouts.first_byte, 60),
            idle: length(timeouts.idle, 300),
            total: timeouts.total.map(|total| length(Some(total), 0)),
        };
        let body_limit = match config.body_limit {
            None => Some(BODY_BYTES),
            Some(0) => None,
            limit => limit,
        };
        Ok(Self {
            name: name.into(),
            pattern: Pattern::new(&config.r#match.path)?,
            guards: Guards::new(&config.guard)?,
            upstream,
            limits,
            metrics,
            rules,
            identity,
            times,
            body_limit,
            host,
            config,
        })
    }

    fn takes_method(&self, method: &Method) -> bool {
        let methods = &self.config.r#match.methods;
        methods.is_empty() || methods.iter().any(|known| known.as_str() == method.as_str())
    }
}

/// All routes.
#[derive(Debug, Default)]
pub struct Table {
    routes: Vec<Arc<Route>>,
}

/// What a table says of a request.
#[derive(Debug)]
pub enum Found<'a> {
    /// This route takes it.
    Route(&'a Arc<Route>),
    /// No route is for the path.
    Nothing,
    /// The path has routes, but for these methods only.
    Methods(Vec<&'static str>),
}

impl Table {
    /// A table of these routes.
    #[must_use]
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by(|a, b| {
            let by_host = a.host.rank().cmp(&b.host.rank());
            let by_path = || a.pattern.precedence(&b.pattern);
            let by_methods = || a.config.r#match.methods.is_empty().cmp(&b.config.r#match.methods.is_empty());
            by_host.then_with(by_path).then_with(by_methods).then_with(|| a.name.cmp(&b.name))
        });
        Self { routes }
    }

    /// Which route takes a request. `host` has no port; `path` is canonical.
    #[must_use]
    pub fn find(&self, host: &str, path: &str, method: &Method) -> Found<'_> {
        let mut methods = Vec::new();
        for route in &self.routes {
            if !route.host.takes(host) || !route.pattern.takes(path) {
                continue;
            }
            if route.takes_method(method) {
                return Found::Route(route);
            }
            methods.extend(route.config.r#match.methods.iter().map(|known| known.as_str()));
        }
        if methods.is_empty() {
            return Found::Nothing;
        }
        methods.sort_unstable();
        methods.dedup();
        Found::Methods(methods)
    }

    /// The raw route that every reading of a path leads to.
    #[must_use]
    pub fn find_raw(&self, host: &str, readings: &[String], method: &Method) -> Option<&Arc<Route>> {
        let mut found: Option<&Arc<Route>> = None;
        for path in readings {
            let Found::Route(route) = self.find(host, path, method) else { return None };
            if route.config.path != PathForm::Raw || found.is_some_and(|other| !Arc::ptr_eq(other, route)) {
                return None;
            }
            found = Some(route);
        }
        found
    }

    /// Whether there is any raw route, so that paths which are not canonical need a second look.
    #[must_use]
    pub fn has_raw(&self) -> bool {
        self.routes.iter().any(|route| route.config.path == PathForm::Raw)
    }

    /// The routes in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }
}
