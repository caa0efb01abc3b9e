//! Bodies on their way: counted, bounded, paced, without trailers.
//!
//! What goes up: [`Outgoing`]. What comes down: [`Answer`], which drives the connection it comes from and gives it back
//! at its end. Frames are passed on as they come; nothing is gathered except what a route records.

use super::upstream::{Link, Upstream};
use crate::call::Call;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Most bytes of a body that are recorded.
pub const RECORDED: usize = 16 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong on the client's side of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client's framing broke, or it left.
    Malformed,
    /// It is larger than the route allows.
    TooLarge,
    /// A pause was too long.
    Slow,
}

/// What is known of a request's body while it is sent, and after.
#[derive(Debug, Default)]
pub struct Progress {
    fault: AtomicU8,
    /// Bytes that were passed on.
    pub bytes: AtomicU64,
    kept: std::sync::Mutex<Kept>,
}

/// The beginning of a body.
#[derive(Debug, Default)]
pub struct Kept {
    /// Bytes.
    pub bytes: BytesMut,
    /// Whether there was more.
    pub cut: bool,
}

impl Kept {
    fn add(&mut self, data: &Bytes) {
        let room = RECORDED - self.bytes.len();
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
        self.cut |= data.len() > room;
    }
}

impl Progress {
    /// What went wrong on the client's side.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self.fault.load(Ordering::Acquire) {
            1 => Some(Fault::Malformed),
            2 => Some(Fault::TooLarge),
            3 => Some(Fault::Slow),
            _ => None,
        }
    }

    fn fail(&self, fault: Fault) -> BoxError {
        let (code, text) = match fault {
            Fault::Malformed => (1, "the body of the request broke off"),
            Fault::TooLarge => (2, "the body of the request is too large"),
            Fault::Slow => (3, "the body of the request came too slowly"),
        };
        self.fault.store(code, Ordering::Release);
        text.into()
    }

    /// The beginning of the body, when it was kept.
    pub fn take_kept(&self) -> Kept {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Bounds of a request's body.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Most bytes.
    pub limit: Option<u64>,
    /// Longest pause.
    pub pause: Duration,
    /// Whether its beginning is kept for the record.
    pub keep: Keep,
}

/// Whether the beginning of a body is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is not.
    Nothing,
    /// It is, up to [`RECORDED`] bytes.
    Beginning,
}

/// The body of a request to an upstream.
#[derive(Debug)]
pub enum Outgoing {
    /// None.
    Empty,
    /// One that was read before.
    Whole(Option<Bytes>),
    /// One that streams.
    Stream(Box<Stream>),
}

/// A body that streams.
#[derive(Debug)]
pub struct Stream {
    incoming: Incoming,
    pace: Pace,
    progress: Arc<Progress>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// The body of a request, bounded.
    #[must_use]
    pub fn new(incoming: Incoming, pace: Pace, progress: Arc<Progress>) -> Self {
        Self { incoming, pace, progress, timer: None }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => {
                    let pause = self.pace.pause;
                    let timer =
                        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + pause)));
                    ready!(timer.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(self.progress.fail(Fault::Slow))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(self.progress.fail(Fault::Malformed)))),
                Poll::Ready(Some(Ok(frame))) => {
                    self.timer = None;
                    // Trailers are dropped: a server that adds them to the fields would take them for checked ones.
                    let Ok(data) = frame.into_data() else { continue };
                    let sent = self.progress.bytes.fetch_add(data.len() as u64, Ordering::AcqRel) + data.len() as u64;
                    if self.pace.limit.is_some_and(|limit| sent > limit) {
                        return Poll::Ready(Some(Err(self.progress.fail(Fault::TooLarge))));
                    }
                    if self.pace.keep == Keep::Beginning {
                        self.progress.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&data);
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }

    /// Reads it whole.
    ///
    /// # Errors
    /// When it breaks the bounds, or breaks off.
    pub async fn whole(mut self) -> Result<Bytes, Fault> {
        let mut all = BytesMut::new();
        while let Some(data) = std::future::poll_fn(|cx| self.poll_data(cx)).await {
            match data {
                Ok(data) => all.extend_from_slice(&data),
                Err(_) => return Err(self.progress.fault().unwrap_or(Fault::Malformed)),
            }
        }
        Ok(all.freeze())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Whole(None) => true,
            Self::Whole(Some(_)) => false,
            Self::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Whole(None) => SizeHint::with_exact(0),
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}

/// The body of an answer to a client.
#[derive(Debug)]
pub enum Answer {
    /// One of our own, or one that was read before.
    Whole(Option<Bytes>, Option<Box<Call>>),
    /// One that streams from an upstream.
    Relay(Box<Relay>),
}

/// A body that streams from an upstream, with the connection it comes through.
#[derive(Debug)]
pub struct Relay {
    incoming: Incoming,
    link: Option<Link>,
    upstream: Arc<Upstream>,
    pause: Duration,
    until: Option<Instant>,
    limit: Option<u64>,
    timer: Option<Pin<Box<Sleep>>>,
    call: Box<Call>,
}

impl Relay {
    /// The body of an answer. `until` is when the whole request must be over; `limit` is most bytes of it.
    #[must_use]
    pub fn new(incoming: Incoming, link: Link, upstream: Arc<Upstream>, call: Box<Call>, bounds: Bounds) -> Self {
        let Bounds { pause, until, limit } = bounds;
        Self { incoming, link: Some(link), upstream, pause, until, limit, timer: None, call }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            let Self { incoming, link, .. } = self;
            let polled = match link {
                Some(link) => link.turn(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx)),
                None => Pin::new(incoming).poll_frame(cx),
            };
            let Poll::Ready(frame) = polled else { return self.poll_time(cx) };
            match frame {
                None => {
                    self.end(cx);
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    self.call.upstream_failed();
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some(Ok(frame)) => {
                    self.timer = None;
                    let Ok(data) = frame.into_data() else { continue };
                    self.call.received(&data);
                    if self.limit.is_some_and(|limit| self.call.bytes_received() > limit) {
                        return Poll::Ready(Some(Err("the answer is larger than a rule allows".into())));
                    }
                    if self.incoming.is_end_stream() {
                        self.end(cx);
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }

    /// The answer is complete: the call is over, and the connection can be used again.
    fn end(&mut self, cx: &mut Context<'_>) {
        self.call.completed();
        if let Some(mut link) = self.link.take()
            && link.is_open(cx)
        {
            self.upstream.keep(link);
        }
    }

    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let (pause, until) = (self.pause, self.until);
        let timer = self.timer.get_or_insert_with(|| {
            let at = Instant::now() + pause;
            Box::pin(tokio::time::sleep_until(until.map_or(at, |until| until.min(at))))
        });
        ready!(timer.as_mut().poll(cx));
        self.call.upstream_failed();
        Poll::Ready(Some(Err("the upstream stopped sending".into())))
    }

    /// Reads it whole, up to so many bytes.
    ///
    /// # Errors
    /// When it is larger, or breaks off.
    pub async fn whole(mut self, most: u64) -> (Result<Bytes, Oversized>, Box<Call>) {
        let mut all = BytesMut::new();
        self.limit = None;
        loop {
            match std::future::poll_fn(|cx| self.poll_data(cx)).await {
                None => return (Ok(all.freeze()), self.call),
                Some(Err(_)) => return (Err(Oversized::Broken), self.call),
                Some(Ok(data)) if (all.len() + data.len()) as u64 > most => {
                    return (Err(Oversized::TooLarge), self.call);
                }
                Some(Ok(data)) => all.extend_from_slice(&data),
            }
        }
    }
}

/// Bounds of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest pause.
    pub pause: Duration,
    /// When all must be over.
    pub until: Option<Instant>,
    /// Most bytes.
    pub limit: Option<u64>,
}

/// Why an answer could not be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversized {
    /// It is too large.
    TooLarge,
    /// It broke off.
    Broken,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(bytes, call) => {
                *call = None;
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Relay(relay) => relay.poll_data(cx).map(|data| data.map(|data| data.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes, _) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Relay(relay) => relay.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes, _) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relay(relay) => relay.incoming.size_hint(),
        }
    }
}
