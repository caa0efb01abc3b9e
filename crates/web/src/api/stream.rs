//! Server-sent events: tells pages and tools that something changed.
//!
//! One message per change that was decided, at most one a second; it carries only the position reached. Who wants to
//! know what changed asks the API, so a slow reader costs nothing and misses nothing. The stream ends when the server
//! stops.

use crate::state::{AppState, stopped};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use trackside_core::ids::Seq;

/// Shortest time between two messages.
const PACE: Duration = Duration::from_secs(1);
/// How often a silent stream sends a comment, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Follow changes: `event: changed`, `data: {"seq": N}`.
#[utoipa::path(get, path = "/api/v1/stream", tag = "server",
    responses((status = 200, content_type = "text/event-stream", body = str)))]
pub(crate) async fn stream(State(state): State<AppState>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    state.metrics.streams.inc();
    let follower = Follower {
        decided: state.decided.clone(),
        stopping: state.stopping.clone(),
        last: None,
        _counted: Counted(state),
    };
    let changes = stream::unfold(follower, |mut follower| async move {
        let seq = follower.next().await?;
        let event = Event::default().event("changed").data(format!("{{\"seq\":{seq}}}"));
        Some((Ok(event), follower))
    });
    Sse::new(changes).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// One client that follows.
struct Follower {
    decided: watch::Receiver<Seq>,
    stopping: watch::Receiver<bool>,
    last: Option<Seq>,
    _counted: Counted,
}

impl Follower {
    /// The next position, after a pause since the last; `None` when the server stops.
    async fn next(&mut self) -> Option<Seq> {
        if let Some(last) = self.last {
            if tokio::time::timeout(PACE, stopped(&mut self.stopping)).await.is_ok() {
                return None;
            }
            tokio::select! {
                changed = self.decided.wait_for(|position| *position > last) => { changed.ok()?; }
                _ = stopped(&mut self.stopping) => return None,
            }
        }
        let seq = *self.decided.borrow_and_update();
        self.last = Some(seq);
        Some(seq)
    }
}

/// Counts the client for as long as it is there.
struct Counted(AppState);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.streams.dec();
    }
}
