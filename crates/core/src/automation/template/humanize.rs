//! The filters `humanize_*`: numbers, sizes and durations for people, in English.
//!
//! Source: `humanize` 4.17 behind `jinja2-humanize-extension` 0.4. Left out: `activate` and `deactivate` (languages),
//! `clamp`, `date_and_delta`, `abs_timedelta` and the separators.

#![allow(clippy::needless_pass_by_value, reason = "minijinja hands a filter its arguments")]

use super::error::raise;
use super::moment::{Moment, Span};
use super::print;
use super::text_filters::number;
use jiff::{SignedDuration, Timestamp};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, Value};

const DAY: i64 = 86_400;
const WORDS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const POWERS: [(i32, &str); 12] = [
    (3, "thousand"),
    (6, "million"),
    (9, "billion"),
    (12, "trillion"),
    (15, "quadrillion"),
    (18, "quintillion"),
    (21, "sextillion"),
    (24, "septillion"),
    (27, "octillion"),
    (30, "nonillion"),
    (33, "decillion"),
    (100, "googol"),
];

pub(super) fn install(environment: &mut Environment<'_>, now: Timestamp) {
    environment.add_filter("humanize_intcomma", intcomma);
    environment.add_filter("humanize_intword", intword);
    environment.add_filter("humanize_ordinal", ordinal);
    environment.add_filter("humanize_apnumber", |value: Value| match whole(&value) {
        Some(value @ 0..=9) => WORDS[value as usize].to_owned(),
        Some(value) => value.to_string(),
        None => print::text(&value),
    });
    environment.add_filter("humanize_fractional", fractional);
    environment.add_filter("humanize_scientific", scientific);
    environment.add_filter("humanize_metric", metric);
    environment.add_filter("humanize_naturalsize", naturalsize);
    environment.add_filter("humanize_naturaldelta", |value: Value, months: Option<bool>, named: Kwargs| {
        let months = months.or(named.get("months")?).unwrap_or(true);
        Ok::<_, Error>(duration(&value).map_or_else(|| print::text(&value), |delta| naturaldelta(delta, months)))
    });
    environment.add_filter("humanize_naturaltime", move |value: Value, future: Option<bool>, named: Kwargs| {
        let future = future.or(named.get("future")?).unwrap_or(false);
        Ok::<_, Error>(naturaltime(&value, future, now))
    });
    environment.add_filter("humanize_naturalday", move |value: Value, format: Option<String>| {
        naturalday(&value, now, format.as_deref().unwrap_or("%b %d"))
    });
    environment.add_filter("humanize_naturaldate", move |value: Value| {
        let days = value.downcast_object_ref::<Moment>().map(|moment| days_from(moment, now));
        let is_far = days.is_some_and(|days| days.abs() as f64 >= 5. * 365. / 12.);
        naturalday(&value, now, if is_far { "%b %d %Y" } else { "%b %d" })
    });
    environment.add_filter("humanize_precisedelta", precisedelta);
}

fn whole(value: &Value) -> Option<i64> {
    number(value).filter(|number| number.is_finite() && number.abs() < 9e18).map(|number| number as i64)
}

/// A duration, or a number of seconds.
fn duration(value: &Value) -> Option<SignedDuration> {
    if let Some(span) = value.downcast_object_ref::<Span>() {
        return Some(span.0);
    }
    if value.as_str().is_some_and(|text| text.parse::<i64>().is_err()) {
        return None;
    }
    number(value).and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok())
}

/// Digits in groups of three.
fn grouped(text: &str) -> String {
    let (sign, text) = text.split_at(usize::from(text.starts_with('-')));
    let (digits, fraction) = text.find('.').map_or((text, ""), |point| text.split_at(point));
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    format!("{sign}{}{fraction}", groups.collect::<Vec<_>>().join(","))
}

fn intcomma(value: Value, ndigits: Option<usize>, named: Kwargs) -> Result<String, Error> {
    let ndigits = ndigits.or(named.get("ndigits")?);
    let plain = value.as_str().map_or_else(|| print::text(&value), |text| text.replace(',', ""));
    let Some(number) = number(&Value::from(plain.as_str())) else { return Ok(print::text(&value)) };
    Ok(match ndigits {
        _ if !number.is_finite() => print::text(&value),
        Some(ndigits) => grouped(&format!("{number:.*}", ndigits.min(64))),
        None if plain.contains(['.', 'e']) => grouped(&print::float(number)),
        None => grouped(&plain),
    })
}

fn intword(value: Value) -> String {
    let Some(number) = number(&value).filter(|number| number.is_finite()).map(f64::trunc) else {
        return print::text(&value);
    };
    let (sign, number) = (if number < 0. { "-" } else { "" }, number.abs());
    let Some(mut at) = POWERS.iter().rposition(|(power, _)| number >= 10_f64.powi(*power)) else {
        return format!("{sign}{number}");
    };
    let mut text = format!("{:.1}", number / 10_f64.powi(POWERS[at].0));
    let next = POWERS.get(at + 1).map(|(next, _)| 10_f64.powi(next - POWERS[at].0));
    if next.is_some_and(|next| text.parse() == Ok(next)) {
        at += 1;
        "1.0".clone_into(&mut text);
    }
    format!("{sign}{text} {}", POWERS[at].1)
}

fn ordinal(value: Value) -> String {
    let Some(number) = whole(&value) else { return print::text(&value) };
    let suffix = match (number.rem_euclid(100), number.rem_euclid(10)) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

fn fractional(value: Value) -> String {
    let Some(number) = number(&value).filter(|number| number.is_finite()) else { return print::text(&value) };
    let (whole, rest) = (number.trunc(), number.fract());
    let (numerator, denominator) = nearest_fraction(rest.abs());
    let sign = if rest < 0. { "-" } else { "" };
    match (denominator, whole == 0.) {
        (1, _) => format!("{}", whole + rest.signum() * numerator as f64),
        (_, true) => format!("{sign}{numerator}/{denominator}"),
        (_, false) => format!("{whole} {numerator}/{denominator}"),
    }
}

/// The fraction below 1 that is nearest, with a denominator of at most 1000.
fn nearest_fraction(value: f64) -> (i64, i64) {
    let candidates = (1..=1000_i64).map(|denominator| ((value * denominator as f64).round() as i64, denominator));
    let distance = |(numerator, denominator): &(i64, i64)| (*numerator as f64 / *denominator as f64 - value).abs();
    candidates.min_by(|left, right| distance(left).total_cmp(&distance(right))).unwrap_or((0, 1))
}

fn scientific(value: Value, precision: Option<usize>) -> String {
    let Some(number) = number(&value).filter(|number| number.is_finite()) else { return print::text(&value) };
    let text = format!("{number:.*e}", precision.unwrap_or(2).min(64));
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let raised = exponent.chars().map(|c| match c {
        '-' => '⁻',
        c => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][c.to_digit(10).unwrap_or(0) as usize],
    });
    format!("{digits} x 10{}", raised.collect::<String>())
}

fn metric(value: Value, unit: Option<String>, precision: Option<i32>) -> Result<String, Error> {
    let number = number(&value).ok_or_else(|| raise("TypeError", "must be real number"))?;
    let (unit, precision) = (unit.unwrap_or_default(), precision.unwrap_or(3).clamp(1, 32));
    let mut exponent = if number == 0. { 0 } else { number.abs().log10().floor() as i32 };
    if !(-30..33).contains(&exponent) {
        return Ok(scientific(value, usize::try_from(precision - 1).ok()) + &unit);
    }
    let digits = |exponent: i32| (precision - exponent.rem_euclid(3) - 1).max(0);
    let scaled = |exponent: i32| number / 10_f64.powi(exponent.div_euclid(3) * 3);
    let rounded = format!("{:.*}", digits(exponent) as usize, scaled(exponent).abs());
    if rounded.parse().is_ok_and(|rounded: f64| rounded >= 10_f64.powi(exponent.rem_euclid(3) + 1)) {
        exponent += 1;
    }
    let letter = match exponent.div_euclid(3) {
        0 => None,
        bucket @ 1.. => "kMGTPEZYRQ".chars().nth(bucket as usize - 1),
        bucket => "mμnpfazyrq".chars().nth((-bucket) as usize - 1),
    };
    let space = if letter.is_none() && matches!(&*unit, "" | "°" | "′" | "″") { "" } else { " " };
    let letter = letter.map(String::from).unwrap_or_default();
    Ok(format!("{:.*}{space}{letter}{unit}", digits(exponent) as usize, scaled(exponent)))
}

fn naturalsize(value: Value, binary: Option<bool>, gnu: Option<bool>, named: Kwargs) -> Result<String, Error> {
    let binary = binary.or(named.get("binary")?).unwrap_or(false);
    let gnu = gnu.or(named.get("gnu")?).unwrap_or(false);
    let bytes = number(&value).ok_or_else(|| raise("ValueError", "could not convert to a number"))?;
    let base = if gnu || binary { 1024_f64 } else { 1000. };
    if bytes.abs() < base {
        let unit = match (gnu, bytes.abs() == 1.) {
            (true, _) => "B",
            (false, true) => " Byte",
            (false, false) => " Bytes",
        };
        return Ok(format!("{}{unit}", bytes.trunc()));
    }
    let letters = if gnu || binary { "KMGTPEZYRQ" } else { "kMGTPEZYRQ" };
    let (mut scaled, mut at) = (bytes / base, 0);
    while at + 1 < letters.len() && format!("{:.1}", scaled.abs()).parse().is_ok_and(|shown: f64| shown >= base) {
        scaled /= base;
        at += 1;
    }
    let letter = &letters[at..=at];
    Ok(match (gnu, binary) {
        (true, _) => format!("{scaled:.1}{letter}"),
        (_, true) => format!("{scaled:.1} {letter}iB"),
        _ => format!("{scaled:.1} {letter}B"),
    })
}

fn count(number: i64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Python rounds halves to even.
fn rounded(number: f64) -> i64 {
    number.round_ties_even() as i64
}

fn naturaldelta(delta: SignedDuration, with_months: bool) -> String {
    let delta = delta.abs();
    let (all_days, seconds) = (delta.as_secs() / DAY, delta.as_secs() % DAY);
    let (years, days) = (all_days / 365, all_days % 365);
    let months = rounded(days as f64 / 30.5);
    match (years, days) {
        (0, 0) => match seconds {
            0 => "a moment".to_owned(),
            1 => "a second".to_owned(),
            2..60 => count(seconds, "second"),
            60..3600 => match rounded(seconds as f64 / 60.) {
                1 => "a minute".to_owned(),
                60 => "an hour".to_owned(),
                minutes => count(minutes, "minute"),
            },
            _ => match rounded(seconds as f64 / 3600.) {
                1 => "an hour".to_owned(),
                24 => "a day".to_owned(),
                hours => count(hours, "hour"),
            },
        },
        (0, 1) => "a day".to_owned(),
        (0, _) => match months {
            1 if with_months => "a month".to_owned(),
            12 if with_months => "a year".to_owned(),
            2.. if with_months => count(months, "month"),
            _ => count(days, "day"),
        },
        (1, 0) => "a year".to_owned(),
        (1, _) => match months {
            12 if with_months => "2 years".to_owned(),
            1.. if with_months => format!("1 year, {}", count(months, "month")),
            _ => format!("1 year, {}", count(days, "day")),
        },
        _ => {
            let years = rounded(all_days as f64 / 365.);
            format!("{} year{}", grouped(&years.to_string()), if years == 1 { "" } else { "s" })
        }
    }
}

fn naturaltime(value: &Value, future: bool, now: Timestamp) -> String {
    let (delta, future) = match value.downcast_object_ref::<Moment>() {
        Some(moment) => {
            let delta = now.duration_since(moment.timestamp());
            (delta, delta.is_negative())
        }
        None => match duration(value) {
            Some(delta) if value.downcast_object_ref::<Span>().is_some() => (delta, delta.is_negative()),
            Some(delta) => (SignedDuration::from_secs(rounded(delta.as_secs_f64())), future),
            None => return print::text(value),
        },
    };
    match (naturaldelta(delta, true), future) {
        (delta, _) if delta == "a moment" => "now".to_owned(),
        (delta, true) => format!("{delta} from now"),
        (delta, false) => format!("{delta} ago"),
    }
}

/// Days from today to the day of a time, in the time's own zone.
fn days_from(moment: &Moment, now: Timestamp) -> i32 {
    let today = now.to_zoned(moment.zoned().time_zone().clone()).date();
    today.until(moment.zoned().date()).map_or(0, |span| span.get_days())
}

fn naturalday(value: &Value, now: Timestamp, format: &str) -> String {
    let Some(moment) = value.downcast_object_ref::<Moment>() else { return print::text(value) };
    match days_from(moment, now) {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        -1 => "yesterday".to_owned(),
        _ => moment.format(format),
    }
}

/// Years to seconds, those that are not zero, the last unit with two decimals if it is not whole.
fn precisedelta(value: Value, minimum_unit: Option<String>, named: Kwargs) -> Result<String, Error> {
    // Years and months are counted in whole days, the others in seconds.
    const UNITS: [(&str, f64); 6] =
        [("year", 365.), ("month", 30.5), ("day", 86_400.), ("hour", 3600.), ("minute", 60.), ("second", 1.)];
    let minimum = minimum_unit.or(named.get("minimum_unit")?).unwrap_or_else(|| "seconds".to_owned());
    let minimum = minimum.to_lowercase();
    let last = UNITS.iter().position(|(unit, _)| minimum.strip_suffix('s') == Some(unit));
    let last = last.ok_or_else(|| raise("KeyError", format!("'{}'", minimum.to_uppercase())))?;
    let Some(delta) = duration(&value).map(SignedDuration::abs) else { return Ok(print::text(&value)) };
    let mut rest = (delta.as_secs() / DAY) as f64;
    let seconds_of_day = (delta - SignedDuration::from_secs(delta.as_secs() / DAY * DAY)).as_secs_f64();
    let mut texts = Vec::new();
    for (index, (unit, size)) in UNITS.iter().enumerate().take(last) {
        let whole = (rest / size).floor();
        rest -= whole * size;
        if whole > 0. {
            texts.push(count(whole as i64, unit));
        }
        if index == 1 {
            rest = rest.trunc() * DAY as f64 + seconds_of_day;
        }
    }
    let (unit, seconds) = UNITS[last];
    let amount = (rest / seconds * 100.).round_ties_even() / 100.;
    if amount > 0. || texts.is_empty() {
        texts.push(if amount.fract() == 0. { count(amount as i64, unit) } else { format!("{amount:.2} {unit}s") });
    }
    Ok(match texts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, head)) => format!("{} and {last}", head.join(", ")),
        None => String::new(),
    })
}
