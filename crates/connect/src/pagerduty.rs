//! PagerDuty: a door that speaks its Events API v2, a connector that sends to it, and what its webhooks say back.

pub mod door;
pub mod send;
pub mod webhook;
