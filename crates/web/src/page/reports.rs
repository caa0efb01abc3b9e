//! Reports: how fast problems were taken and ended, whom pages woke, what is noise and what to do about it.
//!
//! The address says the team, how many weeks, and the zone in which weeks begin. The figures are those of the API
//! ([`crate::api::reports`]).
//!
//! - [`load`]: pages per person; [`noise`]: the noisiest pipelines and rules

pub(crate) mod load;
pub(crate) mod noise;

use crate::api::reports::{ReportQuery, asked, read};
use crate::api::{Params, filled};
use crate::page::audit::given;
use crate::page::chart::weeks::{Week, durations};
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::empty;
use crate::page::words::{count, figure, percent, plural};
use crate::page::{Failed, Visitor, zone};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::State;
use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Ruleset;
use trackside_store::reports::{Figures, Pages, Report, Spread};

/// Weeks that are offered.
const WEEKS: [i64; 4] = [4, 8, 13, 26];

/// What is reported on.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ReportsQuery {
    team: Option<String>,
    weeks: Option<String>,
    zone: Option<String>,
}

/// Everything that the page shows.
pub(super) struct View<'a> {
    report: &'a Report,
    ruleset: &'a Ruleset,
    team: String,
    zone: Zone,
    /// Mondays, oldest first.
    weeks: Vec<Date>,
}

/// `GET /reports`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<ReportsQuery>,
) -> Result<Markup, Failed> {
    let ruleset = state.configured().ruleset.clone();
    let zone = zone::asked(query.zone.as_deref(), &visitor, &ruleset)?;
    let weeks = mondays(zone.local(state.now()).date(), weeks(&query)?);
    let wanted = ReportQuery {
        team: query.team.clone(),
        from: weeks.first().map(Date::to_string),
        until: None,
        zone: Some(zone.name().to_owned()),
    };
    let report = read(&state, &asked(&state, &wanted)?).await?;
    let view = View { report: &report, ruleset: &ruleset, team: given(&query.team).to_owned(), zone, weeks };
    visitor.page(&state, "Reports", Some(Section::Reports), &render(&view)).await
}

fn weeks(query: &ReportsQuery) -> Result<i64, Problem> {
    let Some(text) = filled(query.weeks.clone()) else { return Ok(WEEKS[1]) };
    let count = text.parse().ok().filter(|count| (1..=52).contains(count));
    count.ok_or_else(|| Problem::bad("weeks", format!("`{text}` is not a number of weeks; write 1 to 52")))
}

/// The Mondays of the last weeks, this one included.
fn mondays(today: Date, count: i64) -> Vec<Date> {
    let monday = today.saturating_sub(i64::from(today.weekday().to_monday_zero_offset()).days());
    (0..count).rev().map(|back| monday.saturating_sub((back * 7).days())).collect()
}

fn render(view: &View<'_>) -> Markup {
    let report = view.report;
    let nothing_yet = report.response.all.incidents == 0 && report.load == Default::default();
    html! {
        (head("Reports", &nothing(), &lamp()))
        (filters(view))
        div id="reports" data-live {
            @if nothing_yet { section.card { (quiet(view)) } } @else { (figures(view)) }
        }
    }
}

fn quiet(view: &View<'_>) -> Markup {
    let weeks = plural(view.weeks.len() as u64, "week", "weeks");
    empty(
        &format!("No incident was opened in {weeks}."),
        &html! {
            "Once there are some, this page says how fast they were taken and ended, whom pages woke, and which rules make noise. "
            @if !view.team.is_empty() { a href="/reports" { "See all teams" } ", or look further back above." }
            @else { "Look further back above, or see what " a href="/runs" { "runs" } " there are." }
        },
    )
}

fn filters(view: &View<'_>) -> Markup {
    let weeks = i64::try_from(view.weeks.len()).unwrap_or_default();
    html! {
        form.filters method="get" role="search" {
            label { "Team" select name="team" {
                option value="" { "all" }
                @for name in view.ruleset.teams.keys() { option value=(name) selected[*name == view.team] { (name) } }
            } }
            label { "Last" select name="weeks" {
                @for known in WEEKS { option value=(known) selected[known == weeks] { (known) " weeks" } }
                @if !WEEKS.contains(&weeks) { option value=(weeks) selected { (plural(weeks.unsigned_abs(), "week", "weeks")) } }
            } }
            (zone::field(&view.zone, view.ruleset))
            button type="submit" { "Show" }
        }
    }
}

fn figures(view: &View<'_>) -> Markup {
    let report = view.report;
    html! {
        @if report.cut { div.note.warn { "There is more than fits into one report: the oldest part is left out. Choose a team or fewer weeks." } }
        (tiles(report))
        div.two.even {
            (card("Time to acknowledge", &legend(), &by_week(view, "Time to acknowledge", |figures| figures.time_to_acknowledge)))
            (card("Time to resolve", &legend(), &by_week(view, "Time to resolve", |figures| figures.time_to_resolve)))
        }
        (card("Pages per person and week", &nothing(), &load::table_of(view)))
        (card("Noisiest pipelines", &nothing(), &noise::pipelines(&report.pipelines)))
        (card("Noisiest rules", &nothing(), &noise::rules(&report.rules)))
    }
}

fn legend() -> Markup {
    html! { div.legend { span.accent { "median" } span.line { "nine of ten" } } }
}

fn by_week(view: &View<'_>, what: &str, of: fn(&Figures) -> Option<Spread>) -> Markup {
    let by_week = &view.report.response.by_week;
    let took = |monday: &Date| by_week.get(monday).and_then(of).map(|spread| (spread.median_s, spread.p90_s));
    let weeks: Vec<Week> = view.weeks.iter().map(|monday| Week { monday: *monday, took: took(monday) }).collect();
    durations(what, &weeks)
}

fn tiles(report: &Report) -> Markup {
    let all = &report.response.all;
    let pages = report.load.by_person.values().fold(Pages::default(), |sum, one| Pages {
        pages: sum.pages + one.pages,
        out_of_hours: sum.out_of_hours + one.out_of_hours,
    });
    let noise = ratio(all.noise, all.incidents);
    html! {
        div.tiles {
            (tile("Incidents", &count(all.incidents), &format!("{} to channels only", plural(report.load.to_channels, "page", "pages"))))
            (spread("Time to acknowledge", all.time_to_acknowledge))
            (spread("Time to resolve", all.time_to_resolve))
            (tile("Pages to people", &count(pages.pages), &pages.out_of_hours_share().map_or_else(|| "nobody was paged".to_owned(), |share| format!("{} out of hours", percent(share)))))
            (tile("Noise", &noise.map_or_else(|| "–".to_owned(), percent), "over within 10 min, nobody had it"))
        }
    }
}

fn spread(name: &str, spread: Option<Spread>) -> Markup {
    match spread {
        Some(spread) => tile(name, &figure(spread.median_s), &format!("nine of ten within {}", figure(spread.p90_s))),
        None => tile(name, "–", "none yet"),
    }
}

fn tile(name: &str, value: &str, also: &str) -> Markup {
    html! { div.tile { div.name { (name) } div.figure { (value) } div.also { span.soft { (also) } } } }
}

/// A share, when there is a whole.
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_end_with_this_one() {
        let got: Vec<String> =
            mondays("2026-11-22".parse().expect("a day"), 3).iter().map(ToString::to_string).collect();
        assert_eq!(got, ["2026-11-02", "2026-11-09", "2026-11-16"]);
    }
}
