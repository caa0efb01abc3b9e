//! What is wrong with automations that can be read: those that can never fire, fire for something else than is meant,
//! or whose actions lead nowhere.
//!
//! Every finding has a place, says what is wrong and what to write. Invariants: pure; an error is certain under what the
//! [`LintContext`] knows, a warning is likely; what the context does not know is not judged. Whether an automation can
//! be read at all is for [`super::request`].
//!
//! - `names`, `labels`, `subject`: triggers that match nothing, or not what is meant
//! - `counting`: thresholds, windows, composites
//! - `actions`: where actions lead; `echo`: automations that set off themselves; `twins`: two that tell the same
//! - `seen`: against the events that came so far

mod actions;
mod counting;
mod echo;
mod labels;
mod names;
mod seen;
mod subject;
mod twins;

pub use seen::{Seen, SeenEvent};

use super::definition::{Automation, AutomationId, EventTrigger, Semantics, Trigger};
use super::request::PathPart;
use crate::ruleset::ConnectionKind;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What is there beside the automations.
#[derive(Clone, Debug, Default)]
pub struct LintContext {
    /// Connections by name.
    pub connections: BTreeMap<String, ConnectionKind>,
    /// Ids of the block documents; absent: not known here.
    pub blocks: Option<BTreeSet<Uuid>>,
    /// Ids of automations that exist beside those that are linted; absent: not known here.
    pub automations: Option<BTreeSet<AutomationId>>,
    /// What events came so far; absent: not known here.
    pub seen: Option<Seen>,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot do what it says.
    Error,
    /// It probably does not do what is meant.
    Warning,
}

/// What was found. The code is its name in kebab case (`never-watches`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is explained where it is found, and by its message")]
pub enum Code {
    NegatedName,
    LiteralWildcard,
    StarNeedsMore,
    NoPatterns,
    AlwaysTrue,
    RoleInMatch,
    TagLabel,
    OwnKindAsRelated,
    ResourceOfOtherKind,
    RoleAndIdDisagree,
    StateContradictsName,
    UnreachableThreshold,
    CountWithoutWindow,
    ThresholdBelowOne,
    ThresholdTooHigh,
    NeverWatches,
    RequireTooMany,
    NoChildren,
    NoTime,
    ChildOutlastsParent,
    NotConsecutive,
    MissesForEach,
    SelfTrigger,
    SameAsOther,
    NoActions,
    NeverResolves,
    MissingConnection,
    WrongConnectionKind,
    MissingBlock,
    MissingAutomation,
    UnknownVariable,
    NameNeverSeen,
    LabelNeverSeen,
    RoleNeverSeen,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The automation.
    pub automation: AutomationId,
    /// Its name.
    pub name: String,
    /// Where in its definition.
    pub path: Vec<PathPart>,
    /// What kind of finding.
    pub code: Code,
    /// How sure.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub suggestion: String,
}

/// Everything found in these automations, in their order.
#[must_use]
pub fn lint(automations: &[Automation], context: &LintContext) -> Vec<Finding> {
    let ids: BTreeSet<AutomationId> = automations.iter().map(|automation| automation.id).collect();
    let mut findings: Vec<Vec<Finding>> =
        automations.iter().map(|automation| alone(automation, &ids, context)).collect();
    for (index, finding) in twins::find(automations) {
        findings[index].push(finding);
    }
    findings.into_iter().flatten().collect()
}

/// What is found in one automation, which may be new or edited, beside others. Those with its id are left out.
#[must_use]
pub fn lint_one(automation: &Automation, others: &[Automation], context: &LintContext) -> Vec<Finding> {
    let ids: BTreeSet<AutomationId> = others.iter().chain([automation]).map(|automation| automation.id).collect();
    let mut findings = alone(automation, &ids, context);
    findings.extend(twins::find_one(automation, others));
    findings
}

/// What is found in an automation by itself.
fn alone(automation: &Automation, ids: &BTreeSet<AutomationId>, context: &LintContext) -> Vec<Finding> {
    let mut notes = Notes { automation, findings: Vec::new() };
    trigger(&automation.spec.trigger, &mut vec!["trigger".into()], &mut notes, context);
    echo::check(&mut notes);
    actions::check(&mut notes, ids, context);
    notes.findings
}

fn trigger(trigger: &Trigger, path: &mut Vec<PathPart>, notes: &mut Notes<'_>, context: &LintContext) {
    match trigger {
        Trigger::Event(event) => {
            let leaf = Leaf { trigger: event, path };
            names::check(&leaf, notes);
            labels::check(&leaf, notes);
            counting::check_event(&leaf, notes);
            if let Some(seen) = &context.seen {
                seen::check(seen, &leaf, notes);
            }
        }
        Trigger::Metric(metric) => labels::check_plain(&metric.matches, &metric.match_related, path, notes),
        Trigger::Consecutive(consecutive) => {
            labels::check_plain(&consecutive.matches, &consecutive.match_related, path, notes);
        }
        Trigger::Compound(_) | Trigger::Sequence(_) => counting::check_composite(trigger, path, notes),
    }
    for (index, child) in trigger.children().iter().enumerate() {
        path.extend(["triggers".into(), index.into()]);
        self::trigger(child, path, notes, context);
        path.truncate(path.len() - 2);
    }
}

/// An event trigger, and where it stands.
struct Leaf<'a> {
    trigger: &'a EventTrigger,
    path: &'a [PathPart],
}

impl Leaf<'_> {
    fn at(&self, field: &str) -> Vec<PathPart> {
        at(self.path, &[field.into()])
    }
}

/// A path with these steps behind it.
fn at(path: &[PathPart], steps: &[PathPart]) -> Vec<PathPart> {
    [path, steps].concat()
}

/// What is found in one automation.
struct Notes<'a> {
    automation: &'a Automation,
    findings: Vec<Finding>,
}

impl Notes<'_> {
    fn error(&mut self, code: Code, path: Vec<PathPart>, message: impl Into<String>, suggestion: impl Into<String>) {
        self.findings.push(finding(self.automation, code, Severity::Error, path, message, suggestion));
    }

    fn warning(&mut self, code: Code, path: Vec<PathPart>, message: impl Into<String>, suggestion: impl Into<String>) {
        self.findings.push(finding(self.automation, code, Severity::Warning, path, message, suggestion));
    }

    fn is_prefect(&self) -> bool {
        self.automation.semantics == Semantics::Prefect
    }
}

fn finding(
    automation: &Automation,
    code: Code,
    severity: Severity,
    path: Vec<PathPart>,
    message: impl Into<String>,
    suggestion: impl Into<String>,
) -> Finding {
    Finding {
        automation: automation.id,
        name: automation.spec.name.clone(),
        path,
        code,
        severity,
        message: message.into(),
        suggestion: suggestion.into(),
    }
}
