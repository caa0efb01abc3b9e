//! What any backend of the store must do, and what the SQLite one must survive.
//!
//! `contract*` modules see a [`trackside_store::Store`] and nothing of its backend: [`support::each`] runs them on
//! every way the store can be opened.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod contract_accounts;
mod contract_approvals;
mod contract_audit;
mod contract_automations;
mod contract_blocks;
mod contract_directory;
mod contract_emitted;
mod contract_firings;
mod contract_heard;
mod contract_log;
mod contract_outbox;
mod contract_overdue;
mod contract_pages;
mod contract_planned;
mod contract_read;
mod contract_reports;
mod contract_restart;
mod contract_scan;
mod contract_sessions;
mod contract_state;
mod contract_workload;
mod crash;
mod files;
mod lanes;
mod migrate;
mod support;
