//! A back-test: what an automation, or an edit of it beside the version in force, would have done.
//!
//! The page is sent as the test goes on: its head, then a line of progress for every part of the log, at last the
//! result. So it needs no script, and leaving the page gives the test up. The script shows the same answer in place.
//! Invariant: a later line of progress hides the one before (by the style sheet).

use super::definition::{Asked, DAYS as DAYS_DEFAULT, whole};
use super::diagnosis::Diagnosis;
use super::draft::{Draft, Sent};
use super::editor::DAYS;
use super::{Shown, Tab, address};
use crate::api::automations::backtest::{BacktestIn, LineOut, Of, run};
use crate::api::automations::text::Failure;
use crate::api::model::FiredOut;
use crate::api::{Params, Segments};
use crate::page::chart::days::{Day, Series, by_day};
use crate::page::layout::{Section, nothing};
use crate::page::ui::{Tone, column, number, pill, sentence, severity_tone, state as tone_word, table, wide};
use crate::page::words::{As, count, plural, time, time_or_dash};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Form;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use trackside_core::automation::backtest::{Summary, WouldBe};
use trackside_core::automation::firing::FiringState;
use trackside_core::event::Severity;

/// Where the answer goes in a page that is sent in parts. What people write is escaped, so it cannot be in it.
const HERE: &str = "<!--answer-->";
/// Firings that are listed.
const FIRINGS: usize = 100;
/// Incidents that are listed.
const INCIDENTS: usize = 20;
/// A line of progress is sent when so much more is done.
const STRIDE: f64 = 0.01;

/// Of answers that are sent in parts; they are not compressed, so that each part leaves when it is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InParts;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct BacktestQuery {
    days: Option<u32>,
}

/// `GET /automations/{id}/backtest`: of the version in force, once a number of days is chosen.
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Params(query): Params<BacktestQuery>,
) -> Result<Response, Failed> {
    let shown = Shown::find(&state, &id).await?;
    let wanted = BacktestIn { automation: Some(shown.automation.id.0), days: query.days, ..BacktestIn::default() };
    let answer = if query.days.is_some() { PreEscaped(HERE.to_owned()) } else { nothing() };
    let at = address(&shown.automation.id.to_string());
    let content = html! {
        form.filters method="get" {
            label { "The last" select name="days" {
                @for days in DAYS { option value=(days) selected[days == query.days.unwrap_or(DAYS_DEFAULT)] { (days) " days" } }
            } }
            button type="submit" { "Back-test" }
        }
        p.lead { "The version in force is run over the recorded events; nothing is sent. To compare an edit with it, write it on the page " a href={ (at) "?edit" } { "Definition" } " and back-test there." }
        div id="answer" { (answer) }
    };
    let content = shown.frame(&visitor, Tab::Backtest, &content);
    let page = visitor.page(&state, &shown.automation.spec.name, Some(Section::Automations), &content).await?;
    if query.days.is_none() {
        return Ok(page.into_response());
    }
    in_parts(state, wanted, page, &format!("{at}/backtest")).await
}

/// `POST /automations/backtest`: of a definition that is being written, beside the one that it would replace.
pub(crate) async fn of_text(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let sent = Sent::from(pairs);
    let draft = Draft::received(&state, &sent).await?;
    let diagnosis = Diagnosis::of_text(&state, &draft.text, draft.automation.as_ref()).await?;
    let told = nothing();
    let asked = |answer| Asked { event: sent.event.as_deref(), days: sent.days, answer, ..Asked::nothing(&told) };
    if diagnosis.definition.is_none() {
        let answer =
            html! { p.note.bad tabindex="-1" data-done { "It cannot be back-tested before its mistakes are mended." } };
        return Ok(whole(&state, &visitor, &draft, &asked(answer)).await?.into_response());
    }
    let automation = draft.automation.as_ref();
    let wanted = BacktestIn {
        automation: automation.map(|known| known.id.0),
        // What is in force needs no comparison with itself.
        text: (automation.is_none() || draft.replaced().is_some()).then(|| draft.text.clone()),
        days: Some(sent.days.unwrap_or(DAYS_DEFAULT)),
        ..BacktestIn::default()
    };
    let page = whole(&state, &visitor, &draft, &asked(PreEscaped(HERE.to_owned()))).await?;
    let back = automation.map_or_else(|| "/automations/new".to_owned(), |known| address(&known.id.to_string()));
    in_parts(state, wanted, page, &back).await
}

/// A page whose answer is sent as it is found out.
async fn in_parts(state: AppState, wanted: BacktestIn, page: Markup, back: &str) -> Result<Response, Failed> {
    let page = page.into_string();
    let (head, tail) = page.split_once(HERE).unwrap_or((&page, ""));
    let days = wanted.days.unwrap_or(DAYS_DEFAULT);
    let lines = match run(state, wanted).await {
        Ok(lines) => lines,
        Err(failure) => {
            let problem = problem(failure);
            let told = html! { p.note.bad role="alert" tabindex="-1" data-done { (problem.detail) "." } };
            return Ok((problem.status, Html(format!("{head}{}{tail}", told.into_string()))).into_response());
        }
    };
    let begin = html! { p.running { a.button href=(back) data-act="cancel" { "Cancel" } } };
    let head = format!("{head}<div class=\"card trial\">{}", begin.into_string());
    let tail = format!("</div>{tail}");
    let telling = Telling { lines: lines.boxed(), days, shown: -1.0, firings: Vec::new() };
    let parts = stream::unfold(telling, |telling| async { telling.next().await });
    let once = |text: String| stream::iter([Bytes::from(text)]);
    let body = once(head).chain(parts).chain(once(tail)).map(Ok::<_, Infallible>);
    let mut response = Html(Body::from_stream(body)).into_response();
    response.extensions_mut().insert(InParts);
    Ok(response)
}

fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Problem(problem) => problem,
        Failure::Mistakes(_) => Problem::new(http::StatusCode::UNPROCESSABLE_ENTITY, "the definition has mistakes"),
    }
}

/// A test that is told while it goes on.
struct Telling {
    lines: BoxStream<'static, Vec<LineOut>>,
    days: u32,
    /// The share that was last told.
    shown: f64,
    firings: Vec<(Of, FiredOut)>,
}

impl Telling {
    /// The next part of the page.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            let lines = self.lines.next().await?;
            let part: String = lines.into_iter().filter_map(|line| self.tell(line)).map(Markup::into_string).collect();
            if !part.is_empty() {
                return Some((Bytes::from(part), self));
            }
        }
    }

    fn tell(&mut self, line: LineOut) -> Option<Markup> {
        match line {
            LineOut::Firing { of, firing } => {
                self.firings.push((of, firing));
                None
            }
            LineOut::Progress { share, events } => {
                if share - self.shown < STRIDE {
                    return None;
                }
                self.shown = share;
                Some(progress(share, events))
            }
            LineOut::Summary { from, until, tried, in_force } => {
                let firings = std::mem::take(&mut self.firings);
                let in_force = in_force.map(|summary| *summary);
                Some(result(&Outcome { days: self.days, from, until, tried: *tried, in_force, firings }))
            }
            LineOut::Failed { detail } => Some(
                html! { p.note.bad role="alert" tabindex="-1" data-done { "It was not run to its end: " (detail) "." } },
            ),
        }
    }
}

fn progress(share: f64, events: u64) -> Markup {
    let percent = format!("{:.0}", share * 100.0);
    html! { p.step { progress max="100" value=(percent) aria-label="Back-test" { (percent) "%" } " " (percent) "% · " (plural(events, "event", "events")) } }
}

/// What came out.
struct Outcome {
    days: u32,
    from: Timestamp,
    until: Timestamp,
    tried: Summary,
    in_force: Option<Summary>,
    firings: Vec<(Of, FiredOut)>,
}

fn result(outcome: &Outcome) -> Markup {
    let series = if outcome.in_force.is_some() { Series::Two } else { Series::One };
    let days = days(outcome);
    html! {
        div.result {
            div.title {
                h2 { "The last " (outcome.days) " days" }
                @if series == Series::Two { div.legend { span.accent { "this edit" } span.idle { "in force" } } }
            }
            (told(outcome))
            (by_day(&days, series))
            (figures(&days, series))
            @if !outcome.tried.incidents.is_empty() { h3 { "Incidents that would have opened" } (incidents(&outcome.tried.incidents)) }
            @if !outcome.firings.is_empty() { h3 { "Firings" } (firings(outcome, series)) }
        }
    }
}

/// What came out in a sentence.
fn told(outcome: &Outcome) -> Markup {
    let did = |summary: &Summary| {
        let incidents = summary.incidents.len() as u64;
        let opened = if incidents > 0 {
            format!(" and opened {}", plural(incidents, "incident", "incidents"))
        } else {
            String::new()
        };
        let cleared = if summary.resolved > 0 {
            format!(", cleared {}", plural(summary.resolved, "time", "times"))
        } else {
            String::new()
        };
        format!("{}{cleared}{opened}", plural(summary.fired, "time", "times"))
    };
    html! {
        p.note.good tabindex="-1" data-done {
            "Over " (plural(outcome.tried.events, "event", "events")) " it would have fired " b { (did(&outcome.tried)) }
            @if let Some(in_force) = &outcome.in_force { "; the version in force " b { (did(in_force)) } }
            "."
        }
    }
}

/// Every day of the stretch (UTC).
fn days(outcome: &Outcome) -> Vec<Day> {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    let seconds = DAY.as_secs();
    let day_of = |at: Timestamp| at.as_second().div_euclid(seconds);
    let fired = |summary: &Summary, from: Timestamp| {
        summary.per_day.get(&from.strftime("%Y-%m-%d").to_string()).copied().unwrap_or(0)
    };
    let day = |number: i64| {
        let from = Timestamp::from_second(number * seconds).unwrap_or(Timestamp::MIN);
        let second = outcome.in_force.as_ref().map_or(0, |summary| fired(summary, from));
        Day { from, first: fired(&outcome.tried, from), second }
    };
    (day_of(outcome.from)..=day_of(outcome.until)).map(day).collect()
}

fn figures(days: &[Day], series: Series) -> Markup {
    let first = if series == Series::Two { "This edit" } else { "Firings" };
    let mut columns = vec![column("Day (UTC)"), number(first)];
    columns.extend((series == Series::Two).then(|| number("In force")));
    let rows = html! {
        @for day in days {
            tr {
                td { (day.from.strftime("%Y-%m-%d")) }
                td.num { (count(day.first)) }
                @if series == Series::Two { td.num { (count(day.second)) } }
            }
        }
    };
    html! { details { summary { "Figures by day" } (table(&columns, &rows)) } }
}

fn incidents(incidents: &[WouldBe]) -> Markup {
    let columns = [column("Incident"), wide("Owner"), column("Severity"), wide("Opened"), wide("Over"), number("Seen")];
    let rows = html! {
        @for incident in incidents.iter().rev().take(INCIDENTS) {
            tr {
                td.title { (incident.title) div.small.soft { (incident.pipeline.source) " / " (incident.pipeline.name) } }
                td.wide { (incident.owner) }
                td { (pill(severity(&incident.severity), &incident.severity)) }
                td.wide.nowrap { (time(incident.opened, As::Time)) }
                td.wide.nowrap { (time_or_dash(incident.resolved, As::Time)) }
                td.num { (incident.occurrences) }
            }
        }
    };
    html! { (table(&columns, &rows)) (rest(INCIDENTS, incidents.len(), "incidents")) }
}

fn severity(word: &str) -> Tone {
    let known = [Severity::Critical, Severity::Error, Severity::Warning, Severity::Info];
    known.into_iter().find(|severity| severity.as_str() == word).map_or(Tone::Idle, severity_tone)
}

/// What tells a firing of one version from a firing of the other.
type Same = (Timestamp, bool, BTreeMap<String, String>);

fn firings(outcome: &Outcome, series: Series) -> Markup {
    let same =
        |firing: &FiredOut| -> Same { (firing.at, firing.state == FiringState::Triggered, firing.labels.clone()) };
    let of = |wanted: Of| -> BTreeSet<Same> {
        outcome.firings.iter().filter(|(of, _)| *of == wanted).map(|(_, firing)| same(firing)).collect()
    };
    let (tried, in_force) = (of(Of::Tried), of(Of::InForce));
    let mut all: Vec<(&FiredOut, &str)> = Vec::new();
    for (of, firing) in &outcome.firings {
        match of {
            Of::Tried if in_force.contains(&same(firing)) => all.push((firing, "both")),
            Of::Tried => all.push((firing, "this edit only")),
            Of::InForce if tried.contains(&same(firing)) => {}
            Of::InForce => all.push((firing, "in force only")),
        }
    }
    all.sort_by_key(|(firing, _)| std::cmp::Reverse(firing.at));
    let mut columns = vec![column("What"), column("When"), column("Why"), wide("Events")];
    columns.extend((series == Series::Two).then(|| column("In")));
    let rows = html! {
        @for (firing, whose) in all.iter().take(FIRINGS) {
            tr {
                td { (what(firing.state)) }
                td.nowrap { (time(firing.at, As::Time)) }
                td.title { (sentence(&firing.because)) (labels(&firing.labels)) }
                td.wide { (event_links(firing)) }
                @if series == Series::Two { td.nowrap { @if *whose == "both" { span.soft { "both" } } @else { (whose) } } }
            }
        }
    };
    html! { (table(&columns, &rows)) (rest(FIRINGS, all.len(), "firings")) }
}

fn rest(shown: usize, all: usize, what: &str) -> Markup {
    html! { @if all > shown { p.small.soft { "The newest " (shown) " of " (count(all as u64)) " " (what) "." } } }
}

/// Fired or cleared.
pub(super) fn what(state: FiringState) -> Markup {
    match state {
        FiringState::Triggered => tone_word(Tone::Bad, "Fired"),
        FiringState::Resolved => tone_word(Tone::Good, "Cleared"),
    }
}

/// The values that a firing is about.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> Markup {
    html! { @for (label, value) in labels { div.small.soft { (label) " = " (value) } } }
}

/// Links to the events of a firing: the first ones, and how many there are.
pub(super) fn event_links(firing: &FiredOut) -> Markup {
    const LINKS: usize = 3;
    let more = firing.events.len().saturating_sub(LINKS);
    html! {
        @if firing.events.is_empty() { span.soft { "no event" } }
        @for (index, event) in firing.events.iter().take(LINKS).enumerate() {
            @if index > 0 { ", " }
            a href={ "/events/" (event.id) } { "#" (event.seq) }
        }
        @if more > 0 { span.soft { " and " (more) " more" } }
    }
}
