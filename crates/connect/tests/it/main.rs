//! Integration tests of the connectors: doors on recorded traffic, far ends on what they would receive.

mod native;
mod openlineage;
mod prefect;
mod samples;
