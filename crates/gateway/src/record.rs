//! Records of calls, for the audit trail.
//!
//! A call never waits for its record: records gather in memory, bounded, and whoever keeps the trail takes them in
//! batches. When there is no room the call goes on and its record is counted as lost; the next batch says how many are
//! missing, so that a gap in the trail is seen.

use crate::guard::{Did, Hit, Why};
use jiff::Timestamp;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use trackside_core::approval::request::Grant;
use trackside_core::caller::Caller;
use trackside_identity::directory::Identity;

/// Most records that wait to be taken.
pub const WAITING: usize = 16_384;

/// What is known of one call.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// When it began.
    pub at: Timestamp,
    /// Id of the request, as the caller and the upstream saw it.
    pub request_id: String,
    /// Who; `None` when nobody was known.
    pub who: Option<Arc<Identity>>,
    /// The route; `None` when none took it.
    pub route: Option<Arc<str>>,
    /// Method.
    pub method: String,
    /// Canonical path, without the query.
    pub path: String,
    /// Address of the client.
    pub client: Option<IpAddr>,
    /// Status of the answer.
    pub status: u16,
    /// What decided, for people.
    pub because: String,
    /// Policies that decided.
    pub policies: Vec<String>,
    /// The grant it was let in under, when an approval was needed.
    pub grant: Option<Grant>,
    /// How it ended.
    pub ended: Ended,
    /// Time to the end of the answer.
    pub took: Duration,
    /// Bytes of the request's body that went to the upstream.
    pub sent: u64,
    /// Bytes of the answer's body that went to the client.
    pub received: u64,
    /// What rules about bodies did.
    pub hits: Vec<Hit>,
    /// Fields and bodies, as far as the route records them.
    pub recorded: Option<Box<Recorded>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The gateway refused it.
    Refused,
    /// The answer went to its end.
    Answered,
    /// The client or the upstream left before the end.
    Cut,
}

/// Fields and bodies.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Fields of the request, credentials left out.
    pub request_headers: Vec<(String, String)>,
    /// Fields of the answer, credentials left out.
    pub response_headers: Vec<(String, String)>,
    /// Body of the request, masked.
    pub request_body: Option<String>,
    /// Body of the answer, masked.
    pub response_body: Option<String>,
}

impl CallRecord {
    /// Who, for the trail.
    #[must_use]
    pub fn caller(&self) -> Caller {
        self.who.as_ref().map_or_else(|| Caller::new("anonymous", "gateway"), |who| who.caller.clone())
    }

    /// One line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = format!("{} {} -> {}", self.method, self.path, self.status);
        if self.ended == Ended::Cut {
            line.push_str(" (cut off)");
        }
        if !self.because.is_empty() {
            line.push_str(&format!(": {}", self.because));
        }
        for hit in &self.hits {
            line.push_str(&match hit.did {
                Did::Masked(count) => format!("; rule `{}` masked {count}", hit.rule),
                Did::Passed => format!("; rule `{}` could not look at the body", hit.rule),
                Did::Refused(Why::Pattern) => format!("; rule `{}` found what must not pass", hit.rule),
                Did::Refused(Why::Size) => format!("; rule `{}`: the body is too large", hit.rule),
                Did::Refused(Why::Unreadable) => format!("; rule `{}`: the body cannot be looked at", hit.rule),
            });
        }
        line
    }
}

/// Records that wait to be taken.
#[derive(Debug, Default)]
pub struct Records(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<CallRecord>,
    lost: u64,
}

/// What was taken.
#[derive(Debug, Default)]
pub struct Batch {
    /// Records, oldest first.
    pub records: Vec<CallRecord>,
    /// How many are missing since the last batch.
    pub lost: u64,
}

/// There was no room for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl Records {
    /// Adds a record.
    ///
    /// # Errors
    /// When there is no room; the record is counted as lost.
    pub fn add(&self, record: CallRecord) -> Result<(), Lost> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.records.len() >= WAITING {
            waiting.lost += 1;
            return Err(Lost);
        }
        waiting.records.push(record);
        Ok(())
    }

    /// Takes what waits.
    #[must_use]
    pub fn take(&self) -> Batch {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Batch { records: mem::take(&mut waiting.records), lost: mem::take(&mut waiting.lost) }
    }

    /// Puts back what could not be stored, as far as there is room.
    pub fn put_back(&self, batch: Batch) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.lost += batch.lost;
        let mut records = batch.records;
        records.append(&mut waiting.records);
        let over = records.len().saturating_sub(WAITING);
        records.truncate(WAITING);
        waiting.lost += over as u64;
        waiting.records = records;
    }
}
