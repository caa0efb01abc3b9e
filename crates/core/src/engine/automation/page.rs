//! Incidents that automations open and end.
//!
//! Invariants: one alert per (automation, pipeline, `for_each` values), so that firing again repeats instead of
//! opening another incident; an alert ends with the condition, with the next success of its pipeline, or by hand.

use super::super::incident::{Context, Firing as Raised};
use super::super::turn::Turn;
use super::act::Carried;
use super::rule_name;
use crate::automation::definition::Automation;
use crate::automation::firing::Firing;
use crate::automation::template::{self, TemplateContext};
use crate::decision::OwnerTrail;
use crate::event::{Event, Fact, RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, Severity};
use crate::incident::AlertKey;
use crate::owner;
use crate::rules::{Rules, Subject};
use crate::run::PipelineKey;
use std::collections::BTreeMap;

/// Source of incidents of automations that no event led to.
const OWN_SOURCE: &str = "trackside.automation";

/// What an incident says; templates.
pub(super) struct Words<'a> {
    pub(super) title: Option<&'a str>,
    pub(super) summary: Option<&'a str>,
}

/// What a firing is about, as owner rules see it.
struct About {
    pipeline: PipelineKey,
    name: String,
    tags: Vec<String>,
    owners: Vec<String>,
}

impl About {
    fn subject(&self) -> Subject<'_> {
        Subject {
            source: &self.pipeline.source,
            pipeline: &self.name,
            task: "",
            tags: &self.tags,
            owners: &self.owners,
        }
    }
}

impl Turn<'_> {
    /// Opens an incident, or adds to the open one.
    #[allow(clippy::too_many_arguments, reason = "what an incident is made of; each is a different thing")]
    pub(super) fn raise(
        &mut self,
        automation: &Automation,
        firing: &Firing,
        event: Option<&Event>,
        words: &Words<'_>,
        severity: Option<Severity>,
        team: Option<&str>,
        carried: &mut Carried,
    ) -> String {
        let Some(rules) = self.rules() else {
            return "nobody is told: no rules are in force yet".to_owned();
        };
        let about = self.about(automation, event);
        let tier = rules.tier(&about.subject());
        let owner = match team.and_then(|name| rules.team(name)) {
            Some(team) => OwnerTrail {
                team: team.to_owned(),
                because: format!("automation {} names the team", automation.spec.name),
                passed_over: Vec::new(),
            },
            None => owner::resolve(&rules, &about.subject()),
        };
        self.owned_by(&owner);
        let (title, summary) = say(automation, firing, event, words);
        let raised = Raised {
            key: alert_key(automation, firing, about.pipeline),
            severity: severity.unwrap_or_else(|| Rules::severity_of_tier(tier)),
            threshold: 1,
            title,
            summary,
            occurred: event.map_or(firing.at, |event| event.occurred),
            owner,
            run_name: None,
            labels: BTreeMap::new(),
            context: Context::default(),
        };
        self.fire(&rules, &raised);
        carried.incident = self.state.alert(&raised.key).and_then(|alert| alert.incident);
        match carried.incident.and_then(|id| self.state.incident(id)) {
            Some(incident) => format!("incident #{} for team {}", incident.number, incident.owner),
            None => "no incident was opened".to_owned(),
        }
    }

    /// Ends what the automation opened for the same subject.
    pub(super) fn settle(
        &mut self,
        automation: &Automation,
        firing: &Firing,
        event: Option<&Event>,
        carried: &mut Carried,
    ) -> String {
        let key = alert_key(automation, firing, self.about(automation, event).pipeline);
        match self.end_alert(&key, &format!("automation {}: {}", automation.spec.name, firing.because), carried) {
            Some(number) => format!("incident #{number}: its alert is over"),
            None => "no open incident of this automation is about it".to_owned(),
        }
    }

    /// The condition of an automation no longer holds: its alert is over, whatever its actions say.
    pub(super) fn condition_cleared(
        &mut self,
        automation: &Automation,
        firing: &Firing,
        event: Option<&Event>,
        carried: &mut Carried,
    ) {
        let key = alert_key(automation, firing, self.about(automation, event).pipeline);
        let keys: Vec<AlertKey> = match self.state.alert(&key) {
            Some(_) => vec![key],
            // The event that cleared it may be about another pipeline than the one that opened it.
            None => self.state.alerts_of_rule(&key.rule).filter(|open| open.subject == key.subject).cloned().collect(),
        };
        for key in keys {
            self.end_alert(&key, &format!("automation {}: {}", automation.spec.name, firing.because), carried);
        }
    }

    /// Ends every alert of an automation that is no more.
    pub(super) fn clear_alerts_of(&mut self, automation: &Automation, because: &str) {
        let rule = rule_name(automation).as_str().into();
        let keys: Vec<AlertKey> = self.state.alerts_of_rule(&rule).cloned().collect();
        for key in keys {
            self.clear(&key, because, &Context::default());
        }
    }

    fn end_alert(&mut self, key: &AlertKey, because: &str, carried: &mut Carried) -> Option<u64> {
        let incident = self.state.alert(key)?.incident?;
        let number = self.state.incident(incident)?.number;
        carried.incident = Some(incident);
        self.clear(key, because, &Context::default());
        Some(number)
    }

    /// What a firing is about: the pipeline of its event's run, else the event's resource, else the automation.
    fn about(&self, automation: &Automation, event: Option<&Event>) -> About {
        let Some(event) = event else {
            let name = automation.spec.name.clone();
            let pipeline = PipelineKey { source: OWN_SOURCE.into(), name: name.as_str().into() };
            return About { pipeline, name, tags: automation.spec.tags.clone(), owners: Vec::new() };
        };
        if let Some(Fact::Run(update)) = &event.fact {
            let key = PipelineKey { source: event.source.as_str().into(), name: update.pipeline.as_str().into() };
            let known = self.state.pipeline(&key);
            let or_known = |own: &[String], known: Option<&Vec<String>>| match own {
                [] => known.cloned().unwrap_or_default(),
                own => own.to_vec(),
            };
            return About {
                name: update.pipeline.clone(),
                tags: or_known(&update.tags, known.map(|pipeline| &pipeline.tags)),
                owners: or_known(&update.owners, known.map(|pipeline| &pipeline.owners)),
                pipeline: key,
            };
        }
        let label = |name: &str| event.resource.get(name).filter(|value| !value.is_empty()).cloned();
        let name = label(RESOURCE_NAME).or_else(|| label(RESOURCE_ID)).unwrap_or_else(|| event.event.clone());
        let tags = event.related.iter().filter(|related| related.get(RESOURCE_ROLE).is_some_and(|role| role == "tag"));
        About {
            pipeline: PipelineKey { source: event.source.as_str().into(), name: name.as_str().into() },
            tags: tags
                .filter_map(|tag| tag.get(RESOURCE_ID)?.strip_prefix("prefect.tag.").map(str::to_owned))
                .collect(),
            owners: ["owner", "team"].into_iter().filter_map(label).collect(),
            name,
        }
    }
}

fn alert_key(automation: &Automation, firing: &Firing, pipeline: PipelineKey) -> AlertKey {
    let subject: Vec<String> = firing.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
    AlertKey { pipeline, rule: rule_name(automation).as_str().into(), subject: subject.join(", ").as_str().into() }
}

/// The texts of an incident. One that cannot be rendered is replaced by what is known, with the reason.
fn say(automation: &Automation, firing: &Firing, event: Option<&Event>, words: &Words<'_>) -> (String, String) {
    let facts = format!("{}{}", firing.because, super::late(firing));
    if words.title.is_none() && words.summary.is_none() {
        return (automation.spec.name.clone(), facts);
    }
    let shown = serde_json::json!(automation);
    let events: Vec<Event> = event.into_iter().cloned().collect();
    let objects = event.map(template::synthesise).unwrap_or_default();
    let context = TemplateContext {
        dialect: automation.semantics.into(),
        now: firing.at,
        automation: &shown,
        event,
        firing,
        events: &events,
        objects: &objects,
        more: &serde_json::Map::new(),
        ui_url: None,
    };
    let render = |text: Option<&str>, plain: &str| match text.map(|text| template::render(text, &context)) {
        None => plain.to_owned(),
        Some(Ok(rendered)) if rendered.trim().is_empty() => plain.to_owned(),
        Some(Ok(rendered)) => rendered,
        Some(Err(error)) => format!("{plain} (its text could not be rendered: {})", error.reason()),
    };
    let title = render(words.title, &automation.spec.name);
    (title.lines().collect::<Vec<_>>().join(" "), render(words.summary, &facts))
}
