//! Answers that the gateway makes itself: problem documents (RFC 9457), never a redirect.

use crate::front::refusal::Refusal;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use std::time::Duration;

/// A refusal, as the caller sees it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Status.
    pub status: StatusCode,
    /// What is wrong, and what to do about it.
    pub detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A refusal.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new() }
    }

    /// Nobody knows the caller (RFC 6750 §3). `error` is absent when nothing was presented.
    #[must_use]
    pub fn unauthenticated(error: Option<&str>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut challenge = "Bearer realm=\"trackside\"".to_owned();
        if let Some(error) = error {
            challenge.push_str(&format!(", error=\"{error}\", error_description=\"{}\"", quotable(&detail)));
        }
        Self::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, &challenge)
    }

    /// The caller is known and may not.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        let challenge = "Bearer realm=\"trackside\", error=\"insufficient_scope\"";
        Self::new(StatusCode::FORBIDDEN, detail).with(header::WWW_AUTHENTICATE, challenge)
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// With the time after which another try makes sense, at least a second.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with(header::RETRY_AFTER, &seconds.max(1).to_string())
    }

    /// The answer.
    #[must_use]
    pub fn response(&self, request_id: &HeaderValue) -> Response<Bytes> {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Refused"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "request_id": request_id.to_str().unwrap_or_default(),
        });
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = Self::new(refusal.status(), refusal.to_string());
        if refusal == Refusal::Method {
            return problem.with(header::ALLOW, &crate::front::head::METHODS.join(", "));
        }
        problem
    }
}

/// What may stand within quotes of a challenge.
fn quotable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\') || c == ' ' { c } else { '\'' }).collect()
}
