//! The configuration: a folder of YAML files, read whole, checked whole, or refused with the place of the mistake.
//!
//! Every file may hold any of the sections of [`Sections`]; they are merged, and a name that stands twice is a mistake.
//! A file may also be one automation in Prefect's JSON form, or a list of them.
//! Invariants: what [`load`] and [`check`] return is usable (rules compile, connections validate, automations are
//! understood); a secret is only ever a reference; an invalid folder never replaces a valid one. Overrides by environment
//! are in [`ServerSettings::resolve`]; putting a configuration in force is in [`crate::apply`].

mod ahead;
mod automation;
mod caller;
mod duty;
mod gateway;
mod heartbeat;
mod job;
mod judge;
mod merge;
mod partial;
mod policy;
mod problem;
mod read;
mod secrets;
mod server;
mod sign_in;
mod suggestion;

pub use automation::{AutomationEntry, ConfiguredAutomation, Findings};
pub use heartbeat::{HeartbeatOut, HeartbeatUrl};
pub use partial::{Rehearsal, automations_of, lint_files, rehearsals};
pub use policy::{PolicyTest, policy_tests};
pub use problem::{Problem, Problems, Spot};
pub use read::{FILE_BYTES, FILES, SourceFile, is_configuration, read_folder};
pub use secrets::ConfiguredSecrets;
pub use server::{LogFormat, RetentionSettings, ServerSettings, TlsSettings};

use crate::automations::case::Case;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use trackside_connect::connection::ConnectionConfig;
use trackside_core::approval::rule::ApprovalRule;
use trackside_core::duty::schedule::Schedule;
use trackside_core::job::spec::JobSpec;
use trackside_core::ruleset::noise::{IncidentSettings, Inhibition, Maintenance, Upstream};
use trackside_core::ruleset::people::{Person, Policy};
use trackside_core::ruleset::{Canary, Owners, PipelineEntry, Rule, Ruleset, Team};
use trackside_gateway::config::GatewaySettings;
use trackside_gateway::config::route::RouteConfig;
use trackside_identity::certificate::CertificateRule;
use trackside_identity::issuer::IssuerConfig;
use trackside_identity::role::Role;
use trackside_identity::scim::ScimConfig;
use trackside_identity::secret::SecretRef;
use trackside_identity::secret::vaults::VaultConfig;
use trackside_identity::sign_in::SignInConfig;
use trackside_identity::workload::settings::WorkloadSettings;
use trackside_policy::Policies;
use trackside_policy::case::PolicyCase;

/// What one file may hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sections {
    /// How the server runs.
    pub server: Option<ServerSettings>,
    /// Teams by name.
    pub teams: BTreeMap<String, Team>,
    /// How the owner of a problem is found.
    pub owners: Option<Owners>,
    /// What raises an alert.
    pub rules: Vec<Rule>,
    /// What is known of pipelines beforehand.
    pub pipelines: Vec<PipelineEntry>,
    /// Outside systems by name.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// API tokens that are given by secret reference.
    pub tokens: Vec<TokenEntry>,
    /// Secret managers by name, which references like `{vault: PATH#FIELD}` mean.
    pub vaults: BTreeMap<String, VaultConfig>,
    /// Issuers whose tokens are taken, by name.
    pub issuers: BTreeMap<String, IssuerConfig>,
    /// Sign-in with a browser by an identity provider.
    pub sign_in: Option<SignInConfig>,
    /// Whom client certificates stand for; needs `server.tls.client_ca`.
    pub certificates: Vec<CertificateRule>,
    /// Rules about agreement by name; jobs and routes name them.
    pub approvals: BTreeMap<String, ApprovalRule>,
    /// Jobs by name.
    pub jobs: BTreeMap<String, JobSpec>,
    /// How the gateway listens.
    pub gateway: Option<GatewaySettings>,
    /// Routes of the gateway by name.
    pub routes: BTreeMap<String, RouteConfig>,
    /// The directory that writes people and groups over SCIM.
    pub scim: Option<ScimConfig>,
    /// Tokens that Trackside signs, for far ends that trust its key page.
    pub workload: Option<WorkloadSettings>,
    /// People by name.
    pub people: BTreeMap<String, Person>,
    /// On-call schedules by name.
    pub schedules: BTreeMap<String, Schedule>,
    /// Escalation policies by name.
    pub escalations: BTreeMap<String, Policy>,
    /// Windows of planned work.
    pub maintenance: Vec<Maintenance>,
    /// Problems that make messages about others needless.
    pub inhibitions: Vec<Inhibition>,
    /// Named lists of days, for deadlines that leave out holidays.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub calendars: BTreeMap<String, Vec<Date>>,
    /// How alerts become incidents.
    pub incidents: Option<IncidentSettings>,
    /// Pipelines that depend on others, where no lineage says it.
    pub upstreams: Vec<Upstream>,
    /// Test alerts through real channels.
    pub canary: Option<Canary>,
    /// A sign of life to another service, which tells when it stays away.
    pub heartbeat_out: Option<HeartbeatOut>,
    /// What is done when events come, or do not come.
    pub automations: Vec<AutomationEntry>,
    /// Tests of the policies (`*.cedar` files of the folder), for `trackside policy test`. The server does not use them.
    pub policy_tests: Vec<PolicyCase>,
    /// Tests of the automations, for `trackside automations test`. The server does not use them.
    pub tests: Vec<Case>,
}

/// An API token whose value is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Unique name; it appears in the audit, and as the source of events that name none.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Team that what it sends belongs to, unless the event says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Names that routes and jobs may ask for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scopes: BTreeSet<String>,
    /// Where the value is.
    pub secret: SecretRef,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the server runs.
    pub server: ServerSettings,
    /// What decisions depend on.
    pub ruleset: Ruleset,
    /// Outside systems by name.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// Tokens by reference.
    pub tokens: Vec<TokenEntry>,
    /// Issuers by name.
    pub issuers: BTreeMap<String, IssuerConfig>,
    /// Sign-in with a browser by an identity provider.
    pub sign_in: Option<SignInConfig>,
    /// Whom client certificates stand for.
    pub certificates: Vec<CertificateRule>,
    /// How the gateway listens; `None` when there is none.
    pub gateway: Option<GatewaySettings>,
    /// Routes of the gateway by name.
    pub routes: BTreeMap<String, RouteConfig>,
    /// What is said of the directory that writes people and groups.
    pub scim: ScimConfig,
    /// Trackside as an issuer.
    pub workload: WorkloadSettings,
    /// The sign of life to another service.
    pub heartbeat_out: Option<HeartbeatOut>,
    /// Automations, in the order written.
    pub automations: Vec<ConfiguredAutomation>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
    /// Secrets of secret managers.
    pub secrets: ConfiguredSecrets,
    /// What cannot be used in the environment of this process: secrets that are not there. Elsewhere they may be.
    pub unusable_here: Vec<Problem>,
    /// The policies of the `*.cedar` files.
    pub policies: Policies,
    /// Where each schedule stands.
    pub schedule_spots: BTreeMap<String, Spot>,
}

/// Reads and checks a folder of `*.yaml`, `*.yml`, `*.json` and `*.cedar` files (not its sub-folders), in the order of their names.
///
/// # Errors
/// Every mistake that was found, with file, line and column. Files are all read before anything is judged together.
pub fn load(folder: &Path) -> Result<Config, Problems> {
    check(folder, &read_folder(folder)?)
}

/// Checks the files of a folder, which need not be on this machine; `folder` is what their names are shown in.
///
/// # Errors
/// As [`load`].
pub fn check(folder: &Path, files: &[SourceFile]) -> Result<Config, Problems> {
    let mut read = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match read::parse(folder, file) {
            Ok(file) => read.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let merged = merge::merge(folder, &read)?;
    judge::judge(merged)
}

#[cfg(test)]
mod tests;
