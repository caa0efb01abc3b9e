//! Vectors of kind `validation`: a request to make an automation, and what Prefect answered.
//!
//! Answers are compared as a whole: status, the normalised body, or every error with its place and words. Errors are
//! compared as a set, because the recorder sorted them, and so are `after`, `expect` and `for_each`, which are sets in
//! Python. Of what is wrong with a template only the place and that it is no template are compared: what follows are the
//! words of Jinja's parser. A recorded 500 is Prefect breaking on the request: here it must be refused.

use super::Case;
use serde::Deserialize;
use serde_json::Value;
use trackside_core::automation::definition::AutomationSpec;
use trackside_core::automation::request::{self, Dialect, FieldError, PathPart};

/// A file of this kind.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    vectors: Vec<Vector>,
}

#[derive(Debug, Deserialize)]
struct Vector {
    name: String,
    request: Value,
    expected: Answer,
}

#[derive(Debug, Deserialize)]
struct Answer {
    status: u16,
    normalized: Option<Value>,
    errors: Option<Vec<(String, String)>>,
}

/// Runs every case.
pub(crate) fn run(file: &File) -> Vec<Case> {
    file.vectors.iter().map(|vector| Case::new(&vector.name, check(vector))).collect()
}

fn check(vector: &Vector) -> Result<(), String> {
    let got = request::parse(&vector.request, Dialect::Prefect);
    match (&vector.expected, got) {
        (Answer { status: 201, normalized: Some(wanted), .. }, Ok(spec)) => same(&normalized(&spec)?, wanted),
        (Answer { status: 422, errors: Some(wanted), .. }, Err(errors)) => same_errors(&errors, wanted),
        (Answer { status: 500, .. }, Err(_)) => Ok(()),
        (Answer { status, .. }, Ok(_)) => Err(format!("accepted, wanted status {status}")),
        (Answer { status, .. }, Err(errors)) => Err(format!("refused, wanted status {status}: {}", listed(&errors))),
    }
}

/// The body of the answer, as far as it comes from the request: an owner is not in it.
fn normalized(spec: &AutomationSpec) -> Result<Value, String> {
    let mut body = serde_json::to_value(spec).map_err(|error| error.to_string())?;
    if let Some(body) = body.as_object_mut() {
        body.remove("owner_resource");
    }
    Ok(body)
}

fn same(got: &Value, wanted: &Value) -> Result<(), String> {
    let (got, wanted) = (sorted_sets(got), sorted_sets(wanted));
    if got == wanted { Ok(()) } else { Err(format!("got {got}, wanted {wanted}")) }
}

fn sorted_sets(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted = |(key, value): (&String, &Value)| match (key.as_str(), value) {
                ("after" | "expect" | "for_each", Value::Array(items)) => {
                    let mut items = items.clone();
                    items.sort_by_key(ToString::to_string);
                    (key.clone(), Value::Array(items))
                }
                _ => (key.clone(), sorted_sets(value)),
            };
            Value::Object(map.iter().map(sorted).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted_sets).collect()),
        other => other.clone(),
    }
}

fn same_errors(got: &[FieldError], wanted: &[(String, String)]) -> Result<(), String> {
    let mut got: Vec<(String, &str)> = got.iter().map(|error| (place(error), words(&error.message))).collect();
    let mut wanted: Vec<(String, &str)> = wanted.iter().map(|(place, text)| (place.clone(), words(text))).collect();
    got.sort();
    wanted.sort();
    if got == wanted {
        return Ok(());
    }
    let only = |these: &[(String, &str)], those: &[(String, &str)]| -> Vec<String> {
        these.iter().filter(|error| !those.contains(error)).map(|(place, text)| format!("{place}: {text}")).collect()
    };
    Err(format!("only got {:?}, only wanted {:?}", only(&got, &wanted), only(&wanted, &got)))
}

/// A message without the words of Jinja's parser.
fn words(message: &str) -> &str {
    ["is not a valid template:", "Invalid jinja:"]
        .iter()
        .find_map(|mark| message.find(mark).and_then(|at| message.get(..at + mark.len())))
        .unwrap_or(message)
}

/// Where, as the recorder wrote it: from the body on.
fn place(error: &FieldError) -> String {
    let body = PathPart::from("body");
    request::dotted(&std::iter::once(body).chain(error.path.iter().cloned()).collect::<Vec<_>>())
}

fn listed(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}
