//! Trackside's own semantics of automations, one table per rule: what comes in at which second, and what fires.
//!
//! Every table is run twice: once as it is, and once restored from its cells after every line.

mod composites;
mod lifecycle;
mod missing;
mod properties;
mod reactive;
mod runs;
mod timeline;
