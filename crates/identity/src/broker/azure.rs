//! Tokens of Azure: managed identities of the machine this runs on, and service principals of Entra.
//!
//! Pure: from what is known to an [`Ask`](crate::exchange::Ask), and from a reply to a token. Who waits, repeats and
//! keeps is elsewhere.

pub mod managed_identity;
pub mod service_principal;
