//! What a test expected against what happened, with the reason of each difference.
//!
//! Invariant: every expectation and every firing stands in a verdict exactly once.

use super::case::Expected;
use super::rehearse::Happened;
use super::script::Script;
use crate::config::ConfiguredAutomation;
use jiff::Timestamp;
use serde_json::{Value, json};
use trackside_core::automation::explain;
use trackside_core::automation::firing::FiringState;
use trackside_core::ruleset::Span;

/// One line of a verdict.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// It was expected and happened.
    Good(Happened),
    /// It was expected and did not happen.
    Missing {
        /// When it was expected.
        at: Option<Timestamp>,
        /// What was expected.
        expected: Expected,
        /// Why it did not happen, as far as can be said.
        why: String,
    },
    /// It happened and was not expected.
    Extra(Happened),
}

/// What a test came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// When the test started.
    pub start: Timestamp,
    /// In order of time; what was expected at no certain time stands last.
    pub lines: Vec<Line>,
}

impl Verdict {
    /// Holds what happened against what was expected.
    #[must_use]
    pub fn new(script: &Script, automations: &[ConfiguredAutomation], happened: Vec<Happened>) -> Self {
        let mut open: Vec<Option<Happened>> = happened.into_iter().map(Some).collect();
        let (mut lines, mut missing) = (Vec::new(), Vec::new());
        // The most particular expectation chooses first, so that a general one does not take its firing.
        let mut expected: Vec<&(Option<Timestamp>, Expected)> = script.expected.iter().collect();
        expected.sort_by_key(|(at, expected)| (at.is_none(), std::cmp::Reverse(expected.labels.len())));
        for (at, expected) in expected {
            let found = open.iter_mut().find(|open| open.as_ref().is_some_and(|open| meets(open, *at, expected)));
            match found.and_then(Option::take) {
                Some(happened) => lines.push(Line::Good(happened)),
                None => missing.push((*at, expected.clone())),
            }
        }
        let extra: Vec<Happened> = open.into_iter().flatten().collect();
        lines.extend(missing.into_iter().map(|(at, expected)| {
            let why = instead(script, &extra, &expected).unwrap_or_else(|| why_not(script, automations, &expected));
            Line::Missing { at, expected, why }
        }));
        lines.extend(extra.into_iter().map(Line::Extra));
        lines.sort_by_key(|line| line.at().map_or((1, Timestamp::MIN), |at| (0, at)));
        Self { start: script.start, lines }
    }

    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lines.iter().all(|line| matches!(line, Line::Good(_)))
    }

    /// One line of text for each.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.text(self.start)).collect()
    }

    /// As JSON, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let (mut firings, mut missing) = (Vec::new(), Vec::new());
        for line in &self.lines {
            match line {
                Line::Good(happened) => firings.push(firing(happened, true)),
                Line::Extra(happened) => firings.push(firing(happened, false)),
                Line::Missing { at, expected, why } => missing.push(json!({
                    "at": at, "automation": expected.automation, "labels": expected.labels,
                    "resolved": expected.resolved, "why": why,
                })),
            }
        }
        json!({"passed": self.passed(), "firings": firings, "missing": missing})
    }
}

fn firing(happened: &Happened, expected: bool) -> Value {
    json!({
        "at": happened.firing.at, "automation": happened.automation, "labels": happened.firing.labels,
        "resolved": happened.firing.state == FiringState::Resolved, "because": happened.firing.because,
        "expected": expected,
    })
}

impl Line {
    fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Good(happened) | Self::Extra(happened) => Some(happened.firing.at),
            Self::Missing { at, .. } => *at,
        }
    }

    fn text(&self, start: Timestamp) -> String {
        let (mark, name, labels, resolved, why) = match self {
            Self::Good(happened) | Self::Extra(happened) => {
                let firing = &happened.firing;
                let mark = if matches!(self, Self::Good(_)) { "ok     " } else { "extra  " };
                let resolved = firing.state == FiringState::Resolved;
                (mark, &happened.automation, &firing.labels, resolved, &firing.because)
            }
            Self::Missing { expected, why, .. } => {
                ("missing", &expected.automation, &expected.labels, expected.resolved, why)
            }
        };
        let at = self.at().map_or_else(|| "at any time".to_owned(), |at| since(start, at));
        let word = if resolved { "resolves" } else { "fires" };
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!(" [{}]", labels.join(", ")) };
        format!("{mark}  {at:<8}  {name} {word}{labels}: {why}")
    }
}

/// A time as the length since the start.
fn since(start: Timestamp, at: Timestamp) -> String {
    format!("+{}", Span(at.duration_since(start)))
}

fn meets(happened: &Happened, at: Option<Timestamp>, expected: &Expected) -> bool {
    let firing = &happened.firing;
    happened.automation == expected.automation
        && at.is_none_or(|at| at == firing.at)
        && expected.resolved == (firing.state == FiringState::Resolved)
        && expected.labels.iter().all(|(name, value)| firing.labels.get(name) == Some(value))
}

/// What the automation did instead, if it did something else.
fn instead(script: &Script, extra: &[Happened], expected: &Expected) -> Option<String> {
    let same = |happened: &&Happened| happened.automation == expected.automation;
    let mut times: Vec<String> =
        extra.iter().filter(same).map(|happened| since(script.start, happened.firing.at)).collect();
    times.dedup();
    let first = times.first()?;
    Some(match times.len() {
        1 => format!("something else happened instead, at {first}"),
        many => format!("something else happened instead, {many} times, first at {first}"),
    })
}

/// Why an automation did not fire, as far as its clauses say.
fn why_not(script: &Script, automations: &[ConfiguredAutomation], expected: &Expected) -> String {
    let Some(configured) = automations.iter().find(|automation| automation.spec.name == expected.automation) else {
        return "the test has no such automation".to_owned();
    };
    let automation = configured.automation(script.start);
    if !automation.spec.enabled {
        return "it is paused".to_owned();
    }
    let events = script.arrivals.iter().filter_map(|arrival| arrival.event.as_ref());
    let mut concerned = 0;
    let mut nearest: Option<(usize, String)> = None;
    for event in events {
        let triggers = explain::triggers(&automation, event);
        if triggers
            .iter()
            .any(|trigger| !trigger.clauses.is_empty() && trigger.clauses.iter().all(|clause| clause.holds))
        {
            concerned += 1;
        }
        let failed = triggers.iter().flat_map(|trigger| &trigger.clauses).filter(|clause| !clause.holds).count();
        if failed > 0 && nearest.as_ref().is_none_or(|(least, _)| failed < *least) {
            let verdict = explain::verdict(&automation, &triggers, &[]);
            nearest = Some((failed, format!("the nearest event is {}: {verdict}", event.event)));
        }
    }
    match (concerned, nearest) {
        (0, Some((_, nearest))) => format!("no event concerns it; {nearest}"),
        (0, None) => "its condition was not met".to_owned(),
        (1, _) => "1 event concerns it, and its condition was not met then".to_owned(),
        (many, _) => format!("{many} events concern it, and its condition was not met then"),
    }
}

#[cfg(test)]
mod tests;
