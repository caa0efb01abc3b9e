//! Vectors of alerting and on-call. A file is `{"cases": [{"id": …}, …]}`; its format is known by the members of its
//! cases, each format is a function from one case to whether it holds.
//!
//! - [`duty`]: local time, intervals, maintenance, rotations, schedules
//! - [`escalation`], [`tiers`], [`grouping`]: the engine on a [`stage`]
//! - [`pagerduty`]: answers to events, and the alerts they lead to; [`slack`]: texts
//! - [`signatures`]: signed requests

mod duty;
mod escalation;
mod grouping;
mod pagerduty;
mod signatures;
mod slack;
mod stage;
mod tiers;

use super::Case;
use anyhow::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One format.
struct Format {
    /// Members that every case of it has, and no case of a format further up in the list.
    members: &'static [&'static str],
    /// Whether a case holds; else what was got and what was wanted.
    holds: fn(&Value) -> Result<(), String>,
}

const FORMATS: &[Format] = &[
    Format { members: &["local", "instant"], holds: |case| read(case).and_then(|case| duty::local_time(&case)) },
    Format { members: &["interval", "at"], holds: |case| read(case).and_then(|case| duty::interval(&case)) },
    Format { members: &["window", "at"], holds: |case| read(case).and_then(|case| duty::maintenance(&case)) },
    Format { members: &["rotation", "at"], holds: |case| read(case).and_then(|case| duty::rotation(&case)) },
    Format { members: &["schedule", "at"], holds: |case| read(case).and_then(duty::schedule) },
    Format { members: &["policy", "events"], holds: |case| read(case).and_then(escalation::timeline) },
    Format { members: &["rules", "runs"], holds: |case| read(case).and_then(|case| tiers::tiers(&case)) },
    Format { members: &["config", "alerts"], holds: |case| read(case).and_then(grouping::grouping) },
    Format { members: &["events", "alerts"], holds: |case| read(case).and_then(pagerduty::dedup) },
    Format { members: &["headers", "secrets"], holds: |case| read(case).and_then(signatures::signature) },
    Format { members: &["body", "expect"], holds: |case| read(case).and_then(|case| pagerduty::event(&case)) },
    Format { members: &["raw_body", "expect"], holds: |case| read(case).and_then(|case| pagerduty::event(&case)) },
    Format { members: &["input"], holds: |case| read(case).and_then(|case| slack::text(&case)) },
];

/// Runs the cases of a file.
pub(super) fn run(text: &str) -> anyhow::Result<Vec<Case>> {
    let file: Value = serde_json::from_str(text).context("it is not JSON")?;
    let cases = file.get("cases").and_then(Value::as_array).context("it has no `cases`")?;
    let first = cases.first().context("it has no cases")?;
    let format = FORMATS.iter().find(|format| format.members.iter().all(|member| first.get(member).is_some()));
    let format = format.with_context(|| {
        let members: Vec<&str> = first.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        format!("the shape of its cases is not known: they have {}", members.join(", "))
    })?;
    let run = |case: &Value| Case::new(case["id"].as_str().unwrap_or("a case without id"), (format.holds)(case));
    Ok(cases.iter().map(run).collect())
}

fn read<T: DeserializeOwned>(case: &Value) -> Result<T, String> {
    T::deserialize(case).map_err(|error| format!("the case cannot be read: {error}"))
}

/// Whether both are the same; else what they are.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, wanted: &T) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("{what}: got {got:?}, wanted {wanted:?}")) }
}
