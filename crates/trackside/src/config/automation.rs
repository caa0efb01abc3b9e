//! Automations in the configuration: ours in the section `automations`, Prefect's as files of their own.
//!
//! Reading one is [`request::parse`]'s job; here its mistakes and those that the lint finds get file, line and column.
//! Invariants: names are unique among the files, because the identity of an automation is derived from its name.

use super::merge::Origins;
use super::problem::{Problem, Spot};
use super::suggestion::nearest;
use crate::automations::case::{Case, Choice};
use crate::server::WORKSPACE;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use trackside_core::automation::action::{ActionSpec, Via};
use trackside_core::automation::definition::{Automation, AutomationId, AutomationSpec, Semantics};
use trackside_core::automation::lint::{self, LintContext, Severity};
use trackside_core::automation::request::{self, Dialect, FieldError, PathPart};
use trackside_core::ids::derive;
use trackside_core::ruleset::ConnectionInfo;

/// The schema of what people write; the types of the core are what is made of it.
const SCHEMA: &str = include_str!("automation.schema.json");

/// What Prefect's API adds to an automation when it shows it. It says nothing about what the automation does.
const SHOWN_BY_PREFECT: [&str; 5] = ["id", "created", "updated", "account", "workspace"];

/// An automation as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AutomationEntry(pub Value);

impl JsonSchema for AutomationEntry {
    fn schema_name() -> Cow<'static, str> {
        "Automation".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // The file is ours and a test reads it; a schema of anything goes would be the only other answer.
        let mut parts: BTreeMap<String, Value> = serde_json::from_str(SCHEMA).unwrap_or_default();
        let automation = parts.remove("Automation").and_then(|part| Schema::try_from(part).ok()).unwrap_or_default();
        generator.definitions_mut().extend(parts);
        automation
    }
}

/// An automation as written, in the form that its place says.
#[derive(Clone, Debug)]
pub(super) enum Written {
    /// An entry of the section `automations`.
    Ours(Value),
    /// A file, or an entry of a list that is a file: the body that Prefect's API takes.
    Prefect(Value),
}

impl Written {
    /// What a file holds that has `name` and `trigger` at its top. One that chooses its semantics is in our form.
    pub(super) fn file(mut value: Value) -> Self {
        if value.get("semantics").is_some() {
            return Self::Ours(value);
        }
        if let Value::Object(members) = &mut value {
            for name in SHOWN_BY_PREFECT {
                members.remove(name);
            }
        }
        Self::Prefect(value)
    }

    fn parse(&self) -> Result<request::Written, Vec<FieldError>> {
        let value = match self {
            Self::Ours(value) => return request::parse_written(value),
            Self::Prefect(value) => value,
        };
        let semantics = Semantics::Prefect;
        match request::parse(value, Dialect::Prefect) {
            Ok(spec) => Ok(request::Written { semantics, spec }),
            // Ours takes more (a metric of Prefect Cloud), and what it refuses it explains better.
            Err(_) => request::parse_written(value).map(|written| request::Written { semantics, ..written }),
        }
    }
}

/// An automation of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredAutomation {
    /// Its identity.
    pub id: AutomationId,
    /// What was written.
    pub spec: AutomationSpec,
    /// How its trigger is evaluated.
    pub semantics: Semantics,
    /// Where it stands.
    pub spot: Spot,
}

impl ConfiguredAutomation {
    fn new(written: request::Written, spot: Spot) -> Self {
        let request::Written { spec, semantics } = written;
        let id = AutomationId(derive("automation", &[WORKSPACE, &spec.name]));
        Self { id, spec, semantics, spot }
    }

    /// Whether one of its actions goes through this connection.
    #[must_use]
    pub fn uses(&self, connection: &str) -> bool {
        let lists = [&self.spec.actions, &self.spec.actions_on_trigger, &self.spec.actions_on_resolve];
        lists.into_iter().flatten().any(|action| through(action) == Some(connection))
    }
}

/// The connection that an action names.
fn through(action: &ActionSpec) -> Option<&str> {
    match action {
        ActionSpec::SendNotification { via: Via::Connection { connection }, .. }
        | ActionSpec::CallWebhook { via: Via::Connection { connection }, .. }
        | ActionSpec::NotifyChannel { connection, .. }
        | ActionSpec::TriggerDag { connection, .. }
        | ActionSpec::ClearTask { connection, .. }
        | ActionSpec::StartBuild { connection, .. } => Some(connection),
        _ => None,
    }
}

/// Understands the automations of a folder.
pub(super) fn understand(
    written: &[Written],
    origins: &Origins<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<ConfiguredAutomation> {
    let mut automations: Vec<ConfiguredAutomation> = Vec::new();
    let mut named: BTreeMap<String, Spot> = BTreeMap::new();
    for (index, entry) in written.iter().enumerate() {
        let place = format!("automations[{index}]");
        match entry.parse() {
            Ok(written) => {
                let (name, spot) = (written.spec.name.clone(), origins.spot(&place));
                if let Some(first) = named.get(&name) {
                    let problem = format!("an automation `{name}` stands twice (first at {first})");
                    problems.push(origins.problem(&format!("{place}.name"), problem));
                }
                named.entry(name).or_insert_with(|| spot.clone());
                automations.push(ConfiguredAutomation::new(written, spot));
            }
            Err(errors) => problems.extend(located(&place, errors, origins)),
        }
    }
    automations
}

/// The mistakes of one automation, each once.
fn located(place: &str, errors: Vec<FieldError>, origins: &Origins<'_>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors {
        let path = format!("{place}{}", path(error.written()));
        let mut problem = origins.problem(&path, error.message);
        problem.suggestion = error.suggestion.or(problem.suggestion);
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

/// `.trigger.match.prefect.resource.id[0]`
fn path<'a>(parts: impl Iterator<Item = &'a PathPart>) -> String {
    parts
        .map(|part| match part {
            PathPart::Index(index) => format!("[{index}]"),
            PathPart::Key(key) => format!(".{key}"),
            PathPart::Member(_) => String::new(),
        })
        .collect()
}

/// What the lint says of automations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What cannot do what it says.
    pub errors: Vec<Problem>,
    /// What probably does not do what is meant.
    pub warnings: Vec<Problem>,
}

/// Finds what is wrong with automations that can be read.
pub(super) fn lint(
    automations: &[ConfiguredAutomation],
    connections: &BTreeMap<String, ConnectionInfo>,
    origins: &Origins<'_>,
) -> Findings {
    let connections = connections.iter().map(|(name, info)| (name.clone(), info.kind)).collect();
    let context = LintContext { connections, ..LintContext::default() };
    let made: Vec<Automation> = automations.iter().map(|one| one.automation(Timestamp::UNIX_EPOCH)).collect();
    let mut found = Findings::default();
    for finding in lint::lint(&made, &context) {
        let place = automations.iter().position(|one| one.id == finding.automation).unwrap_or_default();
        let path = format!("automations[{place}]{}", path(finding.path.iter()));
        let problem = origins.problem(&path, format!("`{}`: {}", finding.name, finding.message));
        let problem = Problem { suggestion: Some(finding.suggestion).filter(|text| !text.is_empty()), ..problem };
        match finding.severity {
            Severity::Error => found.errors.push(problem),
            Severity::Warning => found.warnings.push(problem),
        }
    }
    found
}

/// Checks that a test can be run: times are in order, the automations it names exist, events are acceptable. Gives the
/// automations that it is about.
pub(super) fn check_case(
    index: usize,
    case: &Case,
    automations: &[ConfiguredAutomation],
    origins: &Origins<'_>,
) -> Result<Vec<ConfiguredAutomation>, Vec<Problem>> {
    let place = format!("tests[{index}]");
    if let Err(mistake) = case.script() {
        return Err(vec![origins.problem(&format!("{place}.{}", mistake.path), mistake.problem)]);
    }
    chosen(case, automations, &place, origins)
}

/// The automations that a test is about.
fn chosen(
    case: &Case,
    automations: &[ConfiguredAutomation],
    place: &str,
    origins: &Origins<'_>,
) -> Result<Vec<ConfiguredAutomation>, Vec<Problem>> {
    let Some(choices) = &case.automations else { return Ok(automations.to_vec()) };
    let mut chosen = Vec::new();
    let mut problems = Vec::new();
    for (index, choice) in choices.iter().enumerate() {
        let place = format!("{place}.automations[{index}]");
        match choice {
            Choice::Name(name) => match automations.iter().find(|automation| automation.spec.name == *name) {
                Some(automation) => chosen.push(automation.clone()),
                None => {
                    let names: Vec<&str> = automations.iter().map(|automation| automation.spec.name.as_str()).collect();
                    let problem = format!("there is no automation `{name}`; declared are {}", names.join(", "));
                    let suggestion = nearest(name, names);
                    problems.push(Problem { suggestion, ..origins.problem(&place, problem) });
                }
            },
            Choice::Inline(entry) => match request::parse_written(&entry.0) {
                Ok(written) => chosen.push(ConfiguredAutomation::new(written, origins.spot(&place))),
                Err(errors) => problems.extend(located(&place, errors, origins)),
            },
        }
    }
    if problems.is_empty() { Ok(chosen) } else { Err(problems) }
}
