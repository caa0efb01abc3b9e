//! What a caller hears instead of an answer: the upstream's fault, their own, or a rule's.

use super::too_large;
use crate::answer::Problem;
use crate::call::Call;
use crate::guard::{Did, Hit, Why};
use crate::proxy::body::{Fault, Progress};
use crate::proxy::upstream::Failed;
use crate::route::table::Route;
use http::StatusCode;
use std::sync::Arc;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NotAnswered {
    Failed(Failed),
    Late,
}

/// What the caller hears when there is no answer.
pub(super) fn explain(failed: &NotAnswered, progress: Option<&Progress>, route: &Route) -> Problem {
    if let Some(fault) = progress.and_then(Progress::fault) {
        return faulty(fault, route);
    }
    match failed {
        NotAnswered::Late | NotAnswered::Failed(Failed::ConnectTime) => {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "the upstream did not answer in time")
        }
        NotAnswered::Failed(failed) => {
            tracing::debug!(route = %route.name, error = %failed, "the upstream did not answer");
            bad_answer()
        }
    }
}

pub(super) fn bad_answer() -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "the upstream cannot be reached, or its answer cannot be used")
}

/// The client's body is at fault, not the upstream.
pub(super) fn faulty(fault: Fault, route: &Route) -> Problem {
    match fault {
        Fault::Malformed => Problem::new(StatusCode::BAD_REQUEST, "the body of the request is malformed or broke off"),
        Fault::TooLarge => too_large(route),
        Fault::Slow => Problem::new(StatusCode::REQUEST_TIMEOUT, "the body of the request did not come in time"),
    }
}

/// A rule refuses the body of a request.
pub(super) fn withheld(hit: Hit, call: &mut Call) -> Problem {
    let rule = Arc::clone(&hit.rule);
    let why = hit.did;
    call.hit([hit]);
    match why {
        Did::Refused(Why::Size) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than the rule `{rule}` allows"))
        }
        Did::Refused(Why::Unreadable) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "the rule `{rule}` cannot look at this body: send it plain, as what its Content-Type says, at most 1 MiB"
            ),
        ),
        _ => Problem::new(StatusCode::FORBIDDEN, format!("the body has what the rule `{rule}` does not let pass")),
    }
}

/// A rule refuses the body of an answer.
pub(super) fn kept_back(hit: Hit, call: &mut Call) -> Problem {
    let rule = Arc::clone(&hit.rule);
    call.hit([hit]);
    Problem::new(StatusCode::BAD_GATEWAY, format!("the upstream's answer was kept back by the rule `{rule}`"))
}
