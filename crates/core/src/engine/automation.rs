//! Automations in the engine: edits take effect, firings become effects, incidents and reasons.

use super::turn::Turn;
use crate::automation::edit::AutomationEdit;

impl Turn<'_> {
    /// Takes edits.
    pub(super) fn on_automations(&mut self, _edits: &[AutomationEdit]) {}
}
