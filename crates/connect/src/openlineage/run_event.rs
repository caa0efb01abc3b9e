//! A run event with its identity checked, and the standard facets by name. Every facet is optional and may be wrong:
//! what does not have the expected shape counts as absent.

use super::{missing, names};
use crate::door::{Reject, name, parse_time, text_at, value_at};
use jiff::Timestamp;
use serde_json::Value;
use trackside_core::limits;
use trackside_core::run::{RunReport, RunUpdate, System};

/// A run event.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunEvent<'a> {
    body: &'a Value,
    pub(super) namespace: &'a str,
    pub(super) job: &'a str,
    pub(super) run_id: &'a str,
    pub(super) phase: Phase,
    pub(super) time: Timestamp,
}

/// `eventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Start,
    Running,
    Complete,
    Fail,
    Abort,
    /// Also when the event has no type, which the specification allows.
    Other,
}

impl Phase {
    /// The last part of the event's name.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Start => "running",
            Self::Running => "alive",
            Self::Complete => "succeeded",
            Self::Fail => "failed",
            Self::Abort => "cancelled",
            Self::Other => "other",
        }
    }

    pub(super) fn is_end(self) -> bool {
        matches!(self, Self::Complete | Self::Fail | Self::Abort)
    }
}

/// The run that started this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent<'a> {
    pub(super) namespace: &'a str,
    pub(super) job: &'a str,
    pub(super) run_id: &'a str,
}

impl<'a> RunEvent<'a> {
    pub(super) fn read(body: &'a Value, time: Timestamp) -> Result<Self, Reject> {
        let (namespace, job) = names(body, "job")?;
        let run_id = text_at(body, &["run", "runId"]).ok_or_else(|| missing(&["run", "runId"]))?;
        let phase = match body.get("eventType").and_then(Value::as_str) {
            Some("START") => Phase::Start,
            Some("RUNNING") => Phase::Running,
            Some("COMPLETE") => Phase::Complete,
            Some("FAIL") => Phase::Fail,
            Some("ABORT") => Phase::Abort,
            Some("OTHER") | None => Phase::Other,
            Some(_) => {
                let problem = "`eventType` must be START, RUNNING, COMPLETE, FAIL, ABORT or OTHER";
                return Err(Reject::shape("/eventType", problem));
            }
        };
        Ok(Self { body, namespace, job, run_id, phase, time })
    }

    /// A value inside a facet of the run.
    pub(super) fn run_facet(&self, path: &[&str]) -> Option<&'a Value> {
        value_at(self.body, &["run", "facets"]).and_then(|facets| value_at(facets, path))
    }

    /// A non-empty text inside a facet of the run.
    pub(super) fn run_text(&self, path: &[&str]) -> Option<&'a str> {
        self.run_facet(path)?.as_str().filter(|text| !text.is_empty())
    }

    /// A value inside a facet of the job.
    pub(super) fn job_facet(&self, path: &[&str]) -> Option<&'a Value> {
        value_at(self.body, &["job", "facets"]).and_then(|facets| value_at(facets, path))
    }

    /// `AIRFLOW`, `SPARK`, `DBT` …
    pub(super) fn integration(&self) -> Option<&'a str> {
        self.job_facet(&["jobType", "integration"])?.as_str()
    }

    /// The parent facet (named `parentRun` by producers before 2024).
    pub(super) fn parent(&self) -> Option<Parent<'a>> {
        let parent = self.run_facet(&["parent"]).or_else(|| self.run_facet(&["parentRun"]))?;
        Some(Parent {
            namespace: text_at(parent, &["job", "namespace"]).unwrap_or(self.namespace),
            job: text_at(parent, &["job", "name"])?,
            run_id: text_at(parent, &["run", "runId"])?,
        })
    }

    /// Names of the ownership facet.
    pub(super) fn owners(&self) -> Vec<String> {
        let owners = self.job_facet(&["ownership", "owners"]).and_then(Value::as_array);
        owners
            .into_iter()
            .flatten()
            .filter_map(|owner| text_at(owner, &["name"]))
            .take(limits::LIST_ITEMS)
            .map(name)
            .collect()
    }

    /// Tags of the job: `key`, or `key:value` where they differ (Airflow sets both to the tag).
    pub(super) fn tags(&self) -> Vec<String> {
        let tags = self.job_facet(&["tags", "tags"]).and_then(Value::as_array);
        tags.into_iter()
            .flatten()
            .filter_map(|tag| {
                let key = text_at(tag, &["key"])?;
                let value = text_at(tag, &["value"]).filter(|value| *value != key && *value != "true");
                Some(name(&value.map_or_else(|| key.to_owned(), |value| format!("{key}:{value}"))))
            })
            .take(limits::LIST_ITEMS)
            .collect()
    }

    /// What every run update takes from standard facets.
    pub(super) fn update(&self, system: System, pipeline: &str, report: RunReport) -> RunUpdate {
        RunUpdate {
            system,
            pipeline: name(pipeline),
            run_id: None,
            run_aliases: Vec::new(),
            attempt: None,
            report,
            started: (self.phase == Phase::Start).then_some(self.time),
            ended: self.phase.is_end().then_some(self.time),
            nominal: self.run_text(&["nominalTime", "nominalStartTime"]).and_then(parse_time),
            error: self.error().map(str::to_owned),
            owners: self.owners(),
            tags: self.tags(),
            url: None,
            log_url: None,
            doc: self.job_facet(&["documentation", "description"]).and_then(Value::as_str).map(str::to_owned),
            clear_number: 0,
            rows: self.rows(),
            task_states: std::collections::BTreeMap::new(),
            inputs: self.datasets("inputs"),
            outputs: self.datasets("outputs"),
            deadlines: Vec::new(),
        }
    }

    /// Names of the datasets in `inputs` or `outputs`, with the further names that their `symlinks` facets give, which
    /// is how one table has the same name in a query engine and in the store below it.
    fn datasets(&self, field: &str) -> Vec<String> {
        let mut names = Vec::new();
        for dataset in self.body.get(field).and_then(Value::as_array).into_iter().flatten() {
            let links = value_at(dataset, &["facets", "symlinks", "identifiers"]).and_then(Value::as_array);
            for identity in std::iter::once(dataset).chain(links.into_iter().flatten()) {
                let parts = text_at(identity, &["namespace"]).zip(text_at(identity, &["name"]));
                if let Some((namespace, dataset)) = parts {
                    note(&mut names, &format!("{namespace}/{}", dataset.trim_start_matches('/')));
                }
            }
        }
        names
    }

    fn error(&self) -> Option<&'a str> {
        (self.phase == Phase::Fail).then(|| self.run_text(&["errorMessage", "message"])).flatten()
    }

    /// Rows written, summed over the outputs that report them; absent when none does.
    fn rows(&self) -> Option<u64> {
        let outputs = self.body.get("outputs")?.as_array()?;
        outputs.iter().filter_map(rows_of).reduce(u64::saturating_add)
    }
}

/// Adds the name of a dataset, once, while there is room.
pub(super) fn note(names: &mut Vec<String>, dataset: &str) {
    let dataset = name(dataset);
    if names.len() < limits::LIST_ITEMS && !names.contains(&dataset) {
        names.push(dataset);
    }
}

/// Rows written to one output.
pub(super) fn rows_of(output: &Value) -> Option<u64> {
    value_at(output, &["outputFacets", "outputStatistics", "rowCount"])?.as_u64()
}
