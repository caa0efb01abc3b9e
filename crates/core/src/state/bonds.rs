//! How incidents hang together: indexes over what is in memory, made anew at start.
//!
//! Invariants: derived from alerts and incidents alone and kept in step with every change of them; only what is unusual
//! is indexed (alerts of other pipelines, groups by other labels, members of storms), so a plain incident costs one entry.

use super::State;
use crate::ids::IncidentId;
use crate::incident::{Alert, AlertKey, Incident};
use crate::run::{Name, PipelineKey};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The indexes.
#[derive(Clone, Debug, Default)]
pub(super) struct Bonds {
    /// Alerts that fire in an incident of another pipeline.
    guests: BTreeMap<IncidentId, BTreeSet<AlertKey>>,
    /// Open incidents by the values of other labels than owner and pipeline.
    groups: BTreeMap<Name, IncidentId>,
    /// Open members of a storm.
    members: BTreeMap<IncidentId, BTreeSet<IncidentId>>,
    /// Incidents in memory by owner and opening.
    openings: BTreeSet<(Name, Timestamp, IncidentId)>,
    /// The incident that was resolved last, by what it was about.
    ended: BTreeMap<Subject, IncidentId>,
    /// Resolved incidents in memory, oldest first.
    resolved: BTreeSet<(Timestamp, IncidentId)>,
    /// Firing alerts that inhibit; absent until looked for.
    inhibitors: Option<Inhibitors>,
}

/// The place of an inhibition, and the values that must be equal.
type Inhibits = (usize, Vec<String>);

/// Firing alerts that inhibit, both ways.
#[derive(Clone, Debug, Default)]
struct Inhibitors {
    alerts: BTreeMap<Inhibits, BTreeSet<AlertKey>>,
    of_alert: BTreeMap<AlertKey, Vec<Inhibits>>,
}

impl Bonds {
    pub(super) fn forget_inhibitors(&mut self) {
        self.inhibitors = None;
    }
}

/// What an incident is about: owner, pipeline, and group where it has one.
type Subject = (Name, PipelineKey, Option<Name>);

fn subject(incident: &Incident) -> Subject {
    let none = PipelineKey { source: "".into(), name: "".into() };
    let pipeline = if incident.group.is_some() { none } else { incident.pipeline.clone() };
    (incident.owner.clone(), pipeline, incident.group.clone())
}

impl State {
    /// The alerts that fire in an incident.
    pub fn alerts_in<'a>(&'a self, incident: &'a Incident) -> impl Iterator<Item = &'a Alert> {
        let guests = self.bonds.guests.get(&incident.id).into_iter().flatten().filter_map(|key| self.alert(key));
        self.alerts_of(&incident.pipeline).filter(|alert| alert.incident == Some(incident.id)).chain(guests)
    }

    /// The open incident of a group by other labels than owner and pipeline.
    pub(crate) fn incident_of_group(&self, group: &str) -> Option<&Incident> {
        self.incident(*self.bonds.groups.get(group)?)
    }

    /// Open members of a storm.
    pub(crate) fn members_of(&self, storm: IncidentId) -> impl Iterator<Item = &Incident> {
        self.bonds.members.get(&storm).into_iter().flatten().filter_map(|id| self.incident(*id))
    }

    /// How many open members a storm has.
    pub(crate) fn count_members(&self, storm: IncidentId) -> usize {
        self.bonds.members.get(&storm).map_or(0, BTreeSet::len)
    }

    /// How many incidents of an owner that are in memory were opened after `since`.
    pub(crate) fn opened_since(&self, owner: &Name, since: Timestamp) -> usize {
        let first = (owner.clone(), since, IncidentId(uuid::Uuid::max()));
        self.bonds.openings.range(first..).take_while(|(of, _, _)| of == owner).count()
    }

    /// The incident about the same that was resolved last, when it is still in memory.
    pub(crate) fn ended_before(&self, like: &Incident) -> Option<&Incident> {
        self.incident(*self.bonds.ended.get(&subject(like))?).filter(|incident| !incident.is_open())
    }

    /// True when alerts that inhibit are indexed.
    pub(crate) fn inhibitors_known(&self) -> bool {
        self.bonds.inhibitors.is_some()
    }

    pub(crate) fn begin_inhibitors(&mut self) {
        self.bonds.inhibitors = Some(Inhibitors::default());
    }

    /// Notes what an alert inhibits, instead of what it did before. True when what [`State::inhibitor`] answers changed:
    /// the hundredth alert that inhibits the same changes nothing, so a storm of them is not looked at anew each time.
    pub(crate) fn put_inhibitor(&mut self, key: &AlertKey, inhibits: Vec<Inhibits>) -> bool {
        let all = self.bonds.inhibitors.get_or_insert_default();
        let before = all.of_alert.remove(key).unwrap_or_default();
        let mut changed = false;
        for known in before.iter().filter(|known| !inhibits.contains(known)) {
            if let Some(alerts) = all.alerts.get_mut(known) {
                changed |= alerts.first() == Some(key);
                alerts.remove(key);
                if alerts.is_empty() {
                    all.alerts.remove(known);
                }
            }
        }
        for now in inhibits.iter().filter(|now| !before.contains(now)) {
            let alerts = all.alerts.entry(now.clone()).or_default();
            alerts.insert(key.clone());
            changed |= alerts.first() == Some(key);
        }
        if !inhibits.is_empty() {
            all.of_alert.insert(key.clone(), inhibits);
        }
        changed
    }

    /// The first alert that inhibits by an inhibition with these equal values.
    pub(crate) fn inhibitor(&self, place: usize, equal: &[String]) -> Option<&AlertKey> {
        self.bonds.inhibitors.as_ref()?.alerts.get(&(place, equal.to_vec()))?.first()
    }

    /// The alert inhibits nothing any more. True as for [`State::put_inhibitor`].
    pub(crate) fn drop_inhibitor(&mut self, key: &AlertKey) -> bool {
        self.bonds.inhibitors.is_some() && self.put_inhibitor(key, Vec::new())
    }

    pub(super) fn bind_alert(&mut self, alert: &Alert) {
        let foreign = alert
            .incident
            .filter(|id| self.incidents.get(id).is_none_or(|incident| incident.pipeline != alert.key.pipeline));
        let known = self.alerts.get(&alert.key).and_then(|known| known.incident);
        if known != foreign {
            self.unbind_alert(&alert.key, known);
        }
        if let Some(incident) = foreign {
            self.bonds.guests.entry(incident).or_default().insert(alert.key.clone());
        }
    }

    pub(super) fn unbind_alert(&mut self, key: &AlertKey, incident: Option<IncidentId>) {
        let Some(incident) = incident else {
            return;
        };
        if let Some(guests) = self.bonds.guests.get_mut(&incident) {
            guests.remove(key);
            if guests.is_empty() {
                self.bonds.guests.remove(&incident);
            }
        }
    }

    /// Takes the known value out; the caller puts the new one in.
    pub(super) fn bind_incident(&mut self, incident: &Incident) {
        let id = incident.id;
        if let Some(known) = self.incidents.remove(&id) {
            self.unbind_incident(&known);
        }
        self.bonds.openings.insert((incident.owner.clone(), incident.opened, id));
        if let (Some(group), true) = (&incident.group, incident.is_open()) {
            self.bonds.groups.insert(group.clone(), id);
        }
        if let (Some(parent), true) = (incident.parent, incident.is_open()) {
            self.bonds.members.entry(parent).or_default().insert(id);
        }
        if let (Some(at), false) = (incident.resolved, incident.is_open()) {
            self.bonds.resolved.insert((at, id));
            // At start incidents come in any order; the one that was resolved last counts.
            let known = self.bonds.ended.get(&subject(incident)).and_then(|known| self.incidents.get(known));
            let newer = known.is_none_or(|known| (known.resolved, known.number) < (Some(at), incident.number));
            if newer {
                self.bonds.ended.insert(subject(incident), id);
            }
        }
        // An alert that was kept before its incident was known counted as foreign.
        if let Some(guests) = self.bonds.guests.get_mut(&id) {
            guests.retain(|key| key.pipeline != incident.pipeline);
            if guests.is_empty() {
                self.bonds.guests.remove(&id);
            }
        }
    }

    fn unbind_incident(&mut self, incident: &Incident) {
        let id = incident.id;
        self.bonds.openings.remove(&(incident.owner.clone(), incident.opened, id));
        if let Some(group) = &incident.group
            && self.bonds.groups.get(group) == Some(&id)
        {
            self.bonds.groups.remove(group);
        }
        if let Some(parent) = incident.parent
            && let Some(members) = self.bonds.members.get_mut(&parent)
        {
            members.remove(&id);
            if members.is_empty() {
                self.bonds.members.remove(&parent);
            }
        }
        if let Some(at) = incident.resolved {
            self.bonds.resolved.remove(&(at, id));
        }
        if self.bonds.ended.get(&subject(incident)) == Some(&id) {
            self.bonds.ended.remove(&subject(incident));
        }
    }

    /// Lets go of incidents that were resolved before `until`.
    pub(super) fn forget_resolved(&mut self, until: Timestamp) {
        while let Some((at, id)) = self.bonds.resolved.first().copied() {
            if at >= until {
                break;
            }
            if let Some(incident) = self.incidents.remove(&id) {
                self.unbind_incident(&incident);
            }
            self.bonds.resolved.remove(&(at, id));
        }
    }
}
