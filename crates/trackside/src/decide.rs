//! The decider: reads the log behind the cursor, decides, commits, moves on.
//!
//! Invariants: one decider per workspace; a batch's state, effects, audit and cursor commit together or not at all;
//! memory is never ahead of the database after an error (it is loaded again); a timer enters the log as an input, and
//! only when nothing older waits. An input that makes the rules panic is skipped with an audit row, not retried for ever.

use crate::clock::{Clock, sleep_until};
use jiff::{SignedDuration, Timestamp};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::watch;
use trackside_core::approval::grants::Grants;
use trackside_core::caller::Caller;
use trackside_core::decision::{AuditDetail, AuditEntry, Change, Decision};
use trackside_core::engine::decide;
use trackside_core::ids::{Seq, derive};
use trackside_core::input::{Entry, Input};
use trackside_core::limits;
use trackside_core::ruleset::Ruleset;
use trackside_core::state::State;
use trackside_store::Store;
use trackside_store::log::NewEntry;

/// Wait after a failed commit or read, when nothing else wakes the loop.
const AFTER_ERROR: SignedDuration = SignedDuration::from_millis(500);

/// A batch that changed nothing but the cursor is not worth a commit of its own: the cursor is stored with the next
/// one, or when this long nothing came. After a crash such inputs are decided again, to nothing again.
const STORE_CURSOR_AFTER: SignedDuration = SignedDuration::from_secs(1);
/// Most inputs that may have to be decided again after a crash.
const CURSOR_BEHIND: Seq = 10_000;

/// Decides for one workspace.
#[derive(Debug)]
pub struct Decider {
    store: Store,
    state: State,
    /// The cursor that the database has; at most [`CURSOR_BEHIND`] behind the state's.
    stored: Seq,
    /// When an input was decided last.
    decided_at: Timestamp,
    decided: watch::Sender<Seq>,
    effects: watch::Sender<u64>,
    grants: watch::Sender<Arc<Grants>>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Inputs were decided, up to this one.
    Decided(Seq),
    /// A timer was written to the log.
    Ticked,
    /// Nothing to do until this time (or until something is appended).
    Idle(Option<Timestamp>),
}

/// Why a step failed. The state was loaded again, the step may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The database failed.
    #[error("the decision could not be stored: {0}")]
    Store(#[from] trackside_store::Error),
    /// The stored rules do not compile.
    #[error("the stored rules cannot be used: {0}")]
    Rules(#[from] trackside_core::rules::BadRuleset),
}

impl Decider {
    /// Loads the state of a workspace.
    ///
    /// # Errors
    /// When it cannot be read, or the stored rules no longer compile.
    pub async fn load(store: Store, workspace: &str) -> Result<Self, DecideError> {
        let state = load(&store, workspace).await?;
        let decided = watch::Sender::new(state.cursor);
        let stored = state.cursor;
        let (effects, grants) = (watch::Sender::new(0), watch::Sender::new(grants_of(&state)));
        Ok(Self { store, state, stored, decided_at: Timestamp::MIN, decided, effects, grants })
    }

    /// The last input decided; changes after each commit.
    #[must_use]
    pub fn decided(&self) -> watch::Receiver<Seq> {
        self.decided.subscribe()
    }

    /// Changes whenever rows were added to the outbox.
    #[must_use]
    pub fn effects(&self) -> watch::Receiver<u64> {
        self.effects.subscribe()
    }

    /// The access that was given for a while; replaced with each commit that gives or ends some.
    #[must_use]
    pub fn grants(&self) -> watch::Receiver<Arc<Grants>> {
        self.grants.subscribe()
    }

    /// Wakes whoever watches [`Decider::effects`], for rows that were put back by hand.
    #[must_use]
    pub fn waker(&self) -> watch::Sender<u64> {
        self.effects.clone()
    }

    /// The state as decided so far.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Puts rules in force when they differ from those that are, through the log.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn apply(&self, ruleset: Ruleset, caller: Caller, now: Timestamp) -> Result<(), DecideError> {
        let same = self.state.rules().is_some_and(|rules| *rules.source() == ruleset);
        if !same {
            self.store.append(vec![ruleset_entry(ruleset, caller, now)?]).await?;
        }
        Ok(())
    }

    /// Decides one batch, or writes one due timer, or says how long there is nothing to do.
    ///
    /// # Errors
    /// When the database fails; the state is as the database has it.
    pub async fn once(&mut self, now: Timestamp) -> Result<Step, DecideError> {
        let entries = self.store.entries_after(self.state.cursor, limits::DECIDE_BATCH).await?;
        if entries.is_empty() {
            return self.rest(now).await;
        }
        self.decided_at = now;
        self.prefetch(&entries).await?;
        let decided = catch_unwind(AssertUnwindSafe(|| decide(&mut self.state, &entries)));
        let Ok(decision) = decided else {
            return self.once_by_one(&entries).await;
        };
        self.commit(&decision).await?;
        Ok(Step::Decided(decision.cursor))
    }

    /// Nothing is left to decide: stores the cursor after a while, and looks at the timers.
    async fn rest(&mut self, now: Timestamp) -> Result<Step, DecideError> {
        if self.stored == self.state.cursor {
            return self.tick(now).await;
        }
        let store_at = self.decided_at + STORE_CURSOR_AFTER;
        if now >= store_at {
            let (cursor, sender_clock) = (self.state.cursor, self.state.sender_clock());
            self.store_decision(&Decision { cursor, sender_clock, ..Decision::default() }).await?;
        }
        match self.tick(now).await? {
            Step::Idle(due) if now < store_at => Ok(Step::Idle(Some(due.map_or(store_at, |due| due.min(store_at))))),
            step => Ok(step),
        }
    }

    /// The timer enters the log with its due time, and with the time now when that is noticeably later; the id makes a
    /// second one of the same moment the same entry.
    async fn tick(&mut self, now: Timestamp) -> Result<Step, DecideError> {
        let Some(due) = self.state.next_due() else {
            return Ok(Step::Idle(None));
        };
        if due > now {
            return Ok(Step::Idle(Some(due)));
        }
        let noticed = (now.duration_since(due) > limits::LATE_AFTER).then_some(now);
        let id = derive("tick", &[&due.to_string(), &self.state.cursor.to_string()]);
        let entry = NewEntry::input(due, &Input::Tick { due, noticed }, id)?;
        self.store.append(vec![entry]).await?;
        Ok(Step::Ticked)
    }

    /// Loads what the batch refers to and memory has let go.
    async fn prefetch(&mut self, entries: &[Entry]) -> Result<(), DecideError> {
        let needed = self.state.needed(entries);
        if needed.is_empty() {
            return Ok(());
        }
        let loaded = self.store.load_needed(&needed).await?;
        self.state.absorb(loaded);
        Ok(())
    }

    async fn store_decision(&mut self, decision: &Decision) -> Result<(), DecideError> {
        if let Err(error) = self.store.commit(decision, self.stored).await {
            self.reload().await?;
            return Err(error.into());
        }
        self.stored = decision.cursor;
        Ok(())
    }

    async fn reload(&mut self) -> Result<(), DecideError> {
        self.state = load(&self.store, &self.state.workspace).await?;
        self.stored = self.state.cursor;
        self.grants.send_replace(grants_of(&self.state));
        Ok(())
    }

    async fn commit(&mut self, decision: &Decision) -> Result<(), DecideError> {
        if !decision.changes_nothing() || decision.cursor - self.stored >= CURSOR_BEHIND {
            self.store_decision(decision).await?;
        }
        self.state.forget_settled();
        if decision.changes.iter().any(|change| matches!(change, Change::Grant(_) | Change::GrantGone { .. })) {
            self.grants.send_replace(grants_of(&self.state));
        }
        self.decided.send_replace(decision.cursor);
        // A call whose run has ended is looked at again as well.
        let ended = |change: &Change| matches!(change, Change::JobRun(run) if run.state.ended());
        if !decision.effects.is_empty() || decision.changes.iter().any(ended) {
            self.effects.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// After a panic: decides the batch input by input, and skips the one that panics.
    async fn once_by_one(&mut self, entries: &[Entry]) -> Result<Step, DecideError> {
        self.reload().await?;
        for entry in entries {
            self.prefetch(std::slice::from_ref(entry)).await?;
            let decided = catch_unwind(AssertUnwindSafe(|| decide(&mut self.state, std::slice::from_ref(entry))));
            let decision = match decided {
                Ok(decision) => decision,
                Err(_) => {
                    tracing::error!(
                        seq = entry.seq,
                        "an input could not be decided and was skipped; please report this"
                    );
                    self.reload().await?;
                    self.state.cursor = entry.seq;
                    skipped(entry)
                }
            };
            self.commit(&decision).await?;
        }
        Ok(Step::Decided(self.state.cursor))
    }

    /// Runs until `stop` changes.
    pub async fn run(mut self, clock: Clock, mut stop: watch::Receiver<bool>) {
        let mut head = self.store.head();
        while !*stop.borrow() {
            head.mark_unchanged();
            let until = match self.once(clock.now()).await {
                Ok(Step::Decided(_) | Step::Ticked) => continue,
                Ok(Step::Idle(due)) => due,
                Err(error) => {
                    tracing::error!(%error, "deciding failed; trying again");
                    Some(clock.now() + AFTER_ERROR)
                }
            };
            let wake = async {
                match until {
                    Some(at) => sleep_until(&clock, at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = head.changed() => {}
                _ = stop.changed() => {}
                () = wake => {}
            }
        }
    }
}

fn grants_of(state: &State) -> Arc<Grants> {
    Arc::new(Grants::new(state.grants().cloned()))
}

/// The entry that puts rules in force. They must compile: the caller has checked them.
///
/// # Errors
/// When it cannot be written down.
pub fn ruleset_entry(ruleset: Ruleset, caller: Caller, now: Timestamp) -> trackside_store::Result<NewEntry> {
    let cause = format!("{now} {} {}", caller.subject, serde_json::to_string(&ruleset).unwrap_or_default());
    let input = Input::Ruleset { caller, ruleset: Box::new(ruleset) };
    NewEntry::input(now, &input, derive("ruleset", &[&cause]))
}

async fn load(store: &Store, workspace: &str) -> Result<State, DecideError> {
    Ok(State::restore(workspace, store.load().await?)?)
}

/// A decision that only records that an input was skipped.
fn skipped(entry: &Entry) -> Decision {
    let audit = AuditEntry {
        seq: entry.seq,
        ordinal: 0,
        at: entry.at,
        caller: Caller::rules(),
        action: "input.skipped".to_owned(),
        summary: "the rules failed on this input; it was skipped and nothing was told because of it".to_owned(),
        incident: None,
        event: match &entry.input {
            Input::Event(event) => Some(event.id),
            _ => None,
        },
        delivery: None,
        job: None,
        detail: AuditDetail::default(),
    };
    Decision { cursor: entry.seq, audit: vec![audit], ..Decision::default() }
}
