//! JSON Schema of inputs and results: compiled once per configuration, no reference leaves the schema.
//!
//! Invariants: an error names the JSON Pointer of the value, and what was wrong with it, without repeating long values;
//! a schema that refers to another document is refused when the configuration is read.

use jsonschema::{Draft, Validator};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use trackside_core::job::spec::JobSpec;

/// Most problems told of one value.
pub const PROBLEMS: usize = 20;
/// Longest text of one problem, in bytes.
const PROBLEM_BYTES: usize = 300;

/// The schemas of the inputs of all jobs.
#[derive(Clone, Debug, Default)]
pub struct Schemas(BTreeMap<String, Arc<Validator>>);

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// JSON Pointer (RFC 6901) of the value; empty for the whole.
    pub pointer: String,
    /// What is wrong, for people.
    pub problem: String,
}

impl Schemas {
    /// The schemas of these jobs. One that does not compile is left out: the configuration was judged before.
    #[must_use]
    pub fn of(jobs: &BTreeMap<String, JobSpec>) -> Self {
        let compiled = jobs.iter().filter_map(|(name, spec)| {
            let validator = compile(spec.input.as_ref()?).ok()?;
            Some((name.clone(), Arc::new(validator)))
        });
        Self(compiled.collect())
    }

    /// Whether an input of a job fits.
    ///
    /// # Errors
    /// What does not, at most [`PROBLEMS`].
    pub fn check(&self, job: &str, input: &Value) -> Result<(), Vec<Misfit>> {
        self.0.get(job).map_or(Ok(()), |validator| misfits(validator, input))
    }
}

/// Compiles a schema (draft 2020-12 unless it says otherwise).
///
/// # Errors
/// What is wrong with it, with the place.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).build(schema).map_err(|error| {
        let place = error.instance_path().to_string();
        let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
        format!("is not a JSON Schema that can be used{at}: {}", cut(&error.to_string()))
    })
}

/// Whether a value fits a schema.
///
/// # Errors
/// What does not, at most [`PROBLEMS`].
pub fn check(schema: &Value, value: &Value) -> Result<(), Vec<Misfit>> {
    match compile(schema) {
        Ok(validator) => misfits(&validator, value),
        Err(problem) => Err(vec![Misfit { pointer: String::new(), problem: format!("the schema {problem}") }]),
    }
}

fn misfits(validator: &Validator, value: &Value) -> Result<(), Vec<Misfit>> {
    let found: Vec<Misfit> = validator
        .iter_errors(value)
        .take(PROBLEMS)
        .map(|error| Misfit { pointer: error.instance_path().to_string(), problem: cut(&error.masked().to_string()) })
        .collect();
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// The first problems in one line.
#[must_use]
pub fn summary(misfits: &[Misfit]) -> String {
    let shown: Vec<String> = misfits
        .iter()
        .take(3)
        .map(|misfit| {
            let place = if misfit.pointer.is_empty() { "the whole" } else { &misfit.pointer };
            format!("{place}: {}", misfit.problem)
        })
        .collect();
    let more = misfits.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{tail}", shown.join("; "))
}

fn cut(text: &str) -> String {
    crate::template::truncate_bytes(text, PROBLEM_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_misfit_names_its_pointer_and_not_its_value() {
        let schema = json!({
            "type": "object", "required": ["customer"], "additionalProperties": false,
            "properties": {"customer": {"type": "string"}, "rows": {"type": "array", "items": {"type": "integer"}}},
        });
        let misfits = check(&schema, &json!({"customer": "secret", "rows": [1, "two"]})).unwrap_err();
        assert_eq!(misfits.len(), 1);
        assert_eq!(misfits[0].pointer, "/rows/1");
        assert!(!misfits[0].problem.contains("two"), "{}", misfits[0].problem);
        let missing = check(&schema, &json!({"x": 1})).unwrap_err();
        assert!(summary(&missing).starts_with("the whole: "), "{}", summary(&missing));
        assert_eq!(check(&schema, &json!({"customer": "a"})), Ok(()));
    }

    #[test]
    fn a_schema_stays_within_itself() {
        let local = json!({"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"});
        assert!(compile(&local).is_ok());
        for away in ["https://example.net/other.json", "file:///etc/passwd"] {
            let problem = compile(&json!({"$ref": away})).unwrap_err();
            assert!(problem.contains("is not a JSON Schema that can be used"), "{problem}");
        }
        assert!(compile(&json!({"type": "nothing"})).is_err());
    }
}
