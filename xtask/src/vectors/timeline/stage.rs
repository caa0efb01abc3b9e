//! The automations of one timeline, and what happens to them.
//!
//! Keeps what a store would: automations, cells, the log. Invariant: the set under test learns of nothing but by the
//! calls that the engine makes as well, and by those that stand for Prefect's own loops.

use super::{ExpectedBucket, ExpectedChild, Happening, Step, event};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use trackside_core::automation::definition::{Automation, AutomationId, Origin, Semantics};
use trackside_core::automation::edit::Cell;
use trackside_core::automation::emitted;
use trackside_core::automation::firing::Firing;
use trackside_core::automation::request::{self, Dialect};
use trackside_core::automation::set::{self, Automations, Loaded};
use trackside_core::automation::view::{BucketView, ChildView};
use trackside_core::event::Event;
use trackside_core::ids::{EventId, derive};

/// Whether the set under test lives through the whole timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Kept,
    RestoredAfterEachStep,
}

/// Most events that automations make of each other in one step.
const FED_BACK: usize = 1_000;
/// For so long an event that comes again is the one that came before.
const SEEN_FOR: SignedDuration = SignedDuration::from_mins(30);

/// A timeline that is being played.
pub(super) struct Stage {
    pub(super) set: Automations,
    /// State of triggers that were replaced or removed, as it was then.
    pub(super) left: Left,
    names: BTreeMap<AutomationId, String>,
    cells: BTreeMap<(Option<AutomationId>, String), Cell>,
    log: Vec<(Timestamp, Event)>,
    /// Where the log begins that Prefect remembers.
    remembered: usize,
}

/// State of triggers that are gone.
#[derive(Default)]
pub(super) struct Left {
    pub(super) buckets: Vec<ExpectedBucket>,
    pub(super) children: Vec<ExpectedChild>,
}

impl Stage {
    pub(super) fn new(automations: &BTreeMap<String, Value>, t0: Timestamp) -> Result<Self, String> {
        let mut stage = Self {
            set: Automations::default(),
            left: Left::default(),
            names: BTreeMap::new(),
            cells: BTreeMap::new(),
            log: Vec::new(),
            remembered: 0,
        };
        for (name, body) in automations {
            stage.put(name, body, t0)?;
        }
        Ok(stage)
    }

    /// Lets a step happen; gives what fired.
    pub(super) fn play(&mut self, step: &Step) -> Result<Vec<Firing>, String> {
        let now = step.at;
        let firings = match (&step.event, step.happening) {
            (Some(recorded), _) => {
                let firings = self.deliver(&event(recorded, Some(step.received.unwrap_or(now)))?, now);
                match &step.expect.state_change_events {
                    Some(_) => self.feed_back(firings, now)?,
                    None => firings,
                }
            }
            (None, Some(happening)) => self.happen(happening, step)?,
            (None, None) => Vec::new(),
        };
        self.store();
        Ok(firings)
    }

    /// The set as a restart of the product finds it.
    pub(super) fn restore(&mut self) {
        let cells: Vec<Cell> = self.cells.values().cloned().collect();
        let body = |seq: u64| Some((seq, self.log.get(usize::try_from(seq).ok()? - 1)?.1.clone()));
        let newest = self.log.len().saturating_sub(set::SEEN).max(self.remembered);
        self.set = Automations::restore(Loaded {
            automations: self.set.iter().cloned().collect(),
            parked: set::parked(&cells).into_iter().filter_map(body).collect(),
            cells,
            sender_clock: self.set.sender_clock(),
            seen: self.log[newest..].iter().map(|(at, event)| (event.id, *at)).collect(),
        });
    }

    fn deliver(&mut self, event: &Event, now: Timestamp) -> Vec<Firing> {
        let known = |(at, other): &(Timestamp, Event)| other.id == event.id && now.duration_since(*at) < SEEN_FOR;
        let place = match self.log[self.remembered..].iter().rposition(known) {
            Some(place) => {
                // If it waits, it waits as it came now.
                self.log[self.remembered + place].1 = event.clone();
                self.remembered + place
            }
            None => {
                self.log.push((now, event.clone()));
                self.log.len() - 1
            }
        };
        self.set.on_event(event, place as u64 + 1, now)
    }

    /// Gives every firing back as the event it is, until nothing fires any more.
    fn feed_back(&mut self, firings: Vec<Firing>, now: Timestamp) -> Result<Vec<Firing>, String> {
        let mut queue: VecDeque<Firing> = firings.iter().cloned().collect();
        let mut all = firings;
        while let Some(firing) = queue.pop_front() {
            if all.len() > FED_BACK {
                return Err(format!("more than {FED_BACK} firings in one step"));
            }
            let Some(automation) = self.set.get(firing.automation) else { continue };
            let triggering = firing.event.and_then(|at| self.log.get(usize::try_from(at.seq).ok()? - 1));
            let id = EventId(derive("fed back", &[&self.log.len().to_string()]));
            let event = emitted::state_change(id, automation, &firing, triggering.map(|(_, event)| event));
            let more = self.deliver(&event, now);
            queue.extend(more.iter().cloned());
            all.extend(more);
        }
        Ok(all)
    }

    fn happen(&mut self, happening: Happening, step: &Step) -> Result<Vec<Firing>, String> {
        let now = step.at;
        let name = || step.automation.as_deref().ok_or("it has no `automation`".to_owned());
        let body = || step.body.as_ref().ok_or("it has no `body`".to_owned());
        match happening {
            Happening::Proactive => return Ok(self.set.look_for_absences(now)),
            Happening::Periodic => return Ok(self.set.clean_up(now)),
            Happening::Tick => {
                let mut firings = self.set.look_for_absences(now);
                firings.extend(self.set.clean_up(now));
                return Ok(firings);
            }
            Happening::Restart => self.restart(),
            Happening::Disable => drop(self.set.pause(id(name()?), now)),
            Happening::Enable => drop(self.set.resume(id(name()?), now)),
            Happening::Create | Happening::Replace => self.put(name()?, body()?, now)?,
            Happening::Delete => {
                let id = id(name()?);
                self.leave_behind(id);
                self.set.remove(id, now);
                self.cells.retain(|(of, _), _| *of != Some(id));
            }
        }
        Ok(Vec::new())
    }

    /// Prefect's server is started again: of all state only buckets and child firings are in its database.
    fn restart(&mut self) {
        self.store();
        self.cells.retain(|(_, key), _| key.starts_with("bucket ") || key.starts_with("child "));
        self.remembered = self.log.len();
        self.set = Automations::restore(Loaded {
            automations: self.set.iter().cloned().collect(),
            cells: self.cells.values().cloned().collect(),
            ..Loaded::default()
        });
    }

    fn put(&mut self, name: &str, body: &Value, now: Timestamp) -> Result<(), String> {
        let id = id(name);
        let spec = request::parse(body, Dialect::Prefect)
            .map_err(|errors| format!("automation {name} is refused: {errors:?}"))?;
        self.leave_behind(id);
        let before = self.set.get(id);
        let automation = Automation {
            id,
            spec,
            semantics: Semantics::Prefect,
            origin: Origin::Api,
            created: before.map_or(now, |before| before.created),
            updated: now,
            version: before.map_or(1, |before| before.version + 1),
        };
        self.names.insert(id, name.to_owned());
        self.set.put(automation, now);
        Ok(())
    }

    fn leave_behind(&mut self, id: AutomationId) {
        self.left.buckets.extend(self.buckets_of(id));
        self.left.children.extend(self.children_of(id));
    }

    /// The name of an automation in the vector.
    pub(super) fn name(&self, id: AutomationId) -> &str {
        self.names.get(&id).map_or("", String::as_str)
    }

    /// All live buckets, in the words of the recordings.
    pub(super) fn buckets(&self) -> Vec<ExpectedBucket> {
        self.names.keys().flat_map(|id| self.buckets_of(*id)).collect()
    }

    /// All child firings that wait for others, in the words of the recordings.
    pub(super) fn children(&self) -> Vec<ExpectedChild> {
        self.names.keys().flat_map(|id| self.children_of(*id)).collect()
    }

    fn buckets_of(&self, id: AutomationId) -> Vec<ExpectedBucket> {
        let view = |bucket: BucketView| ExpectedBucket {
            automation: self.name(id).to_owned(),
            trigger: bucket.trigger,
            key: bucket.key,
            start: bucket.start,
            end: bucket.end,
            count: bucket.count,
            last_event: bucket.last_event.map(|event| event.id),
        };
        self.set.buckets(id).into_iter().map(view).collect()
    }

    fn children_of(&self, id: AutomationId) -> Vec<ExpectedChild> {
        let view = |child: ChildView| ExpectedChild {
            automation: self.name(id).to_owned(),
            parent: child.parent,
            child: child.child,
            fired_at: child.firing.at,
            event: child.firing.event.map(|event| event.id),
        };
        self.set.child_firings(id).into_iter().map(view).collect()
    }

    fn store(&mut self) {
        for cell in self.set.take_cells() {
            let key = (cell.automation, cell.key.clone());
            match cell.body {
                Some(_) => self.cells.insert(key, cell),
                None => self.cells.remove(&key),
            };
        }
    }
}

/// The id of an automation of a vector. The ids have the order of the names, as automations made at one time are taken
/// in the order of their ids.
pub(super) fn id(name: &str) -> AutomationId {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    AutomationId(uuid::Uuid::from_bytes(bytes))
}
