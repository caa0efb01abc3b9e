//! A far end for tests: answers as written, one after the other, and remembers what it was asked.

use super::document::Surroundings;
use crate::exchange::{Ask, AskError, Reply};
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A far end.
#[derive(Clone, Default)]
pub(crate) struct FarEnd(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: VecDeque<Result<Reply, AskError>>,
    asked: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// Headers that tell what a request is.
const SHOWN: [&str; 8] = [
    "x-vault-token",
    "x-vault-namespace",
    "authorization",
    "metadata",
    "x-identity-header",
    "x-aws-ec2-metadata-token",
    "x-amz-security-token",
    "x-amz-date",
];

impl FarEnd {
    pub(crate) fn answers(&self, status: u16, body: &str) {
        self.with(status, &[], body);
    }

    pub(crate) fn with(&self, status: u16, headers: &[(&'static str, &str)], body: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply { status, headers: map, body: body.to_owned().into() };
        self.0.lock().unwrap().answers.push_back(Ok(reply));
    }

    pub(crate) fn silent(&self) {
        let lost = AskError::Lost { host: "far.example".to_owned(), reason: "timed out".to_owned() };
        self.0.lock().unwrap().answers.push_back(Err(lost));
    }

    pub(crate) fn variable(&self, name: &str, value: &str) {
        self.0.lock().unwrap().variables.insert(name.to_owned(), value.to_owned());
    }

    /// What was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// How many answers are left.
    pub(crate) fn left(&self) -> usize {
        self.0.lock().unwrap().answers.len()
    }

    pub(crate) fn drop_one(&self) {
        self.0.lock().unwrap().answers.pop_front();
    }

    pub(crate) fn world(&self) -> Surroundings {
        let (exchange, variables) = (self.clone(), self.clone());
        Surroundings {
            exchange: Arc::new(move |ask| {
                let answer = exchange.take(&ask);
                Box::pin(std::future::ready(answer))
            }),
            variable: Arc::new(move |name| variables.0.lock().unwrap().variables.get(name).cloned()),
            random: Arc::new(|| [0; 32]),
        }
    }

    fn take(&self, ask: &Ask) -> Result<Reply, AskError> {
        let mut inner = self.0.lock().unwrap();
        let mut line = format!("{} {}", ask.method, ask.url);
        for name in SHOWN {
            if let Some(value) = ask.headers.get(name) {
                line.push_str(&format!(" {name}={}", value.to_str().unwrap()));
            }
        }
        if !ask.body.is_empty() {
            line.push_str(&format!(" {}", String::from_utf8_lossy(&ask.body)));
        }
        inner.asked.push(line);
        let asked = inner.asked.clone();
        inner.answers.pop_front().unwrap_or_else(|| panic!("nothing more is answered; asked were {asked:#?}"))
    }
}

/// A moment, in seconds after the beginning of the test.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-11-21T06:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// A file of its own with this content.
pub(crate) fn file(name: &str, content: &str) -> std::path::PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let path = std::env::temp_dir().join(format!("trackside-secrets-{}-{name}", std::process::id()));
    // Replaced as a whole: tests run side by side, and several use a file of the same name and content.
    let fresh = path.with_extension(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
    std::fs::write(&fresh, content).unwrap();
    std::fs::rename(&fresh, &path).unwrap();
    path
}
