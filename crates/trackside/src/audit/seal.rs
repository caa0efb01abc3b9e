//! Seals the trail: every few seconds the rows since the last checkpoint get one of their own, signed.
//!
//! Invariants: one sealer per database; a checkpoint covers rows that are committed; what a crash leaves unsealed is
//! sealed after the next start; when checkpoints that were made are not there any more, that is told once, as a row of the
//! trail, before it goes on.

use super::head::Head;
use crate::clock::{Clock, sleep_until};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use tokio::sync::watch;
use trackside_core::caller::Caller;
use trackside_identity::audit_key::AuditKey;
use trackside_store::Store;
use trackside_store::audit::NewAudit;
use trackside_store::audit::chain::{BROKEN, CHECKPOINT_ROWS, Checkpoint, GENESIS, hash_rows};

/// How often rows are sealed.
pub const SEAL_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Seals one database.
#[derive(Debug)]
pub struct Sealer {
    store: Store,
    key: Arc<AuditKey>,
    head: Arc<Head>,
}

impl Sealer {
    /// A sealer with a key, and the newest checkpoint that was made.
    #[must_use]
    pub fn new(store: Store, key: Arc<AuditKey>, head: Arc<Head>) -> Self {
        Self { store, key, head }
    }

    /// Makes at most one checkpoint; `None` when there is nothing to seal.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn once(&self, now: Timestamp) -> trackside_store::Result<Option<Checkpoint>> {
        let last = self.store.last_checkpoint().await?;
        self.miss(last.as_ref(), now).await?;
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
        self.head.remember(made.clone());
        Ok(Some(made))
    }

    /// Tells when the newest checkpoint that was made is not in the database: somebody removed it, or an older backup was
    /// restored. From then on the newest is the one that is there.
    async fn miss(&self, last: Option<&Checkpoint>, now: Timestamp) -> trackside_store::Result<()> {
        let Some(head) = self.head.newest().filter(|head| Some(head) != last) else { return Ok(()) };
        let there = self.store.checkpoints_after(head.number - 1, 1).await?.pop();
        if there.as_ref() == Some(&head) {
            return Ok(());
        }
        let (number, left) = (head.number, last.map_or(0, |last| last.number));
        let why = format!(
            "checkpoint {number} was made at {} and is not there; the newest that is has number {left}",
            head.at
        );
        tracing::error!("the audit was changed or is older than this server knows: {why}");
        let mut row = NewAudit::new(now, Caller::rules(), BROKEN, why).about("audit");
        row.detail = row.detail.came_out("failed");
        row.detail.facts.insert("checkpoint".to_owned(), format!("{number}:{}", head.hash));
        self.store.record(&row).await?;
        match last {
            Some(last) => self.head.remember(last.clone()),
            None => self.head.forget(),
        }
        Ok(())
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
