//! Grouping: alerts with labels in; messages about groups out.
//!
//! An alert is a report with labels. Its label `owner` is the team's name; what has none belongs to the default team.

use super::same;
use super::stage::{Decided, SOURCE, Stage, chat};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::decision::Change;
use trackside_core::effect::Action;
use trackside_core::event::{Fact, Report, ReportAction, Severity};
use trackside_core::ids::IncidentId;

/// Who owns what has no owner.
const NOBODY: &str = "nobody";
/// Between the values of a group.
const SEPARATOR: char = '\u{1f}';

/// One case.
#[derive(Deserialize)]
pub(super) struct Case {
    config: Config,
    alerts: Vec<Alert>,
    #[serde(default)]
    until: Option<i64>,
    expect: Vec<Message>,
}

#[derive(Deserialize)]
struct Config {
    group_by: Vec<String>,
    update_interval_s: i64,
}

#[derive(Deserialize)]
struct Alert {
    t: i64,
    #[serde(rename = "type")]
    kind: Kind,
    alert: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Fire,
    Resolve,
}

/// A message about a group.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Message {
    t: i64,
    group: Vec<String>,
    kind: String,
    #[serde(default)]
    firing: BTreeSet<String>,
    #[serde(default)]
    resolved: BTreeSet<String>,
}

/// Alerts that were over since the last message about their incident.
type Over = BTreeMap<IncidentId, BTreeSet<String>>;

/// Runs a case.
pub(super) fn grouping(mut case: Case) -> Result<(), String> {
    case.alerts.sort_by_key(|alert| alert.t);
    let mut stage = Stage::new(&ruleset(&case), Vec::new())?;
    let (mut over, mut messages) = (Over::new(), Vec::new());
    let mut incidents = BTreeMap::new();
    for alert in &case.alerts {
        let report = stage.event(alert.t, report(&case.config, alert));
        for decided in stage.input(alert.t, report) {
            follow(&stage, &decided, &mut incidents, &mut over, &mut messages);
        }
    }
    let last = case.alerts.iter().map(|alert| alert.t).max().unwrap_or_default();
    for decided in stage.until(case.until.unwrap_or(last + 2 * case.config.update_interval_s)) {
        follow(&stage, &decided, &mut incidents, &mut over, &mut messages);
    }
    same("messages", &messages, &case.expect)
}

/// Adds the messages that a decision sends.
fn follow(
    stage: &Stage,
    decided: &Decided,
    incidents: &mut BTreeMap<String, IncidentId>,
    over: &mut Over,
    messages: &mut Vec<Message>,
) {
    for change in &decided.decision.changes {
        match change {
            Change::Alert(alert) => {
                let name = alert.key.pipeline.name.to_string();
                if let Some(incident) = alert.incident {
                    over.entry(incident).or_default().remove(&name);
                    incidents.insert(name, incident);
                }
            }
            Change::AlertGone(key) => {
                let name = key.pipeline.name.to_string();
                if let Some(incident) = incidents.get(&name) {
                    over.entry(*incident).or_default().insert(name);
                }
            }
            _ => {}
        }
    }
    for effect in &decided.decision.effects {
        let kind = match effect.action {
            Action::Trigger => "open",
            Action::Update => "update",
            Action::Resolve => "close",
            _ => continue,
        };
        let Some(incident) = effect.incident.and_then(|id| stage.state.incident(id)) else {
            continue;
        };
        let group = incident.group.as_deref().unwrap_or_default().split(SEPARATOR);
        messages.push(Message {
            t: decided.second,
            group: group.map(|value| if value == NOBODY { String::new() } else { value.to_owned() }).collect(),
            kind: kind.to_owned(),
            firing: stage.state.alerts_in(incident).map(|alert| alert.key.pipeline.name.to_string()).collect(),
            resolved: over.remove(&incident.id).unwrap_or_default(),
        });
    }
}

fn report(config: &Config, alert: &Alert) -> Fact {
    let mut labels = alert.labels.clone();
    // A report is its own pipeline unless it says otherwise.
    if config.group_by.iter().any(|label| label == "pipeline") {
        labels.entry("pipeline".to_owned()).or_default();
    }
    let owner = alert.labels.get("owner").filter(|owner| !owner.is_empty());
    Fact::Report(Box::new(Report {
        key: alert.alert.clone(),
        action: if alert.kind == Kind::Fire { ReportAction::Trigger } else { ReportAction::Resolve },
        severity: Severity::Warning,
        summary: format!("{} is on fire", alert.alert),
        owners: owner.cloned().into_iter().collect(),
        component: None,
        links: Vec::new(),
        details: labels,
        ends: None,
    }))
}

fn ruleset(case: &Case) -> Value {
    let team = json!({"notify": [{"via": "chat"}]});
    let owners = case.alerts.iter().filter_map(|alert| alert.labels.get("owner")).filter(|owner| !owner.is_empty());
    let mut teams: Map<String, Value> = owners.map(|owner| (owner.clone(), team.clone())).collect();
    teams.insert(NOBODY.to_owned(), team);
    // Reports are grouped by their labels only when the labels are named; `team` is another word for `owner`.
    let by = case.config.group_by.iter().map(|label| if label == "owner" { "team" } else { label.as_str() });
    json!({
        "teams": teams,
        "owners": {"default": NOBODY},
        "rules": [{"name": "reported", "when": "reported", "match": {"source": SOURCE}}],
        "connections": {"chat": chat()},
        "incidents": {
            "group_by": by.collect::<Vec<_>>(),
            "update_interval": format!("{}s", case.config.update_interval_s),
            "storm": null
        }
    })
}
