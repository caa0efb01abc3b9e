//! Drives a connection from within the request that uses it, and wakes that request only for news from outside.
//!
//! hyper's client talks to itself: who sends a request wakes the connection, the connection wakes who waits for the
//! answer. Where both are one task every such wake-up would run the whole task once more, and the first would run the
//! task that used the connection before. So while a task is within, a wake-up only means to look again. Invariant: a
//! wake-up that comes while nobody is within reaches the owner; one that comes within is looked after before leaving.

use futures_util::task::AtomicWaker;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Moves the bytes of one connection; it ends when the connection does.
pub(super) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// How often one turn looks again. tokio makes a task that does too much wake itself and yield; it has to get through.
const LOOKS: usize = 4;

const OUTSIDE: u8 = 0;
const WITHIN: u8 = 1;
const AGAIN: u8 = 2;

/// A connection's driver with its bell.
pub(super) struct Engine {
    /// `None` when the connection ended.
    driver: Option<Driver>,
    bell: Arc<Bell>,
    waker: Waker,
}

#[derive(Default)]
struct Bell {
    state: AtomicU8,
    owner: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self.state.compare_exchange(WITHIN, AGAIN, Ordering::AcqRel, Ordering::Acquire);
        if before == Err(OUTSIDE) {
            self.owner.wake();
        }
    }
}

impl Engine {
    pub(super) fn new(driver: Driver) -> Self {
        let bell = Arc::<Bell>::default();
        let waker = Waker::from(Arc::clone(&bell));
        Self { driver: Some(driver), bell, waker }
    }

    /// From here on wake-ups count as ours. The next [`Engine::turn`] looks after them.
    pub(super) fn enter(&self) {
        self.bell.state.store(WITHIN, Ordering::Release);
    }

    /// Polls with the driver, and again as long as one woke the other.
    pub(super) fn turn<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Self { driver, bell, waker } = self;
        bell.owner.register(cx.waker());
        let mut inner = Context::from_waker(waker);
        for _ in 0..LOOKS {
            bell.state.store(WITHIN, Ordering::Release);
            let mut polled = poll(&mut inner);
            if polled.is_pending() {
                poll_driver(driver, &mut inner);
                polled = poll(&mut inner);
            }
            if polled.is_ready() {
                bell.state.store(OUTSIDE, Ordering::Release);
                return polled;
            }
            let left = bell.state.compare_exchange(WITHIN, OUTSIDE, Ordering::AcqRel, Ordering::Acquire);
            if left.is_ok() {
                return Poll::Pending;
            }
        }
        bell.state.store(OUTSIDE, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves what can be moved; whether the connection is still there.
    pub(super) fn is_running(&mut self, cx: &mut Context<'_>) -> bool {
        let _: Poll<()> = self.turn(cx, |_| Poll::Pending);
        self.driver.is_some()
    }

    /// Nobody is to be woken any more.
    pub(super) fn leave(&self) {
        drop(self.bell.owner.take());
    }

    /// Drives to the end.
    pub(super) async fn finish(self) {
        if let Some(driver) = self.driver {
            // How a connection ends that is no HTTP any more is seen by who holds its stream.
            let _ = driver.await;
        }
    }
}

fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if driver.as_mut().is_some_and(|running| running.as_mut().poll(cx).is_ready()) {
        *driver = None;
    }
}
