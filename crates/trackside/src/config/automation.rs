//! Automations in the configuration: ours in the section `automations`, Prefect's as files of their own.
//!
//! Reading one is [`request::parse`]'s job; here its mistakes and those that the lint finds get file, line and column.
//! Invariants: names are unique among the files, because the identity of an automation is derived from its name.

use super::merge::Origins;
use super::problem::{Problem, Problems, Spot};
use super::read::SourceFile;
use super::{merge, read, read_folder};
use crate::automations::case::{Case, Choice};
use crate::server::WORKSPACE;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use trackside_core::automation::action::{ActionSpec, Via};
use trackside_core::automation::definition::{AutomationId, AutomationSpec, Semantics};
use trackside_core::automation::request::{self, Dialect, FieldError, PathPart};
use trackside_core::ids::derive;

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

/// An automation with what its place says about it.
#[derive(Clone, Debug)]
pub(super) struct Written {
    value: Value,
    dialect: Dialect,
    semantics: Semantics,
}

impl Written {
    /// An entry of the section `automations`.
    pub(super) fn ours(value: Value) -> Self {
        Self { value, dialect: Dialect::Trackside, semantics: Semantics::Trackside }
    }

    /// A body in Prefect's form.
    pub(super) fn prefect(mut value: Value) -> Self {
        if let Value::Object(members) = &mut value {
            for name in SHOWN_BY_PREFECT {
                members.remove(name);
            }
        }
        Self { value, dialect: Dialect::Prefect, semantics: Semantics::Prefect }
    }

    fn parse(&self) -> Result<(AutomationSpec, Semantics), Vec<FieldError>> {
        let mut value = self.value.clone();
        let said = value.as_object_mut().and_then(|members| members.remove("semantics"));
        let semantics = match said {
            None => self.semantics,
            Some(said) => serde_json::from_value(said).map_err(|_| {
                let message = "must be `trackside` or `prefect`".to_owned();
                let path = vec![PathPart::from("semantics")];
                vec![FieldError { path, message, suggestion: None, kind: "literal_error", context: None }]
            })?,
        };
        let ours = || request::parse(&value, Dialect::Trackside);
        let spec = request::parse(&value, self.dialect)
            // Prefect reports what each of its alternatives would have wanted; ours says what is wrong.
            .map_err(|errors| ours().err().unwrap_or(errors))?;
        Ok((spec, semantics))
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
    fn new(spec: AutomationSpec, semantics: Semantics, spot: Spot) -> Self {
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
    for (index, entry) in written.iter().enumerate() {
        let place = format!("automations[{index}]");
        match entry.parse() {
            Ok((spec, semantics)) => {
                let spot = origins.spot(&place);
                if let Some(first) = automations.iter().find(|other| other.spec.name == spec.name) {
                    let problem = format!("an automation `{}` stands twice (first at {})", spec.name, first.spot);
                    problems.push(origins.problem(&format!("{place}.name"), problem));
                }
                automations.push(ConfiguredAutomation::new(spec, semantics, spot));
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
                    problems.push(origins.problem(&place, problem));
                }
            },
            Choice::Inline(entry) => match Written::ours(entry.0.clone()).parse() {
                Ok((spec, semantics)) => {
                    let spot = origins.spot(&place);
                    chosen.push(ConfiguredAutomation::new(spec, semantics, spot));
                }
                Err(errors) => problems.extend(located(&place, errors, origins)),
            },
        }
    }
    if problems.is_empty() { Ok(chosen) } else { Err(problems) }
}

/// Tests with the automations that each is about.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The tests, with where each stands.
    pub cases: Vec<(Spot, Case, Vec<ConfiguredAutomation>)>,
}

/// Reads the tests that stand in a file, or in the files of a folder, with the automations that stand beside them.
/// Nothing else of the folder need be there or be right.
///
/// # Errors
/// Every mistake in the files, the automations and the tests.
pub fn rehearsal(path: &Path) -> Result<Rehearsal, Problems> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let sources = read_folder(here)?;
    rehearsal_of(folder, &sources, |file| path.is_dir() || file == path)
}

fn rehearsal_of(folder: &Path, sources: &[SourceFile], wanted: impl Fn(&Path) -> bool) -> Result<Rehearsal, Problems> {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for source in sources {
        match read::parse(folder, source) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let merged = merge::merge(folder, &files)?;
    let automations = understand(&merged.automations, &merged.origins, &mut problems);
    let mut cases = Vec::new();
    for (index, case) in merged.sections.tests.iter().enumerate() {
        let spot = merged.origins.spot(&format!("tests[{index}]"));
        if !wanted(&spot.file) {
            continue;
        }
        match check_case(index, case, &automations, &merged.origins) {
            Ok(chosen) => cases.push((spot, case.clone(), chosen)),
            Err(mistakes) => problems.extend(mistakes),
        }
    }
    if problems.is_empty() { Ok(Rehearsal { cases }) } else { Err(Problems(problems)) }
}
