//! Trying an automation out: one that is in force, or an edited or new one, over what the log holds.
//!
//! Invariants: nothing that runs is touched; the log is read a bounded piece at a time, so that a trial can be given up
//! between two pieces.

use super::find;
use super::text::{Definition, Failure};
use crate::problem::Problem;
use crate::state::AppState;
use http::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;
use trackside_core::automation::backtest::{Backtest, Wanted, wanted};
use trackside_core::automation::definition::{Automation, AutomationId, Origin};
use trackside_core::automation::firing::Firing;
use trackside_core::automation::request::Written;
use trackside_core::ids::{Seq, derive};
use trackside_store::log::scan::{NameFilter, PIECE_EVENTS, Piece};
use uuid::Uuid;

/// What is tried: an automation in force, a definition, or both, when a definition is to replace one in force.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// Id of an automation in force.
    pub(super) automation: Option<Uuid>,
    /// A definition as JSON.
    pub(super) spec: Option<Value>,
    /// A definition as text, in YAML or JSON.
    pub(super) text: Option<String>,
}

/// What was asked for, looked up and read.
pub(super) struct Subjects {
    /// What is tried.
    pub(super) tried: Automation,
    /// What it would replace.
    pub(super) in_force: Option<Automation>,
}

impl Tried {
    /// Looks up and reads what is tried.
    pub(super) async fn subjects(self, state: &AppState) -> Result<Subjects, Failure> {
        let in_force = match self.automation {
            Some(id) => Some(find(state, &id.to_string()).await?),
            None => None,
        };
        let definition = match (self.spec, self.text) {
            (Some(_), Some(_)) => return Err(Problem::bad("spec", "send `spec` or `text`, not both").into()),
            (Some(spec), None) => Some(Definition(spec.to_string())),
            (None, Some(text)) => Some(Definition(text)),
            (None, None) => None,
        };
        let Some(definition) = definition else {
            let nothing = || Problem::bad("automation", "send the id of an automation, a `spec`, or a `text`");
            return Ok(Subjects { tried: in_force.ok_or_else(nothing)?, in_force: None });
        };
        let written = definition.read().map_err(Failure::Mistakes)?;
        let tried = Self::automation(state, written, self.automation);
        Ok(Subjects { tried, in_force })
    }

    /// A definition as the automation that it would be.
    pub(crate) fn automation(state: &AppState, written: Written, replaces: Option<Uuid>) -> Automation {
        let now = state.now();
        let id = replaces.unwrap_or_else(|| derive("trial", &[&written.spec.name]));
        Automation {
            id: AutomationId(id),
            spec: written.spec,
            semantics: written.semantics,
            origin: Origin::Api,
            created: now,
            updated: now,
            version: 1,
        }
    }
}

/// A stretch of the log, read a piece at a time.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    names: NameFilter,
    first: Seq,
    /// Everything up to here was read.
    reached: Seq,
    until: Seq,
}

impl Stretch {
    /// The events after `after` up to and including `until` that any of these automations wants.
    pub(super) fn new<'a>(automations: impl IntoIterator<Item = &'a Automation>, after: Seq, until: Seq) -> Self {
        Self { names: names(automations), first: after, reached: after, until: until.max(after) }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self, state: &AppState) -> Result<Option<Piece>, Problem> {
        if self.reached >= self.until {
            return Ok(None);
        }
        let piece = state.store.events_between(self.reached, self.until, &self.names, PIECE_EVENTS).await?;
        self.reached = piece.reached;
        Ok(Some(piece))
    }

    /// How much of it was read, 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    pub(super) fn share(&self) -> f64 {
        let whole = self.until - self.first;
        if whole == 0 { 1.0 } else { (self.reached.min(self.until) - self.first) as f64 / whole as f64 }
    }
}

/// The names of the events that are wanted, as far as the database can tell them apart.
fn names<'a>(automations: impl IntoIterator<Item = &'a Automation>) -> NameFilter {
    let (mut names, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for automation in automations {
        let Wanted::Names(patterns) = wanted(automation) else { return NameFilter::Any };
        for pattern in patterns {
            match pattern.split_once('*') {
                Some(("", _)) => return NameFilter::Any,
                Some((prefix, _)) => prefixes.insert(prefix.to_owned()),
                None => names.insert(pattern),
            };
        }
    }
    NameFilter::Of { names, prefixes }
}

/// Runs a piece through a back-test, away from the threads that answer requests.
pub(super) async fn through(mut test: Backtest, piece: Piece) -> Result<(Backtest, Vec<Firing>), Problem> {
    let work = move || {
        let events = piece.events.into_iter().map(|logged| (logged.seq, logged.at, logged.event)).collect();
        let firings = test.events(events);
        (test, firings)
    };
    away(work).await
}

/// Does work away from the threads that answer requests.
pub(super) async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a trial ended in a mistake of ours");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this should not have happened; the log says more")
    })
}
