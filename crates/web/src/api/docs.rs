//! The OpenAPI description of the API and the doors.

use crate::api::automations::{self, backtest, check, explain as why, findings, history, write};
use crate::api::{
    audit, config, connections, deliveries, events, explain, health, incidents, overview, runs, stream, tokens,
};
use crate::door::{alertmanager, native, openlineage, pagerduty, ping, prefect, slack};
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
        alertmanager::alerts, alertmanager::webhook, ping::plain, ping::signal,
        overview::overview, events::list, events::get, explain::explain,
        runs::pipelines, runs::list, runs::get,
        incidents::list, incidents::get, incidents::acknowledge, incidents::resolve, incidents::note,
        deliveries::list, deliveries::get, deliveries::retry,
        connections::list, connections::test, audit::list,
        automations::list, automations::get, write::create, write::replace, write::delete, write::pause, write::resume,
        history::history, history::firings, findings::list, findings::get, check::check, why::explain, backtest::backtest,
        tokens::list, tokens::create, tokens::revoke, tokens::sign_in_link,
        config::plan, config::apply,
        stream::stream, health::alive, health::ready, health::version, health::metrics,
    ),
    tags(
        (name = "doors", description = "Where events come in. Needs a token with the role `ingest`."),
        (name = "overview", description = "How things stand."),
        (name = "events", description = "What came in, and why it led to what it led to."),
        (name = "runs", description = "Runs, their attempts, and pipelines."),
        (name = "incidents", description = "What people acknowledge."),
        (name = "deliveries", description = "Messages to the outside, and their attempts."),
        (name = "connections", description = "Outside systems."),
        (name = "automations", description = "Rules that people write about events: what they are, did, and would do."),
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
