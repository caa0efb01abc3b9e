//! Whole-program tests that need only Rust.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests fail by panicking")]

mod architecture;
mod binary;
mod docs;
mod kill;
mod outage;
mod simulation;
