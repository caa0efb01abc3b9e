//! Judges the raw heads of answers, as [`crate::front::sentinel`] does for requests.
//!
//! An upstream that can be made to write a line feed into a field would split its answer in two; a client that reads
//! the second one as the answer to its next request is poisoned. So heads that are not strictly well-formed end the
//! connection, and the caller gets a 502. Bodies are framed anew for the client and not looked at here.

use crate::front::head::{self, Bounds};
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bounds of the head of an answer.
const BOUNDS: Bounds = Bounds { bytes: 64 * 1024, fields: 200 };

/// A connection to an upstream. `expecting` is set when a request is sent.
#[derive(Debug)]
pub struct Strict<T> {
    io: T,
    expecting: Arc<AtomicBool>,
    held: Vec<u8>,
    scanned: usize,
    ready: Vec<u8>,
    given: usize,
}

impl<T> Strict<T> {
    /// Judges the heads that come from `io`.
    pub fn new(io: T, expecting: Arc<AtomicBool>) -> Self {
        Self { io, expecting, held: Vec::new(), scanned: 0, ready: Vec::new(), given: 0 }
    }

    /// How many of these bytes are accepted; the rest is the beginning of a head.
    fn accepted(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        while at < bytes.len() && self.expecting.load(Ordering::Acquire) {
            let bad = |refusal| io::Error::new(io::ErrorKind::InvalidData, refusal);
            let Some(length) = head::end(&bytes[at..], &mut self.scanned, BOUNDS).map_err(bad)? else {
                return Ok(at);
            };
            self.scanned = 0;
            let (status, _) = head::response(&bytes[at..at + length], BOUNDS).map_err(bad)?;
            at += length;
            if status == 101 || status >= 200 {
                self.expecting.store(false, Ordering::Release);
            }
        }
        Ok(bytes.len())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Strict<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.given < this.ready.len() {
                let count = buf.remaining().min(this.ready.len() - this.given);
                buf.put_slice(&this.ready[this.given..this.given + count]);
                this.given += count;
                if this.given == this.ready.len() {
                    this.ready.clear();
                    this.given = 0;
                }
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
            let count = buf.filled().len() - before;
            if count == 0 || (this.held.is_empty() && !this.expecting.load(Ordering::Acquire)) {
                return Poll::Ready(Ok(()));
            }
            if this.held.is_empty() {
                let pass = this.accepted(&buf.filled()[before..])?;
                if pass < count {
                    this.held.extend_from_slice(&buf.filled()[before + pass..]);
                    buf.set_filled(before + pass);
                }
                if pass > 0 {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            this.held.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
            let held = mem::take(&mut this.held);
            let pass = this.accepted(&held)?;
            this.ready.extend_from_slice(&held[..pass]);
            this.held.extend_from_slice(&held[pass..]);
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Strict<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }
}
