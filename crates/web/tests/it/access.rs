//! Who may do what: the table of routes as a golden file, and every route tried with every role.

use crate::world::{World, bearer, secret};
use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::json;
use trackside_identity::role::Role;
use trackside_web::routes;

/// Route by route: who may use it. A change here is a change of who may do what.
#[test]
fn the_table_of_routes_and_roles() {
    let table: Vec<String> = routes()
        .into_iter()
        .map(|route| format!("{:<16} {:<6} {}", route.needs, route.method.as_str(), route.path))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}

/// A caller for each role, and one without a token.
fn callers() -> impl Iterator<Item = Option<Role>> {
    std::iter::once(None).chain(Role::ALL.into_iter().map(Some))
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else() {
    let world = World::new().await;
    for route in routes() {
        if route.path == "/sign-in/back-channel-logout" {
            // OpenID Connect has it answer 400 to a token that does not count.
            continue;
        }
        if route.path == "/sign-in" {
            // Its 401 is about the token in the form, not about the caller; see `people`.
            continue;
        }
        for caller in callers() {
            let what = format!("{} {} as {caller:?}", route.method, route.path);
            let allowed = match route.needs.as_str() {
                "anybody" => true,
                // No token opens it, an administrator's neither: what counts is the signature, which is missing here.
                "a signature" => false,
                // The scope counts, not the role; none of these tokens has it. Who has it gets in: see `scim`.
                "scope scim" => false,
                "a caller" => caller.is_some(),
                role => {
                    let role = role.trim_end_matches(" (team)").parse().expect("a role");
                    caller.is_some_and(|held| held.allows(role))
                }
            };
            let answer = ask(&world, &route.method, route.path, caller).await;
            let refused = matches!(answer, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            assert_eq!(refused, !allowed, "{what}: {answer}");
        }
    }
}

/// Asks with a caller's credential where this route takes it. PagerDuty's door refuses with 400, in PagerDuty's words.
async fn ask(world: &World, method: &Method, path: &str, caller: Option<Role>) -> StatusCode {
    let token = caller.map_or("nobody".to_owned(), secret);
    let path = path
        .replace("{token}", &token)
        .replace("{id}", "00000000-0000-0000-0000-000000000000")
        .replace("{name}", "x")
        .replace("/webhooks/{connection}", "/webhooks/pd-payments")
        .replace("/interactivity/{connection}", "/interactivity/slack-data")
        .replace(['{', '}'], "");
    let mut headers =
        vec![("content-type", "application/json".to_owned()), ("sec-fetch-site", "same-origin".to_owned())];
    headers.extend(caller.map(bearer));
    let body = match path.as_str() {
        "/v2/enqueue" | "/v2/change/enqueue" => json!({
            "routing_key": token, "event_action": "trigger",
            "payload": {"summary": "s", "source": "s", "severity": "error"},
        })
        .to_string(),
        _ => "{}".to_owned(),
    };
    if path == "/api/events/in" {
        // The socket's credential comes in a frame; its own test holds that it is asked for.
        return if caller.is_some_and(|role| role.allows(Role::Ingest)) {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
    }
    let answer = world.send(method.clone(), &path, &headers, Body::from(body)).await;
    if answer.text().contains("Invalid routing key") { StatusCode::UNAUTHORIZED } else { answer.status }
}

#[tokio::test]
async fn browsers_are_led_to_the_sign_in_page_and_programs_are_told() {
    let world = World::new().await;
    let accept = |what: &str| [("accept", what.to_owned())];
    let page = world.send(Method::GET, "/runs?state=failed", &accept("text/html,*/*"), Body::empty()).await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, "/sign-in?next=%2Fruns%3Fstate%3Dfailed")
    );
    let program = world.send(Method::GET, "/runs", &accept("application/json"), Body::empty()).await;
    assert_eq!(program.status, StatusCode::UNAUTHORIZED);
    assert_eq!(program.header("www-authenticate"), "Bearer realm=\"trackside\"");
    assert_eq!(program.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn prefect_basic_and_api_key_headers_are_credentials() {
    let world = World::new().await;
    // base64("user:viewer" and zeros to 32 characters)
    let basic =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("anybody:{}", secret(Role::Viewer)));
    for (headers, status) in [
        (vec![("authorization", format!("Basic {basic}"))], 200),
        (vec![("x-api-key", secret(Role::Viewer))], 200),
        (vec![("authorization", "Bearer wrong".to_owned())], 401),
        (vec![("authorization", "Nonsense".to_owned())], 401),
        (vec![bearer(Role::Viewer), ("x-api-key", secret(Role::Viewer))], 401),
    ] {
        let answer = world.send(Method::GET, "/api/v1/runs", &headers, Body::empty()).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
    }
}
