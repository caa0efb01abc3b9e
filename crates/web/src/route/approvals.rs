//! Approvals: the API and the pages.
//!
//! Whose word counts is said by the rule of the question, so any caller comes in; the handlers see to the rest.

use super::Access::Known;
use super::{Route, route};
use crate::api::approvals::{self as api, grants};
use crate::page::approvals as page;
use http::Method;

pub(super) fn routes() -> Vec<Route> {
    let (get, post) = (Method::GET, Method::POST);
    vec![
        route(&get, "/api/v1/approvals", Known, api::list),
        route(&post, "/api/v1/approvals", Known, api::create),
        route(&get, "/api/v1/approvals/{id}", Known, api::get),
        route(&post, "/api/v1/approvals/{id}/approve", Known, api::approve),
        route(&post, "/api/v1/approvals/{id}/deny", Known, api::deny),
        route(&post, "/api/v1/approvals/{id}/withdraw", Known, api::withdraw),
        route(&get, "/api/v1/grants", Known, grants::list),
        route(&post, "/api/v1/grants/{id}/revoke", Known, grants::revoke),
        route(&get, "/approvals", Known, page::inbox),
        route(&post, "/approvals", Known, page::create),
        route(&get, "/approvals/new", Known, page::ask),
        route(&get, "/approvals/history", Known, page::history),
        route(&get, "/approvals/{id}", Known, page::one::show),
        route(&post, "/approvals/{id}/approve", Known, page::one::approve),
        route(&post, "/approvals/{id}/deny", Known, page::one::deny),
        route(&post, "/approvals/{id}/withdraw", Known, page::one::withdraw),
        route(&post, "/approvals/grants/{id}/revoke", Known, page::revoke),
    ]
}
