//! Reports in the API: how fast, whom pages woke, what is noise.

use crate::api::model::NamedOut;
use serde::Serialize;
use std::collections::BTreeMap;
use trackside_core::event::Severity;
use trackside_core::ruleset::Ruleset;
use trackside_core::run::{Name, PipelineKey};
use trackside_store::reports::{Figures, Load, Noise, Pages, Report, Response, Spread};
use utoipa::ToSchema;

/// How a stretch of time went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub(crate) struct ReportOut {
    /// The team it is about; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<String>,
    /// From, inclusive.
    #[schema(format = "date-time")]
    pub(crate) from: String,
    /// Until, exclusive.
    #[schema(format = "date-time")]
    pub(crate) until: String,
    /// Zone of the times; weeks begin in it on Monday at midnight.
    pub(crate) zone: String,
    /// How fast incidents were acknowledged and resolved. An incident counts where it was opened.
    pub(crate) response: ResponseOut,
    /// Whom pages woke.
    pub(crate) load: LoadOut,
    /// Pipelines by their alerts, noisiest first.
    pub(crate) noisy_pipelines: Vec<NoisyPipelineOut>,
    /// Rules by their alerts, noisiest first.
    pub(crate) noisy_rules: Vec<NoisyRuleOut>,
    /// True when there was more than 50,000 of something: older ones are not counted.
    pub(crate) cut: bool,
}

/// How fast incidents were acknowledged and resolved.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportResponse)]
pub(crate) struct ResponseOut {
    /// All of them.
    pub(crate) all: FiguresOut,
    /// By owning team.
    pub(crate) by_team: BTreeMap<String, FiguresOut>,
    /// By the Monday of the week, for weeks with incidents.
    pub(crate) by_week: BTreeMap<String, FiguresOut>,
    /// By both.
    pub(crate) by_team_and_week: Vec<TeamWeekOut>,
}

/// Figures of one team in one week.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportTeamWeek)]
pub(crate) struct TeamWeekOut {
    /// The team.
    team: String,
    /// The Monday of the week.
    #[schema(format = "date", example = "2026-11-16")]
    week: String,
    /// How fast.
    #[serde(flatten)]
    figures: FiguresOut,
}

/// Figures of some incidents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportFigures)]
pub(crate) struct FiguresOut {
    /// How many were opened.
    pub(crate) incidents: u64,
    /// How many of each severity.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) by_severity: BTreeMap<Severity, u64>,
    /// How many ended by themselves within ten minutes, before anybody had them.
    pub(crate) noise: u64,
    /// From opening to the first acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_to_acknowledge: Option<SpreadOut>,
    /// From opening to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_to_resolve: Option<SpreadOut>,
}

/// How durations are spread, in seconds.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ReportSpread)]
pub(crate) struct SpreadOut {
    /// How many.
    pub(crate) samples: u64,
    /// Their mean (MTTA, MTTR).
    pub(crate) mean_s: f64,
    /// Half of them are at most this.
    pub(crate) median_s: f64,
    /// 90 of 100 are at most this.
    pub(crate) p90_s: f64,
}

/// Whom pages woke.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportLoad)]
pub(crate) struct LoadOut {
    /// By person.
    pub(crate) by_person: Vec<PersonLoadOut>,
    /// By person and week.
    pub(crate) by_person_and_week: Vec<PersonWeekOut>,
    /// Pages to channels, not to a person.
    pub(crate) to_channels: u64,
    /// Steps that reached nobody at once.
    pub(crate) to_nobody: u64,
}

/// Pages of one person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportPersonLoad)]
pub(crate) struct PersonLoadOut {
    /// The person.
    person: NamedOut,
    /// How many.
    #[serde(flatten)]
    pages: PagesOut,
}

/// Pages of one person in one week.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportPersonWeek)]
pub(crate) struct PersonWeekOut {
    /// The person.
    person: NamedOut,
    /// The Monday of the week.
    #[schema(format = "date", example = "2026-11-16")]
    week: String,
    /// How many.
    #[serde(flatten)]
    pages: PagesOut,
}

/// How many pages.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ReportPages)]
pub(crate) struct PagesOut {
    /// All of them.
    pages: u64,
    /// Those outside the person's working hours (Monday to Friday, 09:00 to 17:00 in their zone).
    out_of_hours: u64,
    /// Their share, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_hours_share: Option<f64>,
}

/// How much noise a pipeline makes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NoisyPipeline)]
pub(crate) struct NoisyPipelineOut {
    /// Source.
    source: String,
    /// Pipeline.
    pipeline: String,
    /// How much.
    #[serde(flatten)]
    noise: NoiseOut,
}

/// How much noise a rule makes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NoisyRule)]
pub(crate) struct NoisyRuleOut {
    /// Rule.
    rule: String,
    /// How much.
    #[serde(flatten)]
    noise: NoiseOut,
}

/// How much noise something makes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Noise)]
pub(crate) struct NoiseOut {
    /// Alerts that began to fire.
    alerts: u64,
    /// Incidents they went into.
    incidents: u64,
    /// Pages about these that reached somebody.
    pages: u64,
    /// How many of these ended by themselves within ten minutes, before anybody had them.
    noise: u64,
}

impl ReportOut {
    /// A report; `head` says what it is about.
    pub(crate) fn new(head: HeadOut, report: &Report, ruleset: &Ruleset) -> Self {
        let pipeline = |noisy: &Noise<PipelineKey>| NoisyPipelineOut {
            source: noisy.what.source.to_string(),
            pipeline: noisy.what.name.to_string(),
            noise: NoiseOut::from(noisy),
        };
        let rule = |noisy: &Noise<Name>| NoisyRuleOut { rule: noisy.what.to_string(), noise: NoiseOut::from(noisy) };
        Self {
            team: head.team,
            from: head.from,
            until: head.until,
            zone: head.zone,
            response: ResponseOut::from(&report.response),
            load: LoadOut::new(&report.load, ruleset),
            noisy_pipelines: report.pipelines.iter().map(pipeline).collect(),
            noisy_rules: report.rules.iter().map(rule).collect(),
            cut: report.cut,
        }
    }
}

/// What a report is about.
#[derive(Debug)]
pub(crate) struct HeadOut {
    /// The team; absent for all.
    pub(crate) team: Option<String>,
    /// From, inclusive.
    pub(crate) from: String,
    /// Until, exclusive.
    pub(crate) until: String,
    /// Zone of the times.
    pub(crate) zone: String,
}

impl From<&Response> for ResponseOut {
    fn from(response: &Response) -> Self {
        let team_week = |row: &trackside_store::reports::ResponseRow| TeamWeekOut {
            team: row.team.clone(),
            week: row.week.to_string(),
            figures: FiguresOut::from(&row.figures),
        };
        Self {
            all: FiguresOut::from(&response.all),
            by_team: response.by_team.iter().map(|(team, row)| (team.clone(), FiguresOut::from(row))).collect(),
            by_week: response.by_week.iter().map(|(week, row)| (week.to_string(), FiguresOut::from(row))).collect(),
            by_team_and_week: response.by_team_and_week.iter().map(team_week).collect(),
        }
    }
}

impl From<&Figures> for FiguresOut {
    fn from(figures: &Figures) -> Self {
        Self {
            incidents: figures.incidents,
            by_severity: figures.by_severity.clone(),
            noise: figures.noise,
            time_to_acknowledge: figures.time_to_acknowledge.map(SpreadOut::from),
            time_to_resolve: figures.time_to_resolve.map(SpreadOut::from),
        }
    }
}

impl From<Spread> for SpreadOut {
    fn from(spread: Spread) -> Self {
        Self { samples: spread.samples, mean_s: spread.mean_s, median_s: spread.median_s, p90_s: spread.p90_s }
    }
}

impl LoadOut {
    fn new(load: &Load, ruleset: &Ruleset) -> Self {
        let by_person = load.by_person.iter().map(|(person, pages)| PersonLoadOut {
            person: NamedOut::one(ruleset, person),
            pages: PagesOut::from(pages),
        });
        let by_both = load.by_person_and_week.iter().map(|row| PersonWeekOut {
            person: NamedOut::one(ruleset, &row.person),
            week: row.week.to_string(),
            pages: PagesOut::from(&row.pages),
        });
        Self {
            by_person: by_person.collect(),
            by_person_and_week: by_both.collect(),
            to_channels: load.to_channels,
            to_nobody: load.to_nobody,
        }
    }
}

impl From<&Pages> for PagesOut {
    fn from(pages: &Pages) -> Self {
        Self { pages: pages.pages, out_of_hours: pages.out_of_hours, out_of_hours_share: pages.out_of_hours_share() }
    }
}

impl<T> From<&Noise<T>> for NoiseOut {
    fn from(noisy: &Noise<T>) -> Self {
        Self { alerts: noisy.alerts, incidents: noisy.incidents, pages: noisy.pages, noise: noisy.noise }
    }
}
