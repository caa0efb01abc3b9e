//! What an automation is: its trigger, its actions, how it is evaluated.
//!
//! The types are Prefect's vocabulary (`prefect.server.events.schemas.automations`), serialised as its API gives them
//! (normalised: defaults written out, `within` in seconds). Invariants: durations are never negative, except that
//! Prefect takes a negative `within` of a composite; a composite has its children in the order written. Checking what a user sends is [`super::request`]'s job.

use super::action::ActionSpec;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Identity of an automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AutomationId(pub Uuid);

impl fmt::Display for AutomationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AutomationId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// A trigger and what to do when it fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Automation {
    /// Identity; stays through edits.
    pub id: AutomationId,
    /// What people wrote.
    #[serde(flatten)]
    pub spec: AutomationSpec,
    /// How the trigger is evaluated.
    pub semantics: Semantics,
    /// Who keeps it.
    pub origin: Origin,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last edited.
    pub updated: Timestamp,
    /// Edits so far, from 1.
    pub version: u32,
}

/// What people write: the body of Prefect's `POST /automations/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutomationSpec {
    /// Name for people.
    pub name: String,
    /// Longer text for people.
    pub description: String,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// Tags.
    pub tags: Vec<String>,
    /// When it fires.
    pub trigger: Trigger,
    /// What is done whenever it fires, and (as in Prefect) when it resolves.
    pub actions: Vec<ActionSpec>,
    /// What is done when it fires.
    pub actions_on_trigger: Vec<ActionSpec>,
    /// What is done when its condition clears.
    pub actions_on_resolve: Vec<ActionSpec>,
    /// The resource that owns it (`prefect.deployment.…`), so that it goes when the owner goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_resource: Option<String>,
}

/// How triggers are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Semantics {
    /// Exactly as Prefect answers.
    Prefect,
    /// With what hurts there mended; see the page "Coming from Prefect".
    Trackside,
}

/// Who keeps an automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Made and edited through the API or the page.
    Api,
    /// Written in the configuration; edits come from there only.
    Files,
}

/// When an automation fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Trigger {
    /// Events came, or did not come.
    Event(EventTrigger),
    /// Some of several triggers fired.
    Compound(CompoundTrigger),
    /// Several triggers fired in this order.
    Sequence(SequenceTrigger),
    /// A figure over runs is beyond a bound. Not in Prefect's open server.
    Metric(MetricTrigger),
    /// Runs of a pipeline failed several times in a row. Not in Prefect.
    Consecutive(ConsecutiveTrigger),
}

/// Patterns on labels: all labels must match, each by at least one of its patterns.
pub type ResourceSpec = BTreeMap<String, Patterns>;

/// Alternatives for one label. Serialises as Prefect keeps it: one pattern as a string, else a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Patterns {
    /// One pattern.
    One(String),
    /// Any of these; none matches nothing.
    Any(Vec<String>),
}

impl Patterns {
    /// The alternatives.
    #[must_use]
    pub fn alternatives(&self) -> &[String] {
        match self {
            Self::One(pattern) => std::slice::from_ref(pattern),
            Self::Any(patterns) => patterns,
        }
    }
}

/// What related resources must be there. Serialises as it was written: an object, or a list of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RelatedSpec {
    /// One resource that satisfies all of it.
    One(ResourceSpec),
    /// For each entry a resource that satisfies all of it.
    All(Vec<ResourceSpec>),
}

impl RelatedSpec {
    /// The entries.
    #[must_use]
    pub fn specs(&self) -> &[ResourceSpec] {
        match self {
            Self::One(spec) => std::slice::from_ref(spec),
            Self::All(specs) => specs,
        }
    }
}

impl Default for RelatedSpec {
    fn default() -> Self {
        Self::One(ResourceSpec::new())
    }
}

/// Whether a trigger waits for events or for their absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Posture {
    /// Fires when enough events came.
    Reactive,
    /// Fires when too few events came in time.
    Proactive,
}

impl Posture {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reactive => "Reactive",
            Self::Proactive => "Proactive",
        }
    }
}

/// A trigger on events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventTrigger {
    /// Labels of the event's resource.
    #[serde(rename = "match")]
    pub matches: ResourceSpec,
    /// Labels of its related resources.
    pub match_related: RelatedSpec,
    /// Event names that open a window.
    pub after: BTreeSet<String>,
    /// Event names that count; empty: every event.
    pub expect: BTreeSet<String>,
    /// Labels by whose values state is kept apart.
    pub for_each: BTreeSet<String>,
    /// Waits for events or for their absence.
    pub posture: Posture,
    /// How many. Prefect takes 0 and negative numbers as well.
    pub threshold: i64,
    /// The window; zero: none.
    #[serde(with = "seconds")]
    pub within: SignedDuration,
}

/// How many children of a compound trigger must fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Require {
    /// By name.
    Word(RequireWord),
    /// So many.
    Count(u32),
}

/// `any` or `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequireWord {
    /// One.
    Any,
    /// All.
    All,
}

impl Require {
    /// The number out of `children`.
    #[must_use]
    pub fn count(self, children: usize) -> usize {
        match self {
            Self::Word(RequireWord::Any) => 1,
            Self::Word(RequireWord::All) => children,
            Self::Count(count) => count as usize,
        }
    }
}

/// Several triggers, some of which must fire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompoundTrigger {
    /// The children.
    pub triggers: Vec<Trigger>,
    /// In this time; absent: no bound.
    #[serde(with = "seconds::option")]
    pub within: Option<SignedDuration>,
    /// How many.
    pub require: Require,
}

/// Several triggers that must fire in the order written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequenceTrigger {
    /// The children.
    pub triggers: Vec<Trigger>,
    /// In this time; absent: no bound.
    #[serde(with = "seconds::option")]
    pub within: Option<SignedDuration>,
}

/// A bound on a figure over runs, in the shape of Prefect Cloud's metric trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricTrigger {
    /// Labels of the run's resource; `pipeline`, `source`, `owner` and the labels of its events.
    #[serde(rename = "match")]
    pub matches: ResourceSpec,
    /// Labels of related resources.
    pub match_related: RelatedSpec,
    /// Labels by whose values figures are kept apart; empty: one figure over all.
    pub for_each: BTreeSet<String>,
    /// The bound.
    pub metric: MetricQuery,
}

/// A figure, and the bound that must not be passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricQuery {
    /// Which figure.
    pub name: Metric,
    /// Fires while `figure operator threshold`.
    pub operator: Comparison,
    /// The bound, in the figure's unit.
    pub threshold: f64,
    /// Runs that ended in this time count.
    #[serde(with = "seconds")]
    pub range: SignedDuration,
    /// It must hold for so long.
    #[serde(with = "seconds")]
    pub firing_for: SignedDuration,
}

/// Figures over the runs that ended in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Share of runs that succeeded, 0 to 1.
    Successes,
    /// Mean duration in seconds.
    Duration,
    /// Mean time from when a run should have started to its start, in seconds.
    Lateness,
    /// Number of runs.
    Count,
}

/// How a figure is compared with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// Less.
    #[serde(rename = "<")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Greater.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal.
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

/// So many failed runs of one pipeline in a row; a success clears it. Skipped and cancelled runs count as nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsecutiveTrigger {
    /// How many, at least 1.
    pub count: u32,
    /// Labels of the run's resource, as for [`MetricTrigger`].
    #[serde(rename = "match")]
    pub matches: ResourceSpec,
    /// Labels of related resources.
    pub match_related: RelatedSpec,
}

impl Trigger {
    /// The `type` in JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Compound(_) => "compound",
            Self::Sequence(_) => "sequence",
            Self::Metric(_) => "metric",
            Self::Consecutive(_) => "consecutive",
        }
    }

    /// The children of a composite, else none.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        match self {
            Self::Compound(compound) => &compound.triggers,
            Self::Sequence(sequence) => &sequence.triggers,
            Self::Event(_) | Self::Metric(_) | Self::Consecutive(_) => &[],
        }
    }
}

/// A duration as seconds with a fraction, to the microsecond, as Python's `timedelta.total_seconds()` gives it.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "exact below 285 years, as in Python")]
pub fn seconds_of(duration: SignedDuration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

/// Durations as seconds with a fraction, as Prefect's JSON has them.
mod seconds {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(super::seconds_of(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        SignedDuration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }

    pub(super) mod option {
        use jiff::SignedDuration;
        use serde::{Deserialize, Deserializer, Serializer};

        #[allow(clippy::ref_option, reason = "serde's signature")]
        pub(in super::super) fn serialize<S: Serializer>(
            value: &Option<SignedDuration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<SignedDuration>, D::Error> {
            let seconds: Option<f64> = Option::deserialize(deserializer)?;
            seconds
                .map(|seconds| SignedDuration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom))
                .transpose()
        }
    }
}
