//! The gateway over real sockets: hostile requests from data, and what people expect of a proxy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod behaviour;
mod hostile;
mod recorder;
mod token;
mod world;
