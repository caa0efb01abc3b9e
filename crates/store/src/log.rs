//! The log: every input in the order it was accepted.
//!
//! Invariants: positions ascend without gaps; an entry is stored once per (source, id) however often it is sent;
//! an entry never changes. Inputs that Trackside makes itself use the reserved sources `trackside.*`, which no
//! event may have, so reading back never confuses the two.

pub mod scan;

use crate::Store;
use crate::error::{Error, Result};
use crate::page::{PAGE_ITEMS, Page, SCAN_ROWS, bounded};
use crate::statement::{Batch, Listing, Sql, given};
use crate::value::{Kind, Row, json, stored_time};
use jiff::Timestamp;
use std::collections::BTreeSet;
use trackside_core::approval::request::ApprovalAsk;
use trackside_core::event::Event;
use trackside_core::ids::{EventId, Seq};
use trackside_core::input::{Command, DeliveryResult, Entry, Input, JobAsk};
use uuid::Uuid;

/// Most entries in one append.
pub const APPEND_ENTRIES: usize = 1_000;
/// Most bytes of bodies read in one go.
pub const READ_BYTES: usize = 8 * 1024 * 1024;

const RESERVED: &str = "trackside.";
const TICK: &str = "trackside.tick";
const OUTCOME: &str = "trackside.outcome";
const COMMAND: &str = "trackside.command";
const RULESET: &str = "trackside.ruleset";
const LAG: &str = "trackside.lag";
const DUTY: &str = "trackside.duty";
const PEOPLE: &str = "trackside.people";
const AUTOMATIONS: &str = "trackside.automations";
const JOB: &str = "trackside.job";
const APPROVAL: &str = "trackside.approval";
const OWN_EVENT: &str = "trackside.event";

/// An entry to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// When it was accepted, to the microsecond.
    pub(crate) at: Timestamp,
    pub(crate) source: String,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) body: String,
}

impl NewEntry {
    /// An event from outside.
    ///
    /// # Errors
    /// [`Error::Invalid`] when its source is one of the reserved `trackside.*`.
    pub fn event(event: &Event) -> Result<Self> {
        if event.source.starts_with(RESERVED) {
            let problem = format!("`{}` is reserved; use a source that does not begin with `{RESERVED}`", event.source);
            return Err(Error::Invalid { what: "an event's source".to_owned(), problem });
        }
        Ok(Self {
            at: stored_time(event.received),
            source: event.source.clone(),
            id: event.id.0,
            name: event.event.clone(),
            body: json("an event", event)?,
        })
    }

    /// An event that a decision is. A run of a job is one of Trackside's own: it is stored as an input of Trackside's,
    /// because the source of an entry tells events from inputs.
    ///
    /// # Errors
    /// As [`NewEntry::event`].
    pub fn emitted(event: &Event) -> Result<Self> {
        if event.source != trackside_core::job::SOURCE {
            return Self::event(event);
        }
        let body = json("an event", &Input::Event(Box::new(event.clone())))?;
        let (at, source) = (stored_time(event.received), OWN_EVENT.to_owned());
        Ok(Self { at, source, id: event.id.0, name: event.event.clone(), body })
    }

    /// Any input. `id` is derived from its cause by the caller, so that the same input is stored once; an event
    /// keeps its own id and time.
    ///
    /// # Errors
    /// As [`NewEntry::event`].
    pub fn input(at: Timestamp, input: &Input, id: Uuid) -> Result<Self> {
        let (source, name) = match input {
            Input::Event(event) => return Self::event(event),
            Input::Tick { .. } => (TICK, TICK),
            Input::Outcome(outcome) => (OUTCOME, outcome_name(&outcome.result)),
            Input::Command { command, .. } => (COMMAND, command_name(command)),
            Input::Ruleset { .. } => (RULESET, RULESET),
            Input::Lag { .. } => (LAG, LAG),
            Input::Duty { .. } => (DUTY, DUTY),
            Input::People { .. } => (PEOPLE, PEOPLE),
            Input::Automations { .. } => (AUTOMATIONS, AUTOMATIONS),
            Input::Job { ask, .. } => (JOB, job_name(ask)),
            Input::Approval { ask, .. } => (APPROVAL, approval_name(ask)),
        };
        let body = json("an input", input)?;
        Ok(Self { at: stored_time(at), source: source.to_owned(), id, name: name.to_owned(), body })
    }
}

fn outcome_name(result: &DeliveryResult) -> &'static str {
    match result {
        DeliveryResult::Delivered => "trackside.outcome.delivered",
        DeliveryResult::Dead { .. } => "trackside.outcome.dead",
        DeliveryResult::Superseded { .. } => "trackside.outcome.superseded",
    }
}

fn job_name(ask: &JobAsk) -> &'static str {
    match ask {
        JobAsk::Start(_) => "trackside.job.start",
        JobAsk::Cancel { .. } => "trackside.job.cancel",
        JobAsk::Called { .. } => "trackside.job.called",
        JobAsk::Settle { .. } => "trackside.job.settle",
    }
}

fn approval_name(ask: &ApprovalAsk) -> &'static str {
    match ask {
        ApprovalAsk::Request { .. } => "trackside.approval.request",
        ApprovalAsk::Say { .. } => "trackside.approval.say",
        ApprovalAsk::Withdraw { .. } => "trackside.approval.withdraw",
        ApprovalAsk::Revoke { .. } => "trackside.approval.revoke",
    }
}

fn command_name(command: &Command) -> &'static str {
    match command {
        Command::Acknowledge { .. } => "trackside.command.acknowledge",
        Command::Resolve { .. } => "trackside.command.resolve",
        Command::Unacknowledge { .. } => "trackside.command.unacknowledge",
        Command::Snooze { .. } => "trackside.command.snooze",
        Command::Escalate { .. } => "trackside.command.escalate",
        Command::Reassign { .. } => "trackside.command.reassign",
        Command::Merge { .. } => "trackside.command.merge",
        Command::Note { .. } => "trackside.command.note",
        Command::SendTest { .. } => "trackside.command.send_test",
    }
}

/// Where an appended entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its position.
    pub seq: Seq,
    /// Whether it was new.
    pub arrival: Arrival,
}

/// Whether an entry was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Stored now.
    New,
    /// Stored before under the same (source, id); `seq` is the position it has had since.
    Duplicate,
}

/// An event as it stands in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// Position.
    pub seq: Seq,
    /// When it was accepted.
    pub at: Timestamp,
    /// The event.
    pub event: Event,
}

/// Which events to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only names that begin with this.
    pub name_prefix: Option<String>,
    /// Only this source.
    pub source: Option<String>,
    /// Only positions below this ([`Page::next`]).
    pub before: Option<Seq>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

const ENTRY: &[Kind] = &[Kind::Int, Kind::Time, Kind::Text, Kind::Text];

static AFTER: Sql =
    Sql::read("log.entries_after", "SELECT seq, at, source, body FROM log WHERE seq > $1 ORDER BY seq LIMIT $2", ENTRY);
static BY_SEQ: Sql = Sql::read("log.entry", "SELECT seq, at, source, body FROM log WHERE seq = $1", ENTRY);
static COMMAND_BY_ID: Sql = Sql::read(
    "log.command",
    "SELECT seq, at, source, body FROM log WHERE source = 'trackside.command' AND id = $1",
    ENTRY,
);
static BY_ID: Sql = Sql::read(
    "log.event",
    "SELECT seq, at, source, body FROM log WHERE id = $1
     AND NOT (source >= 'trackside.' AND source < 'trackside/') ORDER BY seq LIMIT 1",
    ENTRY,
);
static TAIL: Sql = Sql::read(
    "log.tail",
    "SELECT seq, at, source, body FROM log WHERE seq > $1
     AND NOT (source >= 'trackside.' AND source < 'trackside/') ORDER BY seq LIMIT $2",
    ENTRY,
);
static LIST: Listing = Listing {
    name: "log.events",
    head: "SELECT seq, at, source, body FROM log WHERE NOT (source >= 'trackside.' AND source < 'trackside/')",
    clauses: &["seq < {0}", "seq >= {0}", "substr(name, 1, length({0})) = {0}", "source = {0}"],
    order: "ORDER BY seq DESC",
    columns: ENTRY,
};
static AT_POSITIONS: Listing = Listing {
    name: "log.events_at",
    head: "SELECT seq, at, source, body FROM log WHERE NOT (source >= 'trackside.' AND source < 'trackside/')",
    clauses: &["seq IN ({*})"],
    order: "ORDER BY seq",
    columns: ENTRY,
};
static AT_SEQ: Sql = Sql::read("log.time", "SELECT at FROM log WHERE seq = $1", &[Kind::Time]);
static BOUNDS: Sql =
    Sql::read("log.bounds", "SELECT (SELECT min(seq) FROM log), (SELECT max(seq) FROM log)", &[Kind::Int, Kind::Int]);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&AFTER, &BY_SEQ, &COMMAND_BY_ID, &BY_ID, &TAIL, &AT_SEQ, &BOUNDS];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST, &AT_POSITIONS];

impl Store {
    /// Appends entries: all of them or none. Returns when they are durable, with the position of each, in order.
    /// The same entry twice in one call is one entry.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`APPEND_ENTRIES`]; [`Error::Full`], [`Error::Database`], [`Error::Closed`]
    /// when nothing was stored.
    pub async fn append(&self, entries: Vec<NewEntry>) -> Result<Vec<Appended>> {
        if entries.len() > APPEND_ENTRIES {
            let problem = format!("{} entries in one append, at most {APPEND_ENTRIES} are allowed", entries.len());
            return Err(Error::Invalid { what: "the batch".to_owned(), problem });
        }
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.write(Batch { entries, statements: Vec::new() }).await?.appended)
    }

    /// Entries after `cursor` in order, at most `limit` and about [`READ_BYTES`]; at least one if there is one.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when an entry cannot be decoded.
    pub async fn entries_after(&self, cursor: Seq, limit: usize) -> Result<Vec<Entry>> {
        let query = AFTER.bind(cursor).bind(limit).query().max_bytes(READ_BYTES);
        self.rows(query).await?.into_iter().map(entry).collect()
    }

    /// The entry at a position.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it cannot be decoded.
    pub async fn entry(&self, seq: Seq) -> Result<Option<Entry>> {
        self.row(BY_SEQ.bind(seq).query()).await?.map(entry).transpose()
    }

    /// The command that was entered under this id, when it still stands in the log.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it cannot be decoded.
    pub async fn command(&self, id: Uuid) -> Result<Option<Entry>> {
        self.row(COMMAND_BY_ID.bind(id).query()).await?.map(entry).transpose()
    }

    /// The event with this id; the first one when several sources used the same id.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it cannot be decoded.
    pub async fn event(&self, id: EventId) -> Result<Option<LoggedEvent>> {
        self.row(BY_ID.bind(id).query()).await?.map(logged_event).transpose()
    }

    /// The events at these positions, in their order in the log. What is not there any more, or is no event, is left
    /// out.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when one cannot be decoded.
    pub async fn events_at(&self, positions: &[Seq]) -> Result<Vec<LoggedEvent>> {
        let positions: Vec<Seq> = BTreeSet::from_iter(positions).into_iter().copied().collect();
        let mut events = Vec::with_capacity(positions.len());
        for some in positions.chunks(PAGE_ITEMS) {
            let values = some.iter().map(|seq| (*seq).into()).collect();
            let rows = self.rows(AT_POSITIONS.query(vec![values], some.len())).await?;
            for row in rows {
                events.push(logged_event(row)?);
            }
        }
        Ok(events)
    }

    /// Events, newest first. Looks at no more than [`SCAN_ROWS`] entries per page.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when an entry cannot be decoded.
    pub async fn events(&self, filter: &EventFilter) -> Result<Page<LoggedEvent>> {
        let limit = bounded(filter.limit);
        let (first, last) = self.bounds().await?;
        let before = filter.before.unwrap_or(last + 1);
        let floor = before.saturating_sub(SCAN_ROWS).max(first);
        let filters = vec![
            given(Some(before)),
            given(Some(floor)),
            given(filter.name_prefix.as_ref()),
            given(filter.source.as_ref()),
        ];
        let answer = self.answer(LIST.query(filters, limit).max_bytes(READ_BYTES)).await?;
        let full = answer.cut || answer.rows.len() == limit;
        let items = answer.rows.into_iter().map(logged_event).collect::<Result<Vec<_>>>()?;
        let next = match items.last() {
            Some(event) if full => Some(event.seq),
            _ => (floor > first).then_some(floor),
        };
        Ok(Page { items, next })
    }

    /// Events after a position, in order, for following the log.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when an entry cannot be decoded.
    pub async fn tail(&self, after: Seq, limit: usize) -> Result<Vec<LoggedEvent>> {
        let query = TAIL.bind(after).bind(bounded(limit)).query().max_bytes(READ_BYTES);
        self.rows(query).await?.into_iter().map(logged_event).collect()
    }

    /// First and last position kept, (0, 0) when the log is empty.
    pub(crate) async fn bounds(&self) -> Result<(Seq, Seq)> {
        match self.row(BOUNDS.bound().query()).await? {
            Some(mut row) => Ok((row.next::<Option<Seq>>()?.unwrap_or(0), row.next::<Option<Seq>>()?.unwrap_or(0))),
            None => Ok((0, 0)),
        }
    }

    /// The first position accepted at or after `at`, one after the last when there is none. By bisection: acceptance
    /// times ascend with positions, apart from clock corrections and ticks, which carry their due time.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn seq_at(&self, at: Timestamp) -> Result<Seq> {
        let (first, last) = self.bounds().await?;
        let (mut low, mut high) = (first.max(1), last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let time: Timestamp = match self.row(AT_SEQ.bind(middle).query()).await? {
                Some(mut row) => row.next()?,
                None => return Ok(low),
            };
            if time < at { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

fn entry(mut row: Row) -> Result<Entry> {
    let (seq, at): (Seq, Timestamp) = (row.next()?, row.next()?);
    let source: String = row.next()?;
    let input = if source.starts_with(RESERVED) { row.json()? } else { Input::Event(Box::new(row.json()?)) };
    // The column has microseconds, the timer may have more: a tick happens exactly when it was due.
    let at = if let Input::Tick { due, .. } = input { due } else { at };
    Ok(Entry { seq, at, input })
}

pub(crate) fn logged_event(mut row: Row) -> Result<LoggedEvent> {
    let (seq, at) = (row.next()?, row.next()?);
    let _source: String = row.next()?;
    Ok(LoggedEvent { seq, at, event: row.json()? })
}
