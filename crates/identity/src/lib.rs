//! Who calls Trackside, what they may do, and where secrets come from.

pub mod access;
pub mod act_link;
pub mod audit_key;
pub mod broker;
pub mod callers;
pub mod certificate;
pub mod credential;
pub mod csrf;
pub mod directory;
pub mod exchange;
pub mod issuer;
pub mod jwks;
pub mod jwt;
pub mod link;
pub mod question;
pub mod rights;
pub mod role;
pub mod roster;
pub mod scim;
pub mod seal;
pub mod secret;
pub mod session;
pub mod signer;
pub mod token;
pub mod workload;
