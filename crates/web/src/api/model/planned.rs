//! Silences and maintenance windows in the API.

use crate::api::maintenance::Window;
use crate::api::model::IncidentOut;
use crate::api::silences::Held;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trackside_core::ruleset::noise::Silence;
use utoipa::ToSchema;
use uuid::Uuid;

/// How far occurrences of a window are looked for.
const AHEAD: SignedDuration = SignedDuration::from_hours(60 * 24);
/// Occurrences to come that are shown.
const NEXT: usize = 3;

/// Whether a silence holds anything back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SilenceState {
    /// Has not begun.
    Pending,
    /// Is in force.
    Active,
    /// Is over.
    Expired,
}

impl SilenceState {
    /// How a silence stands at an instant.
    pub(crate) fn of(silence: &Silence, now: Timestamp) -> Self {
        match silence {
            Silence { ends, .. } if *ends <= now => Self::Expired,
            Silence { starts, .. } if *starts > now => Self::Pending,
            _ => Self::Active,
        }
    }
}

/// A silence.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Silence)]
pub(crate) struct SilenceOut {
    /// Identity.
    pub(crate) id: Uuid,
    /// `pending`, `active` or `expired`.
    #[schema(value_type = String)]
    pub(crate) state: SilenceState,
    /// All must match.
    pub(crate) matchers: Vec<String>,
    /// From, inclusive.
    pub(crate) starts: Timestamp,
    /// Until, exclusive.
    pub(crate) ends: Timestamp,
    /// Who made it.
    pub(crate) by: String,
    /// Why.
    pub(crate) reason: String,
    /// When it was made.
    pub(crate) created: Timestamp,
}

impl SilenceOut {
    /// A silence as it stands at an instant.
    pub(crate) fn new(silence: &Silence, now: Timestamp) -> Self {
        Self {
            id: silence.id,
            state: SilenceState::of(silence, now),
            matchers: silence.matchers.clone(),
            starts: silence.starts,
            ends: silence.ends,
            by: silence.by.clone(),
            reason: silence.reason.clone(),
            created: silence.created,
        }
    }
}

/// What a silence would hold back now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SilencePreview)]
pub(crate) struct PreviewOut {
    /// Incidents that nobody would be told of.
    pub(crate) held: usize,
    /// Open incidents of which at least one alert matches, latest first.
    pub(crate) incidents: Vec<HeldOut>,
}

/// An incident that matchers concern.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldIncident)]
pub(crate) struct HeldOut {
    /// The incident.
    #[serde(flatten)]
    pub(crate) incident: IncidentOut,
    /// True when all its alerts match, so that nobody would be told of it.
    pub(crate) held: bool,
    /// Alerts of it that match, one line each.
    pub(crate) matching: Vec<String>,
    /// Alerts that fire in it.
    pub(crate) alerts: usize,
}

impl PreviewOut {
    /// What was found.
    pub(crate) fn new(found: &[Held]) -> Self {
        let out = |held: &Held| HeldOut {
            incident: IncidentOut::from(&held.incident),
            held: held.matching.len() == held.alerts,
            matching: held.matching.iter().map(|alert| alert.summary.to_string()).collect(),
            alerts: held.alerts,
        };
        let incidents: Vec<HeldOut> = found.iter().map(out).collect();
        Self { held: incidents.iter().filter(|incident| incident.held).count(), incidents }
    }
}

/// A maintenance window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Maintenance)]
pub(crate) struct MaintenanceOut {
    /// Identity, of a window that was made at run time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Uuid>,
    /// `configuration` or `api`.
    pub(crate) origin: &'static str,
    /// Name.
    pub(crate) name: String,
    /// What it covers; everything when there are none.
    pub(crate) matchers: Vec<String>,
    /// When, as in the configuration.
    #[schema(value_type = Object)]
    pub(crate) when: Value,
    /// Connections that are told of its start and end.
    pub(crate) announce: Vec<String>,
    /// Why.
    pub(crate) reason: String,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<Timestamp>,
    /// The occurrence under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) active: Option<OccurrenceOut>,
    /// The next occurrences within sixty days, at most three.
    pub(crate) next: Vec<OccurrenceOut>,
}

/// One time that a window lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Occurrence)]
pub(crate) struct OccurrenceOut {
    /// From, inclusive.
    pub(crate) start: Timestamp,
    /// Until, exclusive.
    pub(crate) end: Timestamp,
}

impl MaintenanceOut {
    /// A window as it stands at an instant.
    pub(crate) fn new(window: &Window, now: Timestamp) -> Self {
        let work = window.work();
        let made = match window {
            Window::Configured(_) => None,
            Window::Made(made) => Some(made),
        };
        let until = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let occurrence = |(start, end)| OccurrenceOut { start, end };
        let next = work.when.occurrences(now, until).into_iter().filter(|(start, _)| *start > now);
        Self {
            id: made.map(|made| made.id),
            origin: if made.is_some() { "api" } else { "configuration" },
            name: work.name.clone(),
            matchers: work.matchers.clone(),
            when: serde_json::to_value(&work.when).unwrap_or_default(),
            announce: work.announce.clone(),
            reason: work.reason.clone(),
            by: made.map(|made| made.by.clone()),
            created: made.map(|made| made.created),
            active: work.when.active(now).map(occurrence),
            next: next.map(occurrence).take(NEXT).collect(),
        }
    }
}
