//! Stands between a socket and hyper and judges the raw bytes of HTTP/1.1.
//!
//! hyper gets nothing that [`super::head`] or [`super::chunks`] did not accept. A head is held back until it is whole;
//! then its own bytes go on, unchanged. In place of a head that is refused hyper gets one of ours, with the method
//! [`REFUSED`], which no client can send, so that every answer is made in one place. Bodies are counted, not kept.
//! Invariant: where a message begins is known from what was accepted, never guessed. Also here, because they need the
//! same knowledge: the time for a head, the idle time, the time in which a client must take something of an answer, and
//! lingering at the end, so that an answer is read before the connection is reset.

use super::chunks::{Broken, Chunks};
use super::head::{self, Bounds, Framing};
use super::refusal::Refusal;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The method of a head that stands for a refused one; its path is `/` and the digit of the refusal.
pub const REFUSED: &str = "X-REFUSED";
/// Longest time a closed connection is read on.
const LINGER: Duration = Duration::from_millis(500);
/// Most bytes that are read on.
const LINGER_BYTES: usize = 256 * 1024;

/// What the handler tells of the requests of a connection.
#[derive(Debug, Default)]
pub struct Signals {
    tunnel: AtomicBool,
    running: AtomicUsize,
    begun: AtomicUsize,
}

impl Signals {
    /// From now on the bytes are no HTTP any more.
    pub fn open_tunnel(&self) {
        self.tunnel.store(true, Ordering::Release);
    }

    /// A request began; while one runs the connection does not idle.
    pub fn began(&self) {
        self.running.fetch_add(1, Ordering::AcqRel);
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// A request ended.
    pub fn ended(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }

    /// How many requests began so far; `None` while one runs.
    #[must_use]
    pub fn at_rest(&self) -> Option<usize> {
        (self.running.load(Ordering::Acquire) == 0).then(|| self.begun.load(Ordering::Acquire))
    }
}

/// Bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Of one head.
    pub head: Bounds,
    /// Longest time from the first byte of a head to its last.
    pub head_time: Duration,
    /// Longest time between two requests.
    pub idle_time: Duration,
    /// Longest time in which a client takes nothing of an answer.
    pub write_time: Duration,
}

/// A socket under watch.
#[derive(Debug)]
pub struct Sentinel<T> {
    io: T,
    watch: Watch,
    signals: Arc<Signals>,
    at: At,
    /// The beginning of a head.
    held: Vec<u8>,
    scanned: usize,
    /// Accepted bytes that hyper did not take yet.
    ready: Vec<u8>,
    given: usize,
    timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    last: Instant,
    lingered: usize,
}

#[derive(Debug)]
enum At {
    Head,
    Body(u64),
    Chunks(Chunks),
    Refused,
    Broken,
    Closed,
    Lingering,
}

/// What follows the accepted bytes.
enum Rest {
    Nothing,
    /// The beginning of a head.
    Head,
    Refuse(Refusal),
}

impl<T> Sentinel<T> {
    /// Watches over a socket.
    pub fn new(io: T, watch: Watch, signals: Arc<Signals>) -> Self {
        Self {
            io,
            watch,
            signals,
            at: At::Head,
            held: Vec::new(),
            scanned: 0,
            ready: Vec::new(),
            given: 0,
            timer: None,
            stalled: None,
            last: Instant::now(),
            lingered: 0,
        }
    }

    /// Follows bytes of the stream: how many of them may go on, and what comes after those.
    fn follow(&mut self, bytes: &[u8]) -> (usize, Rest) {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.at {
                At::Head => match head::end(&bytes[at..], &mut self.scanned, self.watch.head) {
                    Err(refusal) => return (at, Rest::Refuse(refusal)),
                    Ok(None) => return (at, Rest::Head),
                    Ok(Some(length)) => {
                        self.scanned = 0;
                        match head::request(&bytes[at..at + length], self.watch.head) {
                            Err(refusal) => return (at, Rest::Refuse(refusal)),
                            Ok(Framing::Absent | Framing::Length(0)) => {}
                            Ok(Framing::Length(length)) => self.at = At::Body(length),
                            Ok(Framing::Chunked) => self.at = At::Chunks(Chunks::default()),
                        }
                        at += length;
                    }
                },
                At::Body(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    *left -= here as u64;
                    at += here;
                    if *left == 0 {
                        self.at = At::Head;
                    }
                }
                At::Chunks(chunks) => match chunks.follow(&bytes[at..]) {
                    Ok(None) => return (bytes.len(), Rest::Nothing),
                    Ok(Some(end)) => {
                        self.at = At::Head;
                        at += end;
                    }
                    Err(Broken) => {
                        self.at = At::Broken;
                        return (at, Rest::Nothing);
                    }
                },
                At::Refused | At::Broken | At::Closed | At::Lingering => return (at, Rest::Nothing),
            }
        }
        (at, Rest::Nothing)
    }

    /// Puts a head of ours in place of the refused one.
    fn refuse(&mut self, refusal: Refusal) {
        self.at = At::Refused;
        self.held = Vec::new();
        let digit = char::from(refusal.digit());
        self.ready.extend_from_slice(format!("{REFUSED} /{digit} HTTP/1.1\r\n\r\n").as_bytes());
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = buf.remaining().min(self.ready.len() - self.given);
        buf.put_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
        }
    }

    /// Judges what was read into `buf` behind `before`.
    fn judge(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        if self.held.is_empty() {
            let (pass, rest) = self.follow(&buf.filled()[before..]);
            if matches!(rest, Rest::Head) {
                self.held.extend_from_slice(&buf.filled()[before + pass..]);
                self.start_head_timer();
            }
            buf.set_filled(before + pass);
            if let Rest::Refuse(refusal) = rest {
                self.refuse(refusal);
            }
            return;
        }
        self.held.extend_from_slice(&buf.filled()[before..]);
        buf.set_filled(before);
        let held = mem::take(&mut self.held);
        let (pass, rest) = self.follow(&held);
        self.ready.extend_from_slice(&held[..pass]);
        match rest {
            Rest::Head => self.held = held[pass..].to_vec(),
            Rest::Nothing => {}
            Rest::Refuse(refusal) => self.refuse(refusal),
        }
    }

    fn start_head_timer(&mut self) {
        let until = Instant::now() + self.watch.head_time;
        self.arm(until);
    }

    fn arm(&mut self, until: Instant) {
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(until),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(until))),
        }
    }

    /// Whether the time for what is waited for is over.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Option<Refusal>> {
        if !matches!(self.at, At::Head) {
            return Poll::Pending;
        }
        if self.timer.is_none() {
            self.arm(self.last + self.watch.idle_time);
        }
        loop {
            let Some(timer) = &mut self.timer else { return Poll::Pending };
            ready!(timer.as_mut().poll(cx));
            if !self.held.is_empty() {
                return Poll::Ready(Some(Refusal::Slow));
            }
            let now = Instant::now();
            if self.signals.running.load(Ordering::Acquire) > 0 {
                self.last = now;
            }
            let until = self.last + self.watch.idle_time;
            if until <= now {
                return Poll::Ready(None);
            }
            self.arm(until);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Sentinel<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.given < this.ready.len() {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            if this.signals.tunnel.load(Ordering::Acquire) {
                if this.held.is_empty() {
                    return Pin::new(&mut this.io).poll_read(cx, buf);
                }
                this.ready = mem::take(&mut this.held);
                continue;
            }
            match this.at {
                // The answer is on its way, and nothing that follows will be looked at.
                At::Refused => return Poll::Pending,
                At::Broken => return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, Broken))),
                At::Closed | At::Lingering => return Poll::Ready(Ok(())),
                At::Head | At::Body(_) | At::Chunks(_) => {}
            }
            let before = buf.filled().len();
            if Pin::new(&mut this.io).poll_read(cx, buf)?.is_pending() {
                match ready!(this.poll_time(cx)) {
                    Some(refusal) => this.refuse(refusal),
                    None => this.at = At::Closed,
                }
                continue;
            }
            if buf.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            this.last = Instant::now();
            this.judge(buf, before);
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T> Sentinel<T> {
    /// What a try to write gave; an error when the client has taken nothing for too long.
    fn written(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if tried.is_ready() {
            self.stalled = None;
            return tried;
        }
        // A tunnel has a limit of its own, for both ways.
        if self.signals.tunnel.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let time = self.watch.write_time;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + time)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of its answer")))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Sentinel<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let tried = Pin::new(&mut this.io).poll_write(cx, buf);
        this.written(cx, tried)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let tried = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.written(cx, tried)
    }

    /// Ends the writing side, then reads on for a moment: closing a socket with unread bytes resets the connection, and
    /// the reset can overtake the answer.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !matches!(this.at, At::Lingering) {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            let quiet = matches!(this.at, At::Head | At::Closed) && this.held.is_empty();
            this.at = At::Lingering;
            if quiet {
                return Poll::Ready(Ok(()));
            }
            this.arm(Instant::now() + LINGER);
        }
        let mut scratch = [0_u8; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && this.lingered < LINGER_BYTES => {
                    this.lingered += buf.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    let over = this.timer.as_mut().is_none_or(|timer| timer.as_mut().poll(cx).is_ready());
                    return if over { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
            }
        }
    }
}
