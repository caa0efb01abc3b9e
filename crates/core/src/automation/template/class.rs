//! The models that Prefect gives to templates: their names, fields and defaults, in Prefect's order.
//!
//! Source: the pydantic models of Prefect 3.8 (`prefect.server.events.schemas`, `prefect.server.schemas`).

use super::moment::Span;
use super::object::choice;
use jiff::SignedDuration;
use minijinja::Value;

/// A model.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) module: &'static str,
    pub(super) fields: &'static [(&'static str, Kind)],
    /// What Python computes.
    pub(super) properties: &'static [&'static str],
    /// Whether it has more fields than listed.
    pub(super) is_open: bool,
    /// Whether it is a dictionary with a name.
    pub(super) is_map: bool,
}

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Whatever it is; `None` by default.
    Plain,
    Text,
    List,
    Dict,
    Count,
    One,
    No,
    Yes,
    /// A duration in seconds; zero by default.
    Span,
    Time,
    /// A member of an enumeration.
    Choice,
    NotReady,
    Set,
    Record(&'static Class),
    /// A record that is there, with its defaults, when nothing is known of it.
    Default(&'static Class),
    Records(&'static Class),
}

impl Kind {
    pub(super) fn default(self) -> Value {
        match self {
            Self::Plain | Self::Time | Self::Choice | Self::Record(_) => Value::from(()),
            Self::Default(class) => super::object::record(class, &serde_json::Value::Null),
            Self::Text => Value::from(""),
            Self::List | Self::Records(_) => Value::from(Vec::<Value>::new()),
            Self::Dict => Value::from_pairs(Vec::<(Value, Value)>::new()),
            Self::Count => Value::from(0),
            Self::One => Value::from(1),
            Self::No => Value::from(false),
            Self::Yes => Value::from(true),
            Self::Span => Value::from_object(Span(SignedDuration::ZERO)),
            Self::NotReady => choice("NOT_READY"),
            Self::Set => Value::from_object(super::object::Set(Vec::new())),
        }
    }
}

impl Class {
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| *name == field) || self.properties.contains(&field)
    }

    /// The names that a template can use.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|(name, _)| *name).chain(self.properties.iter().copied())
    }

    /// The class that a `type` names, of those that may stand in this one's place.
    pub(super) fn variant(&'static self, tag: &str) -> &'static Self {
        let is_trigger = self.name == EVENT_TRIGGER.name;
        match tag {
            "compound" if is_trigger => &COMPOUND_TRIGGER,
            "sequence" if is_trigger => &SEQUENCE_TRIGGER,
            _ if self.name == ACTION.name => {
                ACTIONS.iter().find(|(name, _)| *name == tag).map_or(&ACTION, |(_, class)| class)
            }
            _ => self,
        }
    }
}

/// The class `$class` of `$module` with its fields.
const fn class(name: &'static str, module: &'static str, fields: &'static [(&'static str, Kind)]) -> Class {
    Class { name, module, fields, properties: &[], is_open: false, is_map: false }
}

use Kind::{Choice, Count, Default, Dict, List, No, NotReady, One, Plain, Record, Records, Set, Text, Time, Yes};

const CORE: &str = "prefect.server.schemas.core";
const RESPONSES: &str = "prefect.server.schemas.responses";
const AUTOMATIONS: &str = "prefect.server.events.schemas.automations";
const ACTION_MODULE: &str = "prefect.server.events.actions";

pub(super) static EVENT: Class = Class {
    properties: &["involved_resources", "resource_in_role", "resources_in_role", "url", "find_resource_label"],
    ..class(
        "ReceivedEvent",
        "prefect.server.events.schemas.events",
        &[
            ("occurred", Time),
            ("event", Plain),
            ("resource", Plain),
            ("related", List),
            ("payload", Dict),
            ("id", Plain),
            ("follows", Plain),
            ("received", Time),
        ],
    )
};
pub(super) static AUTOMATION: Class = class(
    "Automation",
    AUTOMATIONS,
    &[
        ("name", Plain),
        ("description", Text),
        ("enabled", Yes),
        ("tags", List),
        ("trigger", Record(&EVENT_TRIGGER)),
        ("actions", Records(&ACTION)),
        ("actions_on_trigger", Records(&ACTION)),
        ("actions_on_resolve", Records(&ACTION)),
        ("id", Plain),
        ("created", Time),
        ("updated", Time),
    ],
);
pub(super) static EVENT_TRIGGER: Class = class(
    "EventTrigger",
    AUTOMATIONS,
    &[
        ("type", Plain),
        ("id", Plain),
        ("match", Record(&RESOURCE_SPECIFICATION)),
        ("match_related", Record(&RESOURCE_SPECIFICATION)),
        ("after", Set),
        ("expect", Set),
        ("for_each", Set),
        ("posture", Choice),
        ("threshold", One),
        ("within", Kind::Span),
    ],
);
static COMPOUND_TRIGGER: Class = class(
    "CompoundTrigger",
    AUTOMATIONS,
    &[
        ("type", Plain),
        ("id", Plain),
        ("triggers", Records(&EVENT_TRIGGER)),
        ("within", Kind::Span),
        ("require", Plain),
    ],
);
static SEQUENCE_TRIGGER: Class = class(
    "SequenceTrigger",
    AUTOMATIONS,
    &[("type", Plain), ("id", Plain), ("triggers", Records(&EVENT_TRIGGER)), ("within", Kind::Span)],
);
static RESOURCE_SPECIFICATION: Class = Class {
    is_open: true,
    is_map: true,
    ..class("ResourceSpecification", "prefect.server.events.schemas.events", &[])
};
static ACTION: Class = Class { is_open: true, ..class("Action", ACTION_MODULE, &[("type", Plain)]) };
/// Actions by their `type`.
static ACTIONS: [(&str, Class); 17] = [
    ("do-nothing", action("DoNothing")),
    ("run-deployment", action("RunDeployment")),
    ("pause-deployment", action("PauseDeployment")),
    ("resume-deployment", action("ResumeDeployment")),
    ("cancel-flow-run", action("CancelFlowRun")),
    ("delete-flow-run", action("DeleteFlowRun")),
    ("change-flow-run-state", action("ChangeFlowRunState")),
    ("pause-work-queue", action("PauseWorkQueue")),
    ("resume-work-queue", action("ResumeWorkQueue")),
    ("send-notification", action("SendNotification")),
    ("call-webhook", action("CallWebhook")),
    ("pause-automation", action("PauseAutomation")),
    ("resume-automation", action("ResumeAutomation")),
    ("suspend-flow-run", action("SuspendFlowRun")),
    ("resume-flow-run", action("ResumeFlowRun")),
    ("pause-work-pool", action("PauseWorkPool")),
    ("resume-work-pool", action("ResumeWorkPool")),
];

const fn action(name: &'static str) -> Class {
    Class { is_open: true, ..class(name, ACTION_MODULE, &[("type", Plain)]) }
}

pub(super) static FIRING: Class = class(
    "Firing",
    AUTOMATIONS,
    &[
        ("id", Plain),
        ("trigger", Record(&EVENT_TRIGGER)),
        ("trigger_states", Set),
        ("triggered", Time),
        ("triggering_labels", Dict),
        ("triggering_firings", List),
        ("triggering_event", Plain),
        ("triggering_value", Plain),
    ],
);
pub(super) static FLOW: Class = class(
    "Flow",
    CORE,
    &[("id", Plain), ("created", Time), ("updated", Time), ("name", Plain), ("tags", List), ("labels", Dict)],
);
pub(super) static STATE: Class = class(
    "State",
    "prefect.server.schemas.states",
    &[
        ("id", Plain),
        ("type", Choice),
        ("name", Plain),
        ("timestamp", Time),
        ("message", Plain),
        ("data", Plain),
        ("state_details", Dict),
    ],
);
static FLOW_RUN_POLICY: Class = class(
    "FlowRunPolicy",
    CORE,
    &[
        ("max_retries", Count),
        ("retry_delay_seconds", Count),
        ("retries", Plain),
        ("retry_delay", Plain),
        ("pause_keys", Set),
        ("resuming", No),
        ("retry_type", Plain),
    ],
);
static TASK_RUN_POLICY: Class = class(
    "TaskRunPolicy",
    CORE,
    &[
        ("max_retries", Count),
        ("retry_delay_seconds", Count),
        ("retries", Plain),
        ("retry_delay", Plain),
        ("retry_jitter_factor", Plain),
    ],
);
pub(super) static FLOW_RUN: Class = class(
    "FlowRunResponse",
    RESPONSES,
    &[
        ("id", Plain),
        ("created", Time),
        ("updated", Time),
        ("name", Plain),
        ("flow_id", Plain),
        ("state_id", Plain),
        ("deployment_id", Plain),
        ("deployment_version", Plain),
        ("work_queue_id", Plain),
        ("work_queue_name", Plain),
        ("flow_version", Plain),
        ("parameters", Dict),
        ("idempotency_key", Plain),
        ("context", Dict),
        ("empirical_policy", Default(&FLOW_RUN_POLICY)),
        ("tags", List),
        ("labels", Dict),
        ("parent_task_run_id", Plain),
        ("state_type", Choice),
        ("state_name", Plain),
        ("run_count", Count),
        ("expected_start_time", Time),
        ("next_scheduled_start_time", Time),
        ("start_time", Time),
        ("end_time", Time),
        ("total_run_time", Kind::Span),
        ("estimated_run_time", Kind::Span),
        ("estimated_start_time_delta", Kind::Span),
        ("auto_scheduled", No),
        ("infrastructure_document_id", Plain),
        ("infrastructure_pid", Plain),
        ("created_by", Plain),
        ("work_pool_id", Plain),
        ("work_pool_name", Plain),
        ("state", Record(&STATE)),
        ("job_variables", Plain),
    ],
);
pub(super) static TASK_RUN: Class = class(
    "TaskRun",
    CORE,
    &[
        ("id", Plain),
        ("created", Time),
        ("updated", Time),
        ("name", Plain),
        ("flow_run_id", Plain),
        ("task_key", Plain),
        ("dynamic_key", Plain),
        ("cache_key", Plain),
        ("cache_expiration", Time),
        ("task_version", Plain),
        ("empirical_policy", Default(&TASK_RUN_POLICY)),
        ("tags", List),
        ("labels", Dict),
        ("state_id", Plain),
        ("task_inputs", Dict),
        ("state_type", Choice),
        ("state_name", Plain),
        ("run_count", Count),
        ("flow_run_run_count", Count),
        ("expected_start_time", Time),
        ("next_scheduled_start_time", Time),
        ("start_time", Time),
        ("end_time", Time),
        ("total_run_time", Kind::Span),
        ("estimated_run_time", Kind::Span),
        ("estimated_start_time_delta", Kind::Span),
        ("state", Record(&STATE)),
    ],
);
pub(super) static DEPLOYMENT: Class = class(
    "DeploymentResponse",
    RESPONSES,
    &[
        ("id", Plain),
        ("created", Time),
        ("updated", Time),
        ("name", Plain),
        ("version", Plain),
        ("description", Plain),
        ("flow_id", Plain),
        ("paused", No),
        ("schedules", List),
        ("concurrency_limit", Plain),
        ("global_concurrency_limit", Plain),
        ("concurrency_options", Plain),
        ("job_variables", Dict),
        ("parameters", Dict),
        ("tags", List),
        ("labels", Dict),
        ("work_queue_name", Plain),
        ("work_queue_id", Plain),
        ("last_polled", Time),
        ("parameter_openapi_schema", Plain),
        ("path", Plain),
        ("pull_steps", Plain),
        ("entrypoint", Plain),
        ("storage_document_id", Plain),
        ("infrastructure_document_id", Plain),
        ("created_by", Plain),
        ("updated_by", Plain),
        ("work_pool_name", Plain),
        ("status", NotReady),
        ("enforce_parameter_schema", Yes),
    ],
);
pub(super) static WORK_POOL: Class = class(
    "WorkPool",
    CORE,
    &[
        ("id", Plain),
        ("created", Time),
        ("updated", Time),
        ("name", Plain),
        ("description", Plain),
        ("type", Plain),
        ("base_job_template", Dict),
        ("is_paused", No),
        ("concurrency_limit", Plain),
        ("status", Choice),
        ("default_queue_id", Plain),
        ("storage_configuration", Dict),
    ],
);
pub(super) static WORK_QUEUE: Class = class(
    "WorkQueueWithStatus",
    RESPONSES,
    &[
        ("healthy", Plain),
        ("late_runs_count", Count),
        ("last_polled", Time),
        ("health_check_policy", Plain),
        ("id", Plain),
        ("created", Time),
        ("updated", Time),
        ("name", Plain),
        ("description", Text),
        ("is_paused", No),
        ("concurrency_limit", Plain),
        ("priority", One),
        ("work_pool_id", Plain),
        ("filter", Plain),
        ("work_pool_name", Plain),
        ("status", Choice),
        ("active_slots", Plain),
    ],
);
pub(super) static CONCURRENCY_LIMIT: Class = class(
    "ConcurrencyLimitV2",
    CORE,
    &[
        ("id", Plain),
        ("created", Time),
        ("updated", Time),
        ("active", Yes),
        ("name", Plain),
        ("limit", Plain),
        ("active_slots", Count),
        ("denied_slots", Count),
        ("slot_decay_per_second", Count),
        ("avg_slot_occupancy_seconds", Plain),
    ],
);
