//! The ruleset: the part of the configuration that decisions depend on.
//!
//! It enters the log as an input when it changes, so that a replay decides under the rules that were in force.
//! Invariant: no secret and no address in here. YAML parsing with line numbers is in the `trackside` crate;
//! the types double as the published JSON Schema.

pub mod expect;
pub mod noise;
pub mod people;

use crate::approval::rule::{ApprovalChoice, ApprovalRule, GuardedRoute};
use crate::duty::schedule::Schedule;
use crate::event::Severity;
use crate::job::spec::JobSpec;
use expect::{Expectation, FreshBy, Lateness, RowsUnusual};
use jiff::civil::Date;
use noise::{IncidentSettings, Inhibition, Maintenance, Upstream};
use people::{Person, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything decisions depend on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ruleset {
    /// Teams by name.
    pub teams: BTreeMap<String, Team>,
    /// How the owner of a problem is found.
    pub owners: Owners,
    /// What raises an alert.
    pub rules: Vec<Rule>,
    /// What is known of pipelines beforehand, first match wins per field.
    pub pipelines: Vec<PipelineEntry>,
    /// Names of connections that may be told, with what they are (for defaults). Filled from the connections file.
    pub connections: BTreeMap<String, ConnectionInfo>,
    /// Base address of this server as people reach it, for links in messages. No trailing slash.
    pub public_url: Option<String>,
    /// People by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<String, Person>,
    /// On-call schedules by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, Schedule>,
    /// Escalation policies by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub escalations: BTreeMap<String, Policy>,
    /// Maintenance windows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Maintenance>,
    /// Problems that make messages about others needless.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inhibitions: Vec<Inhibition>,
    /// Named lists of days, for deadlines that leave out holidays.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub calendars: BTreeMap<String, Vec<Date>>,
    /// How alerts become incidents.
    pub incidents: IncidentSettings,
    /// Pipelines that depend on others, where no lineage says it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<Upstream>,
    /// Jobs by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub jobs: BTreeMap<String, JobSpec>,
    /// Rules about agreement that jobs and routes name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<String, ApprovalRule>,
    /// Routes of the gateway that need agreement, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub route_approvals: BTreeMap<String, GuardedRoute>,
    /// Test alerts through real channels, on a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

impl Ruleset {
    /// Every rule about agreement: those with a name, and those of jobs and routes.
    pub fn approval_rules(&self) -> impl Iterator<Item = &ApprovalRule> {
        let of_jobs = self.jobs.values().filter_map(|job| job.approval.as_ref());
        let of_routes = self.route_approvals.values().map(|route| &route.approval);
        let own = of_jobs.chain(of_routes).filter_map(|choice| match choice {
            ApprovalChoice::Own(rule) => Some(rule),
            ApprovalChoice::Named(_) => None,
        });
        self.approvals.values().chain(own)
    }
}

/// Test alerts that show that pages arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Connections to test.
    pub connections: Vec<String>,
    /// How often.
    pub every: Span,
    /// An alarm goes through another channel when a test has not arrived after this time.
    #[serde(default = "canary_timeout")]
    pub timeout: Span,
}

fn canary_timeout() -> Span {
    Span(jiff::SignedDuration::from_mins(2))
}

/// What a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionKind {
    /// PagerDuty Events v2.
    Pagerduty,
    /// Slack incoming webhook or Web API.
    Slack,
    /// Signed generic webhook.
    Webhook,
    /// E-mail over SMTP.
    Email,
    /// A Prefect server that events are read from, and that carries out Prefect's actions.
    Prefect,
    /// An HTTP service that jobs and routes call.
    Http,
    /// An Apache Airflow that is called.
    Airflow,
    /// An Azure App Service that is called and acted on.
    AppService,
}

impl ConnectionKind {
    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pagerduty => "pagerduty",
            Self::Slack => "slack",
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::Prefect => "prefect",
            Self::Http => "http",
            Self::Airflow => "airflow",
            Self::AppService => "app_service",
        }
    }

    /// True when messages can be sent through it.
    #[must_use]
    pub fn can_tell(self) -> bool {
        !matches!(self, Self::Prefect | Self::Http | Self::Airflow | Self::AppService)
    }
}

/// What decisions need to know of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionInfo {
    /// What it leads to.
    pub kind: ConnectionKind,
    /// What it does with news of an incident it was already told of.
    pub updates: Updates,
}

/// What a far end does with news of an incident it was already told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Updates {
    /// Every change is sent: the far end edits its message in place, or is a program.
    Every,
    /// Only a raised severity is sent: every message makes noise there.
    Raised,
}

/// A team that owns pipelines and is told of their problems.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Team {
    /// Other names by which far ends know the team (Airflow owner, tag value).
    pub aliases: Vec<String>,
    /// Whom to tell, in order.
    pub notify: Vec<Notify>,
    /// Escalation policy that begins when an incident opens, beside what `notify` tells at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<String>,
    /// Only incidents of at least this severity are escalated (default: warning).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalate_from: Option<Severity>,
    /// People of the team.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// One way to tell a team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Connection name.
    pub via: String,
    /// Only incidents of at least this severity (default: all).
    #[serde(default = "lowest")]
    pub min_severity: Severity,
    /// Only incidents of at most this severity (default: all).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_severity: Option<Severity>,
}

pub(crate) fn lowest() -> Severity {
    Severity::Info
}

/// How the owner is found: explicit rules, the event's owners, tags, the catalogue, patterns, the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Owners {
    /// The team that owns what nobody else owns.
    pub default: String,
    /// Explicit rules, first match wins, before anything the event says.
    pub rules: Vec<OwnerRule>,
    /// CODEOWNERS-like: glob over `source/pipeline/task`, last match wins.
    pub patterns: Vec<OwnerPattern>,
}

/// An explicit owner rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerRule {
    /// What it applies to.
    #[serde(rename = "match")]
    pub matches: Selector,
    /// The team.
    pub team: String,
}

/// A CODEOWNERS-like line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerPattern {
    /// Glob over `source/pipeline/task`; `*` stays within a segment, `**` does not. `a/b/**` is `a/b` and all in it.
    pub path: String,
    /// The team.
    pub team: String,
}

/// Which pipelines something applies to. Absent fields match everything; globs are case-sensitive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Glob over the source name.
    pub source: Option<String>,
    /// Glob over the pipeline name.
    pub pipeline: Option<String>,
    /// Glob over the task id.
    pub task: Option<String>,
    /// A tag the pipeline must have.
    pub tag: Option<String>,
    /// The tier it must have.
    pub tier: Option<u8>,
    /// The team that must own it.
    pub owner: Option<String>,
}

/// A rule that raises an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique name.
    pub name: String,
    /// What it applies to (default: everything).
    #[serde(default, rename = "match")]
    pub matches: Selector,
    /// The condition.
    pub when: Condition,
    /// Severity; default by tier: 1 critical, 2 error, else warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Escalation policy instead of the owning team's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<String>,
}

/// The condition of a rule. Durations are written as `90s`, `20m`, `1h 30m`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A run, or the final attempt of a task, failed; `consecutive` times in a row (default 1).
    Failed(Failures),
    /// Every pipeline it applies to failed last: one urgent incident, which holds those of its members back.
    AllFailed {
        /// There must be at least so many pipelines.
        #[serde(default = "three")]
        at_least: u32,
    },
    /// A run takes longer than this.
    RunsLongerThan(Span),
    /// No success within this time after the last one (or after the rule came into force).
    Missing {
        /// Time between successes.
        every: Span,
        /// Extra time before the alert.
        #[serde(default)]
        grace: Span,
    },
    /// No success by this local time.
    NotFreshBy(FreshBy),
    /// No run started within a time after a run of another pipeline.
    ExpectedAfter(Expectation),
    /// Events of a source come late.
    LateEvents(Lateness),
    /// A run succeeded but wrote no rows.
    ZeroRows,
    /// A run succeeded but wrote unusually many or few rows, by the pipeline's own history.
    RowsUnusual(RowsUnusual),
    /// Another system's alert came in (PagerDuty-, Alertmanager-compatible doors).
    Reported,
}

fn three() -> u32 {
    3
}

/// How a `failed` rule counts. What is retried, skipped or cancelled counts as nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Failures {
    /// Failures in a row before the alert is raised (default 1). `warn_after` means the same.
    #[serde(alias = "warn_after")]
    pub consecutive: u32,
    /// Which outcomes count.
    pub on: FailedOn,
    /// Failures in a row before the alert is critical, whatever its severity was (default: never).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical_after: Option<u32>,
    /// Successes in a row before the alert is over (default 1). A failure in between starts the count again.
    #[serde(skip_serializing_if = "is_one")]
    pub resolve_after: u32,
    /// Regular expressions for error texts that are known to pass by themselves: the first such failure after a success
    /// is recorded, and told only when the next run fails too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transient: Vec<String>,
    /// How many failures of one pipeline `transient` may keep quiet in an hour; the next one is told (default 3).
    #[serde(skip_serializing_if = "is_usual_budget")]
    pub transient_per_hour: u32,
}

/// Failures that are kept quiet in an hour, when nothing else is said.
const TRANSIENT_PER_HOUR: u32 = 3;

impl Default for Failures {
    fn default() -> Self {
        Self {
            consecutive: 1,
            on: FailedOn::default(),
            critical_after: None,
            resolve_after: 1,
            transient: Vec::new(),
            transient_per_hour: TRANSIENT_PER_HOUR,
        }
    }
}

fn is_one(value: &u32) -> bool {
    *value == 1
}

fn is_usual_budget(value: &u32) -> bool {
    *value == TRANSIENT_PER_HOUR
}

/// Which outcomes a `failed` rule counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailedOn {
    /// Failed runs and final failures of tasks: the earliest news.
    #[default]
    Any,
    /// Failed runs only.
    Run,
    /// Final failures of tasks only.
    Task,
}

/// A weekday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A positive length of time, written as `90s`, `20m`, `1h 30m`, `2d` (a day is 24 hours).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub jiff::SignedDuration);

impl Span {
    /// Whole seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.as_secs()
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a length of time; write for example 90s, 20m, 1h 30m or 2d");
        let span: jiff::Span = text.parse().map_err(|_| bad())?;
        let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
        if duration.is_negative() { Err(bad()) } else { Ok(Self(duration)) }
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time such as 90s, 20m, 1h 30m or 2d",
            "pattern": "^[0-9]"
        })
    }
}

/// What is known of pipelines beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineEntry {
    /// Which pipelines.
    #[serde(rename = "match")]
    pub matches: Selector,
    /// Importance, 1 is the most important.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// Owning team (the catalogue).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where to start when it fails: link or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}
