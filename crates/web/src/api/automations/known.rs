//! Every automation with what the lint must know beside them, read once for each edit.
//!
//! Lists, checks while somebody types and the pages of events look at all automations; thousands of them are not read
//! again as long as nothing changed. Invariant: what is handed out is never older than the last edit that was decided
//! before it was asked for.

use super::trial::away;
use crate::problem::Problem;
use crate::state::{AppState, Configured};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use trackside_core::automation::definition::Automation;
use trackside_core::automation::lint::{Finding, LintContext, lint};
use trackside_store::automations::{AutomationFilter, AutomationSort, Mark};
use trackside_store::blocks::BlockFilter;
use trackside_store::page::PAGE_ITEMS;
use uuid::Uuid;

/// Where what was read last is kept.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Option<Arc<Known>>>);

/// Every automation.
#[derive(Debug)]
pub(crate) struct Known {
    mark: Mark,
    configured: Arc<Configured>,
    /// The oldest first: of two that are equal the lint reports the later.
    pub(crate) automations: Vec<Automation>,
    /// What is there beside them.
    pub(crate) context: LintContext,
    findings: OnceLock<Vec<Finding>>,
}

impl Known {
    /// The same, after the lint looked at all of them.
    pub(crate) async fn linted(self: Arc<Self>) -> Result<Arc<Self>, Problem> {
        if self.findings.get().is_some() {
            return Ok(self);
        }
        away(move || {
            let _found = self.findings.get_or_init(|| lint(&self.automations, &self.context));
            self
        })
        .await
    }

    /// What the lint found; nothing before [`Known::linted`].
    pub(crate) fn findings(&self) -> &[Finding] {
        self.findings.get().map_or(&[], Vec::as_slice)
    }

    fn is_of(&self, mark: Mark, configured: &Arc<Configured>, blocks: &BTreeSet<Uuid>) -> bool {
        self.mark == mark && Arc::ptr_eq(&self.configured, configured) && self.context.blocks.as_ref() == Some(blocks)
    }
}

/// Every automation as it stands.
pub(crate) async fn known(state: &AppState) -> Result<Arc<Known>, Problem> {
    // Asked before anything is read, so that what is read is at least as new.
    let (mark, configured) = (state.store.automations_mark().await?, state.configured());
    let blocks = blocks(state).await?;
    let shelf = || state.known.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = shelf().as_ref().filter(|known| known.is_of(mark, &configured, &blocks)) {
        return Ok(Arc::clone(known));
    }
    let connections = configured.ruleset.connections.iter().map(|(name, info)| (name.clone(), info.kind)).collect();
    let context = LintContext { connections, blocks: Some(blocks), automations: Some(BTreeSet::new()), seen: None };
    let automations = automations(state).await?;
    let known = Arc::new(Known { mark, configured, automations, context, findings: OnceLock::new() });
    *shelf() = Some(Arc::clone(&known));
    Ok(known)
}

async fn blocks(state: &AppState) -> Result<BTreeSet<Uuid>, Problem> {
    let mut blocks = BTreeSet::new();
    for offset in (0..).step_by(PAGE_ITEMS) {
        let page = state.store.blocks(&BlockFilter::default(), offset, PAGE_ITEMS).await?;
        blocks.extend(page.iter().map(|block| block.id));
        if page.len() < PAGE_ITEMS {
            break;
        }
    }
    Ok(blocks)
}

async fn automations(state: &AppState) -> Result<Vec<Automation>, Problem> {
    let every = AutomationFilter::default();
    let mut all = Vec::new();
    loop {
        let offset = all.len() as u64;
        let page = state.store.automations(&every, AutomationSort::CreatedDesc, offset, PAGE_ITEMS).await?;
        let last = page.len() < PAGE_ITEMS;
        all.extend(page);
        if last {
            all.reverse();
            return Ok(all);
        }
    }
}
