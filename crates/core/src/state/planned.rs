//! What was planned at run time: overrides of schedules, silences, maintenance windows.
//!
//! Invariants: bounded by `limits::PLANNED` each; matchers are compiled once; what is over is let go of with the next
//! look at the clock, and stays in the store for lists.

use super::State;
use crate::decision::Change;
use crate::duty::schedule::Override;
use crate::incident::matchers::Matchers;
use crate::limits;
use crate::ruleset::noise::{PlannedWork, Silence};
use jiff::Timestamp;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What is planned, by identity.
#[derive(Clone, Debug, Default)]
pub(super) struct Planned {
    overrides: BTreeMap<Uuid, Override>,
    silences: BTreeMap<Uuid, (Silence, Matchers)>,
    works: BTreeMap<Uuid, (PlannedWork, Matchers)>,
    edits: Vec<Change>,
}

impl State {
    /// Overrides of one schedule.
    pub fn overrides(&self, schedule: &str) -> Vec<Override> {
        self.planned.overrides.values().filter(|over| over.schedule == schedule).cloned().collect()
    }

    /// Silences that are in force or to come.
    pub fn silences(&self) -> impl Iterator<Item = (&Silence, &Matchers)> {
        self.planned.silences.values().map(|(silence, matchers)| (silence, matchers))
    }

    /// Maintenance windows that were made at run time.
    pub fn planned_work(&self) -> impl Iterator<Item = (&PlannedWork, &Matchers)> {
        self.planned.works.values().map(|(work, matchers)| (work, matchers))
    }

    pub(super) fn keep_planned(&mut self, overrides: Vec<Override>, silences: Vec<Silence>, works: Vec<PlannedWork>) {
        self.planned.overrides.extend(overrides.into_iter().map(|over| (over.id, over)));
        for silence in silences {
            if let Ok(matchers) = Matchers::new(&silence.matchers) {
                self.planned.silences.insert(silence.id, (silence, matchers));
            }
        }
        for work in works {
            if let Ok(matchers) = Matchers::new(&work.window.matchers) {
                self.planned.works.insert(work.id, (work, matchers));
            }
        }
    }

    pub(crate) fn put_override(&mut self, over: Override) -> Result<(), String> {
        room(self.planned.overrides.len(), "overrides")?;
        self.planned.edits.push(Change::Override(over.clone()));
        self.planned.overrides.insert(over.id, over);
        Ok(())
    }

    pub(crate) fn remove_override(&mut self, id: Uuid, at: Timestamp) -> Option<Override> {
        let gone = self.planned.overrides.remove(&id)?;
        self.planned.edits.push(Change::OverrideGone { id, at });
        Some(gone)
    }

    pub(crate) fn put_silence(&mut self, silence: Silence) -> Result<(), String> {
        room(self.planned.silences.len(), "silences")?;
        let matchers = Matchers::new(&silence.matchers)?;
        self.planned.edits.push(Change::Silence(silence.clone()));
        self.planned.silences.insert(silence.id, (silence, matchers));
        Ok(())
    }

    /// Ends a silence at `now`.
    pub(crate) fn expire_silence(&mut self, id: Uuid, now: Timestamp) -> Option<Silence> {
        let (mut silence, _) = self.planned.silences.remove(&id)?;
        silence.ends = silence.ends.min(now);
        self.planned.edits.push(Change::Silence(silence.clone()));
        Some(silence)
    }

    pub(crate) fn put_planned_work(&mut self, work: PlannedWork) -> Result<(), String> {
        room(self.planned.works.len(), "maintenance windows")?;
        let matchers = Matchers::new(&work.window.matchers)?;
        self.planned.edits.push(Change::Maintenance(Box::new(work.clone())));
        self.planned.works.insert(work.id, (work, matchers));
        Ok(())
    }

    pub(crate) fn end_planned_work(&mut self, id: Uuid, at: Timestamp) -> Option<PlannedWork> {
        let (work, _) = self.planned.works.remove(&id)?;
        self.planned.edits.push(Change::MaintenanceGone { id, at });
        Some(work)
    }

    /// Lets go of what is over at `now`; the store keeps it.
    pub(crate) fn forget_planned(&mut self, now: Timestamp) {
        self.planned.overrides.retain(|_, over| over.end > now);
        self.planned.silences.retain(|_, (silence, _)| silence.ends > now);
        let to_come =
            |work: &PlannedWork| work.window.when.active(now).is_some() || work.window.when.next_start(now).is_some();
        self.planned.works.retain(|_, (work, _)| to_come(work));
    }

    pub(super) fn take_planned_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.planned.edits)
    }
}

fn room(count: usize, what: &str) -> Result<(), String> {
    if count < limits::PLANNED {
        Ok(())
    } else {
        Err(format!("there are {} {what} already; end some first", limits::PLANNED))
    }
}
