//! An action on its way out: what one delivery of an automation carries.
//!
//! Invariant: complete but for the events, which are read from the log by position when the texts are rendered.

use super::action::ActionSpec;
use super::definition::Automation;
use super::emitted::Trail;
use super::firing::Firing;
use crate::ids::EventId;
use serde::{Deserialize, Serialize};

/// Connection names with this prefix mean the block document with the id that follows.
pub const BLOCK_PREFIX: &str = "block:";

/// One action of one firing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// The automation as it was when it fired.
    pub automation: Automation,
    /// The list that the action stands in.
    pub list: ActionList,
    /// Its place in the list, from 0.
    pub index: u32,
    /// What is to be done.
    pub action: ActionSpec,
    /// Why.
    pub firing: Firing,
    /// The event that the firing is itself (`prefect.automation.triggered`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
    /// What led to it, so that its own events cannot set the automation off again.
    #[serde(default)]
    pub trail: Trail,
}

/// The lists of actions of an automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionList {
    /// `actions`
    Actions,
    /// `actions_on_trigger`
    ActionsOnTrigger,
    /// `actions_on_resolve`
    ActionsOnResolve,
}
