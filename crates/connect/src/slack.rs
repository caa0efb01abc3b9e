//! Slack: doors that speak its formats and a connector that sends them.

pub mod ask;
pub mod door;
pub mod send;
