//! People and teams: who they are, what time it is where they live, how they are reached, whom a team is told through.
//!
//! Everything comes from the configuration in force, who is on call also from overrides. Addresses of contacts are
//! shown; secrets are not in the configuration's values at all.

mod drift;
pub(crate) mod team;

use crate::api::model::{DutyOut, PersonOut};
use crate::api::people::all;
use crate::page::layout::{Section, card, head, lamp};
use crate::page::ui::{address, column, empty, table, wide};
use crate::page::words::count;
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use std::collections::BTreeMap;
use trackside_core::duty::interval::TimeInterval;
use trackside_core::event::Severity;
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::people::{Contact, Person};
use trackside_identity::roster::Roster;

/// `GET /people`
pub(crate) async fn show(State(state): State<AppState>, visitor: Visitor) -> Result<Markup, Failed> {
    let ruleset = state.configured().ruleset.clone();
    let people = all(&state).await?;
    let owned = state.store.owned_pipelines().await?;
    let roster = state.roster();
    let differences = crate::api::drift::report(&state).await?;
    let content = html! {
        (render(&ruleset, &people, &owned, &roster, state.now()))
        div id="drift" data-live { (drift::card_of(&differences)) }
    };
    visitor.page(&state, "People and teams", Some(Section::People), &content).await
}

fn render(
    ruleset: &Ruleset,
    people: &[PersonOut],
    owned: &BTreeMap<String, u64>,
    roster: &Roster,
    now: Timestamp,
) -> Markup {
    html! {
        (head("People and teams", &html! {}, &lamp()))
        div id="people" data-live {
            (card("People", &html! { span.small.soft { (count(people.len() as u64)) } }, &html! {
                @if people.is_empty() { (nobody_yet()) } @else { (table_of(ruleset, people, now)) }
            }))
            div.teams {
                @for (name, team) in &ruleset.teams { (team::card_of(ruleset, name, team, people, roster.members(name), owned.get(name).copied().unwrap_or(0))) }
            }
        }
    }
}

fn nobody_yet() -> Markup {
    empty(
        "Nobody is in the configuration yet.",
        &html! {
            "People can be on call and are told in their own way. Write them into a file of the configuration folder:"
            pre { "people:\n  ana:\n    name: Ana Martin\n    zone: Europe/Paris\n    aliases: [U024BE7LH, ana@example.net]\n    contacts:\n      - {via: slack-data, to: U024BE7LH}\n      - {via: pd-payments, after: 5m}\n    quiet: {during: [{times: [{start_time: \"22:00\", end_time: \"24:00\"}]}], below: error}\n" }
        },
    )
}

fn table_of(ruleset: &Ruleset, people: &[PersonOut], now: Timestamp) -> Markup {
    let columns =
        [column("Person"), column("Their time"), column("On call"), wide("Reached through"), wide("Quiet hours")];
    let known = people.iter().filter_map(|found| Some((found, ruleset.people.get(&found.name)?)));
    table(
        &columns,
        &html! {
            @for (found, person) in known {
                @let there = person.zone.local(now);
                tr {
                    td.title {
                        b { (found.title) }
                        div.small.soft { (found.name) @if !found.teams.is_empty() { " · " (found.teams.join(", ")) } }
                        @if let Some(why) = &found.left { div.small.warn { "has left: " (why) } }
                    }
                    td { b.nowrap { (there.strftime("%a %H:%M")) } div.small.soft { (crate::page::ui::name(&found.zone)) } }
                    td { (on_call(found)) }
                    td.wide { (contacts(&person.contacts)) }
                    td.wide { (quiet(person)) }
                }
            }
        },
    )
}

fn on_call(person: &PersonOut) -> Markup {
    let schedule = |name: &str| address("/oncall", &[("schedule", name)], None);
    html! {
        @for name in &person.on_call { div { a href=(schedule(name)) { (name) } " " span.small.good { "now" } } }
        @match &person.next {
            Some(DutyOut { schedule: name, start, .. }) => { div.small.soft { "next " (minute(start)) " in " a href=(schedule(name)) { (name) } } },
            None => { @if person.on_call.is_empty() { span.soft { "not within sixty days" } } },
        }
    }
}

/// A time with offset, to the minute, as it stands on the person's clock.
fn minute(text: &str) -> String {
    text.get(..16).map_or_else(|| text.to_owned(), |local| local.replace('T', " "))
}

fn contacts(contacts: &[Contact]) -> Markup {
    html! {
        @if contacts.is_empty() { span.warn { "no contact: pages cannot reach them" } }
        @else {
            ol.plain-list {
                @for contact in contacts {
                    li {
                        (contact.via)
                        @if let Some(to) = &contact.to { " (" (to) ")" }
                        @if contact.after.seconds() > 0 { ", after " (contact.after) }
                        @if contact.min_severity > Severity::Info { ", from " (contact.min_severity.as_str()) }
                    }
                }
            }
        }
    }
}

fn quiet(person: &Person) -> Markup {
    html! {
        @match &person.quiet {
            None => { span.soft { "none" } },
            Some(quiet) => {
                @for interval in &quiet.during { div { (hours(interval)) } }
                div.small.soft { "for what is below " (quiet.below.as_str()) }
            },
        }
    }
}

/// An interval in words: `22:00–07:00, saturday:sunday`.
fn hours(interval: &TimeInterval) -> String {
    let times: Vec<String> =
        interval.times.iter().map(|range| format!("{}–{}", range.start_time, range.end_time)).collect();
    let lists = [&times, &interval.weekdays, &interval.days_of_month, &interval.months, &interval.years];
    let parts: Vec<String> = lists.into_iter().filter(|list| !list.is_empty()).map(|list| list.join(" and ")).collect();
    let zone = interval.location.as_ref().map(|zone| format!(" ({})", zone.name())).unwrap_or_default();
    if parts.is_empty() { format!("always{zone}") } else { format!("{}{zone}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_are_told_in_words() {
        let interval = |json: serde_json::Value| -> TimeInterval { serde_json::from_value(json).expect("an interval") };
        let night = serde_json::json!({"times": [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "07:00"}]});
        assert_eq!(hours(&interval(night)), "22:00–24:00 and 00:00–07:00");
        let weekend = serde_json::json!({"weekdays": ["saturday:sunday"], "location": "Europe/Paris"});
        assert_eq!(hours(&interval(weekend)), "saturday:sunday (Europe/Paris)");
        assert_eq!(hours(&TimeInterval::default()), "always");
    }
}
