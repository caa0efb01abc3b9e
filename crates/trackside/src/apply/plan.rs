//! What another configuration would change, section by section.
//!
//! Invariants: every section that a server uses is compared; secrets appear as references only, because a configuration
//! has nothing else; sections come in the order of the reference, things in the order of their names.

use super::difference;
use crate::config::{Config, ConfiguredAutomation};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, AutomationId, AutomationSpec, Origin, Semantics};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::automation::written::written;
use trackside_core::ids::derive;
use trackside_identity::scim::ScimConfig;
use trackside_web::{Change, ConfigChange, FieldChange};

/// The sections, in the order they are shown.
const SECTIONS: [&str; 29] = [
    "server",
    "teams",
    "people",
    "schedules",
    "escalations",
    "owners",
    "rules",
    "calendars",
    "pipelines",
    "upstreams",
    "incidents",
    "inhibitions",
    "maintenance",
    "connections",
    "jobs",
    "approvals",
    "gateway",
    "routes",
    "workload",
    "vaults",
    "canary",
    "heartbeat_out",
    "tokens",
    "issuers",
    "sign_in",
    "scim",
    "certificates",
    "policies",
    "automations",
];
/// Sections that take effect at the next start.
const AT_START: [&str; 3] = ["server", "gateway", "heartbeat_out"];
/// Their fields that a reload takes over.
const LIVE_FIELDS: [(&str, &str); 3] =
    [("server", "public_url"), ("gateway", "trusted_proxies"), ("gateway", "body_timeout")];

/// A configuration as it is compared: things by section and name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View(BTreeMap<&'static str, BTreeMap<String, Value>>);

impl View {
    /// A configuration without its automations.
    pub(super) fn of(config: &Config) -> Self {
        let rules = &config.ruleset;
        let tokens = config.tokens.iter().map(|token| (&token.name, unnamed(value(token))));
        let certificates = config.certificates.iter().map(|rule| (&rule.name, unnamed(value(rule))));
        let policies = config.policies.texts().iter().map(|(name, text)| (name, json!({"": text})));
        Self(BTreeMap::from([
            ("server", fields(&config.server)),
            ("teams", values(&rules.teams)),
            ("people", values(&rules.people)),
            ("schedules", values(&rules.schedules)),
            ("escalations", values(&rules.escalations)),
            ("owners", only(value(&rules.owners))),
            ("rules", named(rules.rules.iter().map(|rule| (&rule.name, unnamed(value(rule)))))),
            ("calendars", rules.calendars.iter().map(|(name, days)| (name.clone(), json!({"": days}))).collect()),
            ("pipelines", only(json!({"": value(&rules.pipelines)}))),
            ("upstreams", only(json!({"": value(&rules.upstreams)}))),
            ("incidents", only(value(&rules.incidents))),
            ("inhibitions", only(json!({"": value(&rules.inhibitions)}))),
            ("maintenance", named(rules.maintenance.iter().map(|window| (&window.name, unnamed(value(window)))))),
            ("connections", values(&config.connections)),
            ("jobs", values(&rules.jobs)),
            ("approvals", values(&rules.approvals)),
            ("gateway", config.gateway.iter().flat_map(fields).collect()),
            ("routes", values(&config.routes)),
            ("workload", only(value(&config.workload))),
            ("vaults", values(&config.secrets.wanted.sources)),
            ("issuers", values(&config.issuers)),
            ("sign_in", config.sign_in.iter().map(|sign_in| (String::new(), value(sign_in))).collect()),
            ("certificates", named(certificates)),
            ("policies", named(policies)),
            ("canary", rules.canary.iter().map(|canary| (String::new(), value(canary))).collect()),
            ("heartbeat_out", config.heartbeat_out.iter().map(|out| (String::new(), value(out))).collect()),
            ("scim", if config.scim == ScimConfig::default() { BTreeMap::new() } else { only(value(&config.scim)) }),
            ("tokens", named(tokens)),
        ]))
    }

    /// With the automations that files keep, as they are in force.
    pub(super) fn with_kept(mut self, kept: &[Automation]) -> Self {
        let ours = kept.iter().filter(|automation| automation.origin == Origin::Files);
        let shown = ours.map(|one| (one.spec.name.clone(), automation(&one.spec, one.semantics)));
        self.0.insert("automations", shown.collect());
        self
    }

    /// With the automations of files, as they will be in force: one that files do not touch stays as it is.
    pub(super) fn with_wanted(
        mut self,
        wanted: &[ConfiguredAutomation],
        kept: &[Automation],
        edits: &[AutomationEdit],
    ) -> Self {
        let put: BTreeSet<AutomationId> = edits
            .iter()
            .filter_map(|edit| match edit {
                AutomationEdit::Put(new) => Some(new.id),
                _ => None,
            })
            .collect();
        let kept: BTreeMap<AutomationId, &Automation> = kept.iter().map(|kept| (kept.id, kept)).collect();
        let shown = wanted.iter().map(|wanted| {
            let stays = kept.get(&wanted.id).filter(|kept| !put.contains(&kept.id));
            let (spec, semantics) = stays.map_or((&wanted.spec, wanted.semantics), |kept| (&kept.spec, kept.semantics));
            (wanted.spec.name.clone(), automation(spec, semantics))
        });
        self.0.insert("automations", shown.collect());
        self
    }

    /// Stands for all of it.
    pub(super) fn fingerprint(&self) -> String {
        derive("configuration", &[&json!(self.0).to_string()]).to_string()
    }
}

/// What changes from one configuration to another.
pub(super) fn changes(before: &View, after: &View) -> Vec<ConfigChange> {
    let mut changes = Vec::new();
    let none = BTreeMap::new();
    for section in SECTIONS {
        let (old, new) = (before.0.get(section).unwrap_or(&none), after.0.get(section).unwrap_or(&none));
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        // A gateway that was not there does not begin to listen at a reload.
        let later =
            |name: &str| AT_START.contains(&section) && (old.is_empty() || !LIVE_FIELDS.contains(&(section, name)));
        changes.extend(names.into_iter().filter_map(|name| {
            let (change, fields) = changed(old.get(name), new.get(name))?;
            let needs_restart = later(name);
            Some(ConfigChange { section: section.to_owned(), name: name.clone(), change, fields, needs_restart })
        }));
    }
    changes
}

/// How a thing changes, and in which fields; `None` when it does not.
fn changed(old: Option<&Value>, new: Option<&Value>) -> Option<(Change, Vec<FieldChange>)> {
    let (change, fields) = match (old, new) {
        (Some(old), Some(new)) => (Change::Changed, difference::fields(old, new)),
        (None, Some(new)) => (Change::New, difference::all(new)),
        (Some(_), None) => (Change::Removed, Vec::new()),
        (None, None) => return None,
    };
    (change != Change::Changed || !fields.is_empty()).then_some((change, fields))
}

/// Things by their names.
fn values<T: Serialize>(things: &BTreeMap<String, T>) -> BTreeMap<String, Value> {
    things.iter().map(|(name, thing)| (name.clone(), value(thing))).collect()
}

/// Entries of a list by the names that they have.
fn named<'a>(things: impl Iterator<Item = (&'a String, Value)>) -> BTreeMap<String, Value> {
    things.map(|(name, thing)| (name.clone(), thing)).collect()
}

/// A section that is one thing.
fn only(thing: Value) -> BTreeMap<String, Value> {
    BTreeMap::from([(String::new(), thing)])
}

/// Settings, each a thing of its own: some of them need a restart.
fn fields(settings: &impl Serialize) -> BTreeMap<String, Value> {
    let Value::Object(fields) = value(settings) else { return BTreeMap::new() };
    fields.into_iter().map(|(name, setting)| (name, json!({"": setting}))).collect()
}

/// An automation as people write it.
fn automation(spec: &AutomationSpec, semantics: Semantics) -> Value {
    unnamed(written(spec, semantics).unwrap_or_default())
}

/// Without its name, which is shown beside it.
fn unnamed(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|field, _| field != "name");
    }
    value
}

/// What is configured was read from YAML, so JSON can hold it.
fn value(thing: impl Serialize) -> Value {
    serde_json::to_value(thing).unwrap_or(Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sections;

    /// A section that is not compared would be changed without a word.
    #[test]
    fn every_section_is_compared() {
        let sections = value(Sections::default());
        for section in sections.as_object().expect("sections").keys() {
            let used = !matches!(section.as_str(), "tests" | "policy_tests");
            assert_eq!(SECTIONS.contains(&section.as_str()), used, "{section}");
        }
    }
}
