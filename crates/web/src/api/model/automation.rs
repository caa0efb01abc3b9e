//! Automations, their firings and their history in the API.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use trackside_core::automation::definition::{Automation, Origin, Semantics};
use trackside_core::automation::firing::{EventRef, Firing, FiringState};
use trackside_store::firings::{Activity, FiringDay, FiringRow};
use utoipa::ToSchema;
use uuid::Uuid;

/// Days of figures that are shown.
pub(crate) const DAYS: u16 = 14;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// An automation and how it does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Automation)]
pub(crate) struct AutomationOut {
    /// Identity; stays through edits.
    pub(crate) id: Uuid,
    /// Name.
    pub(crate) name: String,
    /// Longer text.
    pub(crate) description: String,
    /// Whether it is evaluated.
    pub(crate) enabled: bool,
    /// Tags.
    pub(crate) tags: Vec<String>,
    /// `trackside`, or `prefect`: exactly as Prefect evaluates it.
    #[schema(value_type = String)]
    pub(crate) semantics: Semantics,
    /// `api`, or `files`: kept in the configuration and edited there only.
    #[schema(value_type = String)]
    pub(crate) origin: Origin,
    /// Kind of its trigger: `event`, `compound`, `sequence`, `metric`, `consecutive`.
    pub(crate) trigger: String,
    /// Edits so far, from 1.
    pub(crate) version: u32,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it was last edited, paused or resumed.
    pub(crate) updated: Timestamp,
    /// When it last fired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_fired: Option<Timestamp>,
    /// The last 14 days (UTC), oldest first.
    pub(crate) days: Vec<FiringDayOut>,
    /// How much is probably wrong with it. Lists look at each automation by itself, without the others.
    pub(crate) findings: usize,
}

/// How often an automation fired on one day (UTC).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FiringDay)]
pub(crate) struct FiringDayOut {
    /// When the day began.
    pub(crate) from: Timestamp,
    /// How often its condition was met.
    pub(crate) fired: u64,
    /// How often its condition cleared.
    pub(crate) resolved: u64,
}

impl AutomationOut {
    /// An automation with its figures up to `now`.
    pub(crate) fn new(automation: &Automation, activity: Option<&Activity>, findings: usize, now: Timestamp) -> Self {
        let spec = &automation.spec;
        Self {
            id: automation.id.0,
            name: spec.name.clone(),
            description: spec.description.clone(),
            enabled: spec.enabled,
            tags: spec.tags.clone(),
            semantics: automation.semantics,
            origin: automation.origin,
            trigger: spec.trigger.kind().to_owned(),
            version: automation.version,
            created: automation.created,
            updated: automation.updated,
            last_fired: activity.and_then(|activity| activity.last_triggered),
            days: days(activity.map_or(&[], |activity| &activity.days), now),
            findings,
        }
    }
}

/// Every day of the last [`DAYS`], those without a firing too.
pub(crate) fn days(fired: &[FiringDay], now: Timestamp) -> Vec<FiringDayOut> {
    let seconds = DAY.as_secs();
    let today = now.as_second().div_euclid(seconds);
    let day = |back: i64| {
        let from = Timestamp::from_second((today - back) * seconds).unwrap_or(Timestamp::MIN);
        let found = fired.iter().find(|day| day.from == from);
        FiringDayOut {
            from,
            fired: found.map_or(0, |day| day.triggered),
            resolved: found.map_or(0, |day| day.resolved),
        }
    };
    (0..i64::from(DAYS)).rev().map(day).collect()
}

/// An automation with what people wrote.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AutomationDetail)]
pub(crate) struct AutomationDetailOut {
    /// What it is and how it does.
    #[serde(flatten)]
    pub(crate) automation: AutomationOut,
    /// The whole definition, with every default: Prefect's JSON.
    #[schema(value_type = Object)]
    pub(crate) spec: Value,
    /// The definition as the configuration's section `automations` holds it, without what need not be said.
    pub(crate) yaml: String,
}

/// A firing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Firing)]
pub(crate) struct FiringOut {
    /// Position; pass as `before` to go on.
    pub(crate) position: u64,
    /// Log entry that caused it.
    pub(crate) seq: u64,
    /// What fired, and why.
    #[serde(flatten)]
    pub(crate) firing: FiredOut,
    /// What each action became.
    pub(crate) actions: Vec<String>,
    /// Deliveries that it led to.
    pub(crate) deliveries: Vec<Uuid>,
    /// Incident that it opened, joined or resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<Uuid>,
}

/// That a condition was met, or cleared, and by what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fired)]
pub(crate) struct FiredOut {
    /// The automation.
    pub(crate) automation: Uuid,
    /// `Triggered` or `Resolved`.
    #[schema(value_type = String)]
    pub(crate) state: FiringState,
    /// When it was decided.
    pub(crate) at: Timestamp,
    /// When it was due, if that passed while nothing was running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Timestamp>,
    /// The condition with its values.
    pub(crate) because: String,
    /// `for_each` labels with the values it fired for.
    pub(crate) labels: BTreeMap<String, String>,
    /// The event that completed it, or the last one seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<EventRefOut>,
    /// Every event that took part, in order.
    pub(crate) events: Vec<EventRefOut>,
}

/// An event in the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventRef)]
pub(crate) struct EventRefOut {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its position.
    pub(crate) seq: u64,
}

impl From<EventRef> for EventRefOut {
    fn from(event: EventRef) -> Self {
        Self { id: event.id.0, seq: event.seq }
    }
}

impl From<&Firing> for FiredOut {
    fn from(firing: &Firing) -> Self {
        Self {
            automation: firing.automation.0,
            state: firing.state,
            at: firing.at,
            due: firing.due,
            because: firing.because.clone(),
            labels: firing.labels.clone(),
            event: firing.event.map(EventRefOut::from),
            events: firing.events().into_iter().map(EventRefOut::from).collect(),
        }
    }
}

impl From<&FiringRow> for FiringOut {
    fn from(row: &FiringRow) -> Self {
        let record = &row.record;
        Self {
            position: row.position,
            seq: record.seq,
            firing: FiredOut::from(&record.firing),
            actions: record.actions.clone(),
            deliveries: record.deliveries.iter().map(|delivery| delivery.0).collect(),
            incident: record.incident.map(|incident| incident.0),
        }
    }
}

/// One row of an automation's history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AutomationEdit)]
pub(crate) struct EditOut {
    /// Position; pass as `before` to go on.
    pub(crate) position: u64,
    /// Version of the automation.
    pub(crate) version: u32,
    /// When.
    pub(crate) at: Timestamp,
    /// Who.
    pub(crate) subject: String,
    /// How they came in: `token`, `session`, `rules`, `cli`.
    pub(crate) via: String,
    /// `created`, `edited` or `deleted`.
    pub(crate) kind: &'static str,
    /// What changed since the version before, line by line of its YAML; only what changed, with a few lines around it.
    pub(crate) lines: Vec<LineOut>,
}

/// One line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DiffLine)]
pub(crate) struct LineOut {
    /// `same`, `added`, `removed`, or `gap` where lines that are the same are left out.
    pub(crate) change: &'static str,
    /// The line.
    pub(crate) text: String,
}
