//! What comes next in the story of an incident: messages that are tried again, alerts that end, further contacts, and
//! the steps of its escalation with those who are on call then.
//!
//! Pure.

use super::{Place, Step};
use crate::api::incidents::story::{Ahead, Outlook, Stands, Story};
use crate::page::deliveries::action;
use crate::page::oncall::title;
use crate::page::people::team::target;
use crate::page::words::{figure, plural};
use jiff::Timestamp;
use trackside_core::incident::IncidentState;
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::people::Target;
use trackside_core::timer::{Timer, TimerKey};
use trackside_store::incidents::IncidentDetail;
use trackside_store::outbox::{Delivery, DeliveryState};

/// Steps of the escalation that are listed.
const STEPS: usize = 6;

/// The timers that say what comes next for an incident.
pub(crate) fn timers(story: &Story, ruleset: &Ruleset) -> Vec<TimerKey> {
    let detail = &story.detail;
    let alerts = detail.alerts.iter().map(|alert| TimerKey::ReportEnds { alert: alert.key.clone() });
    let people: std::collections::BTreeSet<&String> =
        story.pages.iter().filter_map(|page| page.person.as_ref()).collect();
    let contacts = people.into_iter().flat_map(|person| {
        let count = ruleset.people.get(person).map_or(0, |known| known.contacts.len());
        let incident = detail.incident.id;
        (0..count).map(move |contact| TimerKey::Contact { incident, person: person.clone(), contact })
    });
    alerts.chain(contacts).collect()
}

/// What comes next, first to come first; what depends on something else comes last.
pub(super) fn steps(story: &Story, timers: &[Timer], ruleset: &Ruleset, now: Timestamp) -> Vec<Step> {
    let detail = &story.detail;
    let mut steps: Vec<Step> = detail.deliveries.iter().filter_map(|row| again(row, now)).collect();
    steps.extend(timers.iter().filter_map(|timer| timed(detail, timer, ruleset)));
    if let Some(outlook) = &story.outlook {
        steps.extend(restart(outlook));
        steps.extend(outlook.to_come.iter().take(STEPS).map(|ahead| step(ahead, outlook, ruleset, now)));
    }
    steps.sort_by_key(|step| step.at);
    let more = story.outlook.as_ref().map_or(0, |outlook| outlook.to_come.len().saturating_sub(STEPS));
    if more > 0 {
        steps.push(waits(format!("Then: {}", plural(more as u64, "more step", "more steps")), String::new()));
    }
    if detail.incident.state != IncidentState::Resolved {
        steps.push(waits(ending(detail), waiting(story).to_owned()));
    }
    steps
}

/// A step whose time is not known.
fn waits(title: String, more: String) -> Step {
    Step { at: None, tone: "", title, more, leads_to: None }
}

/// A message that is tried again.
fn again(row: &Delivery, now: Timestamp) -> Option<Step> {
    let due = row.due.filter(|due| row.state == DeliveryState::Pending && *due > now)?;
    let title = format!("Then: {} through {} is tried again", action(row.effect.action), row.effect.connection);
    let leads_to = Some(Place::Delivery(row.effect.id));
    Some(Step { at: Some(due), tone: "", title, more: String::new(), leads_to })
}

/// An alert that ends by itself unless its sender repeats it, or the next way to reach somebody.
fn timed(detail: &IncidentDetail, timer: &Timer, ruleset: &Ruleset) -> Option<Step> {
    let (title, more) = match &timer.key {
        TimerKey::ReportEnds { alert: key } => {
            let alert = detail.alerts.iter().find(|alert| alert.key == *key)?;
            ("Then: an alert ends unless it is reported again".to_owned(), alert.summary.to_string())
        }
        TimerKey::Contact { person, contact, .. } => {
            let via = &ruleset.people.get(person)?.contacts.get(*contact)?.via;
            (format!("Then: {} through {via}", title(ruleset, person)), "unless somebody has it by then".to_owned())
        }
        _ => return None,
    };
    Some(Step { at: Some(timer.due), tone: "", title, more, leads_to: None })
}

/// An escalation that starts again by itself.
fn restart(outlook: &Outlook) -> Option<Step> {
    let at = outlook.restarts?;
    let title = match outlook.stands {
        Stands::Snoozed => "Then: the snooze is over, the escalation starts again",
        _ => "Then: the acknowledgement times out, the escalation starts again",
    };
    Some(Step {
        at: Some(at),
        tone: "",
        title: title.to_owned(),
        more: "unless it is resolved by then".to_owned(),
        leads_to: None,
    })
}

/// A step of the escalation.
fn step(ahead: &Ahead, outlook: &Outlook, ruleset: &Ruleset, now: Timestamp) -> Step {
    let whom: Vec<String> = ahead.targets.iter().map(|(target, people)| reaches(target, people, ruleset)).collect();
    let round = if ahead.cycle > 0 { format!(", round {}", ahead.cycle + 1) } else { String::new() };
    let unless = if outlook.stands == Stands::Running { " unless somebody has it" } else { "" };
    let wait = figure(ahead.due.duration_since(now).as_secs_f64().max(0.0));
    let more = format!("in {wait}{unless} (step {}{round} of {})", ahead.step + 1, outlook.policy);
    Step { at: Some(ahead.due), tone: "", title: format!("Then: {}", whom.join(", ")), more, leads_to: None }
}

/// Whom a target reaches then.
fn reaches(to: &Target, people: &[String], ruleset: &Ruleset) -> String {
    let names: Vec<String> = people.iter().map(|person| title(ruleset, person)).collect();
    match to {
        Target::OnCall(schedule) if names.is_empty() => {
            format!("nobody is on call in {schedule} then: the next step comes at once")
        }
        Target::OnCall(schedule) => format!("{} ({schedule})", names.join(", ")),
        Target::Person(_) | Target::Team(_) | Target::Channel(_) => target(ruleset, to),
    }
}

/// What ends the incident when nobody does.
fn ending(detail: &IncidentDetail) -> String {
    let pipeline = &detail.incident.pipeline.name;
    let of_runs = !detail.alerts.is_empty() && detail.alerts.iter().all(|alert| alert.run.is_some());
    if of_runs {
        format!("Then: resolves by itself when {pipeline} succeeds again")
    } else {
        "Then: resolves by itself when its alerts are over".to_owned()
    }
}

fn waiting(story: &Story) -> &'static str {
    let incident = &story.detail.incident;
    match (incident.state, &story.outlook) {
        _ if !incident.suppressed_by.is_empty() => "Nobody is told until nothing holds it back.",
        (IncidentState::Triggered, Some(outlook)) if outlook.stands == Stands::Finished => {
            "Nobody has acknowledged it, and no step of its escalation is left."
        }
        (IncidentState::Triggered, _) => "Nobody has acknowledged it yet.",
        _ => "",
    }
}
