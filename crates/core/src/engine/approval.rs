//! Approvals: asked for, spoken to, decided, expired; grants that end. What is told of them is in [`tell`], how voices
//! are counted in [`crate::approval::count`].
//!
//! Invariants: the rule is the one of the moment of asking; nobody counts twice, under whatever name, nor for their own
//! question unless the rule allows it; one no decides; what is said at the due instant counts, what is said later does
//! not; what was decided stays. A refusal is in the audit and changes nothing else.

mod tell;

use super::turn::Turn;
use crate::approval::request::{Approval, ApprovalAsk, ApprovalState, Grant, Says, Subject, VoiceHeard, approval_id};
use crate::approval::rule::{ApprovalChoice, ApprovalRule, Justification, PERSON};
use crate::approval::voice::known_as;
use crate::caller::Caller;
use crate::decision::AuditDetail;
use crate::effect::Action;
use crate::job::run::ErrorClass;
use crate::limits;
use crate::timer::TimerKey;
use jiff::Timestamp;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Audit action of what is not done, with the reason.
const REFUSED: &str = "approval.refused";

/// What somebody says to a question.
#[derive(Clone, Copy)]
struct Word<'a> {
    says: Says,
    speaks_for: &'a BTreeSet<String>,
    known_as: &'a BTreeSet<String>,
    remark: Option<&'a str>,
    barred: Option<&'a str>,
}

impl Turn<'_> {
    /// Somebody asks for agreement, or gives or refuses it.
    pub(super) fn on_approval(&mut self, ask: &ApprovalAsk) {
        let who = self.caller.subject.clone();
        match ask {
            ApprovalAsk::Request { subject, known_as, justification } => {
                self.means(format!("{who} asks for access to {}", subject.title()));
                self.access_asked_for(subject, known_as, justification.as_deref());
            }
            ApprovalAsk::Say { approval, says, speaks_for, known_as, remark, barred, reply } => {
                let verb = match says {
                    Says::Approve => "approves",
                    Says::Deny => "denies",
                };
                self.means(format!("{who} {verb}"));
                let (remark, barred) = (remark.as_deref(), barred.as_deref());
                let word = Word { says: *says, speaks_for, known_as, remark, barred };
                let refused = self.with_open_question(*approval, |turn, approval| turn.heard(approval, &word)).err();
                if let (Some(why), Some(reply)) = (refused, reply) {
                    self.answer_speaker(reply, &why);
                }
            }
            ApprovalAsk::Withdraw { approval, known_as } => {
                self.means(format!("{who} takes a question back"));
                // The refusal is in the audit.
                let _ = self.with_open_question(*approval, |turn, approval| turn.taken_back(approval, known_as));
            }
            ApprovalAsk::Revoke { grant } => {
                self.means(format!("{who} revokes access"));
                self.revoke(*grant);
            }
        }
    }

    /// Asks whether the caller may do something; `more_names` of theirs were found at the door.
    pub(super) fn ask_approval(
        &mut self,
        subject: Subject,
        rule: &ApprovalChoice,
        justification: Option<String>,
        more_names: &BTreeSet<String>,
    ) -> Uuid {
        let requester = self.caller.clone();
        let known_as = self.known_as(&requester, more_names);
        let rule = self.approval_rule(rule);
        let approval = self.question(subject, rule, justification, requester, known_as);
        let id = approval.id;
        self.asked(&approval);
        self.wait_for_voices(approval);
        id
    }

    /// Whether no further question may be open.
    pub(super) fn has_no_room_to_ask(&self) -> bool {
        self.state.open_approvals().count() >= limits::APPROVALS
    }

    /// Whether a question under this rule must say why.
    pub(super) fn wants_to_know_why(&self, rule: &ApprovalChoice) -> bool {
        self.approval_rule(rule).justification == Justification::Required
    }

    /// Takes a question back whose reason is gone; whoever asked knows already.
    pub(super) fn withdraw_approval(&mut self, id: Uuid, why: &str) {
        if let Some(approval) = self.state.approval(id).filter(|approval| approval.is_open()).cloned() {
            self.end_question(approval, ApprovalState::Withdrawn, why.to_owned());
        }
    }

    /// Nobody decided in time.
    pub(super) fn approval_due(&mut self, id: Uuid) {
        if let Some(approval) = self.state.approval(id).filter(|approval| approval.is_open()).cloned() {
            self.means(format!("the time for approval #{} is over", approval.number));
            self.expire(approval);
        }
    }

    /// Access that was given is over.
    pub(super) fn grant_due(&mut self, id: Uuid) {
        if let Some(grant) = self.state.grant(id).cloned() {
            self.means(format!("access of {} to route {} is over", grant.subject, grant.route));
            self.state.end_grant(id, grant.until);
            let summary = format!("access of {} to route {} ended after its time", grant.subject, grant.route);
            self.audit_about("grant.ended", summary, about_grant(&grant));
        }
    }
}

/// Asking.
impl Turn<'_> {
    fn access_asked_for(&mut self, subject: &Subject, more_names: &BTreeSet<String>, justification: Option<&str>) {
        let Subject::Route { route } = subject else {
            return self.refuse_approval("a run of a job asks by itself when it is started", None);
        };
        let guarded = self.rules().and_then(|rules| rules.source().route_approvals.get(route).cloned());
        let Some(guarded) = guarded else {
            return self.refuse_approval(&format!("there is no route `{route}` that needs an approval"), Some(subject));
        };
        let requester = self.caller.clone();
        let known_as = self.known_as(&requester, more_names);
        let same = |open: &&Approval| open.requester.subject == requester.subject;
        let open: Vec<&Approval> = self.state.open_approvals().filter(same).collect();
        let twice = |open: &&&Approval| open.subject == *subject && open.requester.behalf == requester.behalf;
        if let Some(open) = open.iter().find(twice) {
            let text = format!("asked already, as approval #{}", open.number);
            let detail = about(open);
            self.audit_about("approval.asked_again", text.clone(), detail);
            return self.follows(text);
        }
        if open.len() >= limits::APPROVALS_PER_CALLER || self.has_no_room_to_ask() {
            return self.refuse_approval("too many questions are open; wait until some are decided", Some(subject));
        }
        let justification = justification.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let rule = self.approval_rule(&guarded.approval);
        if rule.justification == Justification::Required && justification.is_none() {
            return self.refuse_approval(&format!("access to route {route} needs a justification"), Some(subject));
        }
        let approval = self.question(subject.clone(), rule, justification, requester, known_as);
        self.asked(&approval);
        self.wait_for_voices(approval);
    }

    /// The question, not asked yet.
    fn question(
        &mut self,
        subject: Subject,
        rule: ApprovalRule,
        justification: Option<String>,
        requester: Caller,
        known_as: BTreeSet<String>,
    ) -> Approval {
        let team = self.team_of(&subject);
        let mut ordinal = 0;
        let mut id = approval_id(&self.state.workspace, self.seq, ordinal);
        while self.state.approval(id).is_some() {
            ordinal += 1;
            id = approval_id(&self.state.workspace, self.seq, ordinal);
        }
        Approval {
            id,
            number: self.state.next_approval_number(),
            subject,
            team,
            requester,
            known_as,
            justification,
            created: self.at,
            expires: self.at.saturating_add(rule.waits()).unwrap_or(Timestamp::MAX),
            rule,
            voices: Vec::new(),
            state: ApprovalState::Open,
            decided: None,
            note: None,
        }
    }

    /// The rule as it is now. A name that is not there cannot be in force; without a rule, any approver decides.
    fn approval_rule(&self, choice: &ApprovalChoice) -> ApprovalRule {
        match choice {
            ApprovalChoice::Own(rule) => rule.clone(),
            ApprovalChoice::Named(named) => {
                let known = self.rules().and_then(|rules| rules.source().approvals.get(&named.rule).cloned());
                known.unwrap_or_default()
            }
        }
    }

    fn team_of(&self, subject: &Subject) -> Option<String> {
        let rules = self.rules()?;
        match subject {
            Subject::JobRun { job, .. } => rules.source().jobs.get(job)?.owner.clone(),
            Subject::Route { route } => rules.source().route_approvals.get(route)?.team.clone(),
        }
    }

    fn asked(&mut self, approval: &Approval) {
        let (number, what, who) = (approval.number, approval.subject.title(), &approval.requester.subject);
        let why = approval.justification.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let summary = format!("#{number} {what}, asked by {who}{why}");
        self.audit_question("approval.asked", summary, approval, "done");
        self.follows(format!("approval #{number} is asked for"));
    }

    fn wait_for_voices(&mut self, approval: Approval) {
        let over = approval.expires.saturating_add(limits::APPROVAL_GRACE).unwrap_or(Timestamp::MAX);
        self.state.set_timer(TimerKey::ApprovalEnds { approval: approval.id }, over);
        self.tell_approval(&approval, Action::Trigger);
        self.state.put_approval(approval);
    }

    /// Every name of a caller and of those on whose behalf, people under the name of the configuration. Names that the
    /// door found are added.
    fn known_as(&self, caller: &Caller, found: &BTreeSet<String>) -> BTreeSet<String> {
        let rules = self.rules();
        known_as(caller, found, |name| rules.as_ref().and_then(|rules| rules.person(name)))
    }
}

/// Deciding.
impl Turn<'_> {
    /// Does something with an open question, once what is over is over; a refusal goes into the audit.
    fn with_open_question(
        &mut self,
        id: Uuid,
        act: impl FnOnce(&mut Self, Approval) -> Result<(), String>,
    ) -> Result<(), String> {
        let done = match self.state.approval(id).cloned() {
            None => Err(format!("there is no approval {id}")),
            Some(approval) => {
                let late = approval.is_open() && self.at > approval.expires;
                let approval = if late { self.expire(approval) } else { approval };
                if approval.is_open() { act(self, approval) } else { Err(decided_already(&approval)) }
            }
        };
        done.inspect_err(|why| {
            match self.state.approval(id).cloned() {
                Some(approval) => self.audit_question(REFUSED, why.clone(), &approval, "refused"),
                None => self.audit_refused(REFUSED, why.clone(), None),
            }
            self.follows(format!("refused: {why}"));
        })
    }

    fn heard(&mut self, mut approval: Approval, word: &Word<'_>) -> Result<(), String> {
        let found = word.speaks_for.union(word.known_as).cloned().collect();
        let known_as = self.known_as(&self.caller, &found);
        self.nobody_gone(&known_as)?;
        may_speak(&approval, &known_as, word).map_err(|why| format!("approval #{}: {why}", approval.number))?;
        // A yes may be taken back by a no; the no counts.
        approval.voices.retain(|voice| voice.known_as.is_disjoint(&known_as));
        let speaks_for = word.speaks_for.clone();
        let (caller, remark) = (self.caller.clone(), word.remark.map(str::to_owned));
        approval.voices.push(VoiceHeard { caller, speaks_for, known_as, says: word.says, at: self.at, remark });
        let (number, who) = (approval.number, self.caller.subject.clone());
        let remark = word.remark.map_or_else(String::new, |remark| format!(": {remark}"));
        let said = match word.says {
            Says::Approve => "yes",
            Says::Deny => "no",
        };
        let summary = format!("#{number} {who} says {said}{remark}");
        self.audit_question("approval.voiced", summary, &approval, "done");
        match word.says {
            Says::Deny => self.decide_question(approval, ApprovalState::Denied, format!("denied by {who}{remark}")),
            Says::Approve if approval.is_agreed() => {
                let by = approvers(&approval).join(", ");
                self.decide_question(approval, ApprovalState::Approved, format!("approved by {by}"));
            }
            Says::Approve => {
                self.follows(format!("approval #{number} still needs {}", approval.missing()));
                self.tell_approval(&approval, Action::Update);
                self.state.put_approval(approval);
            }
        }
        Ok(())
    }

    /// Whoever has left has no word any more, whatever credential they still hold.
    fn nobody_gone(&self, known_as: &BTreeSet<String>) -> Result<(), String> {
        let people = known_as.iter().filter_map(|name| name.strip_prefix(PERSON));
        let mut gone = people.filter(|person| self.state.gone().contains_key(*person));
        gone.next().map_or(Ok(()), |person| Err(format!("{person} has left, so this does not count")))
    }

    fn taken_back(&mut self, approval: Approval, more_names: &BTreeSet<String>) -> Result<(), String> {
        let known_as = self.known_as(&self.caller, more_names);
        if !approval.is_asked_by(&known_as) {
            let (number, asked) = (approval.number, &approval.requester.subject);
            return Err(format!("approval #{number} was asked by {asked}; only they can take it back"));
        }
        let why = format!("taken back by {}", self.caller.subject);
        self.decide_question(approval, ApprovalState::Withdrawn, why);
        Ok(())
    }

    fn expire(&mut self, approval: Approval) -> Approval {
        let speaker = std::mem::replace(&mut self.caller, Caller::rules());
        let note = format!("nobody decided by {}", approval.expires);
        let mut ended = approval.clone();
        (ended.state, ended.decided) = (ApprovalState::Expired, Some(self.at));
        self.decide_question(approval, ApprovalState::Expired, note);
        self.caller = speaker;
        ended
    }

    /// Ends a question and does what follows.
    fn decide_question(&mut self, approval: Approval, state: ApprovalState, note: String) {
        let (subject, why) = (approval.subject.clone(), format!("approval #{}: {note}", approval.number));
        let agreed = state == ApprovalState::Approved;
        if let (Subject::Route { route }, true) = (&subject, agreed) {
            self.give_access(&approval, route);
        }
        self.end_question(approval, state, note);
        match subject {
            Subject::JobRun { run, .. } if agreed => self.job_approved(run),
            Subject::JobRun { run, .. } if state == ApprovalState::Expired => {
                self.job_denied(run, ErrorClass::TimedOut, &why);
            }
            Subject::JobRun { run, .. } => self.job_denied(run, ErrorClass::Denied, &why),
            Subject::Route { .. } => {}
        }
    }

    fn end_question(&mut self, mut approval: Approval, state: ApprovalState, note: String) {
        approval.state = state;
        approval.decided = Some(self.at);
        self.state.clear_timer(&TimerKey::ApprovalEnds { approval: approval.id });
        let (number, what) = (approval.number, approval.subject.title());
        let summary = format!("#{number} {what}: {note}");
        let outcome = match state {
            ApprovalState::Denied | ApprovalState::Expired => "refused",
            ApprovalState::Open | ApprovalState::Approved | ApprovalState::Withdrawn => "done",
        };
        self.audit_question(&format!("approval.{}", state.as_str()), summary, &approval, outcome);
        self.follows(format!("approval #{number} is {}", state.as_str()));
        approval.note = Some(note);
        self.tell_approval(&approval, Action::Resolve);
        self.state.put_approval(approval);
    }

    fn refuse_approval(&mut self, why: &str, subject: Option<&Subject>) {
        self.audit_refused(REFUSED, why, subject.map(resource_of));
        self.follows(format!("refused: {why}"));
    }

    /// Writes an audit row about a question, and about the run that waits for its answer.
    fn audit_question(&mut self, action: &str, summary: String, approval: &Approval, outcome: &str) {
        self.audit_run(waiting_run(approval), action, summary, None, about(approval).came_out(outcome));
    }
}

/// Access for a while.
impl Turn<'_> {
    fn give_access(&mut self, approval: &Approval, route: &str) {
        let length = approval.rule.holds().min(limits::GRANT_MOST);
        let Caller { subject, behalf, .. } = approval.requester.clone();
        let until = self.at.saturating_add(length).unwrap_or(Timestamp::MAX);
        let summary = format!("{subject} may use route {route} until {until}");
        self.audit_question("grant.given", summary.clone(), approval, "done");
        self.follows(summary);
        self.state.set_timer(TimerKey::GrantEnds { grant: approval.id }, until);
        let approvers = approvers(approval);
        let (id, route, from) = (approval.id, route.to_owned(), self.at);
        self.state.put_grant(Grant { id, subject, behalf, route, from, until, approvers });
    }

    fn revoke(&mut self, id: Uuid) {
        let Some(grant) = self.state.end_grant(id, self.at) else {
            return self.refuse_approval(&format!("there is no grant {id} that holds"), None);
        };
        self.state.clear_timer(&TimerKey::GrantEnds { grant: id });
        let by = self.caller.subject.clone();
        let summary = format!("access of {} to route {} revoked by {by}", grant.subject, grant.route);
        self.audit_about("grant.revoked", summary.clone(), about_grant(&grant));
        self.follows(summary);
        if let Some(mut approval) = self.state.approval(id).cloned() {
            let agreed = approval.note.take().unwrap_or_default();
            approval.note = Some(format!("{agreed}; revoked by {by}"));
            self.tell_approval(&approval, Action::Update);
            self.state.put_approval(approval);
        }
    }
}

fn decided_already(approval: &Approval) -> String {
    let (number, state) = (approval.number, approval.state.as_str());
    let since = approval.decided.map_or_else(String::new, |at| format!(" since {at}"));
    format!("approval #{number} is {state}{since}; it cannot be decided again")
}

/// Whether somebody may say this to an open question.
fn may_speak(approval: &Approval, known_as: &BTreeSet<String>, word: &Word<'_>) -> Result<(), String> {
    match word.barred {
        Some(why) => Err(why.to_owned()),
        None => approval.hears(word.says, known_as, word.speaks_for),
    }
}

/// The run that waits for the answer.
fn waiting_run(approval: &Approval) -> Option<Uuid> {
    match approval.subject {
        Subject::JobRun { run, .. } => Some(run),
        Subject::Route { .. } => None,
    }
}

/// What an audit row about a question says of it.
fn about(approval: &Approval) -> AuditDetail {
    AuditDetail { approval: Some(approval.id), ..AuditDetail::about(resource_of(&approval.subject)) }
}

/// What a question is about, in the words of the audit.
fn resource_of(subject: &Subject) -> String {
    match subject {
        Subject::JobRun { job, .. } => format!("job:{job}"),
        Subject::Route { route } => format!("route:{route}"),
    }
}

fn about_grant(grant: &Grant) -> AuditDetail {
    AuditDetail { approval: Some(grant.id), ..AuditDetail::about(format!("route:{}", grant.route)) }
}

fn approvers(approval: &Approval) -> Vec<String> {
    let yes = approval.voices.iter().filter(|voice| voice.says == Says::Approve);
    yes.map(|voice| voice.caller.subject.clone()).collect()
}
