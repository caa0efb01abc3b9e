//! Values as Python prints them: `str()` for what a template puts out, `repr()` for what stands within something else.
//!
//! Invariant: what is written has at most [`super::OUTPUT_BYTES`] and then some; a value that holds itself many times
//! over cannot fill the memory.

use super::OUTPUT_BYTES;
use super::moment::{Moment, Span};
use super::object::{self, Diver, Record, Resource, Set, View};
use minijinja::Value;
use minijinja::value::ValueKind;
use std::fmt::Write as _;

/// `str(value)`
pub(super) fn text(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::String => match object::choice_class(value) {
            Some(class) => format!("{class}.{value}"),
            None => value.to_string(),
        },
        _ => {
            let mut out = String::new();
            write(&mut out, value, Form::Text);
            out
        }
    }
}

/// `repr(value)`
pub(super) fn repr(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, Form::Repr);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Repr,
}

fn write(out: &mut String, value: &Value, form: Form) {
    if out.len() > OUTPUT_BYTES {
        return;
    }
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::String => match object::choice_class(value) {
            Some(class) => drop(write!(out, "{class}.{value}")),
            None => out.push_str(&quoted(value.as_str().unwrap_or_default())),
        },
        ValueKind::Number if !value.is_integer() => {
            out.push_str(&f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float));
        }
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map | ValueKind::Plain => write_object(out, value, form),
        _ => drop(write!(out, "{value}")),
    }
}

fn write_object(out: &mut String, value: &Value, form: Form) {
    let is_text = form == Form::Text;
    if let Some(moment) = value.downcast_object_ref::<Moment>() {
        out.push_str(&if is_text { moment.text(' ') } else { moment.repr() });
    } else if let Some(span) = value.downcast_object_ref::<Span>() {
        out.push_str(&if is_text { span.text() } else { span.repr() });
    } else if let Some(record) = value.downcast_object_ref::<Record>() {
        write_record(out, record, form);
    } else if let Some(resource) = value.downcast_object_ref::<Resource>() {
        let (open, close) = if is_text { (String::new(), "") } else { (format!("{}(", resource.class()), ")") };
        out.push_str(&open);
        out.push_str("root=");
        pairs(out, resource.labels().iter().map(|(name, value)| (Value::from(name), Value::from(value))));
        out.push_str(close);
    } else if let Some(diver) = value.downcast_object_ref::<Diver>() {
        out.push_str(diver.value());
    } else if let Some(set) = value.downcast_object_ref::<Set>() {
        match set.items() {
            [] => out.push_str("set()"),
            items => items_between(out, "{", items.iter().cloned(), "}"),
        }
    } else if let Some(view) = value.downcast_object_ref::<View>() {
        out.push_str(view.class());
        items_between(out, "([", view.items().iter().cloned(), "])");
    } else {
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter().into_iter().flatten();
                match value.is_tuple() {
                    true if value.len() == Some(1) => items_between(out, "(", items, ",)"),
                    true => items_between(out, "(", items, ")"),
                    false => items_between(out, "[", items, "]"),
                }
            }
            ValueKind::Map if value.as_object().is_some_and(|object| object.try_iter_pairs().is_some()) => {
                pairs(out, value.as_object().and_then(|object| object.try_iter_pairs()).into_iter().flatten());
            }
            _ => drop(write!(out, "{value}")),
        }
    }
}

/// As pydantic prints a model.
fn write_record(out: &mut String, record: &Record, form: Form) {
    if let Some(short) = record.short_form(form == Form::Repr) {
        out.push_str(&short);
        return;
    }
    let (open, separator, close) = match form {
        Form::Text => (String::new(), " ", ""),
        Form::Repr => (format!("{}(", record.class().name), ", ", ")"),
    };
    out.push_str(&open);
    if record.class().is_map {
        out.push_str("root=");
        pairs(out, record.printed().map(|(name, value)| (name.into(), value.clone())));
    }
    for (index, (name, value)) in record.printed().filter(|_| !record.class().is_map).enumerate() {
        out.push_str(if index > 0 { separator } else { "" });
        out.push_str(name);
        out.push('=');
        let is_id = (name == "id" || name.ends_with("_id") || name == "follows") && value.as_str().is_some();
        out.push_str(if is_id { "UUID(" } else { "" });
        write(out, value, Form::Repr);
        out.push_str(if is_id { ")" } else { "" });
    }
    out.push_str(close);
}

fn items_between(out: &mut String, open: &str, items: impl Iterator<Item = Value>, close: &str) {
    out.push_str(open);
    for (index, item) in items.enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        write(out, &item, Form::Repr);
    }
    out.push_str(close);
}

fn pairs(out: &mut String, pairs: impl Iterator<Item = (Value, Value)>) {
    out.push('{');
    for (index, (key, value)) in pairs.enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        write(out, &key, Form::Repr);
        out.push_str(": ");
        write(out, &value, Form::Repr);
    }
    out.push('}');
}

/// A float in its shortest exact form: `1.5`, `1e+16`, `inf`.
pub(super) fn float(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse().unwrap_or(0) {
        exponent @ (-4..=15) => {
            let plain = value.to_string();
            if exponent < 0 || plain.contains('.') { plain } else { format!("{plain}.0") }
        }
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, i32::abs(exponent)),
    }
}

/// A text in quotes, with escapes.
pub(super) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            _ if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ if is_printable(c) => out.push(c),
            _ => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
    out
}

/// Rust escapes the same characters as Python; the letter before keeps it from escaping a combining mark.
fn is_printable(c: char) -> bool {
    !format!("{:?}", format!("a{c}")).contains("\\u")
}
