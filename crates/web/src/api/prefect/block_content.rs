//! The content of a block document on its way in and out of the database: checked, sealed, opened.
//!
//! Invariant: what is stored can be sent through, and its secrets are sealed for this document.

use super::Refused;
use super::body::wrong_all;
use crate::state::AppState;
use http::StatusCode;
use serde_json::Value;
use trackside_connect::block::{Block, BlockType, MASK};
use trackside_identity::seal::{RANDOM_BYTES, Randomness, SealError};
use uuid::Uuid;

/// Whose content it is.
pub(super) struct Content<'a> {
    /// Type.
    pub(super) known: &'static BlockType,
    /// Identity of the document.
    pub(super) id: Uuid,
    /// Its name.
    pub(super) name: &'a str,
}

impl Content<'_> {
    /// Content in clear as it is stored. `shown` is the request as an error may repeat it.
    pub(super) fn sealed(&self, state: &AppState, data: &Value, shown: &Value) -> Result<Value, Refused> {
        let problems = self.problems(data);
        if !problems.is_empty() {
            return Err(wrong_all("data", &problems, shown));
        }
        self.known.seal(self.id, data, &state.seal_key, || randomness(state)).map_err(|error| failed(&error))
    }

    /// Stored content in clear.
    pub(super) fn opened(&self, state: &AppState, data: &Value) -> Result<Value, Refused> {
        self.known.open(self.id, data, &state.seal_key).map_err(|error| failed(&error))
    }

    /// Why nothing could be sent with this content: fields and what is wrong with them.
    fn problems(&self, data: &Value) -> Vec<(String, String)> {
        let refers = |(field, value): (&String, &Value)| {
            let problem = "Trackside keeps no blocks that refer to other blocks; write the value itself";
            value.get("$ref").is_some().then(|| (field.clone(), problem.to_owned()))
        };
        if let Some(problem) = data.as_object().into_iter().flatten().find_map(refers) {
            return vec![problem];
        }
        let masked = self.known.map_secrets(
            data,
            |field, value| {
                if value == MASK { Err(field.to_owned()) } else { Ok(Value::Null) }
            },
        );
        if let Err(field) = masked {
            let problem = "this is the mask that is shown instead of the secret; enter the secret itself";
            return vec![(field, problem.to_owned())];
        }
        let opened = Block::open(self.id, Some(self.name), &self.known.slug, data);
        let problems = opened.err().unwrap_or_default();
        problems.into_iter().map(|problem| (problem.field, problem.problem)).collect()
    }
}

/// A request with every value of its `data` hidden, for errors to repeat.
pub(super) fn hidden(body: &Value) -> Value {
    fn hide(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(hide),
            Value::Object(fields) => fields.values_mut().for_each(hide),
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) => *value = Value::from(MASK),
        }
    }
    let mut body = body.clone();
    if let Some(data) = body.get_mut("data") {
        hide(data);
    }
    body
}

fn randomness(state: &AppState) -> Randomness {
    let mut random = [0; RANDOM_BYTES];
    for part in random.chunks_mut(32) {
        let fresh = (state.random)();
        part.copy_from_slice(&fresh[..part.len()]);
    }
    Randomness::new(random)
}

fn failed(error: &SealError) -> Refused {
    if *error == SealError::TooLong {
        return Refused::detail(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    }
    tracing::error!(%error, "a secret of a block document cannot be used");
    Refused::message(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
