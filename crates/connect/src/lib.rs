//! Connectors: one module per outside system, each made of pure functions.
//!
//! In: `parse(&Delivered) -> Result<Vec<Event>, Reject>` ([`door`]). Out: `request(...) -> Request` and
//! `classify(...) -> Verdict` ([`far_end`]). One shared sender does the I/O ([`sender`]); nothing else here does.

pub mod act;
pub mod alertmanager;
pub mod block;
pub mod cloudevents;
pub mod connection;
pub mod door;
pub mod email;
pub mod far_end;
pub mod heartbeat;
pub mod job;
pub mod native;
pub mod openlineage;
pub mod pagerduty;
pub mod prefect;
pub mod pulse;
pub mod redact;
pub mod sender;
pub mod signature;
pub mod slack;
pub mod template;
pub mod webhook;
