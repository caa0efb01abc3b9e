//! Automations as they are kept: the automations themselves, their history, and the pieces of their state.
//!
//! Invariants: an automation, its tags, its history and its state change with the decision that changes them
//! ([`crate::state`]); history outlives the automation and has a bound per automation ([`HISTORY_ROWS`]).
//! What a cell holds is not looked into.

pub(crate) mod write;

pub use write::HISTORY_ROWS;
