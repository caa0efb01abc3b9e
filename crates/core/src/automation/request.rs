//! Reading what people write as an automation, in Prefect's dialect and in ours.
//!
//! In Prefect's dialect a body is taken, completed and refused as Prefect's API does it, error for error. In ours every
//! field that is not known is an error that names the nearest one, durations may be written as text, and what the shape
//! says need not be said again. Both give the same [`AutomationSpec`], which serialises to the normalised body.
//!
//! Invariants: pure and total; bounded by the `AUTOMATION_` limits of [`limits`](crate::limits) before anything is read;
//! `parse(normalised(spec)) == spec`. Whether what is written makes sense is for [`super::lint`].

mod bounds;
mod error;
mod lax;
mod line;
mod loops;
mod model;
mod object;
mod parameters;
mod prefect;
mod prefect_action;
pub(super) mod text;
mod trackside;
mod trackside_action;
mod trackside_trigger;

pub use error::{FieldError, PathPart, dotted, errors_json};

use super::definition::{AutomationSpec, Semantics};
use serde_json::Value;

/// Who wrote it, or for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The body of Prefect's `POST /automations/`.
    Prefect,
    /// The body of Prefect's `PUT /automations/{id}`: the same without `owner_resource`.
    PrefectReplace,
    /// Our YAML and our API.
    Trackside,
}

/// An automation of our dialect, with how it is to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// How its trigger is evaluated; ours, unless it says otherwise.
    pub semantics: Semantics,
    /// The automation.
    pub spec: AutomationSpec,
}

/// Reads an automation.
///
/// # Errors
/// Everything that is wrong with it, in Prefect's dialect as Prefect says it.
pub fn parse(body: &Value, dialect: Dialect) -> Result<AutomationSpec, Vec<FieldError>> {
    match dialect {
        Dialect::Prefect => bounds::check(body).and_then(|()| prefect::parse(body, prefect::CREATE)),
        Dialect::PrefectReplace => bounds::check(body).and_then(|()| prefect::parse(body, prefect::REPLACE)),
        Dialect::Trackside => parse_written(body).map(|written| written.spec),
    }
}

/// Reads an automation of our dialect, in which `semantics` may be chosen.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_written(body: &Value) -> Result<Written, Vec<FieldError>> {
    bounds::check(body)?;
    trackside::parse(body)
}
