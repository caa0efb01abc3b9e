//! Who is on call, now and over a time.
//!
//! The functions below the handlers read values; pages use them as well. Overrides come from the store, everything else
//! from the configuration in force.

use crate::api::model::{LayerOut, NamedOut, OnCallOut, OverrideOut, ScheduleOut, ShiftOut, ShiftsOut};
use crate::api::span::{Stretch, local, zone};
use crate::api::{Params, Segments, names};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;
use trackside_core::duty::absence::{Changes, Gone};
use trackside_core::duty::schedule::{OnCall, Override, Schedule, Shift};
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Ruleset;
use utoipa::IntoParams;

/// How far gaps are looked for.
pub(crate) const GAPS_AHEAD: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How long shifts are listed when the caller does not say.
const SHIFTS_AHEAD: SignedDuration = SignedDuration::from_hours(28 * 24);

/// In whose time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ZoneQuery {
    /// Time zone of the answer, for example `Europe/Paris`; default UTC.
    pub(crate) zone: Option<String>,
}

/// Which time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShiftsQuery {
    /// From: a time, or a day in the zone; default now.
    pub(crate) from: Option<String>,
    /// Until: a time, or a day in the zone; default four weeks later, at most 366 days.
    pub(crate) until: Option<String>,
    /// Time zone of the answer and of days, for example `Europe/Paris`; default UTC.
    pub(crate) zone: Option<String>,
}

/// How a schedule stands at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    /// Who is on call.
    pub(crate) on_call: OnCall,
    /// The next time other people are, or nobody is.
    pub(crate) next: Option<Shift>,
    /// When nobody is on call within the next two weeks, the present included.
    pub(crate) gaps: Vec<Shift>,
}

/// Who is on call over a time.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    /// Shifts and gaps, each beginning where the one before ends.
    pub(crate) shifts: Vec<Shift>,
    /// Overrides that touch the time, first to begin first.
    pub(crate) overrides: Vec<Override>,
}

/// Who is on call now, schedule by schedule.
#[utoipa::path(get, path = "/api/v1/oncall", tag = "on-call", params(ZoneQuery),
    responses((status = 200, body = Vec<OnCallOut>), (status = 400, body = Problem)))]
pub(crate) async fn now(
    State(state): State<AppState>,
    Params(query): Params<ZoneQuery>,
) -> Result<Json<Vec<OnCallOut>>, Problem> {
    let zone = zone(query.zone.as_deref())?;
    let ruleset = state.configured().ruleset.clone();
    let stands = stands(&state, &ruleset, state.now()).await?;
    Ok(Json(stands.iter().map(|(name, stand)| on_call_out(name, stand, &ruleset, &zone)).collect()))
}

/// On-call schedules, by name.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "on-call", params(ZoneQuery),
    responses((status = 200, body = Vec<ScheduleOut>), (status = 400, body = Problem)))]
pub(crate) async fn schedules(
    State(state): State<AppState>,
    Params(query): Params<ZoneQuery>,
) -> Result<Json<Vec<ScheduleOut>>, Problem> {
    let zone = zone(query.zone.as_deref())?;
    let ruleset = state.configured().ruleset.clone();
    let stands = stands(&state, &ruleset, state.now()).await?;
    let out = |(name, schedule): (&String, &Schedule)| {
        let stand = stands.get(name)?;
        Some(ScheduleOut {
            now: on_call_out(name, stand, &ruleset, &zone),
            layers: schedule.layers.iter().map(|layer| LayerOut::new(layer, &ruleset)).collect(),
            announce: schedule.announce.clone(),
            gaps: stand.gaps.iter().map(|gap| ShiftOut::new(gap, &ruleset, &zone)).collect(),
        })
    };
    Ok(Json(ruleset.schedules.iter().filter_map(out).collect()))
}

/// Who is on call over a time. Where nobody is, a shift without people says so.
#[utoipa::path(get, path = "/api/v1/schedules/{name}/shifts", tag = "on-call",
    params(("name" = String, Path, description = "Name of the schedule"), ShiftsQuery),
    responses((status = 200, body = ShiftsOut), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn shifts(
    State(state): State<AppState>,
    Segments(name): Segments<String>,
    Params(query): Params<ShiftsQuery>,
) -> Result<Json<ShiftsOut>, Problem> {
    let zone = zone(query.zone.as_deref())?;
    let (from, until) = (query.from.as_deref(), query.until.as_deref());
    let stretch = Stretch::asked(from, until, &zone, state.now(), SHIFTS_AHEAD)?;
    let ruleset = state.configured().ruleset.clone();
    let schedule = names::schedule(&ruleset, &name)?;
    let roster = roster(&state, &name, schedule, stretch).await?;
    Ok(Json(ShiftsOut {
        schedule: name,
        zone: zone.name().to_owned(),
        from: local(&zone, stretch.from),
        until: local(&zone, stretch.until),
        shifts: roster.shifts.iter().map(|shift| ShiftOut::new(shift, &ruleset, &zone)).collect(),
        overrides: roster.overrides.iter().map(OverrideOut::from).collect(),
    }))
}

/// How every schedule stands at an instant, by name.
pub(crate) async fn stands(
    state: &AppState,
    ruleset: &Ruleset,
    at: Timestamp,
) -> Result<BTreeMap<String, Stand>, Problem> {
    let run_time = run_time(state, at).await?;
    let stand = |(name, schedule): (&String, &Schedule)| (name.clone(), stand(schedule, run_time.of(name), at));
    Ok(ruleset.schedules.iter().map(stand).collect())
}

/// What changes schedules at run time.
#[derive(Debug, Default)]
pub(crate) struct RunTime {
    overrides: BTreeMap<String, Vec<Override>>,
    gone: Gone,
}

impl RunTime {
    /// What changes one schedule.
    pub(crate) fn of(&self, schedule: &str) -> Changes<'_> {
        let overrides = self.overrides.get(schedule).map_or(&[][..], Vec::as_slice);
        Changes { overrides, gone: Some(&self.gone) }
    }

    /// Whether somebody has left.
    pub(crate) fn is_gone(&self, person: &str) -> bool {
        self.gone.contains_key(person)
    }
}

/// Overrides that are not over at an instant, and who has left.
pub(crate) async fn run_time(state: &AppState, at: Timestamp) -> Result<RunTime, Problem> {
    let mut run_time = RunTime { gone: gone(state).await?, ..RunTime::default() };
    for made in state.store.overrides(None, at, Timestamp::MAX).await? {
        run_time.overrides.entry(made.schedule.clone()).or_default().push(made);
    }
    Ok(run_time)
}

/// Who has left, and since when.
pub(crate) async fn gone(state: &AppState) -> Result<Gone, Problem> {
    Ok(state.store.absences().await?.into_iter().map(|absence| (absence.person, absence.since)).collect())
}

/// How one schedule stands at an instant.
fn stand(schedule: &Schedule, changes: Changes<'_>, at: Timestamp) -> Stand {
    let until = at.saturating_add(GAPS_AHEAD).unwrap_or(Timestamp::MAX);
    Stand {
        on_call: schedule.on_call(changes, at),
        next: schedule.next_handover(changes, at),
        gaps: schedule.gaps(at, until, changes),
    }
}

/// Who is on call in a schedule over a time.
pub(crate) async fn roster(
    state: &AppState,
    name: &str,
    schedule: &Schedule,
    stretch: Stretch,
) -> Result<Roster, Problem> {
    let mut overrides = state.store.overrides(Some(name), stretch.from, stretch.until).await?;
    overrides.sort_by_key(|made| (made.start, made.created));
    let gone = gone(state).await?;
    let changes = Changes { overrides: &overrides, gone: Some(&gone) };
    let shifts = schedule.shifts(changes, stretch.from, stretch.until);
    Ok(Roster { shifts, overrides })
}

/// How a schedule stands, in the words of a zone.
pub(crate) fn on_call_out(name: &str, stand: &Stand, ruleset: &Ruleset, zone: &Zone) -> OnCallOut {
    let shift = |shift: &Shift| ShiftOut::new(shift, ruleset, zone);
    OnCallOut {
        schedule: name.to_owned(),
        people: NamedOut::all(ruleset, &stand.on_call.users),
        source: stand.on_call.source.clone(),
        until: stand.next.as_ref().map(|next| local(zone, next.start)),
        next: stand.next.as_ref().map(shift),
        next_gap: stand.gaps.first().map(shift),
    }
}
