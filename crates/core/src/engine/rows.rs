//! What the rows of a success mean: none at all, or unusually many or few.
//!
//! Invariants: an unusual count is told only where a rule says `mode: alert`; else it is a suggestion on the pipeline and
//! in the audit, which says how to be told. A count that nobody reported is neither usual nor unusual.

use super::failure::{run_name, run_subject, run_view};
use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::Verdict;
use crate::incident::AlertKey;
use crate::owner;
use crate::pipeline::Pipeline;
use crate::pipeline::rows::{Judgement, Limits, Suggestion, Usual, judge};
use crate::rules::Rules;
use crate::ruleset::expect::{Mode, RowsUnusual};
use crate::ruleset::{Condition, Rule};
use crate::run::Run;
use std::collections::BTreeMap;

impl Turn<'_> {
    /// Asks the rules about rows. Gives back those whose alerts the success does not end.
    pub(super) fn judge_rows(&mut self, rules: &Rules, run: &Run, pipeline: &Pipeline) -> Vec<String> {
        let mut go_on = Vec::new();
        for (matcher, rule) in rules.rules() {
            if !matches!(rule.when, Condition::ZeroRows | Condition::RowsUnusual(_)) {
                continue;
            }
            let subject = run_subject(run, pipeline);
            let ends = match matcher.mismatch(&subject, rules.tier(&subject), pipeline.owner.as_deref()) {
                Some(clause) => {
                    self.verdict(&rule.name, Verdict::Passes, clause);
                    true
                }
                None => match &rule.when {
                    Condition::RowsUnusual(unusual) => self.compare_rows(rules, rule, unusual, run, pipeline),
                    _ => self.zero_rows(rules, rule, run, pipeline),
                },
            };
            if !ends {
                go_on.push(rule.name.clone());
            }
        }
        go_on
    }

    /// True when the success ends an alert about rows.
    fn zero_rows(&mut self, rules: &Rules, rule: &Rule, run: &Run, pipeline: &Pipeline) -> bool {
        if run.rows != Some(0) {
            return true;
        }
        let title = format!("{} wrote no rows", run.key.pipeline);
        let summary = format!("Run {} succeeded but wrote 0 rows", run_name(run));
        let verdict = self.fire_rows(rules, rule, run, pipeline, (title, summary));
        self.verdict(&rule.name, verdict, "the run reported 0 rows");
        false
    }

    /// True when the count was judged and is usual.
    fn compare_rows(
        &mut self,
        rules: &Rules,
        rule: &Rule,
        unusual: &RowsUnusual,
        run: &Run,
        pipeline: &Pipeline,
    ) -> bool {
        let (Some(rows), Some((now, history))) = (run.rows, pipeline.rows.split_last()) else {
            self.verdict(&rule.name, Verdict::Passes, "the run did not report its rows");
            return false;
        };
        let least = usize::try_from(unusual.min_history).unwrap_or(usize::MAX);
        let limits = Limits { factor: unusual.factor, min_history: least };
        match judge(history, *now, &unusual.zone, limits) {
            Judgement::TooFew { samples } => {
                let because = format!("{samples} counts to compare with, {least} are needed");
                self.verdict(&rule.name, Verdict::Passes, because);
                false
            }
            Judgement::ZeroIsUsual { zeros, samples } => {
                let because = format!("{zeros} of {samples} runs wrote nothing, too: 0 rows are usual");
                self.usual_rows(rule, pipeline, because);
                true
            }
            Judgement::Usual(usual) => {
                self.usual_rows(rule, pipeline, format!("{rows} rows; {}", words(usual, unusual.factor)));
                true
            }
            Judgement::Unusual(usual) => {
                let what = if real(rows) > usual.median { "many" } else { "few" };
                let title = format!("{} wrote unusually {what} rows", run.key.pipeline);
                let usual = words(usual, unusual.factor);
                let summary = format!("Run {} wrote {rows} rows; {usual}", run_name(run));
                match unusual.mode {
                    Mode::Alert => {
                        let verdict = self.fire_rows(rules, rule, run, pipeline, (title, summary.clone()));
                        self.verdict(&rule.name, verdict, summary);
                    }
                    Mode::Suggest => self.suggest(rule, pipeline, &summary),
                }
                false
            }
        }
    }

    /// Takes back a suggestion.
    fn usual_rows(&mut self, rule: &Rule, pipeline: &Pipeline, because: String) {
        self.verdict(&rule.name, Verdict::Passes, because);
        let of_rule = |suggestion: &Suggestion| *suggestion.rule == *rule.name;
        let known = self.state.pipeline(&pipeline.key);
        if let Some(known) = known.filter(|known| known.suggestion.as_ref().is_some_and(of_rule)) {
            let mut known = known.clone();
            known.suggestion = None;
            self.state.put_pipeline(known);
        }
    }

    /// Says what would have been told, and how to be told.
    fn suggest(&mut self, rule: &Rule, pipeline: &Pipeline, summary: &str) {
        let how = format!("to be told, write `mode: alert` in rule `{}`", rule.name);
        self.verdict(&rule.name, Verdict::Passes, format!("{summary}; it only suggests: {how}"));
        self.follows(format!("suggested: {summary}"));
        self.audit("rows.suggested", format!("{}: {summary}", pipeline.key.name), None, None);
        if let Some(known) = self.state.pipeline(&pipeline.key) {
            let mut known = known.clone();
            let text = format!("{summary}. Nobody was told: {how}.");
            known.suggestion = Some(Suggestion { rule: rule.name.as_str().into(), at: self.at, text });
            self.state.put_pipeline(known);
        }
    }

    fn fire_rows(
        &mut self,
        rules: &Rules,
        rule: &Rule,
        run: &Run,
        pipeline: &Pipeline,
        (title, summary): (String, String),
    ) -> Verdict {
        let subject = run_subject(run, pipeline);
        let firing = Firing {
            key: AlertKey { pipeline: pipeline.key.clone(), rule: rule.name.as_str().into(), subject: "".into() },
            severity: Rules::severity(rule, rules.tier(&subject)),
            threshold: 1,
            title,
            summary,
            occurred: run.ended.unwrap_or(self.at),
            owner: owner::resolve(rules, &subject),
            run_name: Some(run.key.run.clone()),
            labels: BTreeMap::new(),
            context: Context { run: Some(run_view(run, None)), ..Context::default() },
        };
        self.fire(rules, &firing)
    }
}

/// "usual on Sundays are 950 to 1050 (8 runs)".
fn words(usual: Usual, factor: f64) -> String {
    let away = factor * usual.spread;
    let (least, most) = ((usual.median - away).max(0.0), usual.median + away);
    let day = usual.weekday.map_or_else(String::new, |day| format!(" on {day:?}s"));
    format!("usual{day} are {least:.0} to {most:.0} ({} runs)", usual.samples)
}

#[allow(clippy::cast_precision_loss, reason = "for a word")]
fn real(rows: u64) -> f64 {
    rows as f64
}
