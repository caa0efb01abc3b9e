//! Several files as one: sections are put together, and where each part came from stays known.
//!
//! Invariant: a name that stands twice is a mistake, with both places.

use super::Sections;
use super::automation::Written;
use super::problem::{Problem, Problems, Spot, at, whole_file};
use super::read::{Content, File};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The whole of a folder.
pub(super) struct Merged<'a> {
    pub(super) sections: Sections,
    pub(super) automations: Vec<Written>,
    pub(super) origins: Origins<'a>,
}

/// Where each entry of a merged list or map came from.
pub(super) struct Origins<'a> {
    folder: PathBuf,
    /// `rules[3]` of the whole is `rules[1]` of a file.
    entries: BTreeMap<String, (&'a File, String)>,
}

impl<'a> Origins<'a> {
    fn note(&mut self, merged: String, file: &'a File, local: String) {
        self.entries.insert(merged, (file, local));
    }

    /// The file and the path in it that a path of the whole means: by the longest part of it that is known.
    fn find(&self, path: &str) -> Option<(&'a File, String)> {
        let mut known = path;
        loop {
            if let Some((file, local)) = self.entries.get(known) {
                return Some((file, format!("{local}{}", &path[known.len()..])));
            }
            known = &known[..known.rfind(['.', '['])?];
        }
    }

    /// A mistake at a path of the whole.
    pub(super) fn problem(&self, path: &str, problem: String) -> Problem {
        match self.find(path) {
            Some((file, local)) => at(&file.path, file.tree.place(&local), &local, problem),
            None => {
                let mut problem = whole_file(&self.folder, problem);
                path.clone_into(&mut problem.spot.path);
                problem
            }
        }
    }

    /// The place of a path of the whole.
    pub(super) fn spot(&self, path: &str) -> Spot {
        self.problem(path, String::new()).spot
    }

    /// " (first in FILE)"
    fn first(&self, path: &str) -> String {
        self.find(path).map_or_else(String::new, |(file, _)| format!(" (first in {})", file.path.display()))
    }
}

/// Puts the files of a folder together.
pub(super) fn merge<'a>(folder: &Path, files: &'a [File]) -> Result<Merged<'a>, Problems> {
    let origins = Origins { folder: folder.to_owned(), entries: BTreeMap::new() };
    let mut merged = Merged { sections: Sections::default(), automations: Vec::new(), origins };
    let mut problems = Vec::new();
    for file in files {
        match &file.content {
            Content::Sections(sections) => merged.add(file, sections, &mut problems),
            Content::Prefect(bodies) => {
                for (path, body) in bodies {
                    merged.automation(file, path.clone(), Written::file(body.clone()));
                }
            }
        }
    }
    if problems.is_empty() { Ok(merged) } else { Err(Problems(problems)) }
}

impl<'a> Merged<'a> {
    fn add(&mut self, file: &'a File, sections: &Sections, problems: &mut Vec<Problem>) {
        let mut twice = |path: &str, origins: &Origins<'_>, what: &str| {
            let problem = format!("{what} stands twice{}", origins.first(path));
            problems.push(at(&file.path, file.tree.place(path), path, problem));
        };
        for (section, present) in [("server", sections.server.is_some()), ("owners", sections.owners.is_some())] {
            if present && self.origins.entries.contains_key(section) {
                twice(section, &self.origins, "the section");
            } else if present {
                self.origins.note(section.to_owned(), file, section.to_owned());
            }
        }
        self.sections.server = self.sections.server.take().or_else(|| sections.server.clone());
        self.sections.owners = self.sections.owners.take().or_else(|| sections.owners.clone());
        for (name, team) in &sections.teams {
            let path = format!("teams.{name}");
            if self.sections.teams.insert(name.clone(), team.clone()).is_some() {
                twice(&path, &self.origins, "the team");
            }
            self.origins.note(path.clone(), file, path);
        }
        for (name, connection) in &sections.connections {
            let path = format!("connections.{name}");
            if self.sections.connections.insert(name.clone(), connection.clone()).is_some() {
                twice(&path, &self.origins, "the connection");
            }
            self.origins.note(path.clone(), file, path);
        }
        append(&mut self.sections.rules, &sections.rules, "rules", file, &mut self.origins);
        append(&mut self.sections.pipelines, &sections.pipelines, "pipelines", file, &mut self.origins);
        append(&mut self.sections.tokens, &sections.tokens, "tokens", file, &mut self.origins);
        append(&mut self.sections.tests, &sections.tests, "tests", file, &mut self.origins);
        for (index, entry) in sections.automations.iter().enumerate() {
            self.automation(file, format!("automations[{index}]"), Written::Ours(entry.0.clone()));
        }
    }

    fn automation(&mut self, file: &'a File, local: String, written: Written) {
        self.origins.note(format!("automations[{}]", self.automations.len()), file, local);
        self.automations.push(written);
    }
}

fn append<'a, T: Clone>(all: &mut Vec<T>, some: &[T], section: &str, file: &'a File, origins: &mut Origins<'a>) {
    for (index, entry) in some.iter().enumerate() {
        origins.note(format!("{section}[{}]", all.len()), file, format!("{section}[{index}]"));
        all.push(entry.clone());
    }
}
