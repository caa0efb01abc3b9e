//! `/Users` (RFC 7644 §3).

use super::answer::{self, Refused, Wanted};
use super::body::Body;
use super::listing::{self, Parameters};
use super::{base, expect_free, expect_room, expect_version, find, follow};
use crate::auth::Who;
use crate::state::AppState;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use trackside_identity::scim::patch as patches;
use trackside_identity::scim::user::{Active, User};
use trackside_store::directory::{Entry, EntryKind, MemberEdit, NewEntry};

const KIND: EntryKind = EntryKind::User;

/// `GET /Users`
pub(crate) async fn list(State(state): State<AppState>, parameters: Parameters) -> Result<Response, Refused> {
    listing::list(&state, KIND, &parameters).await
}

/// `GET /Users/{id}`
pub(crate) async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let entry = find(&state, KIND, &id).await?;
    let body = shown(&state, &entry, &parameters.wanted()).await?;
    Ok(answer::one(&state, StatusCode::OK, &headers, &entry, body))
}

/// `POST /Users`
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Refused> {
    let user = User::parse(body)?;
    expect_free(&state, KIND, &user.user_name, None).await?;
    expect_room(&state, KIND).await?;
    let User { user_name, external_id, active, attributes } = user;
    let new = NewEntry {
        id: state.new_id(),
        kind: KIND,
        name: user_name,
        external_id,
        active,
        body: Value::Object(attributes),
    };
    let entry = state.store.directory_create(new, &[], state.now(), &who.caller).await?;
    follow(&state, &who).await?;
    let body = shown(&state, &entry, &Wanted::default()).await?;
    Ok(answer::one(&state, StatusCode::CREATED, &headers, &entry, body))
}

/// `PUT /Users/{id}`
pub(crate) async fn replace(
    State(state): State<AppState>,
    Path(id): Path<String>,
    who: Who,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Refused> {
    let entry = find(&state, KIND, &id).await?;
    let user = User::replacing(body, if entry.active { Active::Yes } else { Active::No })?;
    write(&state, &who, &headers, entry, user).await
}

/// `PATCH /Users/{id}`
pub(crate) async fn patch(
    State(state): State<AppState>,
    Path(id): Path<String>,
    who: Who,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Refused> {
    let entry = find(&state, KIND, &id).await?;
    let mut attributes = entry.body.as_object().cloned().unwrap_or_default();
    attributes.insert("id".to_owned(), json!(entry.id));
    patches::apply(&mut attributes, patches::parse(&body)?)?;
    let user = User::replacing(Value::Object(attributes), if entry.active { Active::Yes } else { Active::No })?;
    write(&state, &who, &headers, entry, user).await
}

/// `DELETE /Users/{id}`
pub(crate) async fn delete(
    State(state): State<AppState>,
    Path(id): Path<String>,
    who: Who,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let entry = find(&state, KIND, &id).await?;
    expect_version(&headers, &entry)?;
    state.store.directory_remove(&entry, state.now(), &who.caller).await?;
    follow(&state, &who).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Writes a user anew. What says the same as before is not written again.
async fn write(
    state: &AppState,
    who: &Who,
    headers: &HeaderMap,
    entry: Entry,
    user: User,
) -> Result<Response, Refused> {
    expect_version(headers, &entry)?;
    expect_free(state, KIND, &user.user_name, Some(entry.id)).await?;
    let User { user_name, external_id, active, attributes } = user;
    let wished = Entry { name: user_name, external_id, active, body: Value::Object(attributes), ..entry.clone() };
    let entry = if wished == entry {
        entry
    } else {
        state.store.directory_update(wished, &MemberEdit::default(), state.now(), &who.caller).await?
    };
    // Also when nothing changed: whoever repeats a change wants what follows from it.
    follow(state, who).await?;
    let body = shown(state, &entry, &Wanted::default()).await?;
    Ok(answer::one(state, StatusCode::OK, headers, &entry, body))
}

/// A user as it is shown.
pub(super) async fn shown(state: &AppState, entry: &Entry, wanted: &Wanted) -> Result<Map<String, Value>, Refused> {
    let user = User::parse(entry.body.clone())?;
    let mut groups = Vec::new();
    if wanted.shows("groups") {
        let base = base(state);
        for membership in state.store.directory_groups_of(entry.id).await? {
            let (id, name) = (membership.group, membership.group_name);
            groups.push(json!({"value": id, "display": name, "$ref": format!("{base}/Groups/{id}"), "type": "direct"}));
        }
    }
    Ok(wanted.cut(answer::resource(state, entry, user.shown(groups))))
}
