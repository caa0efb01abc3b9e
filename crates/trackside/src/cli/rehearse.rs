//! `trackside automations test`: the tests that people write beside their automations, without a server.

use super::show;
use crate::automations::rehearse::rehearse;
use crate::automations::verdict::Verdict;
use crate::config;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the tests of files and folders. Exit code 0 when all pass.
pub(super) fn run(paths: &[PathBuf], json: bool) -> Result<ExitCode> {
    let mut tests: Vec<Value> = Vec::new();
    let mut errors = Vec::new();
    let mut failed = 0;
    for path in paths {
        let rehearsal = match config::rehearsal(path) {
            Ok(rehearsal) => rehearsal,
            Err(problems) => {
                errors.extend(problems.0);
                continue;
            }
        };
        if rehearsal.cases.is_empty() && !json {
            show::remark(&format!("{}: no `tests` stand there", path.display()));
        }
        for (spot, case, automations) in &rehearsal.cases {
            // The case was checked when it was read.
            let script = case.script().map_err(|mistake| anyhow::anyhow!("{spot}: {}", mistake.problem))?;
            let verdict = rehearse(automations, &script).map(|happened| Verdict::new(&script, automations, happened));
            let passed = verdict.as_ref().is_ok_and(Verdict::passed);
            failed += usize::from(!passed);
            if !json {
                show::line(&format!("{}  {}  ({spot})", if passed { "ok  " } else { "FAIL" }, case.name));
            }
            let mut told = json!({"name": case.name, "file": spot.file, "line": spot.line});
            match &verdict {
                Ok(verdict) if json => merge(&mut told, verdict.json()),
                Ok(verdict) if !passed => verdict.texts().iter().for_each(|line| show::line(&format!("      {line}"))),
                Ok(_) => {}
                Err(endless) if json => merge(&mut told, json!({"passed": false, "error": endless.to_string()})),
                Err(endless) => show::line(&format!("      {endless}")),
            }
            tests.push(told);
        }
    }
    let (passed, broken) = (tests.len() - failed, !errors.is_empty());
    if json {
        show::json(&json!({"tests": tests, "passed": passed, "failed": failed, "errors": errors}));
    } else {
        errors.iter().for_each(|error| show::line(&format!("error: {error}")));
        show::line(&format!("{passed} passed, {failed} failed"));
    }
    Ok(if failed == 0 && !broken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
