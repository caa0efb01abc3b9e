//! The story of an incident as a document, for the talk afterwards: JSON for programs, Markdown for people.
//!
//! Pure but for reading; the same facts as the incident's page. How the Markdown looks is in [`markdown`].

pub(crate) mod markdown;

use super::story::{self, Story};
use crate::api::model::{
    AffectedOut, AuditOut, ExplanationOut, FiredAlertOut, IncidentOut, LinkedOut, PagedOut, SentOut,
};
use crate::api::span::zone;
use crate::api::{Params, Segments, names};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use trackside_core::decision::{Explanation, Verdict};
use trackside_core::duty::zone::Zone;
use trackside_core::ids::Seq;
use trackside_core::incident::Incident;
use trackside_core::ruleset::Ruleset;
use trackside_store::audit::AuditRow;
use trackside_store::timeline::{Moment, Timeline};
use utoipa::{IntoParams, ToSchema};

/// In which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// For programs.
    #[default]
    Json,
    /// For people.
    Markdown,
}

/// In which form, and in whose time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimelineQuery {
    /// `json` (default) or `markdown`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub(crate) format: Format,
    /// Time zone of the times in Markdown, for example `Europe/Paris`; default UTC.
    pub(crate) zone: Option<String>,
}

/// What happened in an incident, from the beginning.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timeline)]
pub(crate) struct TimelineOut {
    /// The incident.
    pub(crate) incident: IncidentOut,
    /// From the opening until somebody first had it, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 252)]
    pub(crate) time_to_acknowledge_s: Option<i64>,
    /// Who first had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_acknowledged_by: Option<String>,
    /// From the opening until it was resolved (for the last time), in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3780)]
    pub(crate) time_to_resolve_s: Option<i64>,
    /// Alerts that fired in it, also those that are over, oldest first.
    pub(crate) alerts: Vec<FiredAlertOut>,
    /// Who was paged when, oldest first.
    pub(crate) pages: Vec<PagedOut>,
    /// Pipelines that failed because of it.
    pub(crate) affected: Vec<AffectedOut>,
    /// Incidents that are part of it.
    pub(crate) members: Vec<LinkedOut>,
    /// Everything that was decided and done, oldest first.
    pub(crate) steps: Vec<StepOut>,
    /// Why it opened, grew and ended.
    pub(crate) explanations: Vec<ExplanationOut>,
    /// True when there was more than is told: earlier steps are left out.
    pub(crate) cut: bool,
}

/// One thing that was decided or done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineStep)]
pub(crate) struct StepOut {
    /// What, by whom, and when. The summary of `incident.noted` is the note.
    #[serde(flatten)]
    pub(crate) row: AuditOut,
    /// The person behind `subject`, or the same when it is nobody's.
    pub(crate) by: String,
    /// Why: what the rules said about the cause.
    pub(crate) because: Vec<String>,
    /// Messages that it is about, and how they went.
    pub(crate) messages: Vec<SentOut>,
}

/// What happened in an incident, from the beginning: as JSON, or as a Markdown document.
#[utoipa::path(get, path = "/api/v1/incidents/{id}/timeline", tag = "incidents",
    params(("id" = String, Path, description = "Id or number of the incident"), TimelineQuery),
    responses((status = 200, body = TimelineOut, description = "With `format=markdown` a document of the type `text/markdown`"),
        (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn timeline(
    State(state): State<AppState>,
    Segments(text): Segments<String>,
    Params(query): Params<TimelineQuery>,
) -> Result<Response, Problem> {
    let zone: Zone = zone(query.zone.as_deref())?;
    let timeline = read(&state, &text).await?;
    Ok(match query.format {
        Format::Json => Json(timeline).into_response(),
        Format::Markdown => {
            let name = format!("inline; filename=\"incident-{}.md\"", timeline.incident.number);
            let headers = [(CONTENT_TYPE, "text/markdown; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
            (headers, markdown::render(&timeline, &zone)).into_response()
        }
    })
}

/// The timeline of the incident with this id or number.
pub(crate) async fn read(state: &AppState, text: &str) -> Result<TimelineOut, Problem> {
    let story = story::read(state, text).await?;
    let told = state.store.timeline(story.detail.incident.id).await?;
    let told = told.ok_or_else(|| Problem::missing("incident", text))?;
    Ok(of(&story, &told, &state.configured().ruleset))
}

fn of(story: &Story, told: &Timeline, ruleset: &Ruleset) -> TimelineOut {
    let incident = &told.incident;
    let reasons: BTreeMap<Seq, &Explanation> = story.detail.explanations.iter().map(|why| (why.seq, why)).collect();
    let taken = told.moments.iter().map(|moment| &moment.row).find(|row| row.action == "incident.acknowledged");
    let step = |moment: &Moment| StepOut {
        row: AuditOut::from(&moment.row),
        by: names::behind(ruleset, &moment.row.caller.subject).to_owned(),
        because: because(&moment.row, &reasons),
        messages: moment.deliveries.iter().map(SentOut::from).collect(),
    };
    TimelineOut {
        incident: IncidentOut::from(incident),
        time_to_acknowledge_s: taken.map(|row| since(incident, row.at)),
        first_acknowledged_by: taken.map(|row| names::behind(ruleset, &row.caller.subject).to_owned()),
        time_to_resolve_s: incident.resolved.map(|at| since(incident, at)),
        alerts: told.alerts.iter().map(FiredAlertOut::from).collect(),
        pages: told.moments.iter().filter_map(|moment| moment.page.as_ref()).map(PagedOut::from).collect(),
        affected: incident.affected.iter().map(AffectedOut::from).collect(),
        members: story.members.iter().map(LinkedOut::from).collect(),
        steps: told.moments.iter().map(step).collect(),
        explanations: story.detail.explanations.iter().map(ExplanationOut::from).collect(),
        cut: told.cut,
    }
}

fn since(incident: &Incident, at: Timestamp) -> i64 {
    at.duration_since(incident.opened).as_secs().max(0)
}

/// What the rules said about the cause of an alert that fired or ended.
fn because(row: &AuditRow, reasons: &BTreeMap<Seq, &Explanation>) -> Vec<String> {
    let wanted = match row.action.as_str() {
        "alert.fired" => Verdict::Fires,
        "alert.cleared" => Verdict::Clears,
        _ => return Vec::new(),
    };
    let why = row.decided.and_then(|(seq, _)| reasons.get(&seq));
    let rules = why.iter().flat_map(|why| &why.rules).filter(|rule| rule.verdict == wanted);
    rules.map(|rule| format!("rule {}: {}", rule.rule, rule.because)).collect()
}
