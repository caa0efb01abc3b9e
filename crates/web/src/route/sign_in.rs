//! Routes of signing in and out, and of sessions.

use super::{Access, Route, route};
use http::Method;
use trackside_identity::role::Role;

/// Signing in and out, and sessions.
pub(super) fn routes() -> Vec<Route> {
    use crate::api::sessions as api;
    use crate::page::sessions as all;
    use crate::page::sign_in::{self as one, provider};
    use Access::{Known, Needs, Public, Signed};
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let (viewer, admin) = (Needs(Role::Viewer), Needs(Role::Admin));
    vec![
        route(&get, "/sign-in", Public, one::show),
        route(&post, "/sign-in", Public, one::sign_in),
        route(&get, "/sign-in/provider", Public, provider::depart),
        route(&get, "/sign-in/callback", Public, provider::arrive),
        route(&post, "/sign-in/back-channel-logout", Signed, provider::back_channel),
        route(&post, "/sign-out", Public, one::sign_out),
        route(&get, "/signed-out", Public, one::signed_out),
        route(&get, "/sessions", viewer, all::show),
        route(&post, "/sessions/end", admin, all::end_all),
        // Ending somebody else's needs more; the function of the API sees to it.
        route(&post, "/sessions/{id}/end", viewer, all::end),
        route(&get, "/api/v1/sign-in", Public, api::ways),
        route(&get, "/api/v1/whoami", Known, api::whoami),
        route(&get, "/api/v1/sessions", viewer, api::list),
        route(&delete, "/api/v1/sessions", admin, api::end_all),
        // As above.
        route(&delete, "/api/v1/sessions/{id}", viewer, api::end),
    ]
}
