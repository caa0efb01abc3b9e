//! Failures and delays that come from upstream: they join the incident of what they depend on.
//!
//! Invariants: a pipeline that depends on one with an open incident joins it as affected and pages nobody of its own;
//! when it is well again first, it leaves; when the upstream is well again and it is not, it gets its own incident. The
//! list of affected pipelines is complete: who does not fit into it opens its own incident. The work per failure is
//! bounded, whatever depends on what.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::OwnerTrail;
use crate::incident::{Affected, Alert, AlertKey, Incident};
use crate::limits;
use crate::owner;
use crate::rules::Rules;
use crate::ruleset::Condition;
use crate::run::{Name, PipelineKey};
use std::collections::{BTreeMap, BTreeSet};

/// A step of the way upstream.
struct Step {
    pipeline: PipelineKey,
    /// The step that depends on it, and how.
    needed: Option<(usize, How)>,
}

/// How one pipeline depends on another.
enum How {
    Configured,
    Reads(Name),
}

impl Turn<'_> {
    /// The open incident of something that the failing pipeline depends on, with the pipeline added as affected.
    pub(super) fn incident_upstream(&self, rules: &Rules, firing: &Firing) -> Option<Incident> {
        let key = &firing.key.pipeline;
        let (mut incident, because) = self.upstream_with_incident(rules, key)?;
        if !incident.affected.iter().any(|known| known.pipeline == *key) {
            if incident.affected.len() >= limits::AFFECTED {
                return None;
            }
            incident.affected.push(Affected { pipeline: key.clone(), since: firing.occurred, because });
        }
        Some(incident)
    }

    /// The open incident of what a pipeline depends on, directly or through others, and how.
    fn upstream_with_incident(&self, rules: &Rules, key: &PipelineKey) -> Option<(Incident, String)> {
        let mut found = None;
        self.walk_upstream(rules, key, |upstream, because| {
            let of_alert = |alert: &Alert| self.state.incident(alert.incident?).filter(|incident| incident.is_open());
            found = self.state.alerts_of(upstream).find_map(of_alert).map(|incident| (incident.clone(), because()));
            found.is_some()
        });
        found
    }

    /// Walks over everything that a pipeline depends on, nearest first, until `look` says that it is enough. `look` is
    /// given the pipeline and, when it asks, how it is depended on.
    fn walk_upstream(
        &self,
        rules: &Rules,
        key: &PipelineKey,
        mut look: impl FnMut(&PipelineKey, &dyn Fn() -> String) -> bool,
    ) {
        let mut steps = vec![Step { pipeline: key.clone(), needed: None }];
        let mut seen = BTreeSet::from([key.clone()]);
        let (mut next, mut followed) = (0, 0);
        while next < steps.len() {
            let at = steps[next].pipeline.clone();
            for (pipeline, how) in self.upstreams_of(rules, &at, limits::DEPENDENCIES - followed) {
                followed += 1;
                if steps.len() > limits::UPSTREAMS || !seen.insert(pipeline.clone()) {
                    continue;
                }
                steps.push(Step { pipeline: pipeline.clone(), needed: Some((next, how)) });
                if look(&pipeline, &|| reason(&steps, steps.len() - 1)) {
                    return;
                }
            }
            next += 1;
        }
    }

    /// What a pipeline depends on directly, at most `room`: what is configured, then who writes what it reads.
    fn upstreams_of(&self, rules: &Rules, key: &PipelineKey, room: usize) -> Vec<(PipelineKey, How)> {
        let Some(pipeline) = self.state.pipeline(key) else {
            return Vec::new();
        };
        let subject = super::failure::pipeline_subject(pipeline);
        let configured =
            rules.upstreams(&subject, pipeline.owner.as_deref()).map(|upstream| (upstream, How::Configured));
        let written = pipeline.reads.iter().flat_map(|read| {
            let writers = self.state.writers_of(&read.name);
            writers.map(|writer| (writer.clone(), How::Reads(read.name.clone())))
        });
        configured.chain(written).filter(|(upstream, _)| upstream != key).take(room).collect()
    }

    /// Says that a pipeline was added to what an incident affects, and why.
    pub(super) fn say_affected(&mut self, incident: &Incident, key: &AlertKey) {
        let Some(affected) = incident.affected.iter().find(|affected| affected.pipeline == key.pipeline) else {
            return;
        };
        let summary = format!("#{} affects {}: {}", incident.number, key.pipeline.name, affected.because);
        self.follows(affected.because.clone());
        self.audit("incident.affects", summary, Some(incident.id), None);
    }

    /// An alert is over: a pipeline that was affected and has no other alert in the incident is affected no longer.
    pub(super) fn no_longer_affected(&mut self, incident: &mut Incident, key: &AlertKey) {
        let others = self.state.alerts_of(&key.pipeline).any(|alert| alert.incident == Some(incident.id));
        let known = incident.affected.len();
        if !others {
            incident.affected.retain(|affected| affected.pipeline != key.pipeline);
        }
        if incident.affected.len() < known {
            self.follows(format!("{} is well again before what it depends on", key.pipeline.name));
            self.state.put_incident(incident.clone());
        }
    }

    /// True when all that still fires in an incident is what it affects.
    pub(super) fn only_affected_left(&self, incident: &Incident) -> bool {
        !incident.affected.is_empty() && self.state.alerts_in(incident).all(|alert| is_affected(incident, alert))
    }

    /// The cause is over: the incident is resolved, and what it affects and still fails gets incidents of its own.
    pub(super) fn part_from_affected(&mut self, incident: Incident, because: &str, context: &Context) {
        let mut left: Vec<Alert> = self.state.alerts_in(&incident).cloned().collect();
        self.resolve(incident, because, context);
        let Some(rules) = self.rules() else {
            return;
        };
        // What the others depend on comes first, so that they join it; within a circle it is the first by name.
        let pipelines: BTreeSet<PipelineKey> = left.iter().map(|alert| alert.key.pipeline.clone()).collect();
        let depths = pipelines.iter().map(|key| (key.clone(), self.depth_among(&rules, key, &pipelines)));
        let depths: BTreeMap<PipelineKey, usize> = depths.collect();
        left.sort_by_key(|alert| depths.get(&alert.key.pipeline).copied());
        for alert in left {
            self.on_its_own(&rules, &alert);
        }
    }

    /// How many of `among` a pipeline depends on.
    fn depth_among(&self, rules: &Rules, key: &PipelineKey, among: &BTreeSet<PipelineKey>) -> usize {
        let mut depth = 0;
        self.walk_upstream(rules, key, |upstream, _| {
            depth += usize::from(among.contains(upstream));
            false
        });
        depth
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
            title: format!("{} {}", alert.key.pipeline.name, still(rules, &alert.key)),
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

/// How the last of some steps is depended on, from the beginning.
fn reason(steps: &[Step], last: usize) -> String {
    let mut clauses = Vec::new();
    let mut at = &steps[last];
    while let Some((by, how)) = &at.needed {
        let (reader, writer) = (&steps[*by].pipeline.name, &at.pipeline.name);
        clauses.push(match how {
            How::Reads(dataset) => format!("{reader} reads {dataset}, which {writer} writes"),
            How::Configured => format!("{reader} depends on {writer}, as configured"),
        });
        at = &steps[*by];
    }
    clauses.reverse();
    clauses.join("; ")
}

/// What is still wrong, for a title.
fn still(rules: &Rules, key: &AlertKey) -> &'static str {
    match rules.rule(&key.rule).map(|rule| &rule.when) {
        Some(Condition::Failed(_) | Condition::Reported) => "still fails",
        Some(Condition::ZeroRows | Condition::RowsUnusual(_)) => "is still unusual",
        _ => "is still late",
    }
}

fn is_affected(incident: &Incident, alert: &Alert) -> bool {
    alert.key.pipeline != incident.pipeline
        && incident.affected.iter().any(|affected| affected.pipeline == alert.key.pipeline)
}
