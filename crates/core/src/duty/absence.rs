//! People who have left, as the system says that knows them, and what stands in the way of a schedule as written.
//!
//! Invariants: an absence begins at an instant and has no end of its own; from then on the person is on call nowhere, and
//! the turns of the others stay where they are: a layer below answers for the turn, or nobody does.

use super::schedule::Override;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Somebody of the configuration who has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Name in the configuration.
    pub person: String,
    /// From when on, inclusive.
    pub since: Timestamp,
    /// What says so, for people ("ana@example.net is not active in scim").
    pub because: String,
}

/// Who is gone, and since when.
pub type Gone = BTreeMap<String, Timestamp>;

/// What is known beside a schedule as written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes<'a> {
    /// Overrides of this schedule.
    pub overrides: &'a [Override],
    /// People who have left.
    pub gone: Option<&'a Gone>,
}

impl Changes<'_> {
    /// Whether somebody has left by then.
    pub(super) fn is_gone(&self, user: &str, at: Timestamp) -> bool {
        self.gone.and_then(|gone| gone.get(user)).is_some_and(|since| *since <= at)
    }
}

impl<'a> From<&'a [Override]> for Changes<'a> {
    fn from(overrides: &'a [Override]) -> Self {
        Self { overrides, gone: None }
    }
}

impl<'a> From<&'a Vec<Override>> for Changes<'a> {
    fn from(overrides: &'a Vec<Override>) -> Self {
        Self { overrides, gone: None }
    }
}

impl<'a, const N: usize> From<&'a [Override; N]> for Changes<'a> {
    fn from(overrides: &'a [Override; N]) -> Self {
        Self { overrides, gone: None }
    }
}
