//! Rules about failures made ready: thresholds, and the patterns of errors that pass by themselves.

use super::{BadRuleset, Rules, bad};
use crate::incident::problem::Thresholds;
use crate::limits;
use crate::ruleset::{Condition, Failures, Rule};
use regex::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// Largest compiled pattern, in bytes.
const COMPILED: usize = 1024 * 1024;

/// The patterns of each rule that has some.
pub(super) type Transients = BTreeMap<String, Vec<Regex>>;

impl Rules {
    /// How many outcomes in a row count for a rule; one, for a rule that is not about failures.
    #[must_use]
    pub fn thresholds(&self, rule: &str) -> Thresholds {
        match self.rule(rule).map(|rule| &rule.when) {
            Some(Condition::Failed(failures)) => failures.thresholds(),
            _ => Thresholds::default(),
        }
    }

    /// The first pattern of a rule that matches an error which is known to pass by itself.
    #[must_use]
    pub fn transient(&self, rule: &str, error: &str) -> Option<&str> {
        self.transients.get(rule)?.iter().find(|pattern| pattern.is_match(error)).map(Regex::as_str)
    }

    /// True when some rule is about whole scopes.
    #[must_use]
    pub fn watches_scopes(&self) -> bool {
        self.scopes().next().is_some()
    }

    /// The rules about whole scopes, with their matchers and how many pipelines there must be.
    pub fn scopes(&self) -> impl Iterator<Item = (&super::Matcher, &Rule, u32)> {
        self.rules().filter_map(|(matcher, rule)| match rule.when {
            Condition::AllFailed { at_least } => Some((matcher, rule, at_least)),
            _ => None,
        })
    }
}

impl Failures {
    fn thresholds(&self) -> Thresholds {
        Thresholds {
            warn_after: self.consecutive,
            critical_after: self.critical_after,
            resolve_after: self.resolve_after,
        }
    }
}

pub(super) fn compile(rules: &[Rule]) -> Result<Transients, BadRuleset> {
    let mut compiled = Transients::new();
    for (index, rule) in rules.iter().enumerate() {
        let Condition::Failed(failures) = &rule.when else {
            continue;
        };
        let path = format!("rules[{index}].when.failed.transient");
        if failures.transient.len() > limits::TRANSIENTS {
            let problem = format!(
                "{} patterns are too many; at most {} are allowed",
                failures.transient.len(),
                limits::TRANSIENTS
            );
            return bad(path, problem);
        }
        let patterns =
            failures.transient.iter().enumerate().map(|(place, text)| pattern(text, &format!("{path}[{place}]")));
        let patterns: Vec<Regex> = patterns.collect::<Result<_, _>>()?;
        if !patterns.is_empty() {
            compiled.insert(rule.name.clone(), patterns);
        }
    }
    Ok(compiled)
}

fn pattern(text: &str, path: &str) -> Result<Regex, BadRuleset> {
    if text.is_empty() {
        return bad(path.to_owned(), "an empty pattern would match every error; write a part of the error text".into());
    }
    RegexBuilder::new(text)
        .size_limit(COMPILED)
        .build()
        .or_else(|error| bad(path.to_owned(), format!("`{text}` is not a regular expression: {error}")))
}

/// Checks the numbers of a rule about failures.
pub(super) fn check(failures: &Failures, path: &str) -> Result<(), BadRuleset> {
    let at_least_one = |field: &str, value: u32| match value {
        0 => bad(format!("{path}.when.failed.{field}"), "must be at least 1".into()),
        _ => Ok(()),
    };
    at_least_one("consecutive", failures.consecutive)?;
    at_least_one("critical_after", failures.critical_after.unwrap_or(1))?;
    at_least_one("resolve_after", failures.resolve_after)?;
    if failures.transient_per_hour > limits::TRANSIENTS_PER_HOUR {
        let problem = format!("must be at most {}", limits::TRANSIENTS_PER_HOUR);
        return bad(format!("{path}.when.failed.transient_per_hour"), problem);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_rule(failed: &str, expect: &str) {
        let failures: Result<Failures, _> = serde_json::from_str(failed);
        let rule = |failures| Rule {
            name: "failed".into(),
            matches: Default::default(),
            when: Condition::Failed(failures),
            severity: None,
            escalation: None,
        };
        let result = match failures {
            Ok(failures) => check(&failures, "rules[0]")
                .and_then(|()| compile(&[rule(failures)]))
                .map_or_else(|error| error.to_string(), |_| "ok".into()),
            Err(error) => error.to_string(),
        };
        assert!(result.starts_with(expect), "{failed}: {result}");
    }

    #[test]
    fn numbers_and_patterns_are_checked_with_their_path() {
        check_rule("{}", "ok");
        check_rule(r#"{"warn_after": 2, "critical_after": 3, "resolve_after": 2, "transient": ["503 Service"]}"#, "ok");
        check_rule(r#"{"consecutive": 0}"#, "rules[0].when.failed.consecutive: must be at least 1");
        check_rule(r#"{"critical_after": 0}"#, "rules[0].when.failed.critical_after: must be at least 1");
        check_rule(r#"{"resolve_after": 0}"#, "rules[0].when.failed.resolve_after: must be at least 1");
        check_rule(
            r#"{"transient": ["a", "("]}"#,
            "rules[0].when.failed.transient[1]: `(` is not a regular expression",
        );
        check_rule(r#"{"transient": [""]}"#, "rules[0].when.failed.transient[0]: an empty pattern");
        check_rule(r#"{"transient_per_hour": 100000}"#, "rules[0].when.failed.transient_per_hour: must be at most 60");
        check_rule(r#"{"often": 1}"#, "unknown field `often`");
    }
}
