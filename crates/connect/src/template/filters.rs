//! What templates can call, and how values are escaped.
//!
//! Filters: `local(zone)` writes a time in a zone, `duration` writes seconds in words, `truncate(bytes)` cuts,
//! `slack_escape` escapes. Functions: `span(from, to)` the time between in words, `label(text)`, `link_list(places)` and
//! `code(text)` in the markup of the far end. A missing value gives an empty text, so that a template for all messages
//! need not ask for every field.

use super::Markup;
use super::text::{slack_escape, truncate_bytes};
use jiff::Timestamp;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use std::fmt::Write as _;
use trackside_core::duty::zone::Zone;

/// Makes filters, functions and escaping known.
pub(super) fn install(environment: &mut Environment<'_>, markup: Markup) {
    environment.add_filter("local", local);
    environment.add_filter("duration", duration);
    environment.add_filter("truncate", truncate);
    environment.add_filter("slack_escape", |text: &str| Value::from_safe_string(slack_escape(text)));
    environment.add_function("span", span);
    match markup {
        Markup::Plain => {
            environment.set_auto_escape_callback(|_| AutoEscape::None);
            environment.add_function("label", |text: &str| format!("{text}: "));
            environment.add_function("code", |text: &str| text.to_owned());
            environment.add_function("link_list", plain_links);
        }
        Markup::Slack => {
            environment.set_auto_escape_callback(|_| AutoEscape::Custom("slack".into()));
            environment.set_formatter(|output, _, value| {
                if value.is_undefined() || value.is_none() {
                    return Ok(());
                }
                let text = value.to_string();
                let text = if value.is_safe() { text } else { slack_escape(&text) };
                output.write_str(&text).map_err(Error::from)
            });
            environment.add_function("label", |text: &str| safe(&format!("*{}:* ", slack_escape(text))));
            environment.add_function("code", |text: &str| safe(&code_block(text)));
            environment.add_function("link_list", slack_links);
        }
    }
}

fn safe(text: &str) -> Value {
    Value::from_safe_string(text.to_owned())
}

fn absent(value: &Value) -> bool {
    value.is_undefined() || value.is_none()
}

fn time(value: &Value) -> Result<Timestamp, Error> {
    let wrong = || Error::new(ErrorKind::InvalidOperation, format!("`{value}` is not a time"));
    value.as_str().ok_or_else(wrong)?.parse().map_err(|_| wrong())
}

/// `2026-11-20 17:31:47 CET`.
fn local(value: &Value, zone: &str) -> Result<String, Error> {
    if absent(value) {
        return Ok(String::new());
    }
    let zone = Zone::new(zone).map_err(|problem| Error::new(ErrorKind::InvalidOperation, problem))?;
    Ok(time(value)?.to_zoned(zone.time_zone().clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
}

/// `3 min 20 s`, from seconds.
fn duration(value: &Value) -> Result<String, Error> {
    if absent(value) {
        return Ok(String::new());
    }
    let seconds = f64::try_from(value.clone())
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("`{value}` is not a number of seconds")))?;
    Ok(in_words(seconds))
}

fn span(from: &Value, to: &Value) -> Result<String, Error> {
    if absent(from) || absent(to) {
        return Ok(String::new());
    }
    Ok(in_words(time(to)?.duration_since(time(from)?).as_secs_f64().max(0.0)))
}

/// The two largest units that matter, so that it can be read at a glance.
fn in_words(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    // Beyond the largest whole number of a u64 the cast saturates.
    let seconds = seconds.round() as u64;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut words = Vec::new();
    let mut rest = seconds;
    for (size, name) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            words.push(format!("{count} {name}"));
        } else if !words.is_empty() {
            break;
        }
        if words.len() == 2 {
            break;
        }
    }
    words.join(" ")
}

fn truncate(value: &Value, bytes: usize) -> String {
    if absent(value) { String::new() } else { truncate_bytes(&value.to_string(), bytes) }
}

/// `(text, href)` of each place.
fn places(places: &Value) -> Result<Vec<(String, String)>, Error> {
    places
        .try_iter()?
        .map(|place| {
            let field = |name| place.get_attr(name).map(|value| value.to_string());
            Ok((field("text")?, field("href")?))
        })
        .collect()
}

/// One per line, so that mail programs find the addresses.
fn plain_links(list: &Value) -> Result<String, Error> {
    let mut text = String::new();
    for (name, href) in places(list)? {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {name}: {href}");
    }
    Ok(text)
}

/// `<href|text>`, in one line.
fn slack_links(list: &Value) -> Result<Value, Error> {
    let links: Vec<String> = places(list)?
        .iter()
        .map(|(text, href)| {
            let href = href.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C");
            format!("<{href}|{}>", slack_escape(text).replace('|', "/"))
        })
        .collect();
    Ok(safe(&links.join(" · ")))
}

/// A block of preformatted text. A fence inside would end it, so it becomes quotes.
fn code_block(text: &str) -> String {
    format!("```{}```", slack_escape(text).replace("```", "'''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_words() {
        for (seconds, words) in [
            (0.0, "0.0 s"),
            (3.25, "3.2 s"),
            (59.6, "1 min"),
            (200.0, "3 min 20 s"),
            (7_325.0, "2 h 2 min"),
            (3_600.0, "1 h"),
            (3_605.0, "1 h"),
            (180_000.0, "2 d 2 h"),
            (-1.0, "unknown"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(in_words(seconds), words, "{seconds}");
        }
    }
}
