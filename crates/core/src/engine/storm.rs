//! Storms: more new incidents of one owner than anybody can read become one.
//!
//! Invariants: the first incidents of every owner pass; nothing is lost, members keep their own timelines and are told
//! through the storm's incident; the storm is over when its last member is, a digest follows when no more come.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::OwnerTrail;
use crate::ids::IncidentId;
use crate::incident::{AlertKey, Incident};
use crate::limits;
use crate::rules::Rules;
use crate::run::PipelineKey;
use crate::timer::TimerKey;
use std::collections::BTreeMap;

/// Source of the incidents that stand for storms. Events from outside cannot use it.
const STORM_SOURCE: &str = "trackside.storm";
/// Name of the built-in rule.
const RULE: &str = "storm";
/// Pipelines named in a digest.
const NAMED: usize = 5;

impl Turn<'_> {
    /// The storm that a new incident is part of, when its owner has had too many.
    pub(super) fn storm_of(&mut self, rules: &Rules, incident: &Incident) -> Option<IncidentId> {
        let limit = rules.source().incidents.storm?;
        if incident.pipeline.source.starts_with(limits::OWN_SOURCES) {
            return None;
        }
        let since = self.at.checked_sub(limit.within.0).ok()?;
        let key = storm_key(&incident.owner);
        let goes_on = self.state.timer(&TimerKey::StormEnds { owner: incident.owner.to_string() }).is_some();
        let open = self.state.alert(&key).and_then(|alert| alert.incident).filter(|_| goes_on);
        let recent = self.state.opened_since(&incident.owner, since);
        if open.is_none() && recent < usize::try_from(limit.incidents).unwrap_or(usize::MAX) {
            return None;
        }
        self.state.set_timer(TimerKey::StormEnds { owner: incident.owner.to_string() }, self.at + limit.within.0);
        let members = open.map_or(0, |storm| self.state.count_members(storm));
        let summary = format!("{} and {members} more of team {}", incident.title, incident.owner);
        let title = format!(
            "Storm: more than {} new incidents of team {} in {}",
            limit.incidents, incident.owner, limit.within
        );
        let firing = Firing {
            key: key.clone(),
            severity: incident.severity,
            threshold: 1,
            title,
            summary,
            occurred: self.at,
            owner: OwnerTrail {
                team: incident.owner.to_string(),
                because: "its incidents make up the storm".to_owned(),
                passed_over: Vec::new(),
            },
            run_name: None,
            labels: BTreeMap::new(),
            context: Context::default(),
        };
        self.fire(rules, &firing);
        self.state.alert(&key)?.incident
    }

    /// No more members have come for a while: tells what the storm was.
    pub(super) fn storm_ends(&mut self, owner: &str) {
        let found = self.state.alert(&storm_key(owner)).and_then(|alert| alert.incident);
        let (Some(rules), Some(mut storm)) = (self.rules(), found.and_then(|id| self.state.incident(id)).cloned())
        else {
            return;
        };
        self.means(format!("no more incidents of team {owner} have come"));
        self.concerns(storm.id);
        let members: Vec<&Incident> = self.state.members_of(storm.id).collect();
        let names: Vec<&str> = members.iter().take(NAMED).map(|member| &*member.pipeline.name).collect();
        let more = members.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let summary = format!("{} incidents are still open: {}{more}", members.len(), names.join(", "));
        self.audit("storm.digest", format!("#{} {summary}", storm.number), Some(storm.id), None);
        let notice = self.notice(&rules, &storm, summary, self.at, Context::default());
        let list = super::tell::told_of(&storm);
        self.tell_list(&rules, &mut storm, list, &notice, true);
        self.state.put_incident(storm);
    }

    /// A storm was resolved by hand: so are its members, of which nobody else was told.
    pub(super) fn storm_resolved(&mut self, storm: &Incident) {
        if !is_storm(storm) {
            return;
        }
        self.state.clear_timer(&TimerKey::StormEnds { owner: storm.owner.to_string() });
        let members: Vec<Incident> = self.state.members_of(storm.id).cloned().collect();
        for member in members {
            self.resolve(member, &format!("resolved with the storm #{}", storm.number), &Context::default());
        }
    }

    /// A member of a storm is over; the storm is over with the last one.
    pub(super) fn member_resolved(&mut self, incident: &Incident) {
        let Some(storm) = incident.parent.and_then(|id| self.state.incident(id)) else {
            return;
        };
        let over = storm.is_open() && self.state.members_of(storm.id).next().is_none();
        let key = storm_key(&storm.owner);
        if over && self.state.alert(&key).is_some_and(|alert| alert.incident == Some(storm.id)) {
            self.state.clear_timer(&TimerKey::StormEnds { owner: storm.owner.to_string() });
            self.clear(&key, "every incident of the storm is resolved", &Context::default());
        }
    }
}

/// True for an incident that stands for a storm.
pub(super) fn is_storm(incident: &Incident) -> bool {
    &*incident.pipeline.source == STORM_SOURCE
}

fn storm_key(owner: &str) -> AlertKey {
    AlertKey {
        pipeline: PipelineKey { source: STORM_SOURCE.into(), name: owner.into() },
        rule: RULE.into(),
        subject: "".into(),
    }
}
