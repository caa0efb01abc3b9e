//! The real sender against the far ends over loopback: what arrives, and what is made of each way to fail.

mod failures;
mod messages;
mod support;
