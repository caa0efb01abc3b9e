//! Slack: doors that speak its formats, a connector that sends them, and what people press in its messages.

pub mod ask;
pub mod button;
pub mod door;
pub mod interact;
pub mod send;
