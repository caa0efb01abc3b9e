//! The lock file that keeps a second process from serving the same database.
//!
//! The lock is the operating system's, so it is gone with the process however that ends; the file itself stays.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Held while the database is served.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a database file.
    pub(super) fn take(database: &Path) -> Result<Self> {
        let path = lock_path(database);
        let open = |problem: String| Error::Open { path: database.to_owned(), problem };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| open(format!("the lock file {} cannot be written: {error}", path.display())))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: database.to_owned() }),
            Err(TryLockError::Error(error)) => {
                return Err(open(format!("{} cannot be locked: {error}", path.display())));
            }
        }
        // Who has it, for people; the lock itself does not depend on it.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
