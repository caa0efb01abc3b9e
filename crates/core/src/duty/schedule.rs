//! Who is on call: layers of rotations, and overrides.
//!
//! Invariants: a later layer wins where its restriction holds and its rotation has begun; the override made last wins
//! over all layers; an override for nobody means nobody; whoever has left is on call nowhere, as if that layer or
//! override were not there. Overrides are handed in: the caller picks those of this schedule.
//!
//! - [`sweep`]: walking through time from change to change

mod sweep;

use super::absence::Changes;
use super::interval::TimeInterval;
use super::rotation::Rotation;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An on-call schedule as configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Layers; later ones win where their restriction holds.
    pub layers: Vec<Layer>,
    /// Connections that are told of every hand-over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub announce: Vec<String>,
}

/// One layer of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Name for people.
    pub name: String,
    /// Who takes turns.
    pub rotation: Rotation,
    /// When the layer applies: in any of these; always when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restrict: Vec<TimeInterval>,
    /// The instant from which the layer applies no more.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Somebody else than the layers say, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Identity.
    pub id: Uuid,
    /// Which schedule.
    pub schedule: String,
    /// From, inclusive.
    pub start: Timestamp,
    /// Until, exclusive.
    pub end: Timestamp,
    /// The person; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When it was made: the newest wins.
    pub created: Timestamp,
    /// Who made it.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Who is on call at one instant, and which layer says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OnCall {
    /// People; empty when nobody is.
    pub users: Vec<String>,
    /// Name of the layer, or `override`; absent when no layer applies.
    pub source: Option<String>,
}

/// A stretch of time with the same people on call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shift {
    /// From, inclusive.
    pub start: Timestamp,
    /// Until, exclusive.
    pub end: Timestamp,
    /// Who, and why; nobody in a gap.
    #[serde(flatten)]
    pub on_call: OnCall,
}

/// What [`OnCall::source`] says of an override.
pub const OVERRIDE: &str = "override";
/// Most shifts listed at once.
const SHIFTS: usize = 10_000;
/// How far the next hand-over is looked for.
const HANDOVER_SEARCH: SignedDuration = SignedDuration::from_hours(800 * 24);

impl Schedule {
    /// Whether it can be used.
    ///
    /// # Errors
    /// Which layer is wrong, why, and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        if self.layers.is_empty() {
            return Err("`layers` is empty: write at least one".to_owned());
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let wrong = |why: String| format!("layer `{}`: {why}", layer.name);
            if layer.name.trim().is_empty() || layer.name == OVERRIDE {
                return Err(format!("layer {} needs a name of its own, other than `{OVERRIDE}`", index + 1));
            }
            if self.layers.iter().take(index).any(|other| other.name == layer.name) {
                return Err(wrong("two layers have this name: give each its own".to_owned()));
            }
            layer.rotation.check().map_err(|why| wrong(format!("rotation: {why}")))?;
            layer.restrict.iter().try_for_each(TimeInterval::check).map_err(|why| wrong(format!("restrict: {why}")))?;
        }
        Ok(())
    }

    /// Who is on call at the instant.
    #[must_use]
    pub fn on_call<'a>(&'a self, changes: impl Into<Changes<'a>>, at: Timestamp) -> OnCall {
        sweep::Plan::new(self, changes.into()).on_call(at)
    }

    /// Who is on call from `from` until `until`, in stretches that follow each other without gap; stretches with nobody
    /// are listed too. At most ten thousand: then the last one ends before `until`.
    #[must_use]
    pub fn shifts<'a>(&'a self, changes: impl Into<Changes<'a>>, from: Timestamp, until: Timestamp) -> Vec<Shift> {
        let stretches = sweep::Plan::new(self, changes.into()).stretches(from, until);
        sweep::merge(stretches, |one, other| one == other).take(SHIFTS).collect()
    }

    /// The stretches with nobody on call; as many as [`Self::shifts`] finds.
    #[must_use]
    pub fn gaps<'a>(&'a self, from: Timestamp, until: Timestamp, changes: impl Into<Changes<'a>>) -> Vec<Shift> {
        let stretches = sweep::Plan::new(self, changes.into()).stretches(from, until);
        let shifts = sweep::merge(stretches, |one, other| one.users == other.users).take(SHIFTS);
        shifts.filter(|shift| shift.on_call.users.is_empty()).collect()
    }

    /// The next time other people are on call, and until when they are; none when that is more than two years away.
    #[must_use]
    pub fn next_handover<'a>(&'a self, changes: impl Into<Changes<'a>>, after: Timestamp) -> Option<Shift> {
        let until = after.saturating_add(HANDOVER_SEARCH).unwrap_or(Timestamp::MAX);
        let stretches = sweep::Plan::new(self, changes.into()).stretches(after, until);
        sweep::merge(stretches, |one, other| one.users == other.users).nth(1)
    }
}

#[cfg(test)]
mod tests;
