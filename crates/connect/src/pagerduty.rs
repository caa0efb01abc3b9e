//! PagerDuty: a door that speaks its Events API v2, a connector that sends to it, and what its webhooks say back.

pub mod door;
pub mod drift;
pub mod rest;
pub mod send;
pub mod webhook;
