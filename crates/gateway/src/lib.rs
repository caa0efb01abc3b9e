//! The identity-aware proxy: a strict front, routes, streaming, guardrails.
//!
//! A request passes, in this order, the strict front ([`front`]), the table of routes ([`route`]), authentication
//! ([`identity`]) and the decision about access, the limits of its route, and the rules about bodies ([`guard`]); only
//! then is anything sent ([`proxy`]). [`gateway`] holds that order, [`serve`] the sockets, [`call`] and [`record`] what
//! is counted and kept of each call. The crate knows no database and no configuration files: those are handed in.

pub mod answer;
pub mod call;
pub mod config;
pub mod front;
pub mod gateway;
pub mod guard;
pub mod identity;
pub mod metrics;
pub mod proxy;
pub mod record;
pub mod route;
pub mod serve;
