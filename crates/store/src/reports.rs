//! Reports about a stretch of time: how fast incidents were acknowledged and resolved, whom pages woke, what is noise.
//!
//! Reading only, in one consistent look. Three questions, each answered from an index on time and bounded by
//! [`REPORT_ROWS`]; medians need all values, so the figures are made from the rows (`figures`).
//!
//! An incident counts where it was opened. One that was opened again counts once: acknowledged when somebody first had
//! it, resolved when it ended for good.

mod figures;

pub use figures::{Figures, Load, LoadRow, Noise, Pages, Response, ResponseRow, Spread};

use crate::Store;
use crate::error::Result;
use crate::pages::severity;
use crate::statement::Sql;
use crate::value::{Kind, Row};
use figures::{FiredRow, IncidentRow, PageRow};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use trackside_core::caller::Caller;
use trackside_core::duty::zone::Zone;
use trackside_core::run::{Name, PipelineKey};

/// Most incidents, pages and alerts that one report is made from, the latest ones.
pub const REPORT_ROWS: usize = 50_000;
/// Most pipelines and rules named as noisy.
pub const NOISY: usize = 50;
/// An incident that ended by itself within this time, before anybody had it, was noise.
pub const NOISE: SignedDuration = SignedDuration::from_mins(10);

/// What to report on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFilter {
    /// From, inclusive.
    pub from: Timestamp,
    /// Until, exclusive.
    pub until: Timestamp,
    /// Only this team.
    pub team: Option<String>,
    /// Where weeks begin, on Monday at midnight.
    pub zone: Zone,
}

/// The report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// How fast incidents were acknowledged and resolved.
    pub response: Response,
    /// Whom pages woke.
    pub load: Load,
    /// Pipelines whose alerts opened incidents, noisiest first; at most [`NOISY`].
    pub pipelines: Vec<Noise<PipelineKey>>,
    /// Rules whose alerts opened incidents, noisiest first; at most [`NOISY`].
    pub rules: Vec<Noise<Name>>,
    /// True when there was more than [`REPORT_ROWS`] of something: the oldest are not counted.
    pub cut: bool,
}

static INCIDENTS: Sql = Sql::read(
    "incidents.report",
    "SELECT id, owner, severity, opened, acknowledged, resolved, resolved_via FROM incidents
     WHERE opened >= $1 AND opened < $2 AND (owner = $3 OR $3 IS NULL) ORDER BY opened DESC, number DESC LIMIT $4",
    &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Time, Kind::Time, Kind::Time, Kind::Text],
);
static PAGES: Sql = Sql::read(
    "pages.report",
    "SELECT incident, at, team, person, out_of_hours, reached FROM pages
     WHERE at >= $1 AND at < $2 ORDER BY at DESC, position DESC LIMIT $3",
    &[Kind::Uuid, Kind::Time, Kind::Text, Kind::Text, Kind::Bool, Kind::Bool],
);
static FIRED: Sql = Sql::read(
    "alert_firings.report",
    "SELECT incident, source, pipeline, rule FROM alert_firings
     WHERE at >= $1 AND at < $2 ORDER BY at DESC, position DESC LIMIT $3",
    &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Text],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&INCIDENTS, &PAGES, &FIRED];

impl Store {
    /// The report on a stretch of time.
    ///
    /// # Errors
    /// When a row cannot be read back.
    pub async fn report(&self, filter: &ReportFilter) -> Result<Report> {
        let (from, until) = (filter.from, filter.until);
        let queries = vec![
            INCIDENTS.bind(from).bind(until).bind(filter.team.as_ref()).bind(REPORT_ROWS).query(),
            PAGES.bind(from).bind(until).bind(REPORT_ROWS).query(),
            FIRED.bind(from).bind(until).bind(REPORT_ROWS).query(),
        ];
        let mut answers = self.snapshot(queries).await?;
        let incidents = answers.next(incident_row)?;
        let pages = answers.next(page_row)?;
        let fired = answers.next(fired_row)?;
        let cut = [incidents.len(), pages.len(), fired.len()].contains(&REPORT_ROWS);
        let (pipelines, rules) = figures::noise(&incidents, &pages, fired);
        Ok(Report {
            response: figures::response(&incidents, &filter.zone),
            load: figures::load(&pages, filter),
            pipelines,
            rules,
            cut,
        })
    }
}

fn incident_row(mut row: Row) -> Result<IncidentRow> {
    let (id, owner) = (row.next()?, row.next()?);
    let severity = severity(&row.next::<String>()?)?;
    let (opened, acknowledged) = (row.next()?, row.next()?);
    let resolved = row.next()?;
    let via: Option<String> = row.next()?;
    let by_itself = via.is_some_and(|via| via == Caller::rules().via);
    Ok(IncidentRow { id, owner, severity, opened, acknowledged, resolved, by_itself })
}

fn page_row(mut row: Row) -> Result<PageRow> {
    Ok(PageRow {
        incident: row.next()?,
        at: row.next()?,
        team: row.next()?,
        person: row.next()?,
        out_of_hours: row.next()?,
        reached: row.next()?,
    })
}

fn fired_row(mut row: Row) -> Result<FiredRow> {
    let incident = row.next()?;
    let pipeline = PipelineKey { source: row.next::<String>()?.into(), name: row.next::<String>()?.into() };
    Ok(FiredRow { incident, pipeline, rule: row.next::<String>()?.into() })
}
