//! Automations: rules that people write about events: a trigger, and what to do when it fires.
//!
//! The language is Prefect's, unchanged. How a trigger is evaluated is chosen per automation: [`Semantics::Prefect`]
//! answers exactly as Prefect does, [`Semantics::Trackside`] mends what hurts there. [`set::Automations`] holds all of
//! them with their state and decides one event at a cost that depends only on those that concern it.
//!
//! Invariants: pure; a firing is a function of the inputs so far; state has a bound (buckets expire).
//! What a firing leads to (effects, incidents) is decided in [`crate::engine`].
//!
//! - [`definition`], [`action`]: what an automation is; [`request`]: reading one, with errors as Prefect words them;
//!   [`written`]: writing one
//! - [`pattern`], [`matching`], [`index`]: which triggers an event concerns
//! - [`set`], [`firing`]: the engine; [`edit`]: how automations change; [`act`], [`emitted`]: what goes out
//! - [`template`]: the texts in actions
//! - [`lint`], [`explain`], [`backtest`]: knowing before it goes live, and after

pub mod act;
pub mod action;
pub mod backtest;
pub mod definition;
pub mod edit;
pub mod emitted;
pub mod explain;
pub mod firing;
mod index;
pub mod lint;
pub mod matching;
pub mod ours;
mod parking;
pub mod pattern;
mod prefect;
pub mod request;
pub mod set;
pub mod template;
pub mod view;
pub mod written;
