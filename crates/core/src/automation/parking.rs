//! The order of events: duplicates are dropped, a follower waits for the event it follows.
//!
//! Prefect's causal ordering (`prefect.server.events.ordering`), shared by both semantics. An event is *seen* once it
//! was processed. Invariants: what is seen is forgotten after 30 minutes or 10,000 events; nobody waits longer than 15
//! minutes after he was received; the number of those who wait has a bound. Unlike Prefect's, the followers that wait
//! and what is seen survive a restart: a follower is a reference in a cell and comes back from the log.

use super::edit::Cell;
use super::firing::EventRef;
use super::set::SEEN;
use crate::event::Event;
use crate::ids::{EventId, Seq};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How long an event is remembered as seen.
const SEEN_FOR: SignedDuration = SignedDuration::from_mins(30);
/// How long after its receipt a follower waits at most.
const WAITS_FOR: SignedDuration = SignedDuration::from_mins(15);
/// Most followers that wait; one more is processed without its leader.
const WAITING: usize = 10_000;
/// Most bytes of their JSON, as the log has it; the same holds then.
const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// Who was seen, and who waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Parking {
    seen: BTreeMap<EventId, Timestamp>,
    /// The same, oldest first; an event that was seen twice is there twice.
    order: VecDeque<(Timestamp, EventId)>,
    waiting: BTreeMap<EventId, Follower>,
    /// Bytes of those who wait.
    bytes: usize,
    by_leader: BTreeSet<(EventId, EventId)>,
    by_receipt: BTreeSet<(Timestamp, EventId)>,
    /// Seen later than the log tells, because they waited: they have a cell as long as they are remembered.
    released: BTreeSet<EventId>,
    changed: BTreeMap<EventId, Option<Parked>>,
}

/// A follower that waits.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    pub(super) event: Arc<Event>,
    pub(super) at: EventRef,
}

/// What the cell of a follower says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Parked {
    /// It waits; its body is at this position of the log.
    Waits(Seq),
    /// It was processed then.
    Processed(Timestamp),
}

/// First word of the keys of followers' cells.
const CELL: &str = "follower ";

impl Parking {
    /// Whether the event was processed not long ago.
    pub(super) fn is_seen(&self, id: EventId, now: Timestamp) -> bool {
        self.seen.get(&id).is_some_and(|at| now.duration_since(*at) < SEEN_FOR)
    }

    /// Whether the event must wait for the one it follows.
    pub(super) fn must_wait(&self, event: &Event, now: Timestamp) -> bool {
        let Some(leader) = event.follows.filter(|leader| *leader != event.id) else { return false };
        now.duration_since(event.received) < WAITS_FOR
            && !self.is_seen(leader, now)
            && (self.has_room() || self.waiting.contains_key(&event.id))
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < WAITING && self.bytes < WAITING_BYTES
    }

    /// Lets an event wait.
    pub(super) fn park(&mut self, follower: Follower) {
        self.changed.insert(follower.at.id, Some(Parked::Waits(follower.at.seq)));
        self.keep(follower);
    }

    /// Remembers that the event was processed, and forgets those of long ago.
    pub(super) fn saw(&mut self, id: EventId, now: Timestamp) {
        self.seen.insert(id, now);
        self.order.push_back((now, id));
        while let Some((at, oldest)) = self.order.front().copied() {
            if self.order.len() <= SEEN && now.duration_since(at) < SEEN_FOR {
                break;
            }
            self.order.pop_front();
            if self.seen.get(&oldest) == Some(&at) {
                self.seen.remove(&oldest);
                if self.released.remove(&oldest) {
                    self.changed.insert(oldest, None);
                }
            }
        }
    }

    /// Those who wait for this event, in the order in which they happened.
    pub(super) fn followers_of(&self, leader: EventId) -> Vec<Follower> {
        if self.by_leader.is_empty() {
            return Vec::new();
        }
        let of_leader = self.by_leader.range((leader, EventId(uuid::Uuid::nil()))..);
        let ids = of_leader.take_while(|(of, _)| *of == leader).map(|(_, id)| id);
        in_order(ids.filter_map(|id| self.waiting.get(id)).cloned().collect())
    }

    /// The event waits no longer: it was processed at `now`.
    pub(super) fn release(&mut self, id: EventId, now: Timestamp) {
        if self.remove(id).is_some() {
            self.released.insert(id);
            self.changed.insert(id, Some(Parked::Processed(now)));
        }
    }

    /// Those who have waited long enough, in the order in which they happened. They do not wait any more.
    pub(super) fn take_lost(&mut self, now: Timestamp) -> Vec<Follower> {
        let mut lost = Vec::new();
        while let Some((_, id)) = self.by_receipt.first().copied().filter(|(at, _)| until(*at) <= now) {
            lost.extend(self.remove(id));
            self.released.insert(id);
            self.changed.insert(id, Some(Parked::Processed(now)));
        }
        in_order(lost)
    }

    /// When the next one has waited long enough.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.by_receipt.first().map(|(received, _)| until(*received))
    }

    /// Those who wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = EventId> {
        self.waiting.keys().copied()
    }

    /// Tells what changed since the last call.
    pub(super) fn take_cells(&mut self, cells: &mut Vec<Cell>) {
        for (id, parked) in std::mem::take(&mut self.changed) {
            let body = parked.and_then(|parked| serde_json::to_string(&parked).ok());
            cells.push(Cell { automation: None, key: format!("{CELL}{id}"), body });
        }
    }

    /// The parking that gave these cells. A follower whose event is not in the log any more is forgotten.
    pub(super) fn restore(seen: Vec<(EventId, Timestamp)>, cells: &[Cell], parked: Vec<(Seq, Event)>) -> Self {
        let mut parking = Self::default();
        let mut bodies: BTreeMap<Seq, Event> = parked.into_iter().collect();
        let mut times: BTreeMap<EventId, Timestamp> = BTreeMap::new();
        for (id, parked) in cells.iter().filter_map(read) {
            match parked {
                Parked::Processed(at) => {
                    times.insert(id, at);
                    parking.released.insert(id);
                }
                Parked::Waits(seq) => match bodies.remove(&seq) {
                    Some(event) => parking.keep(Follower { event: Arc::new(event), at: EventRef { id, seq } }),
                    None => drop(parking.changed.insert(id, None)),
                },
            }
        }
        let mut processed: Vec<(Timestamp, EventId)> = times.iter().map(|(id, at)| (*at, *id)).collect();
        let of_log = seen.into_iter().filter(|(id, _)| !times.contains_key(id) && !parking.waiting.contains_key(id));
        processed.extend(of_log.map(|(id, at)| (at, id)));
        processed.sort_by_key(|(at, _)| *at);
        for (at, id) in processed {
            parking.saw(id, at);
        }
        parking
    }

    fn keep(&mut self, follower: Follower) {
        let id = follower.at.id;
        // It may have come twice, and wait since the second time.
        self.remove(id);
        if let Some(leader) = follower.event.follows {
            self.by_leader.insert((leader, id));
        }
        self.by_receipt.insert((follower.event.received, id));
        self.bytes += size(&follower.event);
        self.waiting.insert(id, follower);
    }

    fn remove(&mut self, id: EventId) -> Option<Follower> {
        let follower = self.waiting.remove(&id)?;
        if let Some(leader) = follower.event.follows {
            self.by_leader.remove(&(leader, id));
        }
        self.by_receipt.remove(&(follower.event.received, id));
        self.bytes -= size(&follower.event);
        Some(follower)
    }
}

/// The positions of the followers that wait, so that their bodies can be loaded.
pub(super) fn positions(cells: &[Cell]) -> Vec<Seq> {
    let waits = |(_, parked)| match parked {
        Parked::Waits(seq) => Some(seq),
        Parked::Processed(_) => None,
    };
    cells.iter().filter_map(read).filter_map(waits).collect()
}

fn read(cell: &Cell) -> Option<(EventId, Parked)> {
    let id = cell.key.strip_prefix(CELL).filter(|_| cell.automation.is_none())?;
    Some((id.parse().ok()?, serde_json::from_str(cell.body.as_deref()?).ok()?))
}

fn size(event: &Event) -> usize {
    serde_json::to_string(event).map_or(0, |text| text.len())
}

fn until(received: Timestamp) -> Timestamp {
    received.saturating_add(WAITS_FOR).unwrap_or(Timestamp::MAX)
}

fn in_order(mut followers: Vec<Follower>) -> Vec<Follower> {
    followers.sort_by_key(|follower| (follower.event.occurred, follower.at.seq));
    followers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Labels, RESOURCE_ID};
    use crate::ids::derive;
    use serde_json::Value;

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn id(name: usize) -> EventId {
        EventId(derive("event", &[&name.to_string()]))
    }

    fn event(name: usize, follows: usize, payload: Value) -> Event {
        Event {
            id: id(name),
            source: "test".into(),
            occurred: second(0),
            received: second(0),
            event: "e".into(),
            resource: Labels::from([(RESOURCE_ID.into(), "r".into())]),
            related: Vec::new(),
            payload,
            follows: Some(id(follows)),
            fact: None,
        }
    }

    fn park(parking: &mut Parking, event: &Event, seq: Seq) {
        parking.park(Follower { event: Arc::new(event.clone()), at: EventRef { id: event.id, seq } });
    }

    #[test]
    fn what_was_seen_is_forgotten_after_half_an_hour_and_ten_thousand_events() {
        let mut parking = Parking::default();
        parking.saw(id(0), second(0));
        assert!(parking.is_seen(id(0), second(1799)));
        assert!(!parking.is_seen(id(0), second(1800)));
        for other in 1..=SEEN {
            assert!(parking.is_seen(id(0), second(1)), "{other}");
            parking.saw(id(other), second(1));
        }
        assert!(!parking.is_seen(id(0), second(1)));
        assert_eq!((parking.seen.len(), parking.order.len()), (SEEN, SEEN));
    }

    #[test]
    fn those_who_wait_take_bounded_memory() {
        let mut parking = Parking::default();
        let mebibyte = Value::from("x".repeat(1024 * 1024));
        for name in 1..=32 {
            let event = event(name, 0, mebibyte.clone());
            assert!(parking.must_wait(&event, second(1)), "{name}");
            park(&mut parking, &event, name as u64);
        }
        let one_more = event(100, 0, Value::Null);
        assert!(!parking.must_wait(&one_more, second(1)));
        parking.release(id(1), second(1));
        parking.release(id(2), second(1));
        assert!(parking.must_wait(&one_more, second(1)));
        assert_eq!(parking.take_lost(second(900)).len(), 30);
        assert_eq!(parking.bytes, 0);
    }

    #[test]
    fn a_follower_whose_event_is_gone_is_forgotten() {
        let mut parking = Parking::default();
        park(&mut parking, &event(1, 0, Value::Null), 7);
        let mut cells = Vec::new();
        parking.take_cells(&mut cells);
        assert_eq!(positions(&cells), [7]);
        let mut restored = Parking::restore(Vec::new(), &cells, Vec::new());
        assert_eq!(restored.waiting().count(), 0);
        cells.clear();
        restored.take_cells(&mut cells);
        assert_eq!(cells, [Cell { automation: None, key: format!("follower {}", id(1)), body: None }]);
    }
}
