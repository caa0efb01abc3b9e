//! Trackside as an issuer: short-lived tokens that far ends can verify with our published keys, so that no secret has to
//! be stored here for them.
//!
//! [`settings`] is what is configured, [`ring`] decides when keys change, [`key`] makes, seals and opens them, [`claims`]
//! says what a token tells, and [`Workload`] is what the rest of the program holds. Invariants: a key is published before
//! it signs and stays published after it; a token lives an hour at most; the private part of a key is in memory and,
//! sealed, in the store, and nowhere else.

pub mod claims;
mod issuer;
pub mod key;
pub mod ring;
pub mod settings;

pub use issuer::{OTHERS_BYTES, Workload, WorkloadError, public_keys};
