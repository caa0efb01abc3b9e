//! Browser sessions: who is signed in, and until when.
//!
//! Invariants: only the SHA-256 of a cookie's value is kept; a session that is over is found by nobody, whether or not
//! its row is gone yet; beginning, renewing and ending one writes its audit row in the same batch. One person has at most
//! [`SESSIONS_OF_ONE`], the oldest goes. What `body` says is not known here. Each beginning clears away some of what is
//! over.

use crate::Store;
use crate::audit::{self, NewAudit};
use crate::error::Result;
use crate::heard::{self, Once};
use crate::statement::{Batch, Bound, Sql, Statement};
use crate::value::{Kind, Row};
use jiff::Timestamp;
use trackside_core::caller::Caller;
use uuid::Uuid;

/// Most sessions of one person; the oldest is ended when there would be one more.
pub const SESSIONS_OF_ONE: usize = 50;
/// Most sessions in one listing, and most that are ended by one call.
pub const SESSIONS: usize = 1_000;
/// Sessions that are over cleared away per beginning.
const CLEARED: usize = 100;

/// A session as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// SHA-256 of what the cookie holds.
    pub hash: [u8; 32],
    /// Name of the session, for lists; no secret.
    pub id: Uuid,
    /// Who, as the audit knows them.
    pub subject: String,
    /// Issuer of the configuration that vouched for them; none for tokens and links.
    pub issuer: Option<String>,
    /// The issuer's identifier of the person (`sub`).
    pub sub: Option<String>,
    /// The issuer's identifier of its own session (`sid`).
    pub sid: Option<String>,
    /// When they signed in.
    pub started: Timestamp,
    /// When it was last used, to within the time between two [`Store::touch_session`].
    pub seen: Timestamp,
    /// When it ends if it is not used before.
    pub ends: Timestamp,
    /// When it ends in any case.
    pub until: Timestamp,
    /// What the session is made of, as JSON.
    pub body: String,
}

/// Whose sessions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Everybody's.
    All,
    /// Of the person the audit knows by this name, or whom their issuer knows by it.
    Subject(&'a str),
    /// Of this person of an issuer.
    Sub {
        /// Issuer of the configuration.
        issuer: &'a str,
        /// Its identifier of the person.
        sub: &'a str,
    },
    /// Those that belong to this session of an issuer.
    Sid {
        /// Issuer of the configuration.
        issuer: &'a str,
        /// Its identifier of the session.
        sid: &'a str,
    },
    /// The one of this name.
    One(Uuid),
}

const SESSION: &[Kind] = &[
    Kind::Bytes,
    Kind::Uuid,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Time,
    Kind::Time,
    Kind::Time,
    Kind::Time,
    Kind::Text,
];

static BEGIN: Sql = Sql::write(
    "sessions.begin",
    "INSERT INTO sessions (hash, id, subject, issuer, sub, sid, started, seen, ends, until, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
);
static CLEAR: Sql = Sql::write(
    "sessions.clear",
    "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE ends <= $1 ORDER BY ends LIMIT $2)",
);
static TOO_MANY: Sql = Sql::write(
    "sessions.too_many",
    "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE subject = $1
       ORDER BY started DESC LIMIT $2 OFFSET $3)",
);
static TOUCH: Sql = Sql::write(
    "sessions.touch",
    "UPDATE sessions SET seen = $1, ends = CASE WHEN until < $2 THEN until ELSE $2 END
     WHERE hash = $3 AND seen < $1 AND ends > $1",
);
static FADE: Sql =
    Sql::write("sessions.fade", "UPDATE sessions SET ends = $1, until = $1 WHERE hash = $2 AND ends > $1");
static END: Sql = Sql::write("sessions.end", "DELETE FROM sessions WHERE hash = $1");
static BY_HASH: Sql = Sql::read(
    "sessions.by_hash",
    "SELECT hash, id, subject, issuer, sub, sid, started, seen, ends, until, body FROM sessions
     WHERE hash = $1 AND ends > $2",
    SESSION,
);
static ALL: Sql = Sql::read(
    "sessions.all",
    "SELECT hash, id, subject, issuer, sub, sid, started, seen, ends, until, body FROM sessions
     WHERE ends > $1 ORDER BY started DESC, id DESC LIMIT $2",
    SESSION,
);
static BEFORE: Sql = Sql::read(
    "sessions.before",
    "SELECT hash, id, subject, issuer, sub, sid, started, seen, ends, until, body FROM sessions
     WHERE ends > $1 AND (started, id) < ($2, $3) ORDER BY started DESC, id DESC LIMIT $4",
    SESSION,
);
static OF: Sql = Sql::read(
    "sessions.of",
    "SELECT hash, id, subject, issuer, sub, sid, started, seen, ends, until, body FROM sessions
     WHERE ends > $1 AND (subject = $2 OR sub = $2) LIMIT $3",
    SESSION,
);
static OF_SUB: Sql = Sql::read(
    "sessions.of_sub",
    "SELECT hash, id, subject, issuer, sub, sid, started, seen, ends, until, body FROM sessions
     WHERE ends > $1 AND sub = $2 AND issuer = $3 LIMIT $4",
    SESSION,
);
static OF_SID: Sql = Sql::read(
    "sessions.of_sid",
    "SELECT hash, id, subject, issuer, sub, sid, started, seen, ends, until, body FROM sessions
     WHERE ends > $1 AND sid = $2 AND issuer = $3 LIMIT $4",
    SESSION,
);
static ONE: Sql = Sql::read(
    "sessions.one",
    "SELECT hash, id, subject, issuer, sub, sid, started, seen, ends, until, body FROM sessions
     WHERE ends > $1 AND id = $2 LIMIT $3",
    SESSION,
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] =
    &[&BEGIN, &CLEAR, &TOO_MANY, &TOUCH, &FADE, &END, &BY_HASH, &ALL, &BEFORE, &OF, &OF_SUB, &OF_SID, &ONE];

impl Store {
    /// Begins a session. `before` is the one that the browser had until now; it ends.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn begin_session(
        &self,
        session: &SessionRecord,
        before: Option<&[u8; 32]>,
        summary: String,
        caller: &Caller,
    ) -> Result<()> {
        let now = session.started;
        let mut statements = vec![CLEAR.bind(now).bind(CLEARED).any()];
        statements.extend(before.map(|hash| END.bind(*hash).any()));
        statements.push(insert(session));
        statements.push(TOO_MANY.bind(&session.subject).bind(SESSIONS).bind(SESSIONS_OF_ONE).any());
        statements.push(row("session.started", session, summary, now, caller));
        self.write(Batch::of(statements)).await.map(drop)
    }

    /// Gives a session another secret: `renewed` takes the place of the one with the hash `before`, which works on until
    /// `fades`, so that requests under way are not refused.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn renew_session(
        &self,
        renewed: &SessionRecord,
        before: &[u8; 32],
        fades: Timestamp,
        caller: &Caller,
    ) -> Result<()> {
        let summary = format!("Session of {} renewed: what they may do has changed", renewed.subject);
        let statements = vec![
            FADE.bind(fades).bind(*before).any(),
            insert(renewed),
            row("session.renewed", renewed, summary, renewed.seen, caller),
        ];
        self.write(Batch::of(statements)).await.map(drop)
    }

    /// The session whose cookie has this hash, unless it is over.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn session(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<SessionRecord>> {
        self.row(BY_HASH.bind(*hash).bind(now).query()).await?.map(record).transpose()
    }

    /// Notes that a session is used; it then ends at `ends`, but not after its end in any case.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn touch_session(&self, hash: &[u8; 32], now: Timestamp, ends: Timestamp) -> Result<()> {
        self.write(Batch::of(vec![TOUCH.bind(now).bind(ends).bind(*hash).any()])).await.map(drop)
    }

    /// Sessions that are not over, at most [`SESSIONS`]; of [`Whose::All`] the newest first.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn sessions(&self, whose: Whose<'_>, now: Timestamp) -> Result<Vec<SessionRecord>> {
        let question: Bound = match whose {
            Whose::All => ALL.bind(now),
            Whose::Subject(subject) => OF.bind(now).bind(subject),
            Whose::Sub { issuer, sub } => OF_SUB.bind(now).bind(sub).bind(issuer),
            Whose::Sid { issuer, sid } => OF_SID.bind(now).bind(sid).bind(issuer),
            Whose::One(id) => ONE.bind(now).bind(id),
        };
        self.rows(question.bind(SESSIONS).query()).await?.into_iter().map(record).collect()
    }

    /// Sessions that are not over, the newest first, at most [`SESSIONS`]: those that began before this one, or all.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn sessions_before(
        &self,
        before: Option<(Timestamp, Uuid)>,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>> {
        let (started, id) = before.unwrap_or((Timestamp::MAX, Uuid::max()));
        let question = BEFORE.bind(now).bind(started).bind(id).bind(SESSIONS);
        self.rows(question.query()).await?.into_iter().map(record).collect()
    }

    /// Ends sessions as [`Store::end_sessions`], unless this was heard before: then none ends. Both are in one commit, so
    /// whoever says it again after a failure is heard.
    ///
    /// # Errors
    /// As [`Store::end_sessions`]; [`Error::Invalid`] for a key that is too long.
    pub async fn end_sessions_once(
        &self,
        once: Once<'_>,
        whose: Whose<'_>,
        why: &str,
        now: Timestamp,
        caller: &Caller,
    ) -> Result<usize> {
        let (ended, mut statements) = self.ending(whose, why, now, caller).await?;
        let hearing = heard::hear(once, now)?;
        statements.extend(hearing);
        match self.write(Batch::of(statements)).await {
            Ok(_) => Ok(ended),
            Err(error) if heard::was_heard(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Ends sessions; `why` goes into the audit ("signed out"). Returns how many there were.
    ///
    /// # Errors
    /// When they could not be ended; then none was.
    pub async fn end_sessions(&self, whose: Whose<'_>, why: &str, now: Timestamp, caller: &Caller) -> Result<usize> {
        let (ended, statements) = self.ending(whose, why, now, caller).await?;
        if !statements.is_empty() {
            self.write(Batch::of(statements)).await?;
        }
        Ok(ended)
    }

    /// How many sessions there are to end, and what ends them.
    async fn ending(
        &self,
        whose: Whose<'_>,
        why: &str,
        now: Timestamp,
        caller: &Caller,
    ) -> Result<(usize, Vec<Statement>)> {
        let found = self.sessions(whose, now).await?;
        let mut statements = Vec::new();
        for session in &found {
            let summary = format!("Session of {} ended: {why}", session.subject);
            statements.push(END.bind(session.hash).any());
            statements.push(row("session.ended", session, summary, now, caller));
        }
        Ok((found.len(), statements))
    }

    /// Ends every session of somebody who has lost access; `subject` is their name in the audit, or the identifier that
    /// their issuer gave them.
    ///
    /// # Errors
    /// As [`Store::end_sessions`].
    pub async fn end_sessions_of(&self, subject: &str, why: &str, now: Timestamp, caller: &Caller) -> Result<usize> {
        self.end_sessions(Whose::Subject(subject), why, now, caller).await
    }
}

fn insert(session: &SessionRecord) -> Statement {
    BEGIN
        .bind(session.hash)
        .bind(session.id)
        .bind(&session.subject)
        .bind(session.issuer.as_ref())
        .bind(session.sub.as_ref())
        .bind(session.sid.as_ref())
        .bind(session.started)
        .bind(session.seen)
        .bind(session.ends)
        .bind(session.until)
        .bind(&session.body)
        .any()
}

fn row(action: &str, session: &SessionRecord, summary: String, at: Timestamp, caller: &Caller) -> Statement {
    let said = (session.id, &session.subject, &session.issuer, session.started);
    let row = NewAudit::new(at, caller.clone(), action, summary).about(format!("session:{}", session.id));
    audit::insert(&match action {
        "session.ended" => row.changing(Some(&said), None),
        _ => row.changing(None, Some(&said)),
    })
}

fn record(mut row: Row) -> Result<SessionRecord> {
    Ok(SessionRecord {
        hash: row.next()?,
        id: row.next()?,
        subject: row.next()?,
        issuer: row.next()?,
        sub: row.next()?,
        sid: row.next()?,
        started: row.next()?,
        seen: row.next()?,
        ends: row.next()?,
        until: row.next()?,
        body: row.next()?,
    })
}
