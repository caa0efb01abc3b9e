//! Prefect's own filters: addresses of its pages, the flow run that a text names, and numbers for people.
//!
//! Sources: `prefect/server/events/jinja_filters.py`, `prefect/utilities/urls.py`.

use super::context::{Dialect, TemplateContext};
use super::error::raise;
use super::humanize;
use super::moment::Moment;
use super::object::{Record, Resource};
use super::text_filters::soft;
use minijinja::{Environment, Error, Value};
use uuid::Uuid;

pub(super) fn install(environment: &mut Environment<'_>, context: &TemplateContext<'_>) {
    let pages = Pages { base: context.ui_url.map(str::to_owned), dialect: context.dialect };
    let events = pages.clone();
    environment.add_filter("ui_url", move |value: Value| pages.of(&value));
    environment.add_filter("ui_resource_events_url", move |value: Value| events.events_of(&value));
    environment.add_filter("flow_run_id", |value: Value| flow_run_id(&soft(&value)));
    humanize::install(environment, context.now);
}

/// The first `flow-run/<id>` in a text.
fn flow_run_id(text: &str) -> Option<String> {
    text.match_indices("flow-run/").find_map(|(at, mark)| {
        let id = text[at + mark.len()..].get(..36)?;
        let is_canonical = Uuid::parse_str(id).is_ok_and(|parsed| parsed.hyphenated().to_string() == id);
        is_canonical.then(|| id.to_owned())
    })
}

/// Prefect's pages, by what they show.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    pub(super) base: Option<String>,
    pub(super) dialect: Dialect,
}

impl Pages {
    /// The page of an object; in Prefect a deployment and a resource have none.
    pub(super) fn of(&self, value: &Value) -> Result<Option<String>, Error> {
        let is_ours = self.dialect == Dialect::Trackside;
        let path = if let Some(record) = value.downcast_object_ref::<Record>() {
            let id = record.get("id").map(Value::to_string).unwrap_or_default();
            match record.class().name {
                "Flow" => format!("flows/flow/{id}"),
                "FlowRunResponse" => format!("runs/flow-run/{id}"),
                "TaskRun" => format!("runs/task-run/{id}"),
                "WorkPool" => format!("work-pools/work-pool/{}", soft(record.get("name").unwrap_or(&Value::UNDEFINED))),
                "WorkQueueWithStatus" => format!("work-queues/work-queue/{id}"),
                "Automation" => format!("automations/automation/{id}"),
                "ReceivedEvent" => {
                    let day = record
                        .get("occurred")
                        .and_then(|at| Some(at.downcast_object_ref::<Moment>()?.format("%Y-%m-%d")));
                    format!("events/event/{}/{id}", day.unwrap_or_default())
                }
                "DeploymentResponse" if is_ours => format!("deployments/deployment/{id}"),
                "ConcurrencyLimitV2" if is_ours => format!("concurrency-limits/concurrency-limit/{id}"),
                _ => return Ok(None),
            }
        } else if let Some(resource) = value.downcast_object_ref::<Resource>().filter(|_| is_ours) {
            let id = resource.label(crate::event::RESOURCE_ID).unwrap_or_default();
            let Some((kind, id)) = id.strip_prefix("prefect.").and_then(|id| id.rsplit_once('.')) else {
                return Ok(None);
            };
            match kind {
                "flow" => format!("flows/flow/{id}"),
                "flow-run" | "task-run" => format!("runs/{kind}/{id}"),
                "deployment" | "work-pool" | "work-queue" | "automation" => format!("{kind}s/{kind}/{id}"),
                _ => return Ok(None),
            }
        } else if value.as_str().is_some_and(|name| PAGES.contains(&name)) {
            return Err(raise("ValueError", "If passing an object name, you must also provide an object ID."));
        } else {
            return Ok(None);
        };
        Ok(self.base.as_ref().map(|base| format!("{}/{path}", base.trim_end_matches('/'))))
    }

    /// The page with the events of a resource or an object.
    fn events_of(&self, value: &Value) -> Option<String> {
        let is_ours = self.dialect == Dialect::Trackside;
        let id = if let Some(record) = value.downcast_object_ref::<Record>() {
            let kind = match record.class().name {
                "Automation" => "automation",
                "Flow" => "flow",
                "TaskRun" => "task-run",
                "WorkPool" => "work-pool",
                "WorkQueueWithStatus" => "work-queue",
                "FlowRunResponse" if is_ours => "flow-run",
                "DeploymentResponse" if is_ours => "deployment",
                _ => return None,
            };
            format!("prefect.{kind}.{}", record.get("id")?)
        } else {
            value.downcast_object_ref::<Resource>()?.label(crate::event::RESOURCE_ID)?.to_owned()
        };
        let base = self.base.as_ref()?;
        Some(format!("{}/events?resource={id}", base.trim_end_matches('/')))
    }
}

/// Names of objects that have pages.
const PAGES: [&str; 13] = [
    "flow",
    "flow-run",
    "flow-run-response",
    "task-run",
    "block",
    "block-document",
    "work-pool",
    "work-queue",
    "concurrency-limit",
    "deployment",
    "automation",
    "received-event",
    "worker",
];
