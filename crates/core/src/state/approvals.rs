//! Approvals and grants in the state: questions that are open, those that were loaded because an input names them, and
//! the access that was given and is not over.
//!
//! Invariant: what is decided is let go of after its batch was committed; what was given ends once.

use super::{Dirty, State};
use crate::approval::request::{Approval, Grant};
use crate::decision::Change;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// By identity.
#[derive(Clone, Debug, Default)]
pub(super) struct Approvals {
    all: BTreeMap<Uuid, Box<Approval>>,
    decided: BTreeSet<Uuid>,
    grants: BTreeMap<Uuid, Grant>,
    gone: BTreeMap<Uuid, Timestamp>,
}

impl Approvals {
    pub(super) fn keep(&mut self, approval: Approval) {
        if approval.is_open() {
            self.decided.remove(&approval.id);
        } else {
            self.decided.insert(approval.id);
        }
        self.all.insert(approval.id, Box::new(approval));
    }

    /// Adds what was loaded; what is already here wins.
    pub(super) fn absorb(&mut self, approvals: Vec<Approval>, grants: Vec<Grant>) {
        for approval in approvals {
            if !self.all.contains_key(&approval.id) {
                self.keep(approval);
            }
        }
        for grant in grants {
            self.grants.entry(grant.id).or_insert(grant);
        }
    }

    /// Lets go of what is decided.
    pub(super) fn forget_decided(&mut self) {
        for id in std::mem::take(&mut self.decided) {
            self.all.remove(&id);
        }
        self.gone.clear();
    }

    pub(super) fn approval_change(&self, id: Uuid) -> Change {
        Change::Approval(self.all[&id].clone())
    }

    pub(super) fn grant_change(&self, id: Uuid) -> Change {
        match self.grants.get(&id) {
            Some(grant) => Change::Grant(grant.clone()),
            None => Change::GrantGone { id, at: self.gone[&id] },
        }
    }
}

impl State {
    /// A question in memory: open, or loaded for an input.
    #[must_use]
    pub fn approval(&self, id: Uuid) -> Option<&Approval> {
        self.approvals.all.get(&id).map(Box::as_ref)
    }

    /// Questions that are not decided.
    pub fn open_approvals(&self) -> impl Iterator<Item = &Approval> {
        self.approvals.all.values().map(Box::as_ref).filter(|approval| approval.is_open())
    }

    /// Access that was given and has not ended.
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.approvals.grants.values()
    }

    /// One of them.
    #[must_use]
    pub fn grant(&self, id: Uuid) -> Option<&Grant> {
        self.approvals.grants.get(&id)
    }

    pub(crate) fn put_approval(&mut self, approval: Approval) {
        self.dirty.insert(Dirty::Approval(approval.id));
        self.approvals.keep(approval);
    }

    pub(crate) fn put_grant(&mut self, grant: Grant) {
        self.dirty.insert(Dirty::Grant(grant.id));
        self.approvals.grants.insert(grant.id, grant);
    }

    /// Ends access at `at`.
    pub(crate) fn end_grant(&mut self, id: Uuid, at: Timestamp) -> Option<Grant> {
        let grant = self.approvals.grants.remove(&id)?;
        self.approvals.gone.insert(id, at);
        self.dirty.insert(Dirty::Grant(id));
        Some(grant)
    }

    pub(crate) fn next_approval_number(&mut self) -> u64 {
        self.counters.approvals += 1;
        self.dirty.insert(Dirty::Counters);
        self.counters.approvals
    }
}
