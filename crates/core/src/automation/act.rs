//! An action on its way out: what one delivery of an automation carries.
//!
//! Invariant: complete but for the events, which are read from the log by position when the texts are rendered.

use super::action::ActionSpec;
use super::definition::Automation;
use super::firing::Firing;
use serde::{Deserialize, Serialize};

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
