//! The noisiest pipelines and rules, and what to do about each.
//!
//! Pure. Advice names what the configuration has for it.

use super::ratio;
use crate::page::ui::{address, column, empty, number, table, wide_number};
use crate::page::words::{count, percent};
use maud::{Markup, html};
use trackside_core::run::{Name, PipelineKey};
use trackside_store::reports::Noise;

/// Rows shown.
const SHOWN: usize = 10;
/// Above this share of incidents that end by themselves, something makes noise.
const NOISY: f64 = 0.5;
/// From so many incidents on, something fails often.
const OFTEN: u64 = 5;

/// Pipelines by their alerts.
pub(super) fn pipelines(noise: &[Noise<PipelineKey>]) -> Markup {
    let name = |noise: &Noise<PipelineKey>| {
        let pipeline = &noise.what;
        let href = address("/incidents", &[("source", &*pipeline.source), ("pipeline", &*pipeline.name)], None);
        html! { a href=(href) { (pipeline.name) } div.small.soft { (pipeline.source) } }
    };
    listing("Pipeline", noise, name, |noise| match verdict(noise) {
        Some(Verdict::Flaps) => {
            html! { "Mostly ends by itself: let its rule wait with " code { "consecutive: 2" } ", or list the error as " code { "transient" } "." }
        }
        Some(Verdict::Often) => html! { "Fails often and needs people each time: repair it first." },
        None => html! { "–" },
    })
}

/// Rules by their alerts.
pub(super) fn rules(noise: &[Noise<Name>]) -> Markup {
    let name = |noise: &Noise<Name>| html! { (noise.what) };
    listing("Rule", noise, name, |noise| match verdict(noise) {
        Some(Verdict::Flaps) => {
            html! { "Mostly over before anybody looks: more failures in a row, a longer grace, or a lower severity." }
        }
        Some(Verdict::Often) => html! { "Makes the most work: see which pipelines it names above." },
        None => html! { "–" },
    })
}

/// What the figures say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Most of it is over before anybody has it.
    Flaps,
    /// It is real, and there is a lot of it.
    Often,
}

fn verdict<T>(noise: &Noise<T>) -> Option<Verdict> {
    let share = ratio(noise.noise, noise.incidents).unwrap_or(0.0);
    match noise.incidents {
        2.. if share >= NOISY => Some(Verdict::Flaps),
        OFTEN.. => Some(Verdict::Often),
        _ => None,
    }
}

fn listing<T>(
    what: &'static str,
    noise: &[Noise<T>],
    name: impl Fn(&Noise<T>) -> Markup,
    advice: impl Fn(&Noise<T>) -> Markup,
) -> Markup {
    if noise.is_empty() {
        return empty("No alert fired.", &html! { "Nothing to do." });
    }
    let columns = [
        column(what),
        number("Alerts"),
        wide_number("Incidents"),
        wide_number("Pages"),
        number("Noise"),
        column("What to do"),
    ];
    table(
        &columns,
        &html! {
            @for one in noise.iter().take(SHOWN) {
                tr {
                    td.title { (name(one)) }
                    td.num { (count(one.alerts)) }
                    td.num.wide { (count(one.incidents)) }
                    td.num.wide { (count(one.pages)) }
                    td.num { (ratio(one.noise, one.incidents).map_or_else(|| "–".to_owned(), percent)) }
                    td.small { (advice(one)) }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_the_figures() {
        let check = |incidents, noise, expect| {
            assert_eq!(verdict(&Noise { what: (), alerts: incidents, incidents, pages: 0, noise }), expect);
        };
        check(0, 0, None);
        check(1, 1, None);
        check(2, 1, Some(Verdict::Flaps));
        check(4, 1, None);
        check(5, 1, Some(Verdict::Often));
        check(40, 30, Some(Verdict::Flaps));
    }
}
