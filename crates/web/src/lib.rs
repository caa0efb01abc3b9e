//! HTTP: the doors where events come in, the JSON API, the pages, live updates.
//!
//! Start at [`router`] (one table of routes, each with its role) and [`serve()`]. What the handlers work with is
//! [`AppState`]; the shell provides it as a [`Shell`]. Invariants: a 2xx from a door leaves after the events are
//! durable; every change has a caller; nothing here reads a clock, makes randomness, decides or sends.

mod access;
#[allow(unused_qualifications, reason = "the OpenAPI macro writes paths in full")]
mod api;
mod assets;
mod auth;
mod configure;
mod door;
mod metrics;
mod page;
mod problem;
mod roster;
mod route;
mod scim;
mod serve;
mod session;
mod state;
mod voice;

pub use configure::{
    Change, ConfigAct, ConfigAnswer, ConfigChange, ConfigFile, ConfigProblem, ConfigRefusal, ConfigRequest, Configure,
    FieldChange,
};
pub use metrics::Metrics;
pub use problem::Problem;
pub use route::{RouteInfo, router, routes};
pub use serve::{CONNECTIONS, Listener, TlsError, serve, tls_from_files};
pub use state::{
    AppState, Clock, ConfigureError, Configured, ConnectionInfo, Guard, Inner, LetsIn, Random, RouteAccess, Sends,
    Shell, Version, Wake,
};
