//! What a template finds behind its names: Prefect's models, resources, labels, sets and views of dictionaries.
//!
//! Invariants: nothing here changes; a field that Prefect's model has is there, with its default if nothing is known.
//! An enumeration is a text marked as safe: comparing it works as in Python, and nothing is escaped by itself in these
//! templates, so the mark is free for printing it as `StateType.FAILED`.

use super::Dialect;
use super::class::{Class, Kind};
use super::moment::{Moment, Span};
use crate::event::{Labels, RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use jiff::SignedDuration;
use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Tuple};
use minijinja::{Error, ErrorKind, State, Value};
use serde_json::Value as Json;
use std::fmt;
use std::sync::Arc;

/// JSON as Python would hold it.
pub(super) fn plain(json: &Json) -> Value {
    Value::from(Serde(json))
}

/// A member of one of Prefect's enumerations.
pub(super) fn choice(name: &str) -> Value {
    Value::from_safe_string(name.to_owned())
}

/// The enumeration that a value is a member of.
pub(super) fn choice_class(value: &Value) -> Option<&'static str> {
    if !value.is_safe() {
        return None;
    }
    Some(match value.as_str()? {
        "Reactive" | "Proactive" => "Posture",
        "Triggered" | "Resolved" => "TriggerState",
        "READY" | "NOT_READY" => "DeploymentStatus",
        "SCHEDULED" | "PENDING" | "RUNNING" | "COMPLETED" | "FAILED" | "CANCELLED" | "CRASHED" | "PAUSED"
        | "CANCELLING" => "StateType",
        _ => return None,
    })
}

/// One of Prefect's models.
#[derive(Debug)]
pub(super) struct Record {
    class: &'static Class,
    fields: Vec<(String, Value)>,
    /// What Python computes: found by name, never printed.
    properties: Vec<(&'static str, Value)>,
}

impl Record {
    pub(super) fn new(class: &'static Class, fields: Vec<(String, Value)>) -> Self {
        Self { class, fields, properties: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.properties.push((name, value));
        self
    }

    /// From what Prefect's API shows of an object; absent fields have their defaults.
    pub(super) fn from_json(class: &'static Class, json: &Json) -> Self {
        let known = class.fields.iter().map(|(name, kind)| ((*name).to_owned(), typed(*kind, json.get(*name))));
        let more = json.as_object().filter(|_| class.is_open).into_iter().flatten();
        let more = more.filter(|(name, _)| !class.has(name)).map(|(name, value)| (name.clone(), plain(value)));
        Self::new(class, known.chain(more).collect())
    }

    pub(super) fn class(&self) -> &'static Class {
        self.class
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let field = self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
        field.or_else(|| self.properties.iter().find(|(property, _)| *property == name).map(|(_, value)| value))
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        if let Some(field) = self.fields.iter_mut().find(|(field, _)| field == name) {
            field.1 = value;
        }
    }

    pub(super) fn fields(&self) -> &[(String, Value)] {
        &self.fields
    }

    /// The fields that pydantic prints.
    pub(super) fn printed(&self) -> impl Iterator<Item = (&str, &Value)> {
        let printed = self.fields.iter().filter(|(name, _)| !matches!(name.as_str(), "created" | "updated"));
        printed.map(|(name, value)| (name.as_str(), value))
    }

    /// A state prints itself in its own way.
    pub(super) fn short_form(&self, is_repr: bool) -> Option<String> {
        if self.class.name != "State" {
            return None;
        }
        let text = |name: &str| self.get(name).map(super::print::repr).unwrap_or_default();
        let name = self.get("name").map(Value::to_string).unwrap_or_default();
        let kind = self.get("type").map(Value::to_string).unwrap_or_default();
        Some(match (is_repr, text("message")) {
            (true, message) => format!("{name}(message={message}, type={kind}, result=None)"),
            (false, message) if message == "None" => format!("{name}()"),
            (false, message) => format!("{name}({message})"),
        })
    }

    /// A label of the event's resource, or with `related:<role>:` of the first related resource in that role.
    fn find_resource_label(&self, label: &str) -> Option<Value> {
        let (directive, name) = label.rsplit_once(':').unwrap_or(("", label));
        let resource = match directive.split_once(':') {
            Some(("related", role)) => self.get("resource_in_role")?.get_attr(role).ok()?,
            _ => self.get("resource")?.clone(),
        };
        let name = if directive.starts_with("related:") { name } else { label };
        resource.downcast_object_ref::<Resource>()?.label(name).map(Value::from)
    }
}

/// A field's value as its type makes it.
fn typed(kind: Kind, json: Option<&Json>) -> Value {
    let Some(json) = json.filter(|json| !json.is_null() || matches!(kind, Kind::Plain)) else { return kind.default() };
    let seconds = || json.as_f64().and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    let items = || json.as_array().map(Vec::as_slice).unwrap_or_default();
    match kind {
        Kind::Time => json.as_str().and_then(Moment::parse).map(Value::from_object),
        Kind::Span => seconds().map(|span| Value::from_object(Span(span))),
        Kind::Choice => json.as_str().map(choice),
        Kind::Set => Some(Value::from_object(Set(items().iter().map(plain).collect()))),
        Kind::Record(class) | Kind::Default(class) => Some(record(class, json)),
        Kind::Records(class) => Some(items().iter().map(|item| record(class, item)).collect()),
        _ => None,
    }
    .unwrap_or_else(|| plain(json))
}

/// A record, of the class that its `type` names where there are several.
pub(super) fn record(class: &'static Class, json: &Json) -> Value {
    if let Some(items) = json.as_array().filter(|_| class.is_map) {
        return items.iter().map(|item| record(class, item)).collect();
    }
    let tag = json.get("type").and_then(Json::as_str).unwrap_or_default();
    Value::from_object(Record::from_json(class.variant(tag), json))
}

impl Object for Record {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (self.class.name, method) {
            ("ReceivedEvent", "find_resource_label") => {
                let label = args.first().and_then(Value::as_str);
                Ok(label.and_then(|label| self.find_resource_label(label)).unwrap_or(Value::from(())))
            }
            ("State", method) if method.starts_with("is_") => {
                let kind = self.get("type").map(Value::to_string).unwrap_or_default();
                match &method["is_".len()..] {
                    "final" => Ok(matches!(&*kind, "COMPLETED" | "FAILED" | "CRASHED" | "CANCELLED").into()),
                    asked => Ok((kind == asked.to_uppercase()).into()),
                }
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.name)
    }
}

/// A resource: its labels in the order in which Prefect writes them (id, role, name, the rest by name).
#[derive(Debug)]
pub(super) struct Resource {
    labels: Vec<(String, String)>,
    dialect: Dialect,
}

impl Resource {
    pub(super) fn new(labels: &Labels, dialect: Dialect) -> Self {
        let first = [RESOURCE_ID, RESOURCE_ROLE, RESOURCE_NAME];
        let leading = first.iter().filter_map(|name| labels.get_key_value(*name));
        let rest = labels.iter().filter(|(name, _)| !first.contains(&name.as_str()));
        Self { labels: leading.chain(rest).map(|(name, value)| (name.clone(), value.clone())).collect(), dialect }
    }

    pub(super) fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn class(&self) -> &'static str {
        if self.label(RESOURCE_ROLE).is_some() { "RelatedResource" } else { "Resource" }
    }
}

impl Object for Resource {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        match key {
            "id" => self.label(RESOURCE_ID).map(Value::from),
            "name" => Some(self.label(RESOURCE_NAME).map_or(Value::from(()), Value::from)),
            "role" => self.label(RESOURCE_ROLE).map(Value::from),
            "labels" => Some(Value::from_object(Diver::new(self.labels.clone(), self.dialect))),
            _ => self.label(key).map(Value::from),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.labels.iter().map(|(name, _)| Value::from(name)).collect())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match (method, args) {
            ("get", [name, default @ ..]) => {
                let found = name.as_str().and_then(|name| self.label(name)).map(Value::from);
                Ok(found.unwrap_or_else(|| default.first().cloned().unwrap_or(Value::from(()))))
            }
            ("has_all_labels", [wanted]) => {
                let has = |name: Value| {
                    wanted
                        .get_item(&name)
                        .ok()
                        .is_some_and(|value| name.as_str().and_then(|name| self.label(name)) == value.as_str())
                };
                Ok(wanted.try_iter()?.all(has).into())
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::print::text(&Value::from_dyn_object(Arc::clone(self))))
    }
}

/// Labels by dotted access: `labels.owner.team` is the label `owner.team`, and what goes on under it.
#[derive(Debug)]
pub(super) struct Diver {
    labels: Vec<(String, String)>,
    value: String,
    dialect: Dialect,
}

impl Diver {
    pub(super) fn new(labels: Vec<(String, String)>, dialect: Dialect) -> Self {
        Self { labels, value: String::new(), dialect }
    }

    /// The label itself; empty if there are only labels under it.
    pub(super) fn value(&self) -> &str {
        &self.value
    }
}

impl Object for Diver {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let exact = self.labels.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        let below: Vec<(String, String)> = self
            .labels
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(key)?.strip_prefix('.')?.to_owned(), value.clone())))
            .collect();
        match exact {
            // In Prefect what is reached by an attribute is no text: it cannot be compared and is never true.
            Some(value) if key.contains('.') || (below.is_empty() && self.dialect == Dialect::Trackside) => {
                Some(value.into())
            }
            None if below.is_empty() => None,
            exact => {
                let value = exact.cloned().unwrap_or_default();
                Some(Value::from_object(Self { labels: below, value, dialect: self.dialect }))
            }
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let pair = |(name, value): &(String, String)| Value::from(Tuple::from([Value::from(name), Value::from(value)]));
        Enumerator::Values(self.labels.iter().map(pair).collect())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// A set of texts.
#[derive(Debug)]
pub(super) struct Set(pub(super) Vec<Value>);

impl Set {
    pub(super) fn items(&self) -> &[Value] {
        &self.0
    }
}

impl Object for Set {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.clone())
    }
}

/// What `keys()`, `values()` and `items()` of a dictionary give.
#[derive(Debug)]
pub(super) struct View {
    class: &'static str,
    items: Vec<Value>,
}

impl View {
    pub(super) fn of(method: &str, map: &Value) -> Option<Self> {
        let pairs = || map.as_object().and_then(|object| object.try_iter_pairs()).into_iter().flatten();
        Some(match method {
            "keys" => Self { class: "dict_keys", items: pairs().map(|(key, _)| key).collect() },
            "values" => Self { class: "dict_values", items: pairs().map(|(_, value)| value).collect() },
            "items" => Self {
                class: "dict_items",
                items: pairs().map(|(key, value)| Tuple::from([key, value]).into()).collect(),
            },
            _ => return None,
        })
    }

    pub(super) fn class(&self) -> &'static str {
        self.class
    }

    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.clone())
    }
}
