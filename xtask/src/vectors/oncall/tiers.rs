//! Tiers: outcomes of runs in; what is opened, raised and resolved, and whom it is told, out.
//!
//! A case's `slack` is a chat that is told of warnings and above, its `pagerduty` a pager that is told of what is
//! critical; a P1 that reaches the pager reaches it `immediate`ly.

use super::same;
use super::stage::{Decided, Stage, run};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use trackside_core::effect::{Action, Effect};
use trackside_core::ids::IncidentId;
use trackside_core::incident::Incident;
use trackside_core::run::RunReport;

/// Time between runs.
const APART_S: i64 = 900;
/// What a case calls everything that the scope holds.
const SCOPE: &str = "*";

/// One case.
#[derive(Deserialize)]
pub(super) struct Case {
    rules: Rules,
    pipelines: Vec<String>,
    runs: Vec<Run>,
    expect: Vec<Step>,
}

#[derive(Deserialize)]
struct Rules {
    #[serde(default)]
    transient: Vec<String>,
    #[serde(default = "one")]
    warn_after: u32,
    critical_after: Option<u32>,
    #[serde(default = "one")]
    resolve_after: u32,
    all_down_min: Option<u32>,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
struct Run {
    pipeline: String,
    outcome: Outcome,
    #[serde(alias = "message", alias = "text", alias = "reason")]
    error: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    #[serde(alias = "failure")]
    Failed,
    #[serde(alias = "succeeded")]
    Success,
    #[serde(alias = "retry")]
    Retrying,
    Skipped,
    #[serde(alias = "canceled")]
    Cancelled,
}

/// What is done after a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Step {
    run: usize,
    action: String,
    pipeline: String,
    severity: Option<String>,
    #[serde(default)]
    notify: BTreeSet<String>,
}

/// Runs a case.
pub(super) fn tiers(case: &Case) -> Result<(), String> {
    let mut stage = Stage::new(&ruleset(case), Vec::new())?;
    let mut steps = Vec::new();
    for (place, run_of) in case.runs.iter().enumerate() {
        let report = match run_of.outcome {
            Outcome::Failed => RunReport::Failed,
            Outcome::Success => RunReport::Succeeded,
            Outcome::Retrying => RunReport::Retrying,
            Outcome::Skipped => RunReport::Skipped,
            Outcome::Cancelled => RunReport::Cancelled,
        };
        let at = APART_S * i64::try_from(place).unwrap_or_default();
        let fact = run(&run_of.pipeline, &format!("run {place}"), report, run_of.error.as_deref());
        let input = stage.event(at, fact);
        // What is due between runs is edits of messages, which no case is about.
        drop(stage.until(at - 1));
        let before: Vec<Incident> = stage.state.open_incidents().cloned().collect();
        for decided in stage.input(at, input) {
            steps.extend(follow(&stage, &before, &decided, place, &run_of.pipeline));
        }
    }
    let (mut got, mut wanted) = (without_tellings(&steps), without_tellings(&case.expect));
    // A case need not mention what nobody is told of.
    if !case.expect.iter().any(is_suppression) {
        got.retain(|step| !is_suppression(step));
    }
    // At one run the order is the engine's own.
    got.sort();
    wanted.sort();
    same("actions", &got, &wanted)
}

fn is_suppression(step: &Step) -> bool {
    step.action.starts_with("suppress")
}

/// Suppressions under one name, without what cannot be told of them.
fn without_tellings(steps: &[Step]) -> Vec<Step> {
    let plain =
        |step: &Step| Step { action: "suppress".into(), severity: None, notify: BTreeSet::new(), ..step.clone() };
    steps.iter().map(|step| if is_suppression(step) { plain(step) } else { step.clone() }).collect()
}

/// The steps that a decision consists of.
fn follow(stage: &Stage, before: &[Incident], decided: &Decided, run: usize, pipeline: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    if decided.decision.audit.iter().any(|row| row.action == "alert.suppressed") {
        let (action, pipeline) = ("suppress".to_owned(), pipeline.to_owned());
        steps.push(Step { run, action, pipeline, severity: None, notify: BTreeSet::new() });
    }
    let mut told: Vec<IncidentId> = decided.decision.effects.iter().filter_map(|effect| effect.incident).collect();
    told.dedup();
    for id in told {
        let effects: Vec<&Effect> = decided.decision.effects.iter().filter(|row| row.incident == Some(id)).collect();
        let known = before.iter().find(|incident| incident.id == id);
        let Some(incident) = stage.state.incident(id) else {
            continue;
        };
        let raised = known.is_some_and(|known| known.severity < incident.severity);
        let (action, severity) = match (effects[0].action, known) {
            (Action::Resolve, _) => ("resolve", None),
            (_, None) => ("open", Some(severity(stage, incident))),
            (_, Some(_)) if raised => ("raise", Some(severity(stage, incident))),
            // An edit of a message.
            (_, Some(_)) => continue,
        };
        let urgent = effects.iter().any(|effect| is_urgent(effect));
        let notify = effects.iter().map(|effect| match effect.connection.as_str() {
            "pagerduty" if urgent => "pagerduty:immediate".to_owned(),
            other => other.to_owned(),
        });
        let is_scope = incident.pipeline.source.starts_with("trackside.");
        let pipeline = if is_scope { SCOPE.to_owned() } else { incident.pipeline.name.to_string() };
        steps.push(Step { run, action: action.to_owned(), pipeline, severity, notify: notify.collect() });
    }
    steps
}

/// True for a message that says it is of the highest priority.
fn is_urgent(effect: &Effect) -> bool {
    effect.notice.title.starts_with("P1")
}

fn severity(stage: &Stage, incident: &Incident) -> String {
    let urgent = stage.state.alerts_in(incident).find_map(|alert| alert.labels.get("priority"));
    urgent.cloned().unwrap_or_else(|| incident.severity.as_str().to_owned())
}

fn ruleset(case: &Case) -> Value {
    let rules = &case.rules;
    let patterns: Vec<String> = rules.transient.iter().map(|text| escaped(text)).collect();
    let mut failed = Map::new();
    failed.insert("warn_after".into(), rules.warn_after.into());
    failed.insert("resolve_after".into(), rules.resolve_after.into());
    failed.insert("critical_after".into(), rules.critical_after.into());
    failed.insert("transient".into(), patterns.into());
    let mut all = vec![json!({"name": "failed", "severity": "warning", "when": {"failed": failed}})];
    if let Some(least) = rules.all_down_min {
        all.push(json!({"name": "everything", "when": {"all_failed": {"at_least": least}}}));
    }
    let declared = case.pipelines.iter();
    let declared = declared.map(|name| json!({"match": {"source": super::stage::SOURCE, "pipeline": name}}));
    json!({
        "teams": {"data": {"notify": [
            {"via": "slack", "min_severity": "warning"}, {"via": "pagerduty", "min_severity": "critical"}]}},
        "owners": {"default": "data"},
        "rules": all,
        "pipelines": declared.collect::<Vec<_>>(),
        "connections": {"slack": super::stage::chat(), "pagerduty": {"kind": "pagerduty", "updates": "raised"}},
        "incidents": {"storm": null}
    })
}

/// A text as a regular expression that matches nothing else.
fn escaped(text: &str) -> String {
    let escape = |c: char| if c.is_alphanumeric() || c == ' ' { c.to_string() } else { format!("\\{c}") };
    text.chars().map(escape).collect()
}
