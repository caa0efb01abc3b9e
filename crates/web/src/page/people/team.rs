//! A team as a card: whose it is, which severity goes where, its escalation in words.
//!
//! Pure.

use crate::api::model::PersonOut;
use crate::page::layout::card;
use crate::page::oncall::title;
use crate::page::ui::{address, column, number, table};
use crate::page::words::plural;
use maud::{Markup, html};
use std::collections::BTreeSet;
use trackside_core::event::Severity;
use trackside_core::ruleset::people::{Policy, Target};
use trackside_core::ruleset::{Notify, Ruleset, Team};

/// Every severity, lowest first.
const SEVERITIES: [Severity; 4] = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];

/// The card of one team.
pub(super) fn card_of(
    ruleset: &Ruleset,
    name: &str,
    team: &Team,
    people: &[PersonOut],
    directory: Option<&BTreeSet<String>>,
    owned: u64,
) -> Markup {
    let directory: Option<Vec<String>> =
        directory.map(|members| members.iter().map(|member| title(ruleset, member)).collect());
    let aside = html! { @if ruleset.owners.default == name { span.small.soft { "owns what nobody else owns" } } };
    let on_call = people.iter().filter(|person| !person.on_call.is_empty() && team.members.contains(&person.name));
    let on_call: Vec<&str> = on_call.map(|person| person.title.as_str()).collect();
    let members: Vec<String> = team.members.iter().map(|member| title(ruleset, member)).collect();
    let runs = address("/runs", &[("owner", name)], None);
    let incidents = address("/incidents", &[("state", "open"), ("owner", name)], None);
    let content = card(
        name,
        &aside,
        &html! {
            dl.facts {
                dt { "Owns" } dd { a href=(runs) { (plural(owned, "pipeline", "pipelines")) } " · " a href=(incidents) { "open incidents" } }
                dt { "Members" } dd { @if members.is_empty() { span.soft { "none named" } } @else { (members.join(", ")) } }
                @if let Some(directory) = directory { dt { "In the directory" } dd { (directory.join(", ")) } }
                @if !on_call.is_empty() { dt { "On call" } dd { (on_call.join(", ")) } }
                @if !team.aliases.is_empty() { dt { "Also called" } dd { (team.aliases.join(", ")) } }
                dt { "Escalation" } dd { (escalation(ruleset, team)) }
            }
            h3 { "Told at once" }
            @if team.notify.is_empty() { p.warn { "Nothing is told at once: " code { "notify" } " is empty." } } @else { (channels(&team.notify)) }
        },
    );
    html! { div id={ "team-" (name) } { (content) } }
}

fn escalation(ruleset: &Ruleset, team: &Team) -> Markup {
    let found = team.escalation.as_ref().and_then(|name| ruleset.escalations.get_key_value(name));
    html! {
        @match found {
            None => { span.soft { "none: only what is told at once" } },
            Some((name, policy)) => {
                b { (name) } span.soft { ", from " (team.escalate_from.unwrap_or(Severity::Warning).as_str()) }
                (in_words(ruleset, policy))
            },
        }
    }
}

/// The steps of a policy, how often they come again, and what ends a long acknowledgement.
fn in_words(ruleset: &Ruleset, policy: &Policy) -> Markup {
    html! {
        ol.plain-list {
            @for step in &policy.steps {
                @let whom: Vec<String> = step.targets.iter().map(|one| target(ruleset, one)).collect();
                li { @if step.after.seconds() == 0 { "at once: " } @else { "after " (step.after) ": " } (whom.join(", ")) }
            }
        }
        @if let Some(repeat) = policy.repeat { div.small.soft { "then again " (plural(u64::from(repeat.times), "time", "times")) ", " (repeat.every) " after the last step" } }
        @if let Some(timeout) = policy.ack_timeout { div.small.soft { "starts again when it is not resolved " (timeout) " after an acknowledgement" } }
    }
}

/// Whom a step pages, as people say it.
pub(crate) fn target(ruleset: &Ruleset, target: &Target) -> String {
    match target {
        Target::Person(name) => title(ruleset, name),
        Target::OnCall(schedule) => format!("on call in {schedule}"),
        Target::Team(team) => format!("team {team}"),
        Target::Channel(via) => via.clone(),
    }
}

/// Which severity goes where.
fn channels(notify: &[Notify]) -> Markup {
    let goes = |notify: &Notify, severity: Severity| {
        severity >= notify.min_severity && notify.max_severity.is_none_or(|most| severity <= most)
    };
    let columns = [column("Through"), number("info"), number("warning"), number("error"), number("critical")];
    table(
        &columns,
        &html! {
            @for one in notify {
                tr {
                    td { (one.via) }
                    @for severity in SEVERITIES {
                        td.num { @if goes(one, severity) { span.good { "✓" span.visually-hidden { " yes" } } } @else { span.soft { "–" span.visually-hidden { " no" } } } }
                    }
                }
            }
        },
    )
}
