//! How deliveries are scheduled: order within a lane, retries, circuit breaker, token bucket. Pure rules; the loop
//! that claims, sends and records is in the `trackside` crate, the wire formats in `trackside-connect`.
//!
//! Invariants: within a lane (incident, connection) rows go out in order; a failing connection gets one request per
//! back-off slot; `Retry-After` is never undercut; a row ends delivered, dead or superseded.

use crate::effect::Action;
use crate::ids::DeliveryId;
use jiff::{SignedDuration, Timestamp};

/// Shortest wait after a failure.
pub const RETRY_FIRST: SignedDuration = SignedDuration::from_millis(500);
/// Longest wait between two attempts.
pub const RETRY_LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// A wait is at most this fraction (1/N) of the time the trouble has lasted, so that recovery is noticed in
/// proportion: 7.5 s after an outage of a minute, 5 minutes after one of 40.
pub const RETRY_SHARE: i32 = 8;

/// The longest wait before the next attempt, given how long the trouble has lasted.
#[must_use]
pub fn longest_wait(trouble_for: SignedDuration) -> SignedDuration {
    (trouble_for / RETRY_SHARE).clamp(RETRY_FIRST, RETRY_LONGEST)
}

/// When to try again: full jitter over the longest wait, never before `not_before`.
///
/// `jitter` is uniform in `[0, 1)` and comes from the shell.
#[must_use]
pub fn next_attempt(now: Timestamp, trouble_since: Timestamp, not_before: Option<Timestamp>, jitter: f64) -> Timestamp {
    assert!((0.0..1.0).contains(&jitter), "jitter is in [0, 1)");
    let longest = longest_wait(now.duration_since(trouble_since));
    let wait = RETRY_FIRST.as_secs_f64() + (longest - RETRY_FIRST).as_secs_f64() * jitter;
    let at = now + SignedDuration::from_secs_f64(wait);
    not_before.map_or(at, |floor| at.max(floor))
}

/// What is known of the health of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Breaker {
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Trouble {
    since: Timestamp,
    next: Timestamp,
    probing: Probing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probing {
    Idle,
    InFlight,
}

impl Breaker {
    /// How many requests may start now, of `wanted`.
    #[must_use]
    pub fn allows(&self, now: Timestamp, wanted: usize) -> usize {
        match self.trouble {
            None => wanted,
            Some(Trouble { probing: Probing::InFlight, .. }) => 0,
            Some(trouble) if now < trouble.next => 0,
            Some(_) => wanted.min(1),
        }
    }

    /// A request was started.
    pub fn started(&mut self) {
        if let Some(trouble) = &mut self.trouble {
            trouble.probing = Probing::InFlight;
        }
    }

    /// The connection answered, whatever it said about the message.
    pub fn answered(&mut self) {
        self.trouble = None;
    }

    /// The connection failed or asked to wait. Gives the time of the next attempt.
    pub fn failed(&mut self, now: Timestamp, not_before: Option<Timestamp>, jitter: f64) -> Timestamp {
        let since = self.trouble.map_or(now, |trouble| trouble.since);
        let next = next_attempt(now, since, not_before, jitter);
        self.trouble = Some(Trouble { since, next, probing: Probing::Idle });
        next
    }

    /// When the next request may start, when there is trouble.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.trouble.map(|trouble| trouble.next)
    }
}

/// A token bucket: `rate` tokens per second, at most `burst`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: f64, burst: f64, now: Timestamp) -> Self {
        assert!(rate > 0.0 && burst >= 1.0, "a bucket lets something through");
        Self { rate, burst, tokens: burst, at: now }
    }

    fn refill(&mut self, now: Timestamp) {
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + seconds * self.rate).min(self.burst);
        self.at = self.at.max(now);
    }

    /// Whole tokens there are now.
    pub fn available(&mut self, now: Timestamp) -> usize {
        self.refill(now);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= tokens <= burst")]
        let whole = self.tokens as usize;
        whole
    }

    /// Takes one token.
    pub fn take(&mut self, now: Timestamp) {
        self.refill(now);
        assert!(self.tokens >= 1.0, "take only what is available");
        self.tokens -= 1.0;
    }

    /// When the next token will be there.
    #[must_use]
    pub fn next(&self) -> Timestamp {
        let missing = (1.0 - self.tokens).max(0.0);
        // One extra millisecond, so that rounding never wakes the loop a moment too early.
        self.at + SignedDuration::from_secs_f64(missing / self.rate) + SignedDuration::from_millis(1)
    }
}

/// An unfinished row of a lane, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRow {
    /// Identity.
    pub id: DeliveryId,
    /// What it does.
    pub action: Action,
    /// How far it got.
    pub progress: Progress,
}

/// How far an unfinished row got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing of it can be at the far end.
    NotThere,
    /// It may be at the far end: an attempt had an unknown outcome, or the process died while sending.
    MayBeThere,
    /// It is being sent right now.
    Sending,
}

/// What to do with a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanePlan {
    /// Rows that are no longer needed, with the reason.
    pub supersede: Vec<(DeliveryId, &'static str)>,
    /// The row to send next, when none is being sent.
    pub head: Option<DeliveryId>,
}

/// Plans a lane: drops what later rows make pointless and names the row to send.
///
/// A resolve that comes before its trigger went out drops both: a stale page is never sent as new. When the trigger
/// may be there, it is dropped but the resolve goes out. Of several updates or reminders only the last is sent, and no
/// reminder once somebody has the incident.
#[must_use]
pub fn plan_lane(rows: &[LaneRow]) -> LanePlan {
    let mut plan = LanePlan::default();
    if rows.iter().any(|row| row.progress == Progress::Sending) {
        return plan;
    }
    let resolve = rows.iter().position(|row| row.action == Action::Resolve);
    let mut left: Vec<LaneRow> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let ends_later = resolve.is_some_and(|resolve| index < resolve);
        let later = |action: Action| rows[index + 1..].iter().any(|later| later.action == action);
        match row.action {
            Action::Trigger | Action::Update | Action::Remind | Action::Acknowledge if ends_later => {
                plan.supersede.push((row.id, "the incident was resolved before it was sent"));
            }
            Action::Update if later(Action::Update) => plan.supersede.push((row.id, "a newer update follows")),
            Action::Remind if later(Action::Acknowledge) => {
                plan.supersede.push((row.id, "somebody took the incident before it was sent"));
            }
            Action::Remind if later(Action::Remind) => plan.supersede.push((row.id, "a newer page follows")),
            _ => left.push(*row),
        }
    }
    // Nobody heard of the problem, so nobody needs to hear that it is over.
    let never_told = resolve.is_some_and(|resolve| {
        let mut before = rows[..resolve].iter();
        rows[..resolve].iter().any(|row| row.action == Action::Trigger)
            && before.all(|row| row.progress == Progress::NotThere)
            && rows[resolve].progress == Progress::NotThere
    });
    if never_told {
        left.retain(|row| {
            let drop = row.action == Action::Resolve;
            if drop {
                plan.supersede.push((row.id, "nobody was told of the problem"));
            }
            !drop
        });
    }
    plan.head = left.first().map(|row| row.id);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// `T` trigger, `U` update, `N` remind, `A` acknowledge, `R` resolve, `M` message; `?` may be there, `!` sending.
    #[track_caller]
    fn check(rows: &str, expect: &str) {
        let mut parsed: Vec<LaneRow> = Vec::new();
        for letter in rows.chars() {
            let action = match letter {
                'T' => Action::Trigger,
                'U' => Action::Update,
                'N' => Action::Remind,
                'A' => Action::Acknowledge,
                'R' => Action::Resolve,
                'M' => Action::Message,
                '?' => {
                    parsed.last_mut().unwrap().progress = Progress::MayBeThere;
                    continue;
                }
                '!' => {
                    parsed.last_mut().unwrap().progress = Progress::Sending;
                    continue;
                }
                other => panic!("unknown letter {other}"),
            };
            let id = DeliveryId(Uuid::from_u128(parsed.len() as u128));
            parsed.push(LaneRow { id, action, progress: Progress::NotThere });
        }
        let plan = plan_lane(&parsed);
        let dropped: String = plan.supersede.iter().map(|(id, _)| id.0.as_u128().to_string()).collect();
        let head = plan.head.map_or_else(|| "-".to_owned(), |id| id.0.as_u128().to_string());
        assert_eq!(format!("send {head} drop {dropped}"), expect, "{rows}");
    }

    #[test]
    fn lanes_keep_order_and_drop_what_is_pointless() {
        check("", "send - drop ");
        check("T", "send 0 drop ");
        check("TU", "send 0 drop ");
        check("T!U", "send - drop ");
        check("UUU", "send 2 drop 01");
        check("TUU", "send 0 drop 1");
        check("TR", "send - drop 01");
        check("TNA", "send 0 drop 1");
        check("TNN", "send 0 drop 1");
        check("T?NR", "send 2 drop 01");
        check("NAN", "send 1 drop 0");
        check("TUAR", "send - drop 0123");
        check("T?R", "send 1 drop 0");
        check("T?UR", "send 2 drop 01");
        check("UR", "send 1 drop 0");
        check("TR?", "send 1 drop 0");
        check("R", "send 0 drop ");
        check("MTR", "send 0 drop 12");
        check("A", "send 0 drop ");
    }

    #[test]
    fn waits_grow_with_the_trouble_and_obey_the_far_end() {
        let start: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        let at = |seconds: i64| start + SignedDuration::from_secs(seconds);
        assert_eq!(next_attempt(start, start, None, 0.0), start + RETRY_FIRST);
        assert_eq!(next_attempt(start, start, None, 0.99), start + RETRY_FIRST);
        assert_eq!(longest_wait(SignedDuration::from_secs(60)), SignedDuration::from_millis(7500));
        assert_eq!(longest_wait(SignedDuration::from_hours(24)), RETRY_LONGEST);
        assert_eq!(next_attempt(at(0), start, Some(at(30)), 0.5), at(30));
    }

    #[test]
    fn a_failing_connection_gets_one_request_per_slot() {
        let now: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        let mut breaker = Breaker::default();
        assert_eq!(breaker.allows(now, 8), 8);
        let next = breaker.failed(now, None, 0.5);
        assert_eq!(breaker.allows(now, 8), 0);
        assert_eq!(breaker.allows(next, 8), 1);
        breaker.started();
        assert_eq!(breaker.allows(next, 8), 0);
        breaker.answered();
        assert_eq!(breaker.allows(next, 8), 8);
    }

    #[test]
    fn a_bucket_fills_at_its_rate() {
        let now: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        let mut bucket = Bucket::new(1.0, 2.0, now);
        bucket.take(now);
        bucket.take(now);
        assert_eq!(bucket.available(now), 0);
        assert!(bucket.next() > now + SignedDuration::from_secs(1));
        assert_eq!(bucket.available(now + SignedDuration::from_secs(1)), 1);
        assert_eq!(bucket.available(now + SignedDuration::from_secs(60)), 2);
    }
}
