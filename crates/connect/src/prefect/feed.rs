//! Reading a Prefect server's events again (`POST /events/filter`), because its live stream drops what a subscriber
//! does not take fast enough and reaches back 15 minutes only.
//!
//! The watermark is the latest time up to which everything was read. Each round asks from [`OVERLAP`] before it, oldest
//! first, page by page; what was seen before is recognised by its id. An event that reaches the server later than
//! [`OVERLAP`] after it happened is seen by the live stream only.

use super::door::{Origin, parse_one};
use crate::door::{Reject, decode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use trackside_core::event::Event;
use url::Url;

/// How far before the watermark a round begins.
pub const OVERLAP: SignedDuration = SignedDuration::from_mins(2);
/// Events in one page; also Prefect's maximum.
pub const PAGE: u32 = 50;
/// Path of the first page below the API's base; POST.
pub const FIRST_PATH: &str = "events/filter";

/// The body that asks for the first page of a round.
#[must_use]
pub fn first_page(watermark: Timestamp, now: Timestamp) -> Value {
    let since = watermark.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN);
    json!({
        "filter": {"occurred": {"since": since, "until": now}, "order": "ASC"},
        "limit": PAGE,
    })
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Its events, oldest first. One that cannot be read does not hide the others.
    pub events: Vec<Result<Event, Reject>>,
    /// Events in all pages together.
    pub total: u64,
    /// Path and query of the next page below the API's base; GET. None on the last page.
    pub next: Option<String>,
}

/// Reads a page.
///
/// The address of the next page is cut down to its token: behind a proxy it names a host that cannot be reached from
/// here, and a credential must not follow an address that a far end chose.
///
/// # Errors
/// When the answer is not a page of events.
pub fn read_page(body: &[u8], origin: &Origin<'_>) -> Result<Page, Reject> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
        #[serde(default)]
        total: u64,
        #[serde(default)]
        next_page: Option<String>,
    }
    let wire: Wire<'_> = decode(body)?;
    let read = |(index, event): (usize, &&RawValue)| {
        parse_one(event.get().as_bytes(), origin).map_err(|reject| reject.within(&format!("/events/{index}")))
    };
    Ok(Page {
        events: wire.events.iter().enumerate().map(read).collect(),
        total: wire.total,
        next: wire.next_page.as_deref().map(next_path).transpose()?,
    })
}

/// The watermark after a round: the latest event read, but not later than now, because a sender's clock may be ahead
/// and events of others between now and then would be skipped.
#[must_use]
pub fn advance(watermark: Timestamp, read: &[Event], now: Timestamp) -> Timestamp {
    let latest = read.iter().map(|event| event.occurred).max().unwrap_or(watermark);
    watermark.max(latest.min(now))
}

/// Base address of the pages that belong to an API's base address: a self-hosted server has them beside `/api`,
/// Prefect Cloud on another host.
#[must_use]
pub fn pages_of(api: &Url) -> Option<String> {
    let path = api.path().trim_end_matches('/');
    let mut pages = api.clone();
    pages.set_query(None);
    pages.set_fragment(None);
    if api.host_str() == Some("api.prefect.cloud") {
        let path = path.strip_prefix("/api/accounts/")?;
        let (account, workspace) = path.split_once("/workspaces/")?;
        return Some(format!("https://app.prefect.cloud/account/{account}/workspace/{workspace}"));
    }
    pages.set_path(path.strip_suffix("/api")?);
    Some(pages.as_str().trim_end_matches('/').to_owned())
}

fn next_path(address: &str) -> Result<String, Reject> {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "page-token");
    let Some((_, token)) = token else {
        return Err(Reject::shape("/next_page", "`next_page` has no `page-token`"));
    };
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("page-token", &token).finish();
    Ok(format!("events/filter/next?{query}"))
}
