//! Integration tests of the connectors: doors on recorded traffic, far ends on what they would receive.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "tests stop at what they did not expect, and tables read better by value"
)]

mod airflow_stories;
mod alertmanager;
mod any_input;
mod cloudevents;
mod heartbeat;
mod native;
mod openlineage;
mod pagerduty;
mod prefect;
mod samples;
mod slack;
