//! References to secrets as they stand in the configuration.
//!
//! Invariants: a literal value is refused, and no text of a mistake repeats what was written, because people put values
//! in the wrong place; what is accepted can be put into a request path without further thought.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// Longest name or path of a secret, in bytes.
pub const PLACE_BYTES: usize = 1024;

/// A reference to a secret: `{env: NAME}`, `{file: PATH}`, or a place in a secret manager that `vaults` declares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// Name of an environment variable of the server.
    Env(String),
    /// Path of a file; one trailing line break does not belong to the secret.
    File(PathBuf),
    /// A field of a secret in HashiCorp Vault.
    Vault(VaultPlace),
    /// A secret in AWS Secrets Manager.
    Aws(AwsPlace),
    /// A secret in Azure Key Vault.
    Azure(AzurePlace),
}

/// Where a secret of HashiCorp Vault is. Short form: `"kv/data/app#password"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VaultPlace {
    /// Name in `vaults`; may be left out where there is one of this kind.
    pub source: Option<String>,
    /// Path: below the mount of the source, or whole when it begins with the mount (`kv/data/app`, `kv/app`).
    pub path: String,
    /// Which field.
    pub field: String,
    /// Version (KV version 2); the newest when left out.
    pub version: Option<u64>,
}

/// Where a secret of AWS Secrets Manager is. Short form: `"prod/app"`, or `"prod/app#password"` for a field of a secret
/// that is a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AwsPlace {
    /// Name in `vaults`; may be left out where there is one of this kind.
    pub source: Option<String>,
    /// Name or ARN.
    pub name: String,
    /// Field, when the secret is a JSON object.
    pub field: Option<String>,
    /// Stage, `AWSCURRENT` when left out.
    pub version_stage: Option<String>,
}

/// Where a secret of Azure Key Vault is. Short form: its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AzurePlace {
    /// Name in `vaults`; may be left out where there is one of this kind.
    pub source: Option<String>,
    /// Another vault than the source's, read with the same credential.
    pub vault: Option<Url>,
    /// Name.
    pub name: String,
    /// Version; the newest when left out.
    pub version: Option<String>,
}

impl SecretRef {
    /// Whether it is read here, from the environment or a file.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Env(_) | Self::File(_))
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = |f: &mut fmt::Formatter<'_>, source: &Option<String>| match source {
            Some(source) => write!(f, " of `{source}`"),
            None => Ok(()),
        };
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Vault(place) => {
                write!(f, "Vault secret `{}#{}`", place.path, place.field)?;
                if let Some(version) = place.version {
                    write!(f, " version {version}")?;
                }
                from(f, &place.source)
            }
            Self::Aws(place) => {
                write!(f, "AWS secret `{}", place.name)?;
                if let Some(field) = &place.field {
                    write!(f, "#{field}")?;
                }
                f.write_str("`")?;
                if let Some(stage) = &place.version_stage {
                    write!(f, " {stage}")?;
                }
                from(f, &place.source)
            }
            Self::Azure(place) => {
                write!(f, "Azure secret `{}`", place.name)?;
                if let Some(version) = &place.version {
                    write!(f, " version {version}")?;
                }
                if let Some(vault) = &place.vault {
                    write!(f, " in {}", vault.origin().ascii_serialization())?;
                }
                from(f, &place.source)
            }
        }
    }
}

const EXPECTED: &str = "a reference to a secret, `{env: NAME}`, `{file: PATH}`, `{vault: PATH#FIELD}`, `{aws: NAME}` or \
                        `{azure: NAME}`";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RefVisitor)
    }
}

struct RefVisitor;

/// What to say about a literal: the value must not be repeated.
fn literal<E: de::Error>() -> E {
    E::custom(format!("a literal secret is refused here; put it into the environment or a file and write {EXPECTED}"))
}

impl<'de> Visitor<'de> for RefVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretRef, E> {
        Err(literal())
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
        Err(literal())
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
        Err(literal())
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(literal())
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretRef, E> {
        Err(literal())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let Some(source) = map.next_key::<String>()? else {
            return Err(de::Error::custom(format!("expected {EXPECTED}, found an empty mapping")));
        };
        let reference = match source.as_str() {
            "env" => SecretRef::Env(env_name(map.next_value::<Text>()?.0)?),
            "file" => SecretRef::File(PathBuf::from(map.next_value::<Text>()?.0)),
            "vault" => SecretRef::Vault(map.next_value::<Written>()?.vault().map_err(de::Error::custom)?),
            "aws" => SecretRef::Aws(map.next_value::<Written>()?.aws().map_err(de::Error::custom)?),
            "azure" => SecretRef::Azure(map.next_value::<Written>()?.azure().map_err(de::Error::custom)?),
            // The key may be a secret itself (`{s3cret}` in YAML is a mapping), so it is not repeated.
            _ => return Err(de::Error::custom(format!("unknown secret source; expected {EXPECTED}"))),
        };
        if map.next_key::<de::IgnoredAny>()?.is_some() {
            return Err(de::Error::custom(format!("more than one source; expected {EXPECTED}")));
        }
        Ok(reference)
    }
}

/// A variable name that can exist. The text is not repeated: people put values here by mistake.
fn env_name<E: de::Error>(name: String) -> Result<String, E> {
    let fits = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fits {
        Ok(name)
    } else {
        Err(E::custom("`env` takes the name of an environment variable: letters, digits and `_`"))
    }
}

/// A text or a number, taken as text; anything else is refused without repeating it.
struct Text(String);

/// What stands behind `vault`, `aws` or `azure`: a short text, or parts by name.
enum Written {
    Short(String),
    Parts(BTreeMap<String, String>),
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Short(text) => Ok(Self(text)),
            Written::Parts(_) => Err(de::Error::custom("expected a text here")),
        }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a short text, or the place of the secret in parts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
        Ok(Written::Short(text.to_owned()))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Written, E> {
        Ok(Written::Short(number.to_string()))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Written, E> {
        Ok(Written::Short(number.to_string()))
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Written, E> {
        Err(E::custom("expected a text here"))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Written, E> {
        Err(E::custom("expected a text here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        let mut parts = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if parts.insert(name, map.next_value::<Text>()?.0).is_some() {
                return Err(de::Error::custom("a part of the place stands twice"));
            }
        }
        Ok(Written::Parts(parts))
    }
}

impl Written {
    fn vault(self) -> Result<VaultPlace, String> {
        let expected = "`vault` takes `PATH#FIELD`, or `path` and `field` (and `source`, `version`)";
        match self {
            Self::Short(text) => {
                let (path, field) = text.rsplit_once('#').ok_or(expected)?;
                let (path, field) = (vault_path(path)?, field_name(field.to_owned())?);
                Ok(VaultPlace { source: None, path, field, version: None })
            }
            Self::Parts(parts) => {
                let mut parts = Parts(parts);
                let version = parts.take("version");
                let version = version.map(|text| text.parse().map_err(|_| "`version` takes a number")).transpose()?;
                let place = VaultPlace {
                    source: parts.source()?,
                    path: vault_path(&parts.take("path").ok_or(expected)?)?,
                    field: field_name(parts.take("field").ok_or(expected)?)?,
                    version,
                };
                parts.end(expected)?;
                Ok(place)
            }
        }
    }

    fn aws(self) -> Result<AwsPlace, String> {
        let expected = "`aws` takes `NAME` or `NAME#FIELD`, or `name` (and `source`, `field`, `version_stage`)";
        let place = match self {
            Self::Short(text) => {
                let (name, field) = match text.split_once('#') {
                    Some((name, field)) => (name.to_owned(), Some(field_name(field.to_owned())?)),
                    None => (text, None),
                };
                AwsPlace { source: None, name, field, version_stage: None }
            }
            Self::Parts(parts) => {
                let mut parts = Parts(parts);
                let place = AwsPlace {
                    source: parts.source()?,
                    name: parts.take("name").ok_or(expected)?,
                    field: parts.take("field").map(field_name).transpose()?,
                    version_stage: parts.take("version_stage"),
                };
                parts.end(expected)?;
                place
            }
        };
        let allowed = |text: &str, more: &str| {
            (1..=512).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !allowed(&place.name, "/_+=.@-:") {
            return Err("the name of an AWS secret has letters, digits and `/_+=.@-`, or is an ARN".to_owned());
        }
        if place.version_stage.as_deref().is_some_and(|stage| !allowed(stage, "/_+=.@-:")) {
            return Err("`version_stage` takes a name like `AWSPREVIOUS`".to_owned());
        }
        Ok(place)
    }

    fn azure(self) -> Result<AzurePlace, String> {
        let expected = "`azure` takes `NAME`, or `name` (and `source`, `vault`, `version`)";
        let place = match self {
            Self::Short(name) => AzurePlace { source: None, vault: None, name, version: None },
            Self::Parts(parts) => {
                let mut parts = Parts(parts);
                let vault = parts.take("vault").map(|text| vault_url(&text)).transpose()?;
                let place = AzurePlace {
                    source: parts.source()?,
                    vault,
                    name: parts.take("name").ok_or(expected)?,
                    version: parts.take("version"),
                };
                parts.end(expected)?;
                place
            }
        };
        let fits = |text: &str, longest: usize| {
            (1..=longest).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if !fits(&place.name, 127) {
            return Err("the name of an Azure secret has letters, digits and `-`".to_owned());
        }
        if place.version.as_deref().is_some_and(|version| !fits(version, 64)) {
            return Err("`version` takes the version's id: letters and digits".to_owned());
        }
        Ok(place)
    }
}

/// The parts of a place that were not taken yet.
struct Parts(BTreeMap<String, String>);

impl Parts {
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn source(&mut self) -> Result<Option<String>, String> {
        match self.take("source") {
            Some(source) if source.is_empty() || source.len() > 128 || source.chars().any(char::is_control) => {
                Err("`source` takes a name that `vaults` declares".to_owned())
            }
            source => Ok(source),
        }
    }

    fn end(self, expected: &str) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("unknown part; {expected}")) }
    }
}

/// A path whose segments cannot lead elsewhere.
fn vault_path(path: &str) -> Result<String, String> {
    let path = path.trim_matches('/').to_owned();
    let plain = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && !segment.contains(|c: char| c.is_control() || c == '\\')
    };
    if path.len() <= PLACE_BYTES && path.split('/').all(plain) {
        Ok(path)
    } else {
        Err("the path of a Vault secret is segments divided by `/`, none empty, `.` or `..`".to_owned())
    }
}

fn field_name(field: String) -> Result<String, String> {
    if !field.is_empty() && field.len() <= 256 && !field.chars().any(char::is_control) {
        Ok(field)
    } else {
        Err("the field of a secret is a name of 1 to 256 characters".to_owned())
    }
}

/// The address of a key vault: HTTPS, or plain on this machine, and nothing but a host.
pub(crate) fn vault_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "the address of a key vault looks like `https://NAME.vault.azure.net`")?;
    let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty() && url.password().is_none();
    if bare && is_private_way(&url) {
        Ok(url)
    } else {
        Err("the address of a key vault looks like `https://NAME.vault.azure.net`".to_owned())
    }
}

/// Whether what is sent to an address is seen by nobody else: HTTPS, or this machine.
pub(crate) fn is_private_way(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Domain(name))) => name == "localhost" || name.ends_with(".localhost"),
        ("http", Some(url::Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(url::Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    }
}

/// Writes the parts that are there, so that the short and the long form of one place are the same.
fn parts<S: Serializer>(serializer: S, parts: &[(&str, Option<&str>)]) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parts.iter().filter_map(|(name, value)| value.map(|value| (*name, value))))
}

impl Serialize for VaultPlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let version = self.version.map(|version| version.to_string());
        let all = [
            ("source", self.source.as_deref()),
            ("path", Some(&*self.path)),
            ("field", Some(&*self.field)),
            ("version", version.as_deref()),
        ];
        parts(serializer, &all)
    }
}

impl Serialize for AwsPlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = [
            ("source", self.source.as_deref()),
            ("name", Some(&*self.name)),
            ("field", self.field.as_deref()),
            ("version_stage", self.version_stage.as_deref()),
        ];
        parts(serializer, &all)
    }
}

impl Serialize for AzurePlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = [
            ("source", self.source.as_deref()),
            ("vault", self.vault.as_ref().map(Url::as_str)),
            ("name", Some(&*self.name)),
            ("version", self.version.as_deref()),
        ];
        parts(serializer, &all)
    }
}

/// The schema of a place: the short text, or an object with these members.
fn place_schema(short: &str, required: &[&str], members: &[(&str, &str)]) -> Schema {
    let properties: serde_json::Map<String, serde_json::Value> = members
        .iter()
        .map(|(name, about)| {
            let kind = if *name == "version" { serde_json::json!(["string", "integer"]) } else { "string".into() };
            ((*name).to_owned(), serde_json::json!({"description": about, "type": kind}))
        })
        .collect();
    schemars::json_schema!({
        "anyOf": [
            {"description": short, "type": "string"},
            {"type": "object", "properties": properties, "required": required, "additionalProperties": false},
        ]
    })
}

const SOURCE: (&str, &str) = ("source", "Name in `vaults`; may be left out where there is one of this kind.");

impl JsonSchema for VaultPlace {
    fn schema_name() -> Cow<'static, str> {
        "VaultPlace".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let members = [
            SOURCE,
            ("path", "Path below the mount of the source, or whole."),
            ("field", "Which field."),
            ("version", "Version (KV version 2); the newest when left out."),
        ];
        place_schema("`PATH#FIELD`", &["path", "field"], &members)
    }
}

impl JsonSchema for AwsPlace {
    fn schema_name() -> Cow<'static, str> {
        "AwsPlace".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let members = [
            SOURCE,
            ("name", "Name or ARN."),
            ("field", "Field, when the secret is a JSON object."),
            ("version_stage", "Stage, `AWSCURRENT` when left out."),
        ];
        place_schema("`NAME` or `NAME#FIELD`", &["name"], &members)
    }
}

impl JsonSchema for AzurePlace {
    fn schema_name() -> Cow<'static, str> {
        "AzurePlace".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let members = [
            SOURCE,
            ("vault", "Another vault than the source's, read with the same credential."),
            ("name", "Name."),
            ("version", "Version; the newest when left out."),
        ];
        place_schema("`NAME`", &["name"], &members)
    }
}
