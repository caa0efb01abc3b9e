//! Whole-program tests that need only Rust.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

mod actions;
mod answers;
mod apply;
mod architecture;
mod audit;
mod audit_server;
mod automations;
mod binary;
mod cli;
mod commands;
mod docs;
mod examples;
mod issuers;
mod jobs;
mod kill;
mod outage;
mod people_commands;
mod people_example;
mod policies;
mod serve;
mod simulation;
mod watchdog;
