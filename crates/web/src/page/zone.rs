//! The zone in which a page shows local times: what the address says, else that of whoever looks.
//!
//! A person of the configuration has a zone; a browser says its own in a cookie that the script sets; else UTC.

use crate::api::names;
use crate::api::span::zone;
use crate::page::Visitor;
use crate::problem::Problem;
use maud::{Markup, html};
use std::collections::BTreeSet;
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Ruleset;

/// The zone that was asked for, else the visitor's.
pub(crate) fn asked(name: Option<&str>, visitor: &Visitor, ruleset: &Ruleset) -> Result<Zone, Problem> {
    if name.is_some_and(|name| !name.trim().is_empty()) {
        return zone(name);
    }
    let person = names::known(ruleset, &visitor.who.caller.subject).map(|(_, person)| person.zone.clone());
    let browser = || visitor.zone.as_deref().and_then(|name| Zone::new(name).ok());
    Ok(person.or_else(browser).unwrap_or_default())
}

/// The field of a form, with the zones that people and rotations are in.
pub(crate) fn field(chosen: &Zone, ruleset: &Ruleset) -> Markup {
    html! {
        label { "Zone" input name="zone" value=(chosen.name()) list="zones" autocomplete="off"; }
        datalist id="zones" { @for name in known(ruleset) { option value=(name) {} } }
    }
}

fn known(ruleset: &Ruleset) -> BTreeSet<&str> {
    let people = ruleset.people.values().map(|person| person.zone.name());
    let layers = ruleset.schedules.values().flat_map(|schedule| &schedule.layers);
    people.chain(layers.map(|layer| layer.rotation.tz.name())).chain(["UTC"]).collect()
}
