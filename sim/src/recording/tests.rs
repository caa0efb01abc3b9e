use super::*;
use std::collections::{BTreeMap, BTreeSet};

fn start() -> Timestamp {
    "2027-01-05T08:00:00Z".parse().unwrap()
}

fn bodies(recording: &Recording, begin: Timestamp) -> Vec<(Entry, Value)> {
    recording.replay(begin).map(|entry| (entry.clone(), serde_json::from_str(&entry.body).unwrap())).collect()
}

/// (pipeline, last state) of each finished run, in order.
fn outcomes(recording: &Recording) -> Vec<(String, String)> {
    bodies(recording, start())
        .iter()
        .filter(|(_, body)| body["job"]["facets"]["jobType"]["jobType"] == "DAG" && body["eventType"] != "START")
        .map(|(_, body)| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&body["job"]["name"]), text(&body["eventType"]))
        })
        .collect()
}

#[test]
fn the_demo_is_a_few_minutes_in_order_with_both_systems() {
    let recording = Recording::demo().unwrap();
    let entries: Vec<_> = recording.replay(start()).collect();
    assert_eq!(entries.len(), recording.len());
    assert!(recording.len() > 150 && !recording.is_empty());
    let minutes = recording.duration().as_secs() / 60;
    assert!((2..=5).contains(&minutes), "{minutes}");
    assert!(entries.is_sorted_by_key(|entry| entry.offset));
    let paths: BTreeSet<_> = entries.iter().map(|entry| entry.path).collect();
    assert_eq!(paths, [OPENLINEAGE_PATH, PREFECT_PATH].into());
    let twice: BTreeMap<&str, usize> = entries.iter().fold(BTreeMap::new(), |mut seen, entry| {
        *seen.entry(entry.body.as_str()).or_default() += 1;
        seen
    });
    assert_eq!(twice.values().filter(|count| **count > 1).count(), 0, "an event is replayed twice");
}

#[test]
fn one_pipeline_fails_and_recovers_at_the_end() {
    let outcomes = outcomes(&Recording::demo().unwrap());
    let lab_success: Vec<_> =
        outcomes.iter().filter(|(name, _)| name == "lab_success").map(|(_, state)| state.as_str()).collect();
    assert_eq!(lab_success, ["COMPLETE", "FAIL", "COMPLETE"]);
    assert_eq!(outcomes.last().unwrap(), &("lab_success".to_owned(), "COMPLETE".to_owned()));
    let failed: BTreeSet<_> = outcomes.iter().filter(|(_, state)| state == "FAIL").map(|(name, _)| name).collect();
    assert!(failed.len() >= 8, "{failed:?}");
}

#[test]
fn times_are_those_of_the_replay_and_never_in_the_future() {
    let recording = Recording::demo().unwrap();
    for speed in [1.0, 10.0, f64::INFINITY] {
        let begin = recording.begin_for(start(), speed);
        for (entry, body) in bodies(&recording, begin) {
            let event = if entry.path == PREFECT_PATH { &body[0]["occurred"] } else { &body["eventTime"] };
            let time: Timestamp = event.as_str().unwrap().parse().unwrap();
            let sent = start().checked_add(entry.offset.div_f64(speed)).unwrap();
            let late = sent.duration_since(time).as_secs_f64();
            // Deferred tasks repeat their START half a minute later; all else arrives at once. Milliseconds are rounded.
            assert!(late > -0.01, "{late} {}", entry.body);
            if speed <= 1.0 {
                assert!(late < 40.0, "{late} {}", entry.body);
            }
        }
    }
}
