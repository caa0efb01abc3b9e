//! What goes between the triggers of one automation: an event or a moment in, signals up.
//!
//! Invariant: nothing happens in the future. What a sender dates later than now counts as of now, so that one wrong
//! clock neither silences a watch for years nor pushes everything else out of a window.

use super::keyed::Key;
use super::time::{Instant, Span};
use crate::automation::definition::{AutomationId, EventTrigger};
use crate::automation::firing::{EventRef, Firing, FiringState};
use crate::automation::matching;
use crate::automation::view::BucketView;
use crate::event::Event;
use crate::ids::EventId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// Highest threshold that is counted; a higher one counts as this.
pub const THRESHOLD_MAX: usize = 10_000;

/// The moment of a decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// What the decision goes by: now, or the due instant.
    pub(super) now: Instant,
    /// The same, as it was given.
    decided: Timestamp,
    /// The due instant, when it passed while nothing was running.
    late: Option<Instant>,
}

impl Moment {
    /// Now.
    pub(super) fn at(now: Timestamp) -> Self {
        Self { now: Instant::of(now), decided: now, late: None }
    }

    /// A due instant. If it was `noticed` only later, what is decided then is late, but still of that instant.
    pub(super) fn due(due: Instant, noticed: Option<Timestamp>) -> Self {
        Self { now: due, decided: due.timestamp(), late: noticed.map(|_| due) }
    }
}

/// An event being decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Happening<'a> {
    pub(super) event: &'a Event,
    pub(super) at: EventRef,
    /// When it occurred, at most now.
    pub(super) time: Instant,
    pub(super) moment: Moment,
}

impl<'a> Happening<'a> {
    pub(super) fn new(event: &'a Event, at: EventRef, now: Timestamp) -> Self {
        let moment = Moment::at(now);
        Self { event, at, time: Instant::of(event.occurred).min(moment.now), moment }
    }
}

/// That a trigger fired or cleared.
#[derive(Clone, Debug)]
pub(super) struct Signal {
    /// When, in event time: when the completing event occurred, or the due instant.
    pub(super) time: Instant,
    pub(super) firing: Firing,
}

/// An event's place in the log, as state keeps it: an `Option` of it is no larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "EventRef", into = "EventRef")]
pub(super) struct Held {
    id: EventId,
    /// Its position and one, so that it is never zero.
    behind: NonZeroU64,
}

impl From<EventRef> for Held {
    fn from(event: EventRef) -> Self {
        Self { id: event.id, behind: NonZeroU64::MIN.saturating_add(event.seq) }
    }
}

impl From<Held> for EventRef {
    fn from(held: Held) -> Self {
        Self { id: held.id, seq: held.behind.get() - 1 }
    }
}

/// Where a trigger stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) automation: AutomationId,
    /// Empty for the root, `0.1` for the second child of the first.
    pub(super) path: String,
}

impl Place {
    /// What a key of the trigger holds.
    pub(super) fn bucket(&self, key: &Key, bucket: Bucket, last: Option<Held>) -> BucketView {
        BucketView {
            trigger: self.path.clone(),
            key: key.values(),
            start: bucket.start.timestamp(),
            end: bucket.end.timestamp(),
            count: i64::try_from(bucket.count).unwrap_or(i64::MAX),
            last_event: last.map(EventRef::from),
        }
    }

    pub(super) fn signal(&self, what: FiringState, time: Instant, moment: Moment, said: Said) -> Signal {
        let firing = Firing {
            automation: self.automation,
            trigger: self.path.clone(),
            state: what,
            at: moment.decided,
            due: moment.late.map(Instant::timestamp),
            labels: said.labels,
            event: said.event.map(EventRef::from),
            children: said.children,
            because: said.because,
        };
        Signal { time, firing }
    }
}

/// What a key holds, for people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub(super) start: Instant,
    pub(super) end: Instant,
    pub(super) count: usize,
}

/// What a firing says beside that it is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) event: Option<Held>,
    pub(super) children: Vec<Firing>,
    pub(super) because: String,
}

/// Whether it is of interest when a condition that held no longer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolving {
    /// Somebody acts on it.
    Tracked,
    /// Nobody does.
    Ignored,
}

/// What all triggers on events have in common.
#[derive(Clone, Debug)]
pub(super) struct EventBase {
    pub(super) place: Place,
    pub(super) trigger: EventTrigger,
    /// Labels that tell keys apart.
    pub(super) names: Vec<String>,
}

impl EventBase {
    pub(super) fn new(place: Place, trigger: &EventTrigger) -> Self {
        Self { place, names: trigger.for_each.iter().cloned().collect(), trigger: trigger.clone() }
    }

    pub(super) fn threshold(&self) -> usize {
        usize::try_from(self.trigger.threshold).unwrap_or(1).clamp(1, THRESHOLD_MAX)
    }

    pub(super) fn within(&self) -> Span {
        Span::of(self.trigger.within)
    }

    pub(super) fn key(&self, event: &Event) -> Key {
        let values = self.names.iter().map(|name| matching::for_each_value(event, name).unwrap_or_default());
        Key::of(values)
    }

    pub(super) fn expects(&self, event: &Event) -> bool {
        matching::expects(&self.trigger, &event.event)
    }

    pub(super) fn starts(&self, event: &Event) -> bool {
        matching::starts(&self.trigger, &event.event)
    }

    pub(super) fn fired(
        &self,
        key: &Key,
        event: Option<Held>,
        time: Instant,
        moment: Moment,
        because: String,
    ) -> Signal {
        self.signal(FiringState::Triggered, key, event, time, moment, because)
    }

    pub(super) fn resolved(
        &self,
        key: &Key,
        event: Option<Held>,
        time: Instant,
        moment: Moment,
        because: String,
    ) -> Signal {
        self.signal(FiringState::Resolved, key, event, time, moment, because)
    }

    fn signal(
        &self,
        what: FiringState,
        key: &Key,
        event: Option<Held>,
        time: Instant,
        moment: Moment,
        because: String,
    ) -> Signal {
        let labels = key.labels(&self.names);
        self.place.signal(what, time, moment, Said { labels, event, children: Vec::new(), because })
    }
}
