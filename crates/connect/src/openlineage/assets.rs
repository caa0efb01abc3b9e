//! Airflow's assets as datasets: the inlets and outlets of tasks, and what a DAG is scheduled on.
//!
//! An asset's URI is the dataset's name (`s3://lake/orders` is namespace `s3://lake`, name `orders`). The provider
//! converts only the assets that it has a converter for into `inputs` and `outputs`; the facets have them all.
//! Assets were called datasets before Airflow 3.

use super::run_event::{RunEvent, note};
use crate::door::{text_at, value_at};
use serde_json::Value;
use trackside_core::limits;
use trackside_core::run::RunUpdate;

/// Deepest nesting of a schedule's condition.
const DEPTH: usize = 16;

/// Adds what the facets say to the datasets of an event.
pub(super) fn learn(run: &RunEvent<'_>, facet: &Value, update: &mut RunUpdate) {
    for (field, names) in [("inlets", &mut update.inputs), ("outlets", &mut update.outputs)] {
        let repr = text_at(facet, &["task", field]).unwrap_or_default();
        uris(repr).for_each(|uri| note(names, uri));
    }
    if update.attempt.is_some() {
        return;
    }
    for condition in ["asset_condition", "dataset_condition"] {
        if let Some(condition) = value_at(facet, &["dag", "timetable", condition]) {
            scheduled_on(condition, &mut update.inputs, DEPTH);
        }
    }
    let upstream = run.run_facet(&["jobDependencies", "upstream"]).and_then(Value::as_array);
    for job in upstream.into_iter().flatten().take(limits::LIST_ITEMS) {
        let events = value_at(job, &["airflow", "asset_events"]).and_then(Value::as_array);
        let uris = events.into_iter().flatten().filter_map(|event| text_at(event, &["asset_uri"]));
        uris.take(limits::LIST_ITEMS).for_each(|uri| note(&mut update.inputs, uri));
    }
}

/// The assets of a condition: an asset, or `all` or `any` of some.
fn scheduled_on(condition: &Value, names: &mut Vec<String>, depth: usize) {
    if let Some(uri) = text_at(condition, &["uri"]) {
        note(names, uri);
    }
    let parts = condition.get("objects").and_then(Value::as_array).filter(|_| depth > 0);
    for part in parts.into_iter().flatten().take(limits::LIST_ITEMS) {
        scheduled_on(part, names, depth - 1);
    }
}

/// The URIs in a list of assets as Python's `repr` prints it: `[{'uri': 's3://lake/orders', …}]`, and
/// `[Dataset(uri='s3://lake/orders', …)]` in Airflow 2.
fn uris(repr: &str) -> impl Iterator<Item = &str> {
    repr.match_indices("uri").filter_map(|(place, key)| {
        let rest = &repr[place + key.len()..];
        let value = rest.strip_prefix("':").or_else(|| rest.strip_prefix("\":")).or_else(|| rest.strip_prefix('='))?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let inner = &value[1..];
        inner.split(quote).next().filter(|uri| !uri.is_empty() && uri.len() < inner.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(repr: &str, expect: &[&str]) {
        assert_eq!(uris(repr).collect::<Vec<_>>(), expect, "{repr}");
    }

    #[test]
    fn uris_are_read_from_what_python_prints() {
        check("[]", &[]);
        check("[{'uri': 's3://lake/orders', 'extra': {'owner': 'data-eng'}, 'type': 'asset'}]", &["s3://lake/orders"]);
        check(
            "[Dataset(uri='s3://lake/a', extra=None), Dataset(uri=\"s3://lake/b's\")]",
            &["s3://lake/a", "s3://lake/b's"],
        );
        check("[{'uri': 's3://half", &[]);
        check("uri 'uri': 7, security='x'", &[]);
    }
}
