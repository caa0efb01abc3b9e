//! What another configuration would change, section by section.
//!
//! Invariants: secrets appear as references only, because a configuration has nothing else; sections come in the order
//! of the reference, things in the order of their names.

use super::difference;
use crate::config::{Config, ConfiguredAutomation, ServerSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, AutomationId, AutomationSpec, Origin, Semantics};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::automation::written::written;
use trackside_core::ids::derive;
use trackside_web::{Change, ConfigChange};

/// The sections, in the order they are shown.
const SECTIONS: [&str; 8] = ["server", "teams", "owners", "rules", "pipelines", "connections", "tokens", "automations"];
/// The one field of `server` that a reload takes over.
const LIVE_SERVER_FIELD: &str = "public_url";

/// A configuration as it is compared: things by section and name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View(BTreeMap<&'static str, BTreeMap<String, Value>>);

impl View {
    /// A configuration without its automations.
    pub(super) fn of(config: &Config) -> Self {
        let named = |things: Vec<(String, Value)>| things.into_iter().collect::<BTreeMap<String, Value>>();
        let only = |thing: Value| BTreeMap::from([(String::new(), thing)]);
        let rules = &config.ruleset;
        Self(BTreeMap::from([
            ("server", server(&config.server)),
            ("teams", rules.teams.iter().map(|(name, team)| (name.clone(), value(team))).collect()),
            ("owners", only(value(&rules.owners))),
            ("rules", named(rules.rules.iter().map(|rule| (rule.name.clone(), unnamed(value(rule)))).collect())),
            ("pipelines", only(json!({"": value(&rules.pipelines)}))),
            ("connections", config.connections.iter().map(|(name, one)| (name.clone(), value(one))).collect()),
            ("tokens", named(config.tokens.iter().map(|token| (token.name.clone(), unnamed(value(token)))).collect())),
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
        changes.extend(names.into_iter().filter_map(|name| changed(section, name, old.get(name), new.get(name))));
    }
    changes
}

fn changed(section: &str, name: &str, old: Option<&Value>, new: Option<&Value>) -> Option<ConfigChange> {
    let (change, fields) = match (old, new) {
        (Some(old), Some(new)) => (Change::Changed, difference::fields(old, new)),
        (None, Some(new)) => (Change::New, difference::all(new)),
        (Some(_), None) => (Change::Removed, Vec::new()),
        (None, None) => return None,
    };
    if change == Change::Changed && fields.is_empty() {
        return None;
    }
    let needs_restart = section == "server" && name != LIVE_SERVER_FIELD;
    Some(ConfigChange { section: section.to_owned(), name: name.to_owned(), change, fields, needs_restart })
}

/// The settings of the server, each a thing of its own: some of them need a restart.
fn server(settings: &ServerSettings) -> BTreeMap<String, Value> {
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
