//! On-call: who has it now, who will, where nobody does; overrides and swaps.
//!
//! The address says which part of time is shown, in which zone, and what the form of overrides is filled with, so that
//! a link can ask for a particular override. What is written goes the way of the API ([`crate::api::overrides`]).
//!
//! - [`standing`]: who is on call now; [`calendar`]: the drawing; [`shifts`]: the same in words; [`forms`]: writing

pub(crate) mod calendar;
pub(crate) mod forms;
pub(crate) mod range;
pub(crate) mod shifts;
pub(crate) mod standing;

use crate::api::oncall::{Stand, roster, stands};
use crate::api::span::Stretch;
use crate::api::{Params, filled};
use crate::page::audit::given;
use crate::page::layout::{Section, card, head, lamp};
use crate::page::ui::{address, empty};
use crate::page::zone;
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::State;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use range::{Length, Range};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::duty::schedule::{Override, Shift};
use trackside_core::ruleset::Ruleset;
use trackside_identity::role::Role;

/// What the calendar has a row for.
const BY: [(&str, &str); 2] = [("", "schedule"), ("person", "person")];

/// How far before and after what is shown shifts are looked for: the longest usual shift is a month.
const AROUND: SignedDuration = SignedDuration::from_hours(32 * 24);

/// What is shown, and what the form of overrides is filled with.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct OncallQuery {
    from: Option<String>,
    span: Option<String>,
    by: Option<String>,
    zone: Option<String>,
    schedule: Option<String>,
    /// Schedule, person and local times of an override to be made.
    pub(crate) of: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
}

/// Everything that the page shows.
pub(crate) struct View<'a> {
    pub(crate) query: &'a OncallQuery,
    pub(crate) ruleset: &'a Ruleset,
    pub(crate) range: Range,
    pub(crate) now: Timestamp,
    /// How every schedule stands.
    pub(crate) stands: BTreeMap<String, Stand>,
    /// Shifts and gaps of the schedules that are shown.
    pub(crate) rosters: BTreeMap<String, Vec<Shift>>,
    /// Overrides that are not over, of all schedules.
    pub(crate) overrides: Vec<Override>,
    /// Whether overrides can be made by who looks.
    pub(crate) may_edit: bool,
    /// Address of this server, for feeds.
    pub(crate) public_url: String,
}

/// `GET /oncall`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<OncallQuery>,
) -> Result<Markup, Failed> {
    let configured = state.configured();
    let ruleset = &configured.ruleset;
    let now = state.now();
    let zone = zone::asked(query.zone.as_deref(), &visitor, ruleset)?;
    let range = Range::new(first(&query)?, Length::parse(given(&query.span))?, zone, now);
    let wanted = filled(query.schedule.clone());
    // Wider than what is shown, so that a shift that an edge cuts is told with its own ends.
    let around = |at: Timestamp, by: SignedDuration| at.saturating_add(by).unwrap_or(at);
    let stretch = Stretch { from: around(range.from, -AROUND), until: around(range.until, AROUND) };
    let shown = |shift: &Shift| shift.end > range.from && shift.start < range.until;
    let mut rosters = BTreeMap::new();
    for (name, schedule) in
        ruleset.schedules.iter().filter(|(name, _)| wanted.as_ref().is_none_or(|only| only == *name))
    {
        let mut shifts = roster(&state, name, schedule, stretch).await?.shifts;
        shifts.retain(shown);
        rosters.insert(name.clone(), shifts);
    }
    let mut overrides = state.store.overrides(None, now, Timestamp::MAX).await?;
    overrides.sort_by_key(|made| (made.start, made.created));
    let view = View {
        query: &query,
        ruleset,
        range,
        now,
        stands: stands(&state, ruleset, now).await?,
        rosters,
        overrides,
        may_edit: visitor.may(Role::Responder),
        public_url: configured.public_url.as_str().trim_end_matches('/').to_owned(),
    };
    visitor.page(&state, "On-call", Some(Section::Oncall), &render(&view)).await
}

fn first(query: &OncallQuery) -> Result<Option<Date>, Problem> {
    let day = |text: String| {
        text.parse::<Date>().map_err(|_| Problem::bad("from", format!("`{text}` is not a day; write 2026-11-16")))
    };
    filled(query.from.clone()).map(day).transpose()
}

impl View<'_> {
    /// The name of a person for people.
    pub(crate) fn title(&self, name: &str) -> String {
        title(self.ruleset, name)
    }

    /// The number of a person, which chooses a colour.
    pub(crate) fn hue(&self, name: &str) -> usize {
        self.ruleset.people.keys().position(|known| known == name).unwrap_or(self.ruleset.people.len())
    }

    /// The address of this page with some of its parameters replaced.
    pub(crate) fn at(&self, replaced: &[(&str, &str)]) -> String {
        let query = self.query;
        let from = self.range.first.to_string();
        let own = [
            ("from", if query.from.is_some() { from.as_str() } else { "" }),
            ("span", given(&query.span)),
            ("by", given(&query.by)),
            ("zone", given(&query.zone)),
            ("schedule", given(&query.schedule)),
        ];
        let kept = own.into_iter().filter(|(name, _)| replaced.iter().all(|(other, _)| other != name));
        let all: Vec<(&str, &str)> = kept.chain(replaced.iter().copied()).collect();
        address("/oncall", &all, None)
    }

    /// The address that fills the form of overrides with a shift.
    pub(crate) fn take_over(&self, schedule: &str, shift: &Shift) -> String {
        let local = |at: Timestamp| self.range.zone.local(at).strftime("%Y-%m-%dT%H:%M").to_string();
        let (start, end) = (local(shift.start.max(self.now)), local(shift.end));
        format!("{}#override", self.at(&[("of", schedule), ("start", &start), ("end", &end)]))
    }

    fn by_person(&self) -> bool {
        given(&self.query.by) == "person"
    }
}

/// The name of a person for people.
pub(crate) fn title(ruleset: &Ruleset, name: &str) -> String {
    ruleset.people.get(name).and_then(|person| person.name.clone()).unwrap_or_else(|| name.to_owned())
}

fn render(view: &View<'_>) -> Markup {
    if view.ruleset.schedules.is_empty() {
        return html! { (head("On-call", &html! {}, &html! {})) section.card { (none_yet()) } };
    }
    html! {
        (head("On-call", &html! {}, &lamp()))
        div id="oncall" data-live {
            (standing::now(view))
            (standing::gaps(view))
        }
        (filters(view))
        div id="calendar" data-live {
            section.card {
                div.title { h2 { (heading(&view.range)) } (steps(view)) }
                (calendar::render(&view.range, &rows(view), view.now))
                p.small.soft.cal-note {
                    "Times in " (view.range.zone.name()) "."
                    @if view.may_edit { span data-script hidden { " Drag over a row to make an override, or choose a shift." } }
                }
            }
            (card("Shifts in words", &html! {}, &shifts::table_of(view)))
        }
        @if view.may_edit {
            div.two {
                (card("Make an override", &html! {}, &forms::make(view)))
                (card("Swap two shifts", &html! {}, &forms::swap(view)))
            }
        }
        div id="overrides" data-live { (card("Overrides", &html! {}, &forms::overrides(view))) }
        (card("In your own calendar", &html! {}, &forms::feeds(view)))
    }
}

fn heading(range: &Range) -> String {
    let last = range.after().yesterday().unwrap_or(range.first);
    match range.length {
        Length::Month if range.first.day() == 1 => range.first.strftime("%B %Y").to_string(),
        _ => format!("{} – {}", range.first.strftime("%-d %B"), last.strftime("%-d %B %Y")),
    }
}

fn steps(view: &View<'_>) -> Markup {
    let (before, after) = (view.range.before().to_string(), view.range.after().to_string());
    html! {
        nav.links aria-label="Time" {
            a rel="prev" href=(view.at(&[("from", &before)])) { "Earlier" }
            a href=(view.at(&[("from", "")])) { "Today" }
            a rel="next" href=(view.at(&[("from", &after)])) { "Later" }
        }
    }
}

fn filters(view: &View<'_>) -> Markup {
    let query = view.query;
    html! {
        form.filters method="get" role="search" {
            @if query.from.is_some() { input type="hidden" name="from" value=(view.range.first); }
            label { "Show" select name="span" {
                @for (length, word, told) in Length::ALL { option value=(word) selected[length == view.range.length] { (told) } }
            } }
            label { "A row for each" select name="by" {
                @for (word, told) in BY { option value=(word) selected[word == given(&query.by)] { (told) } }
            } }
            label { "Schedule" select name="schedule" {
                option value="" { "any" }
                @for name in view.ruleset.schedules.keys() { option value=(name) selected[name == given(&query.schedule)] { (name) } }
            } }
            (zone::field(&view.range.zone, view.ruleset))
            button type="submit" { "Show" }
        }
    }
}

/// The rows of the calendar.
fn rows(view: &View<'_>) -> Vec<calendar::Row> {
    if view.by_person() { rows_by_person(view) } else { rows_by_schedule(view) }
}

fn rows_by_schedule(view: &View<'_>) -> Vec<calendar::Row> {
    let row = |(name, shifts): (&String, &Vec<Shift>)| calendar::Row {
        title: name.clone(),
        more: String::new(),
        schedule: Some(name.clone()),
        person: None,
        bars: shifts.iter().map(|shift| bar(view, name, shift, None)).collect(),
    };
    view.rosters.iter().map(row).collect()
}

fn rows_by_person(view: &View<'_>) -> Vec<calendar::Row> {
    let shifts = || view.rosters.iter().flat_map(|(name, shifts)| shifts.iter().map(move |shift| (name, shift)));
    let people: BTreeSet<&String> = shifts().flat_map(|(_, shift)| &shift.on_call.users).collect();
    let row = |person: &String| {
        let own = shifts().filter(|(_, shift)| shift.on_call.users.contains(person));
        let mut bars: Vec<calendar::Bar> = own.map(|(name, shift)| bar(view, name, shift, Some(person))).collect();
        bars.sort_by_key(|bar| bar.start);
        let zone = view.ruleset.people.get(person).map(|known| known.zone.name().to_owned());
        let (title, more) = (view.title(person), zone.unwrap_or_default());
        calendar::Row { title, more, schedule: None, person: Some(person.clone()), bars }
    };
    let mut rows: Vec<calendar::Row> = people.into_iter().map(row).collect();
    let gaps = shifts().filter(|(_, shift)| shift.on_call.users.is_empty());
    let mut gaps: Vec<calendar::Bar> = gaps.map(|(name, shift)| bar(view, name, shift, Some(name))).collect();
    gaps.sort_by_key(|bar| bar.start);
    if !gaps.is_empty() {
        rows.push(calendar::Row { title: "Nobody".to_owned(), bars: gaps, ..calendar::Row::default() });
    }
    rows
}

/// A shift as a bar; in the row of a person it says the schedule.
fn bar(view: &View<'_>, schedule: &str, shift: &Shift, person: Option<&str>) -> calendar::Bar {
    let users = &shift.on_call.users;
    let names: Vec<String> = users.iter().map(|user| view.title(user)).collect();
    let label = match (person, users.is_empty()) {
        (Some(_), _) => schedule.to_owned(),
        (None, true) => "nobody".to_owned(),
        (None, false) => names.join(", "),
    };
    // In the row of a person the colour tells the schedules apart.
    let of_schedule = || view.ruleset.schedules.keys().position(|known| known == schedule).unwrap_or_default();
    let hue = users.first().map(|user| if person.is_some() { of_schedule() } else { view.hue(user) });
    let kind = match hue {
        None => calendar::Kind::Gap,
        Some(hue) if shifts::is_override(shift) => calendar::Kind::Override(hue),
        Some(hue) => calendar::Kind::Shift(hue),
    };
    let href = (view.may_edit && shift.end > view.now).then(|| view.take_over(schedule, shift));
    calendar::Bar { start: shift.start, end: shift.end, label, kind, href }
}

fn none_yet() -> Markup {
    empty(
        "There is no on-call schedule yet.",
        &html! {
            "A schedule says who is paged when. Write one into a file of the configuration folder and run "
            code { "trackside apply" } "; an escalation policy then pages " code { "oncall:primary" } ":"
            pre { "people:\n  ana: {name: Ana Martin, zone: Europe/Paris, contacts: [{via: slack-data, to: U024BE7LH}]}\n  bruno: {name: Bruno Keller, zone: Europe/Zurich, contacts: [{via: slack-data, to: U0G9QF9C6}]}\nschedules:\n  primary:\n    layers:\n      - name: weekly\n        rotation: {tz: Europe/Paris, start: \"2026-01-05T09:00\", unit: week, participants: [ana, bruno]}\n" }
        },
    )
}
