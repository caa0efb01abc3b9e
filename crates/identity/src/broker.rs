//! Credentials out: how Trackside authenticates to the far end of a connection.
//!
//! [`Brokers`] is what callers of far ends hold. [`config`] is what is configured, `fetch` gets a token of each kind (with
//! `oauth` and [`azure`]), [`reply`] reads what token endpoints answer, [`failure`] says what a refusal means, [`grant`]
//! the times of a token, `slot` keeps one, [`signing`] signs requests where no token is taken. Invariants: what is configured holds references, never secrets; a token is
//! fetched once for all who wait for it, renewed before it ends, and shown nowhere.

pub mod azure;
mod behalf;
mod brokers;
pub mod config;
pub mod failure;
mod fetch;
pub(crate) mod form;
pub mod grant;
mod oauth;
mod probe;
pub mod reply;
pub mod signing;
mod slot;
mod status;

pub use behalf::OnBehalf;
pub use brokers::{Brokers, CredentialError, CredentialHeader, Outlet, management_of};
pub use fetch::{Tools, Variable, Wait};
pub use probe::{Probe, ProbeMeaning};
pub use signing::{Credential, Outgoing, RequestSigner};
pub use status::{CredentialState, CredentialStatus};

#[cfg(test)]
mod tests;
