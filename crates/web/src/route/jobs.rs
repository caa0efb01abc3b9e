//! Jobs: one set of addresses for programs and browsers.
//!
//! Who may start a job is said by the job, so any caller comes in; the handlers see to the rest.

use super::Access::{Known, Signed};
use super::{Route, route};
use crate::api::jobs::{self, act, callback, start, watch};
use http::Method;

pub(super) fn routes() -> Vec<Route> {
    let (get, post) = (Method::GET, Method::POST);
    vec![
        route(&get, "/jobs", Known, jobs::list),
        route(&get, "/jobs/{name}", Known, jobs::get),
        route(&get, "/jobs/{name}/runs", Known, jobs::runs),
        route(&post, "/jobs/{name}/runs", Known, start::start),
        route(&get, "/jobs/{name}/runs/{id}", Known, watch::get),
        route(&get, "/jobs/{name}/runs/{id}/events", Known, watch::events),
        route(&post, "/jobs/{name}/runs/{id}/cancel", Known, act::cancel),
        route(&post, "/jobs/{name}/runs/{id}/settle", Known, act::settle),
        route(&post, "/jobs/callback/{token}", Signed, callback::take),
    ]
}
