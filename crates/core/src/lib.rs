//! The decisions of Trackside: a pure function from the log to state, effects and reasons.
//!
//! No I/O, no clock, no randomness: `now` and outside ids come in as values (DESIGN invariant 5).
//! Start reading at [`engine`]; [`event`] is what comes in, [`notice`] and [`effect`] what goes out.

pub mod approval;
pub mod automation;
pub mod caller;
pub mod decision;
pub mod delivery;
pub mod document;
pub mod duty;
pub mod effect;
pub mod engine;
pub mod event;
pub mod ids;
pub mod incident;
pub mod input;
pub mod job;
pub mod limits;
pub mod notice;
pub mod owner;
pub mod pipeline;
pub mod projection;
pub mod rules;
pub mod ruleset;
pub mod run;
pub mod state;
pub mod timer;
