//! What became of something that was put into the log: refused, done, or not decided yet.

use crate::problem::Problem;
use crate::state::{AppState, Commanded, Effect};
use http::StatusCode;

/// Fails with the decision's reason when it refused; otherwise says whether it is in effect.
pub(crate) async fn settled(state: &AppState, done: Commanded) -> Result<Effect, Problem> {
    if done.effect == Effect::Decided
        && let Some(refused) = state.store.refusal_of(done.seq).await?
    {
        return Err(Problem::new(refused_with(&refused.action), refused.summary));
    }
    Ok(done.effect)
}

/// The status of a refusal, by its action in the audit.
fn refused_with(action: &str) -> StatusCode {
    match action {
        trackside_core::job::LIMITED => StatusCode::TOO_MANY_REQUESTS,
        trackside_core::job::UNEXPLAINED => StatusCode::BAD_REQUEST,
        _ => StatusCode::CONFLICT,
    }
}

/// The status of an answer: the given one when it is in effect, else 202.
pub(crate) fn status(effect: Effect, decided: StatusCode) -> StatusCode {
    match effect {
        Effect::Decided => decided,
        Effect::Accepted => StatusCode::ACCEPTED,
    }
}
