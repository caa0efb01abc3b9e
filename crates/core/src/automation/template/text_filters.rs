//! Jinja2's filters on texts, numbers and lists, where minijinja's own differ or are missing.
//!
//! Source: `jinja2/filters.py` 3.1. As there, a value that is no text is first made one as `str()` does.

#![allow(clippy::needless_pass_by_value, reason = "minijinja hands a filter its arguments")]

use super::engine::items;
use super::error::raise;
use super::methods::{bounded, justify, type_name};
use super::object::choice_class;
use super::{json, print};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, Value};

pub(super) fn install(environment: &mut Environment<'_>) {
    environment.add_filter("string", |value: Value| if value.is_safe() { value } else { print::text(&value).into() });
    environment.add_filter("safe", |value: Value| marked(print::text(&value)));
    for name in ["e", "escape"] {
        environment.add_filter(name, |value: Value| match value.is_safe() && choice_class(&value).is_none() {
            true => value,
            false => marked(escape(&print::text(&value))),
        });
    }
    environment.add_filter("forceescape", |value: Value| marked(escape(&print::text(&value))));
    environment.add_filter("upper", |value: Value| soft(&value).to_uppercase());
    environment.add_filter("lower", |value: Value| soft(&value).to_lowercase());
    environment.add_filter("capitalize", |value: Value| capitalize(&soft(&value)));
    environment.add_filter("title", |value: Value| title(&soft(&value)));
    environment.add_filter("trim", trim);
    environment.add_filter("replace", replace);
    environment.add_filter("truncate", truncate);
    environment.add_filter("center", |value: Value, width: Option<usize>| {
        Ok::<_, Error>(justify(&soft(&value), "center", bounded(width.unwrap_or(80))?, ' '))
    });
    environment.add_filter("wordcount", |value: Value| {
        soft(&value).split(|c: char| !super::scan::is_word(c)).filter(|word| !word.is_empty()).count()
    });
    environment.add_filter("striptags", |value: Value| striptags(&soft(&value)));
    environment.add_filter("urlencode", urlencode);
    environment.add_filter("filesizeformat", filesizeformat);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("int", int);
    environment.add_filter("float", |value: Value, default: Option<f64>| {
        defined(&value).map(|()| number(&value).unwrap_or(default.unwrap_or_default()))
    });
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("join", join);
    environment.add_filter("list", |value: Value| match value.as_str() {
        Some(text) => Ok(text.chars().map(Value::from).collect()),
        None => items(&value),
    });
    environment.add_filter("first", |value: Value| edge(&value, |items| items.first().cloned()));
    environment.add_filter("last", |value: Value| edge(&value, |items| items.last().cloned()));
    environment.add_filter("items", pairs);
    environment.add_filter("tojson", |value: Value, indent: Option<usize>, named: Kwargs| {
        let indent = indent.or(named.get("indent")?);
        named.assert_all_used()?;
        json::dump(&value, indent).map(marked)
    });
}

/// A text that is not to be escaped again; one that would read as a member of an enumeration stays a plain text.
fn marked(text: String) -> Value {
    let value = Value::from_safe_string(text);
    if choice_class(&value).is_some() { Value::from(value.as_str().unwrap_or_default()) } else { value }
}

/// What `int()` and `float()` say of a value that is not there.
fn defined(value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        Err(raise("UndefinedError", "a number is made of a value that is undefined"))
    } else {
        Ok(())
    }
}

/// A text as it is; a member of an enumeration is a text.
pub(super) fn soft(value: &Value) -> String {
    value.as_str().map_or_else(|| print::text(value), str::to_owned)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
}

fn title(text: &str) -> String {
    let mut starts = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if starts {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        starts = c.is_whitespace() || "-({[<".contains(c);
    }
    out
}

fn trim(value: Value, chars: Option<&str>) -> String {
    let text = soft(&value);
    match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
        None => text.trim().to_owned(),
    }
}

fn replace(value: Value, old: Value, new: Value, count: Option<i64>) -> Result<String, Error> {
    let (text, old, new) = (print::text(&value), print::text(&old), print::text(&new));
    let found = text.matches(&*old).count();
    let most = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    bounded(text.len().saturating_add(found.min(most).saturating_mul(new.len())))?;
    Ok(text.replacen(&*old, &new, most))
}

fn truncate(
    value: Value,
    length: Option<usize>,
    killwords: Option<bool>,
    end: Option<String>,
    named: Kwargs,
) -> Result<String, Error> {
    let length = length.or(named.get("length")?).unwrap_or(255);
    let killwords = killwords.or(named.get("killwords")?).unwrap_or(false);
    let end = end.or(named.get("end")?).unwrap_or_else(|| "...".to_owned());
    let leeway = named.get::<Option<usize>>("leeway")?.unwrap_or(5);
    named.assert_all_used()?;
    let text = soft(&value);
    let marks = end.chars().count();
    if length < marks {
        return Err(raise("AssertionError", format!("expected length >= {marks}, got {length}")));
    }
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept: String = text.chars().take(length - marks).collect();
    let kept = if killwords { &kept } else { kept.rsplit_once(' ').map_or(&*kept, |(head, _)| head) };
    Ok(format!("{kept}{end}"))
}

fn striptags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        match tag.split_once('>') {
            Some((_, after)) => rest = after,
            None => {
                out.push('<');
                rest = tag;
            }
        }
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn urlencode(value: Value) -> Result<String, Error> {
    let quote = |text: &str, kept: &str| -> String {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => char::from(byte).to_string(),
            byte if kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    if !matches!(value.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable) {
        return Ok(quote(&soft(&value), "/"));
    }
    let pairs = if value.kind() == ValueKind::Map { pairs(value)? } else { items(&value)? };
    let for_query = |text: String| quote(&text, " ").replace(' ', "+");
    let pair = |pair: &Value| -> Result<String, Error> {
        let (key, value) = (pair.get_item_by_index(0)?, pair.get_item_by_index(1)?);
        Ok(format!("{}={}", for_query(soft(&key)), for_query(soft(&value))))
    };
    Ok(pairs.iter().map(pair).collect::<Result<Vec<_>, _>>()?.join("&"))
}

fn filesizeformat(value: Value, binary: Option<bool>) -> Result<String, Error> {
    let bytes = number(&value).ok_or_else(|| raise("ValueError", "could not convert to a number"))?;
    let (base, mark) = if binary.unwrap_or(false) { (1024_f64, "i") } else { (1000., "") };
    if bytes == 1. {
        return Ok("1 Byte".to_owned());
    }
    if bytes < base {
        return Ok(format!("{} Bytes", bytes.trunc()));
    }
    let letters = if mark.is_empty() { "kMGTPEZY" } else { "KMGTPEZY" };
    let mut scaled = bytes / base;
    let mut letters = letters.chars().peekable();
    while scaled >= base && letters.clone().count() > 1 {
        scaled /= base;
        letters.next();
    }
    Ok(format!("{scaled:.1} {}{mark}B", letters.next().unwrap_or('Y')))
}

fn default(value: Value, other: Option<Value>, boolean: Option<bool>, named: Kwargs) -> Result<Value, Error> {
    let other = other.or(named.get("default_value")?).unwrap_or_else(|| Value::from(""));
    let boolean = boolean.or(named.get("boolean")?).unwrap_or(false);
    named.assert_all_used()?;
    Ok(if value.is_undefined() || (boolean && !value.is_true()) { other } else { value })
}

/// A number as Python's `float()` reads it.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::String => value.as_str()?.trim().replace('_', "").parse().ok(),
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok().or_else(|| value.to_string().parse().ok()),
        _ => None,
    }
}

fn int(value: Value, default: Option<Value>, base: Option<u32>) -> Result<Value, Error> {
    defined(&value)?;
    let default = default.unwrap_or_else(|| Value::from(0));
    if value.is_integer() {
        return Ok(value);
    }
    let whole = value.as_str().map(|text| text.trim().replace('_', ""));
    let base = base.filter(|base| (2..=36).contains(base)).unwrap_or(10);
    if let Some(whole) = whole.and_then(|text| i64::from_str_radix(&text, base).ok()) {
        return Ok(Value::from(whole));
    }
    Ok(match number(&value) {
        Some(number) if number.is_finite() && number.abs() < 1e18 => Value::from(number.trunc() as i64),
        _ => default,
    })
}

fn length(value: Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    let known = value.as_str().map(|text| text.chars().count()).or_else(|| value.len());
    known.ok_or_else(|| raise("TypeError", format!("object of type '{}' has no len()", type_name(&value))))
}

fn join(value: Value, separator: Option<Value>, attribute: Option<Value>, named: Kwargs) -> Result<String, Error> {
    let separator = separator.or(named.get("d")?).map(|value| print::text(&value)).unwrap_or_default();
    let attribute = attribute.or(named.get("attribute")?);
    named.assert_all_used()?;
    let items = match value.as_str() {
        Some(text) => text.chars().map(Value::from).collect(),
        None => items(&value)?,
    };
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        let item = attribute.as_ref().map_or_else(|| item.clone(), |attribute| dig(item, attribute));
        out.push_str(&print::text(&item));
        bounded(out.len())?;
    }
    Ok(out)
}

/// An attribute by a path with dots.
fn dig(item: &Value, attribute: &Value) -> Value {
    let Some(path) = attribute.as_str() else { return item.get_item(attribute).unwrap_or_default() };
    path.split('.').fold(item.clone(), |item, part| match part.parse::<usize>() {
        Ok(index) => item.get_item_by_index(index).unwrap_or_default(),
        Err(_) => item.get_attr(part).unwrap_or_default(),
    })
}

fn edge(value: &Value, pick: impl Fn(&[Value]) -> Option<Value>) -> Result<Value, Error> {
    let items = match value.as_str() {
        Some(text) => text.chars().map(Value::from).collect(),
        None => items(value)?,
    };
    Ok(pick(&items).unwrap_or(Value::UNDEFINED))
}

fn pairs(value: Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    let pairs = super::object::View::of("items", &value).filter(|_| value.kind() == ValueKind::Map);
    let pairs = pairs.ok_or_else(|| raise("TypeError", "Can only get item pairs from a mapping."))?;
    Ok(pairs.items().to_vec())
}
