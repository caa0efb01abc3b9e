//! The JSON API under `/api/v1`, described by OpenAPI.
//!
//! Handlers are thin: parse parameters, ask the store, answer with a type of [`model`]. Errors are [`Problem`]s.

pub(crate) mod access;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod automations;
pub(crate) mod calendar;
pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod credentials;
pub(crate) mod decided;
pub(crate) mod deliveries;
pub(crate) mod docs;
pub(crate) mod drift;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod health;
pub(crate) mod incidents;
pub(crate) mod jobs;
pub(crate) mod maintenance;
pub(crate) mod model;
pub(crate) mod names;
pub(crate) mod oncall;
pub(crate) mod overrides;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod prefect;
pub(crate) mod reports;
pub(crate) mod runs;
pub(crate) mod secrets;
pub(crate) mod sessions;
pub(crate) mod silences;
pub(crate) mod span;
pub(crate) mod stream;
pub(crate) mod tokens;

use crate::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// Items on a page when the caller does not say.
const PAGE_DEFAULT: usize = 50;
/// Longest JSON body of the API, in bytes (the doors have their own limit).
const BODY_BYTES: usize = 64 * 1024;

/// Query parameters; what does not parse is a [`Problem`].
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(params) =
            Query::from_request_parts(parts, state).await.map_err(|bad| Problem::bad("query", bad.body_text()))?;
        Ok(Self(params))
    }
}

/// Parts of the path; what does not parse is a [`Problem`].
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(segments) =
            Path::from_request_parts(parts, state).await.map_err(|bad| Problem::bad("path", bad.body_text()))?;
        Ok(Self(segments))
    }
}

/// A JSON body; what does not parse is a [`Problem`].
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES)
            .await
            .map_err(|_| Problem::new(http::StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB"))?;
        let value = serde_json::from_slice(&bytes).map_err(|error| Problem::bad("body", error.to_string()))?;
        Ok(Self(value))
    }
}

/// An id in the path.
pub(crate) fn id<T: FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::bad("id", format!("`{text}` is not the id of {what}; ids are UUIDs")))
}

/// A word of a fixed set in the query; empty means "any".
pub(crate) fn word<T: DeserializeOwned>(at: &str, text: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map(Some)
        .map_err(|error| Problem::bad(at, error.to_string()))
}

/// A text in the query; empty means "any".
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
