//! People, rule changes, and outcomes of deliveries.

use super::incident::Context;
use super::turn::Turn;
use crate::effect::Action;
use crate::event::Severity;
use crate::ids::IncidentId;
use crate::incident::{Incident, IncidentState};
use crate::input::{Command, DeliveryResult, Outcome};
use crate::notice::{Notice, OwnerView};
use crate::rules::Rules;
use crate::ruleset::Ruleset;

impl Turn<'_> {
    /// Carries out what a caller asks for, or refuses it in the audit.
    pub(super) fn on_command(&mut self, command: &Command) {
        let who = self.caller.subject.clone();
        match command {
            Command::Acknowledge { incident } => {
                self.means(format!("{who} acknowledges"));
                self.acknowledge(*incident, &who);
            }
            Command::Resolve { incident } => {
                self.means(format!("{who} resolves"));
                match self.open(*incident) {
                    Some(incident) => {
                        self.resolve(incident, &format!("resolved by {who}"), &Context::default());
                    }
                    None => self.refuse(*incident, "resolve"),
                }
            }
            Command::Note { incident, text } => {
                self.means(format!("{who} notes"));
                self.concerns(*incident);
                self.audit("incident.noted", text.clone(), Some(*incident), None);
            }
            Command::SendTest { connection } => self.send_test(connection),
        }
    }

    /// Marks an incident as taken and tells whoever was told.
    pub(super) fn acknowledge(&mut self, id: IncidentId, who: &str) {
        let Some(mut incident) = self.open(id) else {
            self.refuse(id, "acknowledge");
            return;
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
        incident.updated = self.at;
        self.state.put_incident(incident.clone());
        self.audit("incident.acknowledged", format!("#{} acknowledged by {who}", incident.number), Some(id), None);
        self.follows(format!("incident #{} acknowledged", incident.number));
        if let Some(rules) = self.rules() {
            self.tell_all(&rules, &incident, Action::Acknowledge, &format!("{who} has it"), &Context::default());
        }
    }

    fn open(&self, id: IncidentId) -> Option<Incident> {
        self.state.incident(id).filter(|incident| incident.state != IncidentState::Resolved).cloned()
    }

    fn refuse(&mut self, id: IncidentId, what: &str) {
        let why = match self.state.incident(id) {
            Some(_) => "it is resolved already",
            None => "there is no such incident",
        };
        self.audit("command.refused", format!("{what}: {why}"), self.state.incident(id).map(|i| i.id), None);
        self.follows(format!("refused: {why}"));
    }

    fn send_test(&mut self, connection: &str) {
        self.means(format!("{} asks for a test of {connection}", self.caller.subject));
        let known =
            self.rules().and_then(|rules| rules.connection(connection)).is_some_and(|info| info.kind.can_tell());
        if !known {
            self.audit(
                "command.refused",
                format!("test: there is no connection `{connection}` that can be told"),
                None,
                None,
            );
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
        self.follows("a test message was queued");
    }

    /// Puts new rules in force.
    pub(super) fn on_ruleset(&mut self, ruleset: &Ruleset) {
        self.means("the rules changed");
        match Rules::new(ruleset.clone()) {
            Ok(new) => {
                let old = self.rules();
                self.state.set_rules(new.clone());
                self.watch_everything(old.as_deref(), &new);
                let summary = format!("{} rules, {} teams in force", ruleset.rules.len(), ruleset.teams.len());
                self.audit("rules.changed", summary, None, None);
            }
            // An invalid set never replaces a valid one; the shell checks before it writes to the log.
            Err(error) => {
                self.audit("command.refused", format!("rules not changed: {error}"), None, None);
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
        self.audit(action, summary.clone(), outcome.incident, Some(outcome.delivery));
        self.emit_action_outcome(outcome);
        if let (DeliveryResult::Dead { error }, Some(incident)) = (&outcome.result, outcome.incident)
            && matches!(outcome.action, Action::Trigger | Action::Resolve)
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
