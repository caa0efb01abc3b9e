//! Judges jobs: what they call is there and of the right kind, their schemas compile, their paths name what the input
//! has.

use super::Sections;
use super::merge::Origins;
use super::problem::Problem;
use super::suggestion;
use jiff::SignedDuration;
use serde_json::Value;
use std::collections::BTreeSet;
use trackside_connect::connection::ConnectionConfig;
use trackside_connect::job::schema;
use trackside_connect::job::template;
use trackside_core::job::spec::{AppServiceAction, HttpMode, Idempotency, JobSpec, JobTarget};
use trackside_core::limits;

/// Longest time a run may take, and a key may be kept.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is wrong with the jobs.
pub(super) fn check(sections: &Sections, origins: &Origins<'_>, problems: &mut Vec<Problem>) {
    for (name, spec) in &sections.jobs {
        let mut found = Vec::new();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
            let problem = "a job's name is part of addresses: letters, digits, `-`, `_` and `.` only".to_owned();
            found.push((String::new(), problem));
        }
        if name == "callback" {
            found.push((String::new(), "`callback` is where far ends call back; give the job another name".to_owned()));
        }
        target(sections, spec, &mut found);
        members(spec, &mut found);
        bounds(spec, &mut found);
        if let Some(owner) = spec.owner.as_ref().filter(|owner| !knows_team(sections, owner)) {
            found.push((".owner".to_owned(), format!("there is no team `{owner}`")));
        }
        for (field, schema) in [("input", &spec.input), ("result", &spec.result)] {
            let problem = schema.as_ref().and_then(|schema| schema::compile(schema).err());
            found.extend(problem.map(|problem| (format!(".{field}"), problem)));
        }
        problems.extend(found.into_iter().map(|(at, problem)| origins.problem(&format!("jobs.{name}{at}"), problem)));
    }
}

fn knows_team(sections: &Sections, name: &str) -> bool {
    sections.teams.iter().any(|(team, entry)| team == name || entry.aliases.iter().any(|alias| alias == name))
}

/// The connection is there and of the kind that the target needs.
fn target(sections: &Sections, spec: &JobSpec, found: &mut Vec<(String, String)>) {
    let name = spec.target.connection();
    let at = ".target.connection".to_owned();
    let Some(connection) = sections.connections.get(name) else {
        let near = suggestion::nearest(name, sections.connections.keys().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        found.push((at, format!("there is no connection `{name}`{hint}")));
        return;
    };
    let kind = connection.kind().as_str();
    match (&spec.target, connection) {
        (JobTarget::Http { .. }, _) if connection.service_url().is_some() => {}
        (JobTarget::AppService { .. }, ConnectionConfig::AppService(_)) => {}
        (JobTarget::Http { .. }, _) => {
            found.push((at, format!("connection `{name}` is of kind {kind}; an HTTP target needs kind http")));
        }
        (JobTarget::AppService { .. }, _) => {
            found.push((at, format!("connection `{name}` is of kind {kind}; this target needs kind app_service")));
        }
    }
    if let JobTarget::Http { method, mode, idempotency, .. } = &spec.target {
        let method = method.as_deref().unwrap_or("POST").to_ascii_uppercase();
        if !matches!(method.as_str(), "GET" | "POST" | "PUT" | "PATCH" | "DELETE") {
            found.push((".target.method".to_owned(), format!("`{method}` is not GET, POST, PUT, PATCH or DELETE")));
        }
        if *mode == HttpMode::Callback && *idempotency == Idempotency::None && spec.timeout.is_none() {
            let problem = "a callback may never come; say with `timeout` how long to wait for it".to_owned();
            found.push((".timeout".to_owned(), problem));
        }
        if let HttpMode::Poll { status, output, .. } = mode {
            for (field, pointer) in [("status", status), ("output", output)] {
                if pointer.as_ref().is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
                    let problem = "a JSON Pointer begins with `/`, for example `/job/status`".to_owned();
                    found.push((format!(".target.mode.{field}"), problem));
                }
            }
        }
    }
}

/// A path names members that the input has.
fn members(spec: &JobSpec, found: &mut Vec<(String, String)>) {
    let declared = spec.input.as_ref().and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let required: BTreeSet<&str> = spec
        .input
        .as_ref()
        .and_then(|schema| schema.get("required"))
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    match &spec.target {
        JobTarget::Http { path, .. } => match template::members(path) {
            Err(bad) => found.push((".target.path".to_owned(), bad.to_string())),
            Ok(names) => {
                for name in names {
                    let declared = declared.is_some_and(|declared| declared.contains_key(name));
                    if spec.input.is_none() || !declared || !required.contains(name) {
                        let problem = format!(
                            "the path needs `{name}`; declare it in `input.properties` and `input.required`, so that a \
                             call without it is refused at the door"
                        );
                        found.push((".target.path".to_owned(), problem));
                    }
                }
            }
        },
        JobTarget::AppService { action: AppServiceAction::ZipDeploy { .. }, .. } => {
            if !required.contains("package_url") {
                let problem = "a zip deployment needs the text `package_url`; declare it in `input.properties` and \
                               `input.required`"
                    .to_owned();
                found.push((".input".to_owned(), problem));
            }
        }
        JobTarget::AppService { .. } => {}
    }
}

fn bounds(spec: &JobSpec, found: &mut Vec<(String, String)>) {
    if spec.result_bytes.is_some_and(|bytes| bytes == 0 || bytes > limits::JOB_RESULT_BYTES_MOST) {
        found.push((".result_bytes".to_owned(), format!("must be 1 to {}", limits::JOB_RESULT_BYTES_MOST)));
    }
    for (field, span) in [("timeout", spec.timeout), ("keep_key", spec.keep_key)] {
        if span.is_some_and(|span| span.seconds() < 1 || span.0 > LONGEST) {
            found.push((format!(".{field}"), "must be 1 second to 7 days".to_owned()));
        }
    }
    let at_least_one = [("concurrency", spec.concurrency), ("per_caller", spec.per_caller)];
    for (field, _) in at_least_one.into_iter().filter(|(_, number)| *number == Some(0)) {
        found.push((format!(".{field}"), "must be at least 1; leave the job out to stop it".to_owned()));
    }
    if spec.retry.attempts.is_some_and(|attempts| attempts == 0 || attempts > 20) {
        found.push((".retry.attempts".to_owned(), "must be 1 to 20".to_owned()));
    }
}
