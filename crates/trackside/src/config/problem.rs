//! A mistake in the configuration, with its place.

use super::suggestion::suggestion;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use trackside_core::document::Place;

/// A mistake, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where.
    #[serde(flatten)]
    pub spot: Spot,
    /// What is wrong.
    pub problem: String,
    /// What to write instead, when that can be guessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// File.
    pub file: PathBuf,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Path of the value, for example `rules[2].when`.
    pub path: String,
}

impl Spot {
    /// What is wrong here.
    #[must_use]
    pub fn problem(&self, problem: impl Into<String>) -> Problem {
        Problem { spot: self.clone(), problem: problem.into(), suggestion: None }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spot.fmt(f)?;
        if !self.spot.path.is_empty() {
            write!(f, ": {}", self.spot.path)?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, " ({suggestion})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        write!(f, "{}", lines.join("\n"))
    }
}

/// A mistake at a place of a file, with a suggestion when the text names what was expected.
pub(super) fn at(file: &Path, place: Place, path: &str, problem: String) -> Problem {
    let suggestion = suggestion(&problem);
    let path = path.trim_start_matches('.').to_owned();
    let spot = Spot { file: file.to_owned(), line: place.line, column: place.column, path };
    Problem { spot, problem, suggestion }
}

/// A mistake of a whole file.
pub(super) fn whole_file(file: &Path, problem: String) -> Problem {
    at(file, Place::default(), "", problem)
}
