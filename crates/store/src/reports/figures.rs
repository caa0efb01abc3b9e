//! The figures of a report, made from rows. Pure.

use super::{NOISE, NOISY, ReportFilter};
use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::duty::zone::Zone;
use trackside_core::event::Severity;
use trackside_core::ids::IncidentId;
use trackside_core::run::{Name, PipelineKey};

/// An incident of the report.
#[derive(Clone, Debug)]
pub(super) struct IncidentRow {
    pub id: IncidentId,
    pub owner: String,
    pub severity: Severity,
    pub opened: Timestamp,
    pub acknowledged: Option<Timestamp>,
    pub resolved: Option<Timestamp>,
    /// Its alerts were over; nobody resolved it.
    pub by_itself: bool,
}

impl IncidentRow {
    fn is_noise(&self) -> bool {
        let soon = self.resolved.is_some_and(|resolved| resolved.duration_since(self.opened) <= NOISE);
        soon && self.by_itself && self.acknowledged.is_none()
    }
}

/// A page of the report.
#[derive(Clone, Debug)]
pub(super) struct PageRow {
    pub incident: IncidentId,
    pub at: Timestamp,
    pub team: String,
    pub person: Option<String>,
    pub out_of_hours: bool,
    pub reached: bool,
}

/// An alert of the report.
#[derive(Clone, Debug)]
pub(super) struct FiredRow {
    pub incident: IncidentId,
    pub pipeline: PipelineKey,
    pub rule: Name,
}

/// How fast incidents were acknowledged and resolved.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Response {
    /// All of them.
    pub all: Figures,
    /// By owning team.
    pub by_team: BTreeMap<String, Figures>,
    /// By week; the key is its Monday. Weeks without incidents are left out.
    pub by_week: BTreeMap<Date, Figures>,
    /// By both, in order.
    pub by_team_and_week: Vec<ResponseRow>,
}

/// Figures of one team in one week.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResponseRow {
    /// The team.
    pub team: String,
    /// The Monday of the week.
    pub week: Date,
    /// How fast.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Figures of some incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// How many were opened.
    pub incidents: u64,
    /// How many of each severity (the highest that each has had).
    pub by_severity: BTreeMap<Severity, u64>,
    /// How many ended by themselves before anybody had them, within [`NOISE`].
    pub noise: u64,
    /// From opening to the first acknowledgement, of those that were acknowledged.
    pub time_to_acknowledge: Option<Spread>,
    /// From opening to the end, of those that are over.
    pub time_to_resolve: Option<Spread>,
}

/// How some durations are spread, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many durations.
    pub samples: u64,
    /// Their mean.
    pub mean_s: f64,
    /// Half of them are at most this.
    pub median_s: f64,
    /// 90 of 100 are at most this.
    pub p90_s: f64,
}

/// Whom pages woke.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// By person.
    pub by_person: BTreeMap<String, Pages>,
    /// By person and week, in order.
    pub by_person_and_week: Vec<LoadRow>,
    /// Pages to channels, not to a person.
    pub to_channels: u64,
    /// Steps that found nobody to page, or a person whose first contact was to come later.
    pub to_nobody: u64,
}

/// Pages of one person in one week.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadRow {
    /// The person.
    pub person: String,
    /// The Monday of the week.
    pub week: Date,
    /// How many.
    #[serde(flatten)]
    pub pages: Pages,
}

/// How many pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pages {
    /// All of them. A further contact of a person who did not react is a page of its own.
    pub pages: u64,
    /// Those outside the person's working hours.
    pub out_of_hours: u64,
}

impl Pages {
    /// Share of pages outside working hours, 0 to 1.
    #[must_use]
    pub fn out_of_hours_share(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
        (self.pages > 0).then(|| self.out_of_hours as f64 / self.pages as f64)
    }

    fn add(&mut self, row: &PageRow) {
        self.pages += 1;
        self.out_of_hours += u64::from(row.out_of_hours);
    }
}

/// How much noise something makes. An incident with alerts of several rules counts for each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Noise<T> {
    /// The pipeline or rule.
    pub what: T,
    /// Alerts that began to fire.
    pub alerts: u64,
    /// Incidents they went into.
    pub incidents: u64,
    /// Pages about these that reached somebody.
    pub pages: u64,
    /// How many of these ended by themselves before anybody had them, within [`NOISE`].
    pub noise: u64,
}

pub(super) fn response(incidents: &[IncidentRow], zone: &Zone) -> Response {
    let mut all = Vec::new();
    let mut by_team: BTreeMap<&str, Vec<&IncidentRow>> = BTreeMap::new();
    let mut by_week: BTreeMap<Date, Vec<&IncidentRow>> = BTreeMap::new();
    let mut by_both: BTreeMap<(&str, Date), Vec<&IncidentRow>> = BTreeMap::new();
    for incident in incidents {
        let week = week_of(incident.opened, zone);
        all.push(incident);
        by_team.entry(&incident.owner).or_default().push(incident);
        by_week.entry(week).or_default().push(incident);
        by_both.entry((&incident.owner, week)).or_default().push(incident);
    }
    let both = |((team, week), rows): ((&str, Date), Vec<&IncidentRow>)| ResponseRow {
        team: team.to_owned(),
        week,
        figures: figures(&rows),
    };
    Response {
        all: figures(&all),
        by_team: by_team.into_iter().map(|(team, rows)| (team.to_owned(), figures(&rows))).collect(),
        by_week: by_week.into_iter().map(|(week, rows)| (week, figures(&rows))).collect(),
        by_team_and_week: by_both.into_iter().map(both).collect(),
    }
}

pub(super) fn load(pages: &[PageRow], filter: &ReportFilter) -> Load {
    let mut load = Load::default();
    let mut by_both: BTreeMap<(&str, Date), Pages> = BTreeMap::new();
    for page in pages.iter().filter(|page| filter.team.as_ref().is_none_or(|team| *team == page.team)) {
        match &page.person {
            _ if !page.reached => load.to_nobody += 1,
            None => load.to_channels += 1,
            Some(person) => {
                load.by_person.entry(person.clone()).or_default().add(page);
                by_both.entry((person, week_of(page.at, &filter.zone))).or_default().add(page);
            }
        }
    }
    let row = |((person, week), pages): ((&str, Date), Pages)| LoadRow { person: person.to_owned(), week, pages };
    load.by_person_and_week = by_both.into_iter().map(row).collect();
    load
}

/// Pipelines and rules by the alerts that went into these incidents.
pub(super) fn noise(
    incidents: &[IncidentRow],
    pages: &[PageRow],
    fired: Vec<FiredRow>,
) -> (Vec<Noise<PipelineKey>>, Vec<Noise<Name>>) {
    let incidents: BTreeMap<IncidentId, &IncidentRow> =
        incidents.iter().map(|incident| (incident.id, incident)).collect();
    let mut paged: BTreeMap<IncidentId, u64> = BTreeMap::new();
    for page in pages.iter().filter(|page| page.reached) {
        *paged.entry(page.incident).or_default() += 1;
    }
    let mut pipelines: BTreeMap<PipelineKey, Heard> = BTreeMap::new();
    let mut rules: BTreeMap<Name, Heard> = BTreeMap::new();
    for row in fired.into_iter().filter(|row| incidents.contains_key(&row.incident)) {
        pipelines.entry(row.pipeline).or_default().add(row.incident);
        rules.entry(row.rule).or_default().add(row.incident);
    }
    (noisiest(pipelines, &incidents, &paged), noisiest(rules, &incidents, &paged))
}

/// Alerts of one pipeline or rule.
#[derive(Default)]
struct Heard {
    alerts: u64,
    incidents: BTreeSet<IncidentId>,
}

impl Heard {
    fn add(&mut self, incident: IncidentId) {
        self.alerts += 1;
        self.incidents.insert(incident);
    }
}

fn noisiest<T: Ord>(
    heard: BTreeMap<T, Heard>,
    incidents: &BTreeMap<IncidentId, &IncidentRow>,
    paged: &BTreeMap<IncidentId, u64>,
) -> Vec<Noise<T>> {
    let noise = |(what, heard): (T, Heard)| Noise {
        what,
        alerts: heard.alerts,
        incidents: count(heard.incidents.len()),
        pages: heard.incidents.iter().filter_map(|id| paged.get(id)).sum(),
        noise: count(heard.incidents.iter().filter(|id| incidents[id].is_noise()).count()),
    };
    let mut rows: Vec<Noise<T>> = heard.into_iter().map(noise).collect();
    // Those with the same figures stay in the order of their names.
    rows.sort_by_key(|row| std::cmp::Reverse((row.alerts, row.pages, row.incidents)));
    rows.truncate(NOISY);
    rows
}

fn figures(incidents: &[&IncidentRow]) -> Figures {
    let mut by_severity = BTreeMap::new();
    for incident in incidents {
        *by_severity.entry(incident.severity).or_default() += 1;
    }
    let took = |end: fn(&IncidentRow) -> Option<Timestamp>| {
        let took = |incident: &&IncidentRow| Some(end(incident)?.duration_since(incident.opened).as_secs_f64());
        spread(incidents.iter().filter_map(took).collect())
    };
    Figures {
        incidents: count(incidents.len()),
        by_severity,
        noise: count(incidents.iter().filter(|incident| incident.is_noise()).count()),
        time_to_acknowledge: took(|incident| incident.acknowledged),
        time_to_resolve: took(|incident| incident.resolved),
    }
}

/// Mean and nearest-rank percentiles.
fn spread(mut seconds: Vec<f64>) -> Option<Spread> {
    seconds.sort_unstable_by(f64::total_cmp);
    let rank = |percent: usize| seconds.get((seconds.len() * percent).div_ceil(100).checked_sub(1)?).copied();
    #[allow(clippy::cast_precision_loss, reason = "a mean for people")]
    let mean_s = seconds.iter().sum::<f64>() / seconds.len() as f64;
    Some(Spread { samples: count(seconds.len()), mean_s, median_s: rank(50)?, p90_s: rank(90)? })
}

/// The Monday of a week.
fn week_of(at: Timestamp, zone: &Zone) -> Date {
    let date = zone.local(at).date();
    let days = date.weekday().since(Weekday::Monday);
    date.saturating_sub(jiff::Span::new().days(days))
}

fn count(count: usize) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_nearest_rank() {
        let check = |seconds: &[f64], expect: Option<(u64, f64, f64, f64)>| {
            let spread = spread(seconds.to_vec());
            assert_eq!(spread.map(|s| (s.samples, s.mean_s, s.median_s, s.p90_s)), expect, "{seconds:?}");
        };
        check(&[], None);
        check(&[5.0], Some((1, 5.0, 5.0, 5.0)));
        check(&[4.0, 1.0], Some((2, 2.5, 1.0, 4.0)));
        check(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 100.0], Some((10, 14.5, 5.0, 9.0)));
    }

    #[test]
    fn weeks_begin_on_monday_in_the_zone() {
        let check = |at: &str, zone: &str, expect: &str| {
            let week = week_of(at.parse().unwrap(), &Zone::new(zone).unwrap());
            assert_eq!(week.to_string(), expect, "{at} in {zone}");
        };
        check("2026-11-22T22:59:00Z", "Europe/Berlin", "2026-11-16");
        check("2026-11-22T23:00:00Z", "Europe/Berlin", "2026-11-23");
        check("2026-11-22T23:00:00Z", "UTC", "2026-11-16");
        check("2026-11-23T04:00:00Z", "America/New_York", "2026-11-16");
    }
}
