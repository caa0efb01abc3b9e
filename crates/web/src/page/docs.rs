//! The API's documentation page, made from its OpenAPI description.
//!
//! Written by us, because a third-party viewer would need scripts that the content security policy refuses.

use crate::api::docs::OPENAPI;
use crate::page::layout::{Width, alone, card, head};
use crate::page::theme;
use crate::page::ui::{Tone, pill};
use crate::route::{RouteInfo, routes};
use http::HeaderMap;
use maud::{Markup, html};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::{Content, RefOr, Response};

/// `GET /api`
pub(crate) async fn show(headers: HeaderMap) -> Markup {
    let needs = routes();
    let above = html! { a href="/" { "Trackside" } " · " a href="/api/openapi.json" { "openapi.json" } };
    alone(
        "API",
        theme(&headers),
        Width::Wide,
        &html! {
            div.reference {
                (head("API", &above, &html! { span.small.soft { "version " (OPENAPI.info.version) } }))
                (introduction())
                @for tag in OPENAPI.tags.iter().flatten() {
                    @let about = tag.description.as_deref().unwrap_or_default();
                    (card(&tag.name, &html! { span.small.soft { (about) } }, &html! {
                        @for (path, method, operation) in operations(&tag.name) { (one(path, method, operation, &needs)) }
                    }))
                }
            }
        },
    )
}

fn introduction() -> Markup {
    html! {
        section.card {
            p { "Send a token with every request: " code { "Authorization: Bearer TOKEN" } ". Basic authentication with the token as password works as well." }
            br;
            p { "Errors are problem details (RFC 9457): " code { "{\"status\":404,\"title\":\"Not Found\",\"detail\":\"there is no incident `7`\"}" } ". Doors answer in the words of the system that they stand for." }
            br;
            p { "A 2xx from a door leaves after the events are on disk. On 503 send again after " code { "Retry-After" } " seconds; the same event is stored once." }
        }
    }
}

/// The operations of a tag, by path.
fn operations(tag: &str) -> Vec<(&'static str, &'static str, &'static Operation)> {
    let of = |(path, item): (&'static String, &'static PathItem)| {
        [("GET", &item.get), ("POST", &item.post), ("DELETE", &item.delete)]
            .into_iter()
            .filter_map(move |(method, operation)| Some((path.as_str(), method, operation.as_ref()?)))
    };
    let has = |operation: &Operation| operation.tags.iter().flatten().any(|name| name == tag);
    OPENAPI.paths.paths.iter().flat_map(of).filter(|(_, _, operation)| has(operation)).collect()
}

fn one(path: &str, method: &str, operation: &Operation, routes: &[RouteInfo]) -> Markup {
    let route = routes.iter().find(|route| route.path == path && route.method == method);
    html! {
        details {
            summary { b { code { (method) " " (path) } } " " (operation.summary.as_deref().unwrap_or_default()) " "
                @if let Some(route) = route { (pill(Tone::Idle, &route.needs)) }
            }
            @if let Some(more) = &operation.description { p { (more) } }
            @let parameters: Vec<&Parameter> = operation.parameters.iter().flatten().filter_map(inline).collect();
            @if !parameters.is_empty() {
                dl.facts.small {
                    @for parameter in parameters {
                        dt { code { (parameter.name) } " " span.soft { (place(&parameter.parameter_in)) } }
                        dd { (parameter.description.as_deref().unwrap_or_default()) }
                    }
                }
            }
            @if let Some(body) = operation.request_body.as_ref().and_then(inline) {
                p.small { "Body: " (content(body.content.values())) " " (body.description.as_deref().unwrap_or_default()) }
            }
            dl.facts.small {
                @for (status, response) in &operation.responses.responses { (answer(status, response)) }
            }
        }
    }
}

fn place(place: &ParameterIn) -> &'static str {
    match place {
        ParameterIn::Query | ParameterIn::QueryString => "query",
        ParameterIn::Path => "path",
        ParameterIn::Header => "header",
        ParameterIn::Cookie => "cookie",
    }
}

fn answer(status: &str, response: &RefOr<Response>) -> Markup {
    html! {
        @if let RefOr::T(response) = response {
            dt { (status) }
            dd { (response.description) " " (content(response.content.values())) }
        }
    }
}

/// Names of the types in a body.
fn content<'a>(contents: impl Iterator<Item = &'a RefOr<Content>>) -> Markup {
    let schemas = contents.filter_map(inline).filter_map(|content| content.schema.as_ref());
    let names: Vec<String> = schemas.map(name).collect();
    html! { code { (names.join(", ")) } }
}

fn name(schema: &RefOr<utoipa::openapi::Schema>) -> String {
    match schema {
        RefOr::Ref(reference) => reference.ref_location.rsplit('/').next().unwrap_or_default().to_owned(),
        RefOr::T(utoipa::openapi::Schema::Array(array)) => match &array.items {
            utoipa::openapi::schema::ArrayItems::RefOrSchema(items) => format!("[{}]", name(items)),
            utoipa::openapi::schema::ArrayItems::False => "[]".to_owned(),
        },
        RefOr::T(_) => "JSON or text".to_owned(),
    }
}

/// What stands in place; our description refers to schemas only.
fn inline<T>(part: &RefOr<T>) -> Option<&T> {
    match part {
        RefOr::T(part) => Some(part),
        RefOr::Ref(_) => None,
    }
}
