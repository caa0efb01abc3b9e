//! Whom a question is told to, and in which words.
//!
//! Invariants: the connections of the rule hear of the question once and of its end; those whose messages are edited in
//! place show every voice. A message about a question has the question's id as its key and lane.

use super::{about, waiting_run};
use crate::approval::request::{Approval, ReplyTo, Says, Subject};
use crate::effect::Action;
use crate::engine::turn::Turn;
use crate::event::{Link, Severity};
use crate::notice::{ApprovalView, Notice, OwnerView};
use crate::rules::Rules;
use crate::ruleset::Updates;

impl Turn<'_> {
    /// Tells the connections of the rule how a question stands.
    pub(super) fn tell_approval(&mut self, approval: &Approval, action: Action) {
        let Some(rules) = self.rules() else {
            return;
        };
        let notice = self.approval_notice(&rules, approval);
        for via in &approval.rule.notify {
            let Some(info) = rules.connection(via).filter(|info| info.kind.can_tell()) else {
                self.follows(format!("{via} cannot be told: there is no such connection any more"));
                continue;
            };
            if action == Action::Update && info.updates != Updates::Every {
                continue;
            }
            let delivery = self.effect(via, action, None, notice.clone());
            let summary = format!("approval #{} via {via}: its rule says so", approval.number);
            self.audit_run(waiting_run(approval), "notify.decided", summary, Some(delivery), about(approval));
        }
    }

    /// Tells somebody who spoke in a chat why it did not count.
    pub(super) fn answer_speaker(&mut self, reply: &ReplyTo, why: &str) {
        let Some(rules) = self.rules() else {
            return;
        };
        if rules.connection(&reply.connection).is_none_or(|info| !info.kind.can_tell()) {
            return;
        }
        let team = rules.source().owners.default.clone();
        let owner = OwnerView { team, because: "what nobody else owns".to_owned() };
        let title = "Your answer was not counted".to_owned();
        let notice = Notice::plain(title, why.to_owned(), Severity::Info, self.at, owner);
        self.effect_to(&reply.connection, Some(&reply.to), Action::Message, None, notice);
    }

    fn approval_notice(&self, rules: &Rules, approval: &Approval) -> Notice {
        let who = &approval.requester.subject;
        let what = match &approval.subject {
            Subject::JobRun { job, .. } => format!("run job {job}"),
            Subject::Route { route } => format!("use route {route} for {:#}", approval.rule.holds()),
        };
        let summary = match (&approval.note, &approval.justification) {
            (Some(note), _) => note.clone(),
            (None, Some(why)) => format!("{who} asks to {what}: {why}"),
            (None, None) => format!("{who} asks to {what}"),
        };
        let team = approval.team.clone().unwrap_or_else(|| rules.source().owners.default.clone());
        let owner = OwnerView { team, because: "its rule names the connections that are told".to_owned() };
        let title = format!("Approval #{}: {who} wants to {what}", approval.number);
        let mut notice = Notice::plain(title, summary, Severity::Info, self.at, owner);
        if let Some(base) = &rules.source().public_url {
            let href = format!("{base}/approvals/{}", approval.id);
            notice.links.push(Link { text: "Open in Trackside".into(), href });
        }
        notice.approval = Some(view(approval));
        notice
    }
}

fn view(approval: &Approval) -> ApprovalView {
    let said = |says: Says| match says {
        Says::Approve => "yes",
        Says::Deny => "no",
    };
    let voices = approval.voices.iter().map(|voice| format!("{}: {}", voice.caller.subject, said(voice.says)));
    ApprovalView {
        id: approval.id,
        number: approval.number,
        state: approval.state.as_str().to_owned(),
        about: approval.subject.title(),
        requester: approval.requester.subject.clone(),
        justification: approval.justification.clone(),
        expires: approval.expires,
        missing: approval.missing(),
        voices: voices.collect(),
    }
}
