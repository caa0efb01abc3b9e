//! Rules about bodies as configured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One rule about bodies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardConfig {
    /// Name, for the audit trail and for the caller who is refused.
    pub name: String,
    /// Whose bodies.
    #[serde(default)]
    pub on: Direction,
    /// Media types it looks at: `application/json`, `text/*`. Default: JSON, forms, multipart, text and XML.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_types: Vec<String>,
    /// Regular expressions; a body that has one of them is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Fields that are masked: a JSON pointer (`/user/ssn`), or the name of a field at any depth, of JSON or of a form.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mask: BTreeSet<String>,
    /// Most bytes of a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// What happens to a body that cannot be looked at: of another media type, compressed, or over 1 MiB.
    #[serde(default)]
    pub otherwise: Otherwise,
}

/// Whose bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Of requests.
    #[default]
    Request,
    /// Of answers.
    Response,
}

/// What happens to a body that cannot be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes, and the audit trail says so.
    Pass,
}
