//! How a delivery moves on: an attempt is recorded, a row ends, a dead row is put back.
//!
//! Invariant: whenever a row leaves its lane, the next one becomes the head in the same batch, and whenever a row
//! ends, its [`Input::Outcome`] is appended to the log in the same batch.

use super::{AttemptVerdict, Delivery, lane_of};
use crate::Store;
use crate::audit::{self, NewAudit};
use crate::error::{Error, Result};
use crate::log::NewEntry;
use crate::statement::{Batch, Sql, Statement};
use jiff::Timestamp;
use trackside_core::caller::Caller;
use trackside_core::effect::Action;
use trackside_core::ids::{DeliveryId, derive};
use trackside_core::input::{DeliveryResult, Input, JobOutcome, Outcome};
use trackside_core::job::run::CallResult;

/// One attempt, as it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// What it came to.
    pub verdict: AttemptVerdict,
    /// Whether the message may be at the far end without anybody having been told so. Stays until it is settled.
    pub in_doubt: bool,
    /// HTTP or SMTP status.
    pub status: Option<u16>,
    /// What was sent, redacted and cut.
    pub request: Option<String>,
    /// What came back, redacted and cut.
    pub answer: Option<String>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// The far end's name for it, when it gave one.
    pub far_ref: Option<String>,
    /// What the call of a job came to, when this ended it.
    pub call: Option<CallResult>,
}

/// What follows an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is tried again.
    Retry {
        /// Not before.
        due: Timestamp,
    },
    /// It ended.
    End(DeliveryResult),
}

static ATTEMPT: Sql = Sql::write(
    "delivery_attempts.insert",
    "INSERT INTO delivery_attempts (delivery, n, at, took_ms, verdict, status, request, answer, error)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
static BACK: Sql = Sql::write(
    "outbox.retry_later",
    "UPDATE outbox SET state = 'pending', due_at = $1, lease_until = NULL, in_doubt = $2, last_error = $3,
       far_ref = COALESCE($4, far_ref)
     WHERE id = $5 AND state = 'sending' AND attempts = $6",
);
static END: Sql = Sql::write(
    "outbox.end",
    "UPDATE outbox SET state = $1, done_at = $2, due_at = NULL, lease_until = NULL, in_doubt = $3, last_error = $4,
       far_ref = COALESCE($5, far_ref)
     WHERE id = $6 AND state = 'sending' AND attempts = $7",
);
static SUPERSEDE: Sql = Sql::write(
    "outbox.supersede",
    "UPDATE outbox SET state = 'superseded', done_at = $1, due_at = NULL, lease_until = NULL, last_error = $2
     WHERE id = $3 AND done_at IS NULL AND attempts = $4",
);
static PROMOTE: Sql = Sql::write(
    "outbox.promote",
    "UPDATE outbox SET due_at = $1
     WHERE position = (SELECT min(position) FROM outbox WHERE connection = $2 AND lane = $3 AND done_at IS NULL)
       AND NOT EXISTS (SELECT 1 FROM outbox head
         WHERE head.connection = $2 AND head.lane = $3 AND head.done_at IS NULL AND head.due_at IS NOT NULL)",
);
static STEP_BACK: Sql = Sql::write(
    "outbox.step_back",
    "UPDATE outbox SET due_at = NULL
     WHERE connection = $1 AND lane = $2 AND done_at IS NULL AND due_at IS NOT NULL AND state = 'pending'
       AND position > $3",
);
static REVIVE: Sql =
    Sql::write("outbox.revive", "UPDATE outbox SET state = 'pending', done_at = NULL WHERE id = $1 AND state = 'dead'");

#[cfg(test)]
pub(super) static SQL: &[&Sql] = &[&ATTEMPT, &BACK, &END, &SUPERSEDE, &PROMOTE, &STEP_BACK, &REVIVE];

impl Store {
    /// Records the attempt that a claimed row has just made, and what follows from it, at `now`. When the row
    /// ends, its outcome enters the log in the same commit and the next row of its lane becomes due.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the row is no longer in the attempt that `delivery` was claimed for.
    pub async fn record_attempt(
        &self,
        delivery: &Delivery,
        attempt: &AttemptRecord,
        next: &Next,
        now: Timestamp,
    ) -> Result<()> {
        let effect = &delivery.effect;
        let mut batch = Batch::of(vec![insert_attempt(delivery, attempt)]);
        let in_doubt = attempt.in_doubt;
        const STALE: &str = "the delivery was moved on by somebody else since it was claimed";
        match next {
            Next::Retry { due } => batch.statements.push(
                BACK.bind(*due)
                    .bind(in_doubt)
                    .bind(attempt.error.as_ref())
                    .bind(attempt.far_ref.as_ref())
                    .bind(effect.id)
                    .bind(delivery.attempts)
                    .one(STALE),
            ),
            Next::End(result) => {
                let (state, error) = end_of(result);
                batch.statements.push(
                    END.bind(state)
                        .bind(now)
                        .bind(in_doubt)
                        .bind(error.or(attempt.error.as_deref()))
                        .bind(attempt.far_ref.as_ref())
                        .bind(effect.id)
                        .bind(delivery.attempts)
                        .one(STALE),
                );
                batch.statements.push(promote(delivery, now));
                batch.entries.push(outcome(delivery, result.clone(), Some(attempt), now)?);
            }
        }
        self.write(batch).await?;
        Ok(())
    }

    /// Ends unfinished rows that are no longer needed, each for its reason: all of them or none, because a trigger whose
    /// resolve alone is gone would be sent. Their outcomes enter the log.
    ///
    /// # Errors
    /// [`Error::Conflict`] when one is finished or was tried since it was read.
    pub async fn supersede(&self, rows: &[(&Delivery, &str)], now: Timestamp) -> Result<()> {
        let mut batch = Batch::default();
        for (row, why) in rows {
            let gone = "a delivery was finished or tried since it was looked at";
            batch.statements.push(SUPERSEDE.bind(now).bind(*why).bind(row.effect.id).bind(row.attempts).one(gone));
            batch.entries.push(outcome(row, DeliveryResult::Superseded { why: (*why).to_owned() }, None, now)?);
        }
        batch.statements.extend(rows.iter().map(|(row, _)| promote(row, now)));
        self.write(batch).await?;
        Ok(())
    }

    /// Puts a dead row back: it is due at once, or as soon as the row of its lane that is being sent is done.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not dead (or not there), which says what it is; for the call of a job always.
    pub async fn retry(&self, id: DeliveryId, now: Timestamp, caller: &Caller) -> Result<()> {
        const NOT_DEAD: &str = "only a dead delivery can be retried";
        let Some(row) = self.delivery_row(id).await? else {
            return Err(Error::Conflict { statement: REVIVE.name, problem: format!("there is no delivery {id}") });
        };
        if row.effect.action == Action::Job {
            let problem =
                "the call of a job is not repeated by hand: start the job again, or settle its run".to_owned();
            return Err(Error::Conflict { statement: REVIVE.name, problem });
        }
        let summary = format!("Delivery {id} to {} put back by hand", row.effect.connection);
        let audit = NewAudit { delivery: Some(id), ..NewAudit::new(now, caller.clone(), "delivery.retried", summary) };
        let lane = lane_of(&row.effect);
        let statements = vec![
            STEP_BACK.bind(&row.effect.connection).bind(lane).bind(row.position).any(),
            REVIVE.bind(id).one(NOT_DEAD),
            promote(&row, now),
            audit::insert(&audit),
        ];
        self.write(Batch::of(statements)).await?;
        Ok(())
    }
}

fn insert_attempt(delivery: &Delivery, attempt: &AttemptRecord) -> Statement {
    ATTEMPT
        .bind(delivery.effect.id)
        .bind(delivery.attempts)
        .bind(attempt.at)
        .bind(attempt.took_ms)
        .bind(attempt.verdict.as_str())
        .bind(attempt.status)
        .bind(attempt.request.as_ref())
        .bind(attempt.answer.as_ref())
        .bind(attempt.error.as_ref())
        .any()
}

/// Makes the oldest unfinished row of the lane due, unless the lane has a head.
fn promote(delivery: &Delivery, now: Timestamp) -> Statement {
    PROMOTE.bind(now).bind(&delivery.effect.connection).bind(lane_of(&delivery.effect)).any()
}

fn end_of(result: &DeliveryResult) -> (&'static str, Option<&str>) {
    match result {
        DeliveryResult::Delivered => ("delivered", None),
        DeliveryResult::Dead { error } => ("dead", Some(error)),
        DeliveryResult::Superseded { why } => ("superseded", Some(why)),
    }
}

/// What earlier attempts at the call of a job have learnt.
fn kept_of_job(delivery: &Delivery) -> Option<String> {
    delivery.far_ref.clone().filter(|_| delivery.effect.action == Action::Job)
}

/// The end of a delivery as an input. Its id is derived from the row, its attempts and the end, so that a row which
/// is put back and ends again is heard of again, and the same end is heard of once.
fn outcome(
    delivery: &Delivery,
    result: DeliveryResult,
    last: Option<&AttemptRecord>,
    now: Timestamp,
) -> Result<NewEntry> {
    let effect = &delivery.effect;
    let id = derive("outcome", &[&effect.id.to_string(), &delivery.attempts.to_string(), end_of(&result).0]);
    let outcome = Outcome {
        delivery: effect.id,
        connection: effect.connection.clone(),
        to: effect.to.clone(),
        incident: effect.incident,
        action: effect.action,
        result,
        attempts: delivery.attempts,
        status: last.and_then(|attempt| attempt.status),
        far_ref: last.and_then(|attempt| attempt.far_ref.clone()).or_else(|| kept_of_job(delivery)),
        act: effect.act.clone(),
        job: effect.job.as_ref().map(|job| {
            Box::new(JobOutcome {
                run: job.run,
                step: job.step.clone(),
                result: last.and_then(|attempt| attempt.call.clone()),
                in_doubt: last.map_or(delivery.in_doubt, |attempt| attempt.in_doubt),
            })
        }),
    };
    NewEntry::input(now, &Input::Outcome(Box::new(outcome)), id)
}
