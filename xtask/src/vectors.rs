//! Runs recorded behaviours against ours: `cargo xtask vectors automations PATH…` and `cargo xtask vectors oncall PATH…`.
//!
//! A file of automations says what kind it is, one of on-call is known by its shape; each kind has a module. Invariants:
//! every case counts as passed or failed, never as left out; a file that cannot be read, or whose kind is not known, is
//! a failure.
//!
//! - [`oncall`]: alerting, on-call and escalation
//! - [`timeline`]: events and time in, firings out; [`matching`]: patterns and triggers against single events
//! - [`validation`]: requests to make an automation; [`templates`]: texts in actions

mod matching;
mod oncall;
mod templates;
mod timeline;
mod validation;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What `cargo xtask vectors` runs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Vectors {
    /// How Prefect's automations behave
    Automations {
        /// Files, or folders with `*.json` files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Local time, rotations, maintenance, escalation, PagerDuty and Slack
    Oncall {
        /// Files, or folders with `*.json` files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
}

/// Runs the cases in the text of a file.
type RunText = fn(&str) -> anyhow::Result<Vec<Case>>;

/// One case and what became of it: nothing to say, or what was got and what was wanted.
#[derive(Debug)]
pub(crate) struct Case {
    name: String,
    result: Result<(), String>,
}

impl Case {
    fn new(name: impl Into<String>, result: Result<(), String>) -> Self {
        Self { name: name.into(), result }
    }

    /// A case that holds when both are the same.
    fn same<T: PartialEq + std::fmt::Debug>(name: impl Into<String>, got: &T, wanted: &T) -> Self {
        let result = if got == wanted { Ok(()) } else { Err(format!("got {got:?}, wanted {wanted:?}")) };
        Self::new(name, result)
    }
}

/// How many cases passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
}

/// Runs vectors and prints what failed.
///
/// # Errors
/// When any case failed.
pub(crate) fn run(what: &Vectors) -> anyhow::Result<()> {
    let (paths, run_text) = match what {
        Vectors::Automations { paths } => (paths, run_automations as RunText),
        Vectors::Oncall { paths } => (paths, oncall::run as RunText),
    };
    let mut tally = Tally::default();
    for (file, cases) in run_all(paths, run_text)? {
        for case in cases {
            match case.result {
                Ok(()) => tally.passed += 1,
                Err(why) => {
                    tally.failed += 1;
                    println!("FAILED {file}: {}: {why}", case.name);
                }
            }
        }
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    // The count is the last line; the exit code says the rest.
    if tally.failed > 0 || tally.passed == 0 { std::process::exit(1) } else { Ok(()) }
}

/// The cases of every file, by the file's name.
fn run_all(paths: &[PathBuf], run_text: RunText) -> anyhow::Result<Vec<(String, Vec<Case>)>> {
    let mut all = Vec::new();
    for path in paths {
        for file in files(path)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            all.push((name, run_file(&file, run_text)));
        }
    }
    Ok(all)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("reading the folder {}", path.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{} has no *.json files", path.display());
    Ok(files)
}

fn run_file(file: &Path, run_text: RunText) -> Vec<Case> {
    let cases = std::fs::read_to_string(file)
        .with_context(|| format!("reading {}", file.display()))
        .and_then(|text| run_text(&text));
    cases.unwrap_or_else(|error| vec![Case::new("the file", Err(format!("{error:#}")))])
}

fn run_automations(text: &str) -> anyhow::Result<Vec<Case>> {
    let file: Value = serde_json::from_str(text).context("it is not JSON")?;
    let kind = file.get("kind").and_then(Value::as_str).context("it has no `kind`")?.to_owned();
    match kind.as_str() {
        "timeline" => Ok(timeline::run(&read(file)?)),
        "matching" => Ok(matching::run(&read(file)?)),
        "templates" => Ok(templates::run(&read(file)?)),
        "validation" => Ok(validation::run(&read(file)?)),
        other => anyhow::bail!("the kind `{other}` is not known"),
    }
}

fn read<T: DeserializeOwned>(file: Value) -> anyhow::Result<T> {
    serde_json::from_value(file).context("it has not the form of its kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a folder of `testdata` and says how many cases passed.
    fn all_pass(folder: &str, run_text: RunText) -> usize {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(folder);
        let mut failed = Vec::new();
        let mut passed = 0;
        for (file, cases) in run_all(&[folder], run_text).unwrap() {
            for case in cases {
                match case.result {
                    Ok(()) => passed += 1,
                    Err(why) => failed.push(format!("{file}: {}: {why}", case.name)),
                }
            }
        }
        assert!(failed.is_empty(), "{passed} passed, these failed:\n{}", failed.join("\n"));
        passed
    }

    #[test]
    fn what_prefect_was_recorded_to_do_is_what_we_do() {
        assert!(all_pass("automations", run_automations) > 100, "the recordings were found");
    }

    #[test]
    fn alerting_is_as_the_vectors_say() {
        assert!(all_pass("oncall", oncall::run) > 700, "the vectors were found");
    }

    #[test]
    fn an_unknown_kind_is_a_failure() {
        let error = run_automations(r#"{"kind":"poems"}"#).unwrap_err();
        assert_eq!(error.to_string(), "the kind `poems` is not known");
        let error = oncall::run(r#"{"cases":[{"id":"one","poem":"…"}]}"#).unwrap_err();
        assert_eq!(error.to_string(), "the shape of its cases is not known: they have id, poem");
        let error = oncall::run(r#"{"cases":[]}"#).unwrap_err();
        assert_eq!(error.to_string(), "it has no cases");
    }
}
