//! What Airflow's OpenLineage provider means by its events (2.9 with provider 1.8 up to 3.3 with provider 2.20).
//!
//! What it does not say, and what follows from that:
//! - A task's FAIL looks the same whether a retry follows or not. It is final only when the task has no retries, when
//!   the tries of a run that was never cleared are used up, or when a person set it; else the engine holds it.
//! - After a run is cleared its tries go on counting while `retries` does not change: they prove nothing any more.
//! - Events of 2.9 carry the `airflow` facet at a task's START only, and no run id on DAG events: such events are joined
//!   through the OpenLineage run ids, which travel as aliases.
//! - A state set by hand comes without the `airflow` facet: the task is the job name without the DAG's.
//! - Skipped tasks are reported as COMPLETE, killed ones not at all; `airflowState` of the DAG event has the truth.

use super::assets;
use super::run_event::{Phase, RunEvent};
use crate::door::{labels, name, parse_time, related, text_at, value_at};
use serde_json::Value;
use std::collections::BTreeMap;
use trackside_core::event::Labels;
use trackside_core::limits;
use trackside_core::run::{AttemptRef, Deadline, RunReport, RunUpdate, System};

/// Event-name and resource-id prefix of DAG runs.
pub(super) const DAG_RUN: &str = "airflow.dag-run";
const TASK_RUN: &str = "airflow.task-run";

/// What an event of Airflow is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    DagRun,
    TaskRun,
}

impl Subject {
    /// The subject, when the event is Airflow's own about a DAG run or a task. Queries that operators report are not.
    pub(super) fn of(run: &RunEvent<'_>) -> Option<Self> {
        if run.integration().is_some_and(|integration| integration != "AIRFLOW") {
            return None;
        }
        match run.job_facet(&["jobType", "jobType"]).and_then(Value::as_str) {
            Some("DAG") => Some(Self::DagRun),
            Some("TASK") => Some(Self::TaskRun),
            Some(_) => None,
            None if run.run_facet(&["airflowDagRun"]).is_some() => Some(Self::DagRun),
            None if run.run_facet(&["airflow"]).is_some() => Some(Self::TaskRun),
            None => None,
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::DagRun => DAG_RUN,
            Self::TaskRun => TASK_RUN,
        }
    }

    fn facet(self) -> &'static str {
        match self {
            Self::DagRun => "airflowDagRun",
            Self::TaskRun => "airflow",
        }
    }
}

/// The fact; none when the event does not say which run it is about.
pub(super) fn update(run: &RunEvent<'_>, subject: Subject) -> Option<RunUpdate> {
    let facet = run.run_facet(&[subject.facet()]).unwrap_or(&Value::Null);
    let mut update = match subject {
        Subject::DagRun => dag_run(run, facet)?,
        Subject::TaskRun => task_run(run, facet)?,
    };
    update.run_id = text_at(facet, &["dagRun", "run_id"]).map(name);
    update.clear_number = number(facet, &["dagRun", "clear_number"]).unwrap_or(0);
    let logical = ["logical_date", "execution_date"];
    update.nominal = update
        .nominal
        .or_else(|| logical.iter().find_map(|field| text_at(facet, &["dagRun", field]).and_then(parse_time)));
    if update.owners.is_empty() {
        let owner = text_at(facet, &["task", "owner"]).or_else(|| text_at(facet, &["dag", "owner"]));
        update.owners = owner.map(|owners| split(owners, ',')).unwrap_or_default();
    }
    if update.tags.is_empty() {
        update.tags = text_at(facet, &["dag", "tags"]).map(python_list).unwrap_or_default();
    }
    assets::learn(run, facet, &mut update);
    Some(update)
}

fn dag_run(run: &RunEvent<'_>, facet: &Value) -> Option<RunUpdate> {
    let report = match run.phase {
        Phase::Start => RunReport::Started,
        Phase::Running => RunReport::Alive,
        Phase::Complete => RunReport::Succeeded,
        Phase::Fail => RunReport::Failed,
        Phase::Abort => RunReport::Cancelled,
        Phase::Other => return None,
    };
    let dag = text_at(facet, &["dag", "dag_id"]).unwrap_or(run.job);
    let mut update = run.update(System::Airflow, dag, report);
    update.run_aliases = vec![name(run.run_id)];
    update.deadlines = deadlines(facet);
    update.started = text_at(facet, &["dagRun", "start_date"]).and_then(parse_time).or(update.started);
    if run.phase.is_end() {
        update.ended = text_at(facet, &["dagRun", "end_date"]).and_then(parse_time).or(update.ended);
        update.task_states = task_states(run);
    }
    if update.error.as_deref() == Some("task_failure") {
        let failed: Vec<&str> =
            update.task_states.iter().filter(|(_, state)| *state == "failed").map(|(task, _)| task.as_str()).collect();
        if !failed.is_empty() {
            update.error = Some(format!("task_failure: {}", failed.join(", ")));
        }
    }
    Some(update)
}

fn task_run(run: &RunEvent<'_>, facet: &Value) -> Option<RunUpdate> {
    let parent = run.parent();
    let dag = text_at(facet, &["dag", "dag_id"]).or_else(|| parent.map(|parent| parent.job))?;
    let of_job = || run.job.strip_prefix(dag).and_then(|task| task.strip_prefix('.'));
    let task = text_at(facet, &["task", "task_id"]).or_else(of_job)?;
    if parent.is_none() && text_at(facet, &["dagRun", "run_id"]).is_none() {
        return None;
    }
    // Providers up to 1.8 repeat the operator's fields here, also on the events that lack the `airflow` facet.
    let operator = run.run_facet(&["unknownSourceAttribute", "unknownItems"]).and_then(|items| items.get(0));
    let of_operator = operator.and_then(|item| value_at(item, &["properties", "retries"])).and_then(whole);
    let attempt = AttemptRef {
        task: name(task),
        map_index: value_at(facet, &["taskInstance", "map_index"])
            .and_then(Value::as_i64)
            .and_then(|index| i32::try_from(index).ok())
            .filter(|index| *index >= 0),
        try_number: number(facet, &["taskInstance", "try_number"]).filter(|try_number| *try_number > 0),
        retries: number(facet, &["task", "retries"]).or(of_operator),
        aliases: vec![name(run.run_id)],
    };
    let report = match run.phase {
        Phase::Start => RunReport::Started,
        Phase::Running => RunReport::Alive,
        Phase::Complete => RunReport::Succeeded,
        Phase::Fail if is_final(run, facet, &attempt) => RunReport::Failed,
        Phase::Fail => RunReport::FailedMaybeRetry,
        Phase::Abort => RunReport::Cancelled,
        Phase::Other => return None,
    };
    let mut update = run.update(System::Airflow, dag, report);
    update.run_aliases = parent.map(|parent| name(parent.run_id)).into_iter().collect();
    update.log_url = text_at(facet, &["taskInstance", "log_url"]).map(str::to_owned);
    update.url = update.log_url.as_deref().and_then(run_page);
    update.attempt = Some(attempt);
    Some(update)
}

/// True when no retry can follow.
fn is_final(run: &RunEvent<'_>, facet: &Value, attempt: &AttemptRef) -> bool {
    let by_hand = run.run_text(&["errorMessage", "message"]).is_some_and(|message| message.contains("manually set to"));
    let never_cleared = number(facet, &["dagRun", "clear_number"]) == Some(0);
    let used_up = matches!((attempt.try_number, attempt.retries), (Some(number), Some(retries)) if number > retries);
    by_hand || attempt.retries == Some(0) || (never_cleared && used_up)
}

/// The resource and its relatives.
pub(super) fn resources(run: &RunEvent<'_>, subject: Subject, update: Option<&RunUpdate>) -> (Labels, Vec<Labels>) {
    let source = run.namespace;
    let facet = run.run_facet(&[subject.facet()]).unwrap_or(&Value::Null);
    let Some(update) = update else {
        return (labels(format!("{}.{source}.{}.{}", subject.kind(), run.job, run.run_id), run.job), Vec::new());
    };
    let dag = &update.pipeline;
    let run_name = update.run_id.as_ref().or(update.run_aliases.first()).map_or(run.run_id, String::as_str);
    let dag_run = format!("{DAG_RUN}.{source}.{dag}.{run_name}");
    let mut resource = match &update.attempt {
        None => labels(dag_run.clone(), run_name),
        Some(attempt) => {
            let index = attempt.map_index.map(|index| format!(".{index}")).unwrap_or_default();
            labels(format!("{TASK_RUN}.{source}.{dag}.{run_name}.{}{index}", attempt.task), &attempt.task)
        }
    };
    let mut label = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            resource.insert(format!("airflow.{key}"), value);
        }
    };
    label("dag_id", Some(dag.clone()));
    label("run_id", update.run_id.clone());
    label("run_type", text_at(facet, &["dagRun", "run_type"]).map(str::to_owned));
    label("state", Some(run.phase.word().to_owned()));
    label("openlineage_run_id", Some(run.run_id.to_owned()));
    if let Some(attempt) = &update.attempt {
        label("task_id", Some(attempt.task.clone()));
        label("map_index", attempt.map_index.map(|index| index.to_string()));
        label("try_number", attempt.try_number.map(|number| number.to_string()));
        label("operator", text_at(facet, &["task", "operator_class"]).map(str::to_owned));
    }
    let mut all = vec![related("dag", format!("airflow.dag.{source}.{dag}"), dag)];
    if subject == Subject::TaskRun {
        all.push(related("dag-run", dag_run, run_name));
    }
    all.extend(update.tags.iter().map(|tag| related("tag", format!("airflow.tag.{tag}"), tag)));
    all.extend(update.owners.iter().map(|owner| related("owner", format!("airflow.owner.{owner}"), owner)));
    (resource, all)
}

/// Deadlines that the DAG declares (`DeadlineAlert`, Airflow 3.1 and later). One time has one deadline, whatever the
/// number of callbacks that Airflow calls for it.
fn deadlines(facet: &Value) -> Vec<Deadline> {
    let mut all: Vec<Deadline> = Vec::new();
    let alerts = value_at(facet, &["dagRun", "deadlines", "alerts"]).and_then(Value::as_array);
    for alert in alerts.into_iter().flatten().take(limits::LIST_ITEMS) {
        let Some(due) = text_at(alert, &["deadline_time"]).and_then(parse_time) else {
            continue;
        };
        let label = text_at(alert, &["name"]).unwrap_or("deadline");
        match all.iter_mut().find(|known| known.due == due) {
            Some(known) => known.name = name(&format!("{}, {label}", known.name)),
            None => all.push(Deadline { name: name(label), due }),
        }
    }
    all
}

fn task_states(run: &RunEvent<'_>) -> BTreeMap<String, String> {
    let states = run.run_facet(&["airflowState", "tasksState"]).and_then(Value::as_object);
    states.into_iter().flatten().filter_map(|(task, state)| Some((name(task), name(state.as_str()?)))).collect()
}

/// The run's page, from the address of a task's log (`…/dags/D/runs/R/tasks/T?try_number=1`).
fn run_page(log_url: &str) -> Option<String> {
    let run = log_url.find("/runs/")?;
    let task = log_url[run..].find("/tasks/")?;
    Some(log_url[..run + task].to_owned())
}

fn number(value: &Value, path: &[&str]) -> Option<u32> {
    value_at(value, path).and_then(whole)
}

fn whole(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

fn split(text: &str, separator: char) -> Vec<String> {
    text.split(separator).map(str::trim).filter(|part| !part.is_empty()).take(limits::LIST_ITEMS).map(name).collect()
}

/// The texts of a Python list as `repr` prints it: `['tier:1', "team:x"]`.
fn python_list(repr: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = repr;
    while let Some(open) = rest.find(['\'', '"']) {
        let quote = &rest[open..=open];
        let inner = &rest[open + 1..];
        let Some(close) = inner.find(quote) else {
            break;
        };
        texts.push(name(&inner[..close]));
        rest = &inner[close + 1..];
    }
    texts.retain(|text| !text.is_empty());
    texts.truncate(limits::LIST_ITEMS);
    texts
}
