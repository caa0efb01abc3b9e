//! Runs and pipelines as people look at them: listings, one run with all that belongs to it.
//!
//! Reading only; what a run is comes from decisions ([`crate::state`]).

use crate::Store;
use crate::error::Result;
use crate::log::{LoggedEvent, logged_event};
use crate::page::{Page, SCAN_ROWS, bounded, contains};
use crate::state::{aliases_of, attempts_of};
use crate::statement::{Listing, Sql, given};
use crate::value::{Kind, Row};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use trackside_core::decision::Alias;
use trackside_core::event::Fact;
use trackside_core::ids::Seq;
use trackside_core::pipeline::Pipeline;
use trackside_core::run::{Attempt, Run, RunKey, RunState};

/// Log entries looked at around the begin and around the end of a run to find its events.
pub const EVENT_WINDOW: u64 = 10_000;
/// Most events shown of a run.
pub const RUN_EVENTS: usize = 200;
/// Most names of a run that its events are searched for.
pub const RUN_NAMES: usize = 32;
/// A run's events may be accepted this long before the run was first known (held back by their far end).
const EARLIER: SignedDuration = SignedDuration::from_secs(1);

/// A run in a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// Position in the listing, by when it was first heard of.
    pub position: u64,
    /// The run.
    pub run: Run,
}

/// A run with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDetail {
    /// Position in the listing.
    pub position: u64,
    /// The run.
    pub run: Run,
    /// Its attempts, by task, map index and try.
    pub attempts: Vec<Attempt>,
    /// Its further names.
    pub aliases: Vec<Alias>,
    /// Events that name it, in order; those around its begin and its end, at most [`RUN_EVENTS`].
    pub events: Vec<LoggedEvent>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only this state.
    pub state: Option<RunState>,
    /// Only this source.
    pub source: Option<String>,
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only this owning team.
    pub owner: Option<String>,
    /// Only runs whose pipeline, run name or run id contains this, without regard to case (ASCII). Looks at no more
    /// than [`SCAN_ROWS`] runs per page.
    pub text: Option<String>,
    /// Only positions below this ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

/// Which pipelines to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineFilter {
    /// Only this source.
    pub source: Option<String>,
    /// Only this owning team.
    pub owner: Option<String>,
    /// Only names that contain this, without regard to case (ASCII).
    pub text: Option<String>,
    /// Only those after this (source, name) in order.
    pub after: Option<(String, String)>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

static LIST: Listing = Listing {
    name: "runs.list",
    head: "SELECT position, body FROM runs WHERE 1 = 1",
    clauses: &[
        "state = {0}",
        "source = {0}",
        "pipeline = {0}",
        "owner = {0}",
        "(lower(pipeline) LIKE {0} ESCAPE '\\' OR lower(run) LIKE {0} ESCAPE '\\' OR lower(run_id) LIKE {0} ESCAPE '\\')",
        "position < {0}",
        "position >= {0}",
    ],
    order: "ORDER BY position DESC",
    columns: &[Kind::Int, Kind::Text],
};
static PIPELINES: Listing = Listing {
    name: "pipelines.list",
    head: "SELECT body FROM pipelines WHERE 1 = 1",
    clauses: &["source = {0}", "owner = {0}", "lower(name) LIKE {0} ESCAPE '\\'", "(source, name) > ({0}, {1})"],
    order: "ORDER BY source, name",
    columns: &[Kind::Text],
};
static LAST: Sql = Sql::read("runs.last", "SELECT max(position) FROM runs", &[Kind::Int]);
static GET: Sql = Sql::read(
    "runs.get",
    "SELECT position, body FROM runs WHERE source = $1 AND pipeline = $2 AND run = $3",
    &[Kind::Int, Kind::Text],
);
static AT: Sql = Sql::read("runs.at", "SELECT position, body FROM runs WHERE position = $1", &[Kind::Int, Kind::Text]);
static EVENTS: Sql = Sql::read(
    "runs.events",
    "SELECT seq, at, source, body FROM log
     WHERE seq >= $1 AND seq < $2 AND source = $3 AND body LIKE $4 ESCAPE '\\' ORDER BY seq LIMIT $5",
    &[Kind::Int, Kind::Time, Kind::Text, Kind::Text],
);
static PIPELINE: Sql =
    Sql::read("pipelines.get", "SELECT body FROM pipelines WHERE source = $1 AND name = $2", &[Kind::Text]);
static OWNED: Sql = Sql::read(
    "pipelines.owned",
    "SELECT owner, count(*) FROM pipelines WHERE owner IS NOT NULL GROUP BY owner ORDER BY owner",
    &[Kind::Text, Kind::Int],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&LAST, &GET, &AT, &EVENTS, &PIPELINE, &OWNED];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST, &PIPELINES];

impl Store {
    /// Runs, latest heard of first.
    ///
    /// # Errors
    /// When a run cannot be read back.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Page<RunRow>> {
        let limit = bounded(filter.limit);
        let (before, floor) = match &filter.text {
            Some(_) => {
                let before = match filter.before {
                    Some(before) => before,
                    None => self.last_position().await? + 1,
                };
                (Some(before), Some(before.saturating_sub(SCAN_ROWS)))
            }
            None => (filter.before, None),
        };
        let filters = vec![
            given(filter.state.map(RunState::as_str)),
            given(filter.source.as_ref()),
            given(filter.pipeline.as_ref()),
            given(filter.owner.as_ref()),
            given(filter.text.as_ref().map(|text| contains(&text.to_ascii_lowercase()))),
            given(before),
            given(floor),
        ];
        let rows = self.rows(LIST.query(filters, limit)).await?;
        let items = rows.into_iter().map(run_row).collect::<Result<Vec<_>>>()?;
        let mut page = Page::new(items, limit, |row| row.position);
        page.next = page.next.or(floor.filter(|floor| *floor > 1));
        Ok(page)
    }

    /// A run by its key, with what belongs to it.
    ///
    /// # Errors
    /// When something cannot be read back.
    pub async fn run(&self, key: &RunKey) -> Result<Option<RunDetail>> {
        let query = GET.bind(&key.source).bind(&key.pipeline).bind(&key.run).query();
        match self.row(query).await?.map(run_row).transpose()? {
            Some(row) => Ok(Some(self.run_detail(row).await?)),
            None => Ok(None),
        }
    }

    /// A run by its position in the listing, with what belongs to it.
    ///
    /// # Errors
    /// When something cannot be read back.
    pub async fn run_at(&self, position: u64) -> Result<Option<RunDetail>> {
        match self.row(AT.bind(position).query()).await?.map(run_row).transpose()? {
            Some(row) => Ok(Some(self.run_detail(row).await?)),
            None => Ok(None),
        }
    }

    /// Pipelines with their figures, by source and name.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn pipelines(&self, filter: &PipelineFilter) -> Result<Vec<Pipeline>> {
        let after = filter.after.as_ref();
        let filters = vec![
            given(filter.source.as_ref()),
            given(filter.owner.as_ref()),
            given(filter.text.as_ref().map(|text| contains(&text.to_ascii_lowercase()))),
            after.map(|(source, name)| vec![source.into(), name.into()]).unwrap_or_default(),
        ];
        let rows = self.rows(PIPELINES.query(filters, bounded(filter.limit))).await?;
        rows.into_iter().map(|mut row| row.json()).collect()
    }

    /// One pipeline with its figures.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn pipeline(&self, source: &str, name: &str) -> Result<Option<Pipeline>> {
        self.row(PIPELINE.bind(source).bind(name).query()).await?.map(|mut row| row.json()).transpose()
    }

    /// How many pipelines each team owns.
    ///
    /// # Errors
    /// When a count cannot be read back.
    pub async fn owned_pipelines(&self) -> Result<BTreeMap<String, u64>> {
        let rows = self.rows(OWNED.bound().query()).await?;
        rows.into_iter().map(|mut row| Ok((row.next()?, row.next()?))).collect()
    }

    async fn last_position(&self) -> Result<u64> {
        let row = self.row(LAST.bound().query()).await?;
        Ok(row.map(|mut row| row.next::<Option<u64>>()).transpose()?.flatten().unwrap_or(0))
    }

    async fn run_detail(&self, row: RunRow) -> Result<RunDetail> {
        let RunRow { position, run } = row;
        let mut answers = self.snapshot(vec![attempts_of(&run.key), aliases_of(&run.key)]).await?;
        let attempts = answers.next(|mut row| row.json())?;
        let aliases = answers.next(|mut row| row.json())?;
        let events = self.events_of(&run, &aliases).await?;
        Ok(RunDetail { position, run, attempts, aliases, events })
    }

    /// Events of the run's source that contain one of its names, accepted around its begin or its end.
    async fn events_of(&self, run: &Run, aliases: &[Alias]) -> Result<Vec<LoggedEvent>> {
        let names = names_of(run, aliases);
        let windows = self.event_windows(run).await?;
        let mut queries = Vec::new();
        for (from, to) in &windows {
            for name in &names {
                let query = EVENTS.bind(*from).bind(*to).bind(&run.key.source).bind(in_json(name));
                queries.push(query.bind(RUN_EVENTS).query());
            }
        }
        let count = queries.len();
        let mut answers = self.snapshot(queries).await?;
        let mut events = BTreeMap::new();
        for _ in 0..count {
            for event in answers.next(logged_event)? {
                if is_about(&event, run, &names) {
                    events.insert(event.seq, event);
                }
            }
        }
        Ok(events.into_values().take(RUN_EVENTS).collect())
    }

    async fn event_windows(&self, run: &Run) -> Result<Vec<(Seq, Seq)>> {
        let begin = self.seq_at(run.first_seen.saturating_sub(EARLIER).unwrap_or(run.first_seen)).await?;
        let around_begin = (begin, begin + EVENT_WINDOW);
        let Some(ended) = run.ended else { return Ok(vec![around_begin]) };
        let end = self.seq_at(ended).await?;
        let from = end.saturating_sub(EVENT_WINDOW / 2).max(around_begin.1);
        Ok(vec![around_begin, (from, end.max(from) + EVENT_WINDOW / 2)])
    }
}

/// The names under which events may mention a run: its own, its far-end id, its opaque ids.
fn names_of(run: &Run, aliases: &[Alias]) -> Vec<String> {
    let mut names = vec![run.key.run.to_string()];
    names.extend(run.run_id.as_ref().map(ToString::to_string));
    // An alias that holds a separator is made by the engine and stands in no event.
    let opaque = aliases.iter().filter(|alias| !alias.alias.contains('\u{1f}'));
    names.extend(opaque.map(|alias| alias.alias.to_string()));
    names.sort_unstable();
    names.dedup();
    names.truncate(RUN_NAMES);
    names
}

/// A pattern for a body that holds this name as JSON spells it.
fn in_json(name: &str) -> String {
    contains(serde_json::Value::from(name).to_string().trim_matches('"'))
}

/// Whether an event that mentions one of the names is about this run.
fn is_about(event: &LoggedEvent, run: &Run, names: &[String]) -> bool {
    let Some(Fact::Run(update)) = &event.event.fact else { return false };
    let aliases = update.attempt.iter().flat_map(|attempt| &attempt.aliases);
    let mut mentioned = update.run_id.iter().chain(&update.run_aliases).chain(aliases);
    *update.pipeline == *run.key.pipeline && mentioned.any(|name| names.contains(name))
}

fn run_row(mut row: Row) -> Result<RunRow> {
    Ok(RunRow { position: row.next()?, run: row.json()? })
}
