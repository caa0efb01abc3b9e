//! Reading objects of our dialect: every field that is wrong is reported with its path and with what to write.
//!
//! Invariants: a wrong value is reported and then counts as not given, so that one reading finds all that is wrong;
//! what was read may be used only when the [`Report`] is empty. `null` is the same as leaving the field out.

use super::super::template;
use super::error::{FieldError, PathPart};
use super::line::LISTED_ERRORS;
use super::{lax, text};
use crate::ruleset::Span;
use jiff::SignedDuration;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Everything that is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    errors: Vec<FieldError>,
}

impl Report {
    /// Notes one thing.
    pub(super) fn add(
        &mut self,
        kind: &'static str,
        path: Vec<PathPart>,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) {
        if self.errors.len() < LISTED_ERRORS {
            let suggestion = Some(suggestion.into()).filter(|suggestion| !suggestion.is_empty());
            self.errors.push(FieldError { path, message: message.into(), suggestion, kind, context: None });
        }
    }

    /// A value of the wrong kind.
    fn wrong_type(&mut self, path: Vec<PathPart>, value: &Value, wanted: &str, example: &str) {
        let name = last(&path);
        let message = format!("{name} must be {wanted}, not {}", kind_of(value));
        self.add(WRONG_TYPE, path, message, example);
    }

    /// A value that the field does not take.
    pub(super) fn invalid(&mut self, path: Vec<PathPart>, message: impl Into<String>, suggestion: impl Into<String>) {
        self.add("invalid_value", path, message, suggestion);
    }

    /// The result of a reading.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(self.errors),
        }
    }
}

pub(super) const WRONG_TYPE: &str = "wrong_type";

/// One object, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Object<'v> {
    map: &'v Map<String, Value>,
    path: Vec<PathPart>,
}

impl<'v> Object<'v> {
    /// The object in `value`; `example` is what to write instead of anything else.
    pub(super) fn new(value: &'v Value, path: Vec<PathPart>, example: &str, report: &mut Report) -> Option<Self> {
        let Value::Object(map) = value else {
            report.wrong_type(path, value, "an object", example);
            return None;
        };
        Some(Self { map, path })
    }

    /// Reports every field that is not among these.
    pub(super) fn only(&self, known: &[&str], report: &mut Report) {
        for unknown in self.map.keys().filter(|key| !known.contains(&key.as_str())) {
            let suggestion = match meant(unknown, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the fields here are {}", known.join(", ")),
            };
            report.add("unknown_field", self.at(unknown), format!("there is no field `{unknown}` here"), suggestion);
        }
    }

    /// Whether a field is written, be it as `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// A field that is given.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The path of a field.
    pub(super) fn at(&self, name: &str) -> Vec<PathPart> {
        below(&self.path, name)
    }

    /// The path of the object.
    pub(super) fn path(&self) -> &[PathPart] {
        &self.path
    }

    /// Reports a field that must be there.
    pub(super) fn missing(&self, name: &str, suggestion: &str, report: &mut Report) {
        report.add("missing", self.at(name), format!("`{name}` is missing"), suggestion);
    }

    /// Reports a field that was written but is empty or wrong only once: `None` stays `None`.
    pub(super) fn required<T>(&self, value: Option<T>, name: &str, suggestion: &str, report: &mut Report) -> Option<T> {
        if value.is_none() && self.get(name).is_none() {
            self.missing(name, suggestion, report);
        }
        value
    }

    pub(super) fn text(&self, name: &str, report: &mut Report) -> Option<String> {
        let value = self.get(name)?;
        let Value::String(text) = value else {
            report.wrong_type(self.at(name), value, "text", &quoted(value));
            return None;
        };
        Some(text.clone())
    }

    /// A text with a template in it.
    pub(super) fn template(&self, name: &str, report: &mut Report) -> Option<String> {
        let text = self.text(name, report)?;
        check_template(&text, self.at(name), report);
        Some(text)
    }

    /// One of these texts.
    pub(super) fn choice(&self, name: &str, choices: &[&'static str], report: &mut Report) -> Option<&'static str> {
        let text = self.text(name, report)?;
        let found = choices.iter().find(|choice| choice.eq_ignore_ascii_case(&text));
        if found.is_none() {
            let message = format!("`{name}` is {}, not `{text}`", text::one_of(choices));
            let near = text::nearest(&text, choices.iter().copied());
            report.invalid(
                self.at(name),
                message,
                near.map_or(String::new(), |near| format!("did you mean `{near}`?")),
            );
        }
        found.copied()
    }

    pub(super) fn flag(&self, name: &str, report: &mut Report) -> Option<bool> {
        let value = self.get(name)?;
        if value.as_bool().is_none() {
            report.wrong_type(self.at(name), value, "true or false", "");
        }
        value.as_bool()
    }

    /// An integer of at least `least`.
    pub(super) fn integer(&self, name: &str, least: i64, report: &mut Report) -> Option<i64> {
        let value = self.get(name)?;
        let Some(number) = value.as_i64() else {
            report.wrong_type(self.at(name), value, "a whole number", "write for example 3");
            return None;
        };
        if number < least {
            let message = format!("`{name}` must be at least {least}, not {number}");
            report.invalid(self.at(name), message, format!("write {least} or more"));
            return None;
        }
        Some(number)
    }

    pub(super) fn number(&self, name: &str, report: &mut Report) -> Option<f64> {
        let value = self.get(name)?;
        if value.as_f64().is_none() {
            report.wrong_type(self.at(name), value, "a number", "write for example 0.9");
        }
        value.as_f64()
    }

    /// A length of time: seconds as a number, or text (`90s`, `10m`, `1h 30m`, `2d`, `PT90S`, `00:01:30`).
    pub(super) fn duration(&self, name: &str, report: &mut Report) -> Option<SignedDuration> {
        const EXAMPLE: &str = "write seconds as a number, or text such as 90s, 10m, 1h 30m or 2d";
        let value = self.get(name)?;
        let duration = match value {
            Value::String(text) => text.parse::<Span>().map(|span| span.0).ok().or_else(|| lax::duration(value).ok()),
            Value::Number(_) => lax::duration(value).ok(),
            _ => {
                report.wrong_type(self.at(name), value, "a length of time", EXAMPLE);
                return None;
            }
        };
        let duration = duration.filter(|duration| !duration.is_negative()).map(lax::whole_micros);
        if duration.is_none() {
            report.invalid(self.at(name), format!("`{name}`: {value} is not a length of time"), EXAMPLE);
        }
        duration
    }

    /// A list of texts; a single text is a list of one.
    pub(super) fn texts(&self, name: &str, report: &mut Report) -> Option<Vec<String>> {
        strings(self.get(name)?, self.at(name), report)
    }

    /// A set of texts, none by default.
    pub(super) fn text_set(&self, name: &str, report: &mut Report) -> BTreeSet<String> {
        self.texts(name, report).unwrap_or_default().into_iter().collect()
    }

    pub(super) fn id(&self, name: &str, report: &mut Report) -> Option<Uuid> {
        let text = self.text(name, report)?;
        let id = Uuid::parse_str(&text).ok();
        if id.is_none() {
            let message = format!("`{text}` is not an id");
            report.invalid(self.at(name), message, "write an id such as 11111111-1111-4111-8111-111111111111");
        }
        id
    }

    /// An object of any content, whose texts are templates.
    pub(super) fn templates(&self, name: &str, report: &mut Report) -> Option<Map<String, Value>> {
        let map = self.object(name, report)?;
        let path = self.at(name);
        for (key, value) in &map {
            check_templates(value, below(&path, key.as_str()), report);
        }
        Some(map)
    }

    /// An object of any content.
    pub(super) fn object(&self, name: &str, report: &mut Report) -> Option<Map<String, Value>> {
        let value = self.get(name)?;
        let Value::Object(map) = value else {
            report.wrong_type(self.at(name), value, "an object", "write its fields as name: value");
            return None;
        };
        Some(map.clone())
    }
}

/// A path one step longer.
pub(super) fn below(path: &[PathPart], step: impl Into<PathPart>) -> Vec<PathPart> {
    let mut path = path.to_vec();
    path.push(step.into());
    path
}

/// A list of texts; a single text is a list of one.
pub(super) fn strings(value: &Value, path: Vec<PathPart>, report: &mut Report) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => {
            let texts = items.iter().enumerate().map(|(index, item)| match item {
                Value::String(text) => Some(text.clone()),
                _ => {
                    report.wrong_type(below(&path, index), item, "text", &quoted(item));
                    None
                }
            });
            // All are read before the first that is wrong counts, so that each is reported.
            texts.collect::<Vec<_>>().into_iter().collect()
        }
        _ => {
            report.wrong_type(path, value, "text or a list of texts", &quoted(value));
            None
        }
    }
}

fn check_template(text: &str, path: Vec<PathPart>, report: &mut Report) {
    if let Err(error) = template::check(text) {
        let message = format!("{} is not a valid template: {error}", last(&path));
        report.add("invalid_template", path, message, "");
    }
}

fn check_templates(value: &Value, path: Vec<PathPart>, report: &mut Report) {
    match value {
        Value::String(text) => check_template(text, path, report),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_templates(item, below(&path, index), report);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                check_templates(item, below(&path, key.as_str()), report);
            }
        }
        _ => {}
    }
}

/// The known field that an unknown one stands for: what people call it elsewhere, or what is written almost the same.
fn meant<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let elsewhere = ELSEWHERE.iter().filter(|(name, _)| name.eq_ignore_ascii_case(unknown));
    let named = elsewhere.filter_map(|(_, ours)| known.iter().find(|known| *known == ours)).next().copied();
    named.or_else(|| text::nearest(unknown, known.iter().copied()))
}

/// Names that other systems have for our fields.
const ELSEWHERE: &[(&str, &str)] = &[
    ("event", "expect"),
    ("events", "expect"),
    ("filter", "match"),
    ("labels", "match"),
    ("resource", "match"),
    ("related", "match_related"),
    ("group_by", "for_each"),
    ("per", "for_each"),
    ("count", "threshold"),
    ("times", "threshold"),
    ("window", "within"),
    ("period", "within"),
    ("timeout", "within"),
    ("for", "firing_for"),
    ("for", "within"),
    ("when", "trigger"),
    ("if", "trigger"),
    ("then", "actions"),
    ("do", "actions"),
    ("on_trigger", "actions_on_trigger"),
    ("on_resolve", "actions_on_resolve"),
    ("message", "body"),
    ("message", "summary"),
    ("text", "body"),
    ("title", "subject"),
    ("channel", "connection"),
    ("via", "connection"),
    ("op", "operator"),
];

fn last(path: &[PathPart]) -> String {
    path.last().map_or_else(|| "it".to_owned(), |part| format!("`{part}`"))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// How to write a single value as text.
fn quoted(value: &Value) -> String {
    match value {
        Value::Bool(_) | Value::Number(_) => format!("write it in quotes: \"{value}\""),
        _ => String::new(),
    }
}
