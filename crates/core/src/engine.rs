//! The decision: `decide(state, inputs)` gives the new state, the effects, the audit and the reasons.
//!
//! Invariants: a function of (state, inputs) and nothing else; replaying the log from empty gives the same decisions.
//! One input is one [`Turn`]; a turn reads and changes state, asks for effects and says why. Later kinds of rule
//! extend `turn::act`; they do not go around it. Sending is not here, nor is anything about wire formats.
//!
//! - [`failure`]: what run transitions mean for rules and incidents; [`transient`]: failures that pass by themselves
//! - [`report`]: other systems' alerts and messages
//! - [`clock`]: timers; [`deadline`], [`expected`]: checks that they make; [`rows`], [`lateness`]: anomalies
//! - [`command`]: people, rule changes, outcomes of deliveries
//! - [`lag`]: Trackside's own trouble
//! - [`incident`]: from alerts to incidents; [`lineage`], [`scope`], [`storm`]: many problems that are one
//! - [`tell`]: who hears of it at once; [`escalation`]: who is paged later; [`hold`]: why nobody is
//! - [`canary`]: test alerts through real channels
//! - [`planned`]: silences, overrides, maintenance, hand-overs; [`people`]: who left or came back

mod approval;
mod automation;
mod canary;
mod clock;
mod command;
mod deadline;
mod escalation;
mod expected;
mod failure;
mod hold;
mod incident;
mod job;
mod lag;
mod lateness;
mod lineage;
mod people;
mod planned;
mod report;
mod rows;
mod scope;
mod storm;
mod tell;
mod transient;
mod turn;

pub(crate) use scope::Place;

use crate::decision::Decision;
use crate::input::Entry;
use crate::state::State;
use turn::Turn;

/// Decides a batch of inputs in log order. The decision must be committed whole before the next batch is decided.
///
/// # Panics
/// When the inputs are not the ones that follow the cursor: that is a mistake of the caller.
#[must_use]
pub fn decide(state: &mut State, entries: &[Entry]) -> Decision {
    let mut decision = Decision { cursor: state.cursor, ..Decision::default() };
    for (index, entry) in entries.iter().enumerate() {
        assert!(entry.seq > state.cursor, "inputs are decided once, in log order");
        Turn::new(state, entries, index, &mut decision).act(&entry.input);
        state.cursor = entry.seq;
    }
    decision.cursor = state.cursor;
    decision.changes = state.take_changes();
    decision.sender_clock = state.sender_clock();
    decision
}
