//! A whole scope that is down: one urgent incident instead of the noise of its members.
//!
//! Invariants: it fires when every pipeline of the scope that is known failed last and there are enough of them; a
//! pipeline that never ran keeps it away, and a failure that was kept quiet does not count; it is over as soon as one
//! recovers; while it fires, members are held back. Without a rule about scopes nothing is looked at; with one, an
//! index says which members are not down, so that an event costs a look at its own pipeline.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::OwnerTrail;
use crate::event::Severity;
use crate::incident::{Alert, AlertKey, Suppression};
use crate::pipeline::Pipeline;
use crate::projection::Transition;
use crate::rules::{Matcher, Rules};
use crate::ruleset::Rule;
use crate::run::{PipelineKey, RunState};
use std::collections::BTreeMap;

/// Source of the incidents that stand for whole scopes. Events from outside cannot use it.
const SCOPE_SOURCE: &str = "trackside.scope";
/// Label of an alert that is more urgent than its severity can say.
pub(super) const PRIORITY_LABEL: &str = "priority";
/// Its value for a whole scope that is down.
const PRIORITY: &str = "P1";

impl Turn<'_> {
    /// The scopes that are down and hold an alert back.
    pub(super) fn scope_holds(&self, rules: &Rules, alert: &Alert) -> Vec<Suppression> {
        if !rules.watches_scopes() || is_scope(&alert.key) {
            return Vec::new();
        }
        let Some(pipeline) = self.state.pipeline(&alert.key.pipeline) else {
            return Vec::new();
        };
        let holds = rules.scopes().filter_map(|(matcher, rule, _)| {
            let incident = self.state.alert(&scope_key(&rule.name))?.incident?;
            belongs(rules, matcher, pipeline).then(|| Suppression::Inhibition { name: rule.name.clone(), incident })
        });
        holds.collect()
    }

    /// Looks at the scopes of a pipeline after news of one of its runs.
    pub(super) fn scopes_after(&mut self, rules: &Rules, pipeline: &PipelineKey, transitions: &[Transition]) {
        if !rules.watches_scopes() {
            return;
        }
        self.index_scopes(rules);
        self.place_in_scopes(rules, pipeline);
        let ended = |wanted: RunState| {
            let is = |transition: &Transition| matches!(transition, Transition::RunEnded(_, state) if *state == wanted);
            transitions.iter().any(is)
        };
        if ended(RunState::Failed) {
            for (_, rule, at_least) in rules.scopes() {
                let down = self.state.in_scope(&rule.name, pipeline) && self.state.scope_is_down(&rule.name, at_least);
                if down && !self.state.scope_members(&rule.name).any(|member| self.last_failure_is_quiet(member)) {
                    self.scope_down(rules, rule);
                }
            }
        }
        if ended(RunState::Succeeded) && self.state.pipeline(pipeline).is_some_and(|pipeline| !failed_last(pipeline)) {
            for (_, rule, _) in rules.scopes() {
                if self.state.in_scope(&rule.name, pipeline) {
                    self.clear(&scope_key(&rule.name), &format!("{} recovered", pipeline.name), &Context::default());
                }
            }
        }
    }

    /// After a change of rules: scopes that no rule is about any more are over, and so are those with another extent.
    pub(super) fn scopes_after_rules(&mut self, old: Option<&Rules>, new: &Rules) {
        self.index_scopes(new);
        let before: Vec<String> =
            old.into_iter().flat_map(Rules::scopes).map(|(_, rule, _)| rule.name.clone()).collect();
        for name in before {
            let down =
                new.scopes().any(|(_, rule, at_least)| rule.name == name && self.state.scope_is_down(&name, at_least));
            if !down {
                self.clear(&scope_key(&name), "the rules changed", &Context::default());
            }
        }
    }

    /// Fills the index of scopes after a start or a change of rules.
    fn index_scopes(&mut self, rules: &Rules) {
        if self.state.scopes_known() {
            return;
        }
        self.state.begin_scopes();
        if rules.watches_scopes() {
            let pipelines: Vec<PipelineKey> = self.state.pipelines().map(|pipeline| pipeline.key.clone()).collect();
            for pipeline in &pipelines {
                self.place_in_scopes(rules, pipeline);
            }
        }
    }

    /// Notes which scopes a pipeline belongs to, and whether it keeps them up.
    fn place_in_scopes(&mut self, rules: &Rules, key: &PipelineKey) {
        let Some(pipeline) = self.state.pipeline(key).cloned() else {
            return;
        };
        for (matcher, rule, _) in rules.scopes() {
            let place = match (belongs(rules, matcher, &pipeline), failed_last(&pipeline)) {
                (false, _) => Place::Outside,
                (true, false) => Place::Up,
                (true, true) => Place::Down,
            };
            self.state.place_in_scope(&rule.name, key, place);
        }
    }

    /// True when all that failed of a pipeline was kept quiet, because it may pass by itself.
    fn last_failure_is_quiet(&self, pipeline: &PipelineKey) -> bool {
        let mut alerts = self.state.alerts_of(pipeline).peekable();
        alerts.peek().is_some() && alerts.all(|alert| alert.transient.is_some())
    }

    fn scope_down(&mut self, rules: &Rules, rule: &Rule) {
        let key = scope_key(&rule.name);
        if self.state.alert(&key).is_some() {
            return;
        }
        let members: Vec<PipelineKey> = self.state.scope_members(&rule.name).cloned().collect();
        let names: Vec<&str> =
            members.iter().take(crate::limits::ALERTS_IN_NOTICE).map(|member| &*member.name).collect();
        let more = members.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let firing = Firing {
            severity: rule.severity.unwrap_or(Severity::Critical),
            threshold: 1,
            title: format!("{PRIORITY}: all {} pipelines of {} are down", members.len(), rule.name),
            summary: format!("The latest run of each failed: {}{more}", names.join(", ")),
            occurred: self.at,
            owner: self.owner_of_most(rules, &members),
            run_name: None,
            labels: BTreeMap::from([(PRIORITY_LABEL.to_owned(), PRIORITY.to_owned())]),
            context: Context {
                details: BTreeMap::from([(PRIORITY_LABEL.to_owned(), PRIORITY.to_owned())]),
                ..Context::default()
            },
            key,
        };
        let verdict = self.fire(rules, &firing);
        self.verdict(&rule.name, verdict, "every pipeline it applies to failed last");
        self.review_all();
    }

    /// The team that owns most members; the default owner when no team does.
    fn owner_of_most(&self, rules: &Rules, members: &[PipelineKey]) -> OwnerTrail {
        let mut owned = BTreeMap::<&str, usize>::new();
        for member in members {
            if let Some(team) = self.state.pipeline(member).and_then(|pipeline| pipeline.owner.as_deref()) {
                *owned.entry(team).or_default() += 1;
            }
        }
        // The first by name among equals, so that a replay finds the same one.
        let most =
            owned.into_iter().rev().max_by_key(|(_, count)| *count).filter(|(team, _)| rules.team(team).is_some());
        let (team, because) = match most {
            Some((team, count)) => (team.to_owned(), format!("it owns {count} of the {} pipelines", members.len())),
            None => (rules.source().owners.default.clone(), "no team owns any of the pipelines".to_owned()),
        };
        OwnerTrail { team, because, passed_over: Vec::new() }
    }
}

/// Where a pipeline stands in a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The rule does not apply to it.
    Outside,
    /// It succeeded last, or never ran.
    Up,
    /// It failed last.
    Down,
}

fn belongs(rules: &Rules, matcher: &Matcher, pipeline: &Pipeline) -> bool {
    let subject = super::failure::pipeline_subject(pipeline);
    matcher.mismatch(&subject, rules.tier(&subject), pipeline.owner.as_deref()).is_none()
}

/// True when the latest run that counted failed, by the far end's clock; by the order of arrival when both outcomes
/// have the same time.
fn failed_last(pipeline: &Pipeline) -> bool {
    match pipeline.last_failure.cmp(&pipeline.last_success) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => pipeline.streak > 0,
    }
}

/// The alert of a rule about a whole scope.
pub(super) fn scope_key(rule: &str) -> AlertKey {
    AlertKey {
        pipeline: PipelineKey { source: SCOPE_SOURCE.into(), name: rule.into() },
        rule: rule.into(),
        subject: "".into(),
    }
}

/// True for the alert of a rule about a whole scope.
pub(super) fn is_scope(key: &AlertKey) -> bool {
    &*key.pipeline.source == SCOPE_SOURCE
}
