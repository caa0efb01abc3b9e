//! What another system says of its teams and services, as last read, and where that differs from ours.
//!
//! Invariant: what was compared last stands in one piece: a comparison replaces that connection's findings, and what
//! was found before keeps the time since when it stands. What is compared is not known here.

use crate::Store;
use crate::audit::{self, NewAudit};
use crate::error::Result;
use crate::statement::{Batch, Sql};
use crate::value::{Kind, Row, json};
use jiff::Timestamp;
use serde_json::Value;

/// What was read of one connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Connection in the configuration.
    pub connection: String,
    /// When it was last read whole.
    pub taken: Option<Timestamp>,
    /// When it was last tried.
    pub tried: Timestamp,
    /// Why it could not be read since.
    pub failed: Option<String>,
    /// What it said.
    pub body: Option<Value>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Connection in the configuration.
    pub connection: String,
    /// What identifies it among those of the connection.
    pub key: String,
    /// When it was first found.
    pub since: Timestamp,
    /// What it says.
    pub body: Value,
}

const IMPORT: &[Kind] = &[Kind::Text, Kind::Time, Kind::Time, Kind::Text, Kind::Text];
const DRIFT: &[Kind] = &[Kind::Text, Kind::Text, Kind::Time, Kind::Text];

static TAKEN: Sql = Sql::write(
    "imports.taken",
    "INSERT INTO imports (connection, taken, tried, failed, body) VALUES ($1, $2, $2, NULL, $3)
     ON CONFLICT (connection) DO UPDATE SET taken = excluded.taken, tried = excluded.tried, failed = NULL,
       body = excluded.body",
);
static FAILED: Sql = Sql::write(
    "imports.failed",
    "INSERT INTO imports (connection, tried, failed) VALUES ($1, $2, $3)
     ON CONFLICT (connection) DO UPDATE SET tried = excluded.tried, failed = excluded.failed",
);
static IMPORTS: Sql =
    Sql::read("imports.list", "SELECT connection, taken, tried, failed, body FROM imports ORDER BY connection", IMPORT);
static DROP: Sql = Sql::write("imports.drop", "DELETE FROM imports WHERE connection = $1");
static CLEAR: Sql = Sql::write("drift.clear", "DELETE FROM drift WHERE connection = $1");
static PUT: Sql = Sql::write("drift.put", "INSERT INTO drift (connection, key, since, body) VALUES ($1, $2, $3, $4)");
static LIST: Sql =
    Sql::read("drift.list", "SELECT connection, key, since, body FROM drift ORDER BY connection, key", DRIFT);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&TAKEN, &FAILED, &IMPORTS, &DROP, &CLEAR, &PUT, &LIST];

impl Store {
    /// Keeps what a connection said, and how it differs; `changes` are the rows of the audit about what is new or over.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn put_import(
        &self,
        connection: &str,
        taken: Timestamp,
        body: &Value,
        drift: &[Drift],
        changes: &[NewAudit],
    ) -> Result<()> {
        let mut statements = vec![TAKEN.bind(connection).bind(taken).bind(json("an import", body)?).any()];
        statements.push(CLEAR.bind(connection).any());
        for found in drift {
            let body = json("a difference", &found.body)?;
            statements.push(PUT.bind(connection).bind(&found.key).bind(found.since).bind(body).any());
        }
        statements.extend(changes.iter().map(audit::insert));
        self.write(Batch::of(statements)).await?;
        Ok(())
    }

    /// Notes why a connection could not be read; what it said before stays.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn import_failed(&self, connection: &str, tried: Timestamp, why: &str) -> Result<()> {
        self.write(Batch::of(vec![FAILED.bind(connection).bind(tried).bind(why).any()])).await?;
        Ok(())
    }

    /// Forgets a connection that is not read any more.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn drop_import(&self, connection: &str) -> Result<()> {
        self.write(Batch::of(vec![DROP.bind(connection).any(), CLEAR.bind(connection).any()])).await?;
        Ok(())
    }

    /// What was read, by connection.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn imports(&self) -> Result<Vec<Import>> {
        self.rows(IMPORTS.bound().query()).await?.into_iter().map(import).collect()
    }

    /// Every difference, by connection and key.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn drift(&self) -> Result<Vec<Drift>> {
        self.rows(LIST.bound().query()).await?.into_iter().map(drift).collect()
    }
}

fn import(mut row: Row) -> Result<Import> {
    let (connection, taken, tried, failed) = (row.next()?, row.next()?, row.next()?, row.next()?);
    let body: Option<String> = row.next()?;
    let body = body.map(|body| serde_json::from_str(&body).unwrap_or(Value::Null));
    Ok(Import { connection, taken, tried, failed, body })
}

fn drift(mut row: Row) -> Result<Drift> {
    Ok(Drift { connection: row.next()?, key: row.next()?, since: row.next()?, body: row.json()? })
}
