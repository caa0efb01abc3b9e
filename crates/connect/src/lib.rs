//! Connectors: one module per outside system, each made of pure functions.
//!
//! In: `parse(&Delivered) -> Result<Vec<Event>, Reject>` ([`door`]). Out: `request(...) -> Request` and
//! `classify(...) -> Verdict` ([`far_end`]). One shared sender does the I/O ([`sender`]); nothing else here does.

pub mod door;
