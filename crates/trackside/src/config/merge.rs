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
    pub(super) policies: Vec<trackside_policy::Source>,
    pub(super) folder: PathBuf,
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
    let mut merged = Merged {
        sections: Sections::default(),
        automations: Vec::new(),
        policies: Vec::new(),
        folder: folder.to_owned(),
        origins,
    };
    let mut problems = Vec::new();
    for file in files {
        match &file.content {
            Content::Sections(sections) => merged.add(file, sections, &mut problems),
            Content::Policies(source) => merged.policies.push(source.clone()),
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
    fn add(&mut self, file: &'a File, some: &Sections, problems: &mut Vec<Problem>) {
        let all = &mut self.sections;
        let mut adding = Adding { file, origins: &mut self.origins, problems };
        adding.only("server", &mut all.server, &some.server);
        adding.only("owners", &mut all.owners, &some.owners);
        adding.only("incidents", &mut all.incidents, &some.incidents);
        adding.only("canary", &mut all.canary, &some.canary);
        adding.only("gateway", &mut all.gateway, &some.gateway);
        adding.named("routes", "the route", &mut all.routes, &some.routes);
        adding.only("scim", &mut all.scim, &some.scim);
        adding.only("workload", &mut all.workload, &some.workload);
        adding.only("sign_in", &mut all.sign_in, &some.sign_in);
        adding.only("heartbeat_out", &mut all.heartbeat_out, &some.heartbeat_out);
        adding.named("teams", "the team", &mut all.teams, &some.teams);
        adding.named("connections", "the connection", &mut all.connections, &some.connections);
        adding.named("people", "the person", &mut all.people, &some.people);
        adding.named("schedules", "the schedule", &mut all.schedules, &some.schedules);
        adding.named("escalations", "the escalation policy", &mut all.escalations, &some.escalations);
        adding.named("calendars", "the calendar", &mut all.calendars, &some.calendars);
        adding.named("approvals", "the approval rule", &mut all.approvals, &some.approvals);
        adding.named("jobs", "the job", &mut all.jobs, &some.jobs);
        adding.named("vaults", "the secret manager", &mut all.vaults, &some.vaults);
        adding.named("issuers", "the issuer", &mut all.issuers, &some.issuers);
        adding.listed("certificates", &mut all.certificates, &some.certificates);
        adding.listed("rules", &mut all.rules, &some.rules);
        adding.listed("pipelines", &mut all.pipelines, &some.pipelines);
        adding.listed("tokens", &mut all.tokens, &some.tokens);
        adding.listed("maintenance", &mut all.maintenance, &some.maintenance);
        adding.listed("inhibitions", &mut all.inhibitions, &some.inhibitions);
        adding.listed("upstreams", &mut all.upstreams, &some.upstreams);
        adding.listed("tests", &mut all.tests, &some.tests);
        adding.listed("policy_tests", &mut all.policy_tests, &some.policy_tests);
        for (index, entry) in some.automations.iter().enumerate() {
            self.automation(file, format!("automations[{index}]"), Written::Ours(entry.0.clone()));
        }
    }

    fn automation(&mut self, file: &'a File, local: String, written: Written) {
        self.origins.note(format!("automations[{}]", self.automations.len()), file, local);
        self.automations.push(written);
    }
}

/// One file being put to the others.
struct Adding<'a, 'm> {
    file: &'a File,
    origins: &'m mut Origins<'a>,
    problems: &'m mut Vec<Problem>,
}

impl Adding<'_, '_> {
    /// A section that one file may have.
    fn only<T: Clone>(&mut self, section: &str, all: &mut Option<T>, some: &Option<T>) {
        let Some(some) = some else { return };
        if all.is_some() {
            return self.twice(section, "the section");
        }
        *all = Some(some.clone());
        self.origins.note(section.to_owned(), self.file, section.to_owned());
    }

    /// A map from names.
    fn named<T: Clone>(
        &mut self,
        section: &str,
        what: &str,
        all: &mut BTreeMap<String, T>,
        some: &BTreeMap<String, T>,
    ) {
        for (name, entry) in some {
            let path = format!("{section}.{name}");
            if all.insert(name.clone(), entry.clone()).is_some() {
                self.twice(&path, what);
            }
            self.origins.note(path.clone(), self.file, path);
        }
    }

    fn listed<T: Clone>(&mut self, section: &str, all: &mut Vec<T>, some: &[T]) {
        for (index, entry) in some.iter().enumerate() {
            self.origins.note(format!("{section}[{}]", all.len()), self.file, format!("{section}[{index}]"));
            all.push(entry.clone());
        }
    }

    fn twice(&mut self, path: &str, what: &str) {
        let problem = format!("{what} stands twice{}", self.origins.first(path));
        self.problems.push(at(&self.file.path, self.file.tree.place(path), path, problem));
    }
}
