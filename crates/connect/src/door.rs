//! What every door shares: the input of `parse`, the refusal, limits.
//!
//! Invariant: `parse` is pure and total: any bytes give events or a [`Reject`], never a panic.

use http::HeaderMap;
use jiff::Timestamp;

/// What arrived at a door, already authenticated, size-limited and inflated.
#[derive(Clone, Copy, Debug)]
pub struct Delivered<'a> {
    /// Request headers.
    pub headers: &'a HeaderMap,
    /// Body after content decoding.
    pub body: &'a [u8],
    /// Name of the token that authenticated the call; the source when the body names none.
    pub token: &'a str,
    /// Team the token is bound to, if any; the first owner candidate of what it sends.
    pub team: Option<&'a str>,
    /// Now: becomes `received`, and `occurred` when the sender gives no time.
    pub received: Timestamp,
}

/// Why a body is refused: says what was wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Reject {
    /// HTTP status, 400 to 422.
    pub status: u16,
    /// What is wrong and what is allowed.
    pub problem: String,
    /// Where: JSON pointer or header name; empty for the whole body.
    pub at: String,
}

/// Largest body of a door after inflation, in bytes.
pub const BODY_BYTES: usize = 2 * 1024 * 1024;
/// Deepest nesting of JSON accepted (serde_json's own recursion limit is 128).
pub const JSON_DEPTH: usize = 128;
/// Most events in one request.
pub const EVENTS_PER_REQUEST: usize = 1_000;
