//! The keys beside the database: read at the start, made at the first.
//!
//! Invariant: only the owner of the process may read their files. Whoever has them and the database is the server.

use crate::clock::Clock;
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use trackside_identity::act_link::ActKey;
use trackside_identity::audit_key::AuditKey;
use trackside_identity::seal::SealKey;
use trackside_identity::session::SessionKey;

/// File in the data folder with the key that browser sessions are signed with.
const SESSION_KEY_FILE: &str = "session.key";
/// File in the data folder with the key that secrets in block documents are sealed with.
const SEAL_KEY_FILE: &str = "seal.key";
/// File in the data folder with the key that links in mails are signed with.
const ACT_KEY_FILE: &str = "act.key";

/// File in the data folder with the key that checkpoints of the audit are signed with.
const AUDIT_KEY_FILE: &str = "audit.key";

/// Every key of a server.
pub(super) struct Keys {
    /// Signs browser sessions.
    pub(super) session: Arc<SessionKey>,
    /// Seals secrets in block documents.
    pub(super) seal: Arc<SealKey>,
    /// Signs the links in mails.
    pub(super) act: Arc<ActKey>,
    /// Signs checkpoints of the audit.
    pub(super) audit: Arc<AuditKey>,
}

impl Keys {
    /// The keys that are kept in a folder.
    pub(super) fn kept(data: &Path, clock: &Clock) -> Result<Self> {
        Ok(Self {
            session: Arc::new(SessionKey::new(signing_key(&data.join(SESSION_KEY_FILE), clock)?)),
            seal: Arc::new(seal_key(data, clock)?),
            act: Arc::new(ActKey::new(signing_key(&data.join(ACT_KEY_FILE), clock)?)),
            audit: Arc::new(
                AuditKey::new(&signing_key(&data.join(AUDIT_KEY_FILE), clock)?)
                    .with_context(|| format!("{AUDIT_KEY_FILE} is no key"))?,
            ),
        })
    }
}

/// A key that something is signed with: whoever deletes its file makes everything signed with it worthless.
fn signing_key(path: &Path, clock: &Clock) -> Result<[u8; 32]> {
    use std::fmt::Write as _;
    let mut fresh = String::new();
    for byte in clock.random() {
        let _ = write!(fresh, "{byte:02x}");
    }
    let text = kept_secret(path, &fresh)?;
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        let pair = text.get(2 * index..2 * index + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *byte = pair.with_context(|| {
            format!("{} is damaged; delete it: sessions, or links in mails, end with it", path.display())
        })?;
    }
    Ok(key)
}

/// The key that secrets in block documents are sealed with. Without it they are lost, so it belongs into the backup.
fn seal_key(data: &Path, clock: &Clock) -> Result<SealKey> {
    let path = data.join(SEAL_KEY_FILE);
    let fresh = SealKey::new(clock.random());
    let text = kept_secret(&path, secrecy::ExposeSecret::expose_secret(&fresh.text()))?;
    SealKey::parse(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// Reads a secret file that only its owner may read, or makes it.
pub(super) fn kept_secret(path: &Path, fresh: &str) -> Result<String> {
    use std::io::Write as _;
    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(text);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(fresh.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fresh.to_owned())
}
