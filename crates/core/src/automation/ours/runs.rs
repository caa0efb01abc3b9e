//! Whether the end of a run concerns a trigger, and which key it belongs to.

use crate::automation::definition::{RelatedSpec, ResourceSpec};
use crate::automation::matching::covers;
use crate::automation::set::RunOutcome;
use crate::event::RESOURCE_ROLE;

/// Whether the labels of the run and of its related resources are as asked.
pub(super) fn concerns(matches: &ResourceSpec, related: &RelatedSpec, outcome: &RunOutcome) -> bool {
    let has = |spec: &ResourceSpec| spec.is_empty() || outcome.related.iter().any(|labels| covers(spec, labels));
    covers(matches, &outcome.labels) && related.specs().iter().all(has)
}

/// The value of a `for_each` label: one of the run's, or `related:<role>:<label>` of the first related resource in that
/// role.
pub(super) fn value_of<'a>(outcome: &'a RunOutcome, label: &str) -> Option<&'a str> {
    let of_role = label.strip_prefix("related:").and_then(|rest| rest.rsplit_once(':')).and_then(|(role, label)| {
        let resource = outcome.related.iter().find(|related| related.get(RESOURCE_ROLE).is_some_and(|has| has == role));
        resource.map(|resource| resource.get(label))
    });
    of_role.unwrap_or_else(|| outcome.labels.get(label)).map(String::as_str)
}
