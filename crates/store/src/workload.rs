//! Keys that sign the tokens of Trackside as an issuer.
//!
//! Invariants: private keys are sealed before they come here, this module cannot read them; a change of the keys is one
//! batch with its audit row. When keys change is not known here.

use crate::Store;
use crate::audit::{self, NewAudit};
use crate::error::Result;
use crate::statement::{Batch, Sql};
use crate::value::{Kind, Row};
use jiff::Timestamp;
use uuid::Uuid;

/// Most keys that are read; three at a time is usual.
pub const KEYS: usize = 100;

/// A key as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadKey {
    /// Identity; the seal is bound to it.
    pub id: Uuid,
    /// What it signs with, as `trackside-identity` names it.
    pub algorithm: String,
    /// The private key, sealed.
    pub sealed: String,
    /// When it was published.
    pub published: Timestamp,
    /// From when on it signs.
    pub signs: Timestamp,
    /// When the next one took over.
    pub retired: Option<Timestamp>,
}

/// A change of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// A new one.
    Add(WorkloadKey),
    /// The next one took over.
    Retire(Uuid, Timestamp),
    /// Nobody needs it any longer.
    Remove(Uuid),
}

const KEY: &[Kind] = &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Time, Kind::Time, Kind::Time];

static ADD: Sql = Sql::write(
    "workload.add",
    "INSERT INTO workload_keys (id, algorithm, sealed, published, signs) VALUES ($1, $2, $3, $4, $5)",
);
static RETIRE: Sql =
    Sql::write("workload.retire", "UPDATE workload_keys SET retired = $1 WHERE id = $2 AND retired IS NULL");
static REMOVE: Sql = Sql::write("workload.remove", "DELETE FROM workload_keys WHERE id = $1");
static LIST: Sql = Sql::read(
    "workload.list",
    "SELECT id, algorithm, sealed, published, signs, retired FROM workload_keys ORDER BY id LIMIT $1",
    KEY,
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&ADD, &RETIRE, &REMOVE, &LIST];

impl Store {
    /// Every key that is kept.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn workload_keys(&self) -> Result<Vec<WorkloadKey>> {
        self.rows(LIST.bind(KEYS).query()).await?.into_iter().map(key).collect()
    }

    /// Changes a key, with the row that tells of it.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when the key is not there, or was changed meanwhile.
    pub async fn change_workload_key(&self, change: &KeyChange, audit: &NewAudit) -> Result<()> {
        let gone = "the key is not there any more";
        let statement = match change {
            KeyChange::Add(key) => ADD
                .bind(key.id)
                .bind(&key.algorithm)
                .bind(&key.sealed)
                .bind(key.published)
                .bind(key.signs)
                .one("the key could not be added"),
            KeyChange::Retire(id, at) => RETIRE.bind(*at).bind(*id).one(gone),
            KeyChange::Remove(id) => REMOVE.bind(*id).one(gone),
        };
        self.write(Batch::of(vec![statement, audit::insert(audit)])).await?;
        Ok(())
    }
}

fn key(mut row: Row) -> Result<WorkloadKey> {
    Ok(WorkloadKey {
        id: row.next()?,
        algorithm: row.next()?,
        sealed: row.next()?,
        published: row.next()?,
        signs: row.next()?,
        retired: row.next()?,
    })
}
