//! What is kept of an OpenLineage event beside its fact.
//!
//! Half of an event repeats the other half: source code, operator dumps, schema addresses. Kept are identity, lineage
//! (names of inputs and outputs), what people look for (conf, deadlines, the end of the stack trace), and the other
//! facets as far as they are small; what was left out for its size is named in `omitted`.

use super::run_event::rows_of;
use crate::door::{cut_front, text_at, value_at};
use crate::redact;
use serde_json::{Map, Value, json};
use trackside_core::limits;

/// Largest facet kept, as JSON, in bytes.
const FACET_BYTES: usize = 8 * 1024;
/// Most inputs, and most outputs, kept by name.
const DATASETS: usize = 256;

/// Facets that are in the fact, repeat something, or are kept in another form.
const NOT_KEPT: [&str; 15] = [
    "airflow",
    "airflowDagRun",
    "airflowState",
    "airflow_mappedTask",
    "documentation",
    "errorMessage",
    "jobType",
    "nominalTime",
    "ownership",
    "parent",
    "parentRun",
    "sourceCode",
    "sourceCodeLocation",
    "tags",
    "unknownSourceAttribute",
];

/// The payload of an event.
pub(super) fn slim(mut body: Value) -> Value {
    let mut payload = Map::new();
    let mut omitted = Vec::new();
    for field in ["eventType", "producer"] {
        if let Some(value) = body.get_mut(field) {
            payload.insert(field.to_owned(), value.take());
        }
    }
    payload.extend(["job", "dataset"].iter().filter_map(|part| identity(&body, part)));
    payload.extend(run(&body));
    for field in ["inputs", "outputs"] {
        let datasets = body.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !datasets.is_empty() {
            payload.insert(field.to_owned(), datasets.iter().take(DATASETS).map(dataset).collect());
        }
        if datasets.len() > DATASETS {
            omitted.push(format!("{} more {field}", datasets.len() - DATASETS));
        }
    }
    for part in ["run", "job", "dataset"] {
        let facets = body.get_mut(part).and_then(|part| part.get_mut("facets")).map(Value::take);
        let facets = kept_facets(facets.unwrap_or_default(), &mut omitted);
        if !facets.is_empty() {
            payload.insert(format!("{part}_facets"), Value::Object(facets));
        }
    }
    if !omitted.is_empty() {
        payload.insert("omitted".to_owned(), json!(omitted));
    }
    Value::Object(payload)
}

fn identity(body: &Value, part: &str) -> Option<(String, Value)> {
    let namespace = text_at(body, &[part, "namespace"])?;
    let name = text_at(body, &[part, "name"])?;
    Some((part.to_owned(), json!({"namespace": namespace, "name": name})))
}

/// What a run event says about its run, in Airflow's words where it is Airflow's.
fn run(body: &Value) -> Map<String, Value> {
    let mut kept = Map::new();
    let mut keep = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|value| !is_empty(value)) {
            kept.insert(name.to_owned(), value);
        }
    };
    let Some(run) = body.get("run") else {
        return kept;
    };
    let facet = |path: &[&str]| value_at(run, &["facets"]).and_then(|facets| value_at(facets, path));
    keep("run_id", run.get("runId").cloned());
    let parent = facet(&["parent"]).or_else(|| facet(&["parentRun"]));
    if let Some(parent) = parent {
        keep(
            "parent",
            Some(json!({
                "namespace": value_at(parent, &["job", "namespace"]),
                "name": value_at(parent, &["job", "name"]),
                "run_id": value_at(parent, &["run", "runId"]),
            })),
        );
    }
    let dag_run = facet(&["airflowDagRun", "dagRun"]).or_else(|| facet(&["airflow", "dagRun"]));
    if let Some(dag_run) = dag_run {
        for field in [
            "conf",
            "run_after",
            "triggered_by",
            "triggering_user_name",
            "note",
            "data_interval_start",
            "data_interval_end",
        ] {
            keep(field, dag_run.get(field).cloned());
        }
        keep("deadlines", value_at(dag_run, &["deadlines", "alerts"]).map(deadlines));
    }
    keep("rendered_map_index", facet(&["airflow", "taskInstance", "rendered_map_index"]).cloned());
    keep("tasks_duration", facet(&["airflowState", "tasksDuration"]).cloned());
    keep("error", facet(&["errorMessage", "message"]).cloned());
    // Redacted before it is cut: half a secret would no longer be seen as one.
    let stack = facet(&["errorMessage", "stackTrace"]).and_then(Value::as_str).map(redact::text);
    keep("stack", stack.map(|stack| Value::from(cut_front(&stack, limits::STACK_BYTES))));
    kept
}

/// Airflow's declared deadlines, without the callbacks behind them.
fn deadlines(alerts: &Value) -> Value {
    let alerts = alerts.as_array().map(Vec::as_slice).unwrap_or_default();
    alerts
        .iter()
        .take(limits::LIST_ITEMS)
        .map(|alert| {
            json!({
                "name": alert.get("name"),
                "deadline": alert.get("deadline_time"),
                "interval_s": value_at(alert, &["interval", "__data__"]),
                "missed": alert.get("missed"),
            })
        })
        .collect()
}

fn dataset(dataset: &Value) -> Value {
    let mut kept = json!({"namespace": dataset.get("namespace"), "name": dataset.get("name")});
    if let Some(rows) = rows_of(dataset) {
        kept["rows"] = Value::from(rows);
    }
    kept
}

fn kept_facets(facets: Value, omitted: &mut Vec<String>) -> Map<String, Value> {
    let Value::Object(facets) = facets else {
        return Map::new();
    };
    let mut kept = Map::new();
    for (name, mut facet) in facets {
        if NOT_KEPT.contains(&name.as_str()) {
            continue;
        }
        without_schema(&mut facet);
        let bytes = facet.to_string().len();
        if bytes > FACET_BYTES {
            omitted.push(format!("facet {name} ({bytes} bytes)"));
        } else if !is_empty(&facet) {
            kept.insert(name, facet);
        }
    }
    kept
}

fn without_schema(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| name != "_producer" && name != "_schemaURL");
            members.values_mut().for_each(without_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(without_schema),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
