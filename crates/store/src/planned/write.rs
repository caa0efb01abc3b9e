//! What decisions write of what is planned, and of test alerts.

use crate::error::Result;
use crate::statement::{Sql, Statement};
use crate::value::json;
use jiff::Timestamp;
use trackside_core::duty::absence::Absence;
use trackside_core::duty::maintenance::When;
use trackside_core::duty::schedule::Override;
use trackside_core::ruleset::noise::{PlannedWork, Silence};
use trackside_core::state::CanaryTest;
use uuid::Uuid;

static PUT_OVERRIDE: Sql = Sql::write(
    "overrides.put",
    "INSERT INTO overrides (id, schedule, starts, ends, person, body) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO UPDATE SET schedule = excluded.schedule, starts = excluded.starts, ends = excluded.ends,
       person = excluded.person, ended = NULL, body = excluded.body",
);
static END_OVERRIDE: Sql = Sql::write("overrides.end", "UPDATE overrides SET ended = $1 WHERE id = $2");
static PUT_SILENCE: Sql = Sql::write(
    "silences.put",
    "INSERT INTO silences (id, author, ends, body) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE SET author = excluded.author, ends = excluded.ends, body = excluded.body",
);
static PUT_MAINTENANCE: Sql = Sql::write(
    "maintenance.put",
    "INSERT INTO maintenance (id, name, author, ends, body) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, author = excluded.author, ends = excluded.ends, ended = NULL,
       body = excluded.body",
);
static END_MAINTENANCE: Sql = Sql::write("maintenance.end", "UPDATE maintenance SET ended = $1 WHERE id = $2");
static PUT_CANARY: Sql = Sql::write(
    "canaries.put",
    "INSERT INTO canaries (connection, body) VALUES ($1, $2)
     ON CONFLICT (connection) DO UPDATE SET body = excluded.body",
);
static PUT_ABSENCE: Sql = Sql::write(
    "absences.put",
    "INSERT INTO absences (person, body) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET body = excluded.body",
);
static DROP_ABSENCE: Sql = Sql::write("absences.drop", "DELETE FROM absences WHERE person = $1");
static DROP_CANARY: Sql = Sql::write("canaries.drop", "DELETE FROM canaries WHERE connection = $1");

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[
    &PUT_OVERRIDE,
    &END_OVERRIDE,
    &PUT_SILENCE,
    &PUT_MAINTENANCE,
    &END_MAINTENANCE,
    &PUT_ABSENCE,
    &DROP_ABSENCE,
    &PUT_CANARY,
    &DROP_CANARY,
];

pub(crate) fn put_override(over: &Override) -> Result<Statement> {
    Ok(PUT_OVERRIDE
        .bind(over.id)
        .bind(&over.schedule)
        .bind(over.start)
        .bind(over.end)
        .bind(over.user.as_ref())
        .bind(json("an override", over)?)
        .any())
}

pub(crate) fn end_override(id: Uuid, at: Timestamp) -> Statement {
    END_OVERRIDE.bind(at).bind(id).any()
}

pub(crate) fn put_silence(silence: &Silence) -> Result<Statement> {
    let body = json("a silence", silence)?;
    Ok(PUT_SILENCE.bind(silence.id).bind(&silence.by).bind(silence.ends).bind(body).any())
}

pub(crate) fn put_maintenance(work: &PlannedWork) -> Result<Statement> {
    Ok(PUT_MAINTENANCE
        .bind(work.id)
        .bind(&work.window.name)
        .bind(&work.by)
        .bind(last_end(&work.window.when))
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

pub(crate) fn put_absence(absence: &Absence) -> Result<Statement> {
    Ok(PUT_ABSENCE.bind(&absence.person).bind(json("an absence", absence)?).any())
}

pub(crate) fn drop_absence(person: &str) -> Statement {
    DROP_ABSENCE.bind(person).any()
}

/// When the last occurrence of a window ends; none when there is no last one. A window that never is, is over.
fn last_end(when: &When) -> Option<Timestamp> {
    let bounded = when.rrule.as_ref().is_none_or(|rule| rule.until.is_some() || rule.count.is_some());
    if !bounded || !when.intervals.is_empty() {
        return None;
    }
    let ends = when.occurrences(Timestamp::MIN, Timestamp::MAX).into_iter().map(|(_, end)| end);
    let end = ends.max().unwrap_or(Timestamp::MIN);
    // There are more than are listed at once.
    when.next_start(end).is_none().then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_over_with_its_last_occurrence() {
        let check = |when: serde_json::Value, expect: Option<&str>| {
            let end = last_end(&serde_json::from_value(when.clone()).unwrap());
            assert_eq!(end.map(|end| end.to_string()).as_deref(), expect, "{when}");
        };
        let once = serde_json::json!({"tz": "Europe/Berlin", "start": "2026-11-20T22:00:00", "duration_s": 3600});
        check(once.clone(), Some("2026-11-20T22:00:00Z"));
        let with = |rule: serde_json::Value| {
            let mut when = once.clone();
            when["rrule"] = rule;
            when
        };
        check(with(serde_json::json!({"freq": "daily"})), None);
        check(with(serde_json::json!({"freq": "daily", "count": 3})), Some("2026-11-22T22:00:00Z"));
        check(with(serde_json::json!({"freq": "daily", "until": "2026-11-23T22:00:00"})), Some("2026-11-23T22:00:00Z"));
        check(with(serde_json::json!({"freq": "daily", "until": "2099-01-01T22:00:00"})), None);
        let always = serde_json::json!({"intervals": [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}]});
        check(always, None);
    }
}
