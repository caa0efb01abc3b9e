//! Values as JSON, as Prefect's `tojson` writes it: keys in order, ASCII only, nothing that HTML would read as markup.

use super::error::raise;
use super::moment::{Moment, Span};
use super::object::{Record, Resource, Set};
use super::{OUTPUT_BYTES, print};
use minijinja::value::ValueKind;
use minijinja::{Error, Value};
use std::fmt::Write as _;

/// `json.dumps(value, sort_keys=True, indent=indent)`, safe in HTML.
pub(super) fn dump(value: &Value, indent: Option<usize>) -> Result<String, Error> {
    let mut writer = Writer { out: String::new(), indent, level: 0 };
    writer.value(value, Place::Outside)?;
    let html = [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("'", "\\u0027")];
    Ok(html.iter().fold(writer.out, |text, (from, to)| text.replace(from, to)))
}

/// Whether a value belongs to a model, which pydantic turns into JSON, or stands where only plain values can.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Model,
    Outside,
}

struct Writer {
    out: String,
    indent: Option<usize>,
    level: usize,
}

impl Writer {
    fn value(&mut self, value: &Value, place: Place) -> Result<(), Error> {
        if self.out.len() > OUTPUT_BYTES {
            return Err(raise(super::TemplateError::LIMIT, "the JSON is too large"));
        }
        if let Some(record) = value.downcast_object_ref::<Record>() {
            let fields = record.fields().iter().map(|(name, value)| (name.clone(), value.clone()));
            return self.object(fields.collect(), Place::Model);
        }
        if let Some(resource) = value.downcast_object_ref::<Resource>() {
            let labels = resource.labels().iter().map(|(name, value)| (name.clone(), Value::from(value)));
            return self.object(labels.collect(), Place::Model);
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => drop(write!(self.out, "{value}")),
            ValueKind::Number => {
                let text = f64::try_from(value.clone()).map_or_else(|_| value.to_string(), print::float);
                self.out.push_str(match text.as_str() {
                    "nan" => "NaN",
                    "inf" => "Infinity",
                    "-inf" => "-Infinity",
                    text => text,
                });
            }
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Seq => self.array(value, place)?,
            ValueKind::Iterable if place == Place::Model || value.downcast_object_ref::<Set>().is_none() => {
                self.array(value, place)?;
            }
            ValueKind::Map => {
                let pairs = value.as_object().and_then(|object| object.try_iter_pairs()).into_iter().flatten();
                self.object(pairs.map(|(key, value)| (print::text(&key), value)).collect(), place)?;
            }
            _ => self.other(value, place)?,
        }
        Ok(())
    }

    fn other(&mut self, value: &Value, place: Place) -> Result<(), Error> {
        let moment = value.downcast_object_ref::<Moment>();
        let span = value.downcast_object_ref::<Span>();
        match (place, moment, span) {
            (Place::Model, Some(moment), _) => self.text(&moment.text('T').replace("+00:00", "Z")),
            (Place::Model, _, Some(span)) => self.out.push_str(&print::float(span.seconds())),
            (_, moment, span) => {
                let class = match value.kind() {
                    ValueKind::Undefined => "ChainableUndefined",
                    _ if moment.is_some() => "DateTime",
                    _ if span.is_some() => "timedelta",
                    ValueKind::Iterable => "set",
                    _ => "LabelDiver",
                };
                return Err(raise("TypeError", format!("Object of type {class} is not JSON serializable")));
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                ' '..='~' => self.out.push(c),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
            }
        }
        self.out.push('"');
    }

    fn array(&mut self, value: &Value, place: Place) -> Result<(), Error> {
        let items: Vec<Value> = value.try_iter()?.collect();
        self.between('[', ']', items.len(), |writer, index| writer.value(&items[index], place))
    }

    fn object(&mut self, mut pairs: Vec<(String, Value)>, place: Place) -> Result<(), Error> {
        pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
        self.between('{', '}', pairs.len(), |writer, index| {
            let (key, value) = &pairs[index];
            writer.text(key);
            writer.out.push_str(": ");
            writer.value(value, place)
        })
    }

    fn between(
        &mut self,
        open: char,
        close: char,
        count: usize,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        self.level += 1;
        for index in 0..count {
            if index > 0 {
                self.out.push_str(if self.indent.is_some() { "," } else { ", " });
            }
            self.new_line();
            item(self, index)?;
        }
        self.level -= 1;
        if count > 0 {
            self.new_line();
        }
        self.out.push(close);
        Ok(())
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent.min(16) * self.level));
        }
    }
}
