//! Other systems' alerts and messages: carried to their owner, not judged.
//!
//! A report's identity is (source, its own key): each key is one alert and one incident, as its sender expects.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::{OwnerTrail, Verdict};
use crate::effect::Action;
use crate::event::{Event, Message, Report, ReportAction, Severity};
use crate::incident::AlertKey;
use crate::notice::{Notice, OwnerView};
use crate::owner;
use crate::rules::{Rules, Subject};
use crate::ruleset::{Condition, ConnectionKind, Notify};
use crate::run::PipelineKey;
use crate::timer::TimerKey;

impl Turn<'_> {
    /// Follows a report.
    pub(super) fn on_report(&mut self, event: &Event, report: &Report) {
        let key = PipelineKey { source: event.source.as_str().into(), name: report.key.as_str().into() };
        self.means(format!("report `{}`: {}", report.key, action_word(report.action)));
        match report.action {
            ReportAction::Trigger => self.report_triggered(event, report, &key),
            ReportAction::Acknowledge => self.report_acknowledged(event, &key),
            ReportAction::Resolve => self.report_resolved(event, &key),
        }
    }

    fn report_triggered(&mut self, event: &Event, report: &Report, key: &PipelineKey) {
        let Some(rules) = self.rules() else {
            self.follows("no rules are in force yet");
            return;
        };
        let name = report.component.as_deref().unwrap_or(&report.key);
        let subject = Subject { source: &event.source, pipeline: name, task: "", tags: &[], owners: &report.owners };
        let owner = owner::resolve(&rules, &subject);
        self.owned_by(&owner);
        let tier = rules.tier(&subject);
        let mut any = false;
        for (matcher, rule) in rules.rules() {
            if rule.when != Condition::Reported {
                self.verdict(&rule.name, Verdict::Passes, "it does not watch for reports");
                continue;
            }
            if let Some(clause) = matcher.mismatch(&subject, tier, Some(&owner.team)) {
                self.verdict(&rule.name, Verdict::Passes, clause);
                continue;
            }
            any = true;
            let alert = AlertKey { pipeline: key.clone(), rule: rule.name.as_str().into(), subject: "".into() };
            let severity = rule.severity.unwrap_or(report.severity);
            let verdict = self.carry(&rules, event, report, alert, severity, &owner);
            self.verdict(&rule.name, verdict, "it carries every report it matches");
        }
        if !any {
            self.follows("no rule carries this report: nobody is told");
        }
    }

    /// Fires the alert of a report, unless it fires already and nothing about it changed (senders repeat themselves).
    fn carry(
        &mut self,
        rules: &Rules,
        event: &Event,
        report: &Report,
        alert: AlertKey,
        severity: Severity,
        owner: &OwnerTrail,
    ) -> Verdict {
        if let Some(ends) = report.ends {
            self.state.set_timer(TimerKey::ReportEnds { alert: alert.clone() }, ends.max(self.at));
        }
        let summary = super::incident::excerpt(&report.summary);
        let unchanged = self
            .state
            .alert(&alert)
            .is_some_and(|known| known.incident.is_some() && known.severity == severity && *known.summary == *summary);
        if unchanged {
            self.follows("it fires already and nothing about it changed");
            return Verdict::Fires;
        }
        let firing = Firing {
            key: alert,
            severity,
            threshold: 1,
            title: report.summary.clone(),
            summary: report.summary.clone(),
            occurred: event.occurred,
            owner: owner.clone(),
            run_name: None,
            labels: report.details.clone(),
            context: Context { links: report.links.clone(), details: report.details.clone(), ..Context::default() },
        };
        self.fire(rules, &firing)
    }

    fn report_acknowledged(&mut self, event: &Event, key: &PipelineKey) {
        let incident = self.state.alerts_of(key).find_map(|alert| alert.incident);
        match incident {
            Some(incident) => self.acknowledge(incident, &event.source),
            None => self.follows("no open incident has this key"),
        }
    }

    fn report_resolved(&mut self, event: &Event, key: &PipelineKey) {
        let alerts: Vec<AlertKey> = self.state.alerts_of(key).map(|alert| alert.key.clone()).collect();
        if alerts.is_empty() {
            self.follows("no open alert has this key");
        }
        for alert in alerts {
            self.state.clear_timer(&TimerKey::ReportEnds { alert: alert.clone() });
            self.verdict(&alert.rule, Verdict::Clears, "its sender says it is over");
            self.clear(&alert, &format!("{} says it is over", event.source), &Context::default());
        }
    }

    /// Passes a message on to the chat of the team it is for.
    pub(super) fn on_message(&mut self, event: &Event, message: &Message) {
        self.means("a message for people");
        let Some(rules) = self.rules() else {
            self.follows("no rules are in force yet");
            return;
        };
        let subject = Subject { source: &event.source, owners: &message.owners, ..Subject::default() };
        let owner = owner::resolve(&rules, &subject);
        self.owned_by(&owner);
        let connections = chats(&rules, &owner.team);
        if connections.is_empty() {
            self.follows(format!("team {} has no connection that messages could go through", owner.team));
        }
        for connection in connections {
            let owned = OwnerView { team: owner.team.clone(), because: owner.because.clone() };
            let title = super::incident::excerpt(&message.text).to_owned();
            let mut notice = Notice::plain(title, message.text.clone(), Severity::Info, event.occurred, owned);
            notice.passthrough = Some(message.clone());
            let delivery = self.effect(&connection, Action::Message, None, notice);
            self.audit("notify.decided", format!("message via {connection}: {}", owner.because), None, Some(delivery));
            self.follows(format!("passed on via {connection}"));
        }
    }
}

/// A team's chat connections, else every way it is told.
fn chats(rules: &Rules, team: &str) -> Vec<String> {
    let notify: &[Notify] = match rules.notify(team) {
        [] => rules.notify(&rules.source().owners.default),
        own => own,
    };
    let is_chat = |via: &str| rules.connection(via).is_some_and(|info| info.kind == ConnectionKind::Slack);
    let chats: Vec<String> = notify.iter().filter(|notify| is_chat(&notify.via)).map(|n| n.via.clone()).collect();
    if chats.is_empty() { notify.iter().map(|notify| notify.via.clone()).collect() } else { chats }
}

fn action_word(action: ReportAction) -> &'static str {
    match action {
        ReportAction::Trigger => "the problem exists",
        ReportAction::Acknowledge => "somebody has it",
        ReportAction::Resolve => "it is over",
    }
}
