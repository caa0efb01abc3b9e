//! SCIM 2.0 (RFC 7643, RFC 7644): what an identity provider tells of people and groups, as values.
//!
//! Invariants: every function is total and bounded; attribute names and operators are compared without regard to case
//! (RFC 7643 §2.1, RFC 7644 §3.4.2.2); what a provider may not write (`id`, `meta`, `groups`) it cannot. Okta's and
//! Entra's ways to say things that the RFCs do not allow are understood where they are unambiguous, and named in the
//! code. No HTTP and no database is in here.
//!
//! - [`error`]: refusals in SCIM's form; [`filter`]: the filter language; [`patch`]: changes of a resource
//! - [`user`], [`group`]: the two resources; [`schema`]: what the server says of itself

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub mod error;
pub mod filter;
pub mod group;
pub mod patch;
pub mod schema;
pub mod user;

/// What the configuration says about the directory that writes here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScimConfig {
    /// Teams by the name of the group that is meant. A group that has the name or an alias of a team needs no entry.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
}

/// Scope that an API token needs to write here.
pub const SCOPE: &str = "scim";
/// Media type of requests and answers (RFC 7644 §8.1).
pub const MEDIA_TYPE: &str = "application/scim+json";
/// Longest body that is read.
pub const BODY_BYTES: usize = 1024 * 1024;
/// Most resources in one answer.
pub const PAGE: usize = 200;
