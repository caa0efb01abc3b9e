//! What the state changes of flow runs and task runs mean.
//!
//! Decided by the label `prefect.state-type`; by the state's name where that label is missing, as on events that people
//! build by hand. Prefect decides about retries before it emits: a run that will be retried is `AwaitingRetry`, so
//! `Failed` and `Crashed` of a flow run are final. Of a task run they are not: when its flow is retried, the same task
//! run runs again, and only the end of the flow run tells. An event that does not name its flow gives no fact: a task
//! alone could belong to any pipeline.

use crate::door::{name, parse_time, text_at, value_at};
use jiff::Timestamp;
use serde_json::{Map, Value};
use trackside_core::event::{Labels, RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use trackside_core::limits;
use trackside_core::run::{AttemptRef, RunReport, RunUpdate, System};

/// The parts of an event that a fact is made of.
pub(super) struct Change<'a> {
    pub(super) event: &'a str,
    pub(super) occurred: Timestamp,
    pub(super) resource: &'a Labels,
    pub(super) related: &'a [Labels],
    pub(super) payload: &'a Map<String, Value>,
}

/// The fact of `prefect.flow-run.<State>` and of the heartbeat that a running flow sends.
pub(super) fn flow_run_fact(change: &Change<'_>, pages: Option<&str>) -> Option<RunUpdate> {
    let state = change.event.strip_prefix("prefect.flow-run.")?;
    let run = change.resource.get(RESOURCE_ID)?.strip_prefix("prefect.flow-run.")?;
    let report = if state == "heartbeat" { RunReport::Alive } else { change.report(state)? };
    Some(RunUpdate { run_id: Some(name(run)), url: page(pages, "flow-run", run), ..change.update(report)? })
}

/// The fact of `prefect.task-run.<State>`.
pub(super) fn task_run_fact(change: &Change<'_>, pages: Option<&str>) -> Option<RunUpdate> {
    let state = change.event.strip_prefix("prefect.task-run.")?;
    let task_run = change.resource.get(RESOURCE_ID)?.strip_prefix("prefect.task-run.")?;
    let flow_run = change.in_role("flow-run")?.get(RESOURCE_ID)?.strip_prefix("prefect.flow-run.")?;
    let mut update = change.update(change.report(state)?)?;
    if update.report == RunReport::Failed {
        update.report = RunReport::FailedMaybeRetry;
    }
    let time = |field| text_at(change.payload.get("task_run")?, &[field]).and_then(parse_time);
    update.started = time("start_time").or(update.started);
    update.ended = if update.ended.is_some() { time("end_time").or(update.ended) } else { None };
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let retries = change.payload.get("task_run").and_then(|run| value_at(run, &["empirical_policy", "retries"]));
    let count = change.resource.get("prefect.run-count").and_then(|count| count.parse().ok());
    update.run_id = Some(name(flow_run));
    update.url = page(pages, "flow-run", flow_run);
    update.log_url = page(pages, "task-run", task_run);
    update.attempt = Some(AttemptRef {
        task: name(&change.task_name()?),
        map_index: None,
        try_number: count.filter(|count| *count > 0),
        retries: retries.and_then(number),
        aliases: vec![name(task_run)],
    });
    Some(update)
}

impl<'a> Change<'a> {
    /// The first related resource in a role.
    fn in_role(&self, role: &str) -> Option<&'a Labels> {
        self.related.iter().find(|related| related.get(RESOURCE_ROLE).is_some_and(|is| is == role))
    }

    fn report(&self, event_state: &str) -> Option<RunReport> {
        let label = |label: &str| self.resource.get(label).map(String::as_str);
        let state = label("prefect.state-name").unwrap_or(event_state);
        let kind = label("prefect.state-type").or_else(|| type_of(state))?;
        Some(match kind {
            "SCHEDULED" if state == "AwaitingRetry" => RunReport::Retrying,
            "SCHEDULED" | "PENDING" => RunReport::Scheduled,
            "RUNNING" => RunReport::Started,
            "COMPLETED" => RunReport::Succeeded,
            "FAILED" | "CRASHED" => RunReport::Failed,
            "CANCELLED" => RunReport::Cancelled,
            // It still runs until it has stopped.
            "CANCELLING" => RunReport::Alive,
            "PAUSED" => RunReport::Retrying,
            _ => return None,
        })
    }

    /// What flow runs and task runs have in common.
    fn update(&self, report: RunReport) -> Option<RunUpdate> {
        let tags = self.tags();
        let ended = matches!(report, RunReport::Succeeded | RunReport::Failed | RunReport::Cancelled);
        Some(RunUpdate {
            system: System::Prefect,
            pipeline: name(self.in_role("flow")?.get(RESOURCE_NAME).filter(|name| !name.is_empty())?),
            run_id: None,
            run_aliases: Vec::new(),
            attempt: None,
            report,
            started: (report == RunReport::Started).then_some(self.occurred),
            ended: ended.then_some(self.occurred),
            nominal: None,
            error: self.error(report),
            owners: owners(&tags),
            tags,
            url: None,
            log_url: None,
            doc: None,
            clear_number: 0,
            rows: None,
            task_states: std::collections::BTreeMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            deadlines: Vec::new(),
        })
    }

    fn error(&self, report: RunReport) -> Option<String> {
        let failed = matches!(report, RunReport::Failed | RunReport::Retrying);
        let message = self.resource.get("prefect.state-message").filter(|message| failed && !message.is_empty())?;
        Some(message.clone())
    }

    fn tags(&self) -> Vec<String> {
        self.related
            .iter()
            .filter(|related| related.get(RESOURCE_ROLE).is_some_and(|role| role == "tag"))
            .filter_map(|related| related.get(RESOURCE_ID)?.strip_prefix("prefect.tag."))
            .filter(|tag| !tag.is_empty())
            .take(limits::LIST_ITEMS)
            .map(name)
            .collect()
    }

    /// The task's name without what Prefect adds to tell its runs apart.
    ///
    /// A task run is called `<task>-<first three characters of its dynamic key>` unless the user names it; then the
    /// task key, `<function>-<hash of its code>`, is what stays the same from run to run.
    fn task_name(&self) -> Option<String> {
        let run_name = self.resource.get(RESOURCE_NAME).map(String::as_str).unwrap_or_default();
        let of_run = |field: &str| text_at(self.payload.get("task_run")?, &[field]);
        if let Some(dynamic_key) = of_run("dynamic_key") {
            let added: String = dynamic_key.chars().take(3).collect();
            if let Some(task) = without_suffix(run_name, &added).or_else(|| without_suffix(run_name, dynamic_key)) {
                return Some(task.to_owned());
            }
        }
        let is_hash =
            |hash: &str| (hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit())) || hash == "unknown";
        if let Some((task, _)) =
            of_run("task_key").and_then(|key| key.rsplit_once('-')).filter(|(_, hash)| is_hash(hash))
        {
            return Some(task.to_owned());
        }
        let is_added = |added: &str| added.len() <= 3 && added.bytes().all(|b| b.is_ascii_hexdigit());
        match run_name.rsplit_once('-') {
            Some((task, added)) if !task.is_empty() && is_added(added) => Some(task.to_owned()),
            _ => Some(run_name.to_owned()).filter(|name| !name.is_empty()),
        }
    }
}

fn without_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    text.strip_suffix(suffix)?.strip_suffix('-').filter(|rest| !rest.is_empty())
}

/// The type of Prefect's own state names.
fn type_of(state: &str) -> Option<&'static str> {
    Some(match state {
        "Scheduled" | "Late" | "AwaitingRetry" | "AwaitingConcurrencySlot" | "Resuming" => "SCHEDULED",
        "Pending" => "PENDING",
        "Running" | "Retrying" => "RUNNING",
        "Completed" | "Cached" | "RolledBack" => "COMPLETED",
        "Failed" | "TimedOut" => "FAILED",
        "Crashed" => "CRASHED",
        "Cancelled" => "CANCELLED",
        "Cancelling" => "CANCELLING",
        "Paused" | "Suspended" => "PAUSED",
        _ => return None,
    })
}

/// Owners from tags `owner:x` and `team:x`.
fn owners(tags: &[String]) -> Vec<String> {
    tags.iter()
        .filter_map(|tag| tag.strip_prefix("owner:").or_else(|| tag.strip_prefix("team:")))
        .filter(|owner| !owner.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Page of a run in Prefect's interface.
fn page(pages: Option<&str>, kind: &str, run: &str) -> Option<String> {
    pages.map(|pages| format!("{pages}/runs/{kind}/{run}"))
}
