//! Events that come late: a source whose news is old when it arrives.
//!
//! Invariants: judged by run events only, because a report or message may speak of something that began long ago; one
//! alert per source, however many events; it ends with an event in time when no late one came for a while, so that a
//! backlog that is sent between fresh events does not open and close incidents.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::Verdict;
use crate::event::Event;
use crate::incident::AlertKey;
use crate::limits;
use crate::owner;
use crate::rules::{Rules, Subject};
use crate::ruleset::expect::Lateness;
use crate::ruleset::{Condition, Rule, Span};
use crate::run::PipelineKey;
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// Source of the incidents about late sources. Events from outside cannot use it.
const LATE_SOURCE: &str = "trackside.late";
/// While the alert fires, late events are noted at most this often.
const NOTED: SignedDuration = SignedDuration::from_mins(1);

impl Turn<'_> {
    /// Compares when a run event happened with when it came.
    pub(super) fn judge_lateness(&mut self, rules: &Rules, event: &Event) {
        let subject = Subject { source: &event.source, ..Subject::default() };
        for (matcher, rule) in rules.rules() {
            if let Condition::LateEvents(limit) = &rule.when
                && matcher.mismatch(&subject, None, None).is_none()
            {
                self.judge_by(rules, rule, *limit, event);
            }
        }
    }

    fn judge_by(&mut self, rules: &Rules, rule: &Rule, limit: Lateness, event: &Event) {
        let delay = event.received.duration_since(event.occurred);
        let took = format!("accepted {} after it happened, {} are allowed", whole(delay), limit.over);
        let key = AlertKey {
            pipeline: PipelineKey { source: LATE_SOURCE.into(), name: event.source.as_str().into() },
            rule: rule.name.as_str().into(),
            subject: "".into(),
        };
        let known = self.state.alert(&key).cloned();
        match (delay > limit.over.0, known) {
            (true, None) => {
                let verdict = self.fire(rules, &self.late_source(rules, rule, key, event, &took));
                self.verdict(&rule.name, verdict, took);
            }
            (true, Some(mut alert)) => {
                if self.at.duration_since(alert.last) >= NOTED {
                    alert.last = self.at;
                    self.state.put_alert(alert);
                }
                self.verdict(&rule.name, Verdict::Fires, took);
            }
            (false, Some(alert)) if self.at.duration_since(alert.last) >= limits::LATENESS_CALM => {
                self.verdict(&rule.name, Verdict::Clears, took);
                let because = format!("events of {} come in time again", event.source);
                self.clear(&key, &because, &Context::default());
            }
            (false, Some(alert)) => {
                let since = alert.last;
                self.verdict(&rule.name, Verdict::Fires, format!("{took}; but a late one came as late as {since}"));
            }
            (false, None) => self.verdict(&rule.name, Verdict::Passes, took),
        }
    }

    fn late_source(&self, rules: &Rules, rule: &Rule, key: AlertKey, event: &Event, took: &str) -> Firing {
        let owner = owner::resolve(rules, &Subject { source: &event.source, ..Subject::default() });
        Firing {
            key,
            severity: Rules::severity(rule, None),
            threshold: 1,
            title: format!("Events of {} come late", event.source),
            summary: format!("`{}` was {took}", event.event),
            occurred: self.at,
            owner,
            run_name: None,
            labels: BTreeMap::from([("source".to_owned(), event.source.clone())]),
            context: Context::default(),
        }
    }
}

/// Whole seconds: nobody counts the rest.
fn whole(delay: SignedDuration) -> Span {
    Span(SignedDuration::from_secs(delay.as_secs().max(0)))
}
