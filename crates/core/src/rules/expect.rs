//! Rules about time and amounts: checked and compiled.

use super::{BadRuleset, Matcher, Rules, bad, choices};
use crate::limits;
use crate::ruleset::expect::{Expectation, Followed, FreshBy, RowsUnusual};
use crate::ruleset::{Condition, Rule, Ruleset, Selector, Span};
use crate::run::PipelineKey;
use jiff::civil::Date;

/// Name of the built-in rule about deadlines that far ends declare.
pub const DECLARED_DEADLINE: &str = "airflow-deadline";

/// A run that is expected to start after another.
#[derive(Clone, Debug)]
pub struct CompiledExpectation {
    /// Name of the rule.
    pub rule: String,
    /// Whose run is expected.
    pub pipeline: PipelineKey,
    /// After whose.
    pub after: Matcher,
    /// After what of it.
    pub outcome: Followed,
    /// How soon.
    pub within: Span,
}

impl Rules {
    /// The runs that are expected to start after others.
    #[must_use]
    pub fn expectations(&self) -> &[CompiledExpectation] {
        &self.expectations
    }

    /// True when a deadline applies on a local day.
    #[must_use]
    pub fn applies_on(&self, fresh: &FreshBy, date: Date) -> bool {
        let on_day = fresh.days.is_empty() || fresh.days.iter().any(|day| day.weekday() == date.weekday());
        let free = |name: &String| self.source.calendars.get(name).is_some_and(|dates| dates.contains(&date));
        on_day && !fresh.except.iter().any(free)
    }
}

pub(super) fn check(source: &Ruleset, rule: &Rule, path: &str) -> Result<(), BadRuleset> {
    if rule.name == DECLARED_DEADLINE {
        let problem = format!("`{DECLARED_DEADLINE}` is the built-in rule about deadlines declared in Airflow");
        return bad(format!("{path}.name"), problem);
    }
    match &rule.when {
        Condition::NotFreshBy(fresh) => known_calendars(source, &format!("{path}.when.not_fresh_by.except"), fresh),
        Condition::LateEvents(late) if late.over.seconds() < 1 => {
            bad(format!("{path}.when.late_events.over"), "must be at least 1s".into())
        }
        Condition::LateEvents(_) => {
            let source_only = Selector { source: rule.matches.source.clone(), ..Selector::default() };
            if rule.matches == source_only {
                return Ok(());
            }
            bad(format!("{path}.match"), "lateness is judged by source: write only `source` here".into())
        }
        Condition::RowsUnusual(unusual) => check_rows(&format!("{path}.when.rows_unusual"), unusual),
        _ => Ok(()),
    }
}

fn known_calendars(source: &Ruleset, path: &str, fresh: &FreshBy) -> Result<(), BadRuleset> {
    match fresh.except.iter().enumerate().find(|(_, name)| !source.calendars.contains_key(*name)) {
        None => Ok(()),
        Some((position, name)) => {
            let problem = format!("there is no calendar `{name}`; {}", choices(source.calendars.keys()));
            bad(format!("{path}[{position}]"), problem)
        }
    }
}

fn check_rows(path: &str, unusual: &RowsUnusual) -> Result<(), BadRuleset> {
    if !(1.0..=1000.0).contains(&unusual.factor) {
        return bad(format!("{path}.factor"), format!("{} is not a factor; write 1 to 1000", unusual.factor));
    }
    let most = limits::ROW_SAMPLES;
    let history = usize::try_from(unusual.min_history).unwrap_or(usize::MAX);
    if !(3..=most).contains(&history) {
        return bad(format!("{path}.min_history"), format!("{history} is not possible; write 3 to {most}"));
    }
    Ok(())
}

pub(super) fn compile(rules: &[Rule]) -> Result<Vec<CompiledExpectation>, BadRuleset> {
    let mut compiled = Vec::new();
    for (position, rule) in rules.iter().enumerate() {
        if let Condition::ExpectedAfter(expectation) = &rule.when {
            compiled.push(compile_one(rule, expectation, &format!("rules[{position}]"))?);
        }
    }
    Ok(compiled)
}

fn compile_one(rule: &Rule, expectation: &Expectation, path: &str) -> Result<CompiledExpectation, BadRuleset> {
    let Some(pipeline) = super::named_in_full(&rule.matches) else {
        let problem = "the expected pipeline must be known before it runs: write its `source` and `pipeline` in full, \
                       without globs";
        return bad(format!("{path}.match"), problem.into());
    };
    if expectation.within.seconds() < 1 {
        return bad(format!("{path}.when.expected_after.within"), "must be at least 1s".into());
    }
    if expectation.after == Selector::default() {
        let problem = "says after nothing in particular: write at least one of its fields";
        return bad(format!("{path}.when.expected_after.after"), problem.into());
    }
    Ok(CompiledExpectation {
        rule: rule.name.clone(),
        pipeline,
        after: Matcher::new(&expectation.after, &format!("{path}.when.expected_after.after"))?,
        outcome: expectation.outcome,
        within: expectation.within,
    })
}
