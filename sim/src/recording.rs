//! Recorded traffic of a real Airflow and a real Prefect, ready to be replayed.
//!
//! The events are embedded as captured; a score (`testdata/recordings/demo.json`, see the README beside it) says which
//! arrive when. Invariant: events are moved in time as a whole scene, never invented or changed otherwise.
//! Sending them is the caller's.

use flate2::read::GzDecoder;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

mod retime;

const SCORE: &str = include_str!("../../testdata/recordings/demo.json");
const AIRFLOW: &[u8] = include_bytes!("../../testdata/airflow/openlineage/airflow-3.3.2.jsonl.gz");
const SIGKILL: &[u8] = include_bytes!("../../testdata/airflow/openlineage/sigkill.jsonl.gz");
const DEFERRED: &[u8] = include_bytes!("../../testdata/airflow/openlineage/deferred.jsonl.gz");
const PREFECT: &str = include_str!("../../testdata/prefect/events_page.json");

/// Path of the door for OpenLineage.
const OPENLINEAGE_PATH: &str = "/api/v1/lineage";
/// Path of the door for Prefect's events.
const PREFECT_PATH: &str = "/api/events";

/// A recording in order of arrival.
#[derive(Clone, Debug)]
pub struct Recording {
    events: Vec<Recorded>,
}

/// One event as recorded.
#[derive(Clone, Debug)]
struct Recorded {
    offset: Duration,
    scene: Arc<str>,
    path: &'static str,
    /// When the scene began while it was recorded, and when it begins in the replay.
    recorded: Timestamp,
    scene_offset: Duration,
    body: Arc<Value>,
}

/// One request to replay. The method is always POST.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it is due, from the start, at the recorded pace.
    pub offset: Duration,
    /// What happens in this part of the recording.
    pub scene: Arc<str>,
    /// Path of the door.
    pub path: &'static str,
    /// Content type.
    pub content_type: &'static str,
    /// Body, with its times moved.
    pub body: String,
}

/// Why the embedded recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A capture does not inflate.
    #[error("a capture cannot be inflated: {0}")]
    Gzip(#[from] std::io::Error),
    /// A capture or the score is no JSON of the expected shape.
    #[error("a capture or the score cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The score names an event that is not there.
    #[error("the score names event {0} of `{1}`, which is not there")]
    NoSuchEvent(usize, &'static str),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Capture {
    Airflow,
    Sigkill,
    Deferred,
    Prefect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scene {
    scene: Arc<str>,
    from: Capture,
    recorded: Timestamp,
    at_ms: u64,
    events: Vec<(usize, u64)>,
}

impl Recording {
    /// The recording that `trackside demo` plays: about three minutes of failures, retries, killed tasks and one recovery.
    ///
    /// # Errors
    /// When the embedded files do not fit together, which a test rules out.
    pub fn demo() -> Result<Self, RecordingError> {
        let scenes: Vec<Scene> = serde_json::from_str(SCORE)?;
        let (airflow, sigkill, deferred) = (lines(AIRFLOW)?, lines(SIGKILL)?, lines(DEFERRED)?);
        let prefect = prefect()?;
        let mut events = Vec::new();
        for scene in scenes {
            let (name, capture, path) = match scene.from {
                Capture::Airflow => ("airflow", &airflow, OPENLINEAGE_PATH),
                Capture::Sigkill => ("sigkill", &sigkill, OPENLINEAGE_PATH),
                Capture::Deferred => ("deferred", &deferred, OPENLINEAGE_PATH),
                Capture::Prefect => ("prefect", &prefect, PREFECT_PATH),
            };
            for (position, after_ms) in scene.events {
                let body = capture.get(position).ok_or(RecordingError::NoSuchEvent(position, name))?;
                events.push(Recorded {
                    offset: Duration::from_millis(scene.at_ms + after_ms),
                    scene: Arc::clone(&scene.scene),
                    path,
                    recorded: scene.recorded,
                    scene_offset: Duration::from_millis(scene.at_ms),
                    body: Arc::clone(body),
                });
            }
        }
        // Stable: events of the same millisecond keep their order of arrival.
        events.sort_by_key(|event| event.offset);
        Ok(Self { events })
    }

    /// Number of requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Length at the recorded pace.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.events.last().map_or(Duration::ZERO, |event| event.offset)
    }

    /// The time that offset zero stands for when the replay begins at `start` and runs `speed` times as fast.
    ///
    /// At the recorded pace that is `start`. Faster, it lies earlier, so that no event tells of the future while
    /// lengths of runs stay as recorded. An infinite speed is allowed.
    #[must_use]
    pub fn begin_for(&self, start: Timestamp, speed: f64) -> Timestamp {
        let ahead = self.duration().as_secs_f64() * (1.0 - 1.0 / speed.max(1.0));
        let ahead = SignedDuration::try_from_secs_f64(ahead).unwrap_or_default();
        start.checked_sub(ahead).unwrap_or(start)
    }

    /// The requests in order of arrival, their times as if offset zero were `begin`.
    pub fn replay(&self, begin: Timestamp) -> impl Iterator<Item = Entry> + '_ {
        self.events.iter().map(move |event| {
            let due = begin.checked_add(event.scene_offset).unwrap_or(begin);
            let body = retime::moved(&event.body, event.recorded, due.duration_since(event.recorded));
            let body = if event.path == PREFECT_PATH { Value::Array(vec![body]) } else { body };
            Entry {
                offset: event.offset,
                scene: Arc::clone(&event.scene),
                path: event.path,
                content_type: "application/json",
                body: body.to_string(),
            }
        })
    }
}

fn lines(gzip: &[u8]) -> Result<Vec<Arc<Value>>, RecordingError> {
    let mut text = String::new();
    GzDecoder::new(gzip).read_to_string(&mut text)?;
    text.lines().map(|line| Ok(Arc::new(serde_json::from_str(line)?))).collect()
}

fn prefect() -> Result<Vec<Arc<Value>>, RecordingError> {
    #[derive(Deserialize)]
    struct Page {
        events: Vec<Arc<Value>>,
    }
    Ok(serde_json::from_str::<Page>(PREFECT)?.events)
}

#[cfg(test)]
mod tests;
