//! Refusals in SCIM's form (RFC 7644 §3.12).

use serde_json::{Value, json};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// HTTP status.
    pub status: u16,
    /// Detail error keyword of RFC 7644 table 9.
    pub scim_type: Option<&'static str>,
    /// For people.
    pub detail: String,
}

impl ScimError {
    /// A refusal without a keyword.
    #[must_use]
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into() }
    }

    fn typed(status: u16, scim_type: &'static str, detail: impl Into<String>) -> Self {
        Self { status, scim_type: Some(scim_type), detail: detail.into() }
    }

    /// The filter cannot be read, or asks for what is not supported.
    #[must_use]
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::typed(400, "invalidFilter", detail)
    }

    /// The body has not the structure that the request needs.
    #[must_use]
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::typed(400, "invalidSyntax", detail)
    }

    /// The path of a change cannot be read.
    #[must_use]
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::typed(400, "invalidPath", detail)
    }

    /// A value is missing or cannot be used.
    #[must_use]
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::typed(400, "invalidValue", detail)
    }

    /// The path of a change leads nowhere.
    #[must_use]
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::typed(400, "noTarget", detail)
    }

    /// The attribute cannot be written.
    #[must_use]
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::typed(400, "mutability", detail)
    }

    /// More than is kept or answered.
    #[must_use]
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::typed(400, "tooMany", detail)
    }

    /// The name is taken.
    #[must_use]
    pub fn uniqueness(detail: impl Into<String>) -> Self {
        Self::typed(409, "uniqueness", detail)
    }

    /// There is no such resource.
    #[must_use]
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::new(404, format!("there is no {kind} {id}"))
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": self.status.to_string(),
            "detail": self.detail,
        });
        if let Some(scim_type) = self.scim_type {
            body["scimType"] = scim_type.into();
        }
        body
    }
}
