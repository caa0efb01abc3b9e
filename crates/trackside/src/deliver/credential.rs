//! The credential of a call.
//!
//! Invariant: a value is read for the call and kept nowhere.

use secrecy::{ExposeSecret, SecretString};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use trackside_connect::connection::ConnectionConfig;
use trackside_core::job::run::JobCall;
use trackside_core::job::spec::JobTarget;
use trackside_identity::broker::config::CredentialConfig;
use trackside_identity::secret::{SecretRef, Secrets};

/// Where credentials of calls come from.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    secrets: Secrets,
}

impl Credentials {
    /// Credentials from these secrets.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets }
    }

    /// The headers that authenticate a call.
    ///
    /// # Errors
    /// Why there are none, for people.
    pub(super) async fn of(
        &self,
        connection: &str,
        config: &ConnectionConfig,
        call: &JobCall,
    ) -> Result<Vec<(String, SecretString)>, String> {
        let credential = match (config, &call.spec.target) {
            (ConnectionConfig::AppService(site), JobTarget::AppService { .. }) => Some(&site.management),
            (ConnectionConfig::AppService(site), _) => site.credential.as_ref(),
            (ConnectionConfig::Http(http), _) => http.credential.as_ref(),
            (ConnectionConfig::Airflow(airflow), _) => airflow.credential.as_ref(),
            _ => None,
        };
        credential.map_or(Ok(Vec::new()), |credential| {
            self.fixed(credential).map_err(|why| format!("connection `{connection}`: {why}"))
        })
    }

    /// The far end refused the credential of a connection.
    pub(super) async fn rejected(&self, _connection: &str) {}

    fn fixed(&self, credential: &CredentialConfig) -> Result<Vec<(String, SecretString)>, String> {
        let read = |secret: &SecretRef| secret.resolve(&self.secrets).map_err(|error| error.to_string());
        let header = match credential {
            CredentialConfig::Bearer { token } => {
                ("authorization".to_owned(), format!("Bearer {}", read(token)?.expose_secret()).into())
            }
            CredentialConfig::Basic { username, password } => {
                let pair = format!("{}:{}", read(username)?.expose_secret(), read(password)?.expose_secret());
                ("authorization".to_owned(), format!("Basic {}", STANDARD.encode(pair)).into())
            }
            CredentialConfig::Header { name, value } => (name.to_ascii_lowercase(), read(value)?),
            _ => return Err("credentials of this kind are not fetched here".to_owned()),
        };
        Ok(vec![header])
    }
}
