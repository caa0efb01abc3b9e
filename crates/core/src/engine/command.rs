//! People, rule changes, and outcomes of deliveries.

use super::incident::Context;
use super::turn::Turn;
use crate::decision::AuditDetail;
use crate::effect::Action;
use crate::event::Severity;
use crate::ids::IncidentId;
use crate::incident::course::Course;
use crate::incident::{Alert, AlertKey, Incident, IncidentState};
use crate::input::{Command, DeliveryResult, Outcome};
use crate::limits;
use crate::notice::{Notice, OwnerView};
use crate::rules::Rules;
use crate::ruleset::people::{Policy, Step, Target};
use crate::ruleset::{Ruleset, Span};
use std::sync::Arc;

impl Turn<'_> {
    /// Carries out what a caller asks for, or refuses it in the audit.
    pub(super) fn on_command(&mut self, command: &Command) {
        let who = self.who();
        match command {
            Command::SendTest { connection } => self.send_test(connection),
            Command::Note { incident, text } => {
                self.means(format!("{who} notes"));
                self.concerns(*incident);
                self.audit("incident.noted", text.clone(), Some(*incident), None);
            }
            Command::Acknowledge { incident } => {
                self.means(format!("{who} acknowledges"));
                self.acknowledge(*incident, &who);
            }
            Command::Unacknowledge { incident } => {
                self.means(format!("{who} gives it back"));
                self.with_open(*incident, "unacknowledge", |turn, incident| turn.unacknowledge(incident, &who));
            }
            Command::Snooze { incident, length } => {
                self.means(format!("{who} puts it off"));
                self.with_open(*incident, "snooze", |turn, incident| turn.snooze(incident, &who, *length));
            }
            Command::Escalate { incident } => {
                self.means(format!("{who} escalates"));
                self.with_open(*incident, "escalate", |turn, incident| turn.escalate(incident, &who));
            }
            Command::Reassign { incident, to } => {
                self.means(format!("{who} gives it to {to}"));
                self.with_open(*incident, "reassign", |turn, incident| turn.reassign(incident, &who, to));
            }
            Command::Merge { incident, into } => {
                self.means(format!("{who} merges it into another"));
                self.with_open(*incident, "merge", |turn, incident| turn.merge(&incident, &who, *into));
            }
            Command::Resolve { incident } => {
                self.means(format!("{who} resolves"));
                self.with_open(*incident, "resolve", |turn, incident| {
                    turn.resolve(incident, &format!("resolved by {who}"), &Context::default());
                });
            }
        }
    }

    /// The person behind the caller, by any of their names.
    fn who(&self) -> String {
        let subject = &self.caller.subject;
        let known = self.rules().and_then(|rules| rules.person(subject).map(str::to_owned));
        known.unwrap_or_else(|| subject.clone())
    }

    fn with_open(&mut self, id: IncidentId, what: &str, act: impl FnOnce(&mut Self, Incident)) {
        self.concerns(id);
        match self.open(id) {
            Ok(incident) => act(self, incident),
            Err(why) => self.refuse(id, what, &why),
        }
    }

    /// Marks an incident as taken and tells whoever was told.
    pub(super) fn acknowledge(&mut self, id: IncidentId, who: &str) {
        let mut incident = match self.open(id) {
            Ok(incident) => incident,
            Err(why) => {
                self.refuse(id, "acknowledge", &why);
                return;
            }
        };
        self.concerns(id);
        if incident.state == IncidentState::Acknowledged {
            let by = incident.acknowledged_by.as_deref().unwrap_or("somebody");
            self.follows(format!("{by} has it already"));
            return;
        }
        incident.state = IncidentState::Acknowledged;
        incident.acknowledged_by = Some(who.to_owned());
        incident.acknowledged = Some(self.at);
        incident.snoozed_until = None;
        incident.updated = self.at;
        if let Some(course) = &mut incident.course {
            course.acknowledge(self.at);
        }
        self.set_course_timers(&incident);
        self.state.put_incident(incident.clone());
        self.audit("incident.acknowledged", format!("#{} acknowledged by {who}", incident.number), Some(id), None);
        self.follows(format!("incident #{} acknowledged", incident.number));
        self.tell_told(&incident, Action::Acknowledge, &format!("{who} has it"), &Context::default());
    }

    fn unacknowledge(&mut self, mut incident: Incident, who: &str) {
        if incident.state == IncidentState::Triggered {
            self.follows("nobody has it anyway");
            return;
        }
        self.retrigger(&mut incident);
        self.state.put_incident(incident.clone());
        let summary = format!("#{} given back by {who}", incident.number);
        self.audit("incident.unacknowledged", summary, Some(incident.id), None);
        self.follows(format!("incident #{} is open again, its escalation starts anew", incident.number));
        self.tell_told(&incident, Action::Update, &format!("{who} gave it back"), &Context::default());
    }

    fn snooze(&mut self, mut incident: Incident, who: &str, length: Span) {
        let until = self.at + length.0.min(limits::SNOOZE);
        incident.state = IncidentState::Snoozed;
        incident.snoozed_until = Some(until);
        incident.updated = self.at;
        if let Some(course) = &mut incident.course {
            course.snooze(until);
        }
        self.set_course_timers(&incident);
        self.state.put_incident(incident.clone());
        let summary = format!("#{} put off until {until} by {who}", incident.number);
        self.audit("incident.snoozed", summary, Some(incident.id), None);
        self.follows(format!("incident #{} sleeps until {until}", incident.number));
        self.tell_told(&incident, Action::Update, &format!("{who} put it off until {until}"), &Context::default());
    }

    /// Brings the next step to now; refused while somebody has it, it is put off or held back.
    fn escalate(&mut self, mut incident: Incident, who: &str) {
        let left = match &mut incident.course {
            Some(course) => {
                course.escalate(self.at);
                course.next_step().is_some()
            }
            None => false,
        };
        if !left {
            return self.refuse(incident.id, "escalate", "no step is left, or its escalation is not running");
        }
        let summary = format!("#{} escalated by {who}", incident.number);
        self.audit("incident.escalated", summary, Some(incident.id), None);
        self.follows("the next step goes now");
        self.set_course_timers(&incident);
        self.state.put_incident(incident);
    }

    /// A team becomes the owner, with its own escalation; anybody else takes the place of the first step.
    fn reassign(&mut self, mut incident: Incident, who: &str, to: &Target) {
        let Some(rules) = self.rules() else {
            return;
        };
        if let Target::Team(team) = to {
            let Some(team) = rules.team(team) else {
                self.refuse(incident.id, "reassign", &format!("there is no team `{team}`"));
                return;
            };
            incident.owner = team.into();
            incident.owner_because = format!("given to it by {who}").as_str().into();
            (incident.course, incident.state) = (None, IncidentState::Triggered);
            self.begin_course(&rules, &mut incident, None);
        } else {
            let known = incident.course.take();
            let (name, mut policy) = match &known {
                Some(course) => (course.policy_name.clone(), (*course.policy).clone()),
                None => ("given by hand".to_owned(), Policy { steps: vec![], repeat: None, ack_timeout: None }),
            };
            match policy.steps.first_mut() {
                Some(first) => *first = Step { after: Span::default(), targets: vec![to.clone()] },
                None => policy.steps.push(Step { after: Span::default(), targets: vec![to.clone()] }),
            }
            incident.course = Some(Box::new(Course::begin(&name, Arc::new(policy), self.at)));
        }
        incident.assigned = Some(to.clone());
        self.audit(
            "incident.reassigned",
            format!("#{} given to {to} by {who}", incident.number),
            Some(incident.id),
            None,
        );
        self.follows(format!("incident #{} is with {to} now", incident.number));
        // Another owner is another label: for what holds it back, and for what it holds back.
        incident.suppressed_by = self.holds(&rules, &incident);
        self.retrigger(&mut incident);
        if incident.suppressed_by.is_empty() {
            let notice = self.notice(&rules, &incident, format!("{who} gave it to {to}"), self.at, Context::default());
            let list = super::tell::whom(&rules, &incident, None);
            self.tell_list(&rules, &mut incident, list, &notice, true);
        }
        let alerts: Vec<AlertKey> = self.state.alerts_in(&incident).map(|alert| alert.key.clone()).collect();
        if incident.suppressed_by.is_empty() {
            self.state.put_incident(incident);
        } else {
            self.hold_back(incident);
        }
        for alert in &alerts {
            self.inhibits(&rules, alert);
        }
    }

    /// Its alerts go on in another incident; it ends itself.
    fn merge(&mut self, incident: &Incident, who: &str, into: IncidentId) {
        let mut target = match self.open(into) {
            Ok(target) if target.id != incident.id => target,
            Ok(_) => return self.refuse(incident.id, "merge", "it cannot be merged into itself"),
            Err(why) => return self.refuse(incident.id, "merge", &format!("the other one: {why}")),
        };
        if super::storm::is_storm(incident) {
            return self.refuse(incident.id, "merge", "it stands for other incidents; merge those");
        }
        let alerts: Vec<Alert> = self.state.alerts_in(incident).cloned().collect();
        for mut alert in alerts {
            alert.incident = Some(into);
            self.state.put_alert(alert);
        }
        target.occurrences += incident.occurrences;
        target.severity = target.severity.max(incident.severity);
        target.updated = self.at;
        let because = format!("merged into #{} by {who}", target.number);
        self.audit("incident.merged", format!("#{} {because}", incident.number), Some(incident.id), None);
        self.audit("incident.merged", format!("#{} took over #{}", target.number, incident.number), Some(into), None);
        self.state.put_incident(target);
        self.resolve(incident.clone(), &because, &Context::default());
        if let Some(mut merged) = self.state.incident(incident.id).cloned() {
            merged.parent = Some(into);
            self.state.put_incident(merged);
        }
        self.changed(into, &format!("{} was merged into it", incident.title));
    }

    /// An incident that is open, in the life that the far end spoke of.
    fn open(&self, id: IncidentId) -> Result<Incident, String> {
        let incident = self.state.incident(id).ok_or("there is no such incident")?;
        if !incident.is_open() {
            return Err("it is resolved already".to_owned());
        }
        let origin = self.origin.as_ref();
        let earlier_life = origin.and_then(|origin| origin.life).is_some_and(|life| life != incident.reopened);
        // Clocks differ, so a first life is never doubted: there is no earlier one that could have been meant.
        let said = origin.and_then(|origin| origin.occurred).filter(|_| incident.reopened > 0);
        let before = said.is_some_and(|at| at < incident.since());
        if earlier_life || before {
            return Err("it was said before the incident was opened (again)".to_owned());
        }
        Ok(incident.clone())
    }

    fn refuse(&mut self, id: IncidentId, what: &str, why: &str) {
        let known = self.state.incident(id).map(|incident| incident.id);
        self.audit("command.refused", format!("{what}: {why}"), known, None);
        self.audit_says(AuditDetail::about(format!("incident:{id}")).came_out("refused"));
        self.follows(format!("refused: {why}"));
    }

    fn send_test(&mut self, connection: &str) {
        self.means(format!("{} asks for a test of {connection}", self.caller.subject));
        let known =
            self.rules().and_then(|rules| rules.connection(connection)).is_some_and(|info| info.kind.can_tell());
        if !known {
            let why = format!("test: there is no connection `{connection}` that can be told");
            self.audit_refused("command.refused", why, Some(format!("connection:{connection}")));
            self.follows("refused: there is no such connection");
            return;
        }
        let who = self.caller.subject.clone();
        let notice = Notice::plain(
            "Test message from Trackside".to_owned(),
            format!("{who} asked for this test of connection {connection}. Nothing is wrong."),
            Severity::Info,
            self.at,
            OwnerView { team: who.clone(), because: "asked for the test".to_owned() },
        );
        let delivery = self.effect(connection, Action::Test, None, notice);
        self.audit("test.sent", format!("test of {connection} asked for by {who}"), None, Some(delivery));
        self.audit_says(AuditDetail::about(format!("connection:{connection}")));
        self.follows("a test message was queued");
    }

    /// Puts new rules in force.
    pub(super) fn on_ruleset(&mut self, ruleset: &Ruleset) {
        self.means("the rules changed");
        match Rules::new(ruleset.clone()) {
            Ok(new) => {
                let old = self.rules();
                self.state.set_rules(new.clone());
                self.index_inhibitors(&new);
                self.watch_everything(old.as_deref(), &new);
                self.plan_everything(&new);
                self.scopes_after_rules(old.as_deref(), &new);
                self.start_waiting_jobs();
                let summary = format!("{} rules, {} teams in force", ruleset.rules.len(), ruleset.teams.len());
                let before = old.as_ref().map(|old| old.source());
                let detail = AuditDetail::about("configuration").changing(before, Some(ruleset));
                self.audit_about("rules.changed", summary, detail);
            }
            // An invalid set never replaces a valid one; the shell checks before it writes to the log.
            Err(error) => {
                let why = format!("rules not changed: {error}");
                self.audit_refused("command.refused", why, Some("configuration".to_owned()));
                self.follows(format!("refused: {error}"));
            }
        }
    }

    /// Records how a delivery ended; a problem that could not be told is told another way.
    pub(super) fn on_outcome(&mut self, outcome: &Outcome) {
        let what = format!("{} via {}", outcome.action.as_str(), outcome.connection);
        let attempts = outcome.attempts;
        let (action, summary) = match &outcome.result {
            DeliveryResult::Delivered => ("delivery.delivered", format!("{what} arrived, attempt {attempts}")),
            DeliveryResult::Dead { error } => {
                ("delivery.dead", format!("{what} given up after {attempts} attempts: {error}"))
            }
            DeliveryResult::Superseded { why } => ("delivery.superseded", format!("{what} not needed any more: {why}")),
        };
        match &outcome.job {
            // Messages belong to incidents, calls to runs.
            Some(job) => {
                self.audit_run(job.run, action, &*summary, Some(outcome.delivery), about_delivery(outcome));
            }
            None => {
                self.audit(action, &*summary, outcome.incident, Some(outcome.delivery));
                self.audit_says(about_delivery(outcome));
            }
        }
        self.emit_action_outcome(outcome);
        self.canary_ended(outcome);
        self.job_call_ended(outcome);
        if let (DeliveryResult::Dead { error }, Some(incident)) = (&outcome.result, outcome.incident)
            && matches!(outcome.action, Action::Trigger | Action::Remind | Action::Resolve)
        {
            self.means(summary);
            self.concerns(incident);
            self.tell_another_way(outcome, incident, error);
        }
    }

    fn tell_another_way(&mut self, outcome: &Outcome, id: IncidentId, error: &str) {
        let Some(rules) = self.rules() else {
            return;
        };
        let incident = self.state.incident(id).cloned();
        let owner = incident.as_ref().map_or(rules.source().owners.default.as_str(), |incident| &incident.owner);
        let ways = rules.notify(owner).iter().chain(rules.notify(&rules.source().owners.default));
        let mut ways: Vec<String> =
            ways.map(|notify| notify.via.clone()).filter(|via| *via != outcome.connection).collect();
        ways.dedup();
        let Some(way) = ways.first() else {
            self.follows(format!("team {owner} has no other way to be told"));
            return;
        };
        let title = format!("Could not {} through {}", outcome.action.as_str(), outcome.connection);
        let about = incident
            .as_ref()
            .map_or_else(|| id.to_string(), |incident| format!("#{} {}", incident.number, incident.title));
        let notice = Notice::plain(
            title,
            format!(
                "Incident {about}: the message through {} was given up after {} attempts: {error}",
                outcome.connection, outcome.attempts
            ),
            Severity::Critical,
            self.at,
            OwnerView {
                team: owner.to_owned(),
                because: format!("{} failed, this is another way to reach the team", outcome.connection),
            },
        );
        let delivery = self.effect(way, Action::Message, None, notice);
        self.audit(
            "notify.decided",
            format!("message via {way}: {} failed", outcome.connection),
            Some(id),
            Some(delivery),
        );
        self.follows(format!("team {owner} is told through {way} instead"));
    }
}

/// What the audit row about the end of a delivery says of it.
fn about_delivery(outcome: &Outcome) -> AuditDetail {
    let detail = AuditDetail::about(format!("connection:{}", outcome.connection));
    match outcome.result {
        DeliveryResult::Dead { .. } => detail.came_out("failed"),
        DeliveryResult::Delivered | DeliveryResult::Superseded { .. } => detail,
    }
}
