//! "Why": explanations as people read them; the same values that the API and the command line show.

use crate::page::ui::{Tone, sentence, state};
use crate::page::words::plural;
use maud::{Markup, html};
use trackside_core::decision::{Explanation, OwnerTrail, Verdict};

/// One explanation: what the entry meant, who owns it, what each rule said, what followed.
pub(crate) fn one(why: &Explanation) -> Markup {
    html! {
        @for (index, part) in why.meaning.split("; ").enumerate().filter(|(index, part)| *index == 0 || !is_told(part, why)) {
            p { @if index == 0 { b { (sentence(part)) } } @else { (sentence(part)) } }
        }
        @for part in why.outcome.split("; ") { p.soft { "→ " (sentence(part)) } }
        @if let Some(owner) = &why.owner { (trail(owner)) }
        @if !why.rules.is_empty() { (rules(why)) }
    }
}

/// Whether a part of the meaning stands among the rules as well: that an automation fired.
fn is_told(part: &str, why: &Explanation) -> bool {
    let fired = |name: &str| part.strip_prefix("automation ").is_some_and(|rest| rest.starts_with(name));
    why.rules.iter().any(|rule| rule.rule.strip_prefix("automation: ").is_some_and(fired))
}

fn trail(owner: &OwnerTrail) -> Markup {
    let found = html! { "Owner: " (owner.team) " (" (sentence(&owner.because)) ")" };
    html! {
        @if owner.passed_over.is_empty() { p.soft { (found) } }
        @else {
            details {
                summary { (found) }
                ul.small.soft { @for step in &owner.passed_over { li { (step) } } }
            }
        }
    }
}

fn rules(why: &Explanation) -> Markup {
    let (acted, passed): (Vec<_>, Vec<_>) = why.rules.iter().partition(|rule| rule.verdict != Verdict::Passes);
    html! {
        @if !acted.is_empty() {
            dl.facts {
                @for rule in acted { dt { (verdict(rule.verdict)) } dd { b { (rule.rule) } " " span.soft { (sentence(&rule.because)) } } }
            }
        }
        @if !passed.is_empty() {
            details {
                summary { (plural(passed.len() as u64, "rule", "rules")) " did not apply" }
                dl.facts.small { @for rule in passed { dt { (rule.rule) } dd { (sentence(&rule.because)) } } }
            }
        }
    }
}

fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Fires => state(Tone::Bad, "Fires"),
        Verdict::Counting => state(Tone::Warn, "Counting"),
        Verdict::Clears => state(Tone::Good, "Clears"),
        Verdict::Passes => state(Tone::Idle, "Passes"),
    }
}
