//! Objects and unions of objects as pydantic reads them.
//!
//! A union is in *smart mode* (pydantic-core, `validators/union.rs`): every member is tried, in order. Of those that
//! take the value the one that set most fields wins, the first of equals; when none takes it, the errors of all are
//! reported, each under the name of its member. Invariant: a [`Model`] reads each field at most once and reports every
//! field that is wrong, in the order of reading.

use super::error::PathPart;
use super::line::{Fault, Line, Read, collect, under};
use serde_json::{Map, Value};

/// A value with the number of fields that were given for it, by which a union chooses.
#[derive(Debug)]
pub(super) struct Scored<T> {
    pub(super) value: T,
    pub(super) fields: usize,
}

/// A reader of one member of a union.
pub(super) type Member<T> = (&'static str, fn(&Value) -> Read<Scored<T>>);

/// The member that takes the value best.
pub(super) fn union<T>(value: &Value, members: &[Member<T>]) -> Read<Scored<T>> {
    best(members.iter().map(|(name, read)| (*name, read(value))))
}

/// The best of what the members made of a value.
pub(super) fn best<T>(tried: impl IntoIterator<Item = (&'static str, Read<Scored<T>>)>) -> Read<Scored<T>> {
    let mut best: Option<Scored<T>> = None;
    let mut lines = Vec::new();
    for (name, result) in tried {
        match result {
            Ok(new) if best.as_ref().is_none_or(|best| best.fields < new.fields) => best = Some(new),
            Ok(_) => {}
            Err(wrong) if wrong.iter().any(Line::is_breaking) => return Err(under(&PathPart::Member(name), wrong)),
            Err(wrong) => collect(&mut lines, under(&PathPart::Member(name), wrong)),
        }
    }
    best.ok_or(lines)
}

/// What is said of a value that is no object where a model must be.
pub(super) fn no_object() -> Fault {
    let message = "Input should be a valid dictionary or object to extract fields from";
    Fault::plain("model_attributes_type", message)
}

/// The fields of one object while they are read.
#[derive(Debug)]
pub(super) struct Model<'a> {
    map: &'a Map<String, Value>,
    lines: Vec<Line>,
    fields: usize,
}

impl<'a> Model<'a> {
    /// Takes an object; refuses anything else.
    pub(super) fn new(value: &'a Value) -> Read<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, lines: Vec::new(), fields: 0 }),
            _ => Err(no_object().into()),
        }
    }

    /// The object itself.
    pub(super) fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    /// A field that must be given. `None` when it is missing or wrong, which is noted.
    pub(super) fn required<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Read<T>) -> Option<T> {
        match self.map.get(name) {
            Some(value) => self.note(name, read(value)),
            None => {
                self.wrong(name, Fault::plain("missing", "Field required").into());
                None
            }
        }
    }

    /// A field with a default, which also stands in for a wrong value; that is noted.
    pub(super) fn or<T>(&mut self, name: &str, default: T, read: impl FnOnce(&Value) -> Read<T>) -> T {
        match self.map.get(name) {
            Some(value) => self.note(name, read(value)).unwrap_or(default),
            None => default,
        }
    }

    /// The field `type`, which may be left out.
    pub(super) fn tag(&mut self, tag: &str) {
        self.or("type", (), |value| match value {
            Value::String(text) if text == tag => Ok(()),
            _ => Err(Fault::expected("literal_error", &format!("'{tag}'")).into()),
        });
    }

    /// A field that was read elsewhere.
    pub(super) fn note<T>(&mut self, name: &str, result: Read<T>) -> Option<T> {
        self.fields += 1;
        match result {
            Ok(value) => Some(value),
            Err(lines) => {
                self.wrong(name, lines);
                None
            }
        }
    }

    /// Notes errors of a field.
    pub(super) fn wrong(&mut self, name: &str, lines: Vec<Line>) {
        collect(&mut self.lines, under(&PathPart::from(name), lines));
    }

    /// Counts fields that were set deeper down.
    pub(super) fn count(&mut self, fields: usize) {
        self.fields += fields;
    }

    /// What was read, when nothing was wrong. `make` may rely on required fields being there.
    pub(super) fn finish<T>(self, make: impl FnOnce() -> Option<T>) -> Read<Scored<T>> {
        match self.lines.is_empty().then(make).flatten() {
            Some(value) => Ok(Scored { value, fields: self.fields }),
            None => Err(self.lines),
        }
    }
}
