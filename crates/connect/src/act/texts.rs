//! What the texts of an action are rendered from, gathered when it is carried out.
//!
//! Events come from the log, objects from the Prefect server that the event came from, as far as texts name them. What
//! that server does not give is made up from the event's labels, and a note says so: a late or thin message is better
//! than none.

use super::target::Basis;
use super::{Job, objects, order, prefect};
use crate::connection::{Connection, Target};
use crate::sender::Sender;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::act::Act;
use trackside_core::automation::action::ActionSpec;
use trackside_core::automation::template::{
    self, Dialect, Object, TemplateContext, TemplateError, render, render_value, synthesise,
};
use trackside_core::event::Event;
use trackside_core::notice::Notice;

/// Everything that rendering needs.
#[derive(Debug)]
pub(super) struct Material<'a> {
    /// What targets are inferred from.
    pub(super) basis: Basis<'a>,
    /// When the action was decided.
    pub(super) decided: Timestamp,
    /// What people should know about the texts.
    pub(super) notes: Vec<String>,
    dialect: Dialect,
    now: Timestamp,
    automation: Value,
    events: &'a [Event],
    objects: BTreeMap<Object, Value>,
    more: Map<String, Value>,
    pages: Option<&'a str>,
}

/// Gathers it.
pub(super) async fn gather<'a, S: Sender>(sender: &S, job: &Job<'a>, act: &'a Act) -> Material<'a> {
    let event = act.firing.event.and_then(|wanted| job.events.iter().find(|event| event.id == wanted.id));
    let mut notes = Vec::new();
    let gone = act.firing.events().len().saturating_sub(job.events.len());
    if gone > 0 {
        notes.push(format!("{gone} of the events that led to this are no longer in the log"));
    }
    let wanted = wanted(&act.action);
    let mut objects = event.filter(|_| !wanted.is_empty()).map(synthesise).unwrap_or_default();
    if let (Some(event), Some((name, api))) = (event, job.origin.and_then(prefect_api))
        && !wanted.is_empty()
    {
        let found = objects::ask(sender, &api, event, &wanted, job.timeout).await;
        notes.extend(found.missing.iter().map(|(object, why)| {
            format!("`{}` is made up from the event, because `{name}` could not be asked for it: {why}", object.name())
        }));
        objects.extend(found.objects);
    }
    let dialect = Dialect::from(act.automation.semantics);
    Material {
        basis: Basis { firing: &act.firing, event },
        decided: job.effect.at,
        notes,
        dialect,
        now: job.now,
        automation: json!(act.automation),
        events: job.events,
        objects,
        more: if dialect == Dialect::Trackside { more(&job.effect.notice) } else { Map::new() },
        pages: job.pages,
    }
}

impl Material<'_> {
    /// A text with its templates filled in.
    pub(super) fn text(&self, text: &str) -> Result<String, String> {
        render(text, &self.context()).map_err(|error| reason(&error))
    }

    /// Values with the templates in their texts filled in; a text that is one expression keeps its type.
    pub(super) fn values(&self, values: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        match render_value(&Value::Object(values.clone()), &self.context()).map_err(|error| reason(&error))? {
            Value::Object(values) => Ok(values),
            _ => Err("the parameters are no object any more after rendering".to_owned()),
        }
    }

    fn context(&self) -> TemplateContext<'_> {
        TemplateContext {
            dialect: self.dialect,
            now: self.now,
            automation: &self.automation,
            event: self.basis.event,
            firing: self.basis.firing,
            events: self.events,
            objects: &self.objects,
            more: &self.more,
            ui_url: self.pages,
        }
    }
}

/// As Prefect says it, with the line where it is known.
fn reason(error: &TemplateError) -> String {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    format!("{}{line}", error.reason())
}

/// The objects that the texts of an action name.
fn wanted(action: &ActionSpec) -> BTreeSet<Object> {
    let mut wanted: BTreeSet<Object> = order::templates(action).into_iter().flat_map(template::wants).collect();
    if let ActionSpec::RunDeployment { parameters: Some(parameters), .. } = action
        && parameters.values().any(has_variable)
    {
        wanted.insert(Object::Variables);
    }
    wanted
}

/// Whether a parameter is, or contains, a typed reference to a variable.
fn has_variable(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_variable),
        Value::Object(fields) => {
            fields.get("__prefect_kind").is_some_and(|kind| kind == "workspace_variable")
                || fields.values().any(has_variable)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn prefect_api(connection: &Connection) -> Option<(&str, prefect::Api<'_>)> {
    match &connection.target {
        Target::Prefect { api, auth } => Some((&connection.name, prefect::Api { base: api, auth: auth.as_ref() })),
        _ => None,
    }
}

/// What only our own automations can name.
fn more(notice: &Notice) -> Map<String, Value> {
    let parts = [
        ("run", json!(notice.run)),
        ("pipeline", json!(notice.pipeline)),
        ("incident", json!(notice.incident)),
        ("owner", json!(notice.owner)),
    ];
    parts.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}
