//! How the secrets of secret managers stand: where from, since when, until when. Never what they are.

use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use trackside_identity::secret::{SecretStatus, Standing};
use utoipa::ToSchema;

/// How a secret of a secret manager stands. Its value is never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
pub(crate) struct SecretOut {
    /// The reference, in words.
    pub(crate) secret: String,
    /// The secret manager, by its name in `vaults`.
    pub(crate) source: String,
    /// Places of the configuration that use it.
    pub(crate) used_by: Vec<String>,
    /// `fresh`, `kept` (the last fetch failed, the value before it is in use) or `missing`.
    pub(crate) state: &'static str,
    /// When the value in use was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fetched: Option<Timestamp>,
    /// How old the value in use is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) age_s: Option<i64>,
    /// When it ends by itself, where the secret manager says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    /// When it is fetched next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Timestamp>,
    /// Version in use, as the secret manager names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Why the last fetch failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Since when fetching fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failing_since: Option<Timestamp>,
}

impl SecretOut {
    fn of(status: SecretStatus, now: Timestamp) -> Self {
        Self {
            age_s: status.fetched.map(|at| now.duration_since(at).as_secs()),
            secret: status.secret,
            source: status.source,
            used_by: status.used_by,
            state: match status.state {
                Standing::Fresh => "fresh",
                Standing::Kept => "kept",
                Standing::Missing => "missing",
            },
            fetched: status.fetched,
            expires: status.expires,
            next: status.next,
            version: status.version,
            error: status.error,
            failing_since: status.failing_since,
        }
    }
}

/// Every secret of a secret manager that is in use.
pub(crate) fn all(state: &AppState) -> Vec<SecretOut> {
    let now = state.now();
    state.secrets.status().into_iter().map(|status| SecretOut::of(status, now)).collect()
}

/// How the secrets of secret managers stand: where from, since when, until when, what went wrong. Never their values.
#[utoipa::path(get, path = "/api/v1/secrets", tag = "connections", responses((status = 200, body = Vec<SecretOut>)))]
pub(crate) async fn list(State(state): State<AppState>) -> Json<Vec<SecretOut>> {
    Json(all(&state))
}
