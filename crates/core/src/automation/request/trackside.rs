//! Our dialect: the automations of the configuration and of our API.
//!
//! The same fields as Prefect's, and `semantics`. What the API answers beside them (`id`, `created` …) may stand there,
//! so that a definition can be copied from it, and is ignored. Invariants: an unknown field is an error; everything that
//! is wrong is found in one reading.

use super::super::action::ActionSpec;
use super::super::definition::{AutomationSpec, Semantics};
use super::error::{FieldError, PathPart};
use super::object::{Object, Report, WRONG_TYPE, below};
use super::{Written, loops, trackside_action, trackside_trigger};
use crate::limits;
use serde_json::Value;

const FIELDS: &[&str] = &[
    "name",
    "description",
    "enabled",
    "tags",
    "semantics",
    "trigger",
    "actions",
    "actions_on_trigger",
    "actions_on_resolve",
    "owner_resource",
];

/// What the API answers beside the definition.
const ANSWERED: &[&str] = &["id", "created", "updated", "origin", "version"];

/// Reads one automation.
pub(super) fn parse(body: &Value) -> Result<Written, Vec<FieldError>> {
    let mut report = Report::default();
    let written = read(body, &mut report);
    let written = report.finish(written)?;
    match loops::find(&written.spec) {
        Some(found) => Err(vec![FieldError {
            path: vec!["actions".into(), found.action.into()],
            message: found.message().to_owned(),
            suggestion: Some(
                "expect an event that is not of every run, or match a label that its own runs lack".into(),
            ),
            kind: "loop",
            context: None,
        }]),
        None => Ok(written),
    }
}

fn read(body: &Value, report: &mut Report) -> Option<Written> {
    let object = Object::new(body, Vec::new(), "write name:, trigger: and actions:", report)?;
    object.only(&[FIELDS, ANSWERED].concat(), report);
    let name = object.text("name", report);
    let name = object.required(name, "name", "write name: what it is for, in a few words", report);
    check_name(name.as_deref(), &object, report);
    let semantics = match object.choice("semantics", &["trackside", "prefect"], report) {
        Some("prefect") => Semantics::Prefect,
        _ => Semantics::Trackside,
    };
    let trigger = match object.get("trigger") {
        Some(trigger) => trackside_trigger::read(trigger, object.at("trigger"), semantics, report),
        None => {
            object.missing("trigger", "write for example trigger: {expect: [prefect.flow-run.Failed]}", report);
            None
        }
    };
    let spec = AutomationSpec {
        description: object.text("description", report).unwrap_or_default(),
        enabled: object.flag("enabled", report).unwrap_or(true),
        tags: object.texts("tags", report).unwrap_or_default(),
        actions: actions(&object, "actions", report),
        actions_on_trigger: actions(&object, "actions_on_trigger", report),
        actions_on_resolve: actions(&object, "actions_on_resolve", report),
        owner_resource: object.text("owner_resource", report),
        name: name?,
        trigger: trigger?,
    };
    Some(Written { semantics, spec })
}

fn check_name(name: Option<&str>, object: &Object<'_>, report: &mut Report) {
    let Some(name) = name else { return };
    if name.trim().is_empty() {
        report.invalid(object.at("name"), "the name is empty", "write what it is for, in a few words");
    }
    if name.len() > limits::NAME_BYTES {
        let message = format!("a name may have {} bytes, this one has {}", limits::NAME_BYTES, name.len());
        report.invalid(object.at("name"), message, "say more in description:");
    }
}

fn actions(object: &Object<'_>, list: &str, report: &mut Report) -> Vec<ActionSpec> {
    let path: Vec<PathPart> = object.at(list);
    match object.get(list) {
        None => Vec::new(),
        Some(Value::Array(items)) => {
            let read = items.iter().enumerate();
            read.filter_map(|(index, item)| trackside_action::read(item, below(&path, index), report)).collect()
        }
        Some(_) => {
            let example = format!("write {list}: [{{type: page-owner}}]");
            report.add(WRONG_TYPE, path, format!("`{list}` must be a list of actions"), example);
            Vec::new()
        }
    }
}
