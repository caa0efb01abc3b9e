//! Failures that come from upstream: they join the incident of what they depend on.
//!
//! Invariants: a pipeline that depends on one with an open incident joins it as affected and pages nobody of its own;
//! when the upstream is well again and it is not, it gets its own incident.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::OwnerTrail;
use crate::incident::{Affected, Alert, Incident};
use crate::limits;
use crate::owner;
use crate::rules::Rules;
use crate::run::PipelineKey;
use std::collections::{BTreeSet, VecDeque};

impl Turn<'_> {
    /// The open incident of something that the failing pipeline depends on, with the pipeline added as affected.
    pub(super) fn incident_upstream(&self, rules: &Rules, firing: &Firing) -> Option<Incident> {
        let key = &firing.key.pipeline;
        let (mut incident, because) = self.upstream_with_incident(rules, key)?;
        if incident.affected.len() < limits::AFFECTED && !incident.affected.iter().any(|known| known.pipeline == *key) {
            incident.affected.push(Affected { pipeline: key.clone(), since: firing.occurred, because });
        }
        Some(incident)
    }

    /// The open incident of what a pipeline depends on, directly or through others, and how.
    fn upstream_with_incident(&self, rules: &Rules, key: &PipelineKey) -> Option<(Incident, String)> {
        let mut seen = BTreeSet::from([key.clone()]);
        let mut next = VecDeque::from([(key.clone(), None::<String>)]);
        while let Some((at, through)) = next.pop_front() {
            for (upstream, because) in self.upstreams_of(rules, &at) {
                if seen.len() >= limits::UPSTREAMS || !seen.insert(upstream.clone()) {
                    continue;
                }
                let because = through.as_ref().map_or_else(|| because.clone(), |first| format!("{first}; {because}"));
                let incident = self
                    .state
                    .alerts_of(&upstream)
                    .find_map(|alert| self.state.incident(alert.incident?).filter(|incident| incident.is_open()));
                if let Some(incident) = incident {
                    return Some((incident.clone(), because));
                }
                next.push_back((upstream, Some(because)));
            }
        }
        None
    }

    /// What a pipeline depends on directly, with the reason.
    fn upstreams_of(&self, rules: &Rules, key: &PipelineKey) -> Vec<(PipelineKey, String)> {
        let Some(pipeline) = self.state.pipeline(key) else {
            return Vec::new();
        };
        let subject = super::failure::pipeline_subject(pipeline);
        rules
            .upstreams(&subject, pipeline.owner.as_deref())
            .map(|upstream| {
                let because = format!("{} depends on {}, as configured", key.name, upstream.name);
                (upstream, because)
            })
            .collect()
    }

    /// True when all that still fires in an incident is what it affects.
    pub(super) fn only_affected_left(&self, incident: &Incident) -> bool {
        !incident.affected.is_empty() && self.state.alerts_in(incident).all(|alert| is_affected(incident, alert))
    }

    /// The cause is over: the incident is resolved, and what it affects and still fails gets incidents of its own.
    pub(super) fn part_from_affected(&mut self, incident: Incident, because: &str, context: &Context) {
        let left: Vec<Alert> = self.state.alerts_in(&incident).cloned().collect();
        self.resolve(incident, because, context);
        let Some(rules) = self.rules() else {
            return;
        };
        for alert in left {
            self.on_its_own(&rules, &alert);
        }
    }

    fn on_its_own(&mut self, rules: &Rules, alert: &Alert) {
        let Some(pipeline) = self.state.pipeline(&alert.key.pipeline).cloned() else {
            return;
        };
        let OwnerTrail { team, because, passed_over } =
            owner::resolve(rules, &super::failure::pipeline_subject(&pipeline));
        let firing = Firing {
            key: alert.key.clone(),
            severity: alert.severity,
            threshold: 1,
            title: format!("{} still fails", alert.key.pipeline.name),
            summary: format!("What it depends on is well again, but: {}", alert.summary),
            occurred: alert.last,
            owner: OwnerTrail { team, because, passed_over },
            run_name: alert.run.clone(),
            labels: alert.labels.clone(),
            context: Context::default(),
        };
        self.fire(rules, &firing);
    }
}

fn is_affected(incident: &Incident, alert: &Alert) -> bool {
    alert.key.pipeline != incident.pipeline
        && incident.affected.iter().any(|affected| affected.pipeline == alert.key.pipeline)
}
