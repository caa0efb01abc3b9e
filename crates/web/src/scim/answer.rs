//! Answers in SCIM's form: resources with `meta` and an entity tag, lists, refusals.

use super::{base, type_of};
use crate::problem::Problem;
use crate::state::AppState;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use trackside_identity::scim::MEDIA_TYPE;
use trackside_identity::scim::error::ScimError;
use trackside_identity::scim::schema::LIST;
use trackside_store::Error as StoreError;
use trackside_store::directory::{Entry, EntryKind};

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(super) ScimError);

impl From<ScimError> for Refused {
    fn from(error: ScimError) -> Self {
        Self(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let problem = Problem::from(error);
        Self(ScimError::new(problem.status.as_u16(), problem.detail))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &self.0.body());
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"trackside\""));
        }
        response
    }
}

/// Nothing is there, in SCIM's words; what RFC 7644 has and is not here says so (§3.12).
pub(crate) fn nothing_there(mut problem: Problem, path: &str) -> Response {
    let missing = [
        ("/.search", "searches by POST are not supported; ask with GET and `filter`"),
        ("/Bulk", "bulk requests are not supported"),
    ];
    if let Some((_, detail)) = missing.iter().find(|(end, _)| path.ends_with(end)) {
        problem = Problem::new(StatusCode::NOT_IMPLEMENTED, *detail);
    }
    refused(problem)
}

/// A caller who may not, in SCIM's words.
#[allow(clippy::needless_pass_by_value, reason = "it stands where `Problem::into_response` does")]
pub(crate) fn refused(problem: Problem) -> Response {
    Refused(ScimError::new(problem.status.as_u16(), problem.detail)).into_response()
}

/// A document in SCIM's media type.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// The entity tag of an entry.
pub(super) fn version(entry: &Entry) -> String {
    format!("W/\"{}\"", entry.version)
}

/// A resource with what this server gives it.
pub(super) fn resource(state: &AppState, entry: &Entry, mut shown: Map<String, Value>) -> Map<String, Value> {
    shown.insert("id".to_owned(), json!(entry.id));
    let meta = json!({
        "resourceType": type_of(entry.kind),
        "created": entry.created,
        "lastModified": entry.changed,
        "version": version(entry),
        "location": location(state, entry),
    });
    shown.insert("meta".to_owned(), meta);
    shown
}

fn location(state: &AppState, entry: &Entry) -> String {
    let base = base(state);
    match entry.kind {
        EntryKind::User => format!("{base}/Users/{}", entry.id),
        EntryKind::Group => format!("{base}/Groups/{}", entry.id),
    }
}

/// One resource as an answer, with its tag and place; 304 when the caller has this version.
pub(super) fn one(
    state: &AppState,
    status: StatusCode,
    headers: &HeaderMap,
    entry: &Entry,
    body: Map<String, Value>,
) -> Response {
    let tag = version(entry);
    let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let mut response =
        if status == StatusCode::OK && known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            json(status, &Value::Object(body))
        };
    for (name, value) in [(ETAG, tag), (LOCATION, location(state, entry))] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A list (RFC 7644 §3.4.2).
pub(super) fn list(total: u64, start: u64, resources: &[Value]) -> Response {
    let body = json!({
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    });
    json(StatusCode::OK, &body)
}

/// Which attributes are wanted (RFC 7644 §3.9).
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    only: Option<BTreeSet<String>>,
    but: BTreeSet<String>,
}

impl Wanted {
    /// Of the parameters `attributes` and `excludedAttributes`. A sub-attribute stands for its attribute.
    pub(super) fn new(attributes: Option<&str>, excluded: Option<&str>) -> Self {
        let names = |text: &str| {
            let last = |name: &str| {
                name.rsplit(':').next().unwrap_or(name).split('.').next().unwrap_or(name).trim().to_lowercase()
            };
            text.split(',').map(last).filter(|name| !name.is_empty()).collect::<BTreeSet<String>>()
        };
        Self {
            only: attributes.map(names).filter(|names| !names.is_empty()),
            but: excluded.map(names).unwrap_or_default(),
        }
    }

    /// Whether an attribute (in lower case) is shown.
    pub(super) fn shows(&self, name: &str) -> bool {
        self.only.as_ref().map_or_else(|| !self.but.contains(name), |only| only.contains(name))
    }

    /// Leaves out what is not wanted. What identifies the resource stays.
    pub(super) fn cut(&self, mut resource: Map<String, Value>) -> Map<String, Value> {
        resource.retain(|name, _| {
            let name = name.to_lowercase();
            matches!(name.as_str(), "id" | "schemas" | "meta")
                || name.starts_with("urn:") && self.only.is_none()
                || self.shows(&name)
        });
        resource
    }
}
