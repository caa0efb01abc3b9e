//! Everything that belongs to one incident: what happened, who was paged, who will be, and which others it goes with.

use crate::api::oncall::{RunTime, run_time};
use crate::problem::Problem;
use crate::state::AppState;
use jiff::Timestamp;
use serde::Serialize;
use trackside_core::decision::PageRecord;
use trackside_core::ids::IncidentId;
use trackside_core::incident::course::{Course, DueStep};
use trackside_core::incident::{Incident, IncidentState};
use trackside_core::limits;
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::people::Target;
use trackside_store::incidents::{IncidentDetail, Related};

/// Past incidents of the same pipeline, and of the same rules, that are shown.
const RELATED: usize = 5;
/// Members of a storm that are shown.
const MEMBERS: usize = 100;

/// An incident with everything that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    /// The incident with its alerts, audit, messages and reasons.
    pub(crate) detail: IncidentDetail,
    /// Who was paged, oldest first.
    pub(crate) pages: Vec<PageRecord>,
    /// Where its escalation stands, when one has begun.
    pub(crate) outlook: Option<Outlook>,
    /// The storm it is part of, or the incident it was merged into.
    pub(crate) parent: Option<Incident>,
    /// Incidents that are part of it, latest first.
    pub(crate) members: Vec<Incident>,
    /// Earlier incidents of the same pipeline, latest first.
    pub(crate) related: Vec<Incident>,
    /// Incidents of other pipelines in which one of its rules fired of late, latest first.
    pub(crate) alike: Vec<Incident>,
}

/// Where an escalation stands and how it goes on if nobody does anything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outlook {
    /// Name of the policy.
    pub(crate) policy: String,
    /// Whether time moves it on.
    pub(crate) stands: Stands,
    /// When it starts again by itself.
    pub(crate) restarts: Option<Timestamp>,
    /// The steps to come, first to be taken first.
    pub(crate) to_come: Vec<Ahead>,
}

/// Whether time moves an escalation on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stands {
    /// Its next step comes when it is due.
    Running,
    /// Somebody has it.
    Acknowledged,
    /// It was put off.
    Snoozed,
    /// Something holds it back.
    Suspended,
    /// No step is left.
    Finished,
    /// The incident is resolved.
    Over,
}

/// A step to come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ahead {
    /// When.
    pub(crate) due: Timestamp,
    /// Step of the policy, from 0.
    pub(crate) step: usize,
    /// Repetition, from 0.
    pub(crate) cycle: u32,
    /// Whom it is for, and the people that means at that time as things are planned now.
    pub(crate) targets: Vec<(Target, Vec<String>)>,
}

/// The story of the incident with this id or number.
pub(crate) async fn read(state: &AppState, text: &str) -> Result<Story, Problem> {
    let detail = super::find(state, text).await?;
    of(state, detail).await
}

/// The story of an incident that is at hand.
pub(crate) async fn of(state: &AppState, detail: IncidentDetail) -> Result<Story, Problem> {
    let incident = &detail.incident;
    let pages = state.store.pages_of(incident.id).await?;
    let parent = match incident.parent {
        Some(id) => by_id(state, id).await?,
        None => None,
    };
    let members = state.store.members_of(incident.id, MEMBERS).await?;
    let Related { same_pipeline, same_rule } = state.store.related_incidents(incident, RELATED).await?;
    let outlook = match &incident.course {
        Some(course) => {
            let ruleset = state.configured().ruleset.clone();
            let run_time = run_time(state, state.now()).await?;
            Some(outlook(incident, course, &ruleset, &run_time))
        }
        None => None,
    };
    Ok(Story { pages, outlook, parent, members, related: same_pipeline, alike: same_rule, detail })
}

async fn by_id(state: &AppState, id: IncidentId) -> Result<Option<Incident>, Problem> {
    Ok(state.store.incident(id).await?.map(|detail| detail.incident))
}

fn outlook(incident: &Incident, course: &Course, ruleset: &Ruleset, run_time: &RunTime) -> Outlook {
    let stands = match incident.state {
        IncidentState::Resolved => Stands::Over,
        IncidentState::Acknowledged => Stands::Acknowledged,
        IncidentState::Snoozed => Stands::Snoozed,
        IncidentState::Triggered if course.is_suspended() => Stands::Suspended,
        IncidentState::Triggered if course.next_step().is_none() => Stands::Finished,
        IncidentState::Triggered => Stands::Running,
    };
    let restarts = course.timeout().filter(|_| stands != Stands::Over);
    let mut ahead = course.clone();
    if let Some(at) = restarts {
        ahead.restart(at);
    }
    let steps = if stands == Stands::Over { Vec::new() } else { ahead.outlook(limits::OUTLOOK) };
    let people = |target: &Target, at: Timestamp| match target {
        Target::Person(name) if run_time.is_gone(name) => Vec::new(),
        Target::Person(name) => vec![name.clone()],
        Target::OnCall(name) => {
            let changes = run_time.of(name);
            ruleset.schedules.get(name).map(|schedule| schedule.on_call(changes, at).users).unwrap_or_default()
        }
        Target::Team(_) | Target::Channel(_) => Vec::new(),
    };
    let step = |step: DueStep| Ahead {
        due: step.due,
        step: step.step,
        cycle: step.cycle,
        targets: step.targets.into_iter().map(|target| (target.clone(), people(&target, step.due))).collect(),
    };
    let to_come = steps.into_iter().map(step).collect();
    Outlook { policy: course.policy_name.clone(), stands, restarts, to_come }
}
