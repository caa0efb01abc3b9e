//! Trackside's own event format: `POST /api/v1/events`, one object or an array of them.
//!
//! ```json
//! {"event": "billing.export.failed",
//!  "run": {"pipeline": "billing_export", "run_id": "2026-11-20", "state": "failed", "error": "disk full"}}
//! ```
//!
//! Only `event` is required; everything else has a default, documented at its field. Strict: a field that does not exist
//! is refused with its place and the nearest one that does, because a misspelled field that is silently ignored is
//! noticed at night. Read once, without an intermediate tree except for `payload`.

use crate::door::{Delivered, Reject, array_or_one, labels, name, related, seal, timestamp_or_none, web_address};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use trackside_core::event::{Event, Fact, Labels};
use trackside_core::ids::{EventId, derive};
use trackside_core::limits;
use trackside_core::run::{AttemptRef, RunReport, RunUpdate, System};
use uuid::Uuid;

/// Header that names a request without ids in its events, so that sending it again stores nothing twice
/// (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// An event as sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    /// Identity within the source: a UUID, or any text. Sent again, it is stored once. Default: derived from the
    /// `Idempotency-Key` header, else a new one.
    #[serde(default)]
    id: Option<String>,
    /// Which system sent it. Default: the name of the token.
    #[serde(default)]
    source: Option<String>,
    /// Name, for example `billing.export.failed`.
    event: String,
    /// When it happened. Default: now.
    #[serde(default, deserialize_with = "timestamp_or_none")]
    occurred: Option<Timestamp>,
    /// Labels of what it is about; with `prefect.resource.id`. Default: the run, else the source.
    #[serde(default)]
    resource: Labels,
    /// Labels of what else is involved; each with `prefect.resource.id` and `prefect.resource.role`.
    #[serde(default)]
    related: Vec<Labels>,
    /// Anything.
    #[serde(default)]
    payload: Value,
    /// Id of the event that this one follows.
    #[serde(default)]
    follows: Option<String>,
    /// What it says of a run, if it does.
    #[serde(default)]
    run: Option<Run>,
}

/// What an event says of a run, or of one attempt of a task in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// Pipeline.
    pipeline: String,
    /// Run; the same for everything that happens in it.
    run_id: String,
    /// What happened.
    state: State,
    /// Task, when it is about one.
    #[serde(default)]
    task: Option<String>,
    /// Index of a mapped task.
    #[serde(default)]
    map_index: Option<i32>,
    /// Try of the task, from 1.
    #[serde(default)]
    r#try: Option<u32>,
    /// Start. Default: `occurred` when the state is `running`.
    #[serde(default, deserialize_with = "timestamp_or_none")]
    started: Option<Timestamp>,
    /// End. Default: `occurred` when the state is an end.
    #[serde(default, deserialize_with = "timestamp_or_none")]
    ended: Option<Timestamp>,
    /// Logical or nominal time.
    #[serde(default, deserialize_with = "timestamp_or_none")]
    nominal: Option<Timestamp>,
    /// Error text.
    #[serde(default)]
    error: Option<String>,
    /// Owners, most specific first.
    #[serde(default)]
    owners: Vec<String>,
    /// Tags.
    #[serde(default)]
    tags: Vec<String>,
    /// Rows written.
    #[serde(default)]
    rows: Option<u64>,
    /// Datasets read, as `namespace/name`.
    #[serde(default)]
    inputs: Vec<String>,
    /// Datasets written, as `namespace/name`.
    #[serde(default)]
    outputs: Vec<String>,
    /// Page of the run.
    #[serde(default)]
    url: Option<String>,
    /// Page of the log.
    #[serde(default)]
    log_url: Option<String>,
    /// Documentation of the pipeline.
    #[serde(default)]
    doc: Option<String>,
}

/// What happened to a run or attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Known, not started.
    Scheduled,
    /// Started.
    #[serde(alias = "started")]
    Running,
    /// Still running.
    Alive,
    /// Ended well.
    #[serde(alias = "success")]
    Succeeded,
    /// Failed, finally.
    Failed,
    /// Failed, and will be tried again.
    Retrying,
    /// Ended without doing work, on purpose.
    Skipped,
    /// Stopped by somebody.
    Cancelled,
}

/// Reads one event or an array. `fresh` is a new id from the shell, for events that carry none.
///
/// # Errors
/// 400 for what is not JSON, 413 for too many events, 422 with a JSON pointer for what has the wrong shape.
pub fn parse(delivered: &Delivered<'_>, fresh: Uuid) -> Result<Vec<Event>, Reject> {
    let key = delivered.headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok()).filter(|key| !key.is_empty());
    array_or_one::<Wire>(delivered.body)?
        .into_iter()
        .enumerate()
        .map(|(index, (place, wire))| {
            let source =
                wire.source.as_deref().filter(|source| !source.is_empty()).unwrap_or(delivered.token).to_owned();
            let id = match (&wire.id, key) {
                (Some(id), _) if id.is_empty() => {
                    return Err(Reject::shape(
                        format!("{place}/id"),
                        "`id` must not be empty; leave it out for a new one",
                    ));
                }
                (Some(id), _) => EventId::from_native(&source, id),
                (None, Some(key)) => EventId(derive("native.key", &[&source, key, &index.to_string()])),
                (None, None) if index == 0 => EventId(fresh),
                (None, None) => EventId(derive("native.fresh", &[&fresh.to_string(), &index.to_string()])),
            };
            read(wire, id, source, delivered, &place)
        })
        .collect()
}

fn read(wire: Wire, id: EventId, source: String, delivered: &Delivered<'_>, place: &str) -> Result<Event, Reject> {
    let occurred = wire.occurred.unwrap_or(delivered.received);
    let mut resource = wire.resource;
    let mut others = wire.related;
    if let Some(run) = &wire.run {
        if resource.is_empty() {
            resource = resource_of(&source, run);
        }
        if others.is_empty() {
            others = related_of(&source, run);
        }
    } else if resource.is_empty() {
        resource = labels(format!("source.{source}"), &source);
    }
    let follows = wire.follows.as_deref().map(|follows| EventId::from_native(&source, follows));
    let fact = wire.run.map(|run| update(run, occurred, delivered.team, place)).transpose()?;
    let event = Event {
        id,
        source,
        occurred,
        received: delivered.received,
        event: wire.event,
        resource,
        related: others,
        payload: wire.payload,
        follows,
        fact: fact.map(|update| Fact::Run(Box::new(update))),
    };
    seal(event, place)
}

fn update(run: Run, occurred: Timestamp, team: Option<&str>, place: &str) -> Result<RunUpdate, Reject> {
    let refuse = |field: &str, problem: &str| Err(Reject::shape(format!("{place}/run/{field}"), problem));
    for (field, text) in [("pipeline", &run.pipeline), ("run_id", &run.run_id)] {
        if text.is_empty() || text.len() > limits::NAME_BYTES {
            return refuse(field, &format!("`{field}` must have 1 to {} bytes", limits::NAME_BYTES));
        }
    }
    for (field, datasets) in [("inputs", &run.inputs), ("outputs", &run.outputs)] {
        if datasets.len() > limits::LIST_ITEMS {
            return refuse(field, &format!("`{field}` may name at most {} datasets", limits::LIST_ITEMS));
        }
        let bad = |dataset: &String| !dataset.contains('/') || dataset.len() > limits::NAME_BYTES;
        if let Some(at) = datasets.iter().position(bad) {
            let problem = format!("a dataset is `namespace/name` of at most {} bytes", limits::NAME_BYTES);
            return refuse(&format!("{field}/{at}"), &problem);
        }
    }
    for (field, address) in [("url", &run.url), ("log_url", &run.log_url)] {
        if address.as_deref().is_some_and(|address| web_address(address).is_none()) {
            return refuse(field, &format!("`{field}` must be an absolute http or https address"));
        }
    }
    let attempt = match run.task {
        Some(task) if task.is_empty() || task.len() > limits::NAME_BYTES => {
            return refuse("task", &format!("`task` must have 1 to {} bytes", limits::NAME_BYTES));
        }
        Some(task) => {
            if run.r#try == Some(0) {
                return refuse("try", "`try` counts from 1");
            }
            let map_index = run.map_index.filter(|index| *index >= 0);
            Some(AttemptRef { task, map_index, try_number: run.r#try, retries: None, aliases: Vec::new() })
        }
        None if run.r#try.is_some() || run.map_index.is_some() => {
            return refuse("task", "`task` is missing; `try` and `map_index` say which attempt of which task is meant");
        }
        None => None,
    };
    let report = run.state.report();
    let ended = matches!(run.state, State::Succeeded | State::Failed | State::Skipped | State::Cancelled);
    let mut owners: Vec<String> = team.map(str::to_owned).into_iter().collect();
    owners.extend(run.owners.iter().take(limits::LIST_ITEMS).map(|owner| name(owner)));
    Ok(RunUpdate {
        system: System::Other,
        pipeline: run.pipeline,
        run_id: Some(run.run_id),
        run_aliases: Vec::new(),
        attempt,
        report,
        started: run.started.or((run.state == State::Running).then_some(occurred)),
        ended: run.ended.or(ended.then_some(occurred)),
        nominal: run.nominal,
        error: run.error,
        owners,
        tags: run.tags.iter().take(limits::LIST_ITEMS).map(|tag| name(tag)).collect(),
        url: run.url,
        log_url: run.log_url,
        doc: run.doc,
        clear_number: 0,
        rows: run.rows,
        task_states: std::collections::BTreeMap::new(),
        inputs: run.inputs,
        outputs: run.outputs,
        deadlines: Vec::new(),
    })
}

impl State {
    fn report(self) -> RunReport {
        match self {
            Self::Scheduled => RunReport::Scheduled,
            Self::Running => RunReport::Started,
            Self::Alive => RunReport::Alive,
            Self::Succeeded => RunReport::Succeeded,
            Self::Failed => RunReport::Failed,
            Self::Retrying => RunReport::Retrying,
            Self::Skipped => RunReport::Skipped,
            Self::Cancelled => RunReport::Cancelled,
        }
    }
}

fn run_id(source: &str, run: &Run) -> String {
    format!("run.{source}.{}.{}", run.pipeline, run.run_id)
}

fn resource_of(source: &str, run: &Run) -> Labels {
    match &run.task {
        Some(task) => labels(format!("task-{}.{task}", run_id(source, run)), task),
        None => labels(run_id(source, run), &run.run_id),
    }
}

fn related_of(source: &str, run: &Run) -> Vec<Labels> {
    let mut all = vec![related("pipeline", format!("pipeline.{source}.{}", run.pipeline), &run.pipeline)];
    if run.task.is_some() {
        all.push(related("run", run_id(source, run), &run.run_id));
    }
    let most = limits::RELATED_RESOURCES - all.len();
    all.extend(run.tags.iter().take(most).map(|tag| related("tag", format!("tag.{tag}"), tag)));
    all
}
