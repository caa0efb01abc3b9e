//! One input's turn: access to state, and the writing down of effects, audit and reasons.
//!
//! Invariant: ids of effects and positions of audit rows are counted per turn, so they repeat in a replay.

use crate::automation::act::Act;
use crate::automation::edit::FiringRecord;
use crate::caller::Caller;
use crate::decision::{
    AlertFired, AuditDetail, AuditEntry, Decision, Explanation, OwnerTrail, PageRecord, RuleVerdict, Verdict,
};
use crate::effect::{Action, Effect, delivery_id};
use crate::event::{Event, Fact};
use crate::ids::{DeliveryId, EventId, IncidentId, Seq};
use crate::incident::{Alert, Told};
use crate::input::{Entry, Input, Origin};
use crate::job::run::JobCall;
use crate::notice::Notice;
use crate::projection;
use crate::rules::Rules;
use crate::state::State;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Most rule verdicts kept in one explanation.
const VERDICTS: usize = 100;

/// One input being decided.
pub(super) struct Turn<'a> {
    pub(super) state: &'a mut State,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    pub(super) event: Option<EventId>,
    pub(super) caller: Caller,
    batch: &'a [Entry],
    decision: &'a mut Decision,
    audits: u32,
    effects: BTreeMap<String, u32>,
    meanings: Vec<String>,
    outcomes: Vec<String>,
    firings: u32,
    verdicts: Vec<RuleVerdict>,
    owner: Option<OwnerTrail>,
    incident: Option<IncidentId>,
    pages: u32,
    /// Where the command that is decided was said.
    pub(super) origin: Option<Origin>,
    /// Incidents that changed in a way that is told with their next update, and what happened last. They are looked at
    /// when the turn is over: what changes and ends in one turn is told as ended.
    pub(super) changed: BTreeMap<IncidentId, String>,
    /// Who was told of what in this turn, so that nobody hears the same twice.
    pub(super) told_now: BTreeMap<(IncidentId, Told), DeliveryId>,
}

impl<'a> Turn<'a> {
    /// The turn of `batch[index]`.
    pub(super) fn new(state: &'a mut State, batch: &'a [Entry], index: usize, decision: &'a mut Decision) -> Self {
        let entry = &batch[index];
        Self {
            state,
            seq: entry.seq,
            at: entry.at,
            event: None,
            caller: Caller::rules(),
            batch,
            decision,
            audits: 0,
            effects: BTreeMap::new(),
            meanings: Vec::new(),
            outcomes: Vec::new(),
            firings: 0,
            verdicts: Vec::new(),
            owner: None,
            incident: None,
            pages: 0,
            origin: None,
            changed: BTreeMap::new(),
            told_now: BTreeMap::new(),
        }
    }

    /// Decides the input.
    pub(super) fn act(mut self, input: &Input) {
        self.state.passed(self.at);
        if let Some(rules) = self.rules() {
            self.index_inhibitors(&rules);
        }
        if !matches!(input, Input::Tick { .. }) {
            self.waits_ended();
        }
        match input {
            Input::Event(event) => {
                self.automations_before();
                self.event = Some(event.id);
                self.on_event(event);
            }
            Input::Tick { due, noticed } => self.on_tick(*due, *noticed),
            Input::Automations { caller, edits } => {
                self.caller = caller.clone();
                self.on_automations(edits);
            }
            Input::Outcome(outcome) => self.on_outcome(outcome),
            Input::Command { caller, command, origin } => {
                self.caller = caller.clone();
                self.origin.clone_from(origin);
                self.on_command(command);
            }
            Input::Duty { caller, edits } => {
                self.caller = caller.clone();
                self.on_duty(edits);
            }
            Input::People { caller, edits } => {
                self.caller = caller.clone();
                self.on_people(edits);
            }
            Input::Job { caller, ask } => {
                self.caller = caller.clone();
                self.on_job(ask);
            }
            Input::Approval { caller, ask } => {
                self.caller = caller.clone();
                self.on_approval(ask);
            }
            Input::Lag { connection, lag } => self.on_lag(connection, lag),
            Input::Ruleset { caller, ruleset } => {
                self.caller = caller.clone();
                self.on_ruleset(ruleset);
            }
        }
        self.tell_changes();
        self.explain();
    }

    fn on_event(&mut self, event: &Event) {
        match &event.fact {
            Some(Fact::Run(update)) => {
                let (run, transitions) = projection::apply(self.state, event, update, self.at);
                self.on_run(&run, &transitions);
                self.declared_deadlines(&run, update, event.occurred);
                if let Some(rules) = self.rules() {
                    self.judge_lateness(&rules, event);
                }
                self.automate(event);
                self.automate_runs(event, &transitions);
                return;
            }
            Some(Fact::Report(report)) => self.on_report(event, report),
            Some(Fact::Message(message)) => self.on_message(event, message),
            None => {}
        }
        self.automate(event);
    }

    /// The body of an event that a firing refers to: one of this batch, or one that was loaded for it.
    pub(super) fn event_body(&self, seq: Seq) -> Option<Arc<Event>> {
        let here = self.batch.binary_search_by_key(&seq, |entry| entry.seq).ok();
        match here.map(|index| &self.batch[index].input) {
            Some(Input::Event(event)) => Some(Arc::new((**event).clone())),
            _ => self.state.automations().released(seq).or_else(|| self.state.event_body(seq)),
        }
    }

    /// The rules in force; `None` before the first ruleset, when everything is recorded and nobody is told.
    pub(super) fn rules(&self) -> Option<Arc<Rules>> {
        self.state.rules()
    }

    /// What the input meant, for people. The first meaning of a turn leads.
    pub(super) fn means(&mut self, text: impl Into<String>) {
        self.meanings.push(text.into());
    }

    /// What followed, for people.
    pub(super) fn follows(&mut self, text: impl Into<String>) {
        self.outcomes.push(text.into());
    }

    pub(super) fn verdict(&mut self, rule: &str, verdict: Verdict, because: impl Into<String>) {
        if self.verdicts.len() < VERDICTS {
            self.verdicts.push(RuleVerdict { rule: rule.to_owned(), verdict, because: because.into() });
        }
    }

    pub(super) fn owned_by(&mut self, trail: &OwnerTrail) {
        self.owner.get_or_insert_with(|| trail.clone());
    }

    pub(super) fn concerns(&mut self, incident: IncidentId) {
        self.incident = Some(incident);
    }

    /// Writes an audit row.
    pub(super) fn audit(
        &mut self,
        action: &str,
        summary: impl Into<String>,
        incident: Option<IncidentId>,
        delivery: Option<DeliveryId>,
    ) {
        self.decision.audit.push(AuditEntry {
            seq: self.seq,
            ordinal: self.audits,
            at: self.at,
            caller: self.caller.clone(),
            action: action.to_owned(),
            summary: summary.into(),
            incident,
            event: self.event,
            delivery,
            job: None,
            detail: AuditDetail::default(),
        });
        self.audits += 1;
    }

    /// Writes an audit row that says what it is about.
    pub(super) fn audit_about(&mut self, action: &str, summary: impl Into<String>, detail: AuditDetail) {
        self.audit(action, summary, None, None);
        self.audit_says(detail);
    }

    /// Writes an audit row about a run of a job, or about what may concern one.
    pub(super) fn audit_run(
        &mut self,
        run: impl Into<Option<Uuid>>,
        action: &str,
        summary: impl Into<String>,
        delivery: Option<DeliveryId>,
        detail: AuditDetail,
    ) {
        self.audit(action, summary, None, delivery);
        if let Some(row) = self.decision.audit.last_mut() {
            row.job = run.into();
            row.detail = detail;
        }
    }

    /// Writes an audit row about what is not done, and why.
    pub(super) fn audit_refused(&mut self, action: &str, why: impl Into<String>, resource: Option<String>) {
        let detail = AuditDetail { resource, ..AuditDetail::default() };
        self.audit_about(action, why, detail.came_out("refused"));
    }

    /// Says of the row just written what it is about and what came of it.
    pub(super) fn audit_says(&mut self, detail: AuditDetail) {
        if let Some(row) = self.decision.audit.last_mut() {
            row.detail = detail;
        }
    }

    /// Asks for something to be done outside.
    pub(super) fn effect(
        &mut self,
        connection: &str,
        action: Action,
        incident: Option<IncidentId>,
        notice: Notice,
    ) -> DeliveryId {
        self.row(connection, None, action, incident, notice, None)
    }

    /// Asks for something about what an earlier effect made at the far end; `key` is the key of that one.
    pub(super) fn effect_with_key(&mut self, connection: &str, key: &str, action: Action, notice: Notice) {
        self.effect(connection, action, None, notice);
        if let Some(effect) = self.decision.effects.last_mut() {
            key.clone_into(&mut effect.key);
        }
    }

    /// Asks for something to be sent to an address that replaces the connection's own.
    pub(super) fn effect_to(
        &mut self,
        connection: &str,
        to: Option<&str>,
        action: Action,
        incident: Option<IncidentId>,
        notice: Notice,
    ) -> DeliveryId {
        self.row(connection, to, action, incident, notice, None)
    }

    /// Asks for an automation's action to be carried out.
    pub(super) fn act_effect(&mut self, connection: &str, act: Act, notice: Notice) -> DeliveryId {
        self.row(connection, None, Action::Act, None, notice, Some(Box::new(act)))
    }

    /// Asks for the call of a job to be made; `key` is what the far end knows it by.
    pub(super) fn job_effect(&mut self, connection: &str, key: &str, call: JobCall, notice: Notice) -> DeliveryId {
        let id = self.row(connection, None, Action::Job, None, notice, None);
        if let Some(effect) = self.decision.effects.last_mut() {
            key.clone_into(&mut effect.key);
            effect.job = Some(Box::new(call));
        }
        id
    }

    fn row(
        &mut self,
        connection: &str,
        to: Option<&str>,
        action: Action,
        incident: Option<IncidentId>,
        notice: Notice,
        act: Option<Box<Act>>,
    ) -> DeliveryId {
        let ordinal = self.effects.entry(connection.to_owned()).or_insert(0);
        let id = delivery_id(&self.state.workspace, self.seq, connection, *ordinal);
        *ordinal += 1;
        let about =
            incident.map(|incident| incident.0).or_else(|| notice.approval.as_ref().map(|approval| approval.id));
        let key = about.unwrap_or(id.0).to_string();
        self.decision.effects.push(Effect {
            id,
            cause: self.seq,
            at: self.at,
            connection: connection.to_owned(),
            to: to.map(str::to_owned),
            incident,
            key,
            action,
            notice: Box::new(notice),
            act,
            job: None,
        });
        id
    }

    /// The place of the next firing among those of this input.
    pub(super) fn next_firing(&mut self) -> u32 {
        self.firings += 1;
        self.firings - 1
    }

    pub(super) fn record_firing(&mut self, record: FiringRecord) {
        self.decision.firings.push(record);
    }

    /// Keeps that an alert began to fire.
    pub(super) fn record_fired(&mut self, alert: &Alert, incident: IncidentId) {
        let (key, severity) = (alert.key.clone(), alert.severity);
        self.decision.fired.push(AlertFired { seq: self.seq, at: self.at, key, severity, incident });
    }

    pub(super) fn record_page(&mut self, mut record: PageRecord) {
        record.ordinal = self.pages;
        self.pages += 1;
        self.decision.pages.push(record);
    }

    /// An event of Trackside's own; it enters the log with the commit.
    pub(super) fn emit(&mut self, event: Event) {
        self.decision.emitted.push(event);
    }

    fn explain(self) {
        if self.meanings.is_empty() && self.verdicts.is_empty() && self.outcomes.is_empty() {
            return;
        }
        let outcome =
            if self.outcomes.is_empty() { "nothing had to be done".to_owned() } else { self.outcomes.join("; ") };
        self.decision.explanations.push(Explanation {
            seq: self.seq,
            event: self.event,
            meaning: self.meanings.join("; "),
            owner: self.owner,
            rules: self.verdicts,
            incident: self.incident,
            outcome,
        });
    }
}
