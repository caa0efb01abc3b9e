//! The story of an incident: what happened, who was told and how that went, and what will happen next.
//!
//! Pure. Made from the audit trail, the pages, the deliveries and the explanations of one incident; the same facts as
//! the API. What comes next is in [`ahead`].

mod ahead;

use crate::api::incidents::story::Story;
use crate::page::deliveries::action;
use crate::page::oncall::title;
use crate::page::ui::sentence;
use crate::page::words::{As, duration, figure, plural, time};
use jiff::Timestamp;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::decision::{Explanation, PageRecord, Verdict};
use trackside_core::ids::{DeliveryId, EventId, Seq};
use trackside_core::limits;
use trackside_core::ruleset::Ruleset;
use trackside_core::timer::Timer;
use trackside_store::audit::AuditRow;
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

pub(crate) use ahead::timers;

/// The story as a list, oldest first; `timers` are those of [`timers`] that are set.
pub(crate) fn render(story: &Story, timers: &[Timer], ruleset: &Ruleset, now: Timestamp) -> Markup {
    let mut past = past(story, ruleset);
    past.sort_by_key(|step| step.at);
    html! {
        ol.timeline {
            @for step in &past { li class=(step.tone) { (one(step)) } }
            @for step in &ahead::steps(story, timers, ruleset, now) { li.future { (one(step)) } }
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

fn past(story: &Story, ruleset: &Ruleset) -> Vec<Step> {
    let detail = &story.detail;
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
        // Told with the page.
        "page.decided" | "delivery.delivered" | "delivery.dead" | "delivery.superseded" => false,
        _ => true,
    };
    let mut steps: Vec<Step> = detail.audit.iter().filter(own_step).map(|row| happened(row, &reasons)).collect();
    let carried: BTreeSet<DeliveryId> = story.pages.iter().flat_map(|page| page.deliveries.iter().copied()).collect();
    let plain = detail.deliveries.iter().filter(|row| !carried.contains(&row.effect.id));
    steps.extend(plain.map(|row| sent(row, chosen.get(&row.effect.id).copied())));
    let rows: BTreeMap<DeliveryId, &Delivery> = detail.deliveries.iter().map(|row| (row.effect.id, row)).collect();
    steps.extend(story.pages.iter().map(|page| paged(page, &rows, ruleset)));
    steps
}

/// A page as a step: whom, through what, and how that went.
fn paged(page: &PageRecord, rows: &BTreeMap<DeliveryId, &Delivery>, ruleset: &Ruleset) -> Step {
    let whom = match (&page.person, page.target.strip_prefix("oncall:")) {
        (Some(person), Some(schedule)) => format!("{}, on call in {schedule}", title(ruleset, person)),
        (Some(person), None) => title(ruleset, person),
        (None, Some(schedule)) => format!("nobody: {schedule} has a gap"),
        (None, None) => page.target.split_once(':').map_or(page.target.as_str(), |(_, name)| name).to_owned(),
    };
    let found: Vec<&Delivery> = page.deliveries.iter().filter_map(|id| rows.get(id).copied()).collect();
    let went: Vec<(&str, String)> = found
        .iter()
        .map(|row| {
            let (tone, told) = fate(row);
            (tone, format!("through {}: {told}", row.effect.connection))
        })
        .collect();
    let tone = match went.iter().map(|(tone, _)| *tone).collect::<Vec<_>>().as_slice() {
        [] => "warn",
        tones => ["good", "info", "warn", "bad", ""].into_iter().find(|tone| tones.contains(tone)).unwrap_or_default(),
    };
    let mut more: Vec<String> = went.into_iter().map(|(_, told)| told).collect();
    more.extend(Some(page.note.clone()).filter(|note| !note.is_empty()));
    let late = page.at.duration_since(page.due);
    if late > limits::LATE_AFTER {
        more.push(format!("{} late: nothing was running when it was due", duration(late.as_secs_f64())));
    }
    let again = if page.cycle > 0 { format!(", round {}", page.cycle + 1) } else { String::new() };
    let verb = if page.deliveries.is_empty() { "Step" } else { "Paged" };
    Step {
        at: Some(page.at),
        tone,
        title: format!("{verb} {whom} (step {}{again})", page.step + 1),
        more: more.join(" · "),
        leads_to: page.deliveries.first().copied().map(Place::Delivery),
    }
}

/// A row of the audit trail as a step; an alert says which rule raised it and why.
fn happened(row: &AuditRow, reasons: &BTreeMap<Seq, &Explanation>) -> Step {
    let tone = match row.action.as_str() {
        "incident.opened" | "alert.fired" => "bad",
        "alert.cleared" | "incident.resolved" => "good",
        "incident.acknowledged" | "incident.snoozed" | "notify.decided" => "info",
        "incident.suppressed" | "incident.retriggered" | "incident.unacknowledged" | "command.refused" => "warn",
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
        "escalation.begun" => (row.summary.replacen(" by policy ", " escalates by policy ", 1), String::new()),
        _ => (row.summary.clone(), because.join(" · ")),
    };
    Step { at: Some(row.at), tone, title, more, leads_to: row.event.map(Place::Event) }
}

/// A message as a step; `chosen` says why this connection was told.
fn sent(row: &Delivery, chosen: Option<&AuditRow>) -> Step {
    let (tone, more) = fate(row);
    let title = format!("{} through {}", action(row.effect.action), row.effect.connection);
    let more = match chosen {
        // The summary begins with what and through which connection, which the title says.
        Some(why) => format!("{more} · {}", why.summary.split_once(": ").map_or(why.summary.as_str(), |(_, why)| why)),
        None => more,
    };
    Step { at: Some(row.effect.at), tone, title, more, leads_to: Some(Place::Delivery(row.effect.id)) }
}

/// What became of a message.
fn fate(row: &Delivery) -> (&'static str, String) {
    let error = row.last_error.as_deref().unwrap_or("no reason was recorded");
    let tries = plural(u64::from(row.attempts), "attempt", "attempts");
    match row.state {
        DeliveryState::Delivered => ("good", format!("delivered in {}, {tries}", took(row))),
        DeliveryState::Dead => ("bad", format!("given up after {tries}: {error}")),
        DeliveryState::Superseded => ("", format!("not sent: {error}")),
        DeliveryState::Sending => ("info", "being sent".to_owned()),
        DeliveryState::Pending if row.attempts > 0 => ("warn", format!("not delivered yet, {tries}: {error}")),
        DeliveryState::Pending => ("info", "waits for its turn".to_owned()),
    }
}

/// From the decision to the far end having it.
fn took(row: &Delivery) -> String {
    row.done.map_or_else(String::new, |done| figure(done.duration_since(row.effect.at).as_secs_f64().max(0.0)))
}
