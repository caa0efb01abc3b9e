//! Maintenance windows on the page of silences: those of the configuration to read, those made here to make and end.
//!
//! The form makes windows that happen once or every week; other recurrences are written in the configuration.

use super::{lines, matchers};
use crate::api::Segments;
use crate::api::maintenance::{MaintenanceIn, Window, make};
use crate::api::span::zone;
use crate::page::ui::{Tone, column, empty, state as tone_word, table, wide};
use crate::page::words::{As, stretch, time};
use crate::page::{Failed, Visitor, zone as zones};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::duty::maintenance::{Frequency, Recurrence, When};
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Ruleset;

/// How far occurrences are looked for.
const AHEAD: SignedDuration = SignedDuration::from_hours(60 * 24);
/// Occurrences to come that are shown.
const NEXT: usize = 3;

/// What the page shows of maintenance.
pub(super) struct View<'a> {
    pub(super) windows: Vec<Window>,
    pub(super) zone: Zone,
    pub(super) ruleset: &'a Ruleset,
    pub(super) now: Timestamp,
    pub(super) may_edit: bool,
}

/// A window as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct WindowForm {
    name: String,
    #[serde(default)]
    matchers: String,
    start: String,
    end: String,
    zone: String,
    again: Again,
    #[serde(default)]
    announce: String,
    #[serde(default)]
    reason: String,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Again {
    Once,
    Weekly,
}

/// `POST /silences/maintenance`
pub(crate) async fn create(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<WindowForm>,
) -> Result<Redirect, Failed> {
    let wanted = MaintenanceIn {
        when: form.when()?,
        name: form.name,
        matchers: lines(&form.matchers),
        announce: Some(form.announce).filter(|via| !via.is_empty()).into_iter().collect(),
        reason: form.reason,
    };
    make(&state, &visitor.who, wanted).await?;
    Ok(Redirect::to("/silences#maintenance"))
}

/// `POST /silences/maintenance/{id}/end`
pub(crate) async fn end(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    crate::api::maintenance::end(&state, &visitor.who, &id).await?;
    Ok(Redirect::to("/silences#maintenance"))
}

impl WindowForm {
    /// Once from start to end, or every week at these times. What lasts less than a day ends at a wall clock, so that
    /// it is right also when the clock moves.
    fn when(&self) -> Result<When, Problem> {
        let tz = zone(Some(&self.zone))?;
        let (start, end) = (local("start", &self.start)?, local("end", &self.end)?);
        let once = When { tz, start: Some(start), end: Some(end), ..When::default() };
        once.check().map_err(|problem| Problem::bad("end", problem))?;
        if self.again == Again::Once {
            return Ok(once);
        }
        let weekly = Recurrence {
            freq: Frequency::Weekly,
            interval: 1,
            by_day: Vec::new(),
            by_month_day: None,
            until: None,
            count: None,
        };
        let length = end.duration_since(start);
        let within_a_day = length <= SignedDuration::from_hours(24);
        Ok(When {
            end: None,
            end_time: within_a_day.then(|| end.strftime("%H:%M").to_string()),
            duration_s: (!within_a_day).then(|| u64::try_from(length.as_secs()).unwrap_or(0)),
            rrule: Some(weekly),
            ..once
        })
    }
}

fn local(at: &str, text: &str) -> Result<DateTime, Problem> {
    text.trim()
        .parse()
        .map_err(|_| Problem::bad(at, format!("`{text}` is not a local time; write for example 2026-12-05T22:00")))
}

/// The windows that are under way or come again.
pub(super) fn listing(view: &View<'_>) -> Markup {
    if view.windows.is_empty() {
        return empty(
            "No maintenance is planned.",
            &html! {
                "Plan it here or, when it comes again and again, in a file of the configuration folder:"
                pre { "maintenance:\n  - name: warehouse night\n    matchers: ['source=\"warehouse\"']\n    when: {tz: Europe/Paris, start: \"2026-01-03T22:00\", end_time: \"02:00\", rrule: {freq: weekly}}\n" }
            },
        );
    }
    let columns = [column("Window"), column("When"), wide("Covers"), wide("From"), column("")];
    table(
        &columns[..if view.may_edit { 5 } else { 4 }],
        &html! { @for window in &view.windows { (one(view, window)) } },
    )
}

fn one(view: &View<'_>, window: &Window) -> Markup {
    let work = window.work();
    html! {
        tr {
            td.title {
                b { (work.name) }
                @if !work.reason.is_empty() { div.small.soft { (work.reason) } }
                @if !work.announce.is_empty() { div.small.soft { "announced through " (work.announce.join(", ")) } }
                div.narrow { (matchers(&work.matchers)) }
            }
            td { (times(view, window)) }
            td.wide { (matchers(&work.matchers)) }
            td.wide.soft { @match window { Window::Configured(_) => "the configuration", Window::Made(made) => (made.by) } }
            @if view.may_edit {
                td { @if let Window::Made(made) = window {
                    form method="post" action={ "/silences/maintenance/" (made.id) "/end" } { button type="submit" aria-label={ "End " (work.name) } { "End" } }
                } }
            }
        }
    }
}

/// The occurrence under way and the next ones.
fn times(view: &View<'_>, window: &Window) -> Markup {
    let when = &window.work().when;
    let active = when.active(view.now);
    let until = view.now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    let next = when.occurrences(view.now, until).into_iter().filter(|(start, _)| *start > view.now);
    let next: Vec<_> = next.take(NEXT).collect();
    html! {
        @if let Some((start, end)) = active {
            div { (tone_word(Tone::Warn, "Now")) " " (stretch(start, end, &view.zone)) div.small.soft { "ends " (time(end, As::Ago)) } }
        }
        @for (start, end) in &next { div.small { (stretch(*start, *end, &view.zone)) } }
        @if next.is_empty() && active.is_none() { span.soft { "not within sixty days" } }
    }
}

/// The form of a window.
pub(super) fn form(view: &View<'_>) -> Markup {
    let sends = view.ruleset.connections.iter().filter(|(_, info)| info.kind.can_tell()).map(|(name, _)| name);
    html! {
        form.plain id="window" method="post" action="/silences/maintenance" {
            div.fields.field {
                label { "Name" input name="name" required maxlength="200"; }
                label { "From" input type="datetime-local" name="start" required; }
                label { "Until" input type="datetime-local" name="end" required; }
                (zones::field(&view.zone, view.ruleset))
                label { "How often" select name="again" { option value="once" { "once" } option value="weekly" { "every week" } } }
                label { "Announce through" select name="announce" { option value="" { "nothing" } @for via in sends { option value=(via) { (via) } } } }
                label.broad { "Why" input name="reason" maxlength="1000"; }
            }
            label { "Covers: matchers, one in a line; everything when empty" textarea.mono name="matchers" rows="2" spellcheck="false" placeholder="source=\"airflow-prod\"" {} }
            button type="submit" { "Plan it" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: &str, end: &str, again: Again, expect: &str) {
        let form = WindowForm {
            name: "x".to_owned(),
            matchers: String::new(),
            start: start.to_owned(),
            end: end.to_owned(),
            zone: "Europe/Paris".to_owned(),
            again,
            announce: String::new(),
            reason: String::new(),
        };
        let got = match form.when() {
            Ok(when) => serde_json::to_string(&when).expect("JSON"),
            Err(problem) => problem.detail,
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn a_form_becomes_a_window() {
        check(
            "2026-12-05T22:00",
            "2026-12-06T02:00",
            Again::Once,
            r#"{"tz":"Europe/Paris","start":"2026-12-05T22:00:00","end":"2026-12-06T02:00:00"}"#,
        );
        check(
            "2026-12-05T22:00",
            "2026-12-06T02:00",
            Again::Weekly,
            r#"{"tz":"Europe/Paris","start":"2026-12-05T22:00:00","end_time":"02:00","rrule":{"freq":"weekly","interval":1}}"#,
        );
        check(
            "2026-12-04T22:00",
            "2026-12-06T02:00",
            Again::Weekly,
            r#"{"tz":"Europe/Paris","start":"2026-12-04T22:00:00","duration_s":100800,"rrule":{"freq":"weekly","interval":1}}"#,
        );
        check(
            "soon",
            "2026-12-06T02:00",
            Again::Once,
            "`soon` is not a local time; write for example 2026-12-05T22:00",
        );
        check(
            "2026-12-06T02:00",
            "2026-12-05T22:00",
            Again::Once,
            "`end` 2026-12-05T22:00:00 is not after `start` 2026-12-06T02:00:00",
        );
    }
}
