//! Runs a test: automations and events on virtual time, in memory, with the code that decides in the server.
//!
//! The events that automations themselves are go round as in the server. Invariants: nothing leaves; the same test
//! gives the same firings; a test that never ends is stopped ([`FIRINGS`], [`WAKES`]).

use super::script::{Arrival, Script};
use crate::config::ConfiguredAutomation;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use trackside_core::automation::definition::{Automation, AutomationId, Origin};
use trackside_core::automation::emitted::{self, Trail};
use trackside_core::automation::firing::Firing;
use trackside_core::automation::set::Automations;
use trackside_core::event::Event;
use trackside_core::ids::{EventId, Seq, derive};
use trackside_core::limits;

/// Most firings of one test.
pub const FIRINGS: usize = 10_000;
/// Most times that the clock wakes the automations of one test.
pub const WAKES: usize = 1_000_000;

/// Why a test was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Endless {
    /// Too many firings.
    #[error("the automations fired more than {FIRINGS} times; do they set each other off?")]
    Firings,
    /// Too many times that something was due.
    #[error("something was due more than {WAKES} times; shorten the test, or lengthen the windows")]
    Wakes,
}

/// A firing, with the name of its automation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Name of the automation.
    pub automation: String,
    /// The firing.
    pub firing: Firing,
}

/// Runs a script to its end. Gives what fired and resolved, in order.
///
/// # Errors
/// When it does not end.
pub fn rehearse(automations: &[ConfiguredAutomation], script: &Script) -> Result<Vec<Happened>, Endless> {
    let mut stage = Stage::new(automations, script.start);
    for arrival in &script.arrivals {
        stage.advance(arrival.at)?;
        stage.arrive(arrival)?;
    }
    stage.advance(script.end)?;
    while stage.set.next_due().is_some_and(|due| due <= script.end) {
        stage.due(script.end)?;
    }
    Ok(stage.happened)
}

struct Stage {
    set: Automations,
    all: BTreeMap<AutomationId, Automation>,
    events: BTreeMap<Seq, Arc<Event>>,
    seq: Seq,
    wakes: usize,
    happened: Vec<Happened>,
}

impl Stage {
    fn new(configured: &[ConfiguredAutomation], start: Timestamp) -> Self {
        let mut set = Automations::default();
        let mut all = BTreeMap::new();
        for configured in configured {
            let automation = configured.automation(start);
            all.insert(automation.id, automation.clone());
            set.put(automation, start);
        }
        Self { set, all, events: BTreeMap::new(), seq: 0, wakes: 0, happened: Vec::new() }
    }

    /// Decides everything that is due before `until`, each at its own time.
    fn advance(&mut self, until: Timestamp) -> Result<(), Endless> {
        while let Some(due) = self.set.next_due().filter(|due| *due < until) {
            self.due(due)?;
        }
        Ok(())
    }

    /// Decides what is due at a time.
    fn due(&mut self, now: Timestamp) -> Result<(), Endless> {
        self.wakes += 1;
        if self.wakes > WAKES {
            return Err(Endless::Wakes);
        }
        self.seq += 1;
        let firings = self.set.on_due(now, None);
        self.fired(firings, now)
    }

    fn arrive(&mut self, arrival: &Arrival) -> Result<(), Endless> {
        self.seq += 1;
        let mut firings = Vec::new();
        if let Some(event) = &arrival.event {
            self.events.insert(self.seq, Arc::new(event.clone()));
            firings = self.set.on_event(event, self.seq, arrival.at);
        }
        if let Some(outcome) = &arrival.outcome {
            let mut outcome = outcome.clone();
            outcome.event.seq = self.seq;
            firings.extend(self.set.on_run(&outcome, arrival.at));
        }
        self.fired(firings, arrival.at)
    }

    /// Notes firings, and lets the events that they are go round.
    fn fired(&mut self, firings: Vec<Firing>, now: Timestamp) -> Result<(), Endless> {
        let mut emitted = VecDeque::new();
        self.note(firings, &mut emitted)?;
        while let Some(event) = emitted.pop_front() {
            self.seq += 1;
            self.events.insert(self.seq, Arc::new(event.clone()));
            let firings = self.set.on_event(&event, self.seq, now);
            self.note(firings, &mut emitted)?;
        }
        Ok(())
    }

    fn note(&mut self, firings: Vec<Firing>, emitted: &mut VecDeque<Event>) -> Result<(), Endless> {
        for firing in firings {
            let Some(automation) = self.all.get(&firing.automation) else { continue };
            let triggering = firing.event.and_then(|event| self.events.get(&event.seq)).map(|event| &**event);
            if Trail::of(automation, triggering).chain <= limits::AUTOMATION_CHAIN {
                let id = EventId(derive("test-emitted", &[&self.happened.len().to_string()]));
                emitted.push_back(emitted::state_change(id, automation, &firing, triggering));
            }
            if self.happened.len() >= FIRINGS {
                return Err(Endless::Firings);
            }
            self.happened.push(Happened { automation: automation.spec.name.clone(), firing });
        }
        Ok(())
    }
}

impl ConfiguredAutomation {
    /// The automation as the files keep it, made at `now`.
    #[must_use]
    pub fn automation(&self, now: Timestamp) -> Automation {
        Automation {
            id: self.id,
            spec: self.spec.clone(),
            semantics: self.semantics,
            origin: Origin::Files,
            created: now,
            updated: now,
            version: 1,
        }
    }
}
