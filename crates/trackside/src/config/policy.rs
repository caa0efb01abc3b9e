//! Policies of the folder: every `*.cedar` file, and the tests that stand beside them.
//!
//! Invariant: a policy that does not validate, or a test that makes no sense, is a mistake with its place. Whether tests
//! come out is not asked here: `trackside policy test` does.

use super::merge::Origins;
use super::problem::{Problem, Problems, Spot, at};
use super::read::{File, SourceFile, read_folder};
use super::{merge, read};
use std::path::Path;
use trackside_core::document::Place;
use trackside_policy::case::PolicyCase;
use trackside_policy::{Policies, Source};

/// A test of policies, with its place.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// Where.
    pub spot: Spot,
    /// The test.
    pub case: PolicyCase,
}

/// The policies of the files.
pub(super) fn compile(folder: &Path, sources: &[Source], problems: &mut Vec<Problem>) -> Policies {
    Policies::compile(sources).unwrap_or_else(|broken| {
        let place = |line, column| Place { line, column };
        problems.extend(broken.into_iter().map(|b| at(&folder.join(&b.file), place(b.line, b.column), "", b.problem)));
        Policies::default()
    })
}

/// Tests that cannot be asked.
pub(super) fn check_cases(
    cases: &[PolicyCase],
    policies: &Policies,
    origins: &Origins<'_>,
    problems: &mut Vec<Problem>,
) {
    for (index, case) in cases.iter().enumerate() {
        if let Err(bad) = case.run(policies) {
            problems.push(origins.problem(&format!("policy_tests[{index}].{}", bad.path), bad.problem));
        }
    }
}

/// The policies of a folder and their tests, without judging the rest of the folder.
///
/// # Errors
/// Every mistake in the policies and their tests.
pub fn policy_tests(folder: &Path) -> Result<(Policies, Vec<PolicyTest>), Problems> {
    let sources: Vec<SourceFile> = read_folder(folder)?;
    let mut problems = Vec::new();
    let mut files: Vec<File> = Vec::new();
    for source in &sources {
        match read::parse(folder, source) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let merged = merge::merge(folder, &files)?;
    let policies = compile(folder, &merged.policies, &mut problems);
    check_cases(&merged.sections.policy_tests, &policies, &merged.origins, &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let place = |(index, case): (usize, &PolicyCase)| PolicyTest {
        spot: merged.origins.spot(&format!("policy_tests[{index}]")),
        case: case.clone(),
    };
    let tests = merged.sections.policy_tests.iter().enumerate().map(place).collect();
    Ok((policies, tests))
}
