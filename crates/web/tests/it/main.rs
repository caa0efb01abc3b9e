//! The server's HTTP surface, driven from outside over a database in memory.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic as tests may")]

mod access;
mod answers;
mod approvals;
mod automation_pages;
mod automations;
mod config;
mod doors;
mod duty;
mod hostile;
mod incidents;
mod oncall;
mod pages;
mod people;
mod people_pages;
mod planned;
mod prefect_api;
mod prefect_socket;
mod removal;
mod reports;
mod scim;
mod serving;
mod sign_in;
mod told;
mod trail;
mod world;
