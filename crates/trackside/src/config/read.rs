//! From files to sections: which files of a folder are read, and what one file holds.
//!
//! Invariant: nothing here looks at two files together.

use super::Sections;
use super::problem::{Problem, Problems, at, whole_file};
use serde_json::Value;
use std::path::{Path, PathBuf};
use trackside_core::document::Tree;

/// Largest configuration file, in bytes.
pub const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Most files in a folder.
pub const FILES: usize = 1_000;

/// A file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// One file, read.
pub(super) struct File {
    /// As people are told of it.
    pub(super) path: PathBuf,
    /// Its values with their places.
    pub(super) tree: Tree,
    /// What it holds.
    pub(super) content: Content,
}

/// What a file holds.
pub(super) enum Content {
    /// Sections.
    Sections(Box<Sections>),
    /// Automations in Prefect's form, each with its path in the file: one body, or a list of them.
    Prefect(Vec<(String, Value)>),
    /// Policies.
    Policies(trackside_policy::Source),
}

/// The files of a folder that are read, in the order of their names.
///
/// # Errors
/// When the folder or a file cannot be read, there are none, or there is too much.
pub fn read_folder(folder: &Path) -> Result<Vec<SourceFile>, Problems> {
    let names = list(folder).map_err(|problem| Problems(vec![problem]))?;
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for name in names {
        match text(&folder.join(&name)) {
            Ok(text) => files.push(SourceFile { name, text }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(Problems(problems)) }
}

/// Whether a file with this name is read.
#[must_use]
pub fn is_configuration(name: &str) -> bool {
    let end = Path::new(name).extension();
    end.is_some_and(|end| end == "yaml" || end == "yml" || end == "json" || end == "cedar")
}

fn list(folder: &Path) -> Result<Vec<String>, Problem> {
    let whole = |problem: String| whole_file(folder, problem);
    let entries = std::fs::read_dir(folder).map_err(|error| whole(format!("cannot read the folder: {error}")))?;
    let mut names: Vec<String> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| whole(format!("cannot read the folder: {error}")))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_configuration(&name) && entry.path().is_file() {
            names.push(name);
        }
    }
    names.sort();
    match names.len() {
        0 => Err(whole("has no .yaml, .yml, .json or .cedar file; see examples/ for one to start from".to_owned())),
        1..=FILES => Ok(names),
        more => Err(whole(format!("has {more} files, at most {FILES} are read"))),
    }
}

/// The content of a file.
pub(super) fn text(path: &Path) -> Result<String, Problem> {
    let whole = |problem: String| whole_file(path, problem);
    let size = std::fs::metadata(path).map_err(|error| whole(error.to_string()))?.len();
    if size > FILE_BYTES {
        return Err(whole(format!("has {size} bytes, at most {FILE_BYTES} are read")));
    }
    std::fs::read_to_string(path).map_err(|error| whole(error.to_string()))
}

/// Reads one file.
pub(super) fn parse(folder: &Path, file: &SourceFile) -> Result<File, Problem> {
    let path = folder.join(&file.name);
    if path.extension().is_some_and(|end| end == "cedar") {
        let tree = Tree::parse("{}").map_err(|(place, problem)| at(&path, place, "", problem))?;
        let source = trackside_policy::Source { name: file.name.clone(), text: file.text.clone() };
        return Ok(File { path, tree, content: Content::Policies(source) });
    }
    let json = path.extension().is_some_and(|end| end == "json");
    let tree = if json { Tree::parse_json(&file.text) } else { Tree::parse(&file.text) };
    let tree = tree.map_err(|(place, problem)| at(&path, place, "", problem))?;
    let content = match prefect(tree.value()) {
        Some(bodies) => Content::Prefect(bodies),
        None => Content::Sections(Box::new(sections(&path, &tree)?)),
    };
    Ok(File { path, tree, content })
}

fn sections(path: &Path, tree: &Tree) -> Result<Sections, Problem> {
    serde_path_to_error::deserialize(tree.value()).map_err(|error| {
        let (value_path, problem) = (error.path().to_string(), error.inner().to_string());
        at(path, tree.blame(&value_path, &problem), value_path.trim_matches('.'), problem)
    })
}

/// The automations of a file that holds one in Prefect's form, or a list of them.
fn prefect(value: &Value) -> Option<Vec<(String, Value)>> {
    match value {
        Value::Object(members) if members.contains_key("trigger") && members.contains_key("name") => {
            Some(vec![(String::new(), value.clone())])
        }
        Value::Array(items) => {
            Some(items.iter().enumerate().map(|(index, item)| (format!("[{index}]"), item.clone())).collect())
        }
        _ => None,
    }
}
