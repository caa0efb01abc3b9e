//! The live state of an automation, for people and for checks.

use super::firing::{EventRef, Firing};
use jiff::Timestamp;

/// The events of one key in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketView {
    /// Path of the event trigger; empty for the root.
    pub trigger: String,
    /// The `for_each` values, in the order of the labels' names.
    pub key: Vec<String>,
    /// First instant of the window, in the senders' time.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
    /// Events counted; −1 when the event that opened the window is still to be counted.
    pub count: i64,
    /// The last event that had to do with it.
    pub last_event: Option<EventRef>,
}

/// A firing of a child trigger that waits for those of its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildView {
    /// Path of the compound or sequence trigger; empty for the root.
    pub parent: String,
    /// Path of the child.
    pub child: String,
    /// The child's newest firing.
    pub firing: Firing,
}
