//! Judges the whole: what no single file can know, and what is allowed but probably not meant.
//!
//! Invariant: every mistake is found in one go, not one per run. What depends on the environment of this process is
//! kept apart, because the files may be meant for another one.

use super::merge::{Merged, Origins};
use super::problem::{Problem, Problems};
use super::{Config, Sections, automation, caller, duty, gateway, job, policy, secrets, sign_in};
use std::collections::BTreeMap;
use trackside_connect::connection::{ConnectionConfig, SlackAccess};
use trackside_core::event::Severity;
use trackside_core::rules::Rules;
use trackside_core::ruleset::{Condition, ConnectionInfo, ConnectionKind, Failures, Rule, Ruleset, Selector, Updates};
use trackside_identity::secret::{SecretError, Secrets};
use trackside_identity::workload::settings::WorkloadSettings;

/// Makes a configuration of what stands in a folder.
pub(super) fn judge(merged: Merged<'_>) -> Result<Config, Problems> {
    let Merged { mut sections, automations, policies, folder, origins } = merged;
    let mut problems = Vec::new();
    let configured_secrets = secrets::find(&sections, &origins, &mut problems);
    let server = sections.server.clone().unwrap_or_default();
    connections(&sections, &origins, &mut problems);
    tokens(&sections, &origins, &mut problems);
    job::check(&sections, &origins, &mut problems);
    workload(sections.workload.as_ref(), &origins, &mut problems);
    gateway::check(&sections, &origins, &mut problems);
    caller::check(&sections, &server, &origins, &mut problems);
    caller::check_groups(&sections, &origins, &mut problems);
    sign_in::check(&sections, &server, &origins, &mut problems);
    let ruleset = ruleset(&mut sections, server.public_url());
    if let Err(bad) = Rules::new(ruleset.clone()) {
        problems.push(origins.problem(&bad.path, bad.problem));
    }
    let heartbeat = sections.heartbeat_out.as_ref().and_then(|out| out.check(&ruleset.connections).err());
    if let Some((field, problem)) = heartbeat {
        problems.push(origins.problem(&format!("heartbeat_out.{field}"), problem));
    }
    let automations = automation::understand(&automations, &origins, &mut problems);
    for (index, case) in sections.tests.iter().enumerate() {
        problems.extend(automation::check_case(index, case, &automations, &origins).err().unwrap_or_default());
    }
    let policies = policy::compile(&folder, &policies, &mut problems);
    policy::check_cases(&sections.policy_tests, &policies, &origins, &mut problems);
    let found = automation::lint(&automations, &ruleset.connections, &origins);
    problems.extend(found.errors);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let spot = |name: &String| (name.clone(), origins.spot(&format!("schedules.{name}")));
    let mut config = Config {
        schedule_spots: ruleset.schedules.keys().map(spot).collect(),
        server,
        ruleset,
        connections: sections.connections,
        tokens: sections.tokens,
        issuers: sections.issuers,
        sign_in: sections.sign_in,
        certificates: sections.certificates,
        gateway: sections.gateway,
        routes: sections.routes,
        scim: sections.scim.unwrap_or_default(),
        workload: sections.workload.unwrap_or_default(),
        heartbeat_out: sections.heartbeat_out,
        automations,
        policies,
        warnings: Vec::new(),
        secrets: configured_secrets,
        unusable_here: Vec::new(),
    };
    config.warnings = warnings(&config, &origins);
    config.warnings.extend(duty::warnings(&config, &origins));
    config.warnings.extend(found.warnings);
    config.unusable_here = unusable_here(&config, &origins);
    Ok(config)
}

/// What decisions are made by: takes their parts out of the sections.
fn ruleset(sections: &mut Sections, public_url: String) -> Ruleset {
    let rules = std::mem::take(&mut sections.rules);
    Ruleset {
        teams: std::mem::take(&mut sections.teams),
        owners: sections.owners.take().unwrap_or_default(),
        rules: if rules.is_empty() { default_rules() } else { rules },
        pipelines: std::mem::take(&mut sections.pipelines),
        connections: infos(&sections.connections),
        public_url: Some(public_url),
        people: std::mem::take(&mut sections.people),
        schedules: std::mem::take(&mut sections.schedules),
        escalations: std::mem::take(&mut sections.escalations),
        maintenance: std::mem::take(&mut sections.maintenance),
        inhibitions: std::mem::take(&mut sections.inhibitions),
        calendars: std::mem::take(&mut sections.calendars),
        incidents: sections.incidents.take().unwrap_or_default(),
        upstreams: std::mem::take(&mut sections.upstreams),
        canary: sections.canary.take(),
        approvals: std::mem::take(&mut sections.approvals),
        route_approvals: gateway::approvals(&sections.routes),
        jobs: std::mem::take(&mut sections.jobs),
    }
}

/// Connections, each by itself.
fn connections(sections: &Sections, origins: &Origins<'_>, problems: &mut Vec<Problem>) {
    for (name, connection) in &sections.connections {
        for invalid in connection.validate().err().unwrap_or_default() {
            problems.push(origins.problem(&format!("connections.{name}.{}", invalid.field), invalid.problem));
        }
    }
}

/// Tokens: their teams, and that each has its own name.
fn tokens(sections: &Sections, origins: &Origins<'_>, problems: &mut Vec<Problem>) {
    for (index, token) in sections.tokens.iter().enumerate() {
        if let Some(team) = &token.team
            && !sections.teams.contains_key(team)
        {
            let path = format!("tokens[{index}].team");
            problems.push(origins.problem(&path, format!("there is no team `{team}`")));
        }
        if sections.tokens[..index].iter().any(|earlier| earlier.name == token.name) {
            let path = format!("tokens[{index}].name");
            problems.push(origins.problem(&path, format!("`{}` is used twice", token.name)));
        }
    }
}

/// What the issuer cannot be.
fn workload(settings: Option<&WorkloadSettings>, origins: &Origins<'_>, problems: &mut Vec<Problem>) {
    for (field, problem) in settings.and_then(|settings| settings.check().err()).unwrap_or_default() {
        problems.push(origins.problem(&format!("workload.{field}"), problem));
    }
}

/// What applies when a configuration has no rules: tell of every failure, carry every report.
fn default_rules() -> Vec<Rule> {
    let rule = |name: &str, when| Rule {
        name: name.to_owned(),
        matches: Selector::default(),
        when,
        severity: None,
        escalation: None,
    };
    vec![rule("failed", Condition::Failed(Failures::default())), rule("reported", Condition::Reported)]
}

/// What decisions need to know of connections.
pub(super) fn infos(connections: &BTreeMap<String, ConnectionConfig>) -> BTreeMap<String, ConnectionInfo> {
    connections.iter().map(|(name, config)| (name.clone(), info(config))).collect()
}

/// What decisions need to know of a connection.
fn info(config: &ConnectionConfig) -> ConnectionInfo {
    let edits = match config {
        ConnectionConfig::Slack(slack) => !matches!(slack.access, SlackAccess::IncomingWebhook { .. }),
        ConnectionConfig::Webhook(_) => true,
        ConnectionConfig::Pagerduty(_) | ConnectionConfig::Email(_) | ConnectionConfig::Prefect(_) => false,
        ConnectionConfig::Http(_) | ConnectionConfig::Airflow(_) | ConnectionConfig::AppService(_) => false,
    };
    ConnectionInfo { kind: config.kind(), updates: if edits { Updates::Every } else { Updates::Raised } }
}

fn warnings(config: &Config, origins: &Origins<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut warn = |path: String, problem: String, suggestion: &str| {
        let problem = origins.problem(&path, problem);
        found.push(Problem { suggestion: Some(suggestion.to_owned()), ..problem });
    };
    for (name, team) in &config.ruleset.teams {
        if team.notify.is_empty() && team.escalation.is_none() && *name != config.ruleset.owners.default {
            let problem = "the team has no way to be told; the default owner is told instead".to_owned();
            warn(format!("teams.{name}"), problem, "add `notify: [{via: CONNECTION}]`");
        }
        if let Some(least) =
            team.notify.iter().map(|notify| notify.min_severity).min().filter(|least| *least > Severity::Warning)
            && team.escalation.is_none()
        {
            let problem = format!("nobody is told of anything below {}", least.as_str());
            warn(format!("teams.{name}.notify"), problem, "add a connection without `min_severity`");
        }
    }
    let default = &config.ruleset.owners.default;
    if config.ruleset.teams.get(default).is_some_and(|team| team.notify.is_empty() && team.escalation.is_none()) {
        let problem = "the default owner has no way to be told: what nobody else owns reaches nobody".to_owned();
        warn(format!("teams.{default}"), problem, "add `notify: [{via: CONNECTION}]`");
    }
    for (name, connection) in &config.connections {
        let alarm = config.heartbeat_out.as_ref().and_then(|out| out.alarm.as_ref());
        let told = alarm == Some(name) || duty::tells(&config.ruleset, name);
        let called = config.ruleset.jobs.values().any(|job| job.target.connection() == name);
        let routed = config.routes.values().any(|route| route.upstream == *name);
        let service =
            matches!(connection.kind(), ConnectionKind::Http | ConnectionKind::Airflow | ConnectionKind::AppService);
        if service && !called && !routed {
            let problem = "no job and no route calls it".to_owned();
            warn(format!("connections.{name}"), problem, "name it in a job's `target` or a route's `upstream`");
        }
        let used = service || called || config.automations.iter().any(|automation| automation.uses(name));
        if !told && !used && connection.kind() != ConnectionKind::Prefect {
            let problem = "nobody is told through it, and no automation uses it".to_owned();
            warn(format!("connections.{name}"), problem, "name it in a team's `notify` or a person's `contacts`");
        }
    }
    found
}

/// Secrets that cannot be had here, and what else shows only when a connection is opened.
fn unusable_here(config: &Config, origins: &Origins<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let none = Secrets::default();
    for (name, connection) in &config.connections {
        match connection.open(name, None, &none) {
            Err(SecretError::NotFetched(_)) | Ok(_) => {}
            Err(error) => found.push(origins.problem(&format!("connections.{name}"), error.to_string())),
        }
    }
    if let Some(heartbeat) = config.heartbeat_out.as_ref().filter(|heartbeat| heartbeat.url.is_local())
        && let Err(error) = heartbeat.url.resolve(&none)
    {
        found.push(origins.problem("heartbeat_out.url", error));
    }
    found.extend(caller::unusable_here(config, &none, origins));
    found.extend(config.sign_in.iter().flat_map(|sign_in| sign_in::unusable_here(sign_in, origins)));
    for (index, token) in config.tokens.iter().enumerate() {
        match token.secret.resolve(&none) {
            Err(SecretError::NotFetched(_)) | Ok(_) => {}
            Err(error) => found.push(origins.problem(&format!("tokens[{index}].secret"), error.to_string())),
        }
    }
    found
}
