//! Integration tests of the connectors: doors on recorded traffic, far ends on what they would receive.

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
