//! People who leave and come back, as the system says that knows them: what that opens, and who is told of it.
//!
//! Invariants: whoever has left is paged by nothing, from the instant of the decision on; what they held is nobody's
//! again; the turns of the others do not move. The gap is told to the teams whose pages go there, once.

use super::escalation::person_title;
use super::turn::Turn;
use crate::duty::absence::{Absence, Changes};
use crate::duty::schedule::{OnCall, Schedule, Shift};
use crate::effect::Action;
use crate::event::Severity;
use crate::incident::IncidentState;
use crate::input::PersonEdit;
use crate::limits;
use crate::notice::{Notice, OwnerView};
use crate::rules::Rules;
use crate::ruleset::people::Target;
use crate::timer::TimerKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far ahead the gaps are looked for that somebody leaves.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_hours(28 * 24);

impl Turn<'_> {
    /// Somebody left or came back.
    pub(super) fn on_people(&mut self, edits: &[PersonEdit]) {
        for edit in edits {
            match edit {
                PersonEdit::Gone { person, because } => self.person_gone(person, because),
                PersonEdit::Back { person } => self.person_back(person),
            }
        }
        let Some(rules) = self.rules() else { return };
        for schedule in rules.source().schedules.keys() {
            self.set_handover(schedule);
        }
    }

    fn person_gone(&mut self, person: &str, because: &str) {
        if self.state.gone().contains_key(person) {
            return;
        }
        let rules = self.rules();
        let title = rules.as_ref().map_or_else(|| person.to_owned(), |rules| person_title(rules, person));
        self.means(format!("{title} has left: {because}"));
        self.audit("person.gone", format!("{title}: {because}"), None, None);
        let absence = Absence { person: person.to_owned(), since: self.at, because: because.to_owned() };
        let before = self.state.gone().clone();
        self.state.put_absence(absence);
        let Some(rules) = rules else { return };
        self.stop_contacting(person);
        let lost = self.what_opens(&rules, person, &before);
        if lost.is_empty() {
            self.follows("takes part in no schedule and no escalation");
        } else {
            self.tell_of_gap(&rules, person, &title, &lost);
        }
        self.hand_back(&rules, person, &title);
    }

    fn person_back(&mut self, person: &str) {
        if !self.state.end_absence(person) {
            return;
        }
        let title = self.rules().map_or_else(|| person.to_owned(), |rules| person_title(&rules, person));
        self.means(format!("{title} is back"));
        self.audit("person.back", format!("{title} takes their turns on call again"), None, None);
    }

    /// What is open from now on, by the schedule or policy that it is about.
    fn what_opens(&self, rules: &Rules, person: &str, before: &crate::duty::absence::Gone) -> BTreeMap<Target, String> {
        let mut lost = BTreeMap::new();
        for (name, schedule) in &rules.source().schedules {
            let overrides = self.state.overrides(name);
            let before = Changes { overrides: &overrides, gone: Some(before) };
            let now = Changes { overrides: &overrides, gone: Some(self.state.gone()) };
            if let Some(text) = self.turns_lost(rules, person, schedule, before, now) {
                lost.insert(Target::OnCall(name.clone()), format!("{name}: {text}"));
            }
        }
        let direct = Target::Person(person.to_owned());
        let policies = rules.source().escalations.iter();
        let named = policies.filter(|(_, policy)| policy.steps.iter().any(|step| step.targets.contains(&direct)));
        let named: Vec<&str> = named.map(|(name, _)| name.as_str()).collect();
        if !named.is_empty() {
            let text = format!("escalation {}: pages them by name, which reaches nobody", named.join(", "));
            lost.insert(direct, text);
        }
        lost
    }

    /// The turns somebody loses in one schedule, and who is on call instead.
    fn turns_lost(
        &self,
        rules: &Rules,
        person: &str,
        schedule: &Schedule,
        before: Changes<'_>,
        now: Changes<'_>,
    ) -> Option<String> {
        let until = self.at.saturating_add(AHEAD).ok()?;
        let turns = schedule.shifts(before, self.at, until);
        let turns: Vec<&Shift> = turns.iter().filter(|shift| has(&shift.on_call, person)).collect();
        if turns.is_empty() {
            let part =
                schedule.layers.iter().any(|layer| layer.rotation.participants.iter().any(|name| name == person));
            return part.then(|| "they take part, with no turn in the next four weeks".to_owned());
        }
        let pieces = turns.iter().flat_map(|turn| schedule.shifts(now, turn.start, turn.end));
        let pieces: Vec<String> = pieces.map(|piece| piece_text(rules, &piece)).collect();
        let more = pieces.len().saturating_sub(limits::ABSENCE_TURNS);
        let mut text = pieces.into_iter().take(limits::ABSENCE_TURNS).collect::<Vec<_>>().join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more in the next four weeks"));
        }
        Some(text)
    }

    /// Warns the teams whose pages go where the gap is, and the connections that hear of the schedule.
    fn tell_of_gap(&mut self, rules: &Rules, person: &str, title: &str, lost: &BTreeMap<Target, String>) {
        for text in lost.values() {
            self.audit("oncall.gap", format!("{title} has left. {text}"), None, None);
            self.follows(text.clone());
        }
        let about: BTreeSet<&Target> = lost.keys().collect();
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        for (name, team) in &rules.source().teams {
            let policy = team.escalation.as_ref().and_then(|policy| rules.source().escalations.get(policy));
            let paged = policy.is_some_and(|policy| {
                policy.steps.iter().flat_map(|step| &step.targets).any(|target| about.contains(target))
            });
            if paged || team.members.iter().any(|member| member == person) {
                for notify in rules.notify(name).iter().filter(|notify| notify.min_severity <= Severity::Warning) {
                    told.entry(notify.via.clone()).or_insert_with(|| name.clone());
                }
            }
        }
        let default = &rules.source().owners.default;
        let schedules = about.iter().filter_map(|target| match target {
            Target::OnCall(name) => rules.source().schedules.get(name),
            _ => None,
        });
        for via in schedules.flat_map(|schedule| &schedule.announce) {
            told.entry(via.clone()).or_insert_with(|| default.clone());
        }
        if told.is_empty() {
            let ways = rules.notify(default).iter().take(1);
            told.extend(ways.map(|notify| (notify.via.clone(), default.clone())));
        }
        let headline = format!("{title} has left and was to be on call");
        let summary = lost.values().cloned().collect::<Vec<_>>().join(". ");
        for (via, team) in told {
            self.warn(&via, &team, &headline, &summary);
        }
    }

    fn warn(&mut self, via: &str, team: &str, title: &str, summary: &str) {
        if self.rules().and_then(|rules| rules.connection(via)).is_none_or(|info| !info.kind.can_tell()) {
            return;
        }
        let owner = OwnerView { team: team.to_owned(), because: "its pages would have gone there".to_owned() };
        let notice = Notice::plain(title.to_owned(), summary.to_owned(), Severity::Warning, self.at, owner);
        let delivery = self.effect(via, Action::Message, None, notice);
        self.audit("notify.decided", format!("message via {via}: {title}"), None, Some(delivery));
    }

    /// Whoever has left is not contacted any more about what is open.
    fn stop_contacting(&mut self, person: &str) {
        let theirs = |key: &&TimerKey| matches!(key, TimerKey::Contact { person: whom, .. } if whom == person);
        let keys: Vec<TimerKey> = self.state.timers().map(|(key, _)| key).filter(theirs).cloned().collect();
        for key in keys {
            self.state.clear_timer(&key);
        }
    }

    /// What somebody had acknowledged is nobody's again.
    fn hand_back(&mut self, rules: &Arc<Rules>, person: &str, title: &str) {
        let held = |state: IncidentState| matches!(state, IncidentState::Acknowledged | IncidentState::Snoozed);
        let theirs = self.state.open_incidents().filter(|incident| {
            held(incident.state)
                && incident.acknowledged_by.as_deref().is_some_and(|who| rules.person(who).unwrap_or(who) == person)
        });
        let mut theirs: Vec<_> = theirs.cloned().collect();
        theirs.sort_by_key(|incident| incident.number);
        for mut incident in theirs {
            let what = format!("{title}, who had it, has left");
            let summary = format!("#{} {what}", incident.number);
            self.concerns(incident.id);
            self.follows(summary.clone());
            self.audit("incident.retriggered", summary, Some(incident.id), None);
            self.retrigger(&mut incident);
            if incident.suppressed_by.is_empty() {
                self.tell_again(rules, &mut incident, &what);
            }
            self.state.put_incident(incident);
        }
    }
}

fn has(on_call: &OnCall, person: &str) -> bool {
    on_call.users.iter().any(|user| user == person)
}

fn piece_text(rules: &Rules, piece: &Shift) -> String {
    let who = match piece.on_call.users.as_slice() {
        [] => "nobody is on call".to_owned(),
        users => {
            let names: Vec<String> = users.iter().map(|user| person_title(rules, user)).collect();
            format!("{} instead", names.join(", "))
        }
    };
    format!("{} to {}: {who}", piece.start, piece.end)
}
