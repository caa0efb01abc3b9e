//! The SCIM 2.0 door (RFC 7644): an identity provider writes people and groups here.
//!
//! Invariants: only a token with the scope `scim` comes in; every refusal has SCIM's form; a write names the version it
//! was made from when the caller says which; when the answer to a write leaves, access follows it already
//! ([`crate::roster`]). What attributes, filters and patches mean is in `trackside_identity::scim`.

pub(crate) mod about;
mod answer;
mod body;
pub(crate) mod groups;
mod listing;
pub(crate) mod users;

pub(crate) use answer::{Refused, nothing_there, refused};

use crate::auth::Who;
use crate::state::AppState;
use http::HeaderMap;
use http::header::IF_MATCH;
use trackside_identity::scim::error::ScimError;
use trackside_store::directory::{Entry, EntryFilter, EntryKind};
use uuid::Uuid;

/// Path of this door.
pub(crate) const BASE: &str = "/scim/v2";

/// Where this door stands, as the provider reaches it.
fn base(state: &AppState) -> String {
    let url = state.configured().public_url.clone();
    format!("{}{BASE}", url.as_str().trim_end_matches('/'))
}

/// What kind of resource, as SCIM names it.
fn type_of(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::User => "User",
        EntryKind::Group => "Group",
    }
}

async fn find(state: &AppState, kind: EntryKind, id: &str) -> Result<Entry, Refused> {
    let missing = || ScimError::not_found(type_of(kind), id);
    let parsed = Uuid::try_parse(id).map_err(|_| missing())?;
    Ok(state.store.directory_entry(kind, parsed).await?.ok_or_else(missing)?)
}

/// Refuses a write that was made from another version (RFC 7644 §3.14).
fn expect_version(headers: &HeaderMap, entry: &Entry) -> Result<(), Refused> {
    let Some(expected) = headers.get(IF_MATCH) else { return Ok(()) };
    let tags = expected.to_str().unwrap_or_default();
    let tag = answer::version(entry);
    if tags.trim() == "*"
        || tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag.trim_start_matches("W/"))
    {
        return Ok(());
    }
    Err(ScimError::new(412, format!("the resource has version {tag} now; read it again")).into())
}

/// Refuses a name that another entry has.
async fn expect_free(state: &AppState, kind: EntryKind, name: &str, own: Option<Uuid>) -> Result<(), Refused> {
    let filter = EntryFilter { name: Some(name.to_owned()), ..EntryFilter::all(kind) };
    let taken = state.store.directory_list(&filter, 0, 1).await?.pop();
    if taken.is_some_and(|taken| Some(taken.id) != own) {
        return Err(ScimError::uniqueness(format!("there is a {} `{name}` already", type_of(kind))).into());
    }
    Ok(())
}

/// Refuses one more than is kept.
async fn expect_room(state: &AppState, kind: EntryKind) -> Result<(), Refused> {
    let most = trackside_store::directory::ENTRIES;
    if state.store.directory_count(&EntryFilter::all(kind)).await? >= most as u64 {
        return Err(ScimError::too_many(format!("there are {most} entries of this kind already")).into());
    }
    Ok(())
}

/// Makes everything else follow a change.
async fn follow(state: &AppState, who: &Who) -> Result<(), Refused> {
    Ok(state.follow_people(&who.caller).await?)
}
