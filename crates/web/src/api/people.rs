//! People and teams: who they are, how they are reached, who of them is on call.
//!
//! What they are comes from the configuration in force, who is on call also from overrides.

use crate::api::Params;
use crate::api::model::{ContactOut, DutyOut, NamedOut, NotifyOut, PersonOut, PolicyOut, QuietOut, TeamOut};
use crate::api::oncall::{Stand, ZoneQuery, on_call_out, run_time, stands};
use crate::api::span::{local, zone};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::duty::schedule::Shift;
use trackside_core::duty::zone::Zone;
use trackside_core::event::Severity;
use trackside_core::ruleset::people::{Person, Target};
use trackside_core::ruleset::{Ruleset, Team};

/// How far the next time on call is looked for.
const DUTY_AHEAD: SignedDuration = SignedDuration::from_hours(60 * 24);

/// People by name.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", responses((status = 200, body = Vec<PersonOut>)))]
pub(crate) async fn people(State(state): State<AppState>) -> Result<Json<Vec<PersonOut>>, Problem> {
    Ok(Json(all(&state).await?))
}

/// Teams by name.
#[utoipa::path(get, path = "/api/v1/teams", tag = "people", params(ZoneQuery),
    responses((status = 200, body = Vec<TeamOut>), (status = 400, body = Problem)))]
pub(crate) async fn teams(
    State(state): State<AppState>,
    Params(query): Params<ZoneQuery>,
) -> Result<Json<Vec<TeamOut>>, Problem> {
    let zone = zone(query.zone.as_deref())?;
    Ok(Json(all_teams(&state, &zone).await?))
}

/// Everybody, with when they are on call.
pub(crate) async fn all(state: &AppState) -> Result<Vec<PersonOut>, Problem> {
    let ruleset = state.configured().ruleset.clone();
    let now = state.now();
    let until = now.saturating_add(DUTY_AHEAD).unwrap_or(Timestamp::MAX);
    let run_time = run_time(state, now).await?;
    let shifts = ruleset
        .schedules
        .iter()
        .map(|(name, schedule)| (name.as_str(), schedule.shifts(run_time.of(name), now, until)));
    let shifts: BTreeMap<&str, Vec<Shift>> = shifts.collect();
    let roster = state.roster();
    let out = |(name, person): (&String, &Person)| PersonOut {
        left: roster.gone().get(name).cloned(),
        ..person_out(&ruleset, name, person, &shifts, now)
    };
    Ok(ruleset.people.iter().map(out).collect())
}

/// Every team, with who is on call for it.
pub(crate) async fn all_teams(state: &AppState, zone: &Zone) -> Result<Vec<TeamOut>, Problem> {
    let ruleset = state.configured().ruleset.clone();
    let stands = stands(state, &ruleset, state.now()).await?;
    let roster = state.roster();
    let out = |(name, team): (&String, &Team)| TeamOut {
        directory: roster.members(name).map(|members| members.iter().cloned().collect()),
        ..team_out(&ruleset, name, team, &stands, zone)
    };
    Ok(ruleset.teams.iter().map(out).collect())
}

fn person_out(
    ruleset: &Ruleset,
    name: &str,
    person: &Person,
    shifts: &BTreeMap<&str, Vec<Shift>>,
    now: Timestamp,
) -> PersonOut {
    let has = |shift: &&Shift| shift.on_call.users.iter().any(|user| user == name);
    let on_call = shifts.iter().filter(|(_, shifts)| shifts.first().as_ref().is_some_and(has));
    let next = shifts.iter().filter_map(|(schedule, shifts)| {
        let shift = shifts.iter().filter(|shift| shift.start > now).find(has)?;
        Some((shift, *schedule))
    });
    let next = next.min_by_key(|(shift, _)| shift.start).map(|(shift, schedule)| DutyOut {
        schedule: schedule.to_owned(),
        start: local(&person.zone, shift.start),
        end: local(&person.zone, shift.end),
    });
    let member = |(_, team): &(&String, &Team)| team.members.iter().any(|member| member == name);
    PersonOut {
        name: name.to_owned(),
        title: person.name.clone().unwrap_or_else(|| name.to_owned()),
        zone: person.zone.name().to_owned(),
        local_time: local(&person.zone, now),
        aliases: person.aliases.clone(),
        contacts: person.contacts.iter().map(ContactOut::from).collect(),
        quiet: person.quiet.as_ref().map(|quiet| QuietOut {
            during: serde_json::to_value(&quiet.during).unwrap_or_default(),
            below: quiet.below,
        }),
        teams: ruleset.teams.iter().filter(member).map(|(team, _)| team.clone()).collect(),
        on_call: on_call.map(|(schedule, _)| (*schedule).to_owned()).collect(),
        next,
        left: None,
    }
}

fn team_out(ruleset: &Ruleset, name: &str, team: &Team, stands: &BTreeMap<String, Stand>, zone: &Zone) -> TeamOut {
    let policy = team.escalation.as_ref().and_then(|name| ruleset.escalations.get_key_value(name));
    let targets = policy.iter().flat_map(|(_, policy)| policy.steps.iter().flat_map(|step| &step.targets));
    let schedules: BTreeSet<&String> = targets
        .filter_map(|target| match target {
            Target::OnCall(schedule) => Some(schedule),
            Target::Person(_) | Target::Team(_) | Target::Channel(_) => None,
        })
        .collect();
    let on_call = schedules.into_iter().filter_map(|schedule| stands.get_key_value(schedule));
    TeamOut {
        name: name.to_owned(),
        aliases: team.aliases.clone(),
        members: NamedOut::all(ruleset, &team.members),
        notify: team.notify.iter().map(NotifyOut::from).collect(),
        escalation: policy.map(|(name, policy)| PolicyOut::new(name, policy)),
        escalate_from: team.escalate_from.unwrap_or(Severity::Warning),
        on_call: on_call.map(|(schedule, stand)| on_call_out(schedule, stand, ruleset, zone)).collect(),
        default: ruleset.owners.default == name,
        directory: None,
    }
}
