//! PagerDuty's REST API, read only: which pages to ask for, and what they say of teams, services and escalation policies.
//!
//! Sources: PagerDuty's REST API v2 reference (pagination by `offset`, `limit` and `more`; `Authorization: Token
//! token=…`; `include[]=integrations` on services). Invariants: parsing is total and bounded; unknown fields are skipped;
//! an integration key leaves this module only as a fingerprint. Who asks, when and with what token is not known here.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use trackside_core::ids::derive;

/// Where PagerDuty's API is, by default.
pub const API: &str = "https://api.pagerduty.com";
/// The media type that selects version 2.
pub const ACCEPT: &str = "application/vnd.pagerduty+json;version=2";
/// Entries per page (PagerDuty's own limit).
pub const PAGE: usize = 100;
/// Most entries of one list; PagerDuty ends a classic list at this offset.
pub const ENTRIES: usize = 10_000;

/// One list of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum List {
    Teams,
    Users,
    Schedules,
    EscalationPolicies,
    Services,
}

/// Every list, in the order in which they are read.
pub const LISTS: [List; 5] = [List::Teams, List::Users, List::Schedules, List::EscalationPolicies, List::Services];

/// What PagerDuty says of itself. No secret is in here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Teams.
    pub teams: Vec<Named>,
    /// Users.
    pub users: Vec<User>,
    /// Schedules.
    pub schedules: Vec<Schedule>,
    /// Escalation policies.
    pub policies: Vec<Policy>,
    /// Services.
    pub services: Vec<Service>,
}

/// Something with an id and a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Shown")]
pub struct Named {
    /// PagerDuty's id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// An entry as PagerDuty shows it: whole, with `name` and the same as `summary`, or as a reference, with `summary` alone.
#[derive(Deserialize)]
struct Shown {
    id: String,
    #[serde(default, rename = "type")]
    kind: String,
    name: Option<String>,
    summary: Option<String>,
}

impl From<Shown> for Named {
    fn from(shown: Shown) -> Self {
        Self { id: shown.id, name: shown.name.or(shown.summary).unwrap_or_default() }
    }
}

impl From<Shown> for Target {
    fn from(shown: Shown) -> Self {
        Self { id: shown.id, kind: shown.kind, summary: shown.summary.or(shown.name).unwrap_or_default() }
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// PagerDuty's id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// E-mail address.
    #[serde(default)]
    pub email: String,
    /// Teams they are in.
    #[serde(default)]
    pub teams: Vec<Named>,
}

/// An on-call schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// PagerDuty's id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Who takes turns.
    #[serde(default)]
    pub users: Vec<Named>,
}

/// An escalation policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// PagerDuty's id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Teams that own it.
    #[serde(default)]
    pub teams: Vec<Named>,
    /// Its levels, first one first.
    #[serde(default, rename = "escalation_rules")]
    pub levels: Vec<Level>,
}

/// One level of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Whom it pages.
    #[serde(default)]
    pub targets: Vec<Target>,
}

/// Whom a level pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Shown")]
pub struct Target {
    /// PagerDuty's id.
    pub id: String,
    /// `user_reference`, `schedule_reference`, or without `_reference`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub summary: String,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// PagerDuty's id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `active`, `warning`, `critical`, `maintenance` or `disabled`.
    #[serde(default)]
    pub status: String,
    /// Its escalation policy.
    #[serde(default)]
    pub escalation_policy: Option<Named>,
    /// Teams that own it.
    #[serde(default)]
    pub teams: Vec<Named>,
    /// Fingerprints of its integration keys.
    #[serde(default)]
    pub keys: BTreeSet<String>,
}

/// Why a page cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// It is not what PagerDuty documents.
    #[error("what PagerDuty said of its {what} cannot be read: {why}")]
    Unreadable {
        /// Which list.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// There are more entries than are read.
    #[error("PagerDuty has more than {ENTRIES} {what}; they are not compared")]
    TooMany {
        /// Which list.
        what: &'static str,
    },
}

impl List {
    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Users => "users",
            Self::Schedules => "schedules",
            Self::EscalationPolicies => "escalation_policies",
            Self::Services => "services",
        }
    }

    /// Path and query of the page that begins at `offset`.
    #[must_use]
    pub fn path(self, offset: usize) -> String {
        let include = if self == Self::Services { "&include%5B%5D=integrations" } else { "" };
        format!("/{}?limit={PAGE}&offset={offset}{include}", self.name())
    }
}

/// The fingerprint of an integration key.
#[must_use]
pub fn fingerprint(key: &str) -> String {
    derive("pagerduty.integration_key", &[key]).to_string()
}

impl Account {
    /// Takes the page of a list that began at `offset`; where the next one begins, when there is one.
    ///
    /// # Errors
    /// When it is not what PagerDuty documents, or there are too many entries.
    pub fn take(&mut self, list: List, offset: usize, page: &[u8]) -> Result<Option<usize>, BadPage> {
        let what = list.name();
        let unreadable = |error: serde_json::Error| BadPage::Unreadable { what, why: error.to_string() };
        let page: Page = serde_json::from_slice(page).map_err(unreadable)?;
        let read = match list {
            List::Teams => extend(&mut self.teams, page.teams),
            List::Users => extend(&mut self.users, page.users),
            List::Schedules => extend(&mut self.schedules, page.schedules),
            List::EscalationPolicies => extend(&mut self.policies, page.escalation_policies),
            List::Services => {
                let services = page.services.map(|services| services.into_iter().map(Service::from).collect());
                extend(&mut self.services, services)
            }
        };
        let Some(read) = read else {
            return Err(BadPage::Unreadable { what, why: format!("`{what}` is missing") });
        };
        let next = offset + read;
        match page.more {
            // A page without entries would go on for ever.
            Some(true) if read > 0 && next >= ENTRIES => Err(BadPage::TooMany { what }),
            Some(true) if read > 0 => Ok(Some(next)),
            _ => Ok(None),
        }
    }
}

fn extend<T>(all: &mut Vec<T>, page: Option<Vec<T>>) -> Option<usize> {
    let page = page?;
    let read = page.len();
    all.extend(page);
    Some(read)
}

#[derive(Deserialize)]
struct Page {
    more: Option<bool>,
    teams: Option<Vec<Named>>,
    users: Option<Vec<User>>,
    schedules: Option<Vec<Schedule>>,
    escalation_policies: Option<Vec<Policy>>,
    services: Option<Vec<WireService>>,
}

/// A service with what must not be kept.
#[derive(Deserialize)]
struct WireService {
    #[serde(flatten)]
    service: Service,
    #[serde(default)]
    integrations: Vec<Integration>,
}

#[derive(Deserialize)]
struct Integration {
    #[serde(default)]
    integration_key: Option<String>,
}

impl From<WireService> for Service {
    fn from(wire: WireService) -> Self {
        let keys = wire.integrations.iter().filter_map(|one| one.integration_key.as_deref()).map(fingerprint);
        Self { keys: keys.collect(), ..wire.service }
    }
}

#[cfg(test)]
mod tests;
