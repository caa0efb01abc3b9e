//! On whose behalf a far end is called.

use crate::workload::claims::Work;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use trackside_core::caller::Caller;

/// On whose behalf, and for which work.
#[derive(Clone, Copy, Debug)]
pub struct OnBehalf<'a> {
    /// Who asked.
    pub caller: &'a Caller,
    /// The token they sent, where it is at hand. Only the gateway has it.
    pub token: Option<&'a SecretString>,
    /// The job and its run.
    pub work: Work<'a>,
}

impl<'a> OnBehalf<'a> {
    /// Somebody, without their token and for no job.
    #[must_use]
    pub fn caller(caller: &'a Caller) -> Self {
        Self { caller, token: None, work: Work::default() }
    }

    /// Stands for everything that a token made for them depends on.
    pub(super) fn key(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut part = |text: &[u8]| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        part(self.caller.subject.as_bytes());
        part(self.caller.via.as_bytes());
        for name in &self.caller.behalf {
            part(name.as_bytes());
        }
        part(self.token.map_or(&[], |token| token.expose_secret().as_bytes()));
        part(self.work.job.unwrap_or_default().as_bytes());
        part(self.work.run.as_ref().map_or(&[], |run| run.as_bytes()));
        digest.finalize().into()
    }
}
