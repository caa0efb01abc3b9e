//! The configuration: a folder of YAML files, read whole, checked whole, or refused with the place of the mistake.
//!
//! Every file may hold any of the sections of [`Sections`]; they are merged, and a name that stands twice is a mistake.
//! Invariants: what [`load`] returns is usable (rules compile, connections validate); a secret is only ever a
//! reference; an invalid folder never replaces a valid one. Overrides by environment are in [`ServerSettings::resolve`].

mod locate;
mod server;

pub use server::{LogFormat, RetentionSettings, ServerSettings, TlsSettings};

use locate::{Place, Tree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use trackside_connect::connection::{ConnectionConfig, SlackAccess};
use trackside_core::event::Severity;
use trackside_core::rules::Rules;
use trackside_core::ruleset::{
    Condition, ConnectionInfo, ConnectionKind, FailedOn, Owners, PipelineEntry, Rule, Ruleset, Selector, Team, Updates,
};
use trackside_identity::role::Role;
use trackside_identity::secret::SecretRef;

/// Largest configuration file, in bytes.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Most files in a folder.
const FILES: usize = 1_000;

/// What one file may hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sections {
    /// How the server runs.
    pub server: Option<ServerSettings>,
    /// Teams by name.
    pub teams: BTreeMap<String, Team>,
    /// How the owner of a problem is found.
    pub owners: Option<Owners>,
    /// What raises an alert.
    pub rules: Vec<Rule>,
    /// What is known of pipelines beforehand.
    pub pipelines: Vec<PipelineEntry>,
    /// Outside systems by name.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// API tokens that are given by secret reference.
    pub tokens: Vec<TokenEntry>,
}

/// An API token whose value is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Unique name; it appears in the audit, and as the source of events that name none.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Team that what it sends belongs to, unless the event says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Where the value is.
    pub secret: SecretRef,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the server runs.
    pub server: ServerSettings,
    /// What decisions depend on.
    pub ruleset: Ruleset,
    /// Outside systems by name.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// Tokens by reference.
    pub tokens: Vec<TokenEntry>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

/// A mistake, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// File.
    pub file: PathBuf,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Path of the value, for example `rules[2].when`.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead, when that can be guessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
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

/// One file, read.
struct File {
    path: PathBuf,
    tree: Tree,
    sections: Sections,
}

/// Reads and checks a folder of `*.yaml`, `*.yml` and `*.json` files (not its sub-folders), in the order of their names.
///
/// # Errors
/// Every mistake that was found, with file, line and column. Files are all read before anything is judged together.
pub fn load(folder: &Path) -> Result<Config, Problems> {
    let paths = list(folder).map_err(|problem| Problems(vec![problem]))?;
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { merge(folder, &files) } else { Err(Problems(problems)) }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let whole = |problem: String| whole_file(folder, problem);
    let entries = std::fs::read_dir(folder).map_err(|error| whole(format!("cannot read the folder: {error}")))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| whole(format!("cannot read the folder: {error}")))?.path();
        let is_config = path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
        if is_config && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    match paths.len() {
        0 => Err(whole("has no .yaml, .yml or .json file; see examples/ for one to start from".to_owned())),
        1..=FILES => Ok(paths),
        more => Err(whole(format!("has {more} files, at most {FILES} are read"))),
    }
}

fn read(path: &Path) -> Result<File, Problem> {
    let whole = |problem: String| whole_file(path, problem);
    let size = std::fs::metadata(path).map_err(|error| whole(error.to_string()))?.len();
    if size > FILE_BYTES {
        return Err(whole(format!("has {size} bytes, at most {FILE_BYTES} are read")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| whole(error.to_string()))?;
    let tree = Tree::parse(&text).map_err(|(place, problem)| at(path, place, "", problem))?;
    let sections = serde_path_to_error::deserialize(tree.to_json()).map_err(|error| {
        let (value_path, problem) = (error.path().to_string(), error.inner().to_string());
        at(path, tree.blame(&value_path, &problem), value_path.trim_matches('.'), problem)
    })?;
    Ok(File { path: path.to_owned(), tree, sections })
}

/// Where each entry of a merged list or map came from.
#[derive(Default)]
struct Origins<'a> {
    /// `rules[3]` of the whole is `rules[1]` of a file.
    lists: BTreeMap<String, (&'a File, String)>,
}

impl<'a> Origins<'a> {
    fn note(&mut self, merged: String, file: &'a File, local: String) {
        self.lists.insert(merged, (file, local));
    }

    /// The file and the path in it that a path of the whole means.
    fn find(&self, path: &str) -> Option<(&'a File, String)> {
        let mut best: Option<(&String, &(&'a File, String))> = None;
        for (merged, origin) in &self.lists {
            let covers =
                path.strip_prefix(merged.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
            if covers && best.is_none_or(|(other, _)| other.len() < merged.len()) {
                best = Some((merged, origin));
            }
        }
        best.map(|(merged, (file, local))| (*file, format!("{local}{}", &path[merged.len()..])))
    }

    fn problem(&self, folder: &Path, path: &str, problem: String) -> Problem {
        match self.find(path) {
            Some((file, local)) => at(&file.path, file.tree.place(&local), &local, problem),
            None => Problem { path: path.to_owned(), ..whole_file(folder, problem) },
        }
    }
}

fn merge(folder: &Path, files: &[File]) -> Result<Config, Problems> {
    let mut origins = Origins::default();
    let mut problems = Vec::new();
    let mut merged = Sections::default();
    for file in files {
        let sections = &file.sections;
        let mut twice = |path: String, origins: &Origins<'_>, what: &str| {
            let first = origins
                .find(&path)
                .map_or_else(String::new, |(other, _)| format!(" (first in {})", other.path.display()));
            problems.push(at(&file.path, file.tree.place(&path), &path, format!("{what} stands twice{first}")));
        };
        for (section, present) in [("server", sections.server.is_some()), ("owners", sections.owners.is_some())] {
            if present && origins.lists.contains_key(section) {
                twice(section.to_owned(), &origins, "the section");
            } else if present {
                origins.note(section.to_owned(), file, section.to_owned());
            }
        }
        merged.server = merged.server.or_else(|| sections.server.clone());
        merged.owners = merged.owners.or_else(|| sections.owners.clone());
        for (name, team) in &sections.teams {
            let path = format!("teams.{name}");
            if merged.teams.insert(name.clone(), team.clone()).is_some() {
                twice(path.clone(), &origins, "the team");
            }
            origins.note(path.clone(), file, path);
        }
        for (name, connection) in &sections.connections {
            let path = format!("connections.{name}");
            if merged.connections.insert(name.clone(), connection.clone()).is_some() {
                twice(path.clone(), &origins, "the connection");
            }
            origins.note(path.clone(), file, path);
        }
        append(&mut merged.rules, &sections.rules, "rules", file, &mut origins);
        append(&mut merged.pipelines, &sections.pipelines, "pipelines", file, &mut origins);
        append(&mut merged.tokens, &sections.tokens, "tokens", file, &mut origins);
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    judge(folder, merged, &origins)
}

fn append<'a, T: Clone>(all: &mut Vec<T>, some: &[T], section: &str, file: &'a File, origins: &mut Origins<'a>) {
    for (index, entry) in some.iter().enumerate() {
        origins.note(format!("{section}[{}]", all.len()), file, format!("{section}[{index}]"));
        all.push(entry.clone());
    }
}

/// Judges the whole: what no single file can know.
fn judge(folder: &Path, sections: Sections, origins: &Origins<'_>) -> Result<Config, Problems> {
    let server = sections.server.unwrap_or_default();
    let mut problems = Vec::new();
    for (name, connection) in &sections.connections {
        for invalid in connection.validate().err().unwrap_or_default() {
            let path = format!("connections.{name}.{}", invalid.field);
            problems.push(origins.problem(folder, &path, invalid.problem));
        }
    }
    for (index, token) in sections.tokens.iter().enumerate() {
        if let Some(team) = &token.team
            && !sections.teams.contains_key(team)
        {
            let path = format!("tokens[{index}].team");
            problems.push(origins.problem(folder, &path, format!("there is no team `{team}`")));
        }
        if sections.tokens[..index].iter().any(|earlier| earlier.name == token.name) {
            let path = format!("tokens[{index}].name");
            problems.push(origins.problem(folder, &path, format!("`{}` is used twice", token.name)));
        }
    }
    let ruleset = Ruleset {
        teams: sections.teams,
        owners: sections.owners.unwrap_or_default(),
        rules: if sections.rules.is_empty() { default_rules() } else { sections.rules },
        pipelines: sections.pipelines,
        connections: sections.connections.iter().map(|(name, config)| (name.clone(), info(config))).collect(),
        public_url: Some(server.public_url()),
    };
    let compiled = Rules::new(ruleset.clone());
    if let Err(bad) = &compiled {
        problems.push(origins.problem(folder, &bad.path, bad.problem.clone()));
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let mut config =
        Config { server, ruleset, connections: sections.connections, tokens: sections.tokens, warnings: Vec::new() };
    config.warnings = warnings(folder, &config, origins);
    Ok(config)
}

/// What applies when a configuration has no rules: tell of every failure, carry every report.
fn default_rules() -> Vec<Rule> {
    let rule = |name: &str, when| Rule { name: name.to_owned(), matches: Selector::default(), when, severity: None };
    vec![rule("failed", Condition::Failed { consecutive: 1, on: FailedOn::Any }), rule("reported", Condition::Reported)]
}

/// What decisions need to know of a connection.
fn info(config: &ConnectionConfig) -> ConnectionInfo {
    let edits = match config {
        ConnectionConfig::Slack(slack) => !matches!(slack.access, SlackAccess::IncomingWebhook { .. }),
        ConnectionConfig::Webhook(_) => true,
        ConnectionConfig::Pagerduty(_) | ConnectionConfig::Email(_) | ConnectionConfig::Prefect(_) => false,
    };
    ConnectionInfo { kind: config.kind(), updates: if edits { Updates::Every } else { Updates::Raised } }
}

fn warnings(folder: &Path, config: &Config, origins: &Origins<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut warn = |path: String, problem: String, suggestion: Option<&str>| {
        let mut problem = origins.problem(folder, &path, problem);
        problem.suggestion = suggestion.map(str::to_owned);
        found.push(problem);
    };
    for (name, team) in &config.ruleset.teams {
        if team.notify.is_empty() && *name != config.ruleset.owners.default {
            let problem = "the team has no way to be told; the default owner is told instead".to_owned();
            warn(format!("teams.{name}"), problem, Some("add `notify: [{via: CONNECTION}]`"));
        }
        if let Some(least) =
            team.notify.iter().map(|notify| notify.min_severity).min().filter(|least| *least > Severity::Warning)
        {
            let problem = format!("nobody is told of anything below {}", least.as_str());
            warn(format!("teams.{name}.notify"), problem, Some("add a connection without `min_severity`"));
        }
    }
    let default = &config.ruleset.owners.default;
    if config.ruleset.teams.get(default).is_some_and(|team| team.notify.is_empty()) {
        let problem = "the default owner has no way to be told: what nobody else owns reaches nobody".to_owned();
        warn(format!("teams.{default}"), problem, Some("add `notify: [{via: CONNECTION}]`"));
    }
    for (name, connection) in &config.connections {
        let told = config.ruleset.teams.values().any(|team| team.notify.iter().any(|notify| notify.via == *name));
        if !told && connection.kind() != ConnectionKind::Prefect {
            warn(
                format!("connections.{name}"),
                "no team is told through it".to_owned(),
                Some("name it in a team's `notify`"),
            );
        }
        if let Err(error) = connection.open(name, None) {
            warn(format!("connections.{name}"), error.to_string(), None);
        }
        // Nothing is sent there, so opening it needs no secret; reading does.
        if let ConnectionConfig::Prefect(prefect) = connection {
            for (field, secret) in [("api_key", &prefect.api_key), ("auth_string", &prefect.auth_string)] {
                if let Some(Err(error)) = secret.as_ref().map(SecretRef::resolve) {
                    warn(format!("connections.{name}.{field}"), error.to_string(), None);
                }
            }
        }
    }
    for (index, token) in config.tokens.iter().enumerate() {
        if let Err(error) = token.secret.resolve() {
            warn(format!("tokens[{index}].secret"), error.to_string(), None);
        }
    }
    found
}

fn at(file: &Path, place: Place, path: &str, problem: String) -> Problem {
    let suggestion = locate::suggestion(&problem);
    Problem {
        file: file.to_owned(),
        line: place.line,
        column: place.column,
        path: path.to_owned(),
        problem,
        suggestion,
    }
}

fn whole_file(file: &Path, problem: String) -> Problem {
    at(file, Place::default(), "", problem)
}

#[cfg(test)]
mod tests;
