//! What matchers are asked about: the labels of an alert.
//!
//! Invariant: one meaning of each label, for what holds messages back and for what people try out beforehand. A label
//! that an alert does not have is empty.

use super::Alert;
use crate::pipeline::Pipeline;
use crate::rules::{Rules, Subject};
use std::borrow::Cow;

/// The value of a label of an alert. Labels of a report come first; every alert has `owner` (or `team`), `rule` (or
/// `alertname`), `severity`, `source`, `pipeline`, `task` (or `subject`), and `tags` and `tier` when its pipeline is
/// known.
#[must_use]
pub fn label<'a>(
    rules: &Rules,
    owner: &'a str,
    alert: &'a Alert,
    pipeline: Option<&'a Pipeline>,
    name: &str,
) -> Cow<'a, str> {
    if let Some(value) = alert.labels.get(name) {
        return value.into();
    }
    match name {
        "owner" | "team" => owner.into(),
        "rule" | "alertname" => (&*alert.key.rule).into(),
        "severity" => alert.severity.as_str().into(),
        "source" => (&*alert.key.pipeline.source).into(),
        "pipeline" => (&*alert.key.pipeline.name).into(),
        "task" | "subject" => (&*alert.key.subject).into(),
        "tags" => pipeline.map_or(Cow::Borrowed(""), |pipeline| pipeline.tags.join(",").into()),
        "tier" => {
            let tier = pipeline.and_then(|pipeline| rules.tier(&subject(pipeline)));
            tier.map_or(Cow::Borrowed(""), |tier| tier.to_string().into())
        }
        _ => "".into(),
    }
}

fn subject(pipeline: &Pipeline) -> Subject<'_> {
    Subject {
        source: &pipeline.key.source,
        pipeline: &pipeline.key.name,
        task: "",
        tags: &pipeline.tags,
        owners: &pipeline.owners,
    }
}
