//! Who is on call now, schedule by schedule, and when nobody is.
//!
//! Pure.

use super::View;
use crate::api::oncall::{GAPS_AHEAD, Stand};
use crate::page::oncall::shifts::{because, names};
use crate::page::words::{As, local, stretch, time};
use maud::{Markup, html};
use trackside_core::duty::schedule::Shift;

/// Gaps told at once.
const GAPS: usize = 6;

/// A card for each schedule.
pub(super) fn now(view: &View<'_>) -> Markup {
    html! {
        div.tiles.oncall {
            @for (name, stand) in &view.stands {
                section.tile aria-label={ "On call for " (name) } {
                    div.name { (name) }
                    @if stand.on_call.users.is_empty() { div.figure.bad { "Nobody" } }
                    @else { div.figure { (names(view, &stand.on_call.users)) } }
                    div.also { (until(view, stand)) }
                }
            }
        }
    }
}

fn until(view: &View<'_>, stand: &Stand) -> Markup {
    html! {
        @match &stand.next {
            None => { span.soft { "with no hand-over planned" } },
            Some(next) => {
                span.soft { "until " (local(next.start, &view.range.zone)) " (" (time(next.start, As::Ago)) ")" }
                br;
                @if next.on_call.users.is_empty() { span.bad { "then nobody" } }
                @else { span.soft { "then " (names(view, &next.on_call.users)) } }
            },
        }
        @if let Some(why) = because(stand.on_call.source.as_deref()) { br; span.soft { (why) } }
    }
}

/// A gap in words; of one that goes on beyond what was looked at, only the begin is known.
fn told(view: &View<'_>, gap: &Shift) -> String {
    let start = gap.start.max(view.now);
    if gap.end.duration_since(view.now) >= GAPS_AHEAD {
        return format!("from {} on", view.range.zone.local(start).strftime("%A %-d %b %H:%M"));
    }
    stretch(start, gap.end, &view.range.zone)
}

/// When nobody is on call within the next two weeks, in words.
pub(super) fn gaps(view: &View<'_>) -> Markup {
    let all = view.stands.iter().flat_map(|(name, stand)| stand.gaps.iter().map(move |gap| (name.as_str(), gap)));
    let mut all: Vec<(&str, &Shift)> = all.collect();
    all.sort_by_key(|(_, gap)| gap.start);
    html! {
        @if !all.is_empty() {
            div.note.bad {
                b { "Nobody is on call" } " at times in the next two weeks. What is due then goes to the next step of its escalation."
                ul.plain-list {
                    @for (name, gap) in all.iter().take(GAPS) {
                        li {
                            (told(view, gap)) " in " b { (name) }
                            @if view.may_edit { " · " a href=(view.take_over(name, gap)) { "fill it" } }
                        }
                    }
                    @if all.len() > GAPS { li { "and " (all.len() - GAPS) " more" } }
                }
            }
        }
    }
}
