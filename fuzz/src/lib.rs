//! What the fuzz targets share: a delivery of any body, and what must hold of every event that comes out.

pub mod duty;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;
use trackside_connect::door::{Delivered, Reject};
use trackside_connect::prefect::door::Origin;
use trackside_connect::redact;
use trackside_core::event::Event;
use uuid::Uuid;

/// Delivers a body. A first byte that is no JSON and no form chooses the content type, so that every mode is reached.
pub fn knock(parse: impl Fn(&Delivered<'_>, Uuid) -> Result<Vec<Event>, Reject>, body: &[u8]) {
    let (kind, body) = match body.split_first() {
        Some((0, rest)) => ("application/x-www-form-urlencoded", rest),
        Some((1, rest)) => ("application/cloudevents+json", rest),
        Some((2, rest)) => ("application/cloudevents-batch+json", rest),
        _ => ("application/json", body),
    };
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
    let delivered =
        Delivered { headers: &headers, body, token: "fuzz", team: Some("team"), received: Timestamp::UNIX_EPOCH };
    let Ok(events) = parse(&delivered, Uuid::from_u128(1)) else { return };
    for event in events {
        assert!(event.validate().is_ok());
        let mut again = event.clone();
        redact::event(&mut again);
        assert_eq!(event, again);
    }
}

/// Where frames and pages come from.
pub fn origin() -> Origin<'static> {
    Origin { source: "fuzz", team: None, pages: Some("http://fuzz"), received: Timestamp::UNIX_EPOCH }
}
