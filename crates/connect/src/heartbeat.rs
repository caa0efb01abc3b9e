//! Dead man's switches: `GET|POST /ping/{slug}[/start|/fail|/log|/{exit-code}]`, as users of healthchecks.io know them
//! (<https://healthchecks.io/docs/http_api/>).
//!
//! A ping reports a run of pipeline `slug` in the source [`HEARTBEAT_SOURCE`]. With `?rid=` the run has that id, so that
//! runs may overlap. Without it the run has no name, and the engine pairs: a start opens the pipeline's unnamed run, the
//! next ping ends it, and a ping without a start is a run of its own. Every ping is a new event: nothing in it says
//! whether it is a repetition, and a repetition does no harm.

use crate::door::{Delivered, Reject, cut_front, labels, related, seal};
use crate::redact;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trackside_core::event::{Event, Fact};
use trackside_core::ids::EventId;
use trackside_core::limits;
use trackside_core::run::{HEARTBEAT_SOURCE, RunReport, RunUpdate, System};
use uuid::Uuid;

/// Longest slug, in bytes.
pub const SLUG_BYTES: usize = 100;
/// Longest run id (`rid`), in bytes.
pub const RID_BYTES: usize = 100;
/// Bytes of a body that are kept, from its end: what a job printed last says why it failed.
pub const BODY_BYTES: usize = 10_000;

/// Which ping it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping<'a> {
    slug: &'a str,
    signal: Signal,
    rid: Option<&'a str>,
}

/// What a ping says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Done (no suffix, or exit code 0).
    Success,
    /// Begun.
    Start,
    /// Failed.
    Fail,
    /// Failed with this exit code, 1 to 255.
    Exit(u8),
    /// Still at it.
    Log,
}

impl<'a> Ping<'a> {
    /// A ping from the parts of its address: the slug, what follows it, and the query parameter `rid`.
    ///
    /// # Errors
    /// 400 with what is allowed.
    pub fn new(slug: &'a str, suffix: Option<&str>, rid: Option<&'a str>) -> Result<Self, Reject> {
        let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if slug.is_empty() || slug.len() > SLUG_BYTES || !word(slug) {
            let problem = format!("a slug has 1 to {SLUG_BYTES} letters, digits, `-`, `_` or `.`");
            return Err(Reject::new(400, "slug", &problem));
        }
        if rid.is_some_and(|rid| rid.is_empty() || rid.len() > RID_BYTES || !word(rid)) {
            let problem = format!("`rid` has 1 to {RID_BYTES} letters, digits, `-`, `_` or `.`; a UUID is best");
            return Err(Reject::new(400, "rid", &problem));
        }
        let signal = match suffix {
            None | Some("") => Signal::Success,
            Some("start") => Signal::Start,
            Some("fail") => Signal::Fail,
            Some("log") => Signal::Log,
            Some(code) => match code.parse() {
                Ok(0) => Signal::Success,
                Ok(code) => Signal::Exit(code),
                Err(_) => {
                    let problem = "after the slug comes nothing, `start`, `fail`, `log` or an exit code from 0 to 255";
                    return Err(Reject::new(400, "signal", problem));
                }
            },
        };
        Ok(Self { slug, signal, rid })
    }
}

impl Signal {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "succeeded",
            Self::Start => "started",
            Self::Fail | Self::Exit(_) => "failed",
            Self::Log => "alive",
        }
    }

    fn report(self) -> RunReport {
        match self {
            Self::Success => RunReport::Succeeded,
            Self::Start => RunReport::Started,
            Self::Fail | Self::Exit(_) => RunReport::Failed,
            Self::Log => RunReport::Alive,
        }
    }
}

/// Reads a ping. Its body, if any, is text; `fresh` becomes the event's id.
///
/// # Errors
/// None of its own; the signature is that of every door.
pub fn parse(delivered: &Delivered<'_>, ping: &Ping<'_>, fresh: Uuid) -> Result<Vec<Event>, Reject> {
    let slug = ping.slug;
    let report = ping.signal.report();
    let failed = report == RunReport::Failed;
    // Redacted before it is cut: half a secret would no longer be seen as one.
    let body = String::from_utf8_lossy(delivered.body);
    let body = cut_front(redact::text(body.trim()).as_ref(), BODY_BYTES).to_owned();
    let code = match ping.signal {
        Signal::Exit(code) => Some(code),
        _ => None,
    };
    let said = cut_front(&body, limits::ERROR_BYTES - "exit code 255: ".len());
    let error = match code {
        _ if !failed => None,
        Some(code) if body.is_empty() => Some(format!("exit code {code}")),
        Some(code) => Some(format!("exit code {code}: {said}")),
        None if body.is_empty() => None,
        None => Some(said.to_owned()),
    };
    let update = RunUpdate {
        system: System::Heartbeat,
        pipeline: slug.to_owned(),
        run_id: ping.rid.map(str::to_owned),
        run_aliases: Vec::new(),
        attempt: None,
        report,
        started: (report == RunReport::Started).then_some(delivered.received),
        ended: matches!(report, RunReport::Succeeded | RunReport::Failed).then_some(delivered.received),
        nominal: None,
        error,
        owners: delivered.team.map(str::to_owned).into_iter().collect(),
        tags: Vec::new(),
        url: None,
        log_url: None,
        doc: None,
        clear_number: 0,
        rows: None,
        task_states: BTreeMap::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        deadlines: Vec::new(),
    };
    let run = ping.rid.map_or_else(|| fresh.to_string(), str::to_owned);
    let mut payload =
        json!({"signal": ping.signal.word(), "exit_code": code, "body": Some(body).filter(|b| !b.is_empty())});
    if let Value::Object(members) = &mut payload {
        members.retain(|_, value| !value.is_null());
    }
    let event = Event {
        id: EventId(fresh),
        source: HEARTBEAT_SOURCE.to_owned(),
        occurred: delivered.received,
        received: delivered.received,
        event: format!("heartbeat.{}", ping.signal.word()),
        resource: labels(format!("heartbeat.ping.{slug}.{run}"), slug),
        related: vec![related("pipeline", format!("heartbeat.{slug}"), slug)],
        payload,
        follows: None,
        fact: Some(Fact::Run(Box::new(update))),
    };
    Ok(vec![seal(event, "")?])
}
