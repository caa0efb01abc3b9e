//! `trackside automations test`: the tests that people write beside their automations, without a server.

use super::show;
use crate::automations::rehearse::rehearse;
use crate::automations::verdict::Verdict;
use crate::config::{self, Rehearsal};
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
        let rehearsals = match config::rehearsals(path) {
            Ok(rehearsals) => rehearsals,
            Err(problems) => {
                errors.extend(problems.0);
                continue;
            }
        };
        if rehearsals.is_empty() && !json {
            show::remark(&format!("{}: no `tests` stand there", path.display()));
        }
        for rehearsal in &rehearsals {
            let test = one(rehearsal)?;
            failed += usize::from(test["passed"] != true);
            if !json {
                tell(&test);
            }
            tests.push(test);
        }
    }
    let (passed, broken) = (tests.len() - failed, !errors.is_empty());
    if json {
        for test in &mut tests {
            test.as_object_mut().map(|test| test.remove("lines"));
        }
        show::json(&json!({"tests": tests, "passed": passed, "failed": failed, "errors": errors}));
    } else {
        errors.iter().for_each(|error| show::line(&format!("error: {error}")));
        show::line(&format!("{passed} passed, {failed} failed"));
    }
    Ok(if failed == 0 && !broken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one test.
fn one(rehearsal: &Rehearsal) -> Result<Value> {
    let Rehearsal { spot, case, automations } = rehearsal;
    // The test was checked when it was read.
    let script = case.script().map_err(|mistake| anyhow::anyhow!("{spot}: {}", mistake.problem))?;
    let mut told = json!({"name": case.name, "file": spot.file, "line": spot.line, "column": spot.column});
    let more = match rehearse(automations, &script) {
        Ok(happened) => {
            let verdict = Verdict::new(&script, automations, happened);
            let mut more = verdict.json();
            more["lines"] = json!(verdict.texts());
            more
        }
        Err(endless) => json!({"passed": false, "error": endless.to_string(), "lines": [endless.to_string()]}),
    };
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    Ok(told)
}

/// A line for a test; for one that failed also what happened.
fn tell(test: &Value) {
    let passed = test["passed"] == true;
    let text = |field: &str| test[field].as_str().unwrap_or_default();
    let word = if passed { "ok  " } else { "FAIL" };
    show::line(&format!("{word}  {}  ({}:{}:{})", text("name"), text("file"), test["line"], test["column"]));
    let lines = test["lines"].as_array().filter(|_| !passed);
    for line in lines.into_iter().flatten() {
        show::line(&format!("      {}", line.as_str().unwrap_or_default()));
    }
}
