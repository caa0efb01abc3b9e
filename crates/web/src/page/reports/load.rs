//! Pages per person and week, and how many of them came outside working hours.
//!
//! Pure.

use super::View;
use crate::page::oncall::title;
use crate::page::ui::empty;
use crate::page::words::{count, percent, plural};
use jiff::civil::Date;
use maud::{Markup, html};
use std::collections::BTreeMap;
use trackside_store::reports::Pages;

/// The table: a row for each person, a column for each week, most pages first.
pub(super) fn table_of(view: &View<'_>) -> Markup {
    let load = &view.report.load;
    if load.by_person.is_empty() {
        return empty(
            "Nobody was paged.",
            &html! { "Pages are what the steps of an escalation send to people; what channels are told at once does not count. Who is paged when stands under " a href="/people" { "People" } "." },
        );
    }
    let cells: BTreeMap<(&str, Date), Pages> =
        load.by_person_and_week.iter().map(|row| ((row.person.as_str(), row.week), row.pages)).collect();
    let most = load.by_person_and_week.iter().map(|row| row.pages.pages).max().unwrap_or(1).max(1);
    let mut people: Vec<(&String, &Pages)> = load.by_person.iter().collect();
    people.sort_by_key(|(name, pages)| (std::cmp::Reverse(pages.pages), *name));
    html! {
        div.scroll tabindex="0" role="group" aria-label="Pages per person and week" {
            table.load {
                thead { tr {
                    th scope="col" { "Person" }
                    th.num scope="col" { "In all" }
                    th.num scope="col" { "Out of hours" }
                    @for week in &view.weeks { th.num scope="col" { (week.strftime("%-d %b")) } }
                } }
                tbody {
                    @for (name, pages) in people {
                        tr {
                            th scope="row" { (title(view.ruleset, name)) }
                            td.num { (count(pages.pages)) }
                            td.num { @match pages.out_of_hours_share() { Some(share) => { span.bad[share > 0.5] { (percent(share)) } }, None => "–" } }
                            @for week in &view.weeks { (cell(cells.get(&(name.as_str(), *week)), most)) }
                        }
                    }
                }
            }
        }
        p.small.soft {
            "In brackets: outside Monday to Friday, 09:00 to 17:00 where the person lives."
            @if load.to_nobody > 0 { " " b.warn { (plural(load.to_nobody, "step", "steps")) " found nobody at once" } ": a gap in a schedule, or a first contact that came later." }
        }
    }
}

/// One week of one person; the darker, the more.
fn cell(pages: Option<&Pages>, most: u64) -> Markup {
    let Some(pages) = pages.filter(|pages| pages.pages > 0) else { return html! { td.num.soft { "–" } } };
    let heat = (pages.pages * 4).div_ceil(most).clamp(1, 4);
    html! {
        td class={ "num heat" (heat) } {
            (count(pages.pages)) @if pages.out_of_hours > 0 { span.small { " (" (pages.out_of_hours) ")" } }
        }
    }
}
