//! A job as configured.

use crate::approval::rule::ApprovalChoice;
use crate::ruleset::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Team that is told when it fails; else the owners' rules decide (source `trackside.jobs`, pipeline = the job).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What is called.
    pub target: JobTarget,
    /// JSON Schema (2020-12) of the input. Absent: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// JSON Schema of the result. Absent: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Largest result that is kept, in bytes. Default 256 KiB, at most 1 MiB. A larger one fails the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u32>,
    /// Who may start it: any of these names of the caller's (roles and scopes of the issuer, scopes of an API token,
    /// groups), or a role of Trackside. Empty: the role `service` is enough.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
    /// Longest time from the start of a run to its end. Default 1 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How often and how a call is tried.
    #[serde(default)]
    pub retry: JobRetry,
    /// Most runs at a time; more wait in order. Default: no limit but the connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Most unfinished runs of one caller; more are refused with 429. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_caller: Option<u32>,
    /// How long a finished run is remembered under its key. Default 24 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_key: Option<Span>,
    /// Who must agree before it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalChoice>,
}

/// What a job calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum JobTarget {
    /// An HTTP endpoint behind a connection of kind `http`.
    Http {
        /// Connection.
        connection: String,
        /// Method; default POST.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<String>,
        /// Path behind the connection's address. `{name}` is replaced by that member of the input, percent-encoded.
        path: String,
        /// How the end is learnt.
        #[serde(default)]
        mode: HttpMode,
        /// Whether the far end does the same call (same `Idempotency-Key`) only once. Only then is a call whose answer
        /// was lost sent again; otherwise it is asked after, or the run ends as unknown.
        #[serde(default)]
        idempotency: Idempotency,
    },
    /// An action on an Azure App Service behind a connection of kind `app_service`.
    AppService {
        /// Connection.
        connection: String,
        /// What to do.
        action: AppServiceAction,
    },
}

/// How the end of an HTTP call is learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum HttpMode {
    /// The answer is the result. A 202 with `Location` is polled all the same.
    #[default]
    Synchronous,
    /// 202 with `Location`; that address is asked until it answers something else than 202, or a body whose `status`
    /// member ends it.
    Poll {
        /// Pause between questions when the far end names none (`Retry-After`). Default 5 s.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        every: Option<Span>,
        /// JSON Pointer to the member that holds the status. Default `/status`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// Statuses that mean success. Default: succeeded, success, completed, done, finished.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        succeeded: BTreeSet<String>,
        /// Statuses that mean failure. Default: failed, error, cancelled, canceled, timed_out.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        failed: BTreeSet<String>,
        /// JSON Pointer to the member that is the result. Default: the whole body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
    },
    /// The far end calls the address in the header `Trackside-Callback` (single use, signed) when it is done.
    Callback,
}

/// Whether a target does the same call only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Idempotency {
    /// It honours `Idempotency-Key`.
    Key,
    /// It does not; a lost answer ends the run as unknown.
    #[default]
    None,
}

/// Actions on an Azure App Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum AppServiceAction {
    /// Restart the app or a slot.
    Restart {
        /// Slot; default production.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<String>,
        /// Apply settings and recycle only when needed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        soft: bool,
    },
    /// Swap a slot with another.
    SwapSlots {
        /// From.
        source: String,
        /// To; default production.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// Deploy the zip at an address that the input names (`package_url`).
    ZipDeploy {
        /// Slot; default production.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<String>,
    },
}

/// How often a call is tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobRetry {
    /// Most tries; default 3. Refusals (4xx but 408, 425 and 429) are not tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Pause before the second try, doubled for each further one; default 5 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Span>,
}

impl JobTarget {
    /// The connection it goes through.
    #[must_use]
    pub fn connection(&self) -> &str {
        match self {
            Self::Http { connection, .. } | Self::AppService { connection, .. } => connection,
        }
    }
}
