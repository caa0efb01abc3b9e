//! A service that jobs call: synchronous, accepted-and-polled, or calling back; honouring keys or not.
//!
//! `POST /sync` does the work and answers with it; `POST /poll` answers 202 with a `Location` that is done after some
//! questions; `POST /callback` answers 202 and keeps the address to call; `DELETE /work/N` stops. Invariant: where keys
//! are honoured, work of one key is done once, however often it is asked for.

use crate::http::{App, Asked, Reply};
use crate::journal::{Entry, Journal};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Name in the journal.
pub const NAME: &str = "service";
/// Questions that are answered with 202 before the work is done.
const QUESTIONS: u32 = 2;

/// Whether the same key is the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It is.
    Honoured,
    /// Keys are not looked at.
    Ignored,
}

/// The far end's state.
#[derive(Debug)]
pub struct Service {
    journal: Journal,
    keys: Keys,
    work: Mutex<Work>,
}

#[derive(Debug, Default)]
struct Work {
    /// Keys of the work done, in order.
    done: Vec<String>,
    by_key: BTreeMap<String, usize>,
    asked: BTreeMap<usize, u32>,
    callbacks: Vec<String>,
    stopped: Vec<usize>,
}

impl Service {
    pub(crate) fn new(journal: Journal, keys: Keys) -> Self {
        Self { journal, keys, work: Mutex::default() }
    }

    fn work(&self) -> std::sync::MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `Idempotency-Key` of each piece of work that was done, in order.
    #[must_use]
    pub fn executions(&self) -> Vec<String> {
        self.work().done.clone()
    }

    /// Addresses to be called back, in order.
    #[must_use]
    pub fn callbacks(&self) -> Vec<String> {
        self.work().callbacks.clone()
    }

    /// Pieces of work that were stopped, by number.
    #[must_use]
    pub fn stopped(&self) -> Vec<usize> {
        self.work().stopped.clone()
    }

    /// Does the work of a key, unless it was done; gives its number.
    fn execute(&self, asked: &Asked<'_>) -> usize {
        let key = header(asked, "idempotency-key");
        let mut work = self.work();
        if let Some(number) = work.by_key.get(&key).filter(|_| self.keys == Keys::Honoured) {
            return *number;
        }
        work.done.push(key.clone());
        let number = work.done.len();
        work.by_key.insert(key.clone(), number);
        drop(work);
        self.journal.record(
            NAME,
            Entry {
                identity: key.clone(),
                key,
                action: asked.path.to_owned(),
                summary: header(asked, "trackside-caller"),
                body: String::from_utf8_lossy(asked.body).into_owned(),
            },
        );
        number
    }

    fn question(&self, number: usize) -> Reply {
        let mut work = self.work();
        if number > work.done.len() {
            return Reply::text(404, "no such work");
        }
        let asked = work.asked.entry(number).or_default();
        *asked += 1;
        if *asked > QUESTIONS {
            Reply::json(200, &json!({"status": "succeeded", "number": number}))
        } else {
            Reply::json(202, &json!({"status": "running"})).with("retry-after", "0")
        }
    }
}

impl App for Service {
    fn reply(&self, asked: &Asked<'_>) -> Reply {
        let number = asked.path.strip_prefix("/work/").and_then(|number| number.parse::<usize>().ok());
        match (asked.method, asked.path, number) {
            (&Method::POST, "/sync", _) => {
                let number = self.execute(asked);
                let input: Value = serde_json::from_slice(asked.body).unwrap_or_default();
                Reply::json(200, &json!({"number": number, "input": input}))
            }
            (&Method::POST, "/poll", _) => {
                let number = self.execute(asked);
                Reply::json(202, &json!({"status": "accepted"})).with("location", format!("/work/{number}"))
            }
            (&Method::POST, "/callback", _) => {
                let number = self.execute(asked);
                self.work().callbacks.push(header(asked, "trackside-callback"));
                Reply::json(202, &json!({"status": "accepted"})).with("location", format!("/work/{number}"))
            }
            (&Method::POST, "/fail", _) => {
                self.execute(asked);
                Reply::json(422, &json!({"detail": "there is no such customer"}))
            }
            (&Method::GET, _, Some(number)) => self.question(number),
            (&Method::DELETE, _, Some(number)) => {
                self.work().stopped.push(number);
                Reply::text(204, "")
            }
            _ => Reply::text(404, "no such address"),
        }
    }

    fn failure(&self, status: u16, _: Option<u32>) -> Reply {
        Reply::json(status, &json!({"detail": "the far end was told to fail"}))
    }
}

fn header(asked: &Asked<'_>, name: &str) -> String {
    asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
