//! Simulated targets of jobs, and the ways they fail: one honours keys, one does not, one is asked until it is done, one
//! calls back.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trackside_connect::far_end::{Answer, HttpRequest, Request, Wire};
use trackside_connect::sender::Sender;
use uuid::Uuid;

/// How a target treats requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Healthy,
    /// Answers 503 and does nothing.
    Busy,
    /// Nobody listens.
    Gone,
    /// Does it, and the answer is lost.
    LosesAnswers,
    /// Hangs before it does anything.
    Hangs,
    /// Does it, and the gateway before it has no patience: 504.
    Gateway,
    /// Refuses our credential: 403.
    Refuses,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// For which run it was asked first.
    pub(crate) run: Uuid,
    /// Under which key.
    pub(crate) key: String,
}

#[derive(Debug, Default)]
struct Ends {
    moods: BTreeMap<String, Mood>,
    done: Vec<Done>,
    /// Work that is under way at the target that is polled: questions until it is done.
    polled: BTreeMap<String, u8>,
    /// Addresses to call, with what to say.
    callbacks: Vec<(String, Value)>,
    lost: u64,
    repeated: u64,
}

/// All targets; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets(Arc<Mutex<Ends>>);

impl Targets {
    pub(crate) fn set(&self, target: &str, mood: Mood) {
        self.0.lock().unwrap().moods.insert(format!("{target}.test"), mood);
    }

    pub(crate) fn heal(&self) {
        self.0.lock().unwrap().moods.clear();
    }

    /// It is started anew: what was done is done, what it had under way it has forgotten.
    pub(crate) fn kill(&self, target: &str) {
        let mut ends = self.0.lock().unwrap();
        match target {
            "polled" => ends.polled.clear(),
            "back" => ends.callbacks.clear(),
            _ => {}
        }
    }

    /// One that has finished calls back.
    pub(crate) fn calls_back(&self) -> Option<(String, Value)> {
        self.0.lock().unwrap().callbacks.pop()
    }

    pub(crate) fn done(&self) -> Vec<Done> {
        self.0.lock().unwrap().done.clone()
    }

    /// Answers that were lost, and calls that came again under their key.
    pub(crate) fn figures(&self) -> (u64, u64) {
        let ends = self.0.lock().unwrap();
        (ends.lost, ends.repeated)
    }
}

impl Sender for Targets {
    async fn send(&self, request: &Request, _: Duration) -> Answer {
        let Wire::Http(http) = &request.wire else { panic!("jobs speak HTTP") };
        let mut ends = self.0.lock().unwrap();
        let host = http.url.split('/').nth(2).unwrap_or_default().to_owned();
        match ends.moods.get(&host).copied().unwrap_or(Mood::Healthy) {
            Mood::Healthy => ends.take(&host, http),
            Mood::Busy => answer(503, &[("retry-after", "3")], "busy"),
            Mood::Gone => Answer::NotSent { error: "connection refused".into() },
            Mood::LosesAnswers => {
                ends.lost += 1;
                let _ = ends.take(&host, http);
                Answer::Lost { error: "reset after sending".into() }
            }
            Mood::Hangs => {
                ends.lost += 1;
                Answer::Lost { error: "timed out".into() }
            }
            Mood::Gateway => {
                ends.lost += 1;
                let _ = ends.take(&host, http);
                answer(504, &[], "no answer in time")
            }
            Mood::Refuses => answer(403, &[], "not you"),
        }
    }
}

impl Ends {
    fn take(&mut self, host: &str, http: &HttpRequest) -> Answer {
        let header = |name: &str| http.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        match http.method.as_str() {
            "POST" => {
                let (run, key) =
                    (header("trackside-run").unwrap().parse().unwrap(), header("idempotency-key").unwrap());
                if host == "keyed.test" && self.done.iter().any(|done| done.key == key) {
                    self.repeated += 1;
                    return answer(200, &[], r#"{"rows":1}"#);
                }
                self.done.push(Done { run, key });
                self.accept(host, run, header("trackside-callback"))
            }
            "GET" => self.asked(&http.url),
            // Told to stop: it is too late.
            _ => answer(409, &[], "done already"),
        }
    }

    fn accept(&mut self, host: &str, run: Uuid, callback: Option<String>) -> Answer {
        match host {
            "polled.test" => {
                let place = format!("/work/{run}");
                self.polled.insert(format!("https://{host}{place}"), 2);
                answer(202, &[("location", &place), ("retry-after", "2")], "")
            }
            "back.test" => {
                self.callbacks.push((callback.expect("an address to call"), json!({"rows": 1})));
                answer(202, &[], "")
            }
            _ => answer(200, &[], r#"{"rows":1}"#),
        }
    }

    fn asked(&mut self, url: &str) -> Answer {
        match self.polled.get_mut(url) {
            None => answer(404, &[], "no such work"),
            Some(0) => answer(200, &[], r#"{"status":"succeeded"}"#),
            Some(left) => {
                *left -= 1;
                answer(200, &[], r#"{"status":"running"}"#)
            }
        }
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer::Response { status, headers, body: body.to_owned() }
}
