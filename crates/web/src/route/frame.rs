//! What every answer gets, whatever its route: an id, careful headers, compression, containment of panics.
//!
//! Invariant: a path goes into the log without a token that stands in it.

use crate::problem::Problem;
use crate::state::AppState;
use crate::{api, auth, page};
use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use std::any::Any;
use std::time::Instant;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

/// Everything is compressed but streams whose parts must leave at once.
pub(super) fn compression() -> CompressionLayer<impl Predicate> {
    let lines = NotForContentType::const_new(api::automations::backtest::NDJSON);
    let parts = |_: StatusCode, _: Version, _: &HeaderMap, answer: &Extensions| {
        answer.get::<page::automation::backtest::InParts>().is_none()
    };
    CompressionLayer::new().compress_when(DefaultPredicate::new().and(lines).and(parts))
}

/// The outermost layer: a panic in a handler ends its request, not the server.
pub(super) fn contained<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(CatchPanicLayer::custom(panicked))
}

/// What every page and API answer gets: an id that the log repeats, and the headers that tell browsers to be careful.
pub(super) async fn surround(
    axum::extract::State(state): axum::extract::State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let id = state.new_id().simple().to_string();
    let (method, path) = (request.method().clone(), shown(request.uri().path()).to_owned());
    let began = Instant::now();
    let mut response = next.run(request).await;
    let (status, took_ms) = (response.status(), began.elapsed().as_millis());
    if status.is_server_error() {
        tracing::warn!(request = id, %method, path, status = status.as_u16(), took_ms, "failed");
    } else if method == Method::GET {
        tracing::debug!(request = id, %method, path, status = status.as_u16(), took_ms, "answered");
    } else {
        tracing::info!(request = id, %method, path, status = status.as_u16(), took_ms, "answered");
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    secure(headers, state.configured().public_url.scheme());
    response
}

/// A path as the log may show it: without the token of a link in a mail or of a callback.
fn shown(path: &str) -> &str {
    match path {
        _ if path.starts_with("/act/") => "/act/{token}",
        _ if path.starts_with("/jobs/callback/") => "/jobs/callback/{token}",
        _ => path,
    }
}

fn secure(headers: &mut HeaderMap, scheme: &str) {
    const POLICY: &str =
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if scheme == "https" {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// What is answered where there is nothing.
pub(super) async fn unknown(request: Request) -> Response {
    let path = request.uri().path();
    let problem = Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}"));
    match path.starts_with(crate::scim::BASE) {
        true => crate::scim::nothing_there(problem, path),
        false if auth::is_browser(request.headers()) => page::error(&problem),
        false => problem.into_response(),
    }
}

/// What is answered where there is something, but not for this method.
pub(super) async fn wrong_method(request: Request) -> Response {
    let path = request.uri().path();
    let problem =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not possible at {path}", request.method()));
    if path.starts_with(crate::scim::BASE) {
        return crate::scim::nothing_there(problem, path);
    }
    problem.into_response()
}

/// What a request whose handler panicked is answered.
#[allow(clippy::needless_pass_by_value, reason = "the layer hands over the box")]
fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let cause = cause
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(cause, "a handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this should not have happened; the log of the server says more")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_panic_ends_its_request_and_not_the_server() {
        let broken = async || -> &'static str { panic!("a mistake of ours") };
        let routes = contained(Router::new().route("/broken", get(broken)).route("/well", get(async || "well")));
        for (path, status) in [("/broken", StatusCode::INTERNAL_SERVER_ERROR), ("/well", StatusCode::OK)] {
            let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
            let answer = routes.clone().oneshot(request).await.expect("infallible");
            assert_eq!(answer.status(), status, "{path}");
        }
    }
}
