//! From alerts to incidents: open, collect, reopen, resolve.
//!
//! Invariants: one open incident per group (owner and pipeline, unless other labels are configured) and per run; an
//! incident is resolved when its last alert is cleared. Whom it concerns is in [`super::tell`], why nobody is told in
//! [`super::hold`], what comes later in [`super::escalation`].

use super::turn::Turn;
use crate::decision::{OwnerTrail, Verdict};
use crate::effect::Action;
use crate::event::{Link, Severity};
use crate::ids::{IncidentId, derive};
use crate::incident::problem::{AfterFailure, Kind, Problem, Thresholds};
use crate::incident::{Alert, AlertKey, Incident, IncidentState};
use crate::limits;
use crate::notice::{PipelineView, RunView};
use crate::rules::Rules;
use crate::run::Name;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A rule's condition holds for something.
pub(super) struct Firing {
    pub(super) key: AlertKey,
    pub(super) severity: Severity,
    /// Counted failures in a row before the alert fires.
    pub(super) threshold: u32,
    /// One line: what is wrong with the pipeline.
    pub(super) title: String,
    /// One line: what happened now.
    pub(super) summary: String,
    /// When, by the far end's clock.
    pub(super) occurred: Timestamp,
    pub(super) owner: OwnerTrail,
    /// The run that shows it.
    pub(super) run_name: Option<Name>,
    /// What matchers are asked about beyond the pipeline.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) context: Context,
}

/// What a message says beyond the incident itself.
#[derive(Clone, Default)]
pub(super) struct Context {
    pub(super) pipeline: Option<PipelineView>,
    pub(super) run: Option<RunView>,
    pub(super) links: Vec<Link>,
    pub(super) details: BTreeMap<String, String>,
    /// A connection that must not be used, because it is the trouble.
    pub(super) avoid: Option<String>,
}

/// How far an alert got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opened,
    Reopened,
    Joined,
    Repeated,
}

impl Turn<'_> {
    /// Counts a failure for an alert and fires it when the threshold is met.
    pub(super) fn fire(&mut self, rules: &Rules, firing: &Firing) -> Verdict {
        let previous = self.state.alert(&firing.key).cloned();
        let thresholds = Thresholds { warn_after: firing.threshold, ..rules.thresholds(&firing.key.rule) };
        let mut problem = previous.as_ref().map(Alert::problem).unwrap_or_default();
        let after = problem.failed(&thresholds, Kind::Plain);
        let mut alert = Alert::counting(firing, problem);
        if let Some(previous) = &previous {
            alert.incident = previous.incident;
            (alert.since, alert.last) = (previous.since, previous.last.max(firing.occurred));
        }
        if after == AfterFailure::FiresCritically {
            alert.severity = Severity::Critical;
        }
        if after == AfterFailure::Counting {
            self.follows(format!("counted: {} of {} in a row", alert.streak, firing.threshold));
            self.state.put_alert(alert);
            return Verdict::Counting;
        }
        let (mut incident, stage) = self.incident_for(rules, firing, &alert);
        let same_run =
            firing.run_name.is_some() && self.state.alerts_in(&incident).any(|other| other.run == firing.run_name);
        if stage == Stage::Reopened || (stage != Stage::Opened && !same_run) {
            incident.occurrences += 1;
        }
        let raised = alert.severity > incident.severity;
        incident.severity = incident.severity.max(alert.severity);
        if incident.pipeline == firing.key.pipeline {
            incident.title = firing.title.as_str().into();
        }
        incident.updated = self.at;
        alert.incident = Some(incident.id);
        if stage == Stage::Opened || previous.is_none_or(|alert| alert.incident.is_none()) {
            alert.since = firing.occurred;
            self.audit("alert.fired", format!("Rule {}: {}", alert.key.rule, firing.summary), Some(incident.id), None);
            self.record_fired(&alert, incident.id);
        }
        self.concerns(incident.id);
        self.state.put_incident(incident.clone());
        self.state.put_alert(alert);
        self.follows(match stage {
            Stage::Opened => format!("incident #{} opened for team {}", incident.number, incident.owner),
            Stage::Reopened => format!("incident #{} opened again: it was resolved a moment ago", incident.number),
            Stage::Joined => format!("collected into incident #{}, which is open", incident.number),
            Stage::Repeated => format!("again: incident #{} is open since {}", incident.number, incident.since()),
        });
        if stage == Stage::Joined {
            self.say_affected(&incident, &firing.key);
        }
        self.inhibits(rules, &firing.key);
        self.tell_or_hold(rules, incident, firing, raised);
        Verdict::Fires
    }

    fn incident_for(&mut self, rules: &Rules, firing: &Firing, alert: &Alert) -> (Incident, Stage) {
        if let Some(incident) = alert.incident.and_then(|id| self.state.incident(id)) {
            return (incident.clone(), Stage::Repeated);
        }
        let fresh = self.new_incident(rules, firing);
        if let Some(incident) = self.open_incident(rules, firing, &fresh) {
            return (incident, Stage::Joined);
        }
        if let Some(incident) = self.reopened(rules, &fresh) {
            return (incident, Stage::Reopened);
        }
        let mut incident = Incident { number: self.state.next_incident_number(), ..fresh };
        let summary =
            format!("#{} {}; owner {}: {}", incident.number, firing.title, incident.owner, incident.owner_because);
        self.audit("incident.opened", summary, Some(incident.id), None);
        incident.parent = self.storm_of(rules, &incident);
        (incident, Stage::Opened)
    }

    /// The incident that a firing would open; it has no number yet.
    fn new_incident(&self, rules: &Rules, firing: &Firing) -> Incident {
        let cause = [&*self.state.workspace, &self.seq.to_string(), &firing.key.rule, &firing.key.subject];
        Incident {
            id: IncidentId(derive("incident", &cause)),
            number: 0,
            state: IncidentState::Triggered,
            owner: firing.owner.team.as_str().into(),
            owner_because: firing.owner.because.as_str().into(),
            pipeline: firing.key.pipeline.clone(),
            title: firing.title.as_str().into(),
            severity: firing.severity,
            opened: self.at,
            opened_by: self.seq,
            updated: self.at,
            resolved: None,
            acknowledged_by: None,
            acknowledged: None,
            occurrences: 1,
            told: Vec::new(),
            reopened: 0,
            reopened_at: None,
            snoozed_until: None,
            course: None,
            suppressed_by: Vec::new(),
            group: self.group_of(rules, firing),
            parent: None,
            assigned: None,
            affected: Vec::new(),
            told_at: None,
        }
    }

    /// The values of the labels that group alerts, when these are not the owner and pipeline. Trackside's own troubles
    /// are never grouped with others.
    fn group_of(&self, rules: &Rules, firing: &Firing) -> Option<Name> {
        let labels = &rules.source().incidents.group_by;
        if matches!(labels.as_slice(), [a, b] if a == "owner" && b == "pipeline")
            || firing.key.pipeline.source.starts_with(limits::OWN_SOURCES)
        {
            return None;
        }
        let value = |name: &String| match name.as_str() {
            "owner" | "team" => firing.owner.team.clone(),
            label if firing.labels.contains_key(label) => firing.labels[label].clone(),
            "pipeline" => firing.key.pipeline.name.to_string(),
            "source" => firing.key.pipeline.source.to_string(),
            "rule" => firing.key.rule.to_string(),
            "severity" => firing.severity.as_str().to_owned(),
            _ => String::new(),
        };
        Some(labels.iter().map(value).collect::<Vec<_>>().join("\u{1f}").into())
    }

    /// The open incident that a firing belongs to: one of the same run, of the same group, or of what it depends on.
    fn open_incident(&self, rules: &Rules, firing: &Firing, fresh: &Incident) -> Option<Incident> {
        let candidates = || {
            self.state.alerts_of(&firing.key.pipeline).filter_map(|alert| {
                let incident = self.state.incident(alert.incident?)?;
                incident.is_open().then_some((alert, incident))
            })
        };
        let same_run = candidates().find(|(alert, _)| firing.run_name.is_some() && alert.run == firing.run_name);
        if let Some((_, incident)) = same_run {
            return Some(incident.clone());
        }
        let same_group = match &fresh.group {
            Some(group) => self.state.incident_of_group(group),
            None => candidates()
                .find(|(_, incident)| {
                    incident.owner == fresh.owner && incident.group.is_none() && incident.pipeline == fresh.pipeline
                })
                .map(|(_, incident)| incident),
        };
        same_group.cloned().or_else(|| self.incident_upstream(rules, firing))
    }

    /// The incident about the same that was resolved within the flap window, open again.
    fn reopened(&mut self, rules: &Rules, fresh: &Incident) -> Option<Incident> {
        let window = rules.source().incidents.flap_window.0;
        let mut incident = self.state.ended_before(fresh)?.clone();
        let resolved = incident.resolved?;
        if window.is_zero() || self.at.duration_since(resolved) > window {
            return None;
        }
        incident.state = IncidentState::Triggered;
        incident.resolved = None;
        incident.reopened += 1;
        incident.reopened_at = Some(self.at);
        (incident.acknowledged_by, incident.acknowledged, incident.snoozed_until) = (None, None, None);
        (incident.course, incident.told_at) = (None, None);
        incident.told.clear();
        incident.affected.clear();
        let storm = incident.parent.and_then(|id| self.state.incident(id));
        incident.parent = storm.filter(|storm| storm.is_open() && super::storm::is_storm(storm)).map(|storm| storm.id);
        self.audit("incident.reopened", format!("#{} failed again", incident.number), Some(incident.id), None);
        Some(incident)
    }

    /// Clears an alert; the incident is resolved with its last one.
    pub(super) fn clear(&mut self, key: &AlertKey, because: &str, context: &Context) {
        let Some(alert) = self.state.remove_alert(key) else {
            return;
        };
        let Some(mut incident) = alert.incident.and_then(|id| self.state.incident(id)).cloned() else {
            return;
        };
        self.concerns(incident.id);
        self.no_longer_affected(&mut incident, key);
        self.audit("alert.cleared", format!("Rule {}: {because}", key.rule), Some(incident.id), None);
        let left = self.state.alerts_in(&incident).next().is_some();
        if !left {
            self.resolve(incident, because, context);
        } else if self.only_affected_left(&incident) {
            self.part_from_affected(incident, because, context);
        } else {
            self.follows(format!("one alert of incident #{} is over, others are not", incident.number));
            self.changed(incident.id, because);
        }
        self.no_longer_inhibits(key);
    }

    /// Ends an incident and tells whoever was told, except where it was said.
    pub(super) fn resolve(&mut self, mut incident: Incident, because: &str, context: &Context) {
        let left: Vec<AlertKey> = self.state.alerts_in(&incident).map(|alert| alert.key.clone()).collect();
        for key in &left {
            self.state.remove_alert(key);
        }
        self.stop_timers(incident.id);
        incident.state = IncidentState::Resolved;
        incident.resolved = Some(self.at);
        incident.updated = self.at;
        incident.snoozed_until = None;
        incident.suppressed_by.clear();
        self.state.put_incident(incident.clone());
        self.audit("incident.resolved", format!("#{} {because}", incident.number), Some(incident.id), None);
        self.follows(format!("incident #{} resolved", incident.number));
        self.concerns(incident.id);
        self.tell_told(&incident, Action::Resolve, because, context);
        for key in &left {
            self.no_longer_inhibits(key);
        }
        self.storm_resolved(&incident);
        self.member_resolved(&incident);
    }
}

impl Alert {
    /// An alert as its latest failure shows it; it fires in no incident yet.
    pub(super) fn counting(firing: &Firing, problem: Problem) -> Self {
        Self {
            key: firing.key.clone(),
            incident: None,
            streak: problem.failures,
            severity: firing.severity,
            since: firing.occurred,
            last: firing.occurred,
            run: firing.run_name.clone(),
            summary: excerpt(&firing.summary).into(),
            successes: problem.successes,
            healed_by: None,
            transient: None,
            labels: firing.labels.clone(),
        }
    }
}

/// At most `limits::EXCERPT_BYTES`, cut at a character.
pub(super) fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(limits::EXCERPT_BYTES)]
}
