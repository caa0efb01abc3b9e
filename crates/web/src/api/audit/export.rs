//! The audit as JSON lines, with the checkpoints that prove it.
//!
//! Lines: `{"key": {"name", "public"}}`, `{"head": …}` with the newest checkpoint, as the server remembers it outside the
//! database, then `{"row": …}` in order of completion, and after the rows of each checkpoint `{"checkpoint": …}`. `trackside audit verify` reads it, offline if need be. Sent bit by bit: memory does
//! not grow with the trail.

use crate::api::Params;
use crate::problem::Problem;
use crate::state::AppState;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::VecDeque;
use trackside_store::Store;
use trackside_store::audit::chain::{CHECKPOINT_ROWS, Checkpoint};
use utoipa::IntoParams;

/// Checkpoints read at a time.
const AHEAD: usize = 100;

/// Where to begin.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// Number of the first checkpoint; default: the oldest that is there.
    pub(crate) from: Option<u64>,
}

/// The whole audit, or from a checkpoint on, as JSON lines.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, body = String, content_type = "application/x-ndjson")))]
pub(crate) async fn export(
    State(state): State<AppState>,
    Params(query): Params<ExportQuery>,
) -> Result<Response, Problem> {
    let key = json!({"key": {"name": state.audit_key.name(), "public": state.audit_key.public()}});
    // Before the walk: what is sealed during it may be behind where it ends.
    let head = json!({"head": *state.audit_head.borrow()});
    let walk = Walk {
        store: state.store.clone(),
        number: query.from.unwrap_or(1).saturating_sub(1),
        waiting: VecDeque::new(),
        position: None,
        step: Step::Checkpoints,
    };
    let begin = stream::iter([Ok(Bytes::from(format!("{key}\n{head}\n")))]);
    let rest = stream::try_unfold(walk, Walk::next);
    let body = Body::from_stream(futures_util::StreamExt::chain(begin, rest));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Where the export is.
struct Walk {
    store: Store,
    /// The last checkpoint that was read.
    number: u64,
    waiting: VecDeque<Checkpoint>,
    /// The last row that was sent; nothing before the first.
    position: Option<u64>,
    step: Step,
}

enum Step {
    Checkpoints,
    Unsealed,
    Over,
}

impl Walk {
    /// The next piece: a checkpoint with its rows, or rows that are not sealed yet.
    async fn next(mut self) -> trackside_store::Result<Option<(Bytes, Self)>> {
        loop {
            match self.step {
                Step::Over => return Ok(None),
                Step::Checkpoints => {
                    if self.waiting.is_empty() {
                        self.waiting = self.store.checkpoints_after(self.number, AHEAD).await?.into();
                    }
                    let Some(checkpoint) = self.waiting.pop_front() else {
                        // None was asked for that is there: what is sealed is not what comes next.
                        if self.position.is_none() {
                            self.position = self.store.last_checkpoint().await?.map(|made| made.last);
                        }
                        self.step = Step::Unsealed;
                        continue;
                    };
                    // Whatever stands between two checkpoints, or before the first, is sent: it must not be there.
                    let oldest = self.position.is_none() && self.number == 0;
                    let begin = if oldest { 0 } else { self.position.map_or(checkpoint.first, |last| last + 1) };
                    self.number = checkpoint.number;
                    self.position = Some(checkpoint.last);
                    let rows = self.store.audit_from(begin, CHECKPOINT_ROWS).await?;
                    let rows: Vec<_> = rows.iter().filter(|row| row.position <= checkpoint.last).collect();
                    let mut text = String::new();
                    rows.iter().for_each(|row| push(&mut text, "row", row));
                    push(&mut text, "checkpoint", &checkpoint);
                    return Ok(Some((Bytes::from(text), self)));
                }
                Step::Unsealed => {
                    let begin = self.position.map_or(0, |last| last + 1);
                    let rows = self.store.audit_from(begin, CHECKPOINT_ROWS).await?;
                    let Some(last) = rows.last() else {
                        self.step = Step::Over;
                        continue;
                    };
                    self.position = Some(last.position);
                    let mut text = String::new();
                    rows.iter().for_each(|row| push(&mut text, "row", row));
                    return Ok(Some((Bytes::from(text), self)));
                }
            }
        }
    }
}

/// Adds a line.
fn push<T: Serialize>(text: &mut String, kind: &str, value: &T) {
    text.push_str(&json!({kind: value}).to_string());
    text.push('\n');
}
