//! The newest checkpoint, kept outside the database: the end of a chain cannot show that it is missing.
//!
//! Invariants: the file never says more than the database has committed, so after a crash it may lag, by what was sealed
//! last; it is replaced as a whole. It is no secret, and signed like every checkpoint.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use tokio::sync::watch;
use trackside_store::audit::chain::Checkpoint;

/// File in the data folder.
pub const HEAD_FILE: &str = "audit.head";

/// The newest checkpoint that was made.
#[derive(Debug)]
pub struct Head {
    path: Option<PathBuf>,
    newest: watch::Sender<Option<Checkpoint>>,
}

impl Head {
    /// What a data folder remembers.
    ///
    /// # Errors
    /// When the file cannot be read, or is not one.
    pub fn kept(data: &Path) -> std::io::Result<Self> {
        let path = data.join(HEAD_FILE);
        let newest = match std::fs::read(&path) {
            Ok(text) => Some(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path: Some(path), newest: watch::Sender::new(newest) })
    }

    /// One that is forgotten with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { path: None, newest: watch::Sender::new(None) }
    }

    /// The newest checkpoint, and when it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Checkpoint>> {
        self.newest.subscribe()
    }

    /// The newest checkpoint.
    #[must_use]
    pub fn newest(&self) -> Option<Checkpoint> {
        self.newest.borrow().clone()
    }

    /// Remembers a checkpoint that is in the database.
    pub fn remember(&self, made: Checkpoint) {
        if let Some(path) = &self.path
            && let Err(error) = write(path, &made)
        {
            tracing::error!(%error, path = %path.display(), "the newest checkpoint of the audit could not be kept");
        }
        self.newest.send_replace(Some(made));
    }

    /// Remembers that there is none.
    pub fn forget(&self) {
        if let Some(path) = &self.path
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::error!(%error, path = %path.display(), "the newest checkpoint of the audit could not be forgotten");
        }
        self.newest.send_replace(None);
    }
}

/// Replaces the file as a whole.
fn write(path: &Path, made: &Checkpoint) -> std::io::Result<()> {
    let beside = path.with_extension("head.new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(&serde_json::to_vec(made)?)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
