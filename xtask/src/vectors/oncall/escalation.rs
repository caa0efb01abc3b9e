//! Escalations: a policy, events and time in; pages, ends and states out.
//!
//! A target of a case becomes something that can be paged and a connection of the same name: `oncall:x` a schedule with
//! one person, `user:x` a person, `team:x` a team, anything else a channel.

use super::same;
use super::stage::{Decided, Stage, chat, run, second};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trackside_core::caller::Caller;
use trackside_core::effect::Action;
use trackside_core::ids::IncidentId;
use trackside_core::incident::{Incident, IncidentState};
use trackside_core::input::{Command, Input};
use trackside_core::ruleset::Span;
use trackside_core::run::RunReport;

/// The only pipeline of a case.
const PIPELINE: &str = "pipeline";

/// One case.
#[derive(Deserialize)]
pub(super) struct Case {
    policy: Policy,
    events: Vec<Event>,
    #[serde(default)]
    maintenance: Vec<(i64, i64)>,
    #[serde(default)]
    hub_down: Vec<(i64, i64)>,
    #[serde(default)]
    flap_window_s: i64,
    until: i64,
    expect: Expect,
}

#[derive(Deserialize)]
struct Policy {
    steps: Vec<Step>,
    repeat: Option<Repeat>,
    ack_timeout_s: Option<i64>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    after_s: i64,
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Repeat {
    times: u32,
    every_s: i64,
}

#[derive(Deserialize)]
struct Event {
    t: i64,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    for_s: i64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Fire,
    Resolve,
    Ack,
    Unack,
    Snooze,
    Escalate,
}

#[derive(Deserialize)]
struct Expect {
    notifications: Vec<Notification>,
    final_state: Option<String>,
    incidents: u64,
    occurrences: u32,
}

/// What a person would notice.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Notification {
    t: i64,
    kind: String,
    incident: u64,
    step: Option<u32>,
    cycle: Option<u32>,
    targets: Vec<String>,
    late_s: i64,
}

/// Runs a case.
pub(super) fn timeline(mut case: Case) -> Result<(), String> {
    case.events.sort_by_key(|event| event.t);
    let mut stage = Stage::new(&ruleset(&case), case.hub_down.clone())?;
    let mut told = Vec::new();
    let mut latest = None::<Incident>;
    for (place, event) in case.events.iter().enumerate() {
        let Some(input) = input(&mut stage, event, place, latest.as_ref()) else {
            continue;
        };
        for decided in stage.input(event.t, input) {
            notice(&decided, &stage, &mut told);
        }
        follow(&stage, &mut latest);
    }
    for decided in stage.until(case.until) {
        notice(&decided, &stage, &mut told);
    }
    follow(&stage, &mut latest);
    same("notifications", &told, &case.expect.notifications)?;
    let state = latest.as_ref().map(state_of);
    same("final state", &state, &case.expect.final_state.as_deref().filter(|state| *state != "none"))?;
    same("incidents", &latest.as_ref().map_or(0, |incident| incident.number), &case.expect.incidents)?;
    same("occurrences", &latest.map_or(0, |incident| incident.occurrences), &case.expect.occurrences)
}

/// What an event of the case is to the engine; nothing when there is nothing that it could be about.
fn input(stage: &mut Stage, event: &Event, place: usize, latest: Option<&Incident>) -> Option<Input> {
    let id = place.to_string();
    let incident = latest.map(|incident| incident.id);
    let command = match event.kind {
        Kind::Fire => return Some(stage.event(event.t, run(PIPELINE, &id, RunReport::Failed, None))),
        Kind::Resolve => return Some(stage.event(event.t, run(PIPELINE, &id, RunReport::Succeeded, None))),
        Kind::Ack => Command::Acknowledge { incident: incident? },
        Kind::Unack => Command::Unacknowledge { incident: incident? },
        Kind::Escalate => Command::Escalate { incident: incident? },
        Kind::Snooze => {
            Command::Snooze { incident: incident?, length: Span(jiff::SignedDuration::from_secs(event.for_s)) }
        }
    };
    let caller = Caller::new("somebody", "vectors");
    Some(Input::Command { caller, command, origin: None })
}

/// The incident opened last, as it is now.
fn follow(stage: &Stage, latest: &mut Option<Incident>) {
    let known = latest.as_ref().and_then(|incident| stage.state.incident(incident.id));
    let newest = stage.state.open_incidents().chain(known).max_by_key(|incident| incident.number);
    if let Some(newest) = newest.cloned() {
        *latest = Some(newest);
    }
}

fn state_of(incident: &Incident) -> &'static str {
    match incident.state {
        IncidentState::Triggered if !incident.suppressed_by.is_empty() => "suppressed",
        state => state.as_str(),
    }
}

/// Adds what a decision lets people notice.
fn notice(decided: &Decided, stage: &Stage, told: &mut Vec<Notification>) {
    let number = |id: IncidentId| stage.state.incident(id).map_or(0, |incident| incident.number);
    for row in decided.decision.audit.iter().filter(|row| row.action == "incident.reopened") {
        let incident = row.incident.map_or(0, number);
        told.push(Notification { t: decided.second, kind: "reopened".into(), incident, ..Notification::default() });
    }
    let mut pages = BTreeMap::<(u32, usize), Notification>::new();
    for page in &decided.decision.pages {
        let entry = pages.entry((page.cycle, page.step as usize)).or_insert_with(|| Notification {
            t: page.at.duration_since(second(0)).as_secs(),
            kind: "page".into(),
            incident: number(page.incident),
            step: Some(page.step),
            cycle: Some(page.cycle),
            late_s: page.at.duration_since(page.due).as_secs(),
            targets: Vec::new(),
        });
        let sent = page.deliveries.iter().filter_map(|id| decided.decision.effects.iter().find(|row| row.id == *id));
        entry.targets.extend(sent.map(|effect| effect.connection.clone()));
    }
    told.extend(pages.into_values());
    let ends = decided.decision.effects.iter().filter(|effect| effect.action == Action::Resolve);
    let ends: Vec<_> = ends.collect();
    if let Some(first) = ends.first() {
        told.push(Notification {
            t: decided.second,
            kind: "resolved".into(),
            incident: first.incident.map_or(0, number),
            targets: ends.iter().map(|effect| effect.connection.clone()).collect(),
            ..Notification::default()
        });
    }
}

fn ruleset(case: &Case) -> Value {
    let (mut people, mut schedules, mut teams) = (Map::new(), Map::new(), Map::new());
    let mut connections = Map::new();
    teams.insert("owner".into(), json!({"escalation": "policy"}));
    for name in case.policy.steps.iter().flat_map(|step| &step.targets) {
        connections.insert(name.clone(), chat());
        match name.split_once(':') {
            Some(("oncall", schedule)) => {
                people.insert(name.clone(), json!({"contacts": [{"via": name}]}));
                let rotation =
                    json!({"tz": "UTC", "start": "2020-01-01T00:00:00", "unit": "week", "participants": [name]});
                schedules.insert(schedule.to_owned(), json!({"layers": [{"name": "all", "rotation": rotation}]}));
            }
            Some(("user", person)) => drop(people.insert(person.to_owned(), json!({"contacts": [{"via": name}]}))),
            Some(("team", team)) => drop(teams.insert(team.to_owned(), json!({"notify": [{"via": name}]}))),
            _ => {}
        }
    }
    let target = |name: &String| match name.split_once(':') {
        Some(("oncall" | "user" | "team", _)) => name.clone(),
        _ => format!("channel:{name}"),
    };
    let step = |step: &Step| {
        let targets: Vec<String> = step.targets.iter().map(target).collect();
        json!({"after": format!("{}s", step.after_s), "targets": targets})
    };
    let mut policy = json!({"steps": case.policy.steps.iter().map(step).collect::<Vec<_>>()});
    if let Some(repeat) = &case.policy.repeat {
        policy["repeat"] = json!({"times": repeat.times, "every": format!("{}s", repeat.every_s)});
    }
    if let Some(timeout) = case.policy.ack_timeout_s {
        policy["ack_timeout"] = format!("{timeout}s").into();
    }
    let window = |(place, (from, to)): (usize, &(i64, i64))| {
        let start = second(*from).to_zoned(jiff::tz::TimeZone::UTC).datetime();
        json!({"name": format!("window {place}"), "when": {"tz": "UTC", "start": start, "duration_s": to - from}})
    };
    json!({
        "teams": teams,
        "owners": {"default": "owner"},
        "rules": [{"name": "failed", "when": {"failed": {}}}],
        "people": people,
        "schedules": schedules,
        "escalations": {"policy": policy},
        "connections": connections,
        "maintenance": case.maintenance.iter().enumerate().map(window).collect::<Vec<_>>(),
        "incidents": {"flap_window": format!("{}s", case.flap_window_s), "storm": null}
    })
}
