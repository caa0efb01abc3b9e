//! Why a door refuses, before it is put into the words of the far end.

use http::StatusCode;
use std::borrow::Cow;
use trackside_connect::door::Reject;
use trackside_identity::callers::NotKnown;
use trackside_identity::credential::BadCredential;

/// Seconds a sender is asked to wait when the server is busy.
pub(crate) const RETRY_AFTER: u32 = 1;

/// A refusal. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// HTTP status; 503 means "send it again later".
    pub(crate) status: StatusCode,
    /// What is wrong and what to do.
    pub(crate) problem: Cow<'static, str>,
    /// Where: JSON pointer or header name; empty for the whole request.
    pub(crate) at: String,
}

impl Refusal {
    /// A refusal of the whole request.
    pub(crate) fn new(status: StatusCode, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { status, problem: problem.into(), at: String::new() }
    }

    /// The same, at a place.
    pub(crate) fn at(self, at: &str) -> Self {
        Self { at: at.to_owned(), ..self }
    }

    /// Too much is under way; the sender should come back. Never 429: OpenLineage clients drop an event on 429.
    pub(crate) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server has more to do than it can hold; send it again")
    }

    /// No credential, or an unknown one.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "send an API token with the role `ingest`, for example as `Authorization: Bearer TOKEN`",
        )
    }

    /// A token of an issuer that is refused, or that cannot be judged now: then the sender should come back.
    pub(crate) fn not_known(why: NotKnown) -> Self {
        match why {
            NotKnown::Foreign => Self::unauthenticated(),
            NotKnown::Invalid(problem) => Self::new(StatusCode::UNAUTHORIZED, problem),
            NotKnown::Unavailable(problem) => Self::new(StatusCode::SERVICE_UNAVAILABLE, problem),
        }
    }

    /// A known credential without the role.
    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "this token may not send events; it needs the role `ingest`")
    }

    /// The store failed; the sender should come back.
    pub(crate) fn store_failed() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the event could not be stored; send it again")
    }
}

impl Refusal {
    /// As the connectors word refusals.
    pub(crate) fn as_reject(&self) -> Reject {
        Reject { status: self.status.as_u16(), problem: self.problem.to_string(), at: self.at.clone() }
    }
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        let status = StatusCode::from_u16(reject.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self { status, problem: reject.problem.into(), at: reject.at }
    }
}

impl From<BadCredential> for Refusal {
    fn from(bad: BadCredential) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, bad.to_string())
    }
}
