//! Credentials of connections, and the pages by which far ends trust tokens of ours.

use super::Access::{Public, Team};
use super::{Route, route};
use crate::api::credentials;
use crate::page::connections;
use http::Method;
use trackside_identity::role::Role;

pub(super) fn routes() -> Vec<Route> {
    let (get, post) = (Method::GET, Method::POST);
    // A policy may let those test a connection who operate for one team; the functions of the API see to it.
    let operator = Team(Role::Operator);
    vec![
        route(&post, "/api/v1/connections/{name}/credential", operator, credentials::refresh),
        route(&post, "/api/v1/connections/{name}/check", operator, credentials::check),
        route(&post, "/connections/{name}/credential", operator, connections::refresh),
        route(&post, "/connections/{name}/check", operator, connections::check),
        route(&get, "/.well-known/jwks.json", Public, credentials::keys),
        route(&get, "/.well-known/openid-configuration", Public, credentials::discovery),
    ]
}
