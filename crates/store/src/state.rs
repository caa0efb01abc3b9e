//! The state that decisions are made on, and the commit that changes it.
//!
//! Invariants: one decided batch is one atomic commit: state, outbox rows, audit, explanations, firings, the events it
//! emits and cursor together; a commit on another cursor than the one in the database fails and changes nothing.

use crate::error::Result;
use crate::log::NewEntry;
use crate::statement::{Batch, Query, Sql, Statement};
use crate::value::{Kind, json};
use crate::{Store, approvals, audit, automations, firings, jobs, outbox, pages, planned};
use jiff::Timestamp;
use std::collections::BTreeMap;
use trackside_core::decision::{Alias, Change, Decision};
use trackside_core::ids::{IncidentId, Seq};
use trackside_core::incident::{Alert, AlertKey, Incident, IncidentState};
use trackside_core::limits;
use trackside_core::pipeline::Pipeline;
use trackside_core::run::{Attempt, Run, RunKey, RunState};
use trackside_core::state::{Loaded, Needed};
use trackside_core::timer::{Timer, TimerKey};

/// Most open runs loaded at start, newest first. Older ones are found by
/// [`Store::load_needed`] when they are heard of.
pub const LOAD_RUNS: usize = 50_000;
/// Most timers asked for at once.
pub const LOAD_TIMERS: usize = 1_000;
/// Most attempts or aliases read of one run.
pub const RUN_PARTS: usize = 10_000;

const BODY: &[Kind] = &[Kind::Text];

static META: Sql = Sql::read("meta.get", "SELECT value FROM meta WHERE key = $1", BODY);
static DECIDED_AT: Sql = Sql::read(
    "cursor.time",
    "SELECT at FROM log WHERE seq = (SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'cursor')",
    &[Kind::Time],
);
static PIPELINES: Sql = Sql::read("pipelines.load", "SELECT body FROM pipelines ORDER BY source, name", BODY);
static ALERTS: Sql = Sql::read("alerts.load", "SELECT body FROM alerts ORDER BY source, pipeline, rule, subject", BODY);
static INCIDENT: Sql = Sql::read("incidents.get", "SELECT body FROM incidents WHERE id = $1", BODY);
static OPEN_INCIDENTS: Sql =
    Sql::read("incidents.load", "SELECT body FROM incidents WHERE open = TRUE ORDER BY number", BODY);
static LAST_RESOLVED: Sql = Sql::read(
    "incidents.last_resolved",
    "SELECT resolved FROM incidents WHERE resolved IS NOT NULL ORDER BY resolved DESC LIMIT 1",
    &[Kind::Time],
);
// Open ones have no time of resolution.
static RESOLVED_SINCE: Sql = Sql::read(
    "incidents.resolved_since",
    "SELECT body FROM incidents WHERE resolved IS NOT NULL AND resolved >= $1 ORDER BY resolved",
    BODY,
);
static TIMERS: Sql = Sql::read("timers.load", "SELECT body FROM timers ORDER BY due, key", BODY);
static TIMER: Sql = Sql::read("timers.get", "SELECT body FROM timers WHERE key = $1", BODY);
static OPEN_RUNS: Sql = Sql::read(
    "runs.load",
    "SELECT body FROM runs WHERE position IN (
       SELECT position FROM runs WHERE open = TRUE
       UNION SELECT r.position FROM attempts a JOIN runs r
         ON r.source = a.source AND r.pipeline = a.pipeline AND r.run = a.run WHERE a.open = TRUE)
     ORDER BY position DESC LIMIT $1",
    BODY,
);
static FIND_RUN: Sql = Sql::read(
    "runs.find",
    "SELECT body FROM runs WHERE source = $1 AND pipeline = $2 AND run = $3
     UNION SELECT body FROM runs WHERE source = $1 AND pipeline = $2 AND run_id = $3
     UNION SELECT r.body FROM aliases n JOIN runs r
       ON r.source = n.source AND r.pipeline = n.pipeline AND r.run = n.run
       WHERE n.source = $1 AND n.alias = $3",
    BODY,
);
static ATTEMPTS: Sql = Sql::read(
    "attempts.of_run",
    "SELECT body FROM attempts WHERE source = $1 AND pipeline = $2 AND run = $3
     ORDER BY task, map_index, try_number LIMIT $4",
    BODY,
);
static ALIASES: Sql = Sql::read(
    "aliases.of_run",
    "SELECT body FROM aliases WHERE source = $1 AND pipeline = $2 AND run = $3 ORDER BY alias LIMIT $4",
    BODY,
);

static MOVE_CURSOR: Sql = Sql::write("cursor.move", "UPDATE meta SET value = $1 WHERE key = 'cursor' AND value = $2");
static SET_META: Sql = Sql::write(
    "meta.set",
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
);
static PUT_RUN: Sql = Sql::write(
    "runs.put",
    "INSERT INTO runs (source, pipeline, run, run_id, state, open, owner, first_seen, ended, duration_ms, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (source, pipeline, run) DO UPDATE SET run_id = excluded.run_id, state = excluded.state,
       open = excluded.open, owner = excluded.owner, first_seen = excluded.first_seen, ended = excluded.ended,
       duration_ms = excluded.duration_ms, body = excluded.body",
);
static PUT_ATTEMPT: Sql = Sql::write(
    "attempts.put",
    "INSERT INTO attempts (source, pipeline, run, task, map_index, try_number, state, open, started, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (source, pipeline, run, task, map_index, try_number) DO UPDATE SET state = excluded.state,
       open = excluded.open, started = excluded.started, body = excluded.body",
);
static PUT_ALIAS: Sql = Sql::write(
    "aliases.put",
    "INSERT INTO aliases (source, alias, pipeline, run, body) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (source, alias) DO UPDATE SET pipeline = excluded.pipeline, run = excluded.run, body = excluded.body",
);
static PUT_PIPELINE: Sql = Sql::write(
    "pipelines.put",
    "INSERT INTO pipelines (source, name, owner, last_success, body) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (source, name) DO UPDATE SET owner = excluded.owner, last_success = excluded.last_success,
       body = excluded.body",
);
static PUT_ALERT: Sql = Sql::write(
    "alerts.put",
    "INSERT INTO alerts (source, pipeline, rule, subject, incident, body) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (source, pipeline, rule, subject) DO UPDATE SET incident = excluded.incident, body = excluded.body",
);
static DROP_ALERT: Sql =
    Sql::write("alerts.drop", "DELETE FROM alerts WHERE source = $1 AND pipeline = $2 AND rule = $3 AND subject = $4");
static PUT_INCIDENT: Sql = Sql::write(
    "incidents.put",
    "INSERT INTO incidents (number, id, state, open, owner, source, pipeline, severity, opened, acknowledged, resolved,
       resolved_via, parent, suppressed, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, open = excluded.open, owner = excluded.owner,
       parent = excluded.parent, suppressed = excluded.suppressed,
       severity = excluded.severity, acknowledged = COALESCE(incidents.acknowledged, excluded.acknowledged),
       resolved = excluded.resolved, body = excluded.body,
       resolved_via = CASE WHEN excluded.resolved IS NOT NULL
         THEN COALESCE(excluded.resolved_via, incidents.resolved_via) END",
);
static PUT_TIMER: Sql = Sql::write(
    "timers.put",
    "INSERT INTO timers (key, due, body) VALUES ($1, $2, $3)
     ON CONFLICT (key) DO UPDATE SET due = excluded.due, body = excluded.body",
);
static DROP_TIMER: Sql = Sql::write("timers.drop", "DELETE FROM timers WHERE key = $1");

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[
    &META,
    &DECIDED_AT,
    &PIPELINES,
    &ALERTS,
    &INCIDENT,
    &OPEN_INCIDENTS,
    &LAST_RESOLVED,
    &RESOLVED_SINCE,
    &TIMERS,
    &TIMER,
    &OPEN_RUNS,
    &FIND_RUN,
    &ATTEMPTS,
    &ALIASES,
    &MOVE_CURSOR,
    &SET_META,
    &PUT_RUN,
    &PUT_ATTEMPT,
    &PUT_ALIAS,
    &PUT_PIPELINE,
    &PUT_ALERT,
    &DROP_ALERT,
    &PUT_INCIDENT,
    &PUT_TIMER,
    &DROP_TIMER,
];

impl Store {
    /// Commits one decided batch on top of the cursor it was decided on. The events that the decision itself is enter
    /// the log in the same batch, after everything that is there; [`Store::head`] tells of them.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when the cursor in the database is not `expected`: somebody else decided; load again.
    pub async fn commit(&self, decision: &Decision, expected: Seq) -> Result<()> {
        let entries = decision.emitted.iter().map(NewEntry::emitted).collect::<Result<_>>()?;
        self.write(Batch { entries, statements: decision_statements(decision, expected)? }).await?;
        Ok(())
    }

    /// The last log entry decided.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when it cannot be read.
    pub async fn cursor(&self) -> Result<Seq> {
        let row = self.row(META.bind("cursor").query()).await?;
        Ok(row.map(|mut row| row.json()).transpose()?.unwrap_or(0))
    }

    /// Everything the engine keeps in memory: all pipelines, alerts and timers, the incidents that are open or were
    /// resolved so recently that they can be opened again, what is planned and not over, the runs that are not over or
    /// have an attempt that is not over (at most [`LOAD_RUNS`]), and all automations with their state. Nothing may be
    /// committed meanwhile.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when a value cannot be read back.
    pub async fn load(&self) -> Result<Loaded> {
        let (decided, resolved) = self.latest().await?;
        let mut queries = vec![
            META.bind("cursor").query(),
            META.bind("ruleset").query(),
            META.bind("counters").query(),
            PIPELINES.bound().query(),
            ALERTS.bound().query(),
            OPEN_INCIDENTS.bound().query(),
            RESOLVED_SINCE.bind(resolved.saturating_sub(limits::REMEMBER_RESOLVED).unwrap_or(Timestamp::MIN)).query(),
            TIMERS.bound().query(),
            OPEN_RUNS.bind(LOAD_RUNS).query(),
        ];
        queries.extend(planned::queries(decided));
        queries.extend(automations::load::queries());
        queries.extend([jobs::open(), approvals::open(), approvals::active()]);
        let mut answers = self.snapshot(queries).await?;
        let mut loaded = Loaded {
            cursor: answers.next(|mut row| row.json())?.pop().unwrap_or(0),
            ruleset: answers.next(|mut row| row.json())?.pop(),
            counters: answers.next(|mut row| row.json())?.pop().unwrap_or_default(),
            pipelines: answers.next(|mut row| row.json())?,
            alerts: answers.next(|mut row| row.json())?,
            incidents: answers.next(|mut row| row.json())?,
            ..Loaded::default()
        };
        loaded.incidents.extend(answers.next(|mut row| row.json())?);
        loaded.timers = answers.next(|mut row| row.json())?;
        let runs = answers.next(|mut row| row.json())?;
        planned::answered(&mut answers, &mut loaded)?;
        loaded.automations = automations::load::answered(&mut answers)?;
        loaded.job_runs = answers.next(|mut row| row.json())?;
        loaded.approvals = answers.next(|mut row| row.json())?;
        loaded.grants = answers.next(|mut row| row.json())?;
        self.load_families(runs, &mut loaded).await?;
        automations::load::events(self, loaded.cursor, &mut loaded.automations).await?;
        Ok(loaded)
    }

    /// When the last decided input was accepted, and when an incident was last resolved; the beginning of time when
    /// there is none.
    async fn latest(&self) -> Result<(Timestamp, Timestamp)> {
        let mut answers = self.snapshot(vec![DECIDED_AT.bound().query(), LAST_RESOLVED.bound().query()]).await?;
        let mut next = || Ok(answers.next(|mut row| row.next())?.pop().unwrap_or(Timestamp::MIN));
        Ok((next()?, next()?))
    }

    /// Those of these timers that are set, earliest first.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for more than [`LOAD_TIMERS`] keys; [`crate::Error::Corrupt`] when a timer cannot be
    /// read back.
    pub async fn timers(&self, keys: &[TimerKey]) -> Result<Vec<Timer>> {
        if keys.len() > LOAD_TIMERS {
            let problem = format!("{} timers asked for, at most {LOAD_TIMERS} are allowed", keys.len());
            return Err(crate::Error::Invalid { what: "the question".to_owned(), problem });
        }
        let queries = keys.iter().map(|key| Ok(TIMER.bind(timer_key(key)?).query())).collect::<Result<Vec<_>>>()?;
        let mut answers = self.snapshot(queries).await?;
        let mut timers = Vec::new();
        for _ in keys {
            timers.extend(answers.next(|mut row| row.json::<Timer>())?);
        }
        timers.sort_by(|a, b| (a.due, &a.key).cmp(&(b.due, &b.key)));
        Ok(timers)
    }

    /// The runs (by run id, further id or alias), their attempts and names, and the incidents that some inputs need.
    /// What is not there is left out.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when a value cannot be read back.
    pub async fn load_needed(&self, needed: &Needed) -> Result<Loaded> {
        let runs =
            needed.runs.iter().map(|(source, pipeline, name)| FIND_RUN.bind(source).bind(pipeline).bind(name).query());
        let incidents = needed.incidents.iter().map(|id| INCIDENT.bind(*id).query());
        let job_runs = needed.job_runs.iter().map(|id| jobs::by_id(*id));
        let job_keys = needed.job_keys.iter().map(|(job, subject, key)| jobs::by_key(job, subject, key));
        let approvals = needed.approvals.iter().map(|id| approvals::by_id(*id));
        let queries = runs.chain(incidents).chain(job_runs).chain(job_keys).chain(approvals).collect();
        let mut answers = self.snapshot(queries).await?;
        let mut found = BTreeMap::new();
        for _ in &needed.runs {
            for run in answers.next(|mut row| row.json::<Run>())? {
                found.insert(run.key.clone(), run);
            }
        }
        let mut loaded = Loaded::default();
        for _ in &needed.incidents {
            loaded.incidents.extend(answers.next(|mut row| row.json())?);
        }
        for _ in 0..needed.job_runs.len() + needed.job_keys.len() {
            loaded.job_runs.extend(answers.next(|mut row| row.json())?);
        }
        for _ in &needed.approvals {
            loaded.approvals.extend(answers.next(|mut row| row.json())?);
        }
        self.load_families(found.into_values().collect(), &mut loaded).await?;
        let positions: Vec<Seq> = needed.events.iter().copied().collect();
        loaded.events = self.events_at(&positions).await?.into_iter().map(|found| (found.seq, found.event)).collect();
        Ok(loaded)
    }

    /// Adds runs with their attempts and names.
    async fn load_families(&self, runs: Vec<Run>, loaded: &mut Loaded) -> Result<()> {
        let queries = runs.iter().flat_map(|run| [attempts_of(&run.key), aliases_of(&run.key)]).collect();
        let mut answers = self.snapshot(queries).await?;
        for run in runs {
            loaded.attempts.extend(answers.next(|mut row| row.json())?);
            loaded.aliases.extend(answers.next(|mut row| row.json())?);
            loaded.runs.push(run);
        }
        Ok(())
    }
}

/// The attempts of a run, as JSON.
pub(crate) fn attempts_of(run: &RunKey) -> Query {
    ATTEMPTS.bind(&run.source).bind(&run.pipeline).bind(&run.run).bind(RUN_PARTS).query()
}

/// The further names of a run, as JSON.
pub(crate) fn aliases_of(run: &RunKey) -> Query {
    ALIASES.bind(&run.source).bind(&run.pipeline).bind(&run.run).bind(RUN_PARTS).query()
}

/// The statements of one decided batch; the cursor goes first, so that a stale decision fails at once.
fn decision_statements(decision: &Decision, expected: Seq) -> Result<Vec<Statement>> {
    let mut statements = vec![
        MOVE_CURSOR
            .bind(decision.cursor.to_string())
            .bind(expected.to_string())
            .one("the log was decided further by somebody else since this decision was begun"),
    ];
    let resolved_via = resolved_via(decision);
    for change in &decision.changes {
        statements.extend(change_statements(change, &resolved_via)?);
    }
    let mut ordinals = Ordinals::default();
    for effect in &decision.effects {
        statements.push(outbox::insert(effect, ordinals.next(effect.cause))?);
    }
    for entry in &decision.audit {
        statements.push(audit::insert_decided(entry));
    }
    let mut ordinals = Ordinals::default();
    for explanation in &decision.explanations {
        statements.push(audit::insert_explanation(explanation, ordinals.next(explanation.seq))?);
    }
    statements.extend(firings::insert(&decision.firings)?);
    for page in &decision.pages {
        statements.push(pages::insert(page)?);
    }
    let mut ordinals = Ordinals::default();
    for fired in &decision.fired {
        statements.push(pages::insert_fired(fired, ordinals.next(fired.seq)));
    }
    if let Some(clock) = &decision.sender_clock {
        statements.push(SET_META.bind("sender_clock").bind(json("the sender clock", clock)?).any());
    }
    Ok(statements)
}

/// Numbers things of one log entry from 0.
#[derive(Default)]
struct Ordinals(BTreeMap<Seq, u32>);

impl Ordinals {
    fn next(&mut self, seq: Seq) -> u32 {
        let next = self.0.entry(seq).or_default();
        *next += 1;
        *next - 1
    }
}

/// How those who resolved incidents in this batch came in.
fn resolved_via(decision: &Decision) -> BTreeMap<IncidentId, &str> {
    let resolved = decision.audit.iter().filter(|row| row.action == "incident.resolved");
    resolved.filter_map(|row| Some((row.incident?, row.caller.via.as_str()))).collect()
}

fn change_statements(change: &Change, resolved_via: &BTreeMap<IncidentId, &str>) -> Result<Vec<Statement>> {
    let statement = match change {
        Change::Run(run) => put_run(run)?,
        Change::Attempt(attempt) => put_attempt(attempt)?,
        Change::Alias(alias) => put_alias(alias)?,
        Change::Pipeline(pipeline) => put_pipeline(pipeline)?,
        Change::Alert(alert) => put_alert(alert)?,
        Change::AlertGone(key) => drop_alert(key),
        Change::Incident(incident) => put_incident(incident, resolved_via)?,
        Change::Timer(timer) => put_timer(timer)?,
        Change::TimerGone(key) => drop_timer(key)?,
        Change::Ruleset(ruleset) => SET_META.bind("ruleset").bind(json("the rules", ruleset)?).any(),
        Change::Counters(counters) => SET_META.bind("counters").bind(json("the counters", counters)?).any(),
        Change::Automation(change) => return automations::write::put(change),
        Change::AutomationGone { id, by, at } => return Ok(automations::write::remove(*id, by, *at)),
        Change::AutomationCell(cell) => automations::write::cell(cell),
        Change::Override(over) => planned::write::put_override(over)?,
        Change::OverrideGone { id, at } => planned::write::end_override(*id, *at),
        Change::Silence(silence) => planned::write::put_silence(silence)?,
        Change::Maintenance(work) => planned::write::put_maintenance(work)?,
        Change::MaintenanceGone { id, at } => planned::write::end_maintenance(*id, *at),
        Change::Absence(absence) => planned::write::put_absence(absence)?,
        Change::AbsenceOver(person) => planned::write::drop_absence(person),
        Change::Canary(test) => planned::write::put_canary(test)?,
        Change::JobRun(run) => return jobs::put(run),
        Change::CanaryGone(connection) => planned::write::drop_canary(connection),
        Change::Approval(approval) => approvals::put(approval)?,
        Change::Grant(grant) => approvals::put_grant(grant)?,
        Change::GrantGone { id, at } => approvals::end_grant(*id, *at),
    };
    Ok(vec![statement])
}

fn is_open(state: RunState) -> bool {
    !state.is_terminal()
}

fn put_run(run: &Run) -> Result<Statement> {
    #[allow(clippy::cast_possible_truncation, reason = "saturating float to int")]
    let duration_ms = run.duration_s().map(|seconds| (seconds * 1000.0) as i64);
    Ok(PUT_RUN
        .bind(&run.key.source)
        .bind(&run.key.pipeline)
        .bind(&run.key.run)
        .bind(run.run_id.as_ref())
        .bind(run.state.as_str())
        .bind(is_open(run.state))
        .bind(run.owner.as_ref())
        .bind(run.first_seen)
        .bind(run.ended)
        .bind(duration_ms)
        .bind(json("a run", run)?)
        .any())
}

fn put_attempt(attempt: &Attempt) -> Result<Statement> {
    let key = &attempt.key;
    Ok(PUT_ATTEMPT
        .bind(&key.run.source)
        .bind(&key.run.pipeline)
        .bind(&key.run.run)
        .bind(&key.task)
        .bind(key.map_index)
        .bind(key.try_number)
        .bind(attempt.state.as_str())
        .bind(is_open(attempt.state))
        .bind(attempt.started)
        .bind(json("an attempt", attempt)?)
        .any())
}

fn put_alias(alias: &Alias) -> Result<Statement> {
    Ok(PUT_ALIAS
        .bind(&alias.source)
        .bind(&alias.alias)
        .bind(&alias.run.pipeline)
        .bind(&alias.run.run)
        .bind(json("an alias", alias)?)
        .any())
}

fn put_pipeline(pipeline: &Pipeline) -> Result<Statement> {
    Ok(PUT_PIPELINE
        .bind(&pipeline.key.source)
        .bind(&pipeline.key.name)
        .bind(pipeline.owner.as_ref())
        .bind(pipeline.last_success)
        .bind(json("a pipeline", pipeline)?)
        .any())
}

fn put_alert(alert: &Alert) -> Result<Statement> {
    let key = &alert.key;
    Ok(PUT_ALERT
        .bind(&key.pipeline.source)
        .bind(&key.pipeline.name)
        .bind(&key.rule)
        .bind(&key.subject)
        .bind(alert.incident)
        .bind(json("an alert", alert)?)
        .any())
}

fn drop_alert(key: &AlertKey) -> Statement {
    DROP_ALERT.bind(&key.pipeline.source).bind(&key.pipeline.name).bind(&key.rule).bind(&key.subject).any()
}

fn put_incident(incident: &Incident, resolved_via: &BTreeMap<IncidentId, &str>) -> Result<Statement> {
    Ok(PUT_INCIDENT
        .bind(incident.number)
        .bind(incident.id)
        .bind(incident.state.as_str())
        .bind(incident.state != IncidentState::Resolved)
        .bind(&incident.owner)
        .bind(&incident.pipeline.source)
        .bind(&incident.pipeline.name)
        .bind(incident.severity.as_str())
        .bind(incident.opened)
        .bind(incident.acknowledged)
        .bind(incident.resolved)
        .bind(resolved_via.get(&incident.id).copied())
        .bind(incident.parent)
        .bind(!incident.suppressed_by.is_empty())
        .bind(json("an incident", incident)?)
        .any())
}

fn put_timer(timer: &Timer) -> Result<Statement> {
    Ok(PUT_TIMER.bind(timer_key(&timer.key)?).bind(timer.due).bind(json("a timer", timer)?).any())
}

fn drop_timer(key: &TimerKey) -> Result<Statement> {
    Ok(DROP_TIMER.bind(timer_key(key)?).any())
}

/// A timer's key as text: its JSON, which has one spelling because fields keep their order.
fn timer_key(key: &TimerKey) -> Result<String> {
    json("a timer's key", key)
}
