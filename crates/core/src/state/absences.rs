//! People who have left, in the state.

use super::State;
use crate::decision::Change;
use crate::duty::absence::{Absence, Gone};

/// Who has left, by name; kept beside what schedules ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Absences {
    gone: Gone,
    edits: Vec<Change>,
}

impl State {
    /// People who have left, and since when.
    #[must_use]
    pub fn gone(&self) -> &Gone {
        &self.absences.gone
    }

    pub(super) fn keep_absences(&mut self, absences: Vec<Absence>) {
        self.absences.gone.extend(absences.into_iter().map(|absence| (absence.person, absence.since)));
    }

    pub(crate) fn put_absence(&mut self, absence: Absence) {
        self.absences.gone.insert(absence.person.clone(), absence.since);
        self.absences.edits.push(Change::Absence(absence));
    }

    /// False when the person is not gone.
    pub(crate) fn end_absence(&mut self, person: &str) -> bool {
        let was_gone = self.absences.gone.remove(person).is_some();
        if was_gone {
            self.absences.edits.push(Change::AbsenceOver(person.to_owned()));
        }
        was_gone
    }

    pub(super) fn take_absence_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.absences.edits)
    }
}
