//! Who is on call and when: local time, intervals, rotations, schedules, maintenance.
//!
//! Invariants: pure; zones are IANA names resolved by the bundled database; a local time in a gap means the offset in
//! force before it, in a fold the first occurrence (RFC 5545 §3.3.5); every range is half-open. What follows for an
//! incident is decided in [`crate::engine`], not here.
//!
//! - [`zone`]: wall clock and zone to an instant
//! - [`interval`]: recurring times by local fields, in Alertmanager's shape
//! - [`rotation`]: people taking turns; [`schedule`]: layers of rotations with overrides
//! - [`absence`]: people who have left
//! - [`maintenance`]: windows in which nobody is paged
//! - [`deadline`]: deadlines by the wall clock
//! - [`calendar`]: shifts as an iCalendar feed

pub mod absence;
pub mod calendar;
pub mod deadline;
pub mod interval;
pub mod maintenance;
pub mod rotation;
pub mod schedule;
pub mod zone;

#[cfg(test)]
mod testing;
