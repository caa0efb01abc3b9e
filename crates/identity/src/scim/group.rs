//! A group (RFC 7643 §4.2): what a provider may say of one, and how its members change.
//!
//! Invariants: members are known by the ids of this server; what a sequence of operations does to them is one
//! [`Change`], so that it can be stored at once.

use super::error::ScimError;
use super::filter::{Filter, Operator, find};
use super::patch::{Action, Operation, Path};
use super::schema::{self, GROUP};
use super::user::name_of;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What a provider says of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name; unique without regard to case.
    pub display: String,
    /// What the provider calls it.
    pub external_id: Option<String>,
    /// Its members.
    pub members: BTreeSet<Uuid>,
    /// Other attributes, as they came.
    pub attributes: Map<String, Value>,
}

/// What operations do to a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// All members leave first.
    pub emptied: Emptied,
    /// Who joins.
    pub add: BTreeSet<Uuid>,
    /// Who leaves.
    pub remove: BTreeSet<Uuid>,
}

/// Whether the members that were there leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Emptied {
    #[default]
    No,
    Yes,
}

impl Group {
    /// Reads a resource as it is sent.
    ///
    /// # Errors
    /// `invalidSyntax` or `invalidValue`, with the attribute that is wrong.
    pub fn parse(body: Value) -> Result<Self, ScimError> {
        let Value::Object(mut attributes) = body else {
            return Err(ScimError::invalid_syntax("the body is not an object"));
        };
        let members = members(find(&attributes, "members").unwrap_or(&Value::Null))?;
        let (display, external_id) = names(&attributes)?;
        let ours = ["id", "meta", "schemas", "members", "displayName", "externalId"];
        attributes.retain(|name, value| !value.is_null() && !ours.iter().any(|own| name.eq_ignore_ascii_case(own)));
        Ok(Self { display, external_id, members, attributes })
    }

    /// Applies operations to what is said of the group `id`, and tells what they do to its members.
    ///
    /// # Errors
    /// Why one cannot be applied; the group is then half changed and must be thrown away.
    pub fn patch(&mut self, id: Uuid, operations: Vec<Operation>) -> Result<Change, ScimError> {
        let mut change = Change::default();
        let mut rest = Vec::new();
        for operation in operations {
            for (path, action, value) in operation.spread()? {
                let core = path.attribute.schema.as_deref().is_none_or(schema::is_core);
                if core && path.attribute.name == "members" {
                    change.take(&path, action, &value)?;
                } else {
                    rest.push(Operation { action, path: Some(path), value });
                }
            }
        }
        let mut attributes = self.attributes.clone();
        attributes.insert("id".to_owned(), json!(id));
        attributes.insert("displayName".to_owned(), json!(self.display));
        if let Some(external_id) = &self.external_id {
            attributes.insert("externalId".to_owned(), json!(external_id));
        }
        super::patch::apply(&mut attributes, rest)?;
        (self.display, self.external_id) = names(&attributes)?;
        let ours = ["id", "displayName", "externalId"];
        attributes.retain(|name, value| !value.is_null() && !ours.iter().any(|own| name.eq_ignore_ascii_case(own)));
        self.attributes = attributes;
        Ok(change)
    }

    /// The resource as it is shown, without `id` and `meta`; `members` unless they are left out.
    #[must_use]
    pub fn shown(&self, members: Option<Vec<Value>>) -> Map<String, Value> {
        let mut shown = self.attributes.clone();
        shown.insert("schemas".to_owned(), json!([GROUP]));
        shown.insert("displayName".to_owned(), json!(self.display));
        if let Some(external_id) = &self.external_id {
            shown.insert("externalId".to_owned(), json!(external_id));
        }
        if let Some(members) = members {
            shown.insert("members".to_owned(), Value::Array(members));
        }
        shown
    }
}

impl Change {
    /// What puts exactly these members into a group.
    #[must_use]
    pub fn exactly(members: BTreeSet<Uuid>) -> Self {
        Self { emptied: Emptied::Yes, add: members, remove: BTreeSet::new() }
    }

    fn take(&mut self, path: &Path, action: Action, value: &Value) -> Result<(), ScimError> {
        if path.attribute.sub.is_some() {
            return Err(ScimError::mutability("a member is added or removed, not changed"));
        }
        let named = match &path.filter {
            Some(filter) => one_member(filter)?,
            None => members(value)?,
        };
        match action {
            Action::Add => self.add(named),
            Action::Replace if path.filter.is_none() => *self = Self::exactly(named),
            Action::Replace => return Err(ScimError::mutability("a member is added or removed, not replaced")),
            // Without names, all of them.
            Action::Remove if path.filter.is_none() && value.is_null() => *self = Self::exactly(BTreeSet::new()),
            Action::Remove => {
                for member in named {
                    self.add.remove(&member);
                    self.remove.insert(member);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, named: BTreeSet<Uuid>) {
        for member in named {
            self.remove.remove(&member);
            self.add.insert(member);
        }
    }
}

fn names(attributes: &Map<String, Value>) -> Result<(String, Option<String>), ScimError> {
    let display = name_of(attributes, "displayName")?
        .ok_or_else(|| ScimError::invalid_value("`displayName` is missing: write the name of the group"))?;
    Ok((display, name_of(attributes, "externalId")?))
}

/// The ids in a list of members, or in one member.
fn members(value: &Value) -> Result<BTreeSet<Uuid>, ScimError> {
    let id = |member: &Value| {
        let id = match member {
            Value::Object(member) => find(member, "value").and_then(Value::as_str),
            Value::String(id) => Some(id.as_str()),
            _ => None,
        };
        let id = id.ok_or_else(|| ScimError::invalid_value("a member needs `value`: the id of a user"))?;
        Uuid::try_parse(id).map_err(|_| ScimError::invalid_value(format!("`{id}` is not the id of a user here")))
    };
    match value {
        Value::Null => Ok(BTreeSet::new()),
        Value::Array(members) => members.iter().map(id).collect(),
        one => Ok(BTreeSet::from([id(one)?])),
    }
}

/// `value eq "ID"`, as a path names a member.
fn one_member(filter: &Filter) -> Result<BTreeSet<Uuid>, ScimError> {
    match filter {
        Filter::Compare(attribute, Operator::Eq, value) if attribute.name == "value" => members(value),
        _ => Err(ScimError::invalid_path("a member is named with `members[value eq \"ID\"]`")),
    }
}

#[cfg(test)]
mod tests;
