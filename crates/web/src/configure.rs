//! The configuration through the API: what the shell is asked, and what it answers.
//!
//! Reading files, judging them and putting them in force is the shell's; here are the words that both sides share, which
//! are also the published types. Invariant: nothing in here holds a secret, only references to secrets.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use trackside_core::caller::Caller;
use utoipa::ToSchema;

/// Asks the shell. Requests are answered one after the other.
pub type Configure =
    Arc<dyn Fn(ConfigRequest) -> BoxFuture<'static, Result<ConfigAnswer, ConfigRefusal>> + Send + Sync>;

/// What the shell is asked.
#[derive(Clone, Debug)]
pub struct ConfigRequest {
    /// The files of a whole configuration.
    pub files: Vec<ConfigFile>,
    /// What to do with them.
    pub act: ConfigAct,
    /// Who asks.
    pub caller: Caller,
}

/// What to do with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigAct {
    /// Say what would change.
    Plan,
    /// Put them in force.
    Apply {
        /// Only if what is in force is still this ([`ConfigAnswer::in_force`]).
        expected: Option<String>,
    },
}

/// A file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Its name, without a folder: `teams.yaml`.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// What changes, or has changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ConfigAnswer {
    /// Stands for what is in force; give it with `apply` to be sure that nothing changed in between.
    pub in_force: String,
    /// What changes, section by section.
    pub changes: Vec<ConfigChange>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<ConfigProblem>,
    /// Why the files cannot be put in force on this server: secrets that are not there.
    pub errors: Vec<ConfigProblem>,
    /// Whether the files are in force now.
    pub applied: bool,
}

/// One thing that changes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ConfigChange {
    /// `teams`, `rules`, `automations`, …
    pub section: String,
    /// Its name; empty for sections that are one thing.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// Its fields that change; of a new one all of them.
    pub fields: Vec<FieldChange>,
    /// Whether it takes effect only at the next start of the server.
    pub needs_restart: bool,
}

/// What happens to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    New,
    /// It becomes different.
    Changed,
    /// It goes.
    Removed,
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldChange {
    /// Path in the thing: `notify[0].via`.
    pub path: String,
    /// What it was; absent: it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it becomes; absent: it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// A mistake in the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigProblem {
    /// Name of the file, as it was given.
    pub file: String,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Path of the value, for example `rules[2].when`.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead, when that can be guessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// Why files were not put in force. What was in force stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigRefusal {
    /// There are mistakes in them.
    Invalid(Vec<ConfigProblem>),
    /// Something else is in force than the caller thinks, or the folder cannot be written; what to do.
    Conflict(String),
    /// The server cannot do it now.
    Failed(String),
}
