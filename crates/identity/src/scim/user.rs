//! A user (RFC 7643 §4.1): what a provider may say of one, and how it is shown.
//!
//! Invariants: `userName` is there and short; `active` is a truth value, also where Entra writes it as a word; a password
//! is never kept; attributes that mean nothing here are kept and shown as they came.

use super::error::ScimError;
use super::filter::find;
use super::schema::{ENTERPRISE, USER};
use serde_json::{Map, Value, json};

/// Longest name or external id, in bytes.
pub const NAME_BYTES: usize = 512;

/// What a provider says of somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Name to sign in with; unique without regard to case.
    pub user_name: String,
    /// What the provider calls them.
    pub external_id: Option<String>,
    /// Whether they may do anything.
    pub active: bool,
    /// Every attribute, with the three above as they are here.
    pub attributes: Map<String, Value>,
}

/// Whether somebody may do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Active {
    Yes,
    No,
}

impl User {
    /// Reads a resource as it is sent or as it is kept.
    ///
    /// # Errors
    /// `invalidSyntax` or `invalidValue`, with the attribute that is wrong.
    pub fn parse(body: Value) -> Result<Self, ScimError> {
        let Value::Object(mut attributes) = body else {
            return Err(ScimError::invalid_syntax("the body is not an object"));
        };
        attributes.retain(|name, value| {
            let given = ["id", "meta", "groups", "schemas", "password"];
            !value.is_null() && !given.iter().any(|given| name.eq_ignore_ascii_case(given))
        });
        let user_name = name_of(&attributes, "userName")?
            .ok_or_else(|| ScimError::invalid_value("`userName` is missing: write the name to sign in with"))?;
        let external_id = name_of(&attributes, "externalId")?;
        let active = match find(&attributes, "active") {
            None => true,
            Some(value) => truth(value).ok_or_else(|| ScimError::invalid_value("`active` must be true or false"))?,
        };
        replace(&mut attributes, "active", Value::Bool(active));
        replace(&mut attributes, "userName", Value::String(user_name.clone()));
        Ok(Self { user_name, external_id, active, attributes })
    }

    /// Reads a resource that takes the place of one. Who may do nothing does not come back because `active` is left out
    /// (RFC 7644 §3.5.1 leaves it to us what that means).
    ///
    /// # Errors
    /// As [`User::parse`].
    pub fn replacing(body: Value, before: Active) -> Result<Self, ScimError> {
        let says = body.as_object().is_some_and(|body| find(body, "active").is_some_and(|value| !value.is_null()));
        let mut user = Self::parse(body)?;
        if !says && before == Active::No {
            user.active = false;
            replace(&mut user.attributes, "active", Value::Bool(false));
        }
        Ok(user)
    }

    /// Every address they are reached at.
    pub fn emails(&self) -> impl Iterator<Item = &str> {
        // A single one that was added may stand there without a list around it.
        let emails = match find(&self.attributes, "emails") {
            Some(Value::Array(emails)) => emails.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        emails.iter().filter_map(|email| match email {
            Value::Object(email) => find(email, "value")?.as_str(),
            Value::String(email) => Some(email.as_str()),
            _ => None,
        })
    }

    /// The names that mean them elsewhere: user name, external id, addresses; in lower case.
    #[must_use]
    pub fn names(&self) -> std::collections::BTreeSet<String> {
        let names = std::iter::once(self.user_name.as_str()).chain(self.external_id.as_deref()).chain(self.emails());
        names.map(str::to_lowercase).filter(|name| !name.trim().is_empty()).collect()
    }

    /// Their name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        find(&self.attributes, "displayName").and_then(Value::as_str).unwrap_or(&self.user_name)
    }

    /// The resource as it is shown, without `id` and `meta`.
    #[must_use]
    pub fn shown(&self, groups: Vec<Value>) -> Map<String, Value> {
        let mut shown = self.attributes.clone();
        let mut schemas = vec![USER.to_owned()];
        schemas.extend(shown.keys().filter(|key| key.eq_ignore_ascii_case(ENTERPRISE)).cloned());
        shown.insert("schemas".to_owned(), json!(schemas));
        if !groups.is_empty() {
            shown.insert("groups".to_owned(), Value::Array(groups));
        }
        shown
    }
}

/// A text attribute that names something.
///
/// # Errors
/// `invalidValue` when it is not a text, or too long.
pub(super) fn name_of(attributes: &Map<String, Value>, name: &str) -> Result<Option<String>, ScimError> {
    match find(attributes, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= NAME_BYTES => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(ScimError::invalid_value(format!("`{name}` is longer than {NAME_BYTES} bytes"))),
        Some(_) => Err(ScimError::invalid_value(format!("`{name}` must be a text"))),
    }
}

/// A truth value, also as Entra writes it (`"False"`), or as a list of one.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(word) if word.eq_ignore_ascii_case("true") => Some(true),
        Value::String(word) if word.eq_ignore_ascii_case("false") => Some(false),
        Value::Array(values) if values.len() == 1 => match values.first()? {
            Value::Object(object) => truth(find(object, "value")?),
            value => truth(value),
        },
        _ => None,
    }
}

/// Sets an attribute under the name that the RFC gives it.
fn replace(attributes: &mut Map<String, Value>, name: &str, value: Value) {
    attributes.retain(|key, _| !key.eq_ignore_ascii_case(name));
    attributes.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests;
