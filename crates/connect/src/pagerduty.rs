//! PagerDuty Events API v2: a door that speaks it and a connector that sends it.

pub mod door;
pub mod send;
