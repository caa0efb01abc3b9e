//! The ruleset made ready: globs compiled, teams indexed by every name, so that a decision only looks things up.
//!
//! Invariant: built once per ruleset; [`Rules::new`] is the only place that can fail, with the path of the bad value.
//! Whether a rule's condition holds is decided in [`crate::engine`]; here is only whom and what it applies to.

mod approvals;
mod expect;
mod failures;
mod people;

pub use expect::{CompiledExpectation, DECLARED_DEADLINE};
pub use people::CompiledInhibition;

use crate::event::Severity;
use crate::incident::matchers::Matchers;
use crate::ruleset::noise::Maintenance;
use crate::ruleset::{Condition, ConnectionInfo, Notify, OwnerPattern, PipelineEntry, Rule, Ruleset, Selector};
use crate::run::PipelineKey;
use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use std::collections::BTreeMap;

/// A compiled ruleset.
#[derive(Clone, Debug)]
pub struct Rules {
    source: Ruleset,
    team_by_name: BTreeMap<String, String>,
    owner_rules: Vec<(Matcher, String)>,
    owner_patterns: GlobSet,
    rules: Vec<(Matcher, Rule)>,
    pipelines: Vec<(Matcher, PipelineEntry)>,
    person_by_name: BTreeMap<String, String>,
    upstreams: Vec<(Matcher, Vec<PipelineKey>)>,
    maintenance: Vec<(Maintenance, Matchers)>,
    inhibitions: Vec<CompiledInhibition>,
    transients: failures::Transients,
    expectations: Vec<CompiledExpectation>,
}

/// What a selector is asked about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// Source name.
    pub source: &'a str,
    /// Pipeline name.
    pub pipeline: &'a str,
    /// Task id; empty for the pipeline itself.
    pub task: &'a str,
    /// Tags.
    pub tags: &'a [String],
    /// Owners as reported, in order.
    pub owners: &'a [String],
}

/// A value of the ruleset that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct BadRuleset {
    /// Path of the value, for example `rules[2].match.pipeline`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl Rules {
    /// Compiles a ruleset.
    ///
    /// # Errors
    /// The first value that cannot be used: a bad glob, an unknown team or connection, a doubled name, a bad time.
    pub fn new(source: Ruleset) -> Result<Self, BadRuleset> {
        let team_by_name = index_teams(&source)?;
        if source.teams.is_empty() {
            return bad("teams".into(), "at least one team is needed: somebody must own what fails".into());
        }
        known_team(&source, "owners.default".into(), &source.owners.default)?;
        let owner_rules = compile_owner_rules(&source)?;
        let owner_patterns = compile_patterns(&source)?;
        let rules = compile_rules(&source)?;
        let expectations = expect::compile(&source.rules)?;
        let pipelines = compile_pipelines(&source)?;
        let person_by_name = people::index(&source)?;
        people::check(&source)?;
        approvals::check(&source)?;
        let upstreams = people::compile_upstreams(&source)?;
        let maintenance = people::compile_maintenance(&source)?;
        let inhibitions = people::compile_inhibitions(&source)?;
        let transients = failures::compile(&source.rules)?;
        Ok(Self {
            team_by_name,
            owner_rules,
            owner_patterns,
            rules,
            pipelines,
            person_by_name,
            upstreams,
            maintenance,
            inhibitions,
            transients,
            expectations,
            source,
        })
    }

    /// The ruleset it was made from.
    #[must_use]
    pub fn source(&self) -> &Ruleset {
        &self.source
    }

    /// The team known under a name or alias.
    #[must_use]
    pub fn team(&self, name: &str) -> Option<&str> {
        self.team_by_name.get(name).map(String::as_str)
    }

    /// How a team is told, in order. Empty for an unknown team.
    #[must_use]
    pub fn notify(&self, team: &str) -> &[Notify] {
        self.source.teams.get(team).map_or(&[], |team| team.notify.as_slice())
    }

    /// What a connection is.
    #[must_use]
    pub fn connection(&self, name: &str) -> Option<ConnectionInfo> {
        self.source.connections.get(name).copied()
    }

    /// Every rule with its matcher, in the order of the configuration.
    pub fn rules(&self) -> impl Iterator<Item = (&Matcher, &Rule)> {
        self.rules.iter().map(|(matcher, rule)| (matcher, rule))
    }

    /// The rule of a name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().map(|(_, rule)| rule).find(|rule| rule.name == name)
    }

    /// The explicit owner rules, first match wins.
    pub fn owner_rules(&self) -> impl Iterator<Item = (&Matcher, &str)> {
        self.owner_rules.iter().map(|(matcher, team)| (matcher, team.as_str()))
    }

    /// The last owner pattern that matches `source/pipeline[/task]`.
    #[must_use]
    pub fn owner_pattern(&self, subject: &Subject<'_>) -> Option<&OwnerPattern> {
        let path = format!("{}/{}/{}", subject.source, subject.pipeline, subject.task);
        let mut hits = self.owner_patterns.matches(&path);
        if let Some(pipeline) = path.strip_suffix('/') {
            // The pipeline itself: `a/b/**` means it as well as its tasks, or the two would have different owners.
            hits.extend(self.owner_patterns.matches(pipeline));
        }
        let last = hits.into_iter().max()?;
        Some(&self.source.owners.patterns[last])
    }

    /// The first value that entries for this subject give.
    pub fn entry<'a, T>(&'a self, subject: &Subject<'_>, field: impl Fn(&'a PipelineEntry) -> Option<T>) -> Option<T> {
        self.pipelines
            .iter()
            .filter(|(matcher, _)| matcher.mismatch(subject, None, None).is_none())
            .find_map(|(_, entry)| field(entry))
    }

    /// Tier of a subject: from the catalogue, else from a tag `tier:N`.
    #[must_use]
    pub fn tier(&self, subject: &Subject<'_>) -> Option<u8> {
        self.entry(subject, |entry| entry.tier)
            .or_else(|| tag_value(subject.tags, "tier").and_then(|tier| tier.parse().ok()))
    }

    /// Pipelines that are named in full in a rule or the catalogue, so that they are expected before they are seen.
    pub fn declared(&self) -> impl Iterator<Item = PipelineKey> + '_ {
        let selectors = self.source.rules.iter().map(|rule| &rule.matches);
        selectors.chain(self.source.pipelines.iter().map(|entry| &entry.matches)).filter_map(named_in_full)
    }

    /// Severity of a rule for a tier.
    #[must_use]
    pub fn severity(rule: &Rule, tier: Option<u8>) -> Severity {
        rule.severity.unwrap_or_else(|| Self::severity_of_tier(tier))
    }

    /// Severity of a problem of a tier, when nothing else says it.
    #[must_use]
    pub fn severity_of_tier(tier: Option<u8>) -> Severity {
        match tier {
            Some(1) => Severity::Critical,
            Some(2) => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

/// The value of a tag `name:value` or `name=value`.
#[must_use]
pub fn tag_value<'a>(tags: &'a [String], name: &str) -> Option<&'a str> {
    tags.iter().find_map(|tag| {
        let rest = tag.strip_prefix(name)?;
        rest.strip_prefix(':').or_else(|| rest.strip_prefix('='))
    })
}

/// A compiled [`Selector`].
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    source: Option<GlobMatcher>,
    pipeline: Option<GlobMatcher>,
    task: Option<GlobMatcher>,
    tag: Option<String>,
    tier: Option<u8>,
    owner: Option<String>,
}

impl Matcher {
    fn new(selector: &Selector, path: &str) -> Result<Self, BadRuleset> {
        let glob = |field: &str, text: &Option<String>| {
            text.as_deref().map(|text| compile(text, &format!("{path}.{field}"))).transpose()
        };
        Ok(Self {
            source: glob("source", &selector.source)?,
            pipeline: glob("pipeline", &selector.pipeline)?,
            task: glob("task", &selector.task)?,
            tag: selector.tag.clone(),
            tier: selector.tier,
            owner: selector.owner.clone(),
        })
    }

    /// The first clause that does not match, with values; `None` when all match.
    #[must_use]
    pub fn mismatch(&self, subject: &Subject<'_>, tier: Option<u8>, owner: Option<&str>) -> Option<String> {
        let globs = [
            ("source", &self.source, subject.source),
            ("pipeline", &self.pipeline, subject.pipeline),
            ("task", &self.task, subject.task),
        ];
        for (name, glob, value) in globs {
            if let Some(glob) = glob
                && !glob.is_match(value)
            {
                return Some(format!("{name} `{value}` does not match `{}`", glob.glob()));
            }
        }
        if let Some(tag) = &self.tag
            && !subject.tags.contains(tag)
        {
            return Some(format!("tag `{tag}` is not among [{}]", subject.tags.join(", ")));
        }
        if let Some(wanted) = self.tier
            && tier != Some(wanted)
        {
            let has = tier.map_or_else(|| "none".to_owned(), |tier| tier.to_string());
            return Some(format!("tier is {has}, not {wanted}"));
        }
        if let Some(wanted) = &self.owner
            && owner != Some(wanted.as_str())
        {
            return Some(format!("owner is `{}`, not `{wanted}`", owner.unwrap_or("unknown")));
        }
        None
    }
}

/// The one pipeline that a selector names in full, without globs.
fn named_in_full(selector: &Selector) -> Option<PipelineKey> {
    let (source, name) = (selector.source.as_deref()?, selector.pipeline.as_deref()?);
    let literal = |text: &str| !text.contains(['*', '?', '[', '{', '\\']);
    (literal(source) && literal(name)).then(|| PipelineKey { source: source.into(), name: name.into() })
}

fn compile(text: &str, path: &str) -> Result<GlobMatcher, BadRuleset> {
    match Glob::new(text) {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => bad(path.to_owned(), format!("`{text}` is not a glob: {}", error.kind())),
    }
}

fn known_team(source: &Ruleset, path: String, team: &str) -> Result<(), BadRuleset> {
    if source.teams.contains_key(team) {
        Ok(())
    } else {
        bad(path, format!("there is no team `{team}`; {}", choices(source.teams.keys())))
    }
}

fn compile_owner_rules(source: &Ruleset) -> Result<Vec<(Matcher, String)>, BadRuleset> {
    let mut compiled = Vec::new();
    for (index, rule) in source.owners.rules.iter().enumerate() {
        let path = format!("owners.rules[{index}]");
        known_team(source, format!("{path}.team"), &rule.team)?;
        if rule.matches.owner.is_some() {
            return bad(format!("{path}.match.owner"), "an owner rule cannot ask for the owner it decides".into());
        }
        compiled.push((Matcher::new(&rule.matches, &format!("{path}.match"))?, rule.team.clone()));
    }
    Ok(compiled)
}

fn compile_rules(source: &Ruleset) -> Result<Vec<(Matcher, Rule)>, BadRuleset> {
    let mut compiled: Vec<(Matcher, Rule)> = Vec::new();
    for (index, rule) in source.rules.iter().enumerate() {
        let path = format!("rules[{index}]");
        if compiled.iter().any(|(_, earlier)| earlier.name == rule.name) {
            return bad(
                format!("{path}.name"),
                format!("`{}` is used twice; a rule's name is its identity", rule.name),
            );
        }
        check_condition(&rule.when, &path)?;
        expect::check(source, rule, &path)?;
        compiled.push((Matcher::new(&rule.matches, &format!("{path}.match"))?, rule.clone()));
    }
    Ok(compiled)
}

fn compile_pipelines(source: &Ruleset) -> Result<Vec<(Matcher, PipelineEntry)>, BadRuleset> {
    let mut compiled = Vec::new();
    for (index, entry) in source.pipelines.iter().enumerate() {
        let path = format!("pipelines[{index}]");
        if let Some(owner) = &entry.owner {
            known_team(source, format!("{path}.owner"), owner)?;
        }
        compiled.push((Matcher::new(&entry.matches, &format!("{path}.match"))?, entry.clone()));
    }
    Ok(compiled)
}

fn compile_patterns(source: &Ruleset) -> Result<GlobSet, BadRuleset> {
    let mut set = GlobSetBuilder::new();
    for (index, pattern) in source.owners.patterns.iter().enumerate() {
        known_team(source, format!("owners.patterns[{index}].team"), &pattern.team)?;
        let path = format!("owners.patterns[{index}].path");
        match GlobBuilder::new(&pattern.path).literal_separator(true).build() {
            Ok(glob) => set.add(glob),
            Err(error) => return bad(path, format!("`{}` is not a glob: {}", pattern.path, error.kind())),
        };
    }
    set.build().or_else(|error| bad("owners.patterns".into(), error.kind().to_string()))
}

fn index_teams(source: &Ruleset) -> Result<BTreeMap<String, String>, BadRuleset> {
    let mut index = BTreeMap::new();
    for (name, team) in &source.teams {
        for (position, notify) in team.notify.iter().enumerate() {
            let path = format!("teams.{name}.notify[{position}].via");
            match source.connections.get(&notify.via) {
                Some(info) if info.kind.can_tell() => {}
                Some(_) => {
                    return bad(path, format!("`{}` is read from; it cannot be told", notify.via));
                }
                None => {
                    let names = choices(source.connections.keys());
                    return bad(path, format!("there is no connection `{}`; {names}", notify.via));
                }
            }
        }
        for alias in std::iter::once(name).chain(&team.aliases) {
            if let Some(other) = index.insert(alias.clone(), name.clone())
                && &other != name
            {
                let path = format!("teams.{name}.aliases");
                return bad(path, format!("`{alias}` already means team `{other}`"));
            }
        }
    }
    Ok(index)
}

fn check_condition(condition: &Condition, path: &str) -> Result<(), BadRuleset> {
    match condition {
        Condition::Failed(failures) => failures::check(failures, path),
        Condition::AllFailed { at_least: 0 } => {
            bad(format!("{path}.when.all_failed.at_least"), "must be at least 1".into())
        }
        Condition::RunsLongerThan(limit) if limit.seconds() < 1 => {
            bad(format!("{path}.when.runs_longer_than"), "must be at least 1s".into())
        }
        Condition::Missing { every, .. } if every.seconds() < 1 => {
            bad(format!("{path}.when.missing.every"), "must be at least 1s".into())
        }
        _ => Ok(()),
    }
}

fn bad<T>(path: String, problem: String) -> Result<T, BadRuleset> {
    Err(BadRuleset { path, problem })
}

fn choices<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "none is declared".to_owned() } else { format!("declared are {}", names.join(", ")) }
}
