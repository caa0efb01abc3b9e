//! Credentials out: how Trackside authenticates to the far end of a connection.
//!
//! Invariants: what is configured holds references, never secrets; a token is fetched once for all who wait for it,
//! renewed before it ends, and shown nowhere.

pub mod azure;
pub mod config;
pub mod failure;
pub(crate) mod form;
pub mod grant;
pub mod reply;
