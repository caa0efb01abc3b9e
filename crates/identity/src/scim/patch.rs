//! Changes of a resource (RFC 7644 §3.5.2).
//!
//! Invariants: operations are applied in order, all of them or none (the caller keeps what was); at most
//! [`OPERATIONS`]. Beyond the RFC, as Entra and Okta send it: operation names in any case, keys of an object without a
//! path that are paths themselves, and a filtered element that is not there is made from what the filter says of it.

use super::error::ScimError;
use super::filter::{Attribute, FILTER_BYTES, Filter, Operator, find};
use super::schema;
use serde_json::{Map, Value};

/// Most operations in one request.
pub const OPERATIONS: usize = 1000;

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What to do.
    pub action: Action,
    /// With what; the whole resource when absent.
    pub path: Option<Path>,
    /// The value.
    pub value: Value,
}

/// Kinds of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum Action {
    Add,
    Replace,
    Remove,
}

/// Where an operation acts: `name.familyName`, `emails[type eq "work"].value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The attribute; its `sub` is the sub-attribute, also after a filter.
    pub attribute: Attribute,
    /// Which elements of a multi-valued attribute.
    pub filter: Option<Filter>,
    /// Names as written, for what is new.
    written: (String, Option<String>),
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// `invalidPath`, with what cannot be read.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        if text.len() > FILTER_BYTES {
            return Err(ScimError::invalid_path(format!("the path is longer than {FILTER_BYTES} bytes")));
        }
        let wrong = |why: String| ScimError::invalid_path(format!("path `{text}`: {why}"));
        let text = text.trim();
        if schema::is_extension(text) {
            // An extension as a whole: the dot in its version separates nothing.
            let lower = text.to_lowercase();
            let written = (schema::written(&lower), None);
            return Ok(Self { attribute: Attribute { schema: None, name: lower, sub: None }, filter: None, written });
        }
        let (name, filter, sub) = match text.split_once('[') {
            None => (text, None, None),
            Some((name, rest)) => {
                let (filter, sub) = rest.rsplit_once(']').ok_or_else(|| wrong("`]` is missing".to_owned()))?;
                let filter = Filter::parse(filter).map_err(|error| wrong(error.detail))?;
                let sub = match sub.strip_prefix('.') {
                    Some(sub) => Some(sub),
                    None if sub.is_empty() => None,
                    None => return Err(wrong("only `.name` may follow `]`".to_owned())),
                };
                (name, Some(filter), sub)
            }
        };
        let mut attribute = Attribute::parse(name).map_err(&wrong)?;
        let last = name.rsplit(':').next().unwrap_or(name);
        let (written, mut written_sub) = match last.split_once('.') {
            Some((name, sub)) => (name.to_owned(), Some(sub.to_owned())),
            None => (last.to_owned(), None),
        };
        if let Some(sub) = sub {
            let named = Attribute::parse(sub).map_err(&wrong)?;
            if attribute.sub.is_some() || named.sub.is_some() || named.schema.is_some() {
                return Err(wrong("it has too many parts".to_owned()));
            }
            attribute.sub = Some(named.name);
            written_sub = Some(sub.to_owned());
        }
        Ok(Self { attribute, filter, written: (written, written_sub) })
    }

    /// The sub-attribute as written.
    fn sub(&self) -> Option<&str> {
        self.written.1.as_deref()
    }
}

/// Reads the body of a PATCH request.
///
/// # Errors
/// `invalidSyntax`, `invalidPath`, `invalidValue` or `noTarget`, with the operation that is wrong.
pub fn parse(body: &Value) -> Result<Vec<Operation>, ScimError> {
    let object = body.as_object().ok_or_else(|| ScimError::invalid_syntax("the body is not an object"))?;
    let Some(Value::Array(operations)) = find(object, "Operations") else {
        return Err(ScimError::invalid_syntax("`Operations` is missing: write a list of operations"));
    };
    if operations.is_empty() || operations.len() > OPERATIONS {
        let problem = format!("`Operations` has {} entries, 1 to {OPERATIONS} are allowed", operations.len());
        return Err(ScimError::invalid_syntax(problem));
    }
    operations.iter().enumerate().map(|(index, operation)| read(index, operation)).collect()
}

fn read(index: usize, operation: &Value) -> Result<Operation, ScimError> {
    let wrong = |why: &str| ScimError::invalid_syntax(format!("Operations[{index}]: {why}"));
    let object = operation.as_object().ok_or_else(|| wrong("is not an object"))?;
    let action = find(object, "op").and_then(Value::as_str).unwrap_or_default();
    let action = match action.to_ascii_lowercase().as_str() {
        "add" => Action::Add,
        "replace" => Action::Replace,
        "remove" => Action::Remove,
        _ => return Err(wrong("`op` must be add, replace or remove")),
    };
    let path = match find(object, "path") {
        None | Some(Value::Null) => None,
        // The schema of the resource itself is the resource.
        Some(Value::String(path)) if path.trim().is_empty() || schema::is_core(path.trim()) => None,
        Some(Value::String(path)) => Some(Path::parse(path)?),
        Some(_) => return Err(wrong("`path` is not a text")),
    };
    let value = find(object, "value").cloned().unwrap_or(Value::Null);
    if path.is_none() && action == Action::Remove {
        return Err(ScimError::no_target(format!("Operations[{index}]: `remove` needs a `path`")));
    }
    if path.is_none() && !value.is_object() {
        return Err(ScimError::invalid_value(format!(
            "Operations[{index}]: without `path`, `value` must be an object"
        )));
    }
    Ok(Operation { action, path, value })
}

impl Operation {
    /// The operations that this one means: one without a path is one per key of its value.
    ///
    /// # Errors
    /// `invalidPath` for a key that is none.
    pub fn spread(self) -> Result<Vec<(Path, Action, Value)>, ScimError> {
        let action = self.action;
        if let Some(path) = self.path {
            return Ok(vec![(path, action, self.value)]);
        }
        let Value::Object(object) = self.value else { return Ok(Vec::new()) };
        let mut spread = Vec::new();
        for (key, value) in object {
            match value {
                // An extension as an object: each of its attributes.
                Value::Object(attributes) if schema::is_extension(&key) => {
                    for (name, value) in attributes {
                        spread.push((Path::parse(&format!("{key}:{name}"))?, action, value));
                    }
                }
                value => spread.push((Path::parse(&key)?, action, value)),
            }
        }
        Ok(spread)
    }
}

/// Applies operations to the attributes of a resource.
///
/// # Errors
/// Why one cannot be applied; the resource is then half changed and must be thrown away.
pub fn apply(resource: &mut Map<String, Value>, operations: Vec<Operation>) -> Result<(), ScimError> {
    for operation in operations {
        for (path, action, value) in operation.spread()? {
            one(resource, &path, action, value)?;
        }
    }
    Ok(())
}

fn one(resource: &mut Map<String, Value>, path: &Path, action: Action, value: Value) -> Result<(), ScimError> {
    let attribute = &path.attribute;
    if attribute.schema.as_deref().is_none_or(schema::is_core) {
        match attribute.name.as_str() {
            // Okta repeats the id of the resource it changes.
            "id" if resource_id(resource) == value.as_str() => return Ok(()),
            "id" | "meta" | "groups" => {
                return Err(ScimError::mutability(format!("`{}` is given by this server", path.written.0)));
            }
            "schemas" | "password" => return Ok(()),
            _ => {}
        }
    }
    let home = home(resource, attribute);
    let key = known(home, &attribute.name).unwrap_or_else(|| path.written.0.clone());
    if let Some(filter) = &path.filter {
        return elements(home, &key, filter, path.sub(), action, value);
    }
    match (path.sub(), action) {
        (None, Action::Remove) => remove(home, &key, &value),
        (None, _) => put(home, &key, action, value),
        (Some(sub), action) => {
            let targets: Vec<&mut Value> = match home.entry(key).or_insert_with(|| Value::Object(Map::new())) {
                Value::Array(elements) => elements.iter_mut().collect(),
                single => vec![single],
            };
            for target in targets {
                set(target, sub, action, &value);
            }
        }
    }
    if action == Action::Remove {
        without_empty_extensions(resource);
    }
    Ok(())
}

/// An extension of which nothing is left is not there.
fn without_empty_extensions(resource: &mut Map<String, Value>) {
    resource.retain(|key, value| !(schema::is_extension(key) && value.as_object().is_some_and(Map::is_empty)));
}

fn resource_id(resource: &Map<String, Value>) -> Option<&str> {
    find(resource, "id").and_then(Value::as_str)
}

/// The name under which an attribute stands already.
fn known(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}

/// The part of a resource in which an attribute stands, made if it is an extension that is not there.
fn home<'a>(resource: &'a mut Map<String, Value>, attribute: &Attribute) -> &'a mut Map<String, Value> {
    let Some(urn) = attribute.schema.as_deref().filter(|urn| !schema::is_core(urn)) else { return resource };
    let key = known(resource, urn).unwrap_or_else(|| schema::written(urn));
    if !resource.get(&key).is_some_and(Value::is_object) {
        resource.insert(key.clone(), Value::Object(Map::new()));
    }
    match resource.get_mut(&key) {
        Some(Value::Object(object)) => object,
        _ => unreachable!("it was made an object above"),
    }
}

fn remove(home: &mut Map<String, Value>, key: &str, named: &Value) {
    // Entra names the elements to remove in `value`.
    if let (Some(Value::Array(elements)), Value::Array(named)) = (home.get_mut(key), named) {
        elements.retain(|element| !named.iter().any(|named| same(element, named)));
        return;
    }
    home.remove(key);
}

fn put(home: &mut Map<String, Value>, key: &str, action: Action, value: Value) {
    match (home.get_mut(key), value) {
        (Some(Value::Array(elements)), value) if action == Action::Add => {
            let new = match value {
                Value::Array(new) => new,
                single => vec![single],
            };
            for element in new {
                if !elements.iter().any(|known| same(known, &element)) {
                    elements.push(element);
                }
            }
        }
        (Some(Value::Object(object)), Value::Object(new)) => {
            for (name, value) in new {
                let name = known(object, &name).unwrap_or(name);
                object.insert(name, value);
            }
        }
        (_, value) => drop(home.insert(key.to_owned(), value)),
    }
}

/// Two elements of a multi-valued attribute are one when their values are.
fn same(one: &Value, other: &Value) -> bool {
    let value = |element: &Value| match element {
        Value::Object(object) => find(object, "value").cloned(),
        single => Some(single.clone()),
    };
    match (value(one), value(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn set(target: &mut Value, sub: &str, action: Action, value: &Value) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    let key = known(object, sub).unwrap_or_else(|| sub.to_owned());
    match action {
        Action::Remove => drop(object.remove(&key)),
        Action::Add | Action::Replace => drop(object.insert(key, value.clone())),
    }
}

fn elements(
    home: &mut Map<String, Value>,
    key: &str,
    filter: &Filter,
    sub: Option<&str>,
    action: Action,
    value: Value,
) -> Result<(), ScimError> {
    let entry = home.entry(key.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
    if !entry.is_array() {
        *entry = Value::Array(vec![entry.take()]);
    }
    let Some(elements) = entry.as_array_mut() else { return Ok(()) };
    if action == Action::Remove && sub.is_none() {
        elements.retain(|element| !filter.matches(element));
        return Ok(());
    }
    let mut found = false;
    for element in elements.iter_mut().filter(|element| filter.matches(element)) {
        found = true;
        match sub {
            Some(sub) => set(element, sub, action, &value),
            None => element.clone_from(&value),
        }
    }
    if found || action == Action::Remove {
        return Ok(());
    }
    let nothing = || ScimError::no_target(format!("no element of `{key}` passes the filter"));
    let mut made = described(filter).ok_or_else(nothing)?;
    match (sub, value) {
        (Some(sub), value) => drop(made.insert(sub.to_owned(), value)),
        (None, Value::Object(object)) => made.extend(object),
        (None, value) => drop(made.insert("value".to_owned(), value)),
    }
    elements.push(Value::Object(made));
    Ok(())
}

/// What a filter says that an element is, when it says it with `eq` and `and` only.
fn described(filter: &Filter) -> Option<Map<String, Value>> {
    match filter {
        Filter::And(one, other) => {
            let mut object = described(one)?;
            object.extend(described(other)?);
            Some(object)
        }
        Filter::Compare(attribute, Operator::Eq, value) if attribute.sub.is_none() => {
            Some(Map::from_iter([(attribute.name.clone(), value.clone())]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
