//! Whom an incident is told to at once, and how often its changes are.
//!
//! Invariants: the first alert is told at once, changes at most once per interval, a higher severity and the end at
//! once; whoever was told of the problem is told of its end; a team without a way to be told falls back to the default
//! team, so that a problem never reaches nobody; nothing is said twice in one turn through one channel.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::effect::Action;
use crate::event::Link;
use crate::ids::{DeliveryId, IncidentId};
use crate::incident::{Alert, Incident, IncidentState, Told};
use crate::limits;
use crate::notice::{AlertView, IncidentView, Notice, OwnerView, PipelineView};
use crate::rules::Rules;
use crate::ruleset::{ConnectionKind, Notify, Updates};
use crate::run::PipelineKey;
use crate::timer::TimerKey;
use jiff::Timestamp;

impl Turn<'_> {
    /// Tells of an alert that fires, or holds back because of maintenance, a silence or another problem.
    pub(super) fn tell_or_hold(&mut self, rules: &Rules, mut incident: Incident, firing: &Firing, raised: bool) {
        incident.suppressed_by = self.holds(rules, &incident);
        if !incident.suppressed_by.is_empty() {
            // The policy is the one of now, also if the first page comes much later. A storm's members have none.
            if incident.parent.is_none() {
                self.begin_course(rules, &mut incident, Some(&firing.key.rule));
            }
            self.hold_back(incident);
            return;
        }
        let notice = self.notice(rules, &incident, firing.summary.clone(), firing.occurred, firing.context.clone());
        let list = whom(rules, &incident, firing.context.avoid.as_deref());
        if list.is_empty() && incident.told.is_empty() {
            let severity = incident.severity.as_str();
            self.follows(format!("nobody is told: team {} has no connection for severity {severity}", incident.owner));
        }
        self.tell_list(rules, &mut incident, list, &notice, raised);
        self.begin_course(rules, &mut incident, Some(&firing.key.rule));
        self.state.put_incident(incident);
    }

    /// Tells connections that do not know yet, and those that do of the change, when that is not too soon.
    pub(super) fn tell_list(
        &mut self,
        rules: &Rules,
        incident: &mut Incident,
        list: Vec<(String, String)>,
        notice: &Notice,
        raised: bool,
    ) {
        let mut updates = Vec::new();
        for (via, because) in list {
            if !incident.told.iter().any(|told| *told.via == *via && told.to.is_none()) {
                self.tell(incident, &via, None, &because, notice.clone());
                incident.told_at.get_or_insert(self.at);
                continue;
            }
            match rules.connection(&via).map(|info| info.updates) {
                Some(Updates::Every) => updates.push((via, because)),
                Some(Updates::Raised) if raised => updates.push((via, because)),
                _ => {}
            }
        }
        if updates.is_empty() {
            return;
        }
        let interval = rules.source().incidents.update_interval.0;
        let may_from = incident.told_at.map_or(self.at, |told| told + interval);
        if raised || self.at >= may_from {
            self.send_updates(incident, updates, notice);
        } else {
            self.state.set_timer(TimerKey::Regroup { incident: incident.id }, may_from);
            self.follows(format!("told with the next update, at {may_from}"));
        }
    }

    fn send_updates(&mut self, incident: &mut Incident, updates: Vec<(String, String)>, notice: &Notice) {
        incident.told_at = Some(self.at);
        self.state.clear_timer(&TimerKey::Regroup { incident: incident.id });
        for (via, because) in updates {
            self.send(incident, &via, None, Action::Update, &because, notice.clone());
        }
    }

    /// Something about an incident changed that is told with the next update.
    pub(super) fn changed(&mut self, incident: IncidentId, summary: &str) {
        self.changed.insert(incident, summary.to_owned());
    }

    /// Tells of what changed in this turn and is not over, or sets the timer for it.
    pub(super) fn tell_changes(&mut self) {
        let Some(rules) = self.rules() else {
            return;
        };
        for (id, summary) in std::mem::take(&mut self.changed) {
            let Some(mut incident) = self.state.incident(id).filter(|incident| incident.is_open()).cloned() else {
                continue;
            };
            if incident.told.is_empty() || !incident.suppressed_by.is_empty() {
                continue;
            }
            let notice = self.notice(&rules, &incident, summary, self.at, Context::default());
            let list = told_of(&incident);
            self.tell_list(&rules, &mut incident, list, &notice, false);
            self.state.put_incident(incident);
        }
    }

    /// The interval between updates is over: tells how things stand now.
    pub(super) fn update_due(&mut self, id: IncidentId) {
        let (Some(rules), Some(mut incident)) = (self.rules(), self.state.incident(id).cloned()) else {
            return;
        };
        if !incident.is_open() || !incident.suppressed_by.is_empty() {
            return;
        }
        self.means(format!("incident #{} changed since it was told", incident.number));
        self.concerns(id);
        let (summary, _) = self.latest(&incident);
        let notice = self.notice(&rules, &incident, summary, self.at, Context::default());
        let every =
            |(via, _): &(String, String)| rules.connection(via).is_some_and(|info| info.updates == Updates::Every);
        let updates: Vec<_> = told_of(&incident).into_iter().filter(every).collect();
        self.send_updates(&mut incident, updates, &notice);
        self.state.put_incident(incident);
    }

    /// Tells one address of a problem: for the first time, or again and loudly. Once per turn.
    pub(super) fn tell(
        &mut self,
        incident: &mut Incident,
        via: &str,
        to: Option<&str>,
        because: &str,
        notice: Notice,
    ) -> DeliveryId {
        let told = Told { via: via.into(), to: to.map(Into::into) };
        if let Some(delivery) = self.told_now.get(&(incident.id, told.clone())) {
            return *delivery;
        }
        let action = if incident.told.contains(&told) { Action::Remind } else { Action::Trigger };
        let delivery = self.send(incident, via, to, action, because, notice);
        self.told_now.insert((incident.id, told.clone()), delivery);
        if action == Action::Trigger {
            incident.told.push(told);
        }
        delivery
    }

    fn send(
        &mut self,
        incident: &Incident,
        via: &str,
        to: Option<&str>,
        action: Action,
        because: &str,
        notice: Notice,
    ) -> DeliveryId {
        let delivery = self.effect_to(via, to, action, Some(incident.id), notice);
        let summary = format!("{} via {via}: {because}", action.as_str());
        self.audit("notify.decided", summary, Some(incident.id), Some(delivery));
        delivery
    }

    /// Tells everybody who was told before, except where it was said. A chat is told all the same: its message is
    /// edited in place, and that is how it shows who has it.
    pub(super) fn tell_told(&mut self, incident: &Incident, action: Action, summary: &str, context: &Context) {
        let Some(rules) = self.rules() else {
            return;
        };
        let notice = self.notice(&rules, incident, summary.to_owned(), self.at, context.clone());
        for told in &incident.told {
            let Some(info) = rules.connection(&told.via) else {
                continue;
            };
            let said_there = self
                .origin
                .as_ref()
                .is_some_and(|origin| *origin.connection == *told.via && origin.to.as_deref() == told.to.as_deref());
            if said_there && info.kind != ConnectionKind::Slack {
                continue;
            }
            self.send(incident, &told.via, told.to.as_deref(), action, "it was told of the problem", notice.clone());
        }
    }

    /// What happened last in an incident, and when.
    pub(super) fn latest(&self, incident: &Incident) -> (String, Timestamp) {
        match self.state.alerts_in(incident).max_by_key(|alert| alert.last) {
            Some(alert) => (alert.summary.to_string(), alert.last),
            None => (incident.title.to_string(), incident.since()),
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
        let firing: Vec<AlertView> = self.state.alerts_in(incident).map(alert_view).collect();
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
            incident: Some(incident_view(incident)),
            pipeline: context.pipeline.or_else(|| self.pipeline_view(rules, &incident.pipeline)),
            run: context.run,
            alerts: firing.into_iter().take(limits::ALERTS_IN_NOTICE).collect(),
            more_alerts,
            links,
            details: context.details,
            owner: OwnerView { team: incident.owner.to_string(), because: incident.owner_because.to_string() },
            approval: None,
            page: None,
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

fn incident_view(incident: &Incident) -> IncidentView {
    let affected = incident.affected.iter().map(|affected| affected.pipeline.name.to_string());
    IncidentView {
        id: incident.id,
        number: incident.number,
        state: incident.state.as_str().to_owned(),
        opened: incident.opened,
        resolved: incident.resolved,
        acknowledged_by: incident.acknowledged_by.clone(),
        occurrences: incident.occurrences,
        reopened: incident.reopened,
        snoozed_until: incident.snoozed_until.filter(|_| incident.state == IncidentState::Snoozed),
        affected: affected.take(limits::ALERTS_IN_NOTICE).collect(),
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

pub(super) fn told_of(incident: &Incident) -> Vec<(String, String)> {
    let own = incident.told.iter().filter(|told| told.to.is_none());
    own.map(|told| (told.via.to_string(), "it was told of the problem".to_owned())).collect()
}

/// Connections to tell, each once, with the reason.
pub(super) fn whom(rules: &Rules, incident: &Incident, avoid: Option<&str>) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let mut team: &str = &incident.owner;
    if rules.notify(team).is_empty() {
        team = &rules.source().owners.default;
    }
    for notify in rules.notify(team) {
        let known = list.iter().any(|(via, _)| *via == notify.via);
        if !concerns(notify, incident) || known || Some(notify.via.as_str()) == avoid {
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

fn concerns(notify: &Notify, incident: &Incident) -> bool {
    incident.severity >= notify.min_severity && notify.max_severity.is_none_or(|most| incident.severity <= most)
}

/// Any connection that can be told through, when the usual one is the trouble.
fn another_way(rules: &Rules, avoid: &str) -> Option<(String, String)> {
    let mut names = rules.source().connections.iter();
    let (name, _) = names.find(|(name, info)| info.kind.can_tell() && *name != avoid)?;
    Some((name.clone(), format!("{avoid} is the trouble, and nothing else reaches the team")))
}
