//! `/Groups` (RFC 7644 §3).

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
use std::collections::BTreeSet;
use trackside_identity::scim::error::ScimError;
use trackside_identity::scim::group::{Change, Emptied, Group};
use trackside_identity::scim::patch as patches;
use trackside_store::directory::{Entry, EntryKind, Keep, MemberEdit, NewEntry};
use uuid::Uuid;

const KIND: EntryKind = EntryKind::Group;

/// `GET /Groups`
pub(crate) async fn list(State(state): State<AppState>, parameters: Parameters) -> Result<Response, Refused> {
    listing::list(&state, KIND, &parameters).await
}

/// `GET /Groups/{id}`
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

/// `POST /Groups`
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Refused> {
    let group = Group::parse(body)?;
    expect_free(&state, KIND, &group.display, None).await?;
    expect_room(&state, KIND).await?;
    expect_known(&state, &group.members).await?;
    let Group { display, external_id, members, attributes } = group;
    let new = NewEntry {
        id: state.new_id(),
        kind: KIND,
        name: display,
        external_id,
        active: true,
        body: Value::Object(attributes),
    };
    let members: Vec<Uuid> = members.into_iter().collect();
    let entry = state.store.directory_create(new, &members, state.now(), &who.caller).await?;
    follow(&state, &who).await?;
    let body = shown(&state, &entry, &Wanted::default()).await?;
    Ok(answer::one(&state, StatusCode::CREATED, &headers, &entry, body))
}

/// `PUT /Groups/{id}`
pub(crate) async fn replace(
    State(state): State<AppState>,
    Path(id): Path<String>,
    who: Who,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Refused> {
    let entry = find(&state, KIND, &id).await?;
    let group = Group::parse(body)?;
    let change = Change::exactly(group.members.clone());
    write(&state, &who, &headers, entry, group, change).await
}

/// `PATCH /Groups/{id}`
pub(crate) async fn patch(
    State(state): State<AppState>,
    Path(id): Path<String>,
    who: Who,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Refused> {
    let entry = find(&state, KIND, &id).await?;
    let mut group = kept(&entry);
    let change = group.patch(entry.id, patches::parse(&body)?)?;
    write(&state, &who, &headers, entry, group, change).await
}

/// `DELETE /Groups/{id}`
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

async fn write(
    state: &AppState,
    who: &Who,
    headers: &HeaderMap,
    entry: Entry,
    group: Group,
    change: Change,
) -> Result<Response, Refused> {
    expect_version(headers, &entry)?;
    expect_free(state, KIND, &group.display, Some(entry.id)).await?;
    expect_known(state, &change.add).await?;
    let Group { display, external_id, attributes, .. } = group;
    let wished = Entry { name: display, external_id, body: Value::Object(attributes), ..entry };
    let members = MemberEdit {
        keep: if change.emptied == Emptied::Yes { Keep::None } else { Keep::All },
        remove: change.remove.into_iter().collect(),
        add: change.add.into_iter().collect(),
    };
    let entry = state.store.directory_update(wished, &members, state.now(), &who.caller).await?;
    follow(state, who).await?;
    let body = shown(state, &entry, &Wanted::default()).await?;
    Ok(answer::one(state, StatusCode::OK, headers, &entry, body))
}

/// Refuses members that are no users here.
async fn expect_known(state: &AppState, members: &BTreeSet<Uuid>) -> Result<(), Refused> {
    let known = state.store.directory_known(members).await?;
    match members.difference(&known).next() {
        Some(unknown) => Err(ScimError::invalid_value(format!("there is no user {unknown}")).into()),
        None => Ok(()),
    }
}

/// A group as it is kept; its members stand elsewhere.
fn kept(entry: &Entry) -> Group {
    Group {
        display: entry.name.clone(),
        external_id: entry.external_id.clone(),
        members: BTreeSet::new(),
        attributes: entry.body.as_object().cloned().unwrap_or_default(),
    }
}

/// A group as it is shown.
pub(super) async fn shown(state: &AppState, entry: &Entry, wanted: &Wanted) -> Result<Map<String, Value>, Refused> {
    let mut members = None;
    if wanted.shows("members") {
        let base = base(state);
        let all = state.store.directory_members(entry.id).await?.into_iter().map(|membership| {
            let (id, name) = (membership.member, membership.member_name);
            json!({"value": id, "display": name, "$ref": format!("{base}/Users/{id}"), "type": "User"})
        });
        members = Some(all.collect());
    }
    Ok(wanted.cut(answer::resource(state, entry, kept(entry).shown(members))))
}
