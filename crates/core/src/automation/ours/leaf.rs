//! What every trigger that is not made of others can do.

use super::signal::{Happening, Moment, Place, Signal};
use super::time::Instant;
use crate::automation::edit::Cell;
use crate::automation::firing::EventRef;
use crate::automation::set::RunOutcome;
use crate::automation::view::BucketView;

/// A trigger on events or runs, with its state.
pub(super) trait Leaf {
    fn place(&self) -> &Place;

    /// The labels that its firings have, sorted.
    fn names(&self) -> &[String];

    /// Whether it will tell when its condition no longer holds.
    fn resolves(&self) -> bool;

    /// Whether its firing says that something is so, not that something happened.
    fn lasts(&self) -> bool;

    /// What its firings say, most often; a group keeps them without it.
    fn usual(&self) -> String {
        String::new()
    }

    /// Takes an event that concerns it.
    fn on_event(&mut self, _happening: &Happening<'_>, _signals: &mut Vec<Signal>) {}

    /// Takes the end of a run.
    fn on_run(&mut self, _outcome: &RunOutcome, _moment: Moment, _signals: &mut Vec<Signal>) {}

    /// Decides what is due at the moment.
    fn on_due(&mut self, moment: Moment, signals: &mut Vec<Signal>);

    /// When something is due next.
    fn next_due(&self) -> Option<Instant>;

    /// The events that its firings due at `until` or before will name.
    fn due_events(&self, until: Instant) -> Vec<EventRef>;

    /// Goes on after a pause, in which nothing was seen.
    fn resume(&mut self, _now: Instant) {}

    /// Its keys, for people.
    fn buckets(&self) -> Vec<BucketView>;

    /// Removes all state.
    fn clear(&mut self);

    /// What changed since the last call.
    fn take_cells(&mut self, cells: &mut Vec<Cell>);

    /// Takes back a cell.
    fn restore(&mut self, key: &str, body: &str);
}
