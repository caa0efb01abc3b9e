//! Making and taking back overrides, swapping shifts, and the feeds for other calendars.
//!
//! Times in the forms are local times of the zone that is shown; the zone is sent along.

use super::View;
use super::shifts::{is_override, names};
use crate::api::Segments;
use crate::api::overrides::{OverrideIn, SwapIn, TurnIn, make_swap, take_back};
use crate::api::span::{given, zone};
use crate::page::audit::given as or_empty;
use crate::page::ui::{address, column, copyable, empty, segment, table, wide};
use crate::page::words::{local, stretch};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::duty::schedule::{Override, Shift};

/// What stands for nobody in the list of people.
const NOBODY: &str = "-";

/// An override as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct OverrideForm {
    schedule: String,
    user: String,
    start: String,
    end: String,
    zone: String,
    #[serde(default)]
    reason: String,
}

/// A swap as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct SwapForm {
    one: String,
    other: String,
    zone: String,
    #[serde(default)]
    reason: String,
}

/// `POST /oncall/overrides`
pub(crate) async fn create(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<OverrideForm>,
) -> Result<Redirect, Failed> {
    let zone = zone(Some(&form.zone))?;
    let at = |name: &str, text: &str| {
        given(name, Some(text), &zone)?.ok_or_else(|| Problem::bad(name, format!("`{name}` is empty")))
    };
    let wanted = OverrideIn {
        user: (form.user != NOBODY).then(|| form.user.clone()),
        start: Some(at("start", &form.start)?),
        end: at("end", &form.end)?,
        reason: form.reason,
    };
    let (made, _) = crate::api::overrides::make(&state, &visitor.who, &form.schedule, &wanted).await?;
    let from = zone.local(made.start).date();
    Ok(back(&form.zone, &from.to_string()))
}

/// `POST /oncall/overrides/{id}/remove`
pub(crate) async fn remove(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    take_back(&state, &visitor.who, &id).await?;
    Ok(Redirect::to("/oncall"))
}

/// `POST /oncall/swaps`
pub(crate) async fn exchange(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<SwapForm>,
) -> Result<Redirect, Failed> {
    let (schedule, a) = turn("one", &form.one)?;
    let (other, b) = turn("other", &form.other)?;
    if schedule != other {
        return Err(
            Problem::bad("other", "only shifts of one schedule can be swapped; make two overrides instead").into()
        );
    }
    let wanted = SwapIn { a, b, reason: form.reason };
    make_swap(&state, &visitor.who, &schedule, &wanted).await?;
    let from = zone(Some(&form.zone))?.local(a.start.min(b.start)).date();
    Ok(back(&form.zone, &from.to_string()))
}

fn back(zone: &str, from: &str) -> Redirect {
    Redirect::to(&address("/oncall", &[("from", from), ("zone", zone)], None))
}

/// A shift as the list of shifts names it: from, until, schedule.
fn turn(at: &str, text: &str) -> Result<(String, TurnIn), Problem> {
    let bad = || Problem::bad(at, format!("`{text}` is not a shift; choose one of the list"));
    let mut parts = text.splitn(3, '/');
    let mut instant = || parts.next()?.parse::<Timestamp>().ok();
    let (start, end) = instant().zip(instant()).ok_or_else(bad)?;
    let schedule = parts.next().ok_or_else(bad)?;
    Ok((schedule.to_owned(), TurnIn { start, end }))
}

/// The form of overrides, filled with what the address says.
pub(super) fn make(view: &View<'_>) -> Markup {
    let query = view.query;
    let schedule = query.of.as_deref().or(query.schedule.as_deref()).unwrap_or_default();
    html! {
        form.plain id="override" method="post" action="/oncall/overrides" {
            input type="hidden" name="zone" value=(view.range.zone.name());
            div.fields.field {
                label { "Schedule" select name="schedule" required {
                    @for name in view.ruleset.schedules.keys() { option value=(name) selected[name == schedule] { (name) } }
                } }
                label { "On call" select name="user" required {
                    @for (name, _) in &view.ruleset.people { option value=(name) selected[name == or_empty(&query.user)] { (view.title(name)) } }
                    option value=(NOBODY) { "nobody" }
                } }
                label { "From" input type="datetime-local" name="start" required value=(or_empty(&query.start)); }
                label { "Until" input type="datetime-local" name="end" required value=(or_empty(&query.end)); }
                label.broad { "Why (others see it)" input name="reason" maxlength="1000"; }
            }
            p.small.soft { "Local times of " (view.range.zone.name()) ". The newest override wins over older ones and over the layers." }
            button.main type="submit" { "Make the override" }
        }
    }
}

/// The form that swaps two shifts.
pub(super) fn swap(view: &View<'_>) -> Markup {
    let shifts = view.rosters.iter().flat_map(|(name, shifts)| shifts.iter().map(move |shift| (name.as_str(), shift)));
    let ahead = |(_, shift): &(&str, &Shift)| shift.end > view.now && shift.on_call.users.len() == 1;
    let shifts: Vec<(&str, &Shift)> = shifts.filter(ahead).collect();
    html! {
        @if shifts.len() < 2 { div.empty { "There are not two shifts to come in what is shown. Choose two weeks or a month above." } }
        @else {
            form.plain.field method="post" action="/oncall/swaps" {
                input type="hidden" name="zone" value=(view.range.zone.name());
                label { "This shift" (choices(view, &shifts, "one", 0)) }
                label { "and this one" (choices(view, &shifts, "other", 1)) }
                label { "Why (others see it)" input name="reason" maxlength="1000"; }
                p.small.soft { "Each takes the other's: two overrides, both or none." }
                button type="submit" { "Swap" }
            }
        }
    }
}

fn choices(view: &View<'_>, shifts: &[(&str, &Shift)], name: &str, chosen: usize) -> Markup {
    html! {
        select name=(name) required {
            @for (index, (schedule, shift)) in shifts.iter().enumerate() {
                @let start = shift.start.max(view.now);
                option value={ (start) "/" (shift.end) "/" (schedule) } selected[index == chosen] {
                    (schedule) ": " (names(view, &shift.on_call.users)) ", " (stretch(start, shift.end, &view.range.zone))
                    @if is_override(shift) { " (override)" }
                }
            }
        }
    }
}

/// The overrides that are not over.
pub(super) fn overrides(view: &View<'_>) -> Markup {
    if view.overrides.is_empty() {
        return empty(
            "No override is in force or to come.",
            &html! { "When somebody is away, an override puts another person on call for a while; the layers stay as they are." },
        );
    }
    let columns = [column("Who"), column("From"), wide("Until"), wide("Schedule"), wide("Made by"), column("")];
    let count = if view.may_edit { 6 } else { 5 };
    table(&columns[..count], &html! { @for made in &view.overrides { (one(view, made)) } })
}

fn one(view: &View<'_>, made: &Override) -> Markup {
    let who = made.user.as_ref().map_or_else(|| "nobody".to_owned(), |user| view.title(user));
    html! {
        tr data-key=(made.id) {
            td.title {
                b { (who) } @if made.start <= view.now { " " span.small.good { "now" } }
                @if !made.reason.is_empty() { div.small.soft { (made.reason) } }
                div.small.soft.narrow { (made.schedule) }
            }
            td.nowrap { (local(made.start, &view.range.zone)) div.small.narrow { "until " (local(made.end, &view.range.zone)) } }
            td.nowrap.wide { (local(made.end, &view.range.zone)) }
            td.wide { (made.schedule) }
            td.wide.soft { (made.by) }
            @if view.may_edit {
                td { form method="post" action={ "/oncall/overrides/" (made.id) "/remove" } { button type="submit" aria-label={ "Take back the override for " (who) } { "Take back" } } }
            }
        }
    }
}

/// How to see all this in another calendar.
pub(super) fn feeds(view: &View<'_>) -> Markup {
    let base = &view.public_url;
    html! {
        p.lead { "Subscribe to a feed (in Google Calendar: Other calendars, From URL; in Outlook: Add calendar, Subscribe from web; in Apple Calendar: File, New calendar subscription). It covers last month until six months ahead and follows every override." }
        dl.facts {
            @for name in view.ruleset.schedules.keys() {
                dt { (name) } dd { (copyable(&format!("{base}/api/v1/schedules/{}/calendar.ics?token=TOKEN", segment(name)))) }
            }
            @for name in view.ruleset.people.keys() {
                dt { (view.title(name)) } dd { (copyable(&format!("{base}/api/v1/people/{}/calendar.ics?token=TOKEN", segment(name)))) }
            }
        }
        p.small.soft.cal-note { "Put a token of the role viewer in place of TOKEN (" code { "trackside token create calendar --role viewer" } "). In an address, it opens feeds and nothing else." }
    }
}
