//! A whole scope that is down: one urgent incident instead of the noise of its members.
//!
//! Invariants: it fires when every pipeline of the scope that is known failed last and there are enough of them; a
//! pipeline that never ran keeps it away; it is over as soon as one recovers; while it fires, members are held back.

use super::turn::Turn;
use crate::incident::{Alert, AlertKey, Suppression};
use crate::rules::Rules;
use crate::ruleset::Condition;
use crate::run::PipelineKey;

/// Source of the incidents that stand for whole scopes. Events from outside cannot use it.
const SCOPE_SOURCE: &str = "trackside.scope";

impl Turn<'_> {
    /// The scopes that are down and hold an alert back.
    pub(super) fn scope_holds(&self, rules: &Rules, alert: &Alert) -> Vec<Suppression> {
        let Some(pipeline) = self.state.pipeline(&alert.key.pipeline).filter(|_| !is_scope(&alert.key)) else {
            return Vec::new();
        };
        let subject = super::failure::pipeline_subject(pipeline);
        let holds = rules.rules().filter(|(_, rule)| matches!(rule.when, Condition::AllFailed { .. }));
        holds
            .filter_map(|(matcher, rule)| {
                let incident = self.state.alert(&scope_key(&rule.name))?.incident?;
                let inside = matcher.mismatch(&subject, rules.tier(&subject), pipeline.owner.as_deref()).is_none();
                inside.then(|| Suppression::Inhibition { name: rule.name.clone(), incident })
            })
            .collect()
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
