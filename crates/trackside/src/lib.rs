//! Trackside: run events in, one owner told, a record of why.
//!
//! This crate is the shell: it reads the configuration, runs the loops around `once(now)`, and serves. The decisions are
//! in `trackside-core`, the durable memory in `trackside-store`, the wire formats in `trackside-connect`.

pub mod apply;
pub mod audit;
pub mod automations;
pub mod cli;
pub mod clock;
pub mod config;
mod credentials;
pub mod decide;
pub mod deliver;
pub mod drift;
mod gateway;
mod issuers;
pub mod prefect;
pub mod secrets;
pub mod server;
pub mod watchdog;
