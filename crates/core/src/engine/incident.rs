//! Incidents: open, collect, resolve, and tell whom it concerns.
//!
//! Invariants: one open incident per (owner, pipeline), and per run; an incident is resolved when its last alert is
//! cleared; whoever was told of the problem is told of its end; a team without a way to be told falls back to the default
//! team, so that a problem never reaches nobody.

use super::turn::Turn;
use crate::decision::{OwnerTrail, Verdict};
use crate::effect::Action;
use crate::event::{Link, Severity};
use crate::ids::{IncidentId, derive};
use crate::incident::{Alert, AlertKey, Incident, IncidentState};
use crate::limits;
use crate::notice::{AlertView, IncidentView, Notice, OwnerView, PipelineView, RunView};
use crate::rules::Rules;
use crate::ruleset::Updates;
use crate::run::{Name, PipelineKey};
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
enum Stage {
    Opened,
    Joined,
    Repeated,
}

impl Turn<'_> {
    /// Counts a failure for an alert and fires it when the threshold is met.
    pub(super) fn fire(&mut self, rules: &Rules, firing: &Firing) -> Verdict {
        let previous = self.state.alert(&firing.key).cloned();
        let streak = previous.as_ref().map_or(0, |alert| alert.streak) + 1;
        let mut alert = Alert {
            key: firing.key.clone(),
            incident: previous.as_ref().and_then(|alert| alert.incident),
            streak,
            severity: firing.severity,
            since: previous.as_ref().map_or(firing.occurred, |alert| alert.since),
            last: previous.as_ref().map_or(firing.occurred, |alert| alert.last.max(firing.occurred)),
            run: firing.run_name.clone(),
            summary: excerpt(&firing.summary).into(),
        };
        if alert.incident.is_none() && streak < firing.threshold {
            self.state.put_alert(alert);
            self.follows(format!("counted: {streak} of {} in a row", firing.threshold));
            return Verdict::Counting;
        }
        let (mut incident, stage) = self.incident_for(firing, &alert);
        let same_run = firing.run_name.is_some() && self.firing_in(&incident).any(|other| other.run == firing.run_name);
        if !matches!(stage, Stage::Opened) && !same_run {
            incident.occurrences += 1;
        }
        let raised = firing.severity > incident.severity;
        incident.severity = incident.severity.max(firing.severity);
        incident.title = firing.title.as_str().into();
        incident.updated = self.at;
        alert.incident = Some(incident.id);
        if matches!(stage, Stage::Opened) || previous.is_none_or(|alert| alert.incident.is_none()) {
            alert.since = firing.occurred;
            self.audit("alert.fired", format!("Rule {}: {}", alert.key.rule, firing.summary), Some(incident.id), None);
        }
        self.concerns(incident.id);
        self.state.put_alert(alert);
        self.state.put_incident(incident.clone());
        match stage {
            Stage::Opened => self.follows(format!("incident #{} opened for team {}", incident.number, incident.owner)),
            Stage::Joined => self.follows(format!("collected into incident #{}, which is open", incident.number)),
            Stage::Repeated => {
                self.follows(format!("again: incident #{} is open since {}", incident.number, incident.opened));
            }
        }
        self.tell_open(rules, incident, firing, raised);
        Verdict::Fires
    }

    fn incident_for(&mut self, firing: &Firing, alert: &Alert) -> (Incident, Stage) {
        if let Some(incident) = alert.incident.and_then(|id| self.state.incident(id)) {
            return (incident.clone(), Stage::Repeated);
        }
        if let Some(incident) = self.open_incident(firing) {
            return (incident, Stage::Joined);
        }
        let number = self.state.next_incident_number();
        let id = IncidentId(derive(
            "incident",
            &[&self.state.workspace, &self.seq.to_string(), &firing.key.rule, &firing.key.subject],
        ));
        let incident = Incident {
            id,
            number,
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
        };
        let summary = format!("#{number} {}; owner {}: {}", firing.title, incident.owner, incident.owner_because);
        self.audit("incident.opened", summary, Some(id), None);
        (incident, Stage::Opened)
    }

    /// The open incident of the same pipeline that has the same owner or was shown by the same run.
    fn open_incident(&self, firing: &Firing) -> Option<Incident> {
        let candidates = || {
            self.state.alerts_of(&firing.key.pipeline).filter_map(|alert| {
                let incident = self.state.incident(alert.incident?)?;
                (incident.state != IncidentState::Resolved).then_some((alert, incident))
            })
        };
        let same_run = candidates().find(|(alert, _)| firing.run_name.is_some() && alert.run == firing.run_name);
        same_run
            .or_else(|| candidates().find(|(_, incident)| *incident.owner == *firing.owner.team))
            .map(|(_, incident)| incident.clone())
    }

    /// The alerts that fire in an incident.
    pub(super) fn firing_in(&self, incident: &Incident) -> impl Iterator<Item = &Alert> {
        let id = incident.id;
        self.state.alerts_of(&incident.pipeline).filter(move |alert| alert.incident == Some(id))
    }

    /// Tells new connections of the problem, and those told before of the change where that makes sense.
    fn tell_open(&mut self, rules: &Rules, mut incident: Incident, firing: &Firing, raised: bool) {
        let notice = self.notice(rules, &incident, firing.summary.clone(), firing.occurred, firing.context.clone());
        let list = whom(rules, &incident, firing.context.avoid.as_deref());
        if list.is_empty() && incident.told.is_empty() {
            let severity = incident.severity.as_str();
            self.follows(format!("nobody is told: team {} has no connection for severity {severity}", incident.owner));
        }
        for (connection, because) in list {
            let told = incident.told.iter().any(|told| **told == *connection);
            let updates = rules.connection(&connection).map(|info| info.updates);
            let action = match (told, updates) {
                (false, _) => Action::Trigger,
                (true, Some(Updates::Every)) => Action::Update,
                (true, Some(Updates::Raised)) if raised => Action::Update,
                (true, _) => continue,
            };
            if !told {
                incident.told.push(connection.as_str().into());
            }
            self.send(&connection, action, &incident, &because, notice.clone());
        }
        self.state.put_incident(incident);
    }

    fn send(&mut self, connection: &str, action: Action, incident: &Incident, because: &str, notice: Notice) {
        let delivery = self.effect(connection, action, Some(incident.id), notice);
        let summary = format!("{} via {connection}: {because}", action.as_str());
        self.audit("notify.decided", summary, Some(incident.id), Some(delivery));
    }

    /// Clears an alert; the incident is resolved with its last one.
    pub(super) fn clear(&mut self, key: &AlertKey, because: &str, context: &Context) {
        let Some(alert) = self.state.remove_alert(key) else {
            return;
        };
        let Some(incident) = alert.incident.and_then(|id| self.state.incident(id)).cloned() else {
            return;
        };
        self.concerns(incident.id);
        self.audit("alert.cleared", format!("Rule {}: {because}", key.rule), Some(incident.id), None);
        if self.firing_in(&incident).next().is_none() {
            self.resolve(incident, because, context);
        } else {
            self.follows(format!("one alert of incident #{} is over, others are not", incident.number));
        }
    }

    /// Ends an incident and tells whoever was told.
    pub(super) fn resolve(&mut self, mut incident: Incident, because: &str, context: &Context) {
        let left: Vec<AlertKey> = self.firing_in(&incident).map(|alert| alert.key.clone()).collect();
        for key in left {
            self.state.remove_alert(&key);
        }
        incident.state = IncidentState::Resolved;
        incident.resolved = Some(self.at);
        incident.updated = self.at;
        self.state.put_incident(incident.clone());
        self.audit("incident.resolved", format!("#{} {because}", incident.number), Some(incident.id), None);
        self.follows(format!("incident #{} resolved", incident.number));
        self.concerns(incident.id);
        if let Some(rules) = self.rules() {
            self.tell_all(&rules, &incident, Action::Resolve, because, context);
        }
    }

    /// Tells everybody who was told before.
    pub(super) fn tell_all(
        &mut self,
        rules: &Rules,
        incident: &Incident,
        action: Action,
        summary: &str,
        context: &Context,
    ) {
        let notice = self.notice(rules, incident, summary.to_owned(), self.at, context.clone());
        for connection in &incident.told {
            if rules.connection(connection).is_some() {
                self.send(connection, action, incident, "it was told of the problem", notice.clone());
            }
        }
    }

    /// The message about an incident.
    pub(super) fn notice(
        &self,
        rules: &Rules,
        incident: &Incident,
        summary: String,
        at: Timestamp,
        context: Context,
    ) -> Notice {
        let firing: Vec<AlertView> = self.firing_in(incident).map(alert_view).collect();
        let more_alerts = firing.len().saturating_sub(limits::ALERTS_IN_NOTICE);
        let mut links = context.links;
        if let Some(base) = &rules.source().public_url {
            links.push(Link { text: "Open in Trackside".into(), href: format!("{base}/incidents/{}", incident.id) });
        }
        Notice {
            title: incident.title.to_string(),
            summary,
            severity: incident.severity,
            at,
            incident: Some(IncidentView {
                id: incident.id,
                number: incident.number,
                state: incident.state.as_str().to_owned(),
                opened: incident.opened,
                resolved: incident.resolved,
                acknowledged_by: incident.acknowledged_by.clone(),
                occurrences: incident.occurrences,
            }),
            pipeline: context.pipeline.or_else(|| self.pipeline_view(rules, &incident.pipeline)),
            run: context.run,
            alerts: firing.into_iter().take(limits::ALERTS_IN_NOTICE).collect(),
            more_alerts,
            links,
            details: context.details,
            owner: OwnerView { team: incident.owner.to_string(), because: incident.owner_because.to_string() },
            passthrough: None,
        }
    }

    /// What is known of a pipeline, for a message.
    pub(super) fn pipeline_view(&self, rules: &Rules, key: &PipelineKey) -> Option<PipelineView> {
        let pipeline = self.state.pipeline(key)?;
        let subject = super::failure::pipeline_subject(pipeline);
        Some(PipelineView {
            source: key.source.to_string(),
            name: key.name.to_string(),
            system: pipeline.system.title().to_owned(),
            tier: rules.tier(&subject),
            tags: pipeline.tags.clone(),
            runbook: rules.entry(&subject, |entry| entry.runbook.clone()).or_else(|| pipeline.doc.clone()),
            last_success: pipeline.last_success,
            streak: pipeline.streak,
            mean_duration_s: pipeline.mean_duration_s(),
        })
    }
}

fn alert_view(alert: &Alert) -> AlertView {
    AlertView {
        rule: alert.key.rule.to_string(),
        subject: alert.key.subject.to_string(),
        summary: alert.summary.to_string(),
        since: alert.since,
    }
}

/// Connections to tell, each once, with the reason.
fn whom(rules: &Rules, incident: &Incident, avoid: Option<&str>) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let mut team: &str = &incident.owner;
    if rules.notify(team).is_empty() {
        team = &rules.source().owners.default;
    }
    for notify in rules.notify(team) {
        let known = list.iter().any(|(via, _)| *via == notify.via);
        if incident.severity < notify.min_severity || known || Some(notify.via.as_str()) == avoid {
            continue;
        }
        let because = if *team == *incident.owner {
            format!("team {team} is told of {} and above", notify.min_severity.as_str())
        } else {
            format!("team {} has no way to be told; {team} is the default owner", incident.owner)
        };
        list.push((notify.via.clone(), because));
    }
    if let (Some(avoid), true) = (avoid, list.is_empty()) {
        list.extend(another_way(rules, avoid));
    }
    list
}

/// Any connection that can be told through, when the usual one is the trouble.
fn another_way(rules: &Rules, avoid: &str) -> Option<(String, String)> {
    let mut names = rules.source().connections.iter();
    let (name, _) = names.find(|(name, info)| info.kind.can_tell() && *name != avoid)?;
    Some((name.clone(), format!("{avoid} is the trouble, and nothing else reaches the team")))
}

/// At most `limits::EXCERPT_BYTES`, cut at a character.
pub(super) fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(limits::EXCERPT_BYTES)]
}
