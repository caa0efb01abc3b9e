//! One event's way through the set, and one moment's: order first, then the automations it concerns.
//!
//! Invariants: the senders' clock is moved by every event that is looked at, waiting or not; what is due is decided
//! before what waits too long, and what waits too long before what is removed (the order of Prefect's two loops).

use super::super::definition::AutomationId;
use super::super::edit::SenderClock;
use super::super::firing::{EventRef, Firing};
use super::super::matching;
use super::super::parking::Follower;
use super::super::prefect::{Clocks, Notice};
use super::watch::Entry;
use super::{Automations, Edited, RunOutcome};
use crate::event::Event;
use crate::ids::Seq;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// How long a chain of followers is followed at once. The rest waits its 15 minutes, as in Prefect.
const DEPTH: usize = 20;

impl Automations {
    /// Decides one event. One that was decided in the last 30 minutes changes nothing; one that follows another waits
    /// for it at most 15 minutes.
    pub fn on_event(&mut self, event: &Event, seq: Seq, now: Timestamp) -> Vec<Firing> {
        let mut firings = Vec::new();
        self.released.clear();
        if !self.parking.is_seen(event.id, now) {
            let at = EventRef { id: event.id, seq };
            let _: ControlFlow<()> = self.react(event, at, now, 0, &mut firings);
        }
        firings
    }

    /// Decides the end of a run.
    pub fn on_run(&mut self, outcome: &RunOutcome, now: Timestamp) -> Vec<Firing> {
        let mut found = Vec::new();
        self.runs.find(&outcome.labels, &outcome.related, &mut found);
        let concerned = found.into_iter().map(|(id, _)| id).collect();
        self.each(&concerned, |entry| entry.on_run(outcome, now))
    }

    /// Decides what is due at `now`. `noticed` is set when that was noticed late: then an absence is looked for with
    /// what is known at `noticed`, once. Afterwards nothing is due at `now` any more.
    pub fn on_due(&mut self, now: Timestamp, noticed: Option<Timestamp>) -> Vec<Firing> {
        self.released.clear();
        let mut firings = self.decide_due(now, noticed);
        // A follower that went on without its leader moves the senders' clock, and may leave a bucket that is over.
        if self.next_due().is_some_and(|due| due <= now) {
            firings.extend(self.decide_due(now, noticed));
        }
        firings
    }

    fn decide_due(&mut self, now: Timestamp, noticed: Option<Timestamp>) -> Vec<Firing> {
        let notice = if noticed.is_some() { Notice::Late } else { Notice::OnTime };
        let clocks = self.clocks(noticed.map_or(now, |noticed| noticed.max(now)), notice);
        let mut due = self.agenda.due(now, clocks.lag);
        due.extend(self.begin_after_edit(now));
        let mut firings = self.each(&due, |entry| entry.on_due(now, noticed, clocks));
        firings.extend(self.go_on_without_leaders(clocks.now));
        self.sweep(due, clocks);
        firings
    }

    /// The body of an event that had waited for its leader and was decided by the last call.
    #[must_use]
    pub fn released(&self, seq: Seq) -> Option<Arc<Event>> {
        self.released.iter().find(|follower| follower.at.seq == seq).map(|follower| Arc::clone(&follower.event))
    }

    /// The positions of the events that firings due at `until` or before will name, so that their bodies can be loaded.
    #[must_use]
    pub fn due_events(&self, until: Timestamp) -> BTreeSet<Seq> {
        let mut events = Vec::new();
        for id in self.agenda.due(until, SignedDuration::ZERO) {
            if let Some(entry) = self.entries.get(&id) {
                entry.due_events(until, &mut events);
            }
        }
        events.into_iter().map(|event| event.seq).collect()
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let lag = self.lag();
        let edited = self.edited.at.filter(|_| !self.absences.is_empty());
        let due = self.agenda.next(lag).into_iter().chain(self.parking.next_due()).chain(edited).min()?;
        // What became due only because the senders' clock moved is due now, not before.
        Some(self.clock.map_or(due, |clock| due.max(clock.at)))
    }

    /// One run of the loop in which Prefect looks for absences every five seconds, over all automations with Prefect's
    /// semantics. [`Self::on_due`] is the same at the moment it is due, for those that are. Recordings tell of runs.
    pub fn look_for_absences(&mut self, now: Timestamp) -> Vec<Firing> {
        let clocks = self.clocks(now, Notice::OnTime);
        self.begin_after_edit(now);
        self.each(&self.absences.clone(), |entry| entry.on_due(now, None, clocks))
    }

    /// One run of the loop in which Prefect lets followers go on without their leaders and removes old buckets every
    /// five seconds, over all automations. [`Self::on_due`] is the same at the moment it is due. Recordings tell of runs.
    pub fn clean_up(&mut self, now: Timestamp) -> Vec<Firing> {
        let clocks = self.clocks(now, Notice::OnTime);
        let firings = self.go_on_without_leaders(now);
        self.sweep(self.entries.keys().copied().collect(), clocks);
        firings
    }
}

impl Automations {
    /// Takes an event in its turn. Breaks when the chain of followers is too long to go on at once.
    fn react(
        &mut self,
        event: &Event,
        at: EventRef,
        now: Timestamp,
        depth: usize,
        firings: &mut Vec<Firing>,
    ) -> ControlFlow<()> {
        self.hear(event.occurred, now);
        if depth > DEPTH {
            return ControlFlow::Break(());
        }
        if self.parking.must_wait(event, now) {
            self.parking.park(Follower { event: Arc::new(event.clone()), at });
            return ControlFlow::Continue(());
        }
        self.evaluate(event, at, now, firings);
        self.parking.saw(event.id, now);
        for follower in self.parking.followers_of(event.id) {
            self.released.push(follower.clone());
            if self.react(&follower.event, follower.at, now, depth + 1, firings).is_break() {
                break;
            }
        }
        self.parking.release(event.id, now);
        ControlFlow::Continue(())
    }

    /// Asks the automations that an event concerns.
    fn evaluate(&mut self, event: &Event, at: EventRef, now: Timestamp, firings: &mut Vec<Firing>) {
        let mut concerned: Vec<(Timestamp, AutomationId, usize)> = Vec::new();
        for (id, position) in self.events.candidates(event) {
            let Some(entry) = self.entries.get(&id) else { continue };
            let trigger = matching::event_trigger(&entry.automation.spec.trigger, position);
            if trigger.is_some_and(|trigger| matching::interested(trigger, event)) {
                concerned.push((entry.automation.created, id, position));
            }
        }
        concerned.sort_unstable();
        concerned.dedup();
        for of_one in concerned.chunk_by(|one, other| one.1 == other.1) {
            let id = of_one[0].1;
            let leaves: Vec<usize> = of_one.iter().map(|(_, _, position)| *position).collect();
            if let Some(entry) = self.entries.get_mut(&id) {
                firings.extend(entry.on_event(&leaves, event, at, now));
                self.note_change(id);
            }
        }
    }

    /// Moves the senders' clock: it never goes back, and is never ahead of ours.
    fn hear(&mut self, occurred: Timestamp, now: Timestamp) {
        let heard = occurred.min(now);
        let occurred = self.clock.map_or(heard, |clock| clock.occurred.max(heard));
        self.clock = Some(SenderClock { occurred, at: now });
    }

    /// How far the senders are behind.
    fn lag(&self) -> SignedDuration {
        self.clock
            .map_or(SignedDuration::ZERO, |clock| clock.at.duration_since(clock.occurred).max(SignedDuration::ZERO))
    }

    fn clocks(&self, now: Timestamp, notice: Notice) -> Clocks {
        Clocks { now, lag: self.lag(), notice }
    }

    /// After an edit, Prefect forgets when it wanted to look for absences. Gives those that must look at once.
    fn begin_after_edit(&mut self, now: Timestamp) -> BTreeSet<AutomationId> {
        if self.edited.at.is_none_or(|at| at > now) {
            return BTreeSet::new();
        }
        self.edited = Edited { at: None, changed: true };
        for id in &self.absences {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.look_from(now);
            }
        }
        self.absences.clone()
    }

    fn go_on_without_leaders(&mut self, now: Timestamp) -> Vec<Firing> {
        let mut firings = Vec::new();
        for follower in self.parking.take_lost(now) {
            self.released.push(follower.clone());
            let _: ControlFlow<()> = self.react(&follower.event, follower.at, now, 0, &mut firings);
        }
        firings
    }

    fn sweep(&mut self, ids: BTreeSet<AutomationId>, clocks: Clocks) {
        for id in ids {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.sweep(clocks);
                self.note_change(id);
            }
        }
    }

    /// Asks automations in the order in which they were made.
    fn each(&mut self, ids: &BTreeSet<AutomationId>, mut ask: impl FnMut(&mut Entry) -> Vec<Firing>) -> Vec<Firing> {
        let created = |id: &AutomationId| self.entries.get(id).map(|entry| entry.automation.created);
        let mut ordered: Vec<(Option<Timestamp>, AutomationId)> = ids.iter().map(|id| (created(id), *id)).collect();
        ordered.sort_unstable();
        let mut firings = Vec::new();
        for (_, id) in ordered {
            if let Some(entry) = self.entries.get_mut(&id) {
                firings.extend(ask(entry));
                self.note_change(id);
            }
        }
        firings
    }

    /// Keeps the agenda and the list of changes true after an automation was asked.
    fn note_change(&mut self, id: AutomationId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let dues = entry.current_dues();
        if dues != entry.dues {
            self.agenda.leave(id, entry.dues);
            self.agenda.enter(id, dues);
            entry.dues = dues;
        }
        self.changed.insert(id);
    }
}
