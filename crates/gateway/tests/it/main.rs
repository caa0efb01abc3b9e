//! The gateway over real sockets: hostile requests from data, and what people expect of a proxy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod any_input;
mod behaviour;
mod hostile;
mod http2;
mod recorder;
mod token;
mod wire;
mod world;
