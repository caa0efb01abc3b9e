//! The real sender against the far ends over loopback: what arrives, and what is made of each way to fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic, also in its helpers")]

mod actions;
mod failures;
mod messages;
mod support;
