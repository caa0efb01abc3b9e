//! Seals the trail: every few seconds the rows since the last checkpoint get one of their own, signed.
//!
//! Invariants: one sealer per database; a checkpoint covers rows that are committed; what a crash leaves unsealed is
//! sealed after the next start.

use crate::clock::{Clock, sleep_until};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use tokio::sync::watch;
use trackside_identity::audit_key::AuditKey;
use trackside_store::Store;
use trackside_store::audit::chain::{CHECKPOINT_ROWS, Checkpoint, GENESIS, hash_rows};

/// How often rows are sealed.
pub const SEAL_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Seals one database.
#[derive(Debug)]
pub struct Sealer {
    store: Store,
    key: Arc<AuditKey>,
}

impl Sealer {
    /// A sealer with a key.
    #[must_use]
    pub fn new(store: Store, key: Arc<AuditKey>) -> Self {
        Self { store, key }
    }

    /// Makes at most one checkpoint; `None` when there is nothing to seal.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn once(&self, now: Timestamp) -> trackside_store::Result<Option<Checkpoint>> {
        let last = self.store.last_checkpoint().await?;
        let (number, sealed, previous) =
            last.map_or((0, 0, GENESIS.to_owned()), |last| (last.number, last.last, last.hash));
        let rows = self.store.audit_after(sealed, CHECKPOINT_ROWS).await?;
        let (Some(first), Some(newest)) = (rows.first(), rows.last()) else { return Ok(None) };
        let mut made = Checkpoint {
            number: number + 1,
            first: first.position,
            last: newest.position,
            rows: rows.len() as u64,
            hash: hash_rows(&previous, &rows)?,
            previous,
            at: now,
            key: self.key.name(),
            signature: String::new(),
        };
        made.signature = self.key.sign(&made.signed());
        self.store.seal(&made).await?;
        Ok(Some(made))
    }

    /// Seals until told to stop, and once more then.
    pub async fn run(self, clock: Clock, mut stop: watch::Receiver<bool>) {
        loop {
            let stopping = tokio::select! {
                () = sleep_until(&clock, clock.now() + SEAL_EVERY) => false,
                _ = stop.changed() => true,
            };
            loop {
                match self.once(clock.now()).await {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "the audit could not be sealed; trying again");
                        break;
                    }
                }
            }
            if stopping {
                return;
            }
        }
    }
}
