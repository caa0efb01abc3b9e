//! What the store knows of the automations that files are about: what is in force, and what the files said last.
//!
//! Invariant: asks for no more than the files name and keep, however many automations were made through the API.

use super::edits::{Said, is_other};
use crate::config::ConfiguredAutomation;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, AutomationId, Origin};
use trackside_core::caller::Caller;
use trackside_store::automations::{AutomationFilter, AutomationSort, HistoryKind};
use trackside_store::{Result, Store};

/// Automations asked for at a time.
const PAGE: usize = 200;
/// How an edit came in that came from files: at a start, at a reload, by `trackside apply`.
pub const VIA: [&str; 2] = ["cli", "apply"];

/// Who puts the files in force at a start or reload.
#[must_use]
pub fn files() -> Caller {
    Caller::new("configuration", VIA[0])
}

/// Who puts uploaded files in force.
#[must_use]
pub fn uploaded_by(caller: &Caller) -> Caller {
    Caller::new(caller.subject.clone(), VIA[1])
}

/// What is in force.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Those that files keep, and others with the name or identity of one of the files.
    pub automations: Vec<Automation>,
    /// What the files said last of those that differ from the files now.
    pub said: BTreeMap<AutomationId, Said>,
}

/// Looks up what is in force and what was said.
///
/// # Errors
/// When the store cannot be read.
pub async fn kept(store: &Store, files: &[ConfiguredAutomation]) -> Result<Kept> {
    let mut found: BTreeMap<AutomationId, Automation> = BTreeMap::new();
    let ours = AutomationFilter { origin: Some(Origin::Files), ..AutomationFilter::default() };
    add(store, &ours, &mut found).await?;
    let new: Vec<&ConfiguredAutomation> = files.iter().filter(|file| !found.contains_key(&file.id)).collect();
    for some in new.chunks(PAGE) {
        let names: BTreeSet<String> = some.iter().map(|file| file.spec.name.clone()).collect();
        add(store, &AutomationFilter { names: Some(names), ..AutomationFilter::default() }, &mut found).await?;
        let ids: BTreeSet<AutomationId> = some.iter().map(|file| file.id).collect();
        add(store, &AutomationFilter { ids: Some(ids), ..AutomationFilter::default() }, &mut found).await?;
    }
    let mut said = BTreeMap::new();
    for file in files {
        let differs = found.get(&file.id).is_some_and(|kept| kept.origin == Origin::Files && is_other(file, kept));
        if differs && let Some(last) = last_said(store, file.id).await? {
            said.insert(file.id, last);
        }
    }
    Ok(Kept { automations: found.into_values().collect(), said })
}

async fn add(store: &Store, filter: &AutomationFilter, found: &mut BTreeMap<AutomationId, Automation>) -> Result<()> {
    let mut offset = 0;
    loop {
        let page = store.automations(filter, AutomationSort::NameAsc, offset, PAGE).await?;
        let full = page.len() == PAGE;
        offset += page.len() as u64;
        found.extend(page.into_iter().map(|automation| (automation.id, automation)));
        if !full {
            return Ok(());
        }
    }
}

/// What the files said of an automation when they were last put in force.
async fn last_said(store: &Store, id: AutomationId) -> Result<Option<Said>> {
    let mut before = None;
    loop {
        let page = store.automation_history(id, before, PAGE).await?;
        let from_files = |row: &&trackside_store::automations::HistoryRow| {
            row.kind == HistoryKind::Edit && VIA.contains(&row.caller.via.as_str())
        };
        if let Some(row) = page.items.iter().find(from_files) {
            let automation = row.automation.clone();
            return Ok(Some(Said { spec: automation.spec, semantics: automation.semantics }));
        }
        before = match page.next {
            Some(next) => Some(next),
            None => return Ok(None),
        };
    }
}
