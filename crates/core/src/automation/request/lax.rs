//! Single values as pydantic takes them in its lax mode: `"2"` is an integer, `"yes"` a boolean, `"PT90S"` a duration.
//!
//! Source: pydantic's conversion table and the answers of Prefect 3.8. Invariant: total; what is refused is refused with
//! pydantic's words.

use super::error::PathPart;
use super::line::{Fault, Read, collect, under};
use jiff::SignedDuration;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use strum::EnumMessage;
use uuid::Uuid;

/// `str`
pub(super) fn string(value: &Value) -> Read<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(Fault::plain("string_type", "Input should be a valid string").into()),
    }
}

/// `Optional[…]`
pub(super) fn nullable<T>(value: &Value, read: impl Fn(&Value) -> Read<T>) -> Read<Option<T>> {
    if value.is_null() { Ok(None) } else { read(value).map(Some) }
}

/// `bool`
pub(super) fn boolean(value: &Value) -> Read<bool> {
    let unclear = || Fault::plain("bool_parsing", "Input should be a valid boolean, unable to interpret input");
    let known = match value {
        Value::Bool(known) => return Ok(*known),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            _ => None,
        },
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64().is_some_and(|float| float.fract() != 0.0) => return Err(not_boolean()),
        Value::Number(_) => None,
        _ => return Err(not_boolean()),
    };
    known.ok_or_else(|| unclear().into())
}

fn not_boolean() -> Vec<super::line::Line> {
    Fault::plain("bool_type", "Input should be a valid boolean").into()
}

/// `int`, as far as it fits 64 bits.
pub(super) fn integer(value: &Value) -> Read<i64> {
    let too_big =
        || Fault::plain("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size");
    match value {
        Value::Bool(flag) => Ok(i64::from(*flag)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(whole),
            (None, Some(float)) if number.is_f64() && float.fract() != 0.0 => Err(Fault::plain(
                "int_from_float",
                "Input should be a valid integer, got a number with a fractional part",
            )
            .into()),
            (None, Some(float)) => exact(float).ok_or_else(|| too_big().into()),
            (None, None) => Err(too_big().into()),
        },
        Value::String(text) => match whole_number(text) {
            Some(Some(whole)) => Ok(whole),
            Some(None) => Err(too_big().into()),
            None => Err(Fault::plain(
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
            )
            .into()),
        },
        _ => Err(Fault::plain("int_type", "Input should be a valid integer").into()),
    }
}

/// The integer that a float is, when 64 bits hold it.
#[allow(clippy::cast_possible_truncation, reason = "the range is asked before")]
fn exact(float: f64) -> Option<i64> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    (-BOUND..BOUND).contains(&float).then_some(float as i64)
}

/// An integer written as text: space around it, one sign, single underscores between digits, `.0` behind it. `None`: it
/// is not one; `Some(None)`: it does not fit.
fn whole_number(text: &str) -> Option<Option<i64>> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = match digits.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => digits,
    };
    let groups: Vec<&str> = digits.split('_').collect();
    if groups.iter().any(|group| group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    Some(format!("{sign}{}", groups.concat()).parse().ok())
}

/// `UUID`
pub(super) fn uuid(value: &Value) -> Read<Uuid> {
    match value {
        Value::String(text) => {
            Uuid::parse_str(text).map_err(|error| Fault::parsing("uuid_parsing", "UUID", &error.to_string()).into())
        }
        _ => Err(Fault::plain("uuid_type", "UUID input should be a string, bytes or UUID object").into()),
    }
}

/// `timedelta`: seconds, or text in ISO 8601 or as `HH:MM:SS`, perhaps with days before.
pub(super) fn duration(value: &Value) -> Read<SignedDuration> {
    let refused = |error: &speedate::ParseError| {
        Fault::parsing("time_delta_parsing", "timedelta", error.get_documentation().unwrap_or_default())
    };
    match value {
        Value::String(text) => match speedate::Duration::parse_str(text) {
            Ok(parsed) => {
                Ok(SignedDuration::new(parsed.signed_total_seconds(), parsed.signed_microseconds() * NANOS_PER_MICRO))
            }
            Err(error) => Err(refused(&error).into()),
        },
        Value::Bool(flag) => Ok(SignedDuration::from_secs(i64::from(*flag))),
        Value::Number(number) => number
            .as_f64()
            .and_then(|seconds| from_seconds(seconds, f64::round))
            .ok_or_else(|| refused(&speedate::ParseError::DurationDaysTooLarge).into()),
        _ => Err(Fault::plain("time_delta_type", "Input should be a valid timedelta").into()),
    }
}

const NANOS_PER_MICRO: i32 = 1000;

/// Python's `timedelta(seconds=…)`: whole microseconds, the nearest, a tie to the even one. `None` beyond its range.
pub(super) fn python_seconds(seconds: f64) -> Option<SignedDuration> {
    from_seconds(seconds, f64::round_ties_even)
}

#[allow(clippy::cast_possible_truncation, reason = "both parts are in range by then")]
fn from_seconds(seconds: f64, round: impl Fn(f64) -> f64) -> Option<SignedDuration> {
    const DAYS: f64 = 999_999_999.0;
    if !seconds.is_finite() || seconds.abs() >= (DAYS + 1.0) * 86_400.0 {
        return None;
    }
    let micros = round(seconds.fract() * 1e6) as i64;
    Some(SignedDuration::from_secs(seconds.trunc() as i64) + SignedDuration::from_micros(micros))
}

/// The same without what is below a microsecond, which neither Python nor the stored form can hold.
pub(super) fn whole_micros(duration: SignedDuration) -> SignedDuration {
    SignedDuration::new(duration.as_secs(), duration.subsec_micros() * NANOS_PER_MICRO)
}

/// `Dict[str, Any]`
pub(super) fn object(value: &Value) -> Read<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map.clone()),
        _ => Err(Fault::plain("dict_type", "Input should be a valid dictionary").into()),
    }
}

/// `List[…]`
pub(super) fn list<T>(value: &Value, read: impl Fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    match value {
        Value::Array(items) => items_of(items, read),
        _ => Err(Fault::plain("list_type", "Input should be a valid list").into()),
    }
}

/// `Set[str]`
pub(super) fn string_set(value: &Value) -> Read<BTreeSet<String>> {
    match value {
        Value::Array(items) => Ok(items_of(items, string)?.into_iter().collect()),
        _ => Err(Fault::plain("set_type", "Input should be a valid set").into()),
    }
}

/// Every item of a list, or the errors of all that are wrong.
pub(super) fn items_of<T>(items: &[Value], read: impl Fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    let mut good = Vec::new();
    let mut wrong = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match read(item) {
            Ok(item) => good.push(item),
            Err(lines) => collect(&mut wrong, under(&PathPart::Index(index), lines)),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(wrong) }
}
