//! What is fetched from a secret manager in one request: a document, which one or more references take their values from.
//!
//! Invariants: a document shows no value; text of a mistake names fields, never what is in them.

use super::reference::SecretRef;
use crate::broker::failure::Failure;
use crate::exchange::Exchange;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

/// Reads a variable of the environment.
pub type Variable = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// Makes 32 random bytes.
pub type Random = Arc<dyn Fn() -> [u8; 32] + Send + Sync>;

/// What fetching needs of the world.
#[derive(Clone)]
pub struct Surroundings {
    /// The network.
    pub exchange: Exchange,
    /// The environment.
    pub variable: Variable,
    /// Randomness, for ids and for spreading requests.
    pub random: Random,
}

impl Surroundings {
    /// An id that was not used before.
    pub(crate) fn id(&self) -> Uuid {
        let random = (self.random)();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&random[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A number in `[0, 1)`.
    pub(crate) fn jitter(&self) -> f64 {
        let random = (self.random)();
        f64::from(u16::from_be_bytes([random[0], random[1]])) / 65_536.0
    }
}

/// What one request fetches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Document {
    /// Name in `vaults`.
    pub(crate) source: String,
    /// What of it.
    pub(crate) place: Place,
}

/// A place in a secret manager.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Vault { path: String, version: Option<u64> },
    Aws { name: String, stage: Option<String> },
    Azure { vault: Option<Url>, name: String, version: Option<String> },
}

impl Place {
    /// What a reference is taken from; `None` for what is read here.
    pub(crate) fn of(reference: &SecretRef) -> Option<Self> {
        match reference {
            SecretRef::Env(_) | SecretRef::File(_) => None,
            SecretRef::Vault(place) => Some(Self::Vault { path: place.path.clone(), version: place.version }),
            SecretRef::Aws(place) => Some(Self::Aws { name: place.name.clone(), stage: place.version_stage.clone() }),
            SecretRef::Azure(place) => Some(Self::Azure {
                vault: place.vault.clone(),
                name: place.name.clone(),
                version: place.version.clone(),
            }),
        }
    }
}

/// A document that was fetched.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) body: Body,
    /// As the source names it.
    pub(crate) version: Option<String>,
    /// When the source says that it ends.
    pub(crate) expires: Option<Timestamp>,
}

/// What is in a document.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Text(SecretString),
    Fields(BTreeMap<String, SecretString>),
}

impl Fetched {
    /// The value of a reference.
    pub(crate) fn value(&self, reference: &SecretRef) -> Result<SecretString, String> {
        let field = match reference {
            SecretRef::Vault(place) => Some(&place.field),
            SecretRef::Aws(place) => place.field.as_ref(),
            _ => None,
        };
        let value = match (&self.body, field) {
            (Body::Text(text), None) => text.clone(),
            (Body::Text(text), Some(field)) => {
                let parsed = serde_json::from_str(secrecy::ExposeSecret::expose_secret(text)).ok();
                let fields = parsed.as_ref().and_then(fields).ok_or_else(|| {
                    format!("the {reference} is not a JSON object, so it has no field `{field}`; leave `#{field}` out")
                })?;
                fields.get(field).cloned().ok_or_else(|| no_field(reference, field, &fields))?
            }
            (Body::Fields(fields), Some(field)) => {
                fields.get(field).cloned().ok_or_else(|| no_field(reference, field, fields))?
            }
            (Body::Fields(_), None) => return Err(format!("the {reference} has fields; name one")),
        };
        reference.fitting(value).map_err(|error| error.to_string())
    }
}

fn no_field(reference: &SecretRef, field: &str, fields: &BTreeMap<String, SecretString>) -> String {
    let names: Vec<&str> = fields.keys().map(String::as_str).take(20).collect();
    format!(
        "the {reference} has no field `{field}`; it has {}",
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    )
}

/// The fields of a JSON object: texts as they are, other values as JSON, empty ones left out.
pub(crate) fn fields(value: &Value) -> Option<BTreeMap<String, SecretString>> {
    let members = value.as_object()?.iter().filter(|(_, value)| !value.is_null());
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(members.map(|(name, value)| (name.clone(), SecretString::from(text(value)))).collect())
}

/// A reply that was a success, and is not what such a reply looks like.
pub(crate) fn not_understood(who: &str) -> Failure {
    Failure::unusable(format!("the answer of {who} cannot be understood; is the address right?"))
}
