//! A small application that `trackside demo` puts behind the gateway and calls with jobs: a store of features.
//!
//! It gives tokens (OAuth 2.0 client credentials, RFC 6749 §4.4), and takes no call without one that it gave. `POST
//! /features/CUSTOMER/refresh` answers 202 with a `Location` that is done when it is asked the second time; `POST
//! /prices/publish` works at once; `GET /features/CUSTOMER` reads. Invariant: work of one `Idempotency-Key` is done once.

use crate::http::{App, Asked, Reply};
use crate::journal::{Entry, Journal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Name in the journal.
pub const NAME: &str = "application";
/// The client id that gets tokens.
pub const CLIENT: &str = "trackside";
/// The secret of that client.
pub const CLIENT_SECRET: &str = "sim-application-secret";

/// Customers it has, with the rows that a refresh of their features gives.
const CUSTOMERS: [(&str, u32); 3] = [("acme", 18_425), ("globex", 7_310), ("initech", 942)];
/// Prices that are published.
const PRICES: u32 = 412;
/// Life of a token, in seconds.
const TOKEN_SECONDS: u32 = 3_600;

/// The far end's state.
#[derive(Debug)]
pub struct Application {
    journal: Journal,
    work: Mutex<Work>,
}

#[derive(Debug, Default)]
struct Work {
    /// Tokens given; the last one's number.
    tokens: u32,
    /// Rows of each piece of work, in order.
    refreshes: Vec<u32>,
    by_key: BTreeMap<String, usize>,
    /// Pieces of work that somebody has asked after.
    asked: Vec<usize>,
}

impl Application {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal, work: Mutex::default() }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token for the client that knows its secret.
    fn token(&self, asked: &Asked<'_>) -> Reply {
        let proof = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{CLIENT_SECRET}")));
        if header(asked, "authorization") != proof {
            return Reply::json(401, &json!({"error": "invalid_client"}));
        }
        let mut work = self.work();
        work.tokens += 1;
        let token = format!("sim-application-{}", work.tokens);
        Reply::json(200, &json!({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}))
    }

    /// Whether a call brings a token that was given.
    fn is_known(&self, asked: &Asked<'_>) -> bool {
        let given = self.work().tokens;
        let number = header(asked, "authorization").strip_prefix("Bearer sim-application-");
        number.and_then(|number| number.parse().ok()).is_some_and(|number: u32| (1..=given).contains(&number))
    }

    /// Begins to compute the features of a customer, unless that was done under this key.
    fn refresh(&self, asked: &Asked<'_>, customer: &str) -> Reply {
        let Some((_, rows)) = CUSTOMERS.iter().find(|(name, _)| *name == customer) else {
            return Reply::json(422, &json!({"detail": format!("there is no customer {customer}")}));
        };
        let key = header(asked, "idempotency-key").to_owned();
        let number = {
            let mut work = self.work();
            let next = work.refreshes.len() + 1;
            let number = *work.by_key.entry(key).or_insert(next);
            if number == next {
                work.refreshes.push(*rows);
            }
            number
        };
        self.note(asked, "refresh", &format!("features of {customer}"));
        let accepted = Reply::json(202, &json!({"status": "accepted"})).with("retry-after", "0");
        accepted.with("location", format!("/work/{number}"))
    }

    /// The state of a piece of work: done when it is asked after the second time.
    fn progress(&self, number: usize) -> Reply {
        let mut work = self.work();
        let Some(rows) = number.checked_sub(1).and_then(|index| work.refreshes.get(index).copied()) else {
            return Reply::json(404, &json!({"detail": "there is no such work"}));
        };
        if work.asked.contains(&number) {
            return Reply::json(200, &json!({"status": "succeeded", "output": {"rows": rows}}));
        }
        work.asked.push(number);
        Reply::json(202, &json!({"status": "running"})).with("retry-after", "0")
    }

    fn note(&self, asked: &Asked<'_>, action: &str, what: &str) {
        let key = header(asked, "idempotency-key").to_owned();
        self.journal.record(
            NAME,
            Entry {
                identity: key.clone(),
                key,
                action: action.to_owned(),
                summary: format!("{what}, for {}", header(asked, "trackside-caller")),
                body: String::from_utf8_lossy(asked.body).into_owned(),
            },
        );
    }
}

impl App for Application {
    fn reply(&self, asked: &Asked<'_>) -> Reply {
        if (asked.method, asked.path) == (&Method::POST, "/oauth/token") {
            return self.token(asked);
        }
        if !self.is_known(asked) {
            return Reply::json(401, &json!({"detail": "a token of /oauth/token is needed"}));
        }
        let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
        match (asked.method, parts.as_slice()) {
            (&Method::POST, ["features", customer, "refresh"]) => self.refresh(asked, customer),
            (&Method::POST, ["prices", "publish"]) => {
                let input: Value = serde_json::from_slice(asked.body).unwrap_or_default();
                self.note(asked, "publish", &format!("prices of {}", input["day"].as_str().unwrap_or("today")));
                Reply::json(200, &json!({"published": PRICES}))
            }
            (&Method::GET, ["features", customer]) => match CUSTOMERS.iter().find(|(name, _)| name == customer) {
                Some((name, rows)) => Reply::json(200, &json!({"customer": name, "rows": rows})),
                None => Reply::json(404, &json!({"detail": format!("there is no customer {customer}")})),
            },
            (&Method::GET, ["work", number]) => self.progress(number.parse().unwrap_or_default()),
            _ => Reply::json(404, &json!({"detail": "there is no such address"})),
        }
    }

    fn failure(&self, status: u16, _: Option<u32>) -> Reply {
        Reply::json(status, &json!({"detail": "the far end was told to fail"}))
    }
}

fn header<'a>(asked: &'a Asked<'_>, name: &str) -> &'a str {
    asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
