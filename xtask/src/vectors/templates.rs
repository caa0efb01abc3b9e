//! Vectors of kind `templates`: texts, each checked as when an automation is saved and rendered in one context.
//!
//! Invariant: a rejected text counts as rejected, never as rendered; a `volatile` error may differ in its words only.

use super::{Case, timeline};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use trackside_core::automation::definition::AutomationId;
use trackside_core::automation::firing::{EventRef, Firing, FiringState};
use trackside_core::automation::template::{self, Dialect, Object, TemplateContext};
use trackside_core::event::Event;
use uuid::Uuid;

/// A file of this kind.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    t0: Timestamp,
    context: Context,
    vectors: Vec<Vector>,
}

/// What the texts were rendered with.
#[derive(Debug, Deserialize)]
struct Context {
    event: Value,
    automation: Value,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    firing: FiringFacts,
    ui_url: Option<String>,
    /// Objects of the far end, by their name in templates; the flow run is `flow_run_from_api`.
    #[serde(flatten)]
    objects: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct FiringFacts {
    triggered: Timestamp,
    #[serde(default)]
    trigger_states: Vec<FiringState>,
}

#[derive(Debug, Deserialize)]
struct Vector {
    template: String,
    rendered: Option<String>,
    render_error: Option<String>,
    /// Prefect's message, or only that there was one.
    rejected_at_save: Option<Value>,
    #[serde(default)]
    volatile: bool,
    #[serde(default)]
    without_event: bool,
}

/// What became of a text.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Rejected(String),
    Rendered(String),
    Failed(String),
}

pub(crate) fn run(file: &File) -> Vec<Case> {
    let received = file.context.event["received"].as_str().and_then(|received| received.parse().ok());
    let event = match timeline::event(&file.context.event, received) {
        Ok(event) => event,
        Err(why) => return vec![Case::new("the context", Err(why))],
    };
    file.vectors.iter().map(|vector| Case::new(&vector.template, compare(vector, file, &event))).collect()
}

fn compare(vector: &Vector, file: &File, event: &Event) -> Result<(), String> {
    let got = outcome(vector, file, event);
    let is_same = match (&got, &vector.rendered, &vector.render_error, &vector.rejected_at_save) {
        (Outcome::Rendered(got), Some(wanted), None, None) => got == wanted,
        (Outcome::Failed(got), None, Some(wanted), None) => got == wanted || vector.volatile,
        // Recorded as the error of a request, with the field's name before it, or as the message alone.
        (Outcome::Rejected(got), None, None, Some(Value::String(wanted))) => {
            wanted == got || wanted.ends_with(&format!("is not a valid template: {got}")) || vector.volatile
        }
        (Outcome::Rejected(_), None, None, Some(Value::Bool(true))) => true,
        _ => false,
    };
    if is_same {
        return Ok(());
    }
    let wanted = (&vector.rendered, &vector.render_error, &vector.rejected_at_save);
    Err(format!("got {got:?}, wanted (rendered, error, rejected) {wanted:?}"))
}

fn outcome(vector: &Vector, file: &File, event: &Event) -> Outcome {
    if let Err(error) = template::check(&vector.template) {
        return Outcome::Rejected(error.message().to_owned());
    }
    let context = &file.context;
    let event = (!vector.without_event).then_some(event);
    let firing = Firing {
        automation: AutomationId(Uuid::nil()),
        trigger: String::new(),
        state: context.firing.trigger_states.first().copied().unwrap_or(FiringState::Triggered),
        at: context.firing.triggered,
        due: None,
        labels: context.labels.clone(),
        event: event.map(|event| EventRef { id: event.id, seq: 1 }),
        children: Vec::new(),
        because: String::new(),
    };
    let objects = Object::ALL.into_iter().filter_map(|object| {
        let name = if object == Object::FlowRun { "flow_run_from_api" } else { object.name() };
        Some((object, context.objects.get(name)?.clone()))
    });
    let rendered = template::render(
        &vector.template,
        &TemplateContext {
            dialect: Dialect::Prefect,
            now: file.t0,
            automation: &context.automation,
            event,
            firing: &firing,
            events: event.map(std::slice::from_ref).unwrap_or_default(),
            objects: &objects.collect(),
            more: &Map::new(),
            ui_url: context.ui_url.as_deref(),
        },
    );
    match rendered {
        Ok(text) => Outcome::Rendered(text),
        Err(error) => Outcome::Failed(error.reason()),
    }
}
