//! Runs and pipelines in the API.

use crate::api::model::{PageOut, PipelineOut, RunDetailOut, RunOut};
use crate::api::{PAGE_DEFAULT, Params, Segments, filled, word};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use trackside_core::run::RunKey;
use trackside_store::runs::{PipelineFilter, RunDetail, RunFilter};
use utoipa::IntoParams;

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunQuery {
    /// `scheduled`, `running`, `held`, `retrying`, `succeeded`, `failed`, `skipped` or `cancelled`.
    pub(crate) state: Option<String>,
    /// Only of this source.
    pub(crate) source: Option<String>,
    /// Only of this pipeline.
    pub(crate) pipeline: Option<String>,
    /// Only of this team.
    pub(crate) owner: Option<String>,
    /// Only runs whose pipeline or name contains this.
    pub(crate) q: Option<String>,
    /// Only older than this position (`next` of the page before).
    pub(crate) before: Option<u64>,
    /// Most items, at most 500.
    pub(crate) limit: Option<usize>,
}

impl RunQuery {
    /// The store's filter.
    pub(crate) fn filter(&self) -> Result<RunFilter, Problem> {
        Ok(RunFilter {
            state: word("state", self.state.as_deref())?,
            source: filled(self.source.clone()),
            pipeline: filled(self.pipeline.clone()),
            owner: filled(self.owner.clone()),
            text: filled(self.q.clone()),
            before: self.before,
            limit: self.limit.unwrap_or(PAGE_DEFAULT),
        })
    }
}

/// Which pipelines.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PipelineQuery {
    /// Only of this source.
    source: Option<String>,
    /// Only of this team.
    owner: Option<String>,
    /// Only names that contain this.
    q: Option<String>,
    /// With `after_name`: only those after this source and name in order.
    after_source: Option<String>,
    /// With `after_source`.
    after_name: Option<String>,
    /// Most items, at most 500.
    limit: Option<usize>,
}

/// Runs, latest heard of first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(RunQuery),
    responses((status = 200, body = PageOut<RunOut>), (status = 400, body = Problem)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Params(query): Params<RunQuery>,
) -> Result<Json<PageOut<RunOut>>, Problem> {
    let page = state.store.runs(&query.filter()?).await?;
    Ok(Json(PageOut::of(&page)))
}

/// One run with its attempts.
#[utoipa::path(get, path = "/api/v1/runs/{source}/{pipeline}/{run}", tag = "runs",
    params(("source" = String, Path), ("pipeline" = String, Path), ("run" = String, Path, description = "Name of the run")),
    responses((status = 200, body = RunDetailOut), (status = 404, body = Problem)))]
pub(crate) async fn get(
    State(state): State<AppState>,
    Segments(key): Segments<(String, String, String)>,
) -> Result<Json<RunDetailOut>, Problem> {
    Ok(Json(RunDetailOut::from(&find(&state, key).await?)))
}

/// The run of this key.
pub(crate) async fn find(
    state: &AppState,
    (source, pipeline, run): (String, String, String),
) -> Result<RunDetail, Problem> {
    let key = RunKey { source: source.into(), pipeline: pipeline.into(), run: run.into() };
    state.store.run(&key).await?.ok_or_else(|| Problem::missing("run", &key.run))
}

/// Pipelines with their figures, by source and name.
#[utoipa::path(get, path = "/api/v1/pipelines", tag = "runs", params(PipelineQuery),
    responses((status = 200, body = Vec<PipelineOut>), (status = 400, body = Problem)))]
pub(crate) async fn pipelines(
    State(state): State<AppState>,
    Params(query): Params<PipelineQuery>,
) -> Result<Json<Vec<PipelineOut>>, Problem> {
    let filter = PipelineFilter {
        source: filled(query.source),
        owner: filled(query.owner),
        text: filled(query.q),
        after: query.after_source.zip(query.after_name),
        limit: query.limit.unwrap_or(PAGE_DEFAULT),
    };
    let pipelines = state.store.pipelines(&filter).await?;
    Ok(Json(pipelines.iter().map(PipelineOut::from).collect()))
}
