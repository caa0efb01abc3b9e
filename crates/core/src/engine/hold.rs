//! Why nobody is told: maintenance, silences, inhibition, storms.
//!
//! Invariants: what holds back is a set beside the state, so a resolve always passes; an incident is held back only
//! while every alert in it is; when nothing holds it back any more it is told, and its escalation starts again.

use super::incident::Context;
use super::tell::whom;
use super::turn::Turn;
use crate::event::Severity;
use crate::ids::IncidentId;
use crate::incident::labels::label;
use crate::incident::{Alert, AlertKey, Incident, IncidentState, Suppression};
use crate::pipeline::Pipeline;
use crate::rules::Rules;
use crate::ruleset::noise::Silence;
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeMap;

impl Turn<'_> {
    /// What holds an incident back now; empty as soon as one of its alerts is not held back.
    pub(super) fn holds(&self, rules: &Rules, incident: &Incident) -> Vec<Suppression> {
        if let Some(storm) = incident.parent.and_then(|id| self.state.incident(id)).filter(|storm| storm.is_open()) {
            return vec![Suppression::Storm { incident: storm.id }];
        }
        let mut all = Vec::new();
        for alert in self.state.alerts_in(incident) {
            let holds = self.alert_holds(rules, incident, alert);
            if holds.is_empty() {
                return Vec::new();
            }
            all.extend(holds);
        }
        all.sort();
        all.dedup();
        all
    }

    fn alert_holds(&self, rules: &Rules, incident: &Incident, alert: &Alert) -> Vec<Suppression> {
        let label = |name: &str| self.label(rules, &incident.owner, alert, name);
        let maintenance = self
            .windows(rules, label)
            .map(|(window, until)| Suppression::Maintenance { window: window.to_owned(), until });
        let active = |silence: &Silence| silence.starts <= self.at && self.at < silence.ends;
        let silences = self.state.silences().filter(|(silence, matchers)| active(silence) && matchers.matches(label));
        let silences = silences.map(|(silence, _)| Suppression::Silence { silence: silence.id, until: silence.ends });
        let mut holds: Vec<Suppression> = maintenance.chain(silences).collect();
        for (place, inhibition) in rules.inhibitions().iter().enumerate() {
            if !inhibition.target.matches(label) || inhibition.source.matches(label) {
                continue;
            }
            let equal: Vec<String> = inhibition.equal.iter().map(|name| label(name).into_owned()).collect();
            if let Some(cause) = self.state.inhibitor(place, &equal).and_then(|key| self.state.alert(key)?.incident) {
                holds.push(Suppression::Inhibition { name: inhibition.name.clone(), incident: cause });
            }
        }
        holds.extend(self.scope_holds(rules, alert));
        holds
    }

    /// The maintenance windows that are active now and cover what has these labels, and when they end.
    fn windows<'b>(
        &'b self,
        rules: &'b Rules,
        label: impl Fn(&str) -> Cow<'b, str> + Copy,
    ) -> impl Iterator<Item = (&'b str, Timestamp)> {
        let planned = self.state.planned_work().map(|(work, matchers)| (&work.window, matchers));
        rules.maintenance().chain(planned).filter_map(move |(window, matchers)| {
            let (_, until) = window.when.active(self.at)?;
            matchers.matches(label).then_some((window.name.as_str(), until))
        })
    }

    /// The maintenance that would hold an alert of this rule about a pipeline back now: the window that ends last.
    pub(super) fn maintenance_of(
        &self,
        rules: &Rules,
        pipeline: &Pipeline,
        rule: &str,
        severity: Severity,
    ) -> Option<(String, Timestamp)> {
        let owner = crate::owner::resolve(rules, &super::failure::pipeline_subject(pipeline)).team;
        let alert = Alert {
            key: AlertKey { pipeline: pipeline.key.clone(), rule: rule.into(), subject: "".into() },
            incident: None,
            streak: 0,
            severity,
            since: self.at,
            last: self.at,
            run: None,
            summary: "".into(),
            successes: 0,
            healed_by: None,
            transient: None,
            labels: BTreeMap::new(),
        };
        let last = self.windows(rules, |name| self.label(rules, &owner, &alert, name)).max_by_key(|(_, until)| *until);
        last.map(|(window, until)| (window.to_owned(), until))
    }

    /// The value of a label that matchers ask about; empty when it has none.
    fn label<'b>(&'b self, rules: &Rules, owner: &'b str, alert: &'b Alert, name: &str) -> Cow<'b, str> {
        label(rules, owner, alert, self.state.pipeline(&alert.key.pipeline), name)
    }

    /// Says why nobody is told, and keeps the escalation from moving on.
    pub(super) fn hold_back(&mut self, mut incident: Incident) {
        let why: Vec<String> = incident.suppressed_by.iter().map(Suppression::reason).collect();
        let why = why.join("; ");
        let known = self.state.incident(incident.id).is_some_and(|known| !known.suppressed_by.is_empty());
        if !known {
            self.audit("incident.suppressed", format!("#{} {why}", incident.number), Some(incident.id), None);
        }
        self.follows(format!("nobody is told of incident #{}: {why}", incident.number));
        if let Some(course) = &mut incident.course {
            course.suspend();
        }
        self.set_course_timers(&incident);
        self.state.put_incident(incident);
    }

    /// Looks anew at what holds one incident back.
    pub(super) fn review(&mut self, rules: &Rules, id: IncidentId) {
        let Some(incident) = self.state.incident(id).filter(|incident| incident.is_open()) else {
            return;
        };
        let holds = self.holds(rules, incident);
        if holds == incident.suppressed_by {
            return;
        }
        let mut incident = incident.clone();
        self.concerns(id);
        if !holds.is_empty() {
            incident.suppressed_by = holds;
            self.hold_back(incident);
            return;
        }
        let over: Vec<String> = incident.suppressed_by.iter().map(Suppression::reason).collect();
        incident.suppressed_by.clear();
        self.audit("incident.released", format!("#{} no longer {}", incident.number, over.join("; ")), Some(id), None);
        self.follows(format!("incident #{} is told from now on", incident.number));
        self.release(rules, incident);
    }

    /// Nothing holds an incident back any more.
    fn release(&mut self, rules: &Rules, mut incident: Incident) {
        if incident.state == IncidentState::Triggered {
            let summary = incident.title.to_string();
            let notice = self.notice(rules, &incident, summary, self.at, Context::default());
            let list = whom(rules, &incident, None);
            self.tell_list(rules, &mut incident, list, &notice, false);
        }
        match incident.course.as_mut().filter(|course| course.is_suspended()) {
            Some(course) => course.restart(self.at),
            None => self.begin_course_of(rules, &mut incident),
        }
        self.set_course_timers(&incident);
        self.state.put_incident(incident);
    }

    /// Looks anew at all open incidents: what is planned or ruled has changed.
    pub(super) fn review_all(&mut self) {
        let Some(rules) = self.rules() else {
            return;
        };
        let mut open: Vec<(u64, IncidentId)> =
            self.state.open_incidents().map(|incident| (incident.number, incident.id)).collect();
        // In the order in which they opened, so that messages come in it too.
        open.sort_unstable();
        for (_, id) in open {
            self.review(&rules, id);
        }
    }

    /// Notes an alert that makes messages about others needless, and holds those back.
    pub(super) fn inhibits(&mut self, rules: &Rules, key: &AlertKey) {
        let Some(alert) = self.state.alert(key).filter(|_| !rules.inhibitions().is_empty()).cloned() else {
            return;
        };
        if self.note_inhibitor(rules, &alert) {
            self.review_all();
        }
    }

    /// Notes what an alert inhibits as it is now; true when something else may be held back than before.
    fn note_inhibitor(&mut self, rules: &Rules, alert: &Alert) -> bool {
        let Some(incident) = alert.incident.and_then(|id| self.state.incident(id)) else {
            return false;
        };
        let label = |name: &str| self.label(rules, &incident.owner, alert, name);
        let inhibits =
            rules.inhibitions().iter().enumerate().filter(|(_, inhibition)| inhibition.source.matches(label));
        let inhibits = inhibits
            .map(|(place, inhibition)| (place, inhibition.equal.iter().map(|name| label(name).into_owned()).collect()))
            .collect();
        self.state.put_inhibitor(&alert.key, inhibits)
    }

    /// Fills the index of inhibiting alerts after a start or a change of rules, so that it is there whenever something
    /// asks what holds an incident back.
    pub(super) fn index_inhibitors(&mut self, rules: &Rules) {
        if rules.inhibitions().is_empty() || self.state.inhibitors_known() {
            return;
        }
        self.state.begin_inhibitors();
        let alerts: Vec<Alert> =
            self.state.open_incidents().flat_map(|incident| self.state.alerts_in(incident)).cloned().collect();
        for alert in &alerts {
            self.note_inhibitor(rules, alert);
        }
    }

    /// An alert is over: what it held back is looked at anew.
    pub(super) fn no_longer_inhibits(&mut self, key: &AlertKey) {
        let held = self.state.drop_inhibitor(key) || super::scope::is_scope(key);
        if held {
            self.review_all();
        }
    }
}

impl Suppression {
    /// For people: "in maintenance `night work` until …".
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Maintenance { window, until } => format!("in maintenance `{window}` until {until}"),
            Self::Silence { until, .. } => format!("silenced until {until}"),
            Self::Inhibition { name, .. } => format!("inhibited by `{name}`"),
            Self::Storm { .. } => "told as part of a storm".to_owned(),
        }
    }
}
