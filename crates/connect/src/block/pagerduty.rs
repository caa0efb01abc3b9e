//! PagerDuty, Events API v2. Where Prefect only ever opens new alerts, the alert's key makes a repeat the same alert,
//! and a condition that clears resolves it. The body stands where Prefect puts it, in `custom_details` under
//! [`BODY_DETAIL`], so that event rules go on working. The REST key of the block is not needed and not sent.

use super::{NotifyType, Occasion};
use crate::far_end::{HttpRequest, Repeat, Request, Wire};
use crate::pagerduty::send::{SUMMARY_CHARS, fit};
use crate::template::truncate_utf16;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trackside_core::automation::firing::FiringState;

/// Name of the detail that holds the body.
const BODY_DETAIL: &str = "Prefect Notification Body";

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pagerduty {
    #[serde(default)]
    notify_type: NotifyType,
    integration_key: SecretString,
    #[serde(default = "default_source")]
    source: Option<String>,
    #[serde(default = "default_component")]
    component: String,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    class_id: Option<String>,
    #[serde(default)]
    region_name: Region,
    #[serde(default)]
    clickable_url: Option<String>,
    #[serde(default)]
    custom_details: Option<BTreeMap<String, String>>,
}

/// Where the account is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Region {
    #[default]
    Us,
    Eu,
}

fn default_source() -> Option<String> {
    Some("Prefect".to_owned())
}

fn default_component() -> String {
    "Notification".to_owned()
}

impl Pagerduty {
    pub(super) fn request(&self, subject: &str, body: &str, occasion: &Occasion<'_>) -> Request {
        let url = match self.region_name {
            Region::Us => "https://events.pagerduty.com/v2/enqueue",
            Region::Eu => "https://events.eu.pagerduty.com/v2/enqueue",
        };
        let event = match occasion.state {
            FiringState::Triggered => self.trigger(subject, body, occasion.alert),
            FiringState::Resolved => json!({ "event_action": "resolve" }),
        };
        let mut event = event;
        event["routing_key"] = json!(self.integration_key.expose_secret());
        event["dedup_key"] = json!(occasion.alert);
        let http = HttpRequest::new(::http::Method::POST, url).body("application/json", fit(event));
        Request::new(Wire::Http(http), Repeat::Harmless, vec![self.integration_key.clone()])
    }

    fn trigger(&self, subject: &str, body: &str, alert: &str) -> Value {
        let first_line = body.trim().lines().next().unwrap_or_default();
        let summary = [subject.trim(), first_line, alert].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let mut details: BTreeMap<&str, &str> =
            self.custom_details.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        details.insert(BODY_DETAIL, body);
        let mut payload = json!({
            "summary": truncate_utf16(summary, SUMMARY_CHARS),
            "severity": match self.notify_type {
                NotifyType::Info | NotifyType::Success => "info",
                NotifyType::Warning => "warning",
                NotifyType::Failure => "critical",
            },
            "source": self.source.as_deref().unwrap_or("Prefect"),
            "component": self.component,
            "custom_details": details,
        });
        for (name, value) in [("group", &self.group), ("class", &self.class_id)] {
            if let Some(value) = value {
                payload[name] = json!(value);
            }
        }
        let mut event = json!({ "event_action": "trigger", "client": "Trackside", "payload": payload });
        if let Some(href) = &self.clickable_url {
            event["links"] = json!([{ "href": href, "text": "More" }]);
        }
        event
    }
}
