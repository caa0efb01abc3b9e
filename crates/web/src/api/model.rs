//! What the API says: one type per thing, made from the core's and the store's values.
//!
//! Pure. These types are the published contract; the core may change its own without breaking a client.

mod approval;
mod audit;
mod automation;
mod delivery;
mod duty;
mod escalation;
mod event;
mod incident;
mod job;
mod people;
mod planned;
mod report;
mod run;

pub(crate) use approval::{ApprovalOut, GrantOut};
pub(crate) use audit::AuditOut;
pub(crate) use automation::{AutomationDetailOut, AutomationOut, DAYS, EditOut, FiredOut, FiringOut, LineOut, days};
pub(crate) use delivery::{DeliveryDetailOut, DeliveryOut, there};
pub(crate) use duty::{LayerOut, NamedOut, OnCallOut, OverrideOut, ScheduleOut, ShiftOut, ShiftsOut};
pub(crate) use escalation::{CourseOut, FiredAlertOut, PagedOut, SentOut, SuppressionOut};
pub(crate) use event::{EventOut, ExplanationOut};
pub(crate) use incident::{AffectedOut, IncidentDetailOut, IncidentOut, LinkedOut};
pub(crate) use job::{JobOut, JobRunOut};
pub(crate) use people::{ContactOut, DutyOut, NotifyOut, PersonOut, PolicyOut, QuietOut, TeamOut};
pub(crate) use planned::{MaintenanceOut, PreviewOut, SilenceOut, SilenceState};
pub(crate) use report::{HeadOut, ReportOut};
pub(crate) use run::{PipelineOut, RunDetailOut, RunOut};

use serde::Serialize;
use utoipa::ToSchema;

/// A page of a listing, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageOut<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Pass as `before` to get the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u64>,
}

impl<T> PageOut<T> {
    /// A page of the store, each item turned into what the API says.
    pub(crate) fn of<S>(page: &trackside_store::Page<S>) -> Self
    where
        T: for<'a> From<&'a S>,
    {
        Self { items: page.items.iter().map(T::from).collect(), next: page.next }
    }
}
