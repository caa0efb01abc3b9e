//! Which object an action is about: named in it, or inferred from the firing as Prefect infers it.
//!
//! Flow runs are looked for in the firing's labels first (a missing event has no event), then in the event; everything
//! else in the event only: the first involved resource of the kind, the event's own before the related ones.

use trackside_core::automation::action::{DeploymentTarget, TargetSource, WorkPoolTarget, WorkQueueTarget};
use trackside_core::automation::firing::Firing;
use trackside_core::event::{Event, Labels, RESOURCE_ID};
use uuid::Uuid;

/// What targets are inferred from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basis<'a> {
    pub(super) firing: &'a Firing,
    /// The event that completed the firing.
    pub(super) event: Option<&'a Event>,
}

impl Basis<'_> {
    pub(super) fn deployment(&self, target: &DeploymentTarget) -> Result<Uuid, String> {
        self.object(target.source, target.deployment_id, "deployment")
    }

    pub(super) fn work_pool(&self, target: &WorkPoolTarget) -> Result<Uuid, String> {
        self.object(target.source, target.work_pool_id, "work pool")
    }

    pub(super) fn work_queue(&self, target: &WorkQueueTarget) -> Result<Uuid, String> {
        self.object(target.source, target.work_queue_id, "work queue")
    }

    pub(super) fn flow_run(&self) -> Result<Uuid, String> {
        let label = self.firing.labels.get(RESOURCE_ID).and_then(|id| id_of(id, "prefect.flow-run"));
        let found = label.or_else(|| self.event.and_then(|event| first_id(event, "prefect.flow-run")));
        found.ok_or_else(|| "No flow run could be inferred".to_owned())
    }

    fn object(&self, source: TargetSource, id: Option<Uuid>, what: &str) -> Result<Uuid, String> {
        match (source, id, self.event) {
            (TargetSource::Selected, Some(id), _) => Ok(id),
            (TargetSource::Selected, None, _) => Err(format!("the action names no {what}")),
            (TargetSource::Inferred, _, None) => Err(format!("No event to infer the {what}")),
            (TargetSource::Inferred, _, Some(event)) => first_id(event, &format!("prefect.{}", what.replace(' ', "-")))
                .ok_or_else(|| format!("No {what} could be inferred")),
        }
    }
}

/// The resources an event involves: its own, then the related ones in order.
pub(super) fn involved(event: &Event) -> impl Iterator<Item = &Labels> {
    std::iter::once(&event.resource).chain(&event.related)
}

/// The first involved resource whose id is `{kind}.` and something.
pub(super) fn first_of_kind<'e>(event: &'e Event, kind: &str) -> Option<&'e Labels> {
    involved(event)
        .find(|labels| labels.get(RESOURCE_ID).and_then(|id| id.rsplit_once('.')).is_some_and(|(k, _)| k == kind))
}

/// As Prefect: the first of the kind decides, even when it has no proper id.
fn first_id(event: &Event, kind: &str) -> Option<Uuid> {
    id_of(first_of_kind(event, kind)?.get(RESOURCE_ID)?, kind)
}

/// The id in `{kind}.{id}`.
pub(super) fn id_of(resource: &str, kind: &str) -> Option<Uuid> {
    let (found, id) = resource.rsplit_once('.')?;
    (found == kind).then(|| Uuid::parse_str(id).ok()).flatten()
}
