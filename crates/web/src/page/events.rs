//! The events page: what came in, newest first.

use crate::api::{Params, filled};
use crate::page::audit::given;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{column, empty, older, table, wide};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::event::{RESOURCE_ID, RESOURCE_NAME};
use trackside_store::Page;
use trackside_store::log::{EventFilter, LoggedEvent};

/// Items on a page.
const PAGE: usize = 50;

/// Filters in the address.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct EventsQuery {
    name: Option<String>,
    source: Option<String>,
    before: Option<u64>,
}

/// `GET /events`
pub(crate) async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<EventsQuery>,
) -> Result<Markup, Failed> {
    let filter = EventFilter {
        name_prefix: filled(query.name.clone()),
        source: filled(query.source.clone()),
        before: query.before,
        limit: PAGE,
    };
    let page = state.store.events(&filter).await?;
    let content = render(&query, &page, state.configured().public_url.as_str());
    visitor.page(&state, "Events", Some(Section::Events), &content).await
}

fn render(query: &EventsQuery, page: &Page<LoggedEvent>, public_url: &str) -> Markup {
    let (name, source) = (given(&query.name), given(&query.source));
    let before = if query.before.is_some() { "1" } else { "" };
    html! {
        (head("Events", &nothing(), &lamp()))
        form.filters method="get" role="search" {
            label { "Name begins with" input name="name" value=(name) placeholder="airflow.task."; }
            label { "Source" input name="source" value=(source) placeholder="airflow-prod"; }
            button type="submit" { "Filter" }
        }
        div id="events" data-live {
            (card("What came in", &nothing(), &html! {
                @if page.items.is_empty() && name.is_empty() && source.is_empty() { (first(public_url)) }
                @else if page.items.is_empty() { (empty("No event matches.", &html! { "Older events may: go on below, or loosen the filter." })) }
                @else { (rows(page)) }
                (older("/events", &[("name", name), ("source", source), ("before", before)], page.next))
            }))
        }
    }
}

/// How to send the first event.
pub(crate) fn first(public_url: &str) -> Markup {
    let base = public_url.trim_end_matches('/');
    empty(
        "Nothing has come in yet.",
        &html! {
            "Point Airflow here with two environment variables; the token needs the role " code { "ingest" } "."
            pre {
                "AIRFLOW__OPENLINEAGE__TRANSPORT='{\"type\":\"http\",\"url\":\"" (base) "\",\n  \"endpoint\":\"api/v1/lineage\",\"auth\":{\"type\":\"api_key\",\"apiKey\":\"TOKEN\"}}'\n"
                "AIRFLOW__OPENLINEAGE__NAMESPACE=airflow-prod"
            }
            "Or try a heartbeat:"
            pre { "curl -H 'Authorization: Bearer TOKEN' " (base) "/ping/hello" }
        },
    )
}

fn rows(page: &Page<LoggedEvent>) -> Markup {
    table(
        &[column("Event"), column("About"), wide("Source"), wide("Occurred"), wide("Position")],
        &html! {
            @for logged in &page.items {
                @let event = &logged.event;
                tr data-key=(logged.seq) {
                    td.title { a href={ "/events/" (event.id) } { (event.event) } }
                    td.title { (event.resource.get(RESOURCE_NAME).or_else(|| event.resource.get(RESOURCE_ID)).map_or("", String::as_str)) }
                    td.wide { (event.source) }
                    td.wide.nowrap { (time(event.occurred, As::Time)) }
                    td.wide.soft { (logged.seq) }
                }
            }
        },
    )
}
