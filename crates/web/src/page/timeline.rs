//! The story of an incident: what happened, who was told and how that went, and what will happen next.
//!
//! Pure. Made from the audit trail, the deliveries and the explanations of one incident; the same facts as the API.

use crate::page::deliveries::action;
use crate::page::ui::sentence;
use crate::page::words::{As, figure, plural, time};
use jiff::Timestamp;
use maud::{Markup, html};
use std::collections::BTreeMap;
use trackside_core::decision::{Explanation, Verdict};
use trackside_core::ids::{DeliveryId, EventId, Seq};
use trackside_core::incident::IncidentState;
use trackside_core::timer::{Timer, TimerKey};
use trackside_store::audit::AuditRow;
use trackside_store::incidents::IncidentDetail;
use trackside_store::outbox::{Delivery, DeliveryState};

/// One step of the story.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    /// When it happened or will happen; absent when it depends on something else.
    at: Option<Timestamp>,
    /// Class of the style sheet.
    tone: &'static str,
    title: String,
    more: String,
    leads_to: Option<Place>,
}

/// Where a step leads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Event(EventId),
    Delivery(DeliveryId),
}

/// The timers that say what comes next for an incident.
pub(crate) fn timers(detail: &IncidentDetail) -> Vec<TimerKey> {
    detail.alerts.iter().map(|alert| TimerKey::ReportEnds { alert: alert.key.clone() }).collect()
}

/// The story as a list, oldest first; `timers` are those of [`timers`] that are set.
pub(crate) fn render(detail: &IncidentDetail, timers: &[Timer], now: Timestamp) -> Markup {
    let mut past = past(detail);
    past.sort_by_key(|step| step.at);
    html! {
        ol.timeline {
            @for step in &past { li class=(step.tone) { (one(step)) } }
            @for step in &next(detail, timers, now) { li.future { (one(step)) } }
        }
    }
}

fn one(step: &Step) -> Markup {
    html! {
        @if let Some(at) = step.at { span.when { (time(at, As::Time)) } " " }
        @match step.leads_to {
            None => b { (sentence(&step.title)) },
            Some(Place::Event(id)) => { a href={ "/events/" (id) } { b { (sentence(&step.title)) } } },
            Some(Place::Delivery(id)) => { a href={ "/deliveries/" (id) } { b { (sentence(&step.title)) } } },
        }
        @if !step.more.is_empty() { div.more { (sentence(&step.more)) } }
    }
}

fn past(detail: &IncidentDetail) -> Vec<Step> {
    let reasons: BTreeMap<Seq, &Explanation> = detail.explanations.iter().map(|why| (why.seq, why)).collect();
    let chosen: BTreeMap<DeliveryId, &AuditRow> = detail
        .audit
        .iter()
        .filter(|row| row.action == "notify.decided")
        .filter_map(|row| Some((row.delivery?, row)))
        .collect();
    let own_step = |row: &&AuditRow| match row.action.as_str() {
        // Told with the message itself.
        "notify.decided" => row.delivery.is_none(),
        "delivery.delivered" | "delivery.dead" | "delivery.superseded" => false,
        _ => true,
    };
    let mut steps: Vec<Step> = detail.audit.iter().filter(own_step).map(|row| happened(row, &reasons)).collect();
    steps.extend(detail.deliveries.iter().map(|row| sent(row, chosen.get(&row.effect.id).copied())));
    steps
}

/// A row of the audit trail as a step; an alert says which rule raised it and why.
fn happened(row: &AuditRow, reasons: &BTreeMap<Seq, &Explanation>) -> Step {
    let tone = match row.action.as_str() {
        "incident.opened" | "alert.fired" => "bad",
        "alert.cleared" | "incident.resolved" => "good",
        "incident.acknowledged" | "notify.decided" => "info",
        _ => "",
    };
    let why = row.decided.and_then(|(seq, _)| reasons.get(&seq)).filter(|_| row.action == "alert.fired");
    let rules = why.iter().flat_map(|why| &why.rules).filter(|rule| rule.verdict == Verdict::Fires);
    // The summary names the rule; an automation's says why as well.
    let own = rules.filter(|rule| row.summary.starts_with(&format!("Rule {}: ", rule.rule)));
    let own = own.filter(|rule| !row.summary.ends_with(rule.because.as_str()));
    let because: Vec<String> = own.map(|rule| format!("rule {}: {}", rule.rule, rule.because)).collect();
    let (title, more) = match row.action.as_str() {
        "incident.noted" => (format!("{} noted", row.caller.subject), row.summary.clone()),
        _ => (row.summary.clone(), because.join(" · ")),
    };
    Step { at: Some(row.at), tone, title, more, leads_to: row.event.map(Place::Event) }
}

/// A message as a step; `chosen` says why this connection was told.
fn sent(row: &Delivery, chosen: Option<&AuditRow>) -> Step {
    let error = row.last_error.as_deref().unwrap_or("no reason was recorded");
    let tries = plural(u64::from(row.attempts), "attempt", "attempts");
    let (tone, more) = match row.state {
        DeliveryState::Delivered => ("good", format!("delivered in {}, {tries}", took(row))),
        DeliveryState::Dead => ("bad", format!("given up after {tries}: {error}")),
        DeliveryState::Superseded => ("", format!("not sent: {error}")),
        DeliveryState::Sending => ("info", "being sent".to_owned()),
        DeliveryState::Pending if row.attempts > 0 => ("warn", format!("not delivered yet, {tries}: {error}")),
        DeliveryState::Pending => ("info", "waits for its turn".to_owned()),
    };
    let title = format!("{} through {}", action(row.effect.action), row.effect.connection);
    let more = match chosen {
        // The summary begins with what and through which connection, which the title says.
        Some(why) => format!("{more} · {}", why.summary.split_once(": ").map_or(why.summary.as_str(), |(_, why)| why)),
        None => more,
    };
    Step { at: Some(row.effect.at), tone, title, more, leads_to: Some(Place::Delivery(row.effect.id)) }
}

/// From the decision to the far end having it.
fn took(row: &Delivery) -> String {
    row.done.map_or_else(String::new, |done| figure(done.duration_since(row.effect.at).as_secs_f64().max(0.0)))
}

/// What comes next.
fn next(detail: &IncidentDetail, timers: &[Timer], now: Timestamp) -> Vec<Step> {
    let again = |row: &Delivery| {
        let due = row.due.filter(|due| row.state == DeliveryState::Pending && *due > now)?;
        let title = format!("Then: {} through {} is tried again", action(row.effect.action), row.effect.connection);
        Some(Step {
            at: Some(due),
            tone: "",
            title,
            more: String::new(),
            leads_to: Some(Place::Delivery(row.effect.id)),
        })
    };
    let mut steps: Vec<Step> = detail.deliveries.iter().filter_map(again).collect();
    steps.extend(timers.iter().filter_map(|timer| ends(detail, timer)));
    steps.sort_by_key(|step| step.at);
    if detail.incident.state != IncidentState::Resolved {
        let waiting = match detail.incident.state {
            IncidentState::Triggered => "Nobody has acknowledged it yet.",
            _ => "",
        };
        steps.push(Step { at: None, tone: "", title: ending(detail), more: waiting.to_owned(), leads_to: None });
    }
    steps
}

/// An alert that ends by itself unless its sender repeats it.
fn ends(detail: &IncidentDetail, timer: &Timer) -> Option<Step> {
    let TimerKey::ReportEnds { alert: key } = &timer.key else { return None };
    let alert = detail.alerts.iter().find(|alert| alert.key == *key)?;
    let title = "Then: an alert ends unless it is reported again".to_owned();
    Some(Step { at: Some(timer.due), tone: "", title, more: alert.summary.to_string(), leads_to: None })
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
