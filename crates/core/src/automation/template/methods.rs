//! Python's methods of texts, lists and dictionaries, and what becomes of those that are not there.
//!
//! Most come from minijinja's own table ([`minijinja_contrib::pycompat`]); here are the rest, the sandbox (what would
//! change a value is refused) and Python's words for an attribute that does not exist.

use super::class::Class;
use super::error::{python_type, raise};
use super::moment::{Moment, Span};
use super::object::{Diver, Record, Resource, Set, View};
use super::{OUTPUT_BYTES, print};
use minijinja::value::{Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

const CHANGES_LIST: [&str; 8] = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"];
const CHANGES_DICT: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];
const CHANGES_SET: [&str; 8] =
    ["add", "clear", "difference_update", "discard", "pop", "remove", "symmetric_difference_update", "update"];

/// Calls a method that the value itself does not have.
pub(super) fn call(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UnknownMethod));
    }
    let type_name = type_name(value);
    let changes: &[&str] = match type_name {
        "list" => &CHANGES_LIST,
        "dict" => &CHANGES_DICT,
        "set" => &CHANGES_SET,
        _ => &[],
    };
    if changes.contains(&method) || method.starts_with('_') {
        let message = format!("access to attribute '{method}' of '{type_name}' object is unsafe.");
        return Err(raise("SecurityError", message));
    }
    if let Some(text) = value.as_str() {
        if let Some(found) = text_method(text, method, args)? {
            return Ok(found);
        }
    } else if type_name == "dict" || value.downcast_object_ref::<Resource>().is_some() {
        if let Some(view) = View::of(method, value) {
            return Ok(Value::from_object(view));
        }
    } else if matches!(type_name, "list" | "tuple") && method == "index" {
        let (wanted,): (&Value,) = from_args(args)?;
        let found = super::engine::items(value)?.iter().position(|item| item == wanted);
        let missing = || raise("ValueError", format!("{} is not in list", print::repr(wanted)));
        return found.map(Value::from).ok_or_else(missing);
    }
    let is_plain = value.is_safe() || matches!(type_name, "str" | "list" | "tuple" | "dict");
    let found = if is_plain { pycompat::unknown_method_callback(state, value, method, args) } else { unknown() };
    match found {
        Err(error) if error.kind() == ErrorKind::UnknownMethod => match value.get_attr(method) {
            Ok(field) if !field.is_undefined() => {
                Err(raise("TypeError", format!("'{}' object is not callable", self::type_name(&field))))
            }
            _ => Err(raise("UndefinedError", format!("{} has no attribute '{method}'", described(value)))),
        },
        other => other,
    }
}

fn unknown() -> Result<Value, Error> {
    Err(Error::from(ErrorKind::UnknownMethod))
}

/// Methods of `str` that minijinja's table lacks, or of which it takes fewer arguments.
fn text_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "casefold" => text.to_lowercase().into(),
        "swapcase" => {
            let swap =
                |c: char| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
            text.chars().map(swap).collect::<String>().into()
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (head, tail) = text.split_once(separator).unwrap_or((text, ""));
            parts(head, if text.contains(separator) { separator } else { "" }, tail)
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (head, tail) = text.rsplit_once(separator).unwrap_or(("", text));
            parts(head, if text.contains(separator) { separator } else { "" }, tail)
        }
        "rsplit" => {
            let (separator, most): (Option<&str>, Option<usize>) = from_args(args)?;
            match (separator, most) {
                (Some(separator), Some(most)) => reversed(text.rsplitn(most.saturating_add(1), separator)),
                (Some(separator), None) => reversed(text.rsplit(separator)),
                (None, _) => text.split_whitespace().map(Value::from).collect(),
            }
        }
        "index" | "rindex" => {
            let (part,): (&str,) = from_args(args)?;
            let found = if method == "index" { text.find(part) } else { text.rfind(part) };
            let found = found.ok_or_else(|| raise("ValueError", "substring not found"))?;
            text[..found].chars().count().into()
        }
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            let missing = bounded(width)?.saturating_sub(text.chars().count());
            format!("{sign}{}{digits}", "0".repeat(missing)).into()
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (usize, Option<char>) = from_args(args)?;
            justify(text, method, bounded(width)?, fill.unwrap_or(' ')).into()
        }
        _ => return Ok(None),
    }))
}

fn parts(head: &str, separator: &str, tail: &str) -> Value {
    Tuple::from([head.into(), separator.into(), tail.into()].to_vec()).into()
}

fn reversed<'t>(parts: impl Iterator<Item = &'t str>) -> Value {
    let mut parts: Vec<Value> = parts.map(Value::from).collect();
    parts.reverse();
    parts.into()
}

/// A width that the output could hold.
pub(super) fn bounded(width: usize) -> Result<usize, Error> {
    if width > OUTPUT_BYTES {
        return Err(raise(super::TemplateError::LIMIT, format!("a width of {width} is too large")));
    }
    Ok(width)
}

/// Fills a text up to `width` characters.
pub(super) fn justify(text: &str, method: &str, width: usize, fill: char) -> String {
    let length = text.chars().count();
    let missing = width.saturating_sub(length);
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        _ => missing / 2 + (missing & width & 1),
    };
    let fill = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    format!("{}{text}{}", fill(left), fill(missing - left))
}

/// The name of a value's class in Python.
pub(super) fn type_name(value: &Value) -> &'static str {
    described_type(value).1
}

/// The module and the name of a value's class.
fn described_type(value: &Value) -> (&'static str, &'static str) {
    let is = |found: bool, module, name| found.then_some((module, name));
    let of_class = |class: &'static Class| (class.module, class.name);
    let events = "prefect.server.events.schemas.events";
    value
        .downcast_object_ref::<Record>()
        .map(|record| of_class(record.class()))
        .or_else(|| value.downcast_object_ref::<Resource>().map(|resource| (events, resource.class())))
        .or_else(|| value.downcast_object_ref::<View>().map(|view| ("", view.class())))
        .or_else(|| is(value.downcast_object_ref::<Moment>().is_some(), "pydantic_extra_types.pendulum_dt", "DateTime"))
        .or_else(|| is(value.downcast_object_ref::<Span>().is_some(), "datetime", "timedelta"))
        .or_else(|| is(value.downcast_object_ref::<Set>().is_some(), "", "set"))
        .or_else(|| {
            let found = value.downcast_object_ref::<Diver>().is_some();
            is(found, "prefect.server.events.schemas.labelling", "LabelDiver")
        })
        .or_else(|| is(value.is_tuple(), "", "tuple"))
        .unwrap_or_else(|| ("", plain_type(value)))
}

fn plain_type(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "ChainableUndefined",
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "dict",
        ValueKind::Bytes => "bytes",
        _ => "function",
    }
}

/// `'dict object'`, as Jinja2 names what has no such attribute.
pub(super) fn described(value: &Value) -> String {
    match described_type(value) {
        (_, "NoneType") => "'None'".to_owned(),
        ("", name) => format!("'{} object'", python_type(name)),
        (module, name) => format!("'{module}.{name} object'"),
    }
}
