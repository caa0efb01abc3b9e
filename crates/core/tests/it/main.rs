//! The engine as its users see it: inputs in, incidents and messages out, on virtual time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests fail by panicking")]

mod absences;
mod anomalies;
mod approvals;
mod automation_lint;
mod automation_ours;
mod automation_prefect;
mod automation_requests;
mod automation_stories;
mod automation_templates;
mod canary;
mod deadlines;
mod jobs;
mod jobs_property;
mod lineage;
mod noise;
mod pages_property;
mod people;
mod scenario;
mod stories;
mod trail;
