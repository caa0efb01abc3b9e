//! A secret manager with what is known of it between two requests, whichever kind it is.

use crate::broker::failure::Failure;
use crate::secret::document::{Fetched, Place, Surroundings};
use crate::secret::vaults::VaultConfig;
use crate::secret::{aws, azure, vault};
use jiff::Timestamp;

/// What is known of a secret manager.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Vault(vault::Session),
    Aws(aws::Session),
    Azure(azure::Session),
}

impl Source {
    pub(super) fn new(config: &VaultConfig) -> Self {
        match config {
            VaultConfig::Hashicorp(_) => Self::Vault(vault::Session::default()),
            VaultConfig::Aws(_) => Self::Aws(aws::Session::default()),
            VaultConfig::Azure(_) => Self::Azure(azure::Session::default()),
        }
    }

    /// Reads what is at a place.
    pub(super) async fn read(
        &mut self,
        config: &VaultConfig,
        place: &Place,
        world: &Surroundings,
        now: Timestamp,
    ) -> Result<Fetched, Failure> {
        match (self, config, place) {
            (Self::Vault(session), VaultConfig::Hashicorp(config), Place::Vault { path, version }) => {
                session.read(config, path, *version, world, now).await
            }
            (Self::Aws(session), VaultConfig::Aws(config), Place::Aws { name, stage }) => {
                session.read(config, name, stage.as_deref(), world, now).await
            }
            (Self::Azure(session), VaultConfig::Azure(config), Place::Azure { vault, name, version }) => {
                let wish = azure::Wish { vault: vault.as_ref(), name, version: version.as_deref() };
                session.read(config, wish, world, now).await
            }
            _ => Err(Failure::here("the source is of another kind than the reference")),
        }
    }

    /// Keeps alive what ends otherwise: the token of a Vault.
    pub(super) async fn tend(&mut self, config: &VaultConfig, world: &Surroundings, now: Timestamp) {
        if let (Self::Vault(session), VaultConfig::Hashicorp(config)) = (self, config)
            && let Err(failure) = session.tend(config, world, now).await
        {
            tracing::warn!(error = %failure, "the token of a Vault could not be renewed");
        }
    }

    /// When something wants to be kept alive.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Vault(session) => session.due(),
            Self::Aws(_) | Self::Azure(_) => None,
        }
    }
}
