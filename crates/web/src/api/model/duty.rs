//! Who is on call, in the API: schedules, shifts, gaps, overrides.

use crate::api::span::local;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use trackside_core::duty::schedule::{Layer, Override, Shift};
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Ruleset;
use utoipa::ToSchema;
use uuid::Uuid;

/// A person by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Named)]
pub(crate) struct NamedOut {
    /// Name in the configuration.
    #[schema(example = "ana")]
    pub(crate) name: String,
    /// Name for people.
    #[schema(example = "Ana Müller")]
    pub(crate) title: String,
}

impl NamedOut {
    /// A person by name, as the configuration calls them.
    pub(crate) fn one(ruleset: &Ruleset, name: &str) -> Self {
        let title = ruleset.people.get(name).and_then(|person| person.name.clone());
        Self { name: name.to_owned(), title: title.unwrap_or_else(|| name.to_owned()) }
    }

    /// People by name.
    pub(crate) fn all(ruleset: &Ruleset, names: &[String]) -> Vec<Self> {
        names.iter().map(|name| Self::one(ruleset, name)).collect()
    }
}

/// A stretch of time with the same people on call, or with nobody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shift)]
pub(crate) struct ShiftOut {
    /// From, inclusive, with the offset of the zone that was asked for.
    #[schema(format = "date-time", example = "2026-11-19T09:00:00+01:00")]
    pub(crate) start: String,
    /// Until, exclusive.
    #[schema(format = "date-time", example = "2026-11-26T09:00:00+01:00")]
    pub(crate) end: String,
    /// Who; empty in a gap.
    pub(crate) people: Vec<NamedOut>,
    /// Name of the layer, or `override`; absent when no layer applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// True when nobody is on call.
    pub(crate) gap: bool,
}

impl ShiftOut {
    /// A shift in the words of a zone.
    pub(crate) fn new(shift: &Shift, ruleset: &Ruleset, zone: &Zone) -> Self {
        Self {
            start: local(zone, shift.start),
            end: local(zone, shift.end),
            people: NamedOut::all(ruleset, &shift.on_call.users),
            source: shift.on_call.source.clone(),
            gap: shift.on_call.users.is_empty(),
        }
    }
}

/// Who is on call in one schedule now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OnCall)]
pub(crate) struct OnCallOut {
    /// The schedule.
    #[schema(example = "primary")]
    pub(crate) schedule: String,
    /// Who; empty when nobody is.
    pub(crate) people: Vec<NamedOut>,
    /// Name of the layer, or `override`; absent when no layer applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// When other people are on call; absent when that is more than two years away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub(crate) until: Option<String>,
    /// Who is on call then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<ShiftOut>,
    /// The next time within two weeks that nobody is on call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_gap: Option<ShiftOut>,
}

/// A schedule as configured, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleOut {
    /// How it stands now.
    #[serde(flatten)]
    pub(crate) now: OnCallOut,
    /// Its layers; later ones win where their restriction holds.
    pub(crate) layers: Vec<LayerOut>,
    /// Connections that are told of every hand-over.
    pub(crate) announce: Vec<String>,
    /// When nobody is on call within the next two weeks.
    pub(crate) gaps: Vec<ShiftOut>,
}

/// One layer of a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Layer)]
pub(crate) struct LayerOut {
    /// Name.
    name: String,
    /// Zone in which hand-overs are at the same wall-clock time.
    zone: String,
    /// First hand-over, local.
    start: String,
    /// Unit of a turn: `hour`, `day`, `week` or `month`.
    #[schema(value_type = String)]
    unit: trackside_core::duty::rotation::Unit,
    /// Units per turn.
    length: u32,
    /// People in turn.
    people: Vec<NamedOut>,
    /// When the layer applies, in the shape of Alertmanager's time intervals; always when empty.
    #[schema(value_type = Vec<Object>)]
    restrict: Value,
    /// The instant from which it applies no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl LayerOut {
    /// A layer with its people by name.
    pub(crate) fn new(layer: &Layer, ruleset: &Ruleset) -> Self {
        Self {
            name: layer.name.clone(),
            zone: layer.rotation.tz.name().to_owned(),
            start: layer.rotation.start.to_string(),
            unit: layer.rotation.unit,
            length: layer.rotation.length,
            people: NamedOut::all(ruleset, &layer.rotation.participants),
            restrict: serde_json::to_value(&layer.restrict).unwrap_or_default(),
            until: layer.until,
        }
    }
}

/// Who is on call over a time, without holes: where nobody is, a shift says so.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shifts)]
pub(crate) struct ShiftsOut {
    /// The schedule.
    pub(crate) schedule: String,
    /// Zone of the times.
    pub(crate) zone: String,
    /// From, inclusive.
    #[schema(format = "date-time")]
    pub(crate) from: String,
    /// Until, exclusive.
    #[schema(format = "date-time")]
    pub(crate) until: String,
    /// Shifts and gaps, each beginning where the one before ends.
    pub(crate) shifts: Vec<ShiftOut>,
    /// Overrides that touch this time, first to begin first.
    pub(crate) overrides: Vec<OverrideOut>,
}

/// Somebody else than the layers say, for a time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Override)]
pub(crate) struct OverrideOut {
    /// Identity.
    pub(crate) id: Uuid,
    /// Which schedule.
    pub(crate) schedule: String,
    /// From, inclusive.
    pub(crate) start: Timestamp,
    /// Until, exclusive.
    pub(crate) end: Timestamp,
    /// The person; null: nobody is on call.
    pub(crate) user: Option<String>,
    /// Why.
    pub(crate) reason: String,
    /// Who made it.
    pub(crate) by: String,
    /// When it was made: where several overlap, the newest wins.
    pub(crate) created: Timestamp,
}

impl From<&Override> for OverrideOut {
    fn from(made: &Override) -> Self {
        Self {
            id: made.id,
            schedule: made.schedule.clone(),
            start: made.start,
            end: made.end,
            user: made.user.clone(),
            reason: made.reason.clone(),
            by: made.by.clone(),
            created: made.created,
        }
    }
}
