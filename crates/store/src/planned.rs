//! What is planned: overrides of schedules, silences, maintenance windows made at run time.
//!
//! Invariants: rows change by decisions only ([`crate::state`]) and stay when what they say is over; what is loaded at
//! start is what was not over at the last decided input. Windows of the configuration are not here.

pub(crate) mod write;

use crate::error::Result;
use crate::page::{PAGE_ITEMS, Page, bounded};
use crate::statement::{Listing, Query, Sql, given};
use crate::value::{Kind, Row, stored_time};
use crate::{Answers, Store};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use trackside_core::duty::absence::Absence;
use trackside_core::duty::schedule::Override;
use trackside_core::ruleset::noise::{PlannedWork, Silence};
use trackside_core::state::{CanaryTest, Loaded};
use uuid::Uuid;

/// Most overrides read at once: as many as may be in force or to come, so that who is on call is never told wrongly.
pub const OVERRIDES_READ: usize = trackside_core::limits::PLANNED;

/// Whether to list what may still matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In force or to come.
    Live,
    /// Over, or ended by somebody.
    Over,
}

/// Which silences or maintenance windows to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFilter {
    /// Only those that stand like this at `now`.
    pub standing: Option<Standing>,
    /// The present time.
    pub now: Timestamp,
    /// Only those made by this person or token.
    pub author: Option<String>,
    /// Only positions below this ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`PAGE_ITEMS`].
    pub limit: usize,
}

impl PlannedFilter {
    /// All of them, as seen at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { standing: None, now, author: None, before: None, limit: PAGE_ITEMS }
    }
}

/// Something planned, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned<T> {
    /// Position, by when it was first made.
    pub position: u64,
    /// What it says.
    #[serde(flatten)]
    pub item: T,
    /// When somebody ended it, with all that was to come. A silence has this time as its end instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

const BODY: &[Kind] = &[Kind::Text];
const PLANNED: &[Kind] = &[Kind::Int, Kind::Time, Kind::Text];

static LIVE_OVERRIDES: Sql =
    Sql::read("overrides.load", "SELECT body FROM overrides WHERE ended IS NULL AND ends > $1 ORDER BY ends", BODY);
static LIVE_SILENCES: Sql = Sql::read("silences.load", "SELECT body FROM silences WHERE ends > $1 ORDER BY ends", BODY);
static LIVE_MAINTENANCE: Sql = Sql::read(
    "maintenance.load",
    "SELECT body FROM maintenance WHERE ended IS NULL AND (ends > $1 OR ends IS NULL)",
    BODY,
);
static ABSENCES: Sql = Sql::read("absences.load", "SELECT body FROM absences ORDER BY person", BODY);
static CANARIES: Sql = Sql::read("canaries.load", "SELECT body FROM canaries ORDER BY connection", BODY);
static SILENCES: Listing = Listing {
    name: "silences.list",
    head: "SELECT position, NULL, body FROM silences WHERE 1 = 1",
    clauses: &["ends > {0}", "ends <= {0}", "author = {0}", "position < {0}"],
    order: "ORDER BY position DESC",
    columns: PLANNED,
};
static SILENCE: Sql = Sql::read("silences.get", "SELECT position, NULL, body FROM silences WHERE id = $1", PLANNED);
static MAINTENANCE: Listing = Listing {
    name: "maintenance.list",
    head: "SELECT position, ended, body FROM maintenance WHERE 1 = 1",
    clauses: &[
        "ended IS NULL AND (ends > {0} OR ends IS NULL)",
        "(ended IS NOT NULL OR ends <= {0})",
        "author = {0}",
        "position < {0}",
    ],
    order: "ORDER BY position DESC",
    columns: PLANNED,
};
static WINDOW: Sql =
    Sql::read("maintenance.get", "SELECT position, ended, body FROM maintenance WHERE id = $1", PLANNED);
// One that was taken back before it began never was.
static OVERRIDES: Listing = Listing {
    name: "overrides.list",
    head: "SELECT position, ended, body FROM overrides WHERE (ended IS NULL OR ended > starts)",
    clauses: &["schedule = {0}", "ends > {0}", "starts < {0}"],
    order: "ORDER BY ends, position",
    columns: PLANNED,
};
static OVERRIDE: Sql = Sql::read("overrides.get", "SELECT position, ended, body FROM overrides WHERE id = $1", PLANNED);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] =
    &[&LIVE_OVERRIDES, &LIVE_SILENCES, &LIVE_MAINTENANCE, &CANARIES, &ABSENCES, &SILENCE, &WINDOW, &OVERRIDE];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&SILENCES, &MAINTENANCE, &OVERRIDES];

impl Store {
    /// The last test alert of every connection that is tested, by connection.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when one cannot be read back.
    pub async fn canaries(&self) -> Result<Vec<CanaryTest>> {
        let rows = self.rows(CANARIES.bound().query()).await?;
        rows.into_iter().map(|mut row| row.json()).collect()
    }

    /// People of the configuration who have left, by name.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when one cannot be read back.
    pub async fn absences(&self) -> Result<Vec<Absence>> {
        let rows = self.rows(ABSENCES.bound().query()).await?;
        rows.into_iter().map(|mut row| row.json()).collect()
    }

    /// Silences, newest first.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn silences(&self, filter: &PlannedFilter) -> Result<Page<Planned<Silence>>> {
        self.planned(&SILENCES, filter).await
    }

    /// One silence.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn silence(&self, id: Uuid) -> Result<Option<Planned<Silence>>> {
        self.row(SILENCE.bind(id).query()).await?.map(planned).transpose()
    }

    /// Maintenance windows that were made at run time, newest first.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn maintenance(&self, filter: &PlannedFilter) -> Result<Page<Planned<PlannedWork>>> {
        self.planned(&MAINTENANCE, filter).await
    }

    /// One maintenance window that was made at run time.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn maintenance_window(&self, id: Uuid) -> Result<Option<Planned<PlannedWork>>> {
        self.row(WINDOW.bind(id).query()).await?.map(planned).transpose()
    }

    /// Overrides of one schedule, or of all, that were or will be in force some time from `from` until before `until`,
    /// by their ends; the first [`OVERRIDES_READ`]. One that was taken back while it was in force ends when it was taken
    /// back; one that was taken back before it began is left out.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn overrides(&self, schedule: Option<&str>, from: Timestamp, until: Timestamp) -> Result<Vec<Override>> {
        let filters = vec![given(schedule), given(Some(from)), given(Some(until))];
        let rows = self.rows(OVERRIDES.query(filters, OVERRIDES_READ)).await?;
        let rows = rows.into_iter().map(planned::<Override>).collect::<Result<Vec<_>>>()?;
        let as_it_was = rows.into_iter().map(|Planned { item, ended, .. }| Override {
            end: ended.map_or(item.end, |ended| ended.min(item.end)),
            ..item
        });
        Ok(as_it_was.filter(|over| over.end > from).collect())
    }

    /// One override, with when it was taken back.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn override_of(&self, id: Uuid) -> Result<Option<Planned<Override>>> {
        self.row(OVERRIDE.bind(id).query()).await?.map(planned).transpose()
    }

    async fn planned<T: DeserializeOwned>(
        &self,
        listing: &Listing,
        filter: &PlannedFilter,
    ) -> Result<Page<Planned<T>>> {
        let limit = bounded(filter.limit);
        let now = stored_time(filter.now);
        let filters = vec![
            given(filter.standing.filter(|standing| *standing == Standing::Live).map(|_| now)),
            given(filter.standing.filter(|standing| *standing == Standing::Over).map(|_| now)),
            given(filter.author.as_ref()),
            given(filter.before),
        ];
        let rows = self.rows(listing.query(filters, limit)).await?;
        let items = rows.into_iter().map(planned).collect::<Result<Vec<_>>>()?;
        Ok(Page::new(items, limit, |row| row.position))
    }
}

/// What to ask for at start, without what was over at `now`; [`answered`] reads the answers.
pub(crate) fn queries(now: Timestamp) -> impl Iterator<Item = Query> {
    let live = [&LIVE_OVERRIDES, &LIVE_SILENCES, &LIVE_MAINTENANCE];
    live.map(|sql| sql.bind(now).query()).into_iter().chain([CANARIES.bound().query(), ABSENCES.bound().query()])
}

/// Takes the answers to [`queries`].
pub(crate) fn answered(answers: &mut Answers, loaded: &mut Loaded) -> Result<()> {
    loaded.overrides = answers.next(|mut row| row.json())?;
    loaded.silences = answers.next(|mut row| row.json())?;
    loaded.planned_work = answers.next(|mut row| row.json())?;
    loaded.canaries = answers.next(|mut row| row.json())?;
    loaded.absences = answers.next(|mut row| row.json())?;
    Ok(())
}

fn planned<T: DeserializeOwned>(mut row: Row) -> Result<Planned<T>> {
    let (position, ended) = (row.next()?, row.next()?);
    Ok(Planned { position, ended, item: row.json()? })
}
