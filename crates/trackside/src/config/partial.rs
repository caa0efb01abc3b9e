//! A folder, or one file of it, looked at for its automations and their tests alone: the rest need not be there or be
//! right.
//!
//! Invariant: what is said here of an automation is what [`super::load`] says of it in a whole folder.

use super::automation::{ConfiguredAutomation, Findings, check_case, lint, understand};
use super::problem::{Problem, Problems, Spot, whole_file};
use super::read::{self, File, SourceFile, read_folder};
use super::{judge, merge};
use crate::automations::case::Case;
use std::path::{Path, PathBuf};

/// A test, where it stands, and the automations that it is about.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Where.
    pub spot: Spot,
    /// The test.
    pub case: Case,
    /// The automations.
    pub automations: Vec<ConfiguredAutomation>,
}

/// Reads the tests of a file, or of the files of a folder, with the automations of the folder.
///
/// # Errors
/// Every mistake in the files, the automations and the tests.
pub fn rehearsals(path: &Path) -> Result<Vec<Rehearsal>, Problems> {
    let part = Part::in_folder(path)?;
    let merged = merge::merge(&part.folder, &part.files)?;
    let mut problems = Vec::new();
    let automations = understand(&merged.automations, &merged.origins, &mut problems);
    let mut rehearsals = Vec::new();
    for (index, case) in merged.sections.tests.iter().enumerate() {
        let spot = merged.origins.spot(&format!("tests[{index}]"));
        if !part.wants(&spot.file) {
            continue;
        }
        match check_case(index, case, &automations, &merged.origins) {
            Ok(automations) => rehearsals.push(Rehearsal { spot, case: case.clone(), automations }),
            Err(mistakes) => problems.extend(mistakes),
        }
    }
    if problems.is_empty() { Ok(rehearsals) } else { Err(Problems(problems)) }
}

/// Lints the automations of a file or a folder, with the connections of the folder.
///
/// # Errors
/// When they cannot be read.
pub fn lint_files(path: &Path) -> Result<Findings, Problems> {
    let part = Part::in_folder(path)?;
    let merged = merge::merge(&part.folder, &part.files)?;
    let mut problems = Vec::new();
    let automations = understand(&merged.automations, &merged.origins, &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let mut found = lint(&automations, &judge::infos(&merged.sections.connections), &merged.origins);
    for list in [&mut found.errors, &mut found.warnings] {
        list.retain(|problem| part.wants(&problem.spot.file));
    }
    Ok(found)
}

/// The automations of one file, which need not stand in a configuration folder.
///
/// # Errors
/// When they cannot be read.
pub fn automations_of(path: &Path) -> Result<Vec<ConfiguredAutomation>, Problems> {
    let part = Part::alone(path)?;
    let merged = merge::merge(&part.folder, &part.files)?;
    let mut problems = Vec::new();
    let automations = understand(&merged.automations, &merged.origins, &mut problems);
    if problems.is_empty() { Ok(automations) } else { Err(Problems(problems)) }
}

/// What is looked at.
struct Part {
    folder: PathBuf,
    /// Absent: the whole folder.
    file: Option<PathBuf>,
    files: Vec<File>,
}

impl Part {
    /// A folder, or a file with those beside it.
    fn in_folder(path: &Path) -> Result<Self, Problems> {
        if path.is_dir() {
            return Self::of(path.to_owned(), None, &read_folder(path)?);
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let sources = read_folder(here)?;
        let name = path.file_name().unwrap_or_default();
        if !sources.iter().any(|source| *source.name == *name) {
            let problem = "there is no such file, or its name does not end in .yaml, .yml or .json".to_owned();
            return Err(Problems(vec![whole_file(path, problem)]));
        }
        Self::of(folder, Some(path.to_owned()), &sources)
    }

    /// One file.
    fn alone(path: &Path) -> Result<Self, Problems> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = read::text(path).map_err(|problem| Problems(vec![problem]))?;
        Self::of(folder, None, &[SourceFile { name, text }])
    }

    fn of(folder: PathBuf, file: Option<PathBuf>, sources: &[SourceFile]) -> Result<Self, Problems> {
        let mut files = Vec::new();
        let mut problems: Vec<Problem> = Vec::new();
        for source in sources {
            match read::parse(&folder, source) {
                Ok(file) => files.push(file),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self { folder, file, files }) } else { Err(Problems(problems)) }
    }

    fn wants(&self, file: &Path) -> bool {
        self.file.as_ref().is_none_or(|wanted| wanted == file)
    }
}
