//! Names that many entities have in common (teams, rules, reasons, sources), kept once.
//!
//! Invariant: bounded; a name that does not fit is simply not shared.

use crate::run::Name;
use std::collections::BTreeSet;

/// Most names kept.
const NAMES: usize = 4_096;

/// A small vocabulary.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedNames(BTreeSet<Name>);

impl SharedNames {
    /// The kept copy of a name.
    pub(super) fn share(&mut self, name: &Name) -> Name {
        if let Some(kept) = self.0.get(name) {
            return kept.clone();
        }
        if self.0.len() < NAMES {
            self.0.insert(name.clone());
        }
        name.clone()
    }
}
