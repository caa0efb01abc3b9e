//! The policies in force: parsed, named, validated, indexed.
//!
//! A policy is named by its annotation `@id("…")`, else by its file and place in it (`deploys.cedar#2`).

use crate::SCHEMA;
use crate::entity;
use crate::reads::Reads;
use crate::slice::Index;
use cedar_policy::{Authorizer, Decision, ParseErrors, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::Arc;
use trackside_identity::question::{Answer, Judge, Question, Verdict};

/// Largest policy file, in bytes.
pub const SOURCE_BYTES: usize = 256 * 1024;
/// Most policies of a configuration.
pub const POLICIES: usize = 10_000;

/// A file of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct Broken {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong, and what helps.
    pub problem: String,
}

/// Policies that passed validation.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    index: Arc<Index>,
    names: Vec<String>,
    texts: Arc<BTreeMap<String, String>>,
}

impl Policies {
    /// Parses and validates files.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn compile(sources: &[Source]) -> Result<Self, Vec<Broken>> {
        let schema = schema()
            .map_err(|problem| vec![at(&Source { name: "schema".to_owned(), text: String::new() }, 0, problem)])?;
        let mut broken = Vec::new();
        let mut policies: Vec<Policy> = Vec::new();
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        for source in sources {
            match read(source, &schema) {
                Err(mistakes) => broken.extend(mistakes),
                Ok(read) => {
                    for policy in read {
                        let name = policy.id().to_string();
                        if let Some(first) = named.insert(name.clone(), source.name.clone()) {
                            let problem = format!("the policy `{name}` stands twice (first in {first})");
                            broken.push(at(source, 0, problem));
                        }
                        policies.push(policy);
                    }
                }
            }
        }
        if policies.len() > POLICIES {
            let problem = format!("there are {} policies, at most {POLICIES} are allowed", policies.len());
            broken.extend(sources.first().map(|source| at(source, 0, problem)));
        }
        if !broken.is_empty() {
            return Err(broken);
        }
        let names = policies.iter().map(|policy| policy.id().to_string()).collect();
        let texts = policies.iter().map(|policy| (policy.id().to_string(), policy.to_string())).collect();
        Ok(Self { index: Arc::new(Index::new(policies)), names, texts: Arc::new(texts) })
    }

    /// The names of all policies, in the order written.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Each policy as it was written, by its name.
    #[must_use]
    pub fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }

    /// Answers a question.
    #[must_use]
    pub fn answer(&self, question: &Question<'_>) -> Verdict {
        let silent = Verdict { answer: Answer::Silent, because: Vec::new(), errors: Vec::new() };
        self.index.slice(question).map_or(silent, |slice| decide(question, &slice.policies, &slice.reads))
    }

    /// The policies as a function, for the places that ask.
    #[must_use]
    pub fn judge(&self) -> Judge {
        let policies = self.clone();
        Arc::new(move |question| policies.answer(question))
    }
}

/// What policies say of as much of a question as they read.
fn decide(question: &Question<'_>, policies: &PolicySet, reads: &Reads) -> Verdict {
    let (request, entities) = match entity::request(question, reads) {
        Ok(asked) => asked,
        Err(problem) => return Verdict { answer: Answer::Forbid, because: Vec::new(), errors: vec![problem] },
    };
    let response = Authorizer::new().is_authorized(&request, policies, &entities);
    let diagnostics = response.diagnostics();
    let errors: Vec<String> = diagnostics.errors().map(ToString::to_string).collect();
    let mut because: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
    because.sort_unstable();
    let answer = match response.decision() {
        // A policy that fails may have been one that forbids: it must not be left out in silence.
        _ if !errors.is_empty() => Answer::Forbid,
        Decision::Allow => Answer::Permit,
        Decision::Deny if because.is_empty() => Answer::Silent,
        Decision::Deny => Answer::Forbid,
    };
    Verdict { answer, because, errors }
}

/// The published schema.
pub(crate) fn schema() -> Result<Schema, String> {
    Schema::from_cedarschema_str(SCHEMA).map(|(schema, _)| schema).map_err(|error| error.to_string())
}

/// The policies of one file, with their names.
fn read(source: &Source, schema: &Schema) -> Result<Vec<Policy>, Vec<Broken>> {
    if source.text.len() > SOURCE_BYTES {
        return Err(vec![at(source, 0, format!("the file has more than {SOURCE_BYTES} bytes"))]);
    }
    let set = PolicySet::from_str(&source.text).map_err(|errors| parse_errors(source, &errors))?;
    if set.num_of_templates() > 0 {
        let problem = "there is a template (`?principal` or `?resource`); write a policy for each case".to_owned();
        return Err(vec![at(source, 0, problem)]);
    }
    let found = Validator::new(schema.clone()).validate(&set, ValidationMode::default());
    let mut invalid: Vec<Broken> = found.validation_errors().map(|error| diagnosed(source, error)).collect();
    // A policy about every action is judged once for each; one telling at a place is enough.
    invalid.sort_by(|a, b| (a.line, a.column, &a.problem).cmp(&(b.line, b.column, &b.problem)));
    invalid.dedup_by_key(|broken| (broken.line, broken.column));
    if !invalid.is_empty() {
        return Err(invalid);
    }
    let mut ordered: Vec<&Policy> = set.policies().collect();
    // Cedar names what it parses `policy0`, `policy1`, …; by number, not by letter.
    ordered.sort_by_key(|policy| policy.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(0));
    Ok(ordered.into_iter().enumerate().map(|(place, policy)| named(source, place, policy)).collect())
}

fn named(source: &Source, place: usize, policy: &Policy) -> Policy {
    let name = policy.annotation("id").filter(|id| !id.is_empty());
    let name = name.map_or_else(|| format!("{}#{}", source.name, place + 1), str::to_owned);
    policy.new_id(PolicyId::new(name))
}

fn parse_errors(source: &Source, errors: &ParseErrors) -> Vec<Broken> {
    errors.iter().map(|error| diagnosed(source, error)).collect()
}

/// A diagnostic of Cedar with its place and its advice.
fn diagnosed(source: &Source, error: &(impl Diagnostic + std::fmt::Display)) -> Broken {
    let offset = error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    let mut problem = error.to_string();
    // Cedar names policies by their place before we name them; the place in the file says it better.
    if let Some((_, said)) = problem.strip_prefix("for policy `policy").and_then(|rest| rest.split_once("`, ")) {
        problem = said.to_owned();
    }
    if let Some(help) = error.help() {
        problem = format!("{problem}; {help}");
    }
    at(source, offset, problem)
}

/// A mistake at a byte of a file.
fn at(source: &Source, offset: usize, problem: String) -> Broken {
    let before = source.text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) as u64 + 1;
    Broken { file: source.name.clone(), line, column, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use trackside_core::caller::Caller;
    use trackside_identity::directory::{Identity, Kind};
    use trackside_identity::question::{Context, Resource, ResourceKind};
    use trackside_identity::role::Role;

    fn broken(text: &str) -> Vec<String> {
        let source = Source { name: "a.cedar".to_owned(), text: text.to_owned() };
        let broken = Policies::compile(&[source]).err().unwrap_or_default();
        broken.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn mistakes_have_a_place() {
        insta::assert_json_snapshot!([
            broken("permit(principal, action, resource)\n  whenn { true };"),
            broken("// fine\npermit(principal, action == Action::\"fly\", resource);"),
            broken("permit(principal, action == Action::\"call\", resource)\nwhen { context.hours > 3 };"),
            broken("permit(principal == ?principal, action, resource);"),
            broken("@id(\"a\") permit(principal, action, resource);\n@id(\"a\") forbid(principal, action, resource);"),
            broken(
                "permit(principal, action == Action::\"start\", resource) when { principal.getTag(\"env\") == \"x\" };"
            ),
        ]);
    }

    const CONDITIONS: [&str; 14] = [
        "context.hour >= 7",
        "context.at > datetime(\"1990-01-01T00:00:00Z\")",
        "context.weekday == \"thursday\" && !context.approved",
        "context has client && context.client.isInRange(ip(\"10.0.0.0/8\"))",
        "context has method && context.method == \"GET\"",
        "context.approvers.contains(\"bo\")",
        "context.input.hasTag(\"env\") && context.input.getTag(\"env\") == \"prod\"",
        "principal.hasTag(\"site\") && principal.getTag(\"site\") == \"lisbon\"",
        "principal.kind == \"person\" && principal.behalf.isEmpty()",
        "principal has issuer && principal.issuer == \"corp\"",
        "principal in [Role::\"operator\", Team::\"t\"]",
        "(if context.approved then principal else principal).via == \"jwt\"",
        "resource in Team::\"t\" || resource.name == \"k\"",
        "principal in resource || principal == Caller::\"ana\"",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn what_is_not_read_changes_nothing(
            rules in prop::collection::vec((any::<bool>(), 0..CONDITIONS.len()), 1..6),
            given in prop::collection::vec(any::<bool>(), 9),
        ) {
            let rule = |(n, (forbid, place)): (usize, &(bool, usize))| {
                let effect = if *forbid { "forbid" } else { "permit" };
                format!("@id(\"{n}\") {effect}(principal, action, resource) when {{ {} }};\n", CONDITIONS[*place])
            };
            let set: PolicySet = rules.iter().enumerate().map(rule).collect::<String>().parse().expect("policies");
            let reads = set.policies().fold(Reads::NOTHING, |mut reads, policy| { reads.join(Reads::of(policy)); reads });
            let kind = if given[0] { Kind::Person } else { Kind::Service };
            let role = if given[1] { Role::Operator } else { Role::Viewer };
            let mut who = Identity::simple(Caller::new("ana", "jwt"), kind, role);
            who.teams.extend(given[2].then(|| "t".to_owned()));
            who.issuer = given[3].then(|| "corp".to_owned());
            who.attributes.extend(given[4].then(|| ("site".to_owned(), "lisbon".to_owned())));
            let mut context = Context::at(jiff::Timestamp::UNIX_EPOCH);
            context.approved = given[5];
            context.method = given[6].then(|| "GET".to_owned());
            context.client = given[7].then(|| [10, 0, 0, 1].into());
            context.input.extend(given[8].then(|| ("env".to_owned(), "prod".to_owned())));
            let resource = Resource { kind: ResourceKind::Job, name: "k", team: given[0].then_some("t") };
            let question = Question { who: &who, action: "start", resource, context: &context };
            prop_assert_eq!(decide(&question, &set, &reads), decide(&question, &set, &Reads::EVERYTHING));
        }
    }

    #[test]
    fn policies_have_names() {
        let text = "permit(principal, action, resource);\n@id(\"b\") forbid(principal, action, resource) when { context.approved };";
        let source = Source { name: "a.cedar".to_owned(), text: text.to_owned() };
        let policies = Policies::compile(&[source]).expect("valid");
        assert_eq!(policies.names(), ["a.cedar#1", "b"]);
    }
}
