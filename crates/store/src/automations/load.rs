//! What the set of automations needs at start, besides the state that all decisions share.
//!
//! Reads only what is new: of the events that were seen, their ids and times, back to the age at which they no longer
//! count; whole events only for those that wait for their leader.

use crate::error::{Error, Result};
use crate::statement::{Query, Sql};
use crate::value::{Kind, Row};
use crate::{Answers, Store};
use jiff::{SignedDuration, Timestamp};
use trackside_core::automation::definition::AutomationId;
use trackside_core::automation::edit::{Cell, SenderClock};
use trackside_core::automation::set::{self, Loaded, SEEN};
use trackside_core::ids::{EventId, Seq};
use uuid::Uuid;

/// Events as old as this, counted from the newest, are no longer remembered as seen.
const SEEN_FOR: SignedDuration = SignedDuration::from_mins(30);
/// Log entries looked at in one question for what was seen.
const SEEN_ROWS: u64 = 2_500;

static AUTOMATIONS: Sql =
    Sql::read("automations.load", "SELECT body FROM automations ORDER BY created, id", &[Kind::Text]);
static CELLS: Sql = Sql::read(
    "automation_cells.load",
    "SELECT automation, key, body FROM automation_cells ORDER BY automation, key",
    &[Kind::Bytes, Kind::Text, Kind::Text],
);
static CLOCK: Sql = Sql::read("meta.sender_clock", "SELECT value FROM meta WHERE key = 'sender_clock'", &[Kind::Text]);
static NEWEST: Sql = Sql::read(
    "log.newest_event",
    "SELECT seq, at FROM log WHERE seq <= $1
     AND NOT (source >= 'trackside.' AND source < 'trackside/') ORDER BY seq DESC LIMIT 1",
    &[Kind::Int, Kind::Time],
);
static SEEN_BEFORE: Sql = Sql::read(
    "log.seen",
    "SELECT id, at, NOT (source >= 'trackside.' AND source < 'trackside/') FROM log
     WHERE seq <= $1 AND seq > $2 ORDER BY seq DESC",
    &[Kind::Uuid, Kind::Time, Kind::Bool],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&AUTOMATIONS, &CELLS, &CLOCK, &NEWEST, &SEEN_BEFORE];

/// What is asked in the same moment as the rest of the state.
pub(crate) fn queries() -> [Query; 3] {
    [AUTOMATIONS.bound().query(), CELLS.bound().query(), CLOCK.bound().query()]
}

/// The answers to [`queries`].
pub(crate) fn answered(answers: &mut Answers) -> Result<Loaded> {
    let automations = answers.next(|mut row| row.json())?;
    let cells = answers.next(cell)?;
    let sender_clock: Option<SenderClock> = answers.next(|mut row| row.json())?.pop();
    Ok(Loaded { automations, cells, sender_clock, ..Loaded::default() })
}

/// Adds the events that were decided lately, and those of them that wait.
///
/// An event waits for minutes and the log is kept for days, so retention never takes one that waits.
pub(crate) async fn events(store: &Store, cursor: Seq, loaded: &mut Loaded) -> Result<()> {
    loaded.seen = seen(store, cursor).await?;
    let parked = store.events_at(&set::parked(&loaded.cells)).await?;
    loaded.parked = parked.into_iter().map(|logged| (logged.seq, logged.event)).collect();
    Ok(())
}

/// The newest events up to the cursor, oldest first.
///
/// Times ascend with positions but for clock corrections and what was due earlier, so reading ends only where a whole
/// stretch of entries is too old.
async fn seen(store: &Store, cursor: Seq) -> Result<Vec<(EventId, Timestamp)>> {
    let Some(mut row) = store.row(NEWEST.bind(cursor).query()).await? else { return Ok(Vec::new()) };
    let (mut upto, newest): (Seq, Timestamp) = (row.next()?, row.next()?);
    let oldest = newest.saturating_sub(SEEN_FOR).unwrap_or(Timestamp::MIN);
    let mut seen = Vec::new();
    while seen.len() < SEEN {
        let from = upto.saturating_sub(SEEN_ROWS);
        let rows = store.rows(SEEN_BEFORE.bind(upto).bind(from).query()).await?;
        let mut all_too_old = true;
        for mut row in rows {
            let (id, at, is_event): (EventId, Timestamp, bool) = (row.next()?, row.next()?, row.next()?);
            if at >= oldest {
                all_too_old = false;
                seen.extend(is_event.then_some((id, at)));
            }
        }
        if all_too_old {
            break;
        }
        upto = from;
    }
    seen.truncate(SEEN);
    seen.reverse();
    Ok(seen)
}

fn cell(mut row: Row) -> Result<Cell> {
    let owner: Vec<u8> = row.next()?;
    let automation = match owner.as_slice() {
        [] => None,
        bytes => Some(AutomationId(Uuid::from_slice(bytes).map_err(|error| Error::Corrupt {
            what: "automation_cells.automation".to_owned(),
            problem: error.to_string(),
        })?)),
    };
    Ok(Cell { automation, key: row.next()?, body: Some(row.next()?) })
}
