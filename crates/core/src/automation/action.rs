//! What an automation does: Prefect's actions, and ours.
//!
//! Serialised as Prefect's API gives them. Texts may be templates; they are rendered when the action is carried out.
//! Carrying out is not here: [`crate::engine`] decides which become effects, `trackside-connect` knows the wire.

use crate::event::Severity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// One action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ActionSpec {
    /// Nothing; the firing is recorded.
    DoNothing {},
    /// Sends a message through a notification block or a connection.
    SendNotification {
        /// The message's way.
        #[serde(flatten)]
        via: Via,
        /// One line; a template.
        subject: String,
        /// The text; a template.
        body: String,
    },
    /// Calls a webhook block or connection.
    CallWebhook {
        /// The call's way.
        #[serde(flatten)]
        via: Via,
        /// The body; a template.
        payload: String,
    },
    /// Starts a run of a Prefect deployment.
    RunDeployment {
        /// Which one.
        #[serde(flatten)]
        deployment: DeploymentTarget,
        /// Parameters; texts in it are templates.
        parameters: Option<Map<String, Value>>,
        /// Overrides of the job.
        job_variables: Option<Map<String, Value>>,
        /// Seconds from now.
        #[serde(default)]
        schedule_after: f64,
    },
    /// Pauses a deployment's schedules.
    PauseDeployment(DeploymentTarget),
    /// Resumes them.
    ResumeDeployment(DeploymentTarget),
    /// Pauses a work pool.
    PauseWorkPool(WorkPoolTarget),
    /// Resumes it.
    ResumeWorkPool(WorkPoolTarget),
    /// Pauses a work queue.
    PauseWorkQueue(WorkQueueTarget),
    /// Resumes it.
    ResumeWorkQueue(WorkQueueTarget),
    /// Pauses an automation.
    PauseAutomation(AutomationTarget),
    /// Resumes it.
    ResumeAutomation(AutomationTarget),
    /// Cancels the flow run that the event is about.
    CancelFlowRun {},
    /// Suspends it.
    SuspendFlowRun {},
    /// Resumes it.
    ResumeFlowRun {},
    /// Deletes it.
    DeleteFlowRun {},
    /// Puts it into another state.
    ChangeFlowRunState {
        /// Name of the state; a template. Absent: the type's own.
        name: Option<String>,
        /// Type, for example `FAILED`.
        state: String,
        /// Message; a template.
        message: Option<String>,
        /// Past the orchestration rules.
        force: bool,
    },
    /// Opens an incident, or adds to the open one of the same automation and subject.
    DeclareIncident {
        /// Title; a template. Absent: the automation's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Text; a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        summary: Option<String>,
        /// How bad; absent: by the pipeline's tier.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        severity: Option<Severity>,
        /// The team that must act; absent: the owner by rule.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<String>,
    },
    /// Tells the owner: an incident of the owner by rule, with the severity by tier.
    PageOwner {
        /// Title; a template. Absent: the automation's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// How bad; absent: by the pipeline's tier.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        severity: Option<Severity>,
    },
    /// Resolves the incidents that this automation opened for the same subject.
    ResolveIncident {},
    /// Posts a message to a connection.
    NotifyChannel {
        /// Connection name.
        connection: String,
        /// One line; a template. Absent: the automation's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// The text; a template.
        body: String,
    },
    /// Triggers an Airflow DAG.
    TriggerDag {
        /// Connection of kind `airflow`.
        connection: String,
        /// The DAG; a template.
        dag_id: String,
        /// Its conf; texts in it are templates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conf: Option<Map<String, Value>>,
    },
    /// Clears a task so that Airflow runs it again.
    ClearTask {
        /// Connection of kind `airflow`.
        connection: String,
        /// The DAG; a template. Absent: the event's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dag_id: Option<String>,
        /// The task; a template. Absent: the event's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_id: Option<String>,
    },
    /// Queues a TeamCity build.
    StartBuild {
        /// Connection of kind `teamcity`.
        connection: String,
        /// Build configuration; a template.
        build_type: String,
        /// Parameters; texts in it are templates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        properties: Option<Map<String, Value>>,
    },
    /// Queues a job of the gateway.
    RunJob {
        /// Name of the job.
        job: String,
        /// Its parameters; texts in it are templates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameters: Option<Map<String, Value>>,
    },
}

impl ActionSpec {
    /// The `type` in JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DoNothing {} => "do-nothing",
            Self::SendNotification { .. } => "send-notification",
            Self::CallWebhook { .. } => "call-webhook",
            Self::RunDeployment { .. } => "run-deployment",
            Self::PauseDeployment(_) => "pause-deployment",
            Self::ResumeDeployment(_) => "resume-deployment",
            Self::PauseWorkPool(_) => "pause-work-pool",
            Self::ResumeWorkPool(_) => "resume-work-pool",
            Self::PauseWorkQueue(_) => "pause-work-queue",
            Self::ResumeWorkQueue(_) => "resume-work-queue",
            Self::PauseAutomation(_) => "pause-automation",
            Self::ResumeAutomation(_) => "resume-automation",
            Self::CancelFlowRun {} => "cancel-flow-run",
            Self::SuspendFlowRun {} => "suspend-flow-run",
            Self::ResumeFlowRun {} => "resume-flow-run",
            Self::DeleteFlowRun {} => "delete-flow-run",
            Self::ChangeFlowRunState { .. } => "change-flow-run-state",
            Self::DeclareIncident { .. } => "declare-incident",
            Self::PageOwner { .. } => "page-owner",
            Self::ResolveIncident {} => "resolve-incident",
            Self::NotifyChannel { .. } => "notify-channel",
            Self::TriggerDag { .. } => "trigger-dag",
            Self::ClearTask { .. } => "clear-task",
            Self::StartBuild { .. } => "start-build",
            Self::RunJob { .. } => "run-job",
        }
    }
}

/// The way of a message or call: a Prefect block document, or a connection of the configuration. Exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Via {
    /// A block document.
    Block {
        /// Its id.
        block_document_id: Uuid,
    },
    /// A connection.
    Connection {
        /// Its name.
        connection: String,
    },
}

/// Where the target of an action comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetSource {
    /// Named in the action.
    #[default]
    Selected,
    /// The one that the event is about.
    Inferred,
}

/// A deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentTarget {
    /// Where it comes from.
    pub source: TargetSource,
    /// Its id, when selected.
    pub deployment_id: Option<Uuid>,
}

/// A work pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkPoolTarget {
    /// Where it comes from.
    pub source: TargetSource,
    /// Its id, when selected.
    pub work_pool_id: Option<Uuid>,
}

/// A work queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkQueueTarget {
    /// Where it comes from.
    pub source: TargetSource,
    /// Its id, when selected.
    pub work_queue_id: Option<Uuid>,
}

/// An automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutomationTarget {
    /// Where it comes from.
    pub source: TargetSource,
    /// Its id, when selected.
    pub automation_id: Option<Uuid>,
}
