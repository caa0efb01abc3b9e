//! What a batch of inputs led to: the one value that is committed together with the cursor.

use crate::approval::request::{Approval, Grant};
use crate::automation::definition::{Automation, AutomationId};
use crate::automation::edit::{Cell, FiringRecord, SenderClock};
use crate::caller::Caller;
use crate::duty::absence::Absence;
use crate::duty::schedule::Override;
use crate::effect::Effect;
use crate::event::{Event, Severity};
use crate::ids::{EventId, IncidentId, Seq};
use crate::incident::{Alert, AlertKey, Incident};
use crate::job::run::{JobRun, digest};
use crate::pipeline::Pipeline;
use crate::ruleset::Ruleset;
use crate::ruleset::noise::{PlannedWork, Silence};
use crate::run::{Attempt, Name, Run, RunKey};
use crate::state::CanaryTest;
use crate::timer::{Timer, TimerKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Everything one decided batch changes. Committed atomically with `cursor`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The last log entry decided.
    pub cursor: Seq,
    /// State as it is now, one entry per changed entity, last value only.
    pub changes: Vec<Change>,
    /// Rows for the outbox.
    pub effects: Vec<Effect>,
    /// Rows for the audit trail.
    pub audit: Vec<AuditEntry>,
    /// Why, for each input that a rule looked at.
    pub explanations: Vec<Explanation>,
    /// Firings of automations.
    pub firings: Vec<FiringRecord>,
    /// Events that the decision itself is (`prefect.automation.triggered`); they enter the log with the commit.
    pub emitted: Vec<Event>,
    /// Pages of escalations.
    pub pages: Vec<PageRecord>,
    /// Alerts that began to fire.
    pub fired: Vec<AlertFired>,
    /// How late senders are; stored whenever the cursor is.
    pub sender_clock: Option<SenderClock>,
}

impl Decision {
    /// True when only the cursor moved.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.changes.is_empty()
            && self.effects.is_empty()
            && self.audit.is_empty()
            && self.explanations.is_empty()
            && self.firings.is_empty()
            && self.emitted.is_empty()
            && self.pages.is_empty()
            && self.fired.is_empty()
    }
}

/// One changed entity with its new value.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "short-lived, moved once")]
pub enum Change {
    /// Upsert by key.
    Run(Run),
    /// Upsert by key.
    Attempt(Attempt),
    /// A further name of a run or attempt: (source, alias) → run, and the attempt's place when it is one.
    Alias(Alias),
    /// Upsert by key.
    Pipeline(Pipeline),
    /// Upsert by key.
    Alert(Alert),
    /// The alert and its streak are gone.
    AlertGone(AlertKey),
    /// Upsert by id.
    Incident(Incident),
    /// Upsert by key.
    Timer(Timer),
    /// The timer is gone.
    TimerGone(TimerKey),
    /// The rules in force.
    Ruleset(Box<Ruleset>),
    /// Counters that number things for people.
    Counters(Counters),
    /// Upsert by id, and one more row of its history.
    Automation(Box<AutomationChange>),
    /// The automation and its state are gone; its history stays.
    AutomationGone {
        /// Which.
        id: AutomationId,
        /// Who removed it.
        by: Caller,
        /// When.
        at: Timestamp,
    },
    /// Upsert by key, or gone.
    AutomationCell(Cell),
    /// Upsert by id.
    Override(Override),
    /// The override was taken back.
    OverrideGone {
        /// Which.
        id: Uuid,
        /// When.
        at: Timestamp,
    },
    /// Upsert by id. One that was ended early ends when it was ended.
    Silence(Silence),
    /// Upsert by id.
    Maintenance(Box<PlannedWork>),
    /// The window was ended.
    MaintenanceGone {
        /// Which.
        id: Uuid,
        /// When.
        at: Timestamp,
    },
    /// Upsert by id.
    JobRun(Box<JobRun>),
    /// Upsert by id.
    Approval(Box<Approval>),
    /// Upsert by id.
    Grant(Grant),
    /// The grant was revoked or is over.
    GrantGone {
        /// Which.
        id: Uuid,
        /// When.
        at: Timestamp,
    },
    /// Upsert by person.
    Absence(Absence),
    /// The person is back.
    AbsenceOver(String),
    /// Upsert by connection.
    Canary(CanaryTest),
    /// The connection is no longer tested.
    CanaryGone(String),
}

/// Somebody was paged, or nobody was there to be: one row per target of a step, and per later contact of a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageRecord {
    /// Log entry that caused it.
    pub seq: Seq,
    /// Position among the pages of that entry, from 0.
    pub ordinal: u32,
    /// Which incident.
    pub incident: IncidentId,
    /// Which life of it (`Incident.reopened`).
    pub life: u32,
    /// When it was decided.
    pub at: Timestamp,
    /// When it was due.
    pub due: Timestamp,
    /// Repetition of the policy, from 0.
    pub cycle: u32,
    /// Step of the policy, from 0.
    pub step: u32,
    /// Whom the step is for (`oncall:primary`).
    pub target: String,
    /// Owning team.
    pub team: String,
    /// How severe.
    pub severity: Severity,
    /// The person, when one was paged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// True when this was outside the person's working hours (Monday to Friday, 09:00 to 17:00 in their zone).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_hours: bool,
    /// Rows of the outbox that carry it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<crate::ids::DeliveryId>,
    /// Why nobody was reached, or what else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// An alert began to fire. It may be over before the batch is: its alert is not among the changes then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertFired {
    /// Log entry that caused it.
    pub seq: Seq,
    /// When it was decided.
    pub at: Timestamp,
    /// Which alert.
    pub key: AlertKey,
    /// How bad.
    pub severity: Severity,
    /// The incident it fires in.
    pub incident: IncidentId,
}

/// An automation as it is after an edit.
#[derive(Clone, Debug, PartialEq)]
pub struct AutomationChange {
    /// The automation.
    pub automation: Automation,
    /// Who edited it.
    pub by: Caller,
}

/// A further name of a run or attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Source the name is used in.
    pub source: Name,
    /// The name.
    pub alias: Name,
    /// The run it means.
    pub run: RunKey,
    /// (task, map index, try) when it means an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<(Name, i32, u32)>,
}

/// Counters that number things for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Incidents opened so far.
    pub incidents: u64,
    /// Approvals asked for so far.
    #[serde(default)]
    pub approvals: u64,
}

/// One row of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Log entry that caused it.
    pub seq: Seq,
    /// Position among the rows of that entry, from 0.
    pub ordinal: u32,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub caller: Caller,
    /// What: `incident.opened`, `incident.reopened`, `incident.affects`, `incident.suppressed`, `incident.released`,
    /// `incident.acknowledged`, `incident.unacknowledged`, `incident.snoozed`, `incident.retriggered`,
    /// `incident.escalated`, `incident.reassigned`, `incident.merged`, `incident.noted`, `incident.resolved`,
    /// `alert.fired`, `alert.suppressed`, `alert.cleared`, `escalation.begun`, `page.decided`, `notify.decided`,
    /// `delivery.delivered`, `delivery.dead`, `delivery.superseded`, `storm.digest`, `rules.changed`,
    /// `command.refused`, `test.sent`, and those of what is planned (`silence.put`, `maintenance.began`, …).
    pub action: String,
    /// One line for people.
    pub summary: String,
    /// Incident it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// Event that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Delivery it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<crate::ids::DeliveryId>,
    /// Run of a job it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Uuid>,
    /// What it is about (`job:load_orders`, `route:orders`), and on what authority.
    #[serde(flatten)]
    pub detail: AuditDetail,
}

/// What an audit row says beside who, what and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDetail {
    /// What was acted on: `route:orders`, `job:load_orders`, `connection:pd`, `token:airflow`, `configuration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What came of it: `done`, `refused`, `failed`, `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why it was allowed or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Policies that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// SHA-256 of what was changed, as it was, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// SHA-256 of what was changed, as it is, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Approval it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Uuid>,
    /// When it began, for what took time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Timestamp>,
    /// Further facts by name: `method`, `path`, `status`, `client`, `request_id`, `guard`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl AuditDetail {
    /// About one thing: `token:airflow`.
    #[must_use]
    pub fn about(resource: impl Into<String>) -> Self {
        Self { resource: Some(resource.into()), ..Self::default() }
    }

    /// With the digests of what was changed, as it was and as it is: SHA-256 over its JSON with sorted members, hex.
    /// Nothing for what was not there before, or is not there any more.
    #[must_use]
    pub fn changing<T: Serialize>(self, before: Option<&T>, after: Option<&T>) -> Self {
        let digest_of = |value: &T| serde_json::to_value(value).ok().map(|value| digest(&value));
        Self { before: before.and_then(digest_of), after: after.and_then(digest_of), ..self }
    }

    /// With what came of it: `refused`, `failed`, `unknown`.
    #[must_use]
    pub fn came_out(self, outcome: &str) -> Self {
        Self { outcome: Some(outcome.to_owned()), ..self }
    }
}

/// Why an input led to what it led to. The page "Why", the audit and `trackside explain` show this value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Log entry.
    pub seq: Seq,
    /// Event, when the input was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// What the input meant ("final failure of task charge, try 1").
    pub meaning: String,
    /// Owner and the trail that led there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerTrail>,
    /// Each rule that was looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleVerdict>,
    /// Incident it went into or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// What followed ("incident #3 opened", "collected into incident #3", "nothing: a retry will follow").
    pub outcome: String,
}

/// How the owner was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerTrail {
    /// The team.
    pub team: String,
    /// What decided it ("owner `payments` of the event").
    pub because: String,
    /// What was tried before and why it did not decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<String>,
}

/// What one rule said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVerdict {
    /// Rule name.
    pub rule: String,
    /// Whether it fired or cleared.
    pub verdict: Verdict,
    /// The clause that decided, with values ("pipeline `lab_fail` does not match `billing_*`").
    pub because: String,
}

/// Kinds of verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The alert fires (or goes on firing).
    Fires,
    /// The condition holds but not often enough yet.
    Counting,
    /// The alert is cleared.
    Clears,
    /// The rule does not apply.
    Passes,
}
