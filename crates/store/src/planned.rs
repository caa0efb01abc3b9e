//! What is planned: overrides of schedules, silences, maintenance windows made at run time, and test alerts.
//!
//! Invariants: rows are written by decisions only ([`crate::state`]) and stay when what they say is over, for lists;
//! what is loaded is what may still matter at the last decided input.

use crate::error::Result;
use crate::statement::{Query, Sql, Statement};
use crate::value::{Kind, json};
use crate::Answers;
use jiff::Timestamp;
use trackside_core::duty::maintenance::When;
use trackside_core::duty::schedule::Override;
use trackside_core::ruleset::noise::{PlannedWork, Silence};
use trackside_core::state::{CanaryTest, Loaded};
use uuid::Uuid;

const BODY: &[Kind] = &[Kind::Text];

static PUT_OVERRIDE: Sql = Sql::write(
    "overrides.put",
    "INSERT INTO overrides (id, schedule, starts, ends, person, created, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (id) DO UPDATE SET schedule = excluded.schedule, starts = excluded.starts, ends = excluded.ends,
       person = excluded.person, created = excluded.created, ended = NULL, body = excluded.body",
);
static END_OVERRIDE: Sql = Sql::write("overrides.end", "UPDATE overrides SET ended = $1 WHERE id = $2");
static PUT_SILENCE: Sql = Sql::write(
    "silences.put",
    "INSERT INTO silences (id, starts, ends, author, created, body) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO UPDATE SET starts = excluded.starts, ends = excluded.ends, author = excluded.author,
       created = excluded.created, body = excluded.body",
);
static PUT_MAINTENANCE: Sql = Sql::write(
    "maintenance.put",
    "INSERT INTO maintenance (id, name, ends, author, created, body) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, ends = excluded.ends, author = excluded.author,
       created = excluded.created, ended = NULL, body = excluded.body",
);
static END_MAINTENANCE: Sql = Sql::write("maintenance.end", "UPDATE maintenance SET ended = $1 WHERE id = $2");
static PUT_CANARY: Sql = Sql::write(
    "canaries.put",
    "INSERT INTO canaries (connection, body) VALUES ($1, $2) ON CONFLICT (connection) DO UPDATE SET body = excluded.body",
);
static DROP_CANARY: Sql = Sql::write("canaries.drop", "DELETE FROM canaries WHERE connection = $1");

static LIVE_OVERRIDES: Sql =
    Sql::read("overrides.load", "SELECT body FROM overrides WHERE ended IS NULL AND ends > $1 ORDER BY ends", BODY);
static LIVE_SILENCES: Sql =
    Sql::read("silences.load", "SELECT body FROM silences WHERE ends > $1 ORDER BY ends", BODY);
static LIVE_MAINTENANCE: Sql = Sql::read(
    "maintenance.load",
    "SELECT body FROM maintenance WHERE ended IS NULL AND (ends > $1 OR ends IS NULL)",
    BODY,
);
static CANARIES: Sql = Sql::read("canaries.load", "SELECT body FROM canaries ORDER BY connection", BODY);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[
    &PUT_OVERRIDE,
    &END_OVERRIDE,
    &PUT_SILENCE,
    &PUT_MAINTENANCE,
    &END_MAINTENANCE,
    &PUT_CANARY,
    &DROP_CANARY,
    &LIVE_OVERRIDES,
    &LIVE_SILENCES,
    &LIVE_MAINTENANCE,
    &CANARIES,
];

/// What to ask for at start, without what was over at `now`; [`answered`] reads the answers.
pub(crate) fn queries(now: Timestamp) -> impl Iterator<Item = Query> {
    let live = [&LIVE_OVERRIDES, &LIVE_SILENCES, &LIVE_MAINTENANCE];
    live.map(|sql| sql.bind(now).query()).into_iter().chain([CANARIES.bound().query()])
}

/// Takes the answers to [`queries`].
pub(crate) fn answered(answers: &mut Answers, loaded: &mut Loaded) -> Result<()> {
    loaded.overrides = answers.next(|mut row| row.json())?;
    loaded.silences = answers.next(|mut row| row.json())?;
    loaded.planned_work = answers.next(|mut row| row.json())?;
    loaded.canaries = answers.next(|mut row| row.json())?;
    Ok(())
}

pub(crate) fn put_override(over: &Override) -> Result<Statement> {
    Ok(PUT_OVERRIDE
        .bind(over.id)
        .bind(&over.schedule)
        .bind(over.start)
        .bind(over.end)
        .bind(over.user.as_ref())
        .bind(over.created)
        .bind(json("an override", over)?)
        .any())
}

pub(crate) fn end_override(id: Uuid, at: Timestamp) -> Statement {
    END_OVERRIDE.bind(at).bind(id).any()
}

pub(crate) fn put_silence(silence: &Silence) -> Result<Statement> {
    Ok(PUT_SILENCE
        .bind(silence.id)
        .bind(silence.starts)
        .bind(silence.ends)
        .bind(&silence.by)
        .bind(silence.created)
        .bind(json("a silence", silence)?)
        .any())
}

pub(crate) fn put_maintenance(work: &PlannedWork) -> Result<Statement> {
    Ok(PUT_MAINTENANCE
        .bind(work.id)
        .bind(&work.window.name)
        .bind(last_end(&work.window.when))
        .bind(&work.by)
        .bind(work.created)
        .bind(json("a maintenance window", work)?)
        .any())
}

pub(crate) fn end_maintenance(id: Uuid, at: Timestamp) -> Statement {
    END_MAINTENANCE.bind(at).bind(id).any()
}

pub(crate) fn put_canary(test: &CanaryTest) -> Result<Statement> {
    Ok(PUT_CANARY.bind(&test.connection).bind(json("a test alert", test)?).any())
}

pub(crate) fn drop_canary(connection: &str) -> Statement {
    DROP_CANARY.bind(connection).any()
}

/// When the last occurrence of a window ends; none when it may come again for ever.
fn last_end(when: &When) -> Option<Timestamp> {
    let bounded = when.rrule.as_ref().is_none_or(|rule| rule.until.is_some() || rule.count.is_some());
    if !bounded || !when.intervals.is_empty() {
        return None;
    }
    when.occurrences(Timestamp::MIN, Timestamp::MAX).into_iter().map(|(_, end)| end).max()
}
