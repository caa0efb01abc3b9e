//! Moves the times inside an event.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Times further than this from the recording are no times of the event (logical dates, start dates of DAGs).
const NEAR: SignedDuration = SignedDuration::from_hours(36);

/// `value` with every time near `recorded` moved by `by`. A string is a time when it is one from end to end.
pub(super) fn moved(value: &Value, recorded: Timestamp, by: SignedDuration) -> Value {
    match value {
        Value::String(text) => Value::String(moved_text(text, recorded, by).unwrap_or_else(|| text.clone())),
        Value::Array(items) => items.iter().map(|item| moved(item, recorded, by)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), moved(value, recorded, by))).collect())
        }
        other => other.clone(),
    }
}

/// The moved time in the same form (digits of the fraction, `Z` or `+00:00`), when `text` is a time near `recorded`.
fn moved_text(text: &str, recorded: Timestamp, by: SignedDuration) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let time: Timestamp = text.parse().ok()?;
    if time.duration_since(recorded).abs() > NEAR {
        return None;
    }
    let time = time.checked_add(by).ok()?;
    let fraction = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    let seconds = if fraction == 0 {
        time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    } else {
        let nanoseconds = format!("{:09}", time.subsec_nanosecond());
        format!("{}.{}", time.strftime("%Y-%m-%dT%H:%M:%S"), &nanoseconds[..fraction.min(9)])
    };
    let zone = if text.ends_with('Z') { "Z" } else { "+00:00" };
    Some(format!("{seconds}{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_times_move_in_their_own_form_and_nothing_else_does() {
        let recorded: Timestamp = "2026-11-20T16:30:00Z".parse().unwrap();
        let by = SignedDuration::from_secs(3_600);
        for (text, expect) in [
            ("2026-11-20T16:30:26.727866+00:00", "2026-11-20T17:30:26.727866+00:00"),
            ("2026-11-20T16:30:26.100Z", "2026-11-20T17:30:26.100Z"),
            ("2026-11-20T16:30:26Z", "2026-11-20T17:30:26Z"),
            ("2025-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"),
            ("asset_triggered__2026-11-20T16:31:50+00:00_7y8", "asset_triggered__2026-11-20T16:31:50+00:00_7y8"),
            ("2026-11-20", "2026-11-20"),
            ("20", "20"),
        ] {
            assert_eq!(moved(&Value::from(text), recorded, by), Value::from(expect));
        }
    }
}
