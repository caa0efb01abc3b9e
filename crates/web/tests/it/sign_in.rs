//! Signing in by a provider, as far as it goes without its signature: the way there, answers that do not count, sessions,
//! forms, and a server that asks nobody to sign in. What a real provider signs is in `suites/identity`.

use crate::world::{Answer, World, bearer, configured, ruleset, secret};
use axum::body::Body;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use trackside_identity::callers::Callers;
use trackside_identity::certificate::Certificates;
use trackside_identity::exchange::{Ask, Exchange, Reply};
use trackside_identity::issuer::{IssuerConfig, Issuers};
use trackside_identity::local::LocalAccess;
use trackside_identity::role::Role;
use trackside_identity::secret::Secrets;
use trackside_identity::sign_in::{SignIn, SignInConfig};

const ISSUER: &str = "https://idp.test";

/// A provider that describes itself and refuses every code.
fn provider() -> Exchange {
    Arc::new(|ask: Ask| {
        let (status, body) = match ask.url.path() {
            "/.well-known/openid-configuration" => (
                StatusCode::OK,
                json!({
                    "issuer": ISSUER, "jwks_uri": "https://idp.test/jwks", "authorization_endpoint": "https://idp.test/auth",
                    "token_endpoint": "https://idp.test/token", "end_session_endpoint": "https://idp.test/end",
                    "authorization_response_iss_parameter_supported": true,
                }),
            ),
            _ => (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant", "error_description": "no such code"})),
        };
        let reply = Reply { status, headers: HeaderMap::new(), body: body.to_string().into() };
        Box::pin(std::future::ready(Ok(reply)))
    })
}

async fn with_provider() -> World {
    let world = World::new().await;
    let issuer: IssuerConfig =
        serde_json::from_value(json!({"issuer": ISSUER, "audience": ["trackside"]})).expect("one");
    let configs = BTreeMap::from([("corporate".to_owned(), issuer)]);
    let issuers = Issuers::open(&configs, &provider(), &Secrets::default(), &Issuers::default()).expect("valid");
    let config: SignInConfig =
        serde_json::from_value(json!({"issuer": "corporate", "title": "Example", "client_id": "ts"})).expect("one");
    let sign_in = SignIn::open(config, &issuers, provider(), Secrets::default()).expect("there is such an issuer");
    let mut configured = configured(&ruleset(), Vec::new());
    configured.sign_in = Some(Arc::new(sign_in));
    configured.callers = Arc::new(Callers::new(Arc::new(issuers), Certificates::default()));
    world.state.reconfigure(configured).await.expect("in force");
    world
}

fn browser(cookie: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("accept", "text/html".to_owned()), ("sec-fetch-site", "same-origin".to_owned())];
    headers.extend((!cookie.is_empty()).then(|| ("cookie", cookie.to_owned())));
    headers
}

async fn get(world: &World, path: &str, cookie: &str) -> Answer {
    world.send(Method::GET, path, &browser(cookie), Body::empty()).await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_does_not_sign_in() {
    let world = with_provider().await;
    let page = get(&world, "/sign-in?next=%2Fruns", "").await.text();
    assert!(page.contains("Sign in with Example") && page.contains("/sign-in/provider?next=%2Fruns"), "{page}");
    let away = get(&world, "/sign-in/provider?next=%2Fruns", "").await;
    assert_eq!(away.status, StatusCode::SEE_OTHER);
    let there: url::Url = away.header("location").parse().expect("an address");
    let query: BTreeMap<String, String> = there.query_pairs().into_owned().collect();
    assert_eq!(
        (there.host_str(), query["redirect_uri"].as_str()),
        (Some("idp.test"), "http://127.0.0.1:4180/sign-in/callback")
    );
    let (state, taken) = (query["state"].clone(), cookie(&away));
    let back = |query: String| format!("/sign-in/callback?{query}");
    let iss = "https%3A%2F%2Fidp.test";
    for (path, cookie, status) in [
        (back(format!("code=c&state={state}&iss={iss}")), "", 400),
        (back(format!("code=c&state=other&iss={iss}")), taken.as_str(), 400),
        (back(format!("code=c&state={state}&iss=https%3A%2F%2Fevil.test")), &taken, 400),
        (back(format!("code=c&state={state}")), &taken, 400),
        (back(format!("error=access_denied&state={state}&iss={iss}")), &taken, 403),
        (back(format!("error=server_error&state={state}&iss={iss}")), &taken, 400),
        (back(format!("code=c&state={state}&iss={iss}")), &taken, 502),
        (back(format!("code=c&state={state}&iss={iss}")), &taken, 400),
    ] {
        let answer = get(&world, &path, cookie).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {}", answer.text());
        assert!(answer.text().contains("role=\"alert\""), "the page says why");
        assert_eq!(self::cookie(&answer), "trackside-sign-in=", "what was taken along is taken back");
    }
    let forged = world
        .send(
            Method::POST,
            "/sign-in/back-channel-logout",
            &[("content-type", "application/x-www-form-urlencoded".to_owned())],
            "logout_token=a.b.c",
        )
        .await;
    assert_eq!((forged.status, &forged.json()["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
    let ways = world.send(Method::GET, "/api/v1/sign-in", &[], Body::empty()).await.json();
    assert_eq!((&ways["issuer"], &ways["title"]), (&json!(ISSUER), &json!("Example")));
}

async fn by_token(world: &World, role: Role) -> String {
    let mut headers = browser("");
    headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    cookie(&world.send(Method::POST, "/sign-in", &headers, format!("token={}", secret(role))).await)
}

#[tokio::test]
async fn sessions_are_seen_and_ended() {
    let world = with_provider().await;
    let (viewer, admin) = (by_token(&world, Role::Viewer).await, by_token(&world, Role::Admin).await);
    let own = world.send(Method::GET, "/api/v1/sessions", &browser(&viewer), Body::empty()).await.json();
    assert_eq!((own.as_array().map(Vec::len), &own[0]["current"]), (Some(1), &json!(true)));
    let all = world.get("/api/v1/sessions", Role::Admin).await.json();
    let of = |subject: &str| {
        all.as_array().expect("a list").iter().find(|one| one["subject"] == subject).expect("one")["id"].clone()
    };
    let path = |id: serde_json::Value| format!("/api/v1/sessions/{}", id.as_str().expect("a text"));
    let other = world.send(Method::DELETE, &path(of("admin")), &[bearer(Role::Viewer)], Body::empty()).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND, "who may not see it does not learn that it is there");
    let ended = world.send(Method::DELETE, &path(of("viewer")), &[bearer(Role::Admin)], Body::empty()).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(get(&world, "/runs", &viewer).await.status, StatusCode::SEE_OTHER, "its cookie is worth nothing");
    let page = get(&world, "/sessions", &admin).await.text();
    assert!(page.contains("this browser") && page.contains("name=\"csrf\""), "{page}");
    let mut headers = browser(&admin);
    headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    headers.push(("x-csrf-token", "AAAA".to_owned()));
    let foreign = world.send(Method::POST, "/sessions/end", &headers, "subject=admin").await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    headers.pop();
    let out = world.send(Method::POST, "/sign-out", &headers, Body::empty()).await;
    assert_eq!(out.header("location"), "/signed-out");
    assert!(get(&world, "/signed-out", "").await.text().contains("https://idp.test/end"));
    assert_eq!(get(&world, "/runs", &admin).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_open_server_asks_nobody_on_its_machine() {
    let world = World::new().await;
    let mut open = configured(&ruleset(), Vec::new());
    open.local_access = LocalAccess::Open;
    world.state.reconfigure(open).await.expect("in force");
    let ask = async |host: &str, more: Option<(&'static str, &str)>| {
        let mut headers = browser("");
        headers.push(("host", host.to_owned()));
        headers.extend(more.map(|(name, value)| (name, value.to_owned())));
        world.send(Method::GET, "/runs", &headers, Body::empty()).await
    };
    let page = ask("127.0.0.1:4180", None).await;
    assert!(page.status == StatusCode::OK && page.text().contains("Nobody has to sign in here"));
    assert_eq!(ask("evil.example:4180", None).await.status, StatusCode::SEE_OTHER, "a name that was made to lead here");
    assert_eq!(ask("127.0.0.1:4180", Some(("x-forwarded-for", "1.2.3.4"))).await.status, StatusCode::SEE_OTHER);
    let ready = world.send(Method::GET, "/readyz", &[], Body::empty()).await.text();
    assert!(ready.contains("local_access: open"), "{ready}");
}
