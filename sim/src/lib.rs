//! A simulated world: far ends that behave like PagerDuty, Slack, Prefect, a webhook receiver and a mail server, and that
//! fail on command; and recordings of real traffic to replay.
//!
//! Used by tests and by `trackside demo`. Everything listens on 127.0.0.1 and keeps all that arrived in one
//! [`journal::Journal`]. Start reading at [`far_ends`].

pub mod application;
pub mod behaviour;
pub mod far_ends;
pub mod journal;
pub mod pagerduty;
pub mod prefect;
pub mod recording;
pub mod service;
pub mod signed;
pub mod slack;
pub mod smtp;
pub mod webhook;

mod http;
mod page;
mod requests;
mod server;
