//! Escalation: pages when a step is due, further contacts of a person, time-outs.
//!
//! Invariants: steps are taken by the clock alone, never in the turn of an event, so an acknowledgement at the due
//! instant wins; the policy is the one that was frozen when the escalation began, the people are those on call when the
//! page goes out; a step that reaches nobody brings the next one to now; overdue steps all go, marked late.

use super::incident::Context;
use super::tell::whom;
use super::turn::Turn;
use crate::decision::PageRecord;
use crate::duty::absence::Changes;
use crate::duty::interval::TimeInterval;
use crate::event::Severity;
use crate::ids::{DeliveryId, IncidentId};
use crate::incident::course::{Course, DueStep};
use crate::incident::{Incident, IncidentState};
use crate::limits;
use crate::notice::{Notice, PageView};
use crate::rules::Rules;
use crate::ruleset::people::{Contact, Person, Target};
use crate::timer::TimerKey;
use jiff::Timestamp;
use jiff::civil::Weekday;
use std::sync::Arc;

/// One page of a step: whom, and the words for it.
struct Page<'a> {
    step: &'a DueStep,
    target: &'a Target,
    view: PageView,
}

impl Turn<'_> {
    /// Begins the escalation of an incident that is severe enough and has not begun it.
    pub(super) fn begin_course(&mut self, rules: &Rules, incident: &mut Incident, rule: Option<&str>) {
        if incident.course.is_some() || incident.state != IncidentState::Triggered {
            return;
        }
        let team = rules.source().teams.get(&*incident.owner);
        let by_rule = rule.and_then(|rule| rules.rule(rule)?.escalation.as_deref());
        let Some(name) = by_rule.or_else(|| team?.escalation.as_deref()) else {
            return;
        };
        let from = team.and_then(|team| team.escalate_from).unwrap_or(Severity::Warning);
        let Some(policy) = rules.source().escalations.get(name).filter(|_| incident.severity >= from) else {
            return;
        };
        incident.course = Some(Box::new(Course::begin(name, Arc::new(policy.clone()), self.at)));
        self.audit("escalation.begun", format!("#{} by policy {name}", incident.number), Some(incident.id), None);
        self.set_course_timers(incident);
    }

    /// Begins the escalation that the rules of the incident's alerts ask for.
    pub(super) fn begin_course_of(&mut self, rules: &Rules, incident: &mut Incident) {
        let rule = self.state.alerts_in(incident).next().map(|alert| alert.key.rule.clone());
        self.begin_course(rules, incident, rule.as_deref());
    }

    /// Sets the timers that move an incident's escalation on, and clears those that no longer apply.
    pub(super) fn set_course_timers(&mut self, incident: &Incident) {
        let id = incident.id;
        let running = incident.state == IncidentState::Triggered && incident.suppressed_by.is_empty();
        let course = incident.course.as_deref();
        let step = course.filter(|_| running).and_then(Course::next_step);
        self.timer_or_none(TimerKey::Step { incident: id }, step);
        let snooze = incident.snoozed_until.filter(|_| incident.state == IncidentState::Snoozed);
        let timeout = course.filter(|_| incident.is_open()).and_then(Course::timeout);
        self.timer_or_none(TimerKey::Timeout { incident: id }, snooze.or(timeout));
        if !running {
            self.stop_contacts(id);
        }
    }

    fn timer_or_none(&mut self, key: TimerKey, due: Option<Timestamp>) {
        match due {
            Some(due) => self.state.set_timer(key, due),
            None => self.state.clear_timer(&key),
        }
    }

    /// Nothing of an incident is due any more.
    pub(super) fn stop_timers(&mut self, incident: IncidentId) {
        self.state.clear_timer(&TimerKey::Step { incident });
        self.state.clear_timer(&TimerKey::Timeout { incident });
        self.state.clear_timer(&TimerKey::Regroup { incident });
        self.stop_contacts(incident);
    }

    fn stop_contacts(&mut self, incident: IncidentId) {
        for key in self.state.contact_timers(incident) {
            self.state.clear_timer(&key);
        }
    }

    /// An acknowledgement timed out or a snooze ended: everything starts again.
    pub(super) fn timed_out(&mut self, id: IncidentId) {
        let Some(mut incident) = self.state.incident(id).filter(|incident| incident.is_open()).cloned() else {
            return;
        };
        let what = match incident.state {
            IncidentState::Snoozed => "the snooze is over",
            _ => "nobody has resolved it since it was acknowledged",
        };
        self.means(format!("incident #{}: {what}", incident.number));
        self.concerns(id);
        self.audit("incident.retriggered", format!("#{} {what}", incident.number), Some(id), None);
        self.retrigger(&mut incident);
        if let Some(rules) = self.rules().filter(|_| incident.suppressed_by.is_empty()) {
            self.tell_again(&rules, &mut incident, what);
        }
        self.state.put_incident(incident);
    }

    /// Tells the team that nobody has it again: quietly when an escalation pages somebody anyway, else loudly.
    pub(super) fn tell_again(&mut self, rules: &Rules, incident: &mut Incident, why: &str) {
        let notice = self.notice(rules, incident, why.to_owned(), self.at, Context::default());
        let list = whom(rules, incident, None);
        if incident.course.is_some() {
            self.tell_list(rules, incident, list, &notice, false);
            return;
        }
        for (via, because) in list {
            self.tell(incident, &via, None, &because, notice.clone());
        }
    }

    /// Open again as if nobody had it. Held back if something holds it back.
    pub(super) fn retrigger(&mut self, incident: &mut Incident) {
        incident.state = IncidentState::Triggered;
        (incident.acknowledged_by, incident.acknowledged, incident.snoozed_until) = (None, None, None);
        incident.updated = self.at;
        let held_back = !incident.suppressed_by.is_empty();
        match (&mut incident.course, self.rules()) {
            (Some(course), _) => {
                course.restart(self.at);
                if held_back {
                    course.suspend();
                }
            }
            // It became severe enough while somebody had it.
            (None, Some(rules)) if !held_back => self.begin_course_of(&rules, incident),
            (None, _) => {}
        }
        self.set_course_timers(incident);
    }

    /// A step is due: pages its targets.
    pub(super) fn step_due(&mut self, id: IncidentId) {
        let (Some(rules), Some(mut incident)) = (self.rules(), self.state.incident(id).cloned()) else {
            return;
        };
        let now = self.at;
        while let Some(step) = incident.course.as_mut().and_then(|course| course.take_step(now)) {
            self.means(format!("step {} of the escalation of incident #{} is due", step.step + 1, incident.number));
            self.concerns(id);
            let mut reached = false;
            for target in &step.targets {
                reached |= self.page(&rules, &mut incident, &step, target);
            }
            if !reached && let Some(course) = &mut incident.course {
                self.follows("it reaches nobody: the next step goes now");
                course.escalate(now);
            }
        }
        self.set_course_timers(&incident);
        self.state.put_incident(incident);
    }

    /// Pages one target; true when somebody was reached.
    fn page(&mut self, rules: &Rules, incident: &mut Incident, step: &DueStep, target: &Target) -> bool {
        let page = |whom: String| Page { step, target, view: page_view(incident, step, whom, self.at) };
        match target {
            Target::Channel(via) => {
                let page = page(via.clone());
                self.page_channels(rules, incident, &page, vec![via.clone()])
            }
            Target::Team(team) => {
                let page = page(format!("team {team}"));
                let told = Incident { owner: team.as_str().into(), ..incident.clone() };
                let channels = whom(rules, &told, None).into_iter().map(|(via, _)| via).collect();
                self.page_channels(rules, incident, &page, channels)
            }
            Target::Person(name) => {
                let page = page(person_title(rules, name));
                self.page_person(rules, incident, &page, name)
            }
            Target::OnCall(schedule) => {
                let overrides = self.state.overrides(schedule);
                let found = rules.source().schedules.get(schedule);
                let changes = Changes { overrides: &overrides, gone: Some(self.state.gone()) };
                let users = found.map(|found| found.on_call(changes, self.at).users).unwrap_or_default();
                if users.is_empty() {
                    let nobody = page(format!("nobody: {schedule} has a gap"));
                    self.follows(format!("nobody is on call in {schedule}"));
                    self.record(incident, &nobody, None, Vec::new(), &format!("nobody is on call in {schedule}"));
                    return false;
                }
                let mut reached = false;
                for user in users {
                    let whom = format!("{}, on call for {schedule}", person_title(rules, &user));
                    let page = Page { step, target, view: page_view(incident, step, whom, self.at) };
                    reached |= self.page_person(rules, incident, &page, &user);
                }
                reached
            }
        }
    }

    fn page_channels(
        &mut self,
        rules: &Rules,
        incident: &mut Incident,
        page: &Page<'_>,
        channels: Vec<String>,
    ) -> bool {
        let notice = self.page_notice(rules, incident, page);
        let because = format!("step {} of policy {}", page.step.step + 1, policy_name(incident));
        let mut deliveries = Vec::new();
        for via in channels {
            if rules.connection(&via).is_some() {
                deliveries.push(self.tell(incident, &via, None, &because, notice.clone()));
            }
        }
        let note = if deliveries.is_empty() { "no connection leads there any more" } else { "" };
        let reached = !deliveries.is_empty();
        self.follows(format!("{}: {}", page.target, if reached { "paged" } else { note }));
        self.record(incident, page, None, deliveries, note);
        reached
    }

    /// Pages a person through the contacts that are due, and sets timers for the others.
    fn page_person(&mut self, rules: &Rules, incident: &mut Incident, page: &Page<'_>, name: &str) -> bool {
        let Some(person) = rules.source().people.get(name) else {
            self.record(incident, page, Some(name), Vec::new(), "is not in the configuration any more");
            return false;
        };
        if self.state.gone().contains_key(name) {
            self.follows(format!("{} has left", page.view.whom));
            self.record(incident, page, Some(name), Vec::new(), "has left");
            return false;
        }
        let mut page = Page { view: page.view.clone(), ..*page };
        page.view.person = Some(name.to_owned());
        let notice = self.page_notice(rules, incident, &page);
        let (mut deliveries, mut later) = (Vec::new(), None::<Timestamp>);
        for (place, contact) in person.contacts.iter().enumerate() {
            if incident.severity < contact.min_severity {
                continue;
            }
            let due = quiet_until(person, incident.severity, self.at + contact.after.0);
            if due > self.at {
                let key = TimerKey::Contact { incident: incident.id, person: name.to_owned(), contact: place };
                self.state.set_timer(key, due);
                later = Some(later.map_or(due, |first| first.min(due)));
            } else {
                let because = format!("{} is paged by step {}", page.view.whom, page.step.step + 1);
                let to = contact.to.as_deref();
                deliveries.push(self.tell(incident, &contact.via, to, &because, notice.clone()));
            }
        }
        let note = match (deliveries.is_empty(), later) {
            (false, _) => String::new(),
            (true, Some(at)) => format!("first contact at {at}: quiet hours or a contact that comes later"),
            (true, None) => "has no contact for this severity".to_owned(),
        };
        let reached = !deliveries.is_empty() || later.is_some();
        self.follows(format!(
            "{} ({}): {}",
            page.view.whom,
            page.target,
            if note.is_empty() { "paged" } else { &note }
        ));
        self.record(incident, &page, Some(name), deliveries, &note);
        reached
    }

    /// A later contact of a person who was paged and has not reacted.
    pub(super) fn contact_due(&mut self, id: IncidentId, name: &str, place: usize, due: Timestamp) {
        let (Some(rules), Some(mut incident)) = (self.rules(), self.state.incident(id).cloned()) else {
            return;
        };
        let Some((person, contact)) = contact_of(&rules, name, place) else {
            return;
        };
        if incident.state != IncidentState::Triggered || !incident.suppressed_by.is_empty() {
            return;
        }
        self.means(format!("{} has not reacted to incident #{}", person_title(&rules, name), incident.number));
        self.concerns(id);
        let (via, to) = (contact.via.clone(), contact.to.clone());
        let target = Target::Person(name.to_owned());
        let step = DueStep { cycle: 0, step: 0, due, targets: vec![target.clone()] };
        let mut view = page_view(&incident, &step, person_title(&rules, name), self.at);
        view.person = Some(name.to_owned());
        let page = Page { step: &step, target: &target, view };
        let notice = self.page_notice(&rules, &incident, &page);
        let because = format!("{}'s next contact: nobody has reacted", person.name.as_deref().unwrap_or(name));
        let delivery = self.tell(&mut incident, &via, to.as_deref(), &because, notice);
        self.follows(format!("{name} is paged through {via} too"));
        self.record(&incident, &page, Some(name), vec![delivery], "further contact of the person");
        self.state.put_incident(incident);
    }

    fn page_notice(&self, rules: &Rules, incident: &Incident, page: &Page<'_>) -> Notice {
        let (summary, at) = self.latest(incident);
        let mut notice = self.notice(rules, incident, summary, at, Context::default());
        notice.page = Some(page.view.clone());
        notice
    }

    fn record(
        &mut self,
        incident: &Incident,
        page: &Page<'_>,
        person: Option<&str>,
        deliveries: Vec<DeliveryId>,
        note: &str,
    ) {
        let zone = person.and_then(|name| Some(self.rules()?.source().people.get(name)?.zone.clone()));
        let record = PageRecord {
            seq: self.seq,
            ordinal: 0,
            incident: incident.id,
            life: incident.reopened,
            at: self.at,
            due: page.step.due,
            cycle: page.step.cycle,
            step: u32::try_from(page.step.step).unwrap_or(u32::MAX),
            target: page.target.to_string(),
            team: incident.owner.to_string(),
            severity: incident.severity,
            person: person.map(str::to_owned),
            out_of_hours: zone.is_some_and(|zone| out_of_hours(zone.local(self.at))),
            deliveries,
            note: note.to_owned(),
        };
        let whom = person.map_or_else(|| record.target.clone(), |name| format!("{name} ({})", record.target));
        let late = page.view.late_s.map_or_else(String::new, |late| format!(", {late} s late"));
        let what = if note.is_empty() { "paged" } else { note };
        let summary = format!("#{} {whom}: {what}{late}", incident.number);
        self.audit("page.decided", summary, Some(incident.id), record.deliveries.first().copied());
        self.record_page(record);
    }
}

fn policy_name(incident: &Incident) -> &str {
    incident.course.as_ref().map_or("", |course| &course.policy_name)
}

/// The name of a person for people.
pub(super) fn person_title(rules: &Rules, name: &str) -> String {
    rules.source().people.get(name).and_then(|person| person.name.clone()).unwrap_or_else(|| name.to_owned())
}

fn contact_of<'a>(rules: &'a Rules, name: &str, place: usize) -> Option<(&'a Person, &'a Contact)> {
    let person = rules.source().people.get(name)?;
    Some((person, person.contacts.get(place)?))
}

fn page_view(incident: &Incident, step: &DueStep, whom: String, now: Timestamp) -> PageView {
    let late = now.duration_since(step.due);
    let course = incident.course.as_deref();
    let next = course.and_then(|course| course.outlook(1).pop()).map(|next| {
        let targets: Vec<String> = next.targets.iter().map(ToString::to_string).collect();
        format!("in {:#}: {}", next.due.duration_since(now), targets.join(", "))
    });
    PageView {
        whom,
        person: None,
        step: u32::try_from(step.step + 1).unwrap_or(u32::MAX),
        steps: u32::try_from(course.map_or(1, |course| course.policy.steps.len())).unwrap_or(u32::MAX),
        cycle: step.cycle,
        late_s: (late > limits::LATE_AFTER).then_some(late.as_secs()),
        next,
    }
}

/// When a person may be told: at `due`, or when their quiet hours end if what happened can wait.
fn quiet_until(person: &Person, severity: Severity, due: Timestamp) -> Timestamp {
    let Some(quiet) = person.quiet.as_ref().filter(|quiet| severity < quiet.below) else {
        return due;
    };
    let mut due = due;
    // Each round leaves one interval; overlapping ones are left one after the other.
    for _ in 0..=quiet.during.len() {
        let local = quiet.during.iter().map(|interval| TimeInterval {
            location: interval.location.clone().or_else(|| Some(person.zone.clone())),
            ..interval.clone()
        });
        let inside = local.into_iter().find(|interval| interval.contains(due));
        match inside.and_then(|interval| interval.next_change(due)) {
            Some(end) => due = end,
            None => break,
        }
    }
    due
}

/// Outside Monday to Friday, 09:00 to 17:00.
fn out_of_hours(local: jiff::civil::DateTime) -> bool {
    let weekend = matches!(local.date().weekday(), Weekday::Saturday | Weekday::Sunday);
    weekend || !(9..17).contains(&local.hour())
}
