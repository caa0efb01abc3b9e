//! Lists: filter, window, and what of it an index can answer.
//!
//! Invariant: a filter that names one entry or one group is answered from an index; others read the entries of their
//! kind page by page, of which there are a bounded number.

use super::answer::{self, Wanted};
use super::{Refused, groups, users};
use crate::state::AppState;
use axum::extract::{FromRequestParts, Query};
use axum::response::Response;
use http::request::Parts;
use serde::Deserialize;
use serde_json::Value;
use trackside_identity::scim::PAGE;
use trackside_identity::scim::error::ScimError;
use trackside_identity::scim::filter::{Filter, Operator};
use trackside_store::directory::{Entry, EntryFilter, EntryKind};
use trackside_store::page::PAGE_ITEMS;
use uuid::Uuid;

/// The parameters of a list (RFC 7644 §3.4.2).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    filter: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read = Query::from_request_parts(parts, state).await;
        let Query(parameters) = read.map_err(|bad| ScimError::invalid_value(bad.body_text()))?;
        Ok(parameters)
    }
}

impl Parameters {
    pub(super) fn wanted(&self) -> Wanted {
        Wanted::new(self.attributes.as_deref(), self.excluded_attributes.as_deref())
    }
}

/// What of a filter an index answers.
enum Narrowed {
    /// All of it.
    Whole(EntryFilter),
    /// A part; the rest is looked at entry by entry.
    Part(EntryFilter),
    /// Nothing can pass.
    Nothing,
}

/// Answers a list of entries of a kind.
pub(super) async fn list(state: &AppState, kind: EntryKind, parameters: &Parameters) -> Result<Response, Refused> {
    let filter = match parameters.filter.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Some(Filter::parse(text)?),
        None => None,
    };
    let start = u64::try_from(parameters.start_index.unwrap_or(1)).unwrap_or(1).max(1);
    let most = i64::try_from(PAGE).unwrap_or(i64::MAX);
    let count = usize::try_from(parameters.count.unwrap_or(most).clamp(0, most)).unwrap_or(0);
    let wanted = parameters.wanted();
    let (total, entries) = match (narrow(kind, filter.as_ref()), &filter) {
        (Narrowed::Nothing, _) => (0, Vec::new()),
        (Narrowed::Part(select), Some(filter)) => scan(state, &select, filter, start, count).await?,
        (Narrowed::Whole(select) | Narrowed::Part(select), _) => {
            let total = state.store.directory_count(&select).await?;
            let entries = match count {
                0 => Vec::new(),
                count => state.store.directory_list(&select, start - 1, count).await?,
            };
            (total, entries)
        }
    };
    let mut resources = Vec::with_capacity(entries.len());
    for entry in &entries {
        resources.push(Value::Object(shown(state, entry, &wanted).await?));
    }
    Ok(answer::list(total, start, &resources))
}

async fn shown(state: &AppState, entry: &Entry, wanted: &Wanted) -> Result<serde_json::Map<String, Value>, Refused> {
    match entry.kind {
        EntryKind::User => users::shown(state, entry, wanted).await,
        EntryKind::Group => groups::shown(state, entry, wanted).await,
    }
}

/// Looks at every entry that the index leaves.
async fn scan(
    state: &AppState,
    select: &EntryFilter,
    filter: &Filter,
    start: u64,
    count: usize,
) -> Result<(u64, Vec<Entry>), Refused> {
    // What costs a question each is read only when the filter asks for it.
    let related = match select.kind {
        EntryKind::User => "groups",
        EntryKind::Group => "members",
    };
    let needed = if filter.mentions(related) { None } else { Some(related) };
    let wanted = Wanted::new(None, needed);
    let (mut total, mut found, mut offset) = (0, Vec::new(), 0);
    loop {
        let entries = state.store.directory_list(select, offset, PAGE_ITEMS).await?;
        let read = entries.len();
        for entry in entries {
            let resource = Value::Object(shown(state, &entry, &wanted).await?);
            if filter.matches(&resource) {
                total += 1;
                if total >= start && found.len() < count {
                    found.push(entry);
                }
            }
        }
        if read < PAGE_ITEMS {
            return Ok((total, found));
        }
        offset += read as u64;
    }
}

fn narrow(kind: EntryKind, filter: Option<&Filter>) -> Narrowed {
    let mut select = EntryFilter::all(kind);
    let Some(filter) = filter else { return Narrowed::Whole(select) };
    let mut used = 0;
    for (name, sub, text) in filter.must_equal() {
        used += 1;
        match (kind, name, sub) {
            (EntryKind::User, "username", None) | (EntryKind::Group, "displayname", None) => {
                select.name = Some(text.to_owned());
            }
            (_, "externalid", None) => select.external_id = Some(text.to_owned()),
            (_, "id", None) => match Uuid::try_parse(text) {
                Ok(id) => select.id = Some(id),
                Err(_) => return Narrowed::Nothing,
            },
            (EntryKind::Group, "members", None | Some("value")) => match Uuid::try_parse(text) {
                Ok(member) => select.member = Some(member),
                Err(_) => return Narrowed::Nothing,
            },
            _ => used -= 1,
        }
    }
    let single = matches!(filter, Filter::Compare(_, Operator::Eq, _));
    if single && used == 1 { Narrowed::Whole(select) } else { Narrowed::Part(select) }
}
