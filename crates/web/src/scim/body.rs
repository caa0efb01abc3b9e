//! The body of a SCIM request: JSON of a bounded size, whatever the media type says.

use super::Refused;
use axum::extract::{FromRequest, Request};
use serde_json::Value;
use trackside_identity::scim::BODY_BYTES;
use trackside_identity::scim::error::ScimError;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Refused;
    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let too_large = |_| ScimError::new(413, format!("the body is larger than {BODY_BYTES} bytes, or broke off"));
        let bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES).await.map_err(too_large)?;
        let no_json = |error| ScimError::invalid_syntax(format!("the body is no JSON: {error}"));
        Ok(Self(serde_json::from_slice(&bytes).map_err(no_json)?))
    }
}
