//! Reading a stretch of the log for a backtest: the events of some names, in order, a piece at a time.
//!
//! Invariants: a piece is bounded in entries looked at, in events and in bytes, so a long stretch never holds a reader
//! for long and can be given up between two pieces; an event whose name cannot match is never decoded.

use super::{ENTRY, LoggedEvent, READ_BYTES, logged_event};
use crate::Store;
use crate::error::Result;
use crate::page::SCAN_ROWS;
use crate::statement::{Bound, Sql};
use crate::value::{Kind, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use trackside_core::ids::Seq;

/// Most events in one piece. Larger pieces are slower: they leave the processor's caches before they are used.
pub const PIECE_EVENTS: usize = 1_000;
/// Names and prefixes that the database compares; with more it hands out everything and the rest is compared here.
const TERMS: usize = 100;
/// Entries looked at for an estimate.
const SAMPLES: u64 = 1_000;

/// Which events to read, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFilter {
    /// All.
    Any,
    /// Those that have one of these names or begin with one of these prefixes.
    Of {
        /// Whole names.
        names: BTreeSet<String>,
        /// Beginnings of names.
        prefixes: BTreeSet<String>,
    },
}

impl NameFilter {
    /// What nothing passes.
    #[must_use]
    pub fn none() -> Self {
        Self::Of { names: BTreeSet::new(), prefixes: BTreeSet::new() }
    }

    /// Names that can match one of these patterns of event names (`job.*`): a literal is a name, else what stands
    /// before the first wildcard is a prefix. Lets through a little more than the patterns.
    pub fn patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut names, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
        for pattern in patterns {
            match pattern.find(['*', '?', '[']) {
                Some(0) => return Self::Any,
                Some(wildcard) => prefixes.insert(pattern[..wildcard].to_owned()),
                None => names.insert(pattern.to_owned()),
            };
        }
        Self::Of { names, prefixes }
    }

    /// Whether an event of this name is read.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of { names, prefixes } => {
                names.contains(name) || prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
            }
        }
    }
}

/// A piece of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its events, in order.
    pub events: Vec<LoggedEvent>,
    /// The position up to which it reaches; read on after this.
    pub reached: Seq,
}

const HEAD: &str = "SELECT seq, at, source, body FROM log WHERE seq > $1 AND seq <= $2
     AND NOT (source >= 'trackside.' AND source < 'trackside/')";
static NAME_AT: Sql = Sql::read(
    "log.name_at",
    "SELECT name FROM log WHERE seq = $1 AND NOT (source >= 'trackside.' AND source < 'trackside/')",
    &[Kind::Text],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&NAME_AT];

/// Texts as they are put together, for the tests of all statements.
#[cfg(test)]
pub(crate) fn texts() -> Vec<String> {
    [(0, 0), (1, 0), (0, 1), (2, 2)].map(|(names, prefixes)| text(names, prefixes)).into()
}

impl Store {
    /// The next piece of the events after `after` up to and including `until` that pass the filter: at most `limit`
    /// (and [`PIECE_EVENTS`]). Go on after [`Piece::reached`] until it is `until`.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when an event cannot be decoded.
    pub async fn events_between(&self, after: Seq, until: Seq, names: &NameFilter, limit: usize) -> Result<Piece> {
        let end = until.min(after.saturating_add(SCAN_ROWS));
        if end <= after || *names == NameFilter::none() {
            return Ok(Piece { events: Vec::new(), reached: until });
        }
        let limit = limit.clamp(1, PIECE_EVENTS);
        let answer = self.answer(bound(after, end, names, limit).query().max_bytes(READ_BYTES)).await?;
        let full = answer.cut || answer.rows.len() == limit;
        let mut events = answer.rows.into_iter().map(logged_event).collect::<Result<Vec<_>>>()?;
        let reached = events.last().map_or(end, |last| if full { last.seq } else { end });
        events.retain(|event| names.matches(&event.event.event));
        Ok(Piece { events, reached })
    }

    /// About how many events after `after` up to and including `until` pass the filter, from a sample; for progress.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn estimate_events(&self, after: Seq, until: Seq, names: &NameFilter) -> Result<u64> {
        let (first, last) = self.bounds().await?;
        let after = after.max(first.saturating_sub(1));
        let span = until.min(last).saturating_sub(after);
        let samples = span.min(SAMPLES);
        if samples == 0 {
            return Ok(0);
        }
        // Not evenly spaced: what comes in turns must not be met in step.
        let at = |sample: u64| {
            let (begin, end) = (sample * span / samples, (sample + 1) * span / samples);
            after + 1 + begin + sample.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (end - begin)
        };
        let queries = (0..samples).map(|sample| NAME_AT.bind(at(sample)).query()).collect();
        let mut answers = self.snapshot(queries).await?;
        let mut matching = 0;
        for _ in 0..samples {
            let found: Vec<String> = answers.next(|mut row| row.next())?;
            matching += found.iter().filter(|name| names.matches(name)).count() as u64;
        }
        Ok(matching * span / samples)
    }
}

fn bound(after: Seq, until: Seq, names: &NameFilter, limit: usize) -> Bound {
    let mut params: Vec<Value> = vec![after.into(), until.into()];
    let text = match names {
        NameFilter::Of { names, prefixes } if names.len() + prefixes.len() <= TERMS => {
            params.extend(names.iter().chain(prefixes).map(Value::from));
            text(names.len(), prefixes.len())
        }
        NameFilter::Of { .. } | NameFilter::Any => text(0, 0),
    };
    params.push(limit.into());
    Bound { name: "log.events_between", text: Cow::Owned(text), columns: ENTRY, params }
}

/// The text for so many names and prefixes; without any it reads every event.
fn text(names: usize, prefixes: usize) -> String {
    let mut number = 2;
    let mut terms = Vec::new();
    let mut next = || {
        number += 1;
        format!("${number}")
    };
    if names > 0 {
        let list: Vec<String> = (0..names).map(|_| next()).collect();
        terms.push(format!("name IN ({})", list.join(", ")));
    }
    for _ in 0..prefixes {
        let prefix = next();
        terms.push(format!("substr(name, 1, length({prefix})) = {prefix}"));
    }
    let limit = next();
    let terms = if terms.is_empty() { String::new() } else { format!(" AND ({})", terms.join(" OR ")) };
    format!("{HEAD}{terms} ORDER BY seq LIMIT {limit}")
}
