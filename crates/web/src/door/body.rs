//! Reading a request body within bounds: size before and after inflation, time, and memory over all requests.
//!
//! Invariants: no body grows beyond [`BODY_BYTES`], or the smaller limit of its door; all bodies together hold at most [`Budget::BYTES`] of memory;
//! a sender that stalls is cut off. A small body that arrives in one piece is never copied.

use crate::door::refusal::Refusal;
use axum::body::Body;
use axum::body::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use std::borrow::Cow;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use trackside_connect::door::{BODY_BYTES, inflate};

/// How long a body may take to arrive.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(15);
/// What one permit of the budget stands for, in bytes.
const BLOCK: usize = 16 * 1024;

/// Memory that all bodies being read may hold together.
#[derive(Debug)]
pub(crate) struct Budget(Semaphore);

impl Budget {
    /// The whole budget, in bytes.
    pub(crate) const BYTES: usize = 64 * 1024 * 1024;

    /// An unused budget.
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(Self::BYTES / BLOCK))
    }

    fn reserve(&self, bytes: usize) -> Result<Reservation<'_>, Refusal> {
        let mut reservation = Reservation { budget: self, held: None };
        reservation.cover(bytes)?;
        Ok(reservation)
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    budget: &'a Budget,
    held: Option<SemaphorePermit<'a>>,
}

impl Reservation<'_> {
    /// Makes the reservation at least `bytes` large.
    fn cover(&mut self, bytes: usize) -> Result<(), Refusal> {
        let have = self.held.as_ref().map_or(0, SemaphorePermit::num_permits);
        let missing = bytes.div_ceil(BLOCK).max(1).saturating_sub(have);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = self.budget.0.try_acquire_many(missing).map_err(|_| Refusal::busy())?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    /// Gives back what is not needed for `bytes`.
    fn shrink_to(&mut self, bytes: usize) {
        if let Some(held) = &mut self.held {
            let surplus = held.num_permits().saturating_sub(bytes.div_ceil(BLOCK).max(1));
            drop(held.split(surplus));
        }
    }
}

/// Reads and inflates a body. The reservation must live as long as the bytes are used.
pub(crate) async fn read<'a>(
    headers: &HeaderMap,
    body: Body,
    budget: &'a Budget,
) -> Result<(Bytes, Reservation<'a>), Refusal> {
    let (raw, mut reservation) = read_within(headers, body, budget, BODY_BYTES).await?;
    let Some(coding) = coding(headers)? else { return Ok((raw, reservation)) };
    // Inflating does not wait for anything, so few requests hold this much at once; the surplus goes back below.
    reservation.cover(raw.len() + BODY_BYTES)?;
    let inflated = match inflate(Some(coding), &raw, BODY_BYTES)? {
        Cow::Owned(bytes) => Bytes::from(bytes),
        Cow::Borrowed(_) => raw,
    };
    reservation.shrink_to(inflated.len());
    Ok((inflated, reservation))
}

/// Reads a body as it was sent, because it is signed as it was sent. A coded one is refused.
pub(crate) async fn read_signed<'a>(
    headers: &HeaderMap,
    body: Body,
    budget: &'a Budget,
    limit: usize,
) -> Result<(Bytes, Reservation<'a>), Refusal> {
    if headers.contains_key(CONTENT_ENCODING) {
        let problem = "a signed body is sent without Content-Encoding";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem).at("Content-Encoding"));
    }
    read_within(headers, body, budget, limit).await
}

async fn read_within<'a>(
    headers: &HeaderMap,
    body: Body,
    budget: &'a Budget,
    limit: usize,
) -> Result<(Bytes, Reservation<'a>), Refusal> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(too_large(limit));
    }
    let mut reservation = budget.reserve(announced.unwrap_or(0))?;
    let raw = collect(body, &mut reservation, limit, BODY_TIME).await?;
    Ok((raw, reservation))
}

/// The content coding, when there is one.
fn coding(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut given = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let several = || {
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send one Content-Encoding header: gzip, or none at all")
            .at("Content-Encoding")
    };
    if given.next().is_some() {
        return Err(several());
    }
    value.to_str().map(Some).map_err(|_| several())
}

/// Collects the frames; the first is kept as it is when it is the only one.
async fn collect(
    mut body: Body,
    reservation: &mut Reservation<'_>,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Refusal> {
    let deadline = Instant::now() + patience;
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let frame = tokio::time::timeout_at(deadline, body.frame()).await.map_err(|_| too_slow())?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| broken_off())?.into_data() else { continue };
        let so_far = rest.len().max(first.len());
        if so_far + data.len() > limit {
            return Err(too_large(limit));
        }
        reservation.cover(so_far + data.len())?;
        if so_far == 0 {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { Bytes::from(rest) })
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {limit} bytes after decompression; send fewer events at once"),
    )
}

fn too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {} seconds", BODY_TIME.as_secs()))
}

fn broken_off() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "the body broke off before its end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    async fn check(encoding: Option<&str>, body: Vec<u8>, expect: Result<usize, u16>) {
        let mut headers = HeaderMap::new();
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, encoding.parse().expect("value"));
        }
        let budget = Budget::new();
        let got = read(&headers, Body::from(body), &budget).await;
        let got = got.map(|(bytes, _)| bytes.len()).map_err(|refusal| refusal.status.as_u16());
        assert_eq!(got, expect, "{encoding:?}");
        assert_eq!(budget.0.available_permits(), Budget::BYTES / BLOCK, "all memory is given back");
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("write");
        encoder.finish().expect("finish")
    }

    #[tokio::test]
    async fn bodies_within_and_beyond_the_limit() {
        check(None, b"{}".to_vec(), Ok(2)).await;
        check(None, vec![b' '; BODY_BYTES], Ok(BODY_BYTES)).await;
        check(None, vec![b' '; BODY_BYTES + 1], Err(413)).await;
        check(Some("gzip"), gzip(b"{}"), Ok(2)).await;
        check(Some("gzip"), gzip(&vec![b' '; BODY_BYTES]), Ok(BODY_BYTES)).await;
        check(Some("gzip"), gzip(&vec![b' '; BODY_BYTES + 1]), Err(413)).await;
        check(Some("gzip"), gzip(&vec![0; 50 << 20]), Err(413)).await;
        check(Some("gzip"), b"{}".to_vec(), Err(400)).await;
        check(Some("br"), b"{}".to_vec(), Err(415)).await;
        check(Some("gzip, gzip"), gzip(&gzip(b"{}")), Err(415)).await;
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_cut_off() {
        let budget = Budget::new();
        let mut reservation = budget.reserve(0).expect("room");
        let stalled = futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>();
        let got = collect(Body::from_stream(stalled), &mut reservation, BODY_BYTES, Duration::ZERO).await;
        assert_eq!(got.map_err(|refusal| refusal.status), Err(StatusCode::REQUEST_TIMEOUT));
    }

    #[test]
    fn the_budget_refuses_what_it_cannot_cover() {
        let budget = Budget::new();
        let most: Vec<_> = (0..32).map(|_| budget.reserve(BODY_BYTES).expect("fits")).collect();
        assert_eq!(budget.reserve(1).map(|_| ()).map_err(|refusal| refusal.status.as_u16()), Err(503));
        drop(most);
        assert!(budget.reserve(1).is_ok());
    }
}
