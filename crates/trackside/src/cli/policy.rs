//! `trackside policy`: tests of policies, without a server, and the schema they are written against.
//! `trackside access explain`: whether somebody may do something, and why.

use super::client::Client;
use super::{ServerArgs, show};
use crate::config::{self, PolicyTest};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use trackside_policy::{Policies, SCHEMA};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyAction {
    /// Run the tests that stand beside policies (`policy_tests`), without a server
    Test {
        /// Configuration folders
        #[arg(value_name = "DIR", required = true)]
        folders: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the Cedar schema that policies are validated against
    Schema,
}

#[derive(Debug, Subcommand)]
pub(super) enum AccessAction {
    /// Whether somebody may do something, and what decides it
    Explain(ExplainArgs),
}

/// Arguments of `access explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Who: the name of an API token, somebody who is signed in, or `me`
    who: String,
    /// What: `call route:orders`, `start job:load_orders`, `approve job:swap`, `test connection:pd`, `respond incident:7`,
    /// `configure server:tokens`
    #[arg(num_args = 1..=2, required = true, value_names = ["ACTION", "RESOURCE"])]
    what: Vec<String>,
    /// HTTP method, for a route
    #[arg(long)]
    method: Option<String>,
    /// Path, for a route
    #[arg(long)]
    path: Option<String>,
    /// When (default: now)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// `trackside policy …`.
pub(super) fn run(action: &PolicyAction) -> ExitCode {
    match action {
        PolicyAction::Schema => {
            show::line(SCHEMA.trim_end());
            ExitCode::SUCCESS
        }
        PolicyAction::Test { folders, json } => test(folders, *json),
    }
}

fn test(folders: &[PathBuf], json: bool) -> ExitCode {
    let (mut tests, mut errors) = (Vec::new(), Vec::new());
    for folder in folders {
        match config::policy_tests(folder) {
            Err(problems) => errors.extend(problems.0),
            Ok((policies, cases)) => {
                if cases.is_empty() && !json {
                    let count = policies.names().len();
                    show::remark(&format!("{}: {count} policies, no `policy_tests`", folder.display()));
                }
                tests.extend(cases.iter().map(|case| one(&policies, case)));
            }
        }
    }
    let failed = tests.iter().filter(|test| test["passed"] != true).count();
    let (passed, broken) = (tests.len() - failed, !errors.is_empty());
    if json {
        show::json(&json!({"tests": tests, "passed": passed, "failed": failed, "errors": errors}));
    } else {
        tests.iter().for_each(tell);
        errors.iter().for_each(|error| show::line(&format!("error: {error}")));
        show::line(&format!("{passed} passed, {failed} failed"));
    }
    if failed == 0 && !broken { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(policies: &Policies, test: &PolicyTest) -> Value {
    let spot = &test.spot;
    // The case was checked when it was read.
    let told = match test.case.run(policies) {
        Ok(Ok(())) => None,
        Ok(Err(unexpected)) => Some(unexpected.to_string()),
        Err(bad) => Some(bad.problem),
    };
    json!({"name": test.case.name, "file": spot.file, "line": spot.line, "passed": told.is_none(), "problem": told})
}

fn tell(test: &Value) {
    let word = if test["passed"] == true { "ok  " } else { "FAIL" };
    let text = |field: &str| test[field].as_str().unwrap_or_default();
    show::line(&format!("{word}  {}  ({}:{})", text("name"), text("file"), test["line"]));
    if test["passed"] != true {
        show::line(&format!("      {}", text("problem")));
    }
}

/// `trackside access explain`. Exit code 1 when the answer is no.
pub(super) async fn explain(args: &ExplainArgs) -> Result<ExitCode> {
    let [action, resource] = match args.what.as_slice() {
        [action, resource] => [action.clone(), resource.clone()],
        // `start:job:load` reads as well.
        [one] => {
            one.split_once(':').map_or_else(|| [one.clone(), String::new()], |(a, r)| [a.to_owned(), r.to_owned()])
        }
        _ => [String::new(), String::new()],
    };
    let mut query = vec![("who", args.who.clone()), ("action", action), ("resource", resource)];
    let given = [("method", &args.method), ("path", &args.path), ("at", &args.at)];
    query.extend(given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    let answer = Client::new(&args.server)?.get("access/explain", &query).await?;
    if args.server.json {
        show::json(&answer);
    } else {
        let (who, said) = (&answer["who"], &answer["access"]);
        let word = if said["decision"] == "allowed" { "yes" } else { "no" };
        show::line(&format!("{word}: {}", show::text(&said["because"])));
        show::line(&format!("  who       {} ({})", show::text(&who["subject"]), show::text(&who["rights"])));
        for (name, field) in [("teams", "teams"), ("names", "names")] {
            let held: Vec<&str> = show::array(&who[field]).iter().filter_map(Value::as_str).collect();
            if !held.is_empty() {
                show::line(&format!("  {name:<9} {}", held.join(", ")));
            }
        }
        let needs: Vec<&str> = show::array(&answer["needs"]).iter().filter_map(Value::as_str).collect();
        show::line(&format!("  needs     {}", needs.join(" or ")));
        let policies: Vec<&str> = show::array(&said["policies"]).iter().filter_map(Value::as_str).collect();
        if !policies.is_empty() {
            show::line(&format!("  policies  {}", policies.join(", ")));
        }
    }
    Ok(if answer["access"]["decision"] == "allowed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
