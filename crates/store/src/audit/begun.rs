//! Acts with an effect outside: noted before they are done, a row of the trail when they have ended.
//!
//! Invariant: an act is either noted and not ended, or one row with its outcome. What a crash interrupted becomes a row
//! with the outcome `unknown` at the next start: it may have been done.

use super::{NewAudit, insert};
use crate::Store;
use crate::error::Result;
use crate::statement::{Batch, Sql};
use crate::value::{Kind, json};
use jiff::Timestamp;
use uuid::Uuid;

/// Acts completed in one batch after a crash.
const INTERRUPTED: usize = 500;

static BEGIN: Sql = Sql::write("audit_begun.insert", "INSERT INTO audit_begun (id, at, body) VALUES ($1, $2, $3)");
static END: Sql = Sql::write("audit_begun.delete", "DELETE FROM audit_begun WHERE id = $1");
static OPEN: Sql =
    Sql::read("audit_begun.list", "SELECT id, body FROM audit_begun ORDER BY id LIMIT $1", &[Kind::Uuid, Kind::Text]);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&BEGIN, &END, &OPEN];

/// How an act ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was done.
    Done,
    /// It was not done.
    Failed(String),
}

impl Store {
    /// Notes an act before it is done.
    ///
    /// # Errors
    /// When it could not be stored: the act must not be done then.
    pub async fn begin_act(&self, id: Uuid, act: &NewAudit) -> Result<()> {
        let begin = BEGIN.bind(id).bind(act.at).bind(json("an audit row", act)?);
        self.write(Batch::of(vec![begin.any()])).await?;
        Ok(())
    }

    /// Puts an act that was noted into the trail.
    ///
    /// # Errors
    /// When it could not be stored; the next start calls the outcome unknown.
    pub async fn end_act(&self, id: Uuid, mut act: NewAudit, ended: Ended, now: Timestamp) -> Result<()> {
        act.detail.begun = Some(act.at);
        act.at = now;
        match ended {
            Ended::Done => act.detail.outcome = Some("done".to_owned()),
            Ended::Failed(why) => {
                act.detail.outcome = Some("failed".to_owned());
                act.summary = format!("{}: {why}", act.summary);
            }
        }
        let end = END.bind(id).one("the act has ended already");
        self.write(Batch::of(vec![end, insert(&act)])).await?;
        Ok(())
    }

    /// Puts what a crash interrupted into the trail; gives how many acts that were.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn end_interrupted_acts(&self, now: Timestamp) -> Result<u64> {
        let mut ended = 0;
        loop {
            let rows = self.rows(OPEN.bind(INTERRUPTED).query()).await?;
            if rows.is_empty() {
                return Ok(ended);
            }
            let mut statements = Vec::new();
            for mut row in rows {
                let id: Uuid = row.next()?;
                let mut act: NewAudit = row.json()?;
                act.detail.begun = Some(act.at);
                act.detail.outcome = Some("unknown".to_owned());
                act.at = now;
                act.summary = format!("{}: the server stopped before it ended", act.summary);
                statements.push(END.bind(id).any());
                statements.push(insert(&act));
                ended += 1;
            }
            self.write(Batch::of(statements)).await?;
        }
    }
}
