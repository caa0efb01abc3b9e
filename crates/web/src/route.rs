//! The one table of routes: every address, who may use it, what answers.
//!
//! Invariants: a route that is not here does not exist; the role in the table is the role that is enforced (a test
//! sends every request with every role); doors carry no layer but panic containment, because they are the hot path.
//! Routes of Prefect's API answer with and without a slash at the end, because its clients use both forms.

mod approvals;
mod credentials;
mod frame;
mod jobs;
mod scim;
mod sign_in;

use crate::auth::Held;
use crate::problem::Problem;
use crate::state::AppState;
use crate::{api, assets, auth, door, page};
use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use frame::{compression, contained, surround, unknown, wrong_method};
use http::Method;
use trackside_identity::role::Role;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Anybody.
    Public,
    /// Senders with the role `ingest`; the door itself finds the credential where its protocol puts it.
    Door,
    /// Any caller who is known; the handler sees to what they may.
    Known,
    /// Callers with this role: for some team, to look at something; for every team, to change something.
    Needs(Role),
    /// Callers with this role for some team; the handler asks whether it is the team of what they change.
    Team(Role),
    /// Callers with this role, who speak Prefect's API and are refused in its words.
    Prefect(Role),
    /// Callers with this role, or calendar programs with a token of exactly this role in the address.
    Feed(Role),
    /// Programs with this scope, whatever their role, who speak SCIM and are refused in its words.
    Scim(&'static str),
    /// Whoever brings what we or a far end signed; the handler verifies it. A token opens nothing here.
    Signed,
}

/// One route.
struct Route {
    method: Method,
    path: &'static str,
    access: Access,
    handler: MethodRouter<AppState>,
}

fn route<H, T>(method: &Method, path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, AppState>,
    T: 'static,
{
    let filter = match *method {
        Method::GET => MethodFilter::GET,
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
        _ => unreachable!("the table has no route for {method}"),
    };
    Route { method: method.clone(), path, access, handler: on(filter, handler) }
}

/// A route as documentation shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// Method.
    pub method: Method,
    /// Path, with `{parameters}`.
    pub path: &'static str,
    /// Role that is needed, or `anybody`, or `a signature`. `(team)`: held for the team of what is changed is enough.
    pub needs: String,
}

/// Every route with who may use it.
#[must_use]
pub fn routes() -> Vec<RouteInfo> {
    let needs = |access| match access {
        Access::Public => "anybody".to_owned(),
        Access::Door => Role::Ingest.to_string(),
        Access::Known => "a caller".to_owned(),
        Access::Needs(role) | Access::Prefect(role) | Access::Feed(role) => role.to_string(),
        Access::Team(role) => format!("{role} (team)"),
        Access::Scim(scope) => format!("scope {scope}"),
        Access::Signed => "a signature".to_owned(),
    };
    let info = |route: Route| RouteInfo { needs: needs(route.access), method: route.method, path: route.path };
    table().into_iter().map(info).collect()
}

/// Every route.
fn table() -> Vec<Route> {
    let mut routes = doors();
    routes.extend(answers());
    routes.extend(api());
    routes.extend(people());
    routes.extend(scim::routes());
    routes.extend(credentials::routes());
    routes.extend(jobs::routes());
    routes.extend(approvals::routes());
    routes.extend(sign_in::routes());
    routes.extend(automations());
    routes.extend(prefect());
    routes.extend(pages());
    routes.extend(automation_pages());
    routes.extend(people_pages());
    routes
}

fn doors() -> Vec<Route> {
    use Access::{Door, Public};
    use door::{alertmanager, native, openlineage, pagerduty, ping, prefect, prefect_socket, slack};
    let (get, post) = (Method::GET, Method::POST);
    vec![
        route(&post, "/api/v1/events", Door, native::events),
        route(&post, "/api/v1/cloudevents", Door, native::cloudevents),
        route(&post, "/api/v1/lineage", Door, openlineage::one),
        route(&post, "/api/v1/lineage/batch", Door, openlineage::batch),
        route(&post, "/api/events", Door, prefect::events),
        route(&get, "/api/events/in", Door, prefect_socket::connect),
        route(&get, "/api/admin/version", Public, prefect::version),
        route(&get, "/api/csrf-token", Public, prefect::csrf_token),
        route(&get, "/api/health", Public, prefect::health),
        route(&get, "/api/ready", Public, prefect::ready),
        route(&post, "/v2/enqueue", Door, pagerduty::enqueue),
        route(&post, "/v2/change/enqueue", Door, pagerduty::change),
        route(&post, "/services/{a}/{b}/{token}", Door, slack::webhook),
        route(&post, "/slack/api/chat.postMessage", Door, slack::post_message),
        route(&post, "/api/v2/alerts", Door, alertmanager::alerts),
        route(&post, "/api/v1/alertmanager", Door, alertmanager::webhook),
        route(&get, "/ping/{slug}", Door, ping::plain),
        route(&post, "/ping/{slug}", Door, ping::plain),
        route(&get, "/ping/{slug}/{signal}", Door, ping::signal),
        route(&post, "/ping/{slug}/{signal}", Door, ping::signal),
    ]
}

/// Where far ends, and links in mails, tell what people answered to a message.
fn answers() -> Vec<Route> {
    use Access::Signed;
    use door::{pagerduty_webhook, slack_press};
    let (get, post) = (Method::GET, Method::POST);
    vec![
        route(&post, "/api/v1/pagerduty/webhooks/{connection}", Signed, pagerduty_webhook::take),
        route(&post, "/api/v1/slack/interactivity/{connection}", Signed, slack_press::take),
        route(&get, "/act/{token}", Signed, page::act::show),
        route(&post, "/act/{token}", Signed, page::act::act),
    ]
}

fn api() -> Vec<Route> {
    use Access::{Needs, Public, Team};
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let (viewer, operator, admin) = (Needs(Role::Viewer), Needs(Role::Operator), Needs(Role::Admin));
    vec![
        route(&get, "/api/v1/overview", viewer, api::overview::overview),
        route(&get, "/api/v1/events", viewer, api::events::list),
        route(&get, "/api/v1/events/{id}", viewer, api::events::get),
        route(&get, "/api/v1/explain/{id}", viewer, api::explain::explain),
        route(&get, "/api/v1/pipelines", viewer, api::runs::pipelines),
        route(&get, "/api/v1/runs", viewer, api::runs::list),
        route(&get, "/api/v1/runs/{source}/{pipeline}/{run}", viewer, api::runs::get),
        route(&get, "/api/v1/incidents", viewer, api::incidents::list),
        route(&get, "/api/v1/incidents/{id}", viewer, api::incidents::get),
        route(&get, "/api/v1/deliveries", viewer, api::deliveries::list),
        route(&get, "/api/v1/deliveries/{id}", viewer, api::deliveries::get),
        route(&post, "/api/v1/deliveries/{id}/retry", operator, api::deliveries::retry),
        route(&get, "/api/v1/connections", viewer, api::connections::list),
        route(&get, "/api/v1/secrets", admin, api::secrets::list),
        route(&post, "/api/v1/connections/{name}/test", Team(Role::Operator), api::connections::test),
        route(&get, "/api/v1/audit", viewer, api::audit::list),
        route(&get, "/api/v1/access/explain", admin, api::access::explain),
        route(&get, "/api/v1/audit/export", admin, api::audit::export::export),
        route(&get, "/api/v1/tokens", admin, api::tokens::list),
        route(&post, "/api/v1/tokens", admin, api::tokens::create),
        route(&delete, "/api/v1/tokens/{name}", admin, api::tokens::revoke),
        route(&post, "/api/v1/tokens/{name}/rotate", admin, api::tokens::rotate),
        route(&post, "/api/v1/config/plan", admin, api::config::plan),
        route(&post, "/api/v1/config/apply", admin, api::config::apply),
        route(&post, "/api/v1/sign-in-links", admin, api::tokens::sign_in_link),
        route(&get, "/api/v1/stream", viewer, api::stream::stream),
        route(&get, "/api/openapi.json", Public, api::docs::openapi),
        route(&get, "/metrics", viewer, api::health::metrics),
        route(&get, "/healthz", Public, api::health::alive),
        route(&get, "/readyz", Public, api::health::ready),
        route(&get, "/version", Public, api::health::version),
    ]
}

/// Incidents, who is on call, what is planned.
fn people() -> Vec<Route> {
    use Access::{Feed, Needs, Team};
    use api::incidents::{action, timeline};
    use api::{calendar, maintenance, oncall, overrides, people, reports, silences};
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let (viewer, responder, operator) = (Needs(Role::Viewer), Team(Role::Responder), Team(Role::Operator));
    let feed = Feed(Role::Viewer);
    vec![
        route(&get, "/api/v1/incidents/{id}/timeline", viewer, timeline::timeline),
        route(&post, "/api/v1/incidents/{id}/acknowledge", responder, action::acknowledge),
        route(&post, "/api/v1/incidents/{id}/unacknowledge", responder, action::unacknowledge),
        route(&post, "/api/v1/incidents/{id}/snooze", responder, action::snooze),
        route(&post, "/api/v1/incidents/{id}/escalate", responder, action::escalate),
        route(&post, "/api/v1/incidents/{id}/reassign", responder, action::reassign),
        route(&post, "/api/v1/incidents/{id}/merge", responder, action::merge),
        route(&post, "/api/v1/incidents/{id}/note", responder, action::note),
        route(&post, "/api/v1/incidents/{id}/resolve", responder, action::resolve),
        route(&get, "/api/v1/oncall", viewer, oncall::now),
        route(&get, "/api/v1/schedules", viewer, oncall::schedules),
        route(&get, "/api/v1/schedules/{name}/shifts", viewer, oncall::shifts),
        route(&get, "/api/v1/schedules/{name}/calendar.ics", feed, calendar::of_schedule),
        route(&post, "/api/v1/schedules/{name}/overrides", responder, overrides::create),
        route(&post, "/api/v1/schedules/{name}/swaps", responder, overrides::swap),
        route(&delete, "/api/v1/overrides/{id}", responder, overrides::delete),
        route(&get, "/api/v1/silences", viewer, silences::list),
        route(&post, "/api/v1/silences", responder, silences::create),
        route(&post, "/api/v1/silences/preview", viewer, silences::preview),
        // Ending somebody else's needs more; the handler sees to it.
        route(&delete, "/api/v1/silences/{id}", responder, silences::expire),
        route(&get, "/api/v1/maintenance", viewer, maintenance::list),
        route(&post, "/api/v1/maintenance", operator, maintenance::create),
        route(&delete, "/api/v1/maintenance/{id}", operator, maintenance::delete),
        route(&get, "/api/v1/people", viewer, people::people),
        route(&get, "/api/v1/people/{name}/calendar.ics", feed, calendar::of_person),
        route(&get, "/api/v1/teams", viewer, people::teams),
        route(&get, "/api/v1/drift", viewer, api::drift::drift),
        route(&get, "/api/v1/reports", viewer, reports::report),
    ]
}

/// Automations in our own API.
fn automations() -> Vec<Route> {
    use Access::Needs;
    use api::automations::{self as all, backtest, check, explain, findings, history, write};
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let (viewer, operator, admin) = (Needs(Role::Viewer), Needs(Role::Operator), Needs(Role::Admin));
    vec![
        route(&get, "/api/v1/automations", viewer, all::list),
        route(&post, "/api/v1/automations", admin, write::create),
        route(&get, "/api/v1/automations/findings", viewer, findings::list),
        route(&post, "/api/v1/automations/check", viewer, check::check),
        route(&post, "/api/v1/automations/explain", viewer, explain::explain),
        route(&post, "/api/v1/automations/backtest", viewer, backtest::backtest),
        route(&get, "/api/v1/automations/{id}", viewer, all::get),
        route(&put, "/api/v1/automations/{id}", admin, write::replace),
        route(&delete, "/api/v1/automations/{id}", admin, write::delete),
        route(&post, "/api/v1/automations/{id}/pause", operator, write::pause),
        route(&post, "/api/v1/automations/{id}/resume", operator, write::resume),
        route(&get, "/api/v1/automations/{id}/history", viewer, history::history),
        route(&get, "/api/v1/automations/{id}/firings", viewer, history::firings),
        route(&get, "/api/v1/automations/{id}/findings", viewer, findings::get),
    ]
}

/// Prefect's REST shape, as far as its command line, its blocks and its Terraform provider need it for automations.
fn prefect() -> Vec<Route> {
    use Access::Prefect;
    use api::prefect::{automations, block_documents, block_types};
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let (patch, delete) = (Method::PATCH, Method::DELETE);
    let (viewer, operator, admin) = (Prefect(Role::Viewer), Prefect(Role::Operator), Prefect(Role::Admin));
    vec![
        route(&post, "/api/automations/", admin, automations::create),
        route(&post, "/api/automations/filter", viewer, automations::filter),
        route(&post, "/api/automations/count", viewer, automations::count),
        route(&post, "/api/automations/templates/validate", viewer, automations::validate_template),
        route(&post, "/api/templates/validate", viewer, automations::validate_template),
        route(&get, "/api/automations/related-to/{resource}", viewer, automations::related_to),
        route(&delete, "/api/automations/owned-by/{resource}", admin, automations::delete_owned_by),
        route(&get, "/api/automations/{id}", viewer, automations::read),
        route(&put, "/api/automations/{id}", admin, automations::replace),
        route(&patch, "/api/automations/{id}", operator, automations::switch),
        route(&delete, "/api/automations/{id}", admin, automations::delete),
        route(&post, "/api/block_types/", admin, block_types::create),
        route(&post, "/api/block_types/filter", viewer, block_types::filter),
        route(&get, "/api/block_types/slug/{slug}", viewer, block_types::read_by_slug),
        route(&get, "/api/block_types/slug/{slug}/block_documents", viewer, block_documents::of_type),
        route(&get, "/api/block_types/slug/{slug}/block_documents/name/{name}", viewer, block_documents::named),
        route(&get, "/api/block_types/{id}", viewer, block_types::read),
        route(&patch, "/api/block_types/{id}", admin, block_types::update),
        route(&delete, "/api/block_types/{id}", admin, block_types::delete),
        route(&post, "/api/block_schemas/", admin, block_types::create_schema),
        route(&post, "/api/block_schemas/filter", viewer, block_types::filter_schemas),
        route(&get, "/api/block_schemas/checksum/{checksum}", viewer, block_types::read_schema_by_checksum),
        route(&get, "/api/block_schemas/{id}", viewer, block_types::read_schema),
        route(&delete, "/api/block_schemas/{id}", admin, block_types::delete_schema),
        route(&get, "/api/block_capabilities/", viewer, block_types::capabilities),
        route(&post, "/api/block_documents/", admin, block_documents::create),
        route(&post, "/api/block_documents/filter", viewer, block_documents::filter),
        route(&post, "/api/block_documents/count", viewer, block_documents::count),
        route(&get, "/api/block_documents/{id}", viewer, block_documents::read),
        route(&patch, "/api/block_documents/{id}", admin, block_documents::update),
        route(&delete, "/api/block_documents/{id}", admin, block_documents::delete),
    ]
}

fn pages() -> Vec<Route> {
    use Access::{Needs, Public, Team};
    let (get, post) = (Method::GET, Method::POST);
    let (viewer, operator) = (Needs(Role::Viewer), Needs(Role::Operator));
    vec![
        route(&get, "/", viewer, page::overview::show),
        route(&get, "/runs", viewer, page::runs::list),
        route(&get, "/runs/{source}/{pipeline}/{run}", viewer, page::run::show),
        route(&get, "/incidents", viewer, page::incidents::list),
        route(&get, "/incidents/{id}", viewer, page::incident::show),
        route(&get, "/deliveries", viewer, page::deliveries::list),
        route(&get, "/deliveries/{id}", viewer, page::delivery::show),
        route(&post, "/deliveries/{id}/retry", operator, page::delivery::retry),
        route(&get, "/events", viewer, page::events::list),
        route(&get, "/events/{id}", viewer, page::event::show),
        route(&get, "/connections", viewer, page::connections::list),
        route(&post, "/connections/{name}/test", Team(Role::Operator), page::connections::test),
        route(&get, "/access", viewer, page::access::show),
        route(&get, "/audit", viewer, page::audit::list),
        route(&get, "/api", Public, page::docs::show),
        route(&get, "/assets/{name}", Public, assets::serve),
    ]
}

/// Pages of automations.
fn automation_pages() -> Vec<Route> {
    use Access::Needs;
    use page::automation::{self as one, backtest, definition, firings, history, tried};
    let (get, post) = (Method::GET, Method::POST);
    let (viewer, operator, admin) = (Needs(Role::Viewer), Needs(Role::Operator), Needs(Role::Admin));
    vec![
        route(&get, "/automations", viewer, page::automations::list),
        route(&post, "/automations", admin, definition::create),
        route(&get, "/automations/new", viewer, definition::new),
        route(&post, "/automations/check", viewer, definition::check),
        route(&post, "/automations/try", viewer, tried::of_text),
        route(&post, "/automations/backtest", viewer, backtest::of_text),
        route(&get, "/automations/{id}", viewer, definition::show),
        route(&post, "/automations/{id}", admin, definition::save),
        route(&post, "/automations/{id}/pause", operator, one::pause),
        route(&post, "/automations/{id}/resume", operator, one::resume),
        route(&post, "/automations/{id}/delete", admin, one::delete),
        route(&get, "/automations/{id}/try", viewer, tried::show),
        route(&get, "/automations/{id}/backtest", viewer, backtest::show),
        route(&get, "/automations/{id}/history", viewer, history::show),
        route(&get, "/automations/{id}/firings", viewer, firings::show),
    ]
}

/// Pages of people: who is on call, what is planned, how it went; and what is done about an incident.
fn people_pages() -> Vec<Route> {
    use Access::{Needs, Team};
    use page::incident::acts;
    use page::oncall::{self, forms};
    use page::silences::{self, maintenance};
    let (get, post) = (Method::GET, Method::POST);
    let (viewer, responder, operator) = (Needs(Role::Viewer), Team(Role::Responder), Team(Role::Operator));
    vec![
        route(&post, "/incidents/{id}/acknowledge", responder, acts::acknowledge),
        route(&post, "/incidents/{id}/unacknowledge", responder, acts::unacknowledge),
        route(&post, "/incidents/{id}/snooze", responder, acts::snooze),
        route(&post, "/incidents/{id}/escalate", responder, acts::escalate),
        route(&post, "/incidents/{id}/reassign", responder, acts::reassign),
        route(&post, "/incidents/{id}/merge", responder, acts::merge),
        route(&post, "/incidents/{id}/resolve", responder, acts::resolve),
        route(&post, "/incidents/{id}/note", responder, acts::note),
        route(&get, "/oncall", viewer, oncall::show),
        route(&post, "/oncall/overrides", responder, forms::create),
        route(&post, "/oncall/overrides/{id}/remove", responder, forms::remove),
        route(&post, "/oncall/swaps", responder, forms::exchange),
        route(&get, "/silences", viewer, silences::show),
        route(&post, "/silences", responder, silences::create),
        // Ending somebody else's needs more; the function of the API sees to it.
        route(&post, "/silences/{id}/expire", responder, silences::expire),
        route(&post, "/silences/maintenance", operator, maintenance::create),
        route(&post, "/silences/maintenance/{id}/end", operator, maintenance::end),
        route(&get, "/reports", viewer, page::reports::show),
        route(&get, "/people", viewer, page::people::show),
    ]
}

/// The whole server as an axum router.
pub fn router(state: AppState) -> Router {
    // What a cookie may authenticate is apart: its writes bring the token of their session.
    let (mut doors, mut rest, mut guarded) = (Router::new(), Router::new(), Router::new());
    for Route { method, path, access, handler } in table() {
        let guard = |needed, held, words| auth::Guard { state: state.clone(), needed, held, words };
        match access {
            Access::Door => doors = doors.route(path, handler),
            Access::Public | Access::Signed => rest = rest.route(path, handler),
            Access::Needs(needed) => {
                let guard = guard(needed, held(&method, needed), Problem::into_response);
                guarded = guarded.route(path, handler.layer(from_fn_with_state(guard, auth::require)));
            }
            Access::Team(needed) => {
                let guard = guard(needed, Held::Anywhere, Problem::into_response);
                guarded = guarded.route(path, handler.layer(from_fn_with_state(guard, auth::require)));
            }
            Access::Known => {
                guarded = guarded.route(path, handler.layer(from_fn_with_state(state.clone(), auth::require_known)));
            }
            Access::Feed(needed) => {
                let guard = guard(needed, Held::Anywhere, Problem::into_response);
                guarded = guarded.route(path, handler.layer(from_fn_with_state(guard, auth::require_or_address)));
            }
            Access::Scim(scope) => {
                let guard = (state.clone(), scope, crate::scim::refused as fn(Problem) -> Response);
                guarded = guarded.route(path, handler.layer(from_fn_with_state(guard, auth::require_scope)));
            }
            Access::Prefect(needed) => {
                let guard = guard(needed, held(&method, needed), api::prefect::refused);
                let handler = handler.layer(from_fn_with_state(guard, auth::require));
                guarded = guarded.route(path, handler.clone()).route(&other_form(path), handler);
            }
        }
    }
    let rest = rest.merge(guarded.layer(from_fn_with_state(state.clone(), crate::session::browser)));
    let rest = rest.fallback(unknown).layer(from_fn_with_state(state.clone(), surround)).layer(compression());
    contained(rest.merge(doors).method_not_allowed_fallback(wrong_method)).with_state(state)
}

/// Where a role must be held. Who only looks need not have it everywhere; what administrators look at is everybody's.
fn held(method: &Method, needed: Role) -> Held {
    let looks = method.is_safe() || needed == Role::Viewer;
    if looks && needed != Role::Admin { Held::Anywhere } else { Held::Everywhere }
}

/// The same path with, or without a slash at its end.
fn other_form(path: &str) -> String {
    path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned)
}
