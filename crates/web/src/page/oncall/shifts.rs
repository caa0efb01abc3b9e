//! Shifts in words: what the calendar draws, as a table.
//!
//! Pure.

use super::View;
use crate::page::ui::{column, table, wide};
use crate::page::words::{As, local, time};
use maud::{Markup, html};
use trackside_core::duty::schedule::{OVERRIDE, Shift};

/// Shifts listed at most.
const SHOWN: usize = 60;

/// The shifts that are not over, of all schedules that are shown.
pub(super) fn table_of(view: &View<'_>) -> Markup {
    let shifts = view.rosters.iter().flat_map(|(name, shifts)| shifts.iter().map(move |shift| (name.as_str(), shift)));
    let mut shifts: Vec<(&str, &Shift)> = shifts.filter(|(_, shift)| shift.end > view.now).collect();
    shifts.sort_by_key(|(name, shift)| (shift.start, *name));
    let columns = [column("Who"), column("From"), wide("Until"), wide("Schedule"), wide("Because"), column("")];
    html! {
        @if shifts.is_empty() { div.empty { "All of this is over. " a href=(view.at(&[("from", "")])) { "Go to today" } "." } }
        @else {
            (table(&columns[..if view.may_edit { 6 } else { 5 }], &html! { @for (name, shift) in shifts.iter().take(SHOWN) { (row(view, name, shift)) } }))
            @if shifts.len() > SHOWN { p.small.soft { "The first " (SHOWN) " of " (shifts.len()) "; choose a schedule or a shorter time to see the others." } }
        }
    }
}

fn row(view: &View<'_>, name: &str, shift: &Shift) -> Markup {
    let begun = shift.start <= view.now;
    html! {
        tr {
            td {
                @if shift.on_call.users.is_empty() { b.bad { "nobody" } } @else { b { (names(view, &shift.on_call.users)) } }
                @if begun { " " span.small.good { "now" } }
                div.small.soft.narrow { (name) }
            }
            td.nowrap { (local(shift.start, &view.range.zone)) div.small.narrow { "until " (local(shift.end, &view.range.zone)) } @if !begun { div.small.soft { (time(shift.start, As::Ago)) } } }
            td.nowrap.wide { (local(shift.end, &view.range.zone)) }
            td.wide { (name) }
            td.wide.soft { (because(shift.on_call.source.as_deref()).unwrap_or_else(|| "no layer applies".to_owned())) }
            @if view.may_edit {
                td.nowrap { a href=(view.take_over(name, shift)) { "change" span.visually-hidden { " who is on call from " (view.range.zone.local(shift.start).strftime("%a %-d %b %H:%M")) " in " (name) } } }
            }
        }
    }
}

/// People by their names.
pub(super) fn names(view: &View<'_>, users: &[String]) -> String {
    users.iter().map(|user| view.title(user)).collect::<Vec<_>>().join(", ")
}

/// Why somebody is on call.
pub(super) fn because(source: Option<&str>) -> Option<String> {
    Some(match source? {
        OVERRIDE => "by an override".to_owned(),
        layer => format!("layer {layer}"),
    })
}

/// Whether an override says it.
pub(super) fn is_override(shift: &Shift) -> bool {
    shift.on_call.source.as_deref() == Some(OVERRIDE)
}
