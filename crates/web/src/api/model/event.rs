//! Events, explanations and the audit trail in the API.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use trackside_core::decision::{Explanation, OwnerTrail, RuleVerdict, Verdict};
use trackside_store::log::LoggedEvent;
use utoipa::ToSchema;
use uuid::Uuid;

/// An event as it was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventOut {
    /// Position in the log.
    pub(crate) seq: u64,
    /// Identity; with `source` the key of idempotent intake.
    pub(crate) id: Uuid,
    /// Which far end sent it.
    pub(crate) source: String,
    /// When it happened, by the sender's clock.
    pub(crate) occurred: Timestamp,
    /// When Trackside accepted it.
    pub(crate) received: Timestamp,
    /// Name of the event.
    pub(crate) event: String,
    /// Labels of the resource it is about.
    pub(crate) resource: BTreeMap<String, String>,
    /// Labels of other resources involved.
    pub(crate) related: Vec<BTreeMap<String, String>>,
    /// Free-form content, redacted.
    #[schema(value_type = Object)]
    pub(crate) payload: Value,
    /// The event it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) follows: Option<Uuid>,
    /// What the door understood of it: a run update, a report or a message.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    pub(crate) fact: Value,
}

impl From<&LoggedEvent> for EventOut {
    fn from(logged: &LoggedEvent) -> Self {
        let event = &logged.event;
        Self {
            seq: logged.seq,
            id: event.id.0,
            source: event.source.clone(),
            occurred: event.occurred,
            received: event.received,
            event: event.event.clone(),
            resource: event.resource.clone(),
            related: event.related.clone(),
            payload: event.payload.clone(),
            follows: event.follows.map(|id| id.0),
            fact: serde_json::to_value(&event.fact).unwrap_or_default(),
        }
    }
}

/// Why an entry of the log led to what it led to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplanationOut {
    /// Position in the log.
    pub(crate) seq: u64,
    /// Event, when the entry was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<Uuid>,
    /// What the entry meant.
    pub(crate) meaning: String,
    /// Owner and the trail that led there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<OwnerOut>,
    /// What each rule said.
    pub(crate) rules: Vec<RuleOut>,
    /// Incident it went into or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<Uuid>,
    /// What followed.
    pub(crate) outcome: String,
}

/// How the owner was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnerOut {
    /// The team.
    pub(crate) team: String,
    /// What decided it.
    pub(crate) because: String,
    /// What was tried before and why it did not decide.
    pub(crate) passed_over: Vec<String>,
}

/// What one rule said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleOut {
    /// Rule name.
    pub(crate) rule: String,
    /// `fires`, `counting`, `clears` or `passes`.
    #[schema(value_type = String)]
    pub(crate) verdict: Verdict,
    /// The clause that decided, with values.
    pub(crate) because: String,
}

impl From<&Explanation> for ExplanationOut {
    fn from(why: &Explanation) -> Self {
        let rule = |verdict: &RuleVerdict| RuleOut {
            rule: verdict.rule.clone(),
            verdict: verdict.verdict,
            because: verdict.because.clone(),
        };
        let owner = |trail: &OwnerTrail| OwnerOut {
            team: trail.team.clone(),
            because: trail.because.clone(),
            passed_over: trail.passed_over.clone(),
        };
        Self {
            seq: why.seq,
            event: why.event.map(|id| id.0),
            meaning: why.meaning.clone(),
            owner: why.owner.as_ref().map(owner),
            rules: why.rules.iter().map(rule).collect(),
            incident: why.incident.map(|id| id.0),
            outcome: why.outcome.clone(),
        }
    }
}
