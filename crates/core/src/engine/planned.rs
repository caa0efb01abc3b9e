//! What is planned: silences, overrides, maintenance windows; their begin and end, and hand-overs of schedules.
//!
//! Invariants: one timer stands for the next begin or end of anything planned; a begin or end is looked at before events
//! of the same instant; what was announced is announced once, because the timer goes on to the next instant.

use super::turn::Turn;
use crate::decision::AuditDetail;
use crate::duty::absence::Changes;
use crate::effect::Action;
use crate::event::Severity;
use crate::input::DutyEdit;
use crate::notice::{Notice, OwnerView};
use crate::rules::Rules;
use crate::ruleset::noise::Maintenance;
use crate::timer::TimerKey;
use jiff::Timestamp;

impl Turn<'_> {
    /// Carries out changes of what is planned.
    pub(super) fn on_duty(&mut self, edits: &[DutyEdit]) {
        for edit in edits {
            if let Err(problem) = self.edit_duty(edit) {
                self.audit_refused("command.refused", problem.clone(), None);
                self.follows(format!("refused: {problem}"));
            }
        }
        self.review_all();
        self.look_again_at_deferred();
        self.set_duty_timer(self.at);
    }

    fn edit_duty(&mut self, edit: &DutyEdit) -> Result<(), String> {
        let gone = |what: &str, id: &uuid::Uuid| format!("there is no {what} {id} that is not over");
        let (action, summary, detail) = match edit {
            DutyEdit::PutOverride(over) => {
                let whom = over.user.as_deref().unwrap_or("nobody");
                let summary = format!("{whom} is on call in {} from {} to {}", over.schedule, over.start, over.end);
                self.state.put_override(over.clone())?;
                self.set_handover(&over.schedule);
                ("override.put", summary, about("override", over.id).changing(None, Some(over)))
            }
            DutyEdit::RemoveOverride { id } => {
                let over = self.state.remove_override(*id, self.at).ok_or_else(|| gone("override", id))?;
                self.set_handover(&over.schedule);
                let summary = format!("of {} from {} to {}", over.schedule, over.start, over.end);
                ("override.removed", summary, about("override", *id).changing(Some(&over), None))
            }
            DutyEdit::PutSilence(silence) => {
                let what = silence.matchers.join(", ");
                let summary = format!("{what} until {}: {}", silence.ends, silence.reason);
                self.state.put_silence(silence.clone())?;
                ("silence.put", summary, about("silence", silence.id).changing(None, Some(silence)))
            }
            DutyEdit::ExpireSilence { id } => {
                let silence = self.state.expire_silence(*id, self.at).ok_or_else(|| gone("silence", id))?;
                ("silence.expired", silence.matchers.join(", "), about("silence", *id).changing(Some(&silence), None))
            }
            DutyEdit::PutMaintenance(work) => {
                work.window.when.check()?;
                self.state.put_planned_work((**work).clone())?;
                let summary = format!("{}: {}", work.window.name, work.window.reason);
                ("maintenance.put", summary, about("maintenance", work.id).changing(None, Some(&**work)))
            }
            DutyEdit::EndMaintenance { id } => {
                let work = self.state.end_planned_work(*id, self.at).ok_or_else(|| gone("maintenance window", id))?;
                if work.window.when.active(self.at).is_some() {
                    self.announce(&work.window, "ended early");
                }
                let detail = about("maintenance", *id).changing(Some(&work), None);
                ("maintenance.ended", work.window.name, detail)
            }
        };
        self.means(format!("{} changes what is planned: {action}", self.caller.subject));
        self.follows(summary.clone());
        self.audit_about(action, summary, detail);
        Ok(())
    }

    /// Something planned begins or ends.
    pub(super) fn duty_due(&mut self, due: Timestamp) {
        let Some(rules) = self.rules() else {
            return;
        };
        self.means("something planned begins or ends");
        let planned: Vec<Maintenance> = self.state.planned_work().map(|(work, _)| work.window.clone()).collect();
        for window in rules.maintenance().map(|(window, _)| window).chain(&planned) {
            match window.when.active(due) {
                Some((start, _)) if start == due => self.announce(window, "began"),
                Some(_) => {}
                // The last instant before: half-open ranges end exactly here.
                None if ended_at(window, due) => self.announce(window, "is over"),
                None => {}
            }
        }
        self.state.forget_planned(self.at);
        self.review_all();
        // From the due time, not from now: what was announced to begin is announced to end, even after downtime.
        self.set_duty_timer(due);
    }

    /// Sets the timer for the next begin or end of anything planned.
    pub(super) fn set_duty_timer(&mut self, after: Timestamp) {
        let Some(rules) = self.rules() else {
            return;
        };
        let planned = self.state.planned_work().map(|(work, _)| &work.window);
        let windows = rules.maintenance().map(|(window, _)| window).chain(planned).filter_map(|window| {
            let end = window.when.active(after).map(|(_, end)| end);
            end.into_iter().chain(window.when.next_start(after)).min()
        });
        let silences = self.state.silences().flat_map(|(silence, _)| [silence.starts, silence.ends]);
        let next = windows.chain(silences).filter(|at| *at > after && *at < Timestamp::MAX).min();
        match next {
            Some(due) => self.state.set_timer(TimerKey::Duty, due),
            None => self.state.clear_timer(&TimerKey::Duty),
        }
    }

    fn announce(&mut self, window: &Maintenance, what: &str) {
        self.audit(&format!("maintenance.{}", what.replace(' ', "_")), window.name.clone(), None, None);
        let title = format!("Maintenance {} {what}", window.name);
        let until = window.when.active(self.at).map_or_else(String::new, |(_, end)| format!("Until {end}. "));
        for via in &window.announce {
            self.tell_plainly(via, &title, &format!("{until}{}", window.reason));
        }
    }

    fn tell_plainly(&mut self, via: &str, title: &str, summary: &str) {
        let Some(rules) = self.rules().filter(|rules| rules.connection(via).is_some()) else {
            return;
        };
        let team = rules.source().owners.default.clone();
        let owner = OwnerView { team, because: "it is about Trackside's own plans".to_owned() };
        let notice = Notice::plain(title.to_owned(), summary.to_owned(), Severity::Info, self.at, owner);
        let delivery = self.effect(via, Action::Message, None, notice);
        self.audit("notify.decided", format!("message via {via}: {title}"), None, Some(delivery));
    }

    /// Sets the timer of a schedule's next hand-over.
    pub(super) fn set_handover(&mut self, schedule: &str) {
        let rules = self.rules();
        let found = rules.as_ref().and_then(|rules| rules.source().schedules.get(schedule));
        let overrides = self.state.overrides(schedule);
        let changes = Changes { overrides: &overrides, gone: Some(self.state.gone()) };
        let next = found.and_then(|found| found.next_handover(changes, self.at));
        let key = TimerKey::Handover { schedule: schedule.to_owned() };
        match next {
            Some(shift) => self.state.set_timer(key, shift.start),
            None => self.state.clear_timer(&key),
        }
    }

    /// A schedule is handed over: tells those who go and those who come.
    pub(super) fn handover_due(&mut self, schedule: &str, due: Timestamp) {
        let Some(rules) = self.rules() else {
            return;
        };
        let overrides = self.state.overrides(schedule);
        let Some(found) = rules.source().schedules.get(schedule) else {
            return;
        };
        let gone = self.state.gone().clone();
        let changes = Changes { overrides: &overrides, gone: Some(&gone) };
        let came = found.on_call(changes, due).users;
        let went = found.on_call(changes, due - jiff::SignedDuration::from_nanos(1)).users;
        self.means(format!("{schedule} is handed over"));
        let names = |users: &[String]| match users {
            [] => "nobody".to_owned(),
            users => {
                users.iter().map(|user| super::escalation::person_title(&rules, user)).collect::<Vec<_>>().join(", ")
            }
        };
        let title = format!("{} on call for {schedule}", names(&came));
        let open = self.state.open_incidents().count();
        let next =
            found.next_handover(changes, due).map_or_else(String::new, |shift| format!(" until {}", shift.start));
        let summary = format!("{} hands over to {}{next}. Open incidents: {open}.", names(&went), names(&came));
        self.audit("oncall.handover", format!("{schedule}: {} to {}", names(&went), names(&came)), None, None);
        self.follows(title.clone());
        for via in &found.announce {
            self.tell_plainly(via, &title, &summary);
        }
        for user in went.iter().chain(&came).filter(|user| went.contains(user) != came.contains(user)) {
            self.tell_person(&rules, user, &title, &summary);
        }
        self.set_handover(schedule);
    }

    fn tell_person(&mut self, rules: &Rules, name: &str, title: &str, summary: &str) {
        let contact = rules.source().people.get(name).and_then(|person| person.contacts.first());
        let Some(contact) = contact else {
            return;
        };
        let owner = OwnerView { team: name.to_owned(), because: "it is about their time on call".to_owned() };
        let notice = Notice::plain(title.to_owned(), summary.to_owned(), Severity::Info, self.at, owner);
        let delivery = self.effect_to(&contact.via, contact.to.as_deref(), Action::Message, None, notice);
        self.audit(
            "notify.decided",
            format!("message via {}: hand-over to or from {name}", contact.via),
            None,
            Some(delivery),
        );
    }

    /// Sets the timers of everything planned, after a change of rules.
    pub(super) fn plan_everything(&mut self, rules: &Rules) {
        let stale: Vec<TimerKey> = self
            .state
            .timers()
            .map(|(key, _)| key)
            .filter(|key| matches!(key, TimerKey::Handover { schedule } if !rules.source().schedules.contains_key(schedule)))
            .cloned()
            .collect();
        for key in stale {
            self.state.clear_timer(&key);
        }
        for schedule in rules.source().schedules.keys() {
            self.set_handover(schedule);
        }
        self.watch_canaries(rules);
        self.set_duty_timer(self.at);
        self.review_all();
    }
}

/// What an audit row about something planned says of it.
fn about(what: &str, id: uuid::Uuid) -> AuditDetail {
    AuditDetail::about(format!("{what}:{id}"))
}

/// True when an occurrence of the window ends at exactly this instant.
fn ended_at(window: &Maintenance, at: Timestamp) -> bool {
    let before = at - jiff::SignedDuration::from_nanos(1);
    window.when.active(before).is_some_and(|(_, end)| end == at)
}
