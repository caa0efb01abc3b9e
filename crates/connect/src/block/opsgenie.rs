//! Opsgenie, Alert API v2. One alert with all responders; its alias is the block's, else the alert's key, so that a
//! repeat counts on the open alert and a condition that clears closes it. Limits: message 130 characters, description
//! 15 000, alias and entity 512.
//!
//! `priority` is sent as `P` and the number, as Prefect does today, where P1 is the most urgent.

use super::{NotifyType, Occasion, pagerduty::Region};
use crate::far_end::{HttpRequest, Repeat, Request, Wire};
use crate::template::truncate_utf16;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trackside_core::automation::firing::FiringState;
use uuid::Uuid;

const MESSAGE_CHARS: usize = 130;
const DESCRIPTION_CHARS: usize = 15_000;
const ALIAS_CHARS: usize = 512;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Opsgenie {
    #[serde(default)]
    notify_type: NotifyType,
    apikey: SecretString,
    #[serde(default)]
    target_user: Option<Vec<String>>,
    #[serde(default)]
    target_team: Option<Vec<String>>,
    #[serde(default)]
    target_schedule: Option<Vec<String>>,
    #[serde(default)]
    target_escalation: Option<Vec<String>>,
    #[serde(default)]
    region_name: Region,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    priority: Option<i64>,
    #[serde(default)]
    alias: Option<String>,
    #[serde(default)]
    entity: Option<String>,
    #[serde(default)]
    details: Option<BTreeMap<String, String>>,
}

impl Opsgenie {
    pub(super) fn request(&self, subject: &str, body: &str, occasion: &Occasion<'_>) -> Request {
        let base = match self.region_name {
            Region::Us => "https://api.opsgenie.com/v2/alerts",
            Region::Eu => "https://api.eu.opsgenie.com/v2/alerts",
        };
        let alias = self.alias.as_deref().filter(|alias| !alias.is_empty()).unwrap_or(occasion.alert);
        let alias = truncate_utf16(alias, ALIAS_CHARS);
        let (url, payload) = match occasion.state {
            FiringState::Triggered => (base.to_owned(), self.alert(subject, body, &alias)),
            FiringState::Resolved => {
                let alias: String = url::form_urlencoded::byte_serialize(alias.as_bytes()).collect();
                let note = truncate_utf16(&super::joined(subject, body), DESCRIPTION_CHARS);
                let close = format!("{base}/{}/close?identifierType=alias", alias.replace('+', "%20"));
                (close, json!({ "source": "Trackside", "note": note }))
            }
        };
        let key = format!("GenieKey {}", self.apikey.expose_secret());
        let http = HttpRequest::new(::http::Method::POST, url).json(&payload).header("authorization", key);
        Request::new(Wire::Http(http), Repeat::Harmless, vec![self.apikey.clone()])
    }

    fn alert(&self, subject: &str, body: &str, alias: &str) -> Value {
        let title = if subject.trim().is_empty() { body.trim() } else { subject.trim() };
        let mut details = self.details.clone().unwrap_or_default();
        details.entry("type".to_owned()).or_insert_with(|| self.notify_type.as_str().to_owned());
        let mut alert = json!({
            "source": "Trackside",
            "message": truncate_utf16(if title.is_empty() { "(empty message)" } else { title }, MESSAGE_CHARS),
            "description": truncate_utf16(body, DESCRIPTION_CHARS),
            "alias": alias,
            "details": details,
            "priority": format!("P{}", self.priority.unwrap_or(3).clamp(1, 5)),
        });
        let responders = self.responders();
        for (name, value) in [
            ("responders", json!(responders)),
            ("tags", json!(self.tags.as_deref().unwrap_or_default())),
            ("entity", json!(self.entity.as_deref().unwrap_or_default())),
        ] {
            let empty = value.as_array().is_some_and(Vec::is_empty) || value.as_str() == Some("");
            if !empty {
                alert[name] = value;
            }
        }
        alert
    }

    fn responders(&self) -> Vec<Value> {
        let lists = [
            ("user", "username", &self.target_user),
            ("team", "name", &self.target_team),
            ("schedule", "name", &self.target_schedule),
            ("escalation", "name", &self.target_escalation),
        ];
        let responder = |kind: &str, label: &str, target: &str| {
            let label = if Uuid::parse_str(target).is_ok() { "id" } else { label };
            json!({ "type": kind, label: target })
        };
        lists
            .iter()
            .flat_map(|(kind, label, targets)| {
                targets.iter().flatten().map(move |target| responder(kind, label, target.trim()))
            })
            .collect()
    }
}
