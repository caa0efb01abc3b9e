//! The OpenAPI description of the API and the doors.

use crate::api::approvals::{self, grants};
use crate::api::automations::{self, backtest, check, explain as why, findings, history, write};
use crate::api::incidents::{action, timeline};
use crate::api::jobs::{self, act as job_act, callback as job_callback, start as job_start, watch as job_watch};
use crate::api::{
    access, audit, calendar, config, connections, credentials, deliveries, drift, events, explain, health, incidents,
    maintenance, oncall, overrides, overview, people, reports, runs, secrets, sessions, silences, stream, tokens,
};
use crate::door::{alertmanager, native, openlineage, pagerduty, pagerduty_webhook, ping, prefect, slack, slack_press};
use axum::Json;
use std::sync::LazyLock;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};

/// The description as it is generated from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(title = "Trackside", description = "Run events in, one owner told, a record of why."),
    paths(
        native::events, native::cloudevents, openlineage::one, openlineage::batch, prefect::events,
        pagerduty::enqueue, pagerduty::change, slack::webhook, slack::post_message,
        pagerduty_webhook::take, slack_press::take,
        alertmanager::alerts, alertmanager::webhook, ping::plain, ping::signal,
        overview::overview, events::list, events::get, explain::explain,
        runs::pipelines, runs::list, runs::get,
        incidents::list, incidents::get, timeline::timeline, action::acknowledge, action::unacknowledge,
        action::snooze, action::escalate, action::reassign, action::merge, action::note, action::resolve,
        oncall::now, oncall::schedules, oncall::shifts, calendar::of_schedule, calendar::of_person,
        overrides::create, overrides::delete, overrides::swap,
        silences::list, silences::create, silences::preview, silences::expire,
        maintenance::list, maintenance::create, maintenance::delete,
        people::people, people::teams, drift::drift, reports::report,
        deliveries::list, deliveries::get, deliveries::retry,
        connections::list, connections::test, secrets::list, credentials::refresh, credentials::check,
        credentials::keys, credentials::discovery, audit::list, audit::export::export, access::explain,
        automations::list, automations::get, write::create, write::replace, write::delete, write::pause, write::resume,
        history::history, history::firings, findings::list, findings::get, check::check, why::explain, backtest::backtest,
        tokens::list, tokens::create, tokens::rotate, tokens::revoke, tokens::sign_in_link,
        config::plan, config::apply,
        jobs::list, jobs::get, jobs::runs, job_start::start, job_watch::get, job_watch::events, job_act::cancel,
        job_act::settle, job_callback::take,
        approvals::list, approvals::get, approvals::create, approvals::approve, approvals::deny, approvals::withdraw,
        grants::list, grants::revoke,
        sessions::ways, sessions::whoami, sessions::list, sessions::end, sessions::end_all,
        stream::stream, health::alive, health::ready, health::version, health::metrics,
    ),
    tags(
        (name = "doors", description = "Where events come in. Needs a token with the role `ingest`."),
        (name = "far ends", description = "What people answered to a message, told back. Needs the far end's signature."),
        (name = "overview", description = "How things stand."),
        (name = "events", description = "What came in, and why it led to what it led to."),
        (name = "runs", description = "Runs, their attempts, and pipelines."),
        (name = "incidents", description = "What people acknowledge."),
        (name = "on-call", description = "Who is on call, overrides, swaps, calendar feeds."),
        (name = "silences", description = "What holds messages back: silences and maintenance windows."),
        (name = "people", description = "People, teams, and reports about their work."),
        (name = "deliveries", description = "Messages to the outside, and their attempts."),
        (name = "connections", description = "Outside systems."),
        (name = "automations", description = "Rules that people write about events: what they are, did, and would do."),
        (name = "jobs", description = "Calls that are checked, queued, made once, and remembered with their result."),
        (name = "approvals", description = "What waits for somebody's agreement, and the access that was agreed to."),
        (name = "access", description = "Who may do what, who one is, how to sign in, browser sessions."),
        (name = "audit", description = "Who did what and why."),
        (name = "tokens", description = "API tokens and sign-in links. Needs the role `admin`."),
        (name = "server", description = "The server itself."),
    ),
)]
struct Description;

/// The description, built once.
pub(crate) static OPENAPI: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| {
    let mut description = Description::openapi();
    description.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let bearer = SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API token. Basic authentication with the token as password works as well."))
            .build(),
    );
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", bearer);
    description.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    description
});

/// `GET /api/openapi.json`
pub(crate) async fn openapi() -> Json<&'static utoipa::openapi::OpenApi> {
    Json(&OPENAPI)
}
