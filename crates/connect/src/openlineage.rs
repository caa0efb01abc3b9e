//! OpenLineage 2-0-2 (<https://openlineage.io/spec/2-0-2/OpenLineage.json>): run, job and dataset events.
//!
//! Lenient on facets, because real producers break their own schemas; strict only on what identity needs: the job's
//! namespace and name, the run id, the time. Airflow's runs and tasks are understood in [`airflow`]; every other
//! producer's runs are pipelines of their own, named by their job.
//!
//! Identity of an event: (namespace, run id, type) for the START of a run or task, because deferrable Airflow tasks send
//! it twice; with the event time for everything else, because an outcome may be changed later (a run marked failed by
//! hand) and a cleared DAG run may start again under the same run id. A client's retry has the same body, so the same id.

mod airflow;
mod assets;
mod payload;
mod run_event;

use crate::door::{Delivered, Reject, array_or_one, labels, name, parse_time, pointer, related, seal, text_at};
use run_event::{Phase, RunEvent};
use serde_json::Value;
use trackside_core::event::{Event, Fact, Labels};
use trackside_core::ids::{EventId, derive};
use trackside_core::limits;
use trackside_core::run::{RunReport, RunUpdate, System};

/// Reads one OpenLineage event, or an array of them (`/lineage/batch`).
///
/// The source of an event is its job's namespace. Job and dataset events carry no fact.
///
/// # Errors
/// 400 for what is not JSON, 413 for more than [`crate::door::EVENTS_PER_REQUEST`] events, 422 for an event without
/// identity. One bad event refuses the whole body, so that the sender sees it.
pub fn parse(delivered: &Delivered<'_>) -> Result<Vec<Event>, Reject> {
    array_or_one::<Value>(delivered.body)?
        .into_iter()
        .map(|(place, body)| {
            let event = read(body, delivered).map_err(|reject| reject.within(&place))?;
            seal(event, &place)
        })
        .collect()
}

fn read(body: Value, delivered: &Delivered<'_>) -> Result<Event, Reject> {
    if !body.is_object() {
        return Err(Reject::shape("", "an OpenLineage event is a JSON object"));
    }
    let time = text_at(&body, &["eventTime"]).ok_or_else(|| missing(&["eventTime"]))?;
    let time = parse_time(time).ok_or_else(|| {
        Reject::shape("/eventTime", "`eventTime` is not a time; write it as RFC 3339, for example 2026-11-20T16:31:56Z")
    })?;
    let event = |id, source: &str, event: String, resource, related: Vec<Labels>, fact: Option<RunUpdate>| Event {
        id: EventId(id),
        source: name(source),
        occurred: time,
        received: delivered.received,
        event,
        resource,
        related: related.into_iter().take(limits::RELATED_RESOURCES).collect(),
        payload: Value::Null,
        follows: None,
        fact: fact.map(|update| Fact::Run(Box::new(update))),
    };
    let mut event = if body.get("run").is_some() {
        let run = RunEvent::read(&body, time)?;
        let (kind, resource, related, mut update) = describe(&run);
        if let (Some(team), Some(update)) = (delivered.team, &mut update) {
            update.owners.insert(0, team.to_owned());
        }
        event(
            run_event_id(&run, kind),
            run.namespace,
            format!("{kind}.{}", run.phase.word()),
            resource,
            related,
            update,
        )
    } else if body.get("job").is_some() {
        let (namespace, job) = names(&body, "job")?;
        let id = derive("openlineage.job", &[namespace, job, &time.to_string()]);
        let resource = labels(format!("openlineage.job.{namespace}.{job}"), job);
        event(id, namespace, "openlineage.job".to_owned(), resource, Vec::new(), None)
    } else if body.get("dataset").is_some() {
        let (namespace, dataset) = names(&body, "dataset")?;
        let id = derive("openlineage.dataset", &[namespace, dataset, &time.to_string()]);
        let resource = labels(format!("openlineage.dataset.{namespace}.{dataset}"), dataset);
        event(id, namespace, "openlineage.dataset".to_owned(), resource, Vec::new(), None)
    } else {
        return Err(Reject::shape("", "an OpenLineage event has `run` and `job`, or `job`, or `dataset`"));
    };
    event.payload = payload::slim(body);
    Ok(event)
}

/// Resource kind, resource, related resources and fact of a run event.
fn describe(run: &RunEvent<'_>) -> (&'static str, Labels, Vec<Labels>, Option<RunUpdate>) {
    match airflow::Subject::of(run) {
        Some(subject) => {
            let update = airflow::update(run, subject);
            let (resource, related) = airflow::resources(run, subject, update.as_ref());
            (subject.kind(), resource, related, update)
        }
        None => (OTHER_RUN, other_resource(run), other_related(run), other_update(run)),
    }
}

const OTHER_RUN: &str = "openlineage.run";

fn run_event_id(run: &RunEvent<'_>, kind: &str) -> uuid::Uuid {
    let time = match run.phase {
        Phase::Start if kind != airflow::DAG_RUN => String::new(),
        _ => run.time.to_string(),
    };
    derive("openlineage.run", &[run.namespace, run.run_id, run.phase.word(), &time])
}

fn other_update(run: &RunEvent<'_>) -> Option<RunUpdate> {
    let report = match run.phase {
        Phase::Start => RunReport::Started,
        Phase::Running => RunReport::Alive,
        Phase::Complete => RunReport::Succeeded,
        Phase::Fail => RunReport::Failed,
        Phase::Abort => RunReport::Cancelled,
        // "Additional information", also after the end: it says nothing about the state.
        Phase::Other => return None,
    };
    Some(RunUpdate { run_id: Some(name(run.run_id)), ..run.update(System::Openlineage, run.job, report) })
}

fn other_resource(run: &RunEvent<'_>) -> Labels {
    let mut resource = labels(run_resource_id(run.namespace, run.job, run.run_id), run.job);
    resource.insert("openlineage.namespace".to_owned(), run.namespace.to_owned());
    resource.insert("openlineage.job".to_owned(), run.job.to_owned());
    resource.insert("openlineage.run_id".to_owned(), run.run_id.to_owned());
    if let Some(integration) = run.integration() {
        resource.insert("openlineage.integration".to_owned(), integration.to_owned());
    }
    resource
}

fn other_related(run: &RunEvent<'_>) -> Vec<Labels> {
    let mut all = vec![related("pipeline", format!("openlineage.job.{}.{}", run.namespace, run.job), run.job)];
    if let Some(parent) = run.parent() {
        let id = run_resource_id(parent.namespace, parent.job, parent.run_id);
        all.push(related("parent-run", id, parent.job));
    }
    all.extend(run.tags().iter().map(|tag| related("tag", format!("openlineage.tag.{tag}"), tag)));
    all.extend(run.owners().iter().map(|owner| related("owner", format!("openlineage.owner.{owner}"), owner)));
    all
}

fn run_resource_id(namespace: &str, job: &str, run_id: &str) -> String {
    format!("openlineage.run.{namespace}.{job}.{run_id}")
}

/// Namespace and name of a job or dataset.
fn names<'a>(body: &'a Value, of: &str) -> Result<(&'a str, &'a str), Reject> {
    let part = |field: &str| text_at(body, &[of, field]).ok_or_else(|| missing(&[of, field]));
    Ok((part("namespace")?, part("name")?))
}

fn missing(path: &[&str]) -> Reject {
    Reject::shape(pointer(path), &format!("`{}` is missing; it must be a non-empty text", path.join(".")))
}
