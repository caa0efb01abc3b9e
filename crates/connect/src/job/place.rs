//! Where a far end keeps the work: whether it may still be asked there.
//!
//! A `Location` is judged when it comes ([`super::poll`]) and again before each request, because the connection may lead
//! elsewhere since, with another credential. Invariant: a credential is sent to the origins of its connection alone.

use super::{Job, app_service, http};
use trackside_core::job::run::JobCall;
use trackside_core::job::spec::JobTarget;
use url::Url;

/// Whether the connection still leads to the place of the work.
///
/// # Errors
/// Why it is not asked there, for people.
pub(super) fn still_ours(job: &Job<'_>, call: &JobCall, place: &str) -> Result<(), String> {
    let place = Url::parse(place).map_err(|error| format!("the place of its work is no address: {error}"))?;
    let ours = match &call.spec.target {
        JobTarget::Http { .. } => vec![http::base(job)?],
        JobTarget::AppService { action, .. } => app_service::places(job, action)?,
    };
    if ours.iter().any(|ours| ours.origin() == place.origin()) {
        return Ok(());
    }
    let (there, name) = (place.origin().ascii_serialization(), &job.effect.connection);
    Err(format!("the work is at {there}, and connection `{name}` does not lead there any more"))
}
