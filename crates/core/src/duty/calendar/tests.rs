//! The feed: what it looks like, and what every client relies on.

use super::*;
use crate::duty::schedule::OnCall;
use crate::duty::testing::at;
use proptest::prelude::*;
use serde_json::json;

fn shift(start: &str, end: &str, user: &str, source: &str) -> Shift {
    let users = if user.is_empty() { vec![] } else { vec![user.to_owned()] };
    Shift { start: at(start), end: at(end), on_call: OnCall { users, source: Some(source.to_owned()) } }
}

fn feed(schedule: &str) -> Feed<'_> {
    Feed { schedule, person: None, host: "trackside.example.net", stamp: at("2026-11-21T00:00:00Z") }
}

#[test]
fn a_feed() {
    let shifts = [
        shift("2026-03-28T20:00:00Z", "2026-03-29T08:00:00Z", "Ana Müller", "week"),
        shift("2026-03-29T08:00:00Z", "2026-03-29T09:00:00Z", "", "week"),
        shift("2026-03-29T09:00:00Z", "2026-03-30T07:00:00Z", "bo", "override"),
    ];
    insta::assert_snapshot!(render(&feed("primary, night; \"core\""), &shifts).replace("\r\n", "\n"));
    let of_bo = render(&Feed { person: Some("bo"), ..feed("primary") }, &shifts);
    assert_eq!(of_bo.matches("BEGIN:VEVENT").count(), 1);
}

#[test]
fn a_shift_keeps_its_identity_when_the_feed_is_made_later() {
    let schedule: Schedule = serde_json::from_value(json!({"layers": [{"name": "week", "rotation": {"tz": "UTC",
        "start": "2026-01-05T09:00:00", "unit": "week", "participants": ["ana", "bo"]}}]}))
    .unwrap();
    let uids = |now: &str| {
        let shifts = shifts(&schedule, &[], at(now));
        let text = render(&Feed { stamp: at(now), ..feed("primary") }, &shifts);
        text.lines().filter(|line| line.starts_with("UID:")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, other) = (uids("2026-03-01T00:00:00Z"), uids("2026-03-31T23:59:59Z"));
    assert_eq!(one.len(), 36);
    assert_eq!(one, other);
    let kept = uids("2026-04-01T00:00:00Z").into_iter().filter(|uid| one.contains(uid)).count();
    assert!(kept >= 28, "{kept} shifts are in both");
}

/// Puts folded lines together and takes escapes away (RFC 5545 §3.1 and §3.3.11).
fn unfolded(text: &str) -> Vec<String> {
    let plain = text.replace("\r\n ", "");
    plain
        .split_terminator("\r\n")
        .map(|line| line.replace("\\n", "\n").replace("\\;", ";").replace("\\,", ","))
        .collect()
}

proptest! {
    #[test]
    fn lines_are_short_and_names_come_back(name in "[^\\\\\\p{Cc}]{0,200}") {
        let text = render(&feed(&name), &[shift("2026-03-28T20:00:00Z", "2026-03-29T08:00:00Z", &name, "week")]);
        for line in text.split_terminator("\r\n") {
            prop_assert!(line.len() <= LINE_OCTETS, "{line}");
            prop_assert!(!line.contains(['\r', '\n']));
        }
        prop_assert!(text.ends_with("END:VCALENDAR\r\n"));
        let lines = unfolded(&text);
        for line in [format!("X-WR-CALNAME:On call: {name}"), format!("SUMMARY:{name} on call: {name}")] {
            prop_assert!(name.is_empty() || lines.contains(&line), "{}", line);
        }
    }
}
