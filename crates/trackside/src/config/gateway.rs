//! Judges the gateway: its section, its routes, and where they lead.

use super::Sections;
use super::merge::Origins;
use super::problem::Problem;
use std::collections::BTreeMap;
use trackside_core::approval::rule::GuardedRoute;
use trackside_gateway::config::check::{self, Known};
use trackside_gateway::config::route::RouteConfig;

/// What is wrong with the gateway.
pub(super) fn check(sections: &Sections, origins: &Origins<'_>, problems: &mut Vec<Problem>) {
    let leads = sections.connections.iter().filter(|(_, connection)| connection.service_url().is_some());
    let known = Known {
        upstreams: leads.map(|(name, _)| name.as_str()).collect(),
        connections: sections.connections.keys().map(String::as_str).collect(),
        teams: sections.teams.keys().map(String::as_str).collect(),
    };
    match &sections.gateway {
        Some(settings) => {
            for mistake in check::settings(settings) {
                problems.push(origins.problem(&format!("gateway.{}", mistake.path), mistake.problem));
            }
        }
        None => {
            if let Some(name) = sections.routes.keys().next() {
                let problem = "there is no section `gateway` that says where routes are served; write for example \
                               `gateway: {listen: \"127.0.0.1:4181\"}`";
                problems.push(origins.problem(&format!("routes.{name}"), problem.to_owned()));
            }
        }
    }
    for mistake in check::routes(&sections.routes, &known) {
        problems.push(origins.problem(&format!("routes.{}", mistake.path), mistake.problem));
    }
}

/// The routes that need agreement.
pub(super) fn approvals(routes: &BTreeMap<String, RouteConfig>) -> BTreeMap<String, GuardedRoute> {
    let guarded = |(name, route): (&String, &RouteConfig)| {
        let approval = route.approval.clone()?;
        Some((name.clone(), GuardedRoute { team: route.team.clone(), approval }))
    };
    routes.iter().filter_map(guarded).collect()
}
