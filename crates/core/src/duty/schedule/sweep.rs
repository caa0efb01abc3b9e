//! Walking through time from change to change.
//!
//! Invariants: stretches tile the range in order; a stretch ends only where something could change, so the people and the
//! source are the same within it. The number of steps is bounded.

use super::{Layer, OVERRIDE, OnCall, Override, Schedule, Shift};
use crate::duty::absence::Changes;
use crate::duty::interval::{Fields, any, next_change};
use crate::duty::rotation::Rotation;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Most steps of one walk: two years of hourly turns, with as many restrictions.
const STEPS: usize = 40_000;

/// A schedule made ready for looking up many instants.
pub(super) struct Plan<'a> {
    /// The layer that wins first.
    layers: Vec<Ready<'a>>,
    /// The newest first.
    overrides: Vec<&'a Override>,
    changes: Changes<'a>,
}

struct Ready<'a> {
    layer: &'a Layer,
    restrict: Vec<Fields>,
    /// Whether turns can change who it is.
    turns: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(schedule: &'a Schedule, changes: Changes<'a>) -> Self {
        // A restriction that cannot be read never holds: the check of the configuration has said so.
        let ready = |layer: &'a Layer| {
            let restrict = layer.restrict.iter().map(Fields::parse).collect::<Result<_, _>>().ok()?;
            let people: BTreeSet<&String> = layer.rotation.participants.iter().collect();
            Some(Ready { layer, restrict, turns: people.len() > 1 })
        };
        let mut overrides: Vec<&Override> = changes.overrides.iter().collect();
        overrides.sort_unstable_by_key(|made| std::cmp::Reverse((made.created, made.id)));
        Self { layers: schedule.layers.iter().rev().filter_map(ready).collect(), overrides, changes }
    }

    pub(super) fn on_call(&self, at: Timestamp) -> OnCall {
        let here = |user: &str| !self.changes.is_gone(user, at);
        let in_force = |made: &&&Override| made.start <= at && at < made.end && made.user.as_deref().is_none_or(here);
        if let Some(made) = self.overrides.iter().find(in_force) {
            return OnCall { users: made.user.iter().cloned().collect(), source: Some(OVERRIDE.to_owned()) };
        }
        let user = |ready: &Ready<'a>| ready.user(at).filter(|user| here(user));
        let found = self.layers.iter().find_map(|ready| Some((user(ready)?, &ready.layer.name)));
        found.map_or_else(OnCall::default, |(user, name)| OnCall {
            users: vec![user.to_owned()],
            source: Some(name.clone()),
        })
    }

    /// Stretches without change from `from` until `until`.
    pub(super) fn stretches(self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Shift> {
        // When each layer may change next, looked up again only when that has passed.
        let mut changes = vec![from; self.layers.len()];
        let mut start = from;
        let walk = std::iter::from_fn(move || {
            if start >= until {
                return None;
            }
            for (change, ready) in changes.iter_mut().zip(&self.layers) {
                if *change <= start {
                    *change = ready.next_change(start, until);
                }
            }
            let edges = self.overrides.iter().flat_map(|made| [made.start, made.end]);
            let leaves = self.changes.gone.into_iter().flat_map(|gone| gone.values().copied());
            let end = edges
                .chain(leaves)
                .filter(|edge| *edge > start)
                .chain(changes.iter().copied())
                .fold(until, Timestamp::min);
            let shift = Shift { start, end, on_call: self.on_call(start) };
            start = end;
            Some(shift)
        });
        walk.take(STEPS)
    }
}

impl<'a> Ready<'a> {
    fn user(&self, at: Timestamp) -> Option<&'a str> {
        let applies = self.layer.until.is_none_or(|until| at < until);
        let holds = self.restrict.is_empty() || any(&self.restrict, at);
        if applies && holds { self.layer.rotation.shift(at).map(|turn| turn.user) } else { None }
    }

    /// The next instant at which [`Self::user`] may change, at most `until`.
    fn next_change(&self, after: Timestamp, until: Timestamp) -> Timestamp {
        let turn = if self.turns { turn_ends(&self.layer.rotation, after) } else { None };
        let begin = Some(self.layer.rotation.handoff(0)).filter(|begin| *begin > after);
        let end = self.layer.until.filter(|end| *end > after);
        let nearest = [turn, begin, end].into_iter().flatten().fold(until, Timestamp::min);
        let restriction = if self.restrict.is_empty() { None } else { next_change(&self.restrict, after, nearest) };
        restriction.unwrap_or(nearest)
    }
}

fn turn_ends(rotation: &Rotation, at: Timestamp) -> Option<Timestamp> {
    rotation.shift(at).map(|turn| turn.end)
}

/// Joins neighbours that are alike; the first of them lends its source.
pub(super) fn merge(
    stretches: impl Iterator<Item = Shift>,
    alike: fn(&OnCall, &OnCall) -> bool,
) -> impl Iterator<Item = Shift> {
    let mut stretches = stretches.peekable();
    std::iter::from_fn(move || {
        let mut shift = stretches.next()?;
        while let Some(next) = stretches.next_if(|next| alike(&shift.on_call, &next.on_call)) {
            shift.end = next.end;
        }
        Some(shift)
    })
}
