//! Routes of SCIM 2.0.

use super::{Access, Route, route};
use http::Method;

/// SCIM 2.0, for the system that knows people and groups.
pub(super) fn routes() -> Vec<Route> {
    use crate::scim::{about, groups, users};
    let scim = Access::Scim(trackside_identity::scim::SCOPE);
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let (patch, delete) = (Method::PATCH, Method::DELETE);
    vec![
        route(&get, "/scim/v2/ServiceProviderConfig", scim, about::service),
        route(&get, "/scim/v2/ResourceTypes", scim, about::resource_types),
        route(&get, "/scim/v2/ResourceTypes/{id}", scim, about::resource_type),
        route(&get, "/scim/v2/Schemas", scim, about::schemas),
        route(&get, "/scim/v2/Schemas/{id}", scim, about::schema),
        route(&get, "/scim/v2/Users", scim, users::list),
        route(&post, "/scim/v2/Users", scim, users::create),
        route(&get, "/scim/v2/Users/{id}", scim, users::get),
        route(&put, "/scim/v2/Users/{id}", scim, users::replace),
        route(&patch, "/scim/v2/Users/{id}", scim, users::patch),
        route(&delete, "/scim/v2/Users/{id}", scim, users::delete),
        route(&get, "/scim/v2/Groups", scim, groups::list),
        route(&post, "/scim/v2/Groups", scim, groups::create),
        route(&get, "/scim/v2/Groups/{id}", scim, groups::get),
        route(&put, "/scim/v2/Groups/{id}", scim, groups::replace),
        route(&patch, "/scim/v2/Groups/{id}", scim, groups::patch),
        route(&delete, "/scim/v2/Groups/{id}", scim, groups::delete),
    ]
}
