//! What people do: sign in and out, acknowledge, resolve, comment, retry, test, make and revoke tokens.

use crate::world::{Answer, World, bearer, secret};
use axum::body::Body;
use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use trackside_core::input::DeliveryResult;
use trackside_identity::role::Role;
use trackside_store::outbox::{AttemptRecord, AttemptVerdict, Next};

type Headers = Vec<(&'static str, String)>;

/// What a browser sends with a form of our own page.
fn form(cookie: Option<&str>) -> Headers {
    let mut headers = vec![
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ("accept", "text/html".to_owned()),
        ("sec-fetch-site", "same-origin".to_owned()),
    ];
    headers.extend(cookie.map(|cookie| ("cookie", cookie.to_owned())));
    headers
}

/// The cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

async fn sign_in(world: &World, role: Role) -> String {
    let body = format!("token={}&next=%2Fruns", secret(role));
    let answer = world.send(Method::POST, "/sign-in", &form(None), body).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/runs"));
    cookie(&answer)
}

/// A failed run: one incident, two messages.
async fn failure(world: &World) {
    let run = |state: &str| json!({"event": "run", "source": "airflow-prod", "run": {"pipeline": "orders_daily", "run_id": "r1", "state": state, "error": "disk full"}});
    world.event(&run("running")).await;
    world.pass(SignedDuration::from_mins(3)).await;
    world.event(&run("failed")).await;
    world.decide().await;
}

async fn incident(world: &World) -> Value {
    world.get("/api/v1/incidents/1", Role::Viewer).await.json()
}

#[tokio::test]
async fn a_token_signs_in_and_out() {
    let world = World::new().await;
    let session = sign_in(&world, Role::Viewer).await;
    let page = |cookie: String| vec![("accept", "text/html".to_owned()), ("cookie", cookie)];
    let runs = world.send(Method::GET, "/runs", &page(session.clone()), Body::empty()).await;
    assert_eq!(runs.status, StatusCode::OK);
    let out = world.send(Method::POST, "/sign-out", &form(Some(&session)), Body::empty()).await;
    assert_eq!((out.header("location"), cookie(&out).as_str()), ("/sign-in", "trackside="));
    let forged = world.send(Method::GET, "/runs", &page(format!("{session}x")), Body::empty()).await;
    assert_eq!(forged.status, StatusCode::SEE_OTHER, "led to the sign-in page");
    world.pass(SignedDuration::from_hours(24 * 7)).await;
    let old = world.send(Method::GET, "/runs", &page(session), Body::empty()).await;
    assert_eq!(old.status, StatusCode::SEE_OTHER, "a week is over");
}

#[tokio::test]
async fn what_does_not_sign_in() {
    let world = World::new().await;
    for (body, status) in [
        ("token=nonsense".to_owned(), 401),
        ("token=".to_owned(), 401),
        ("link=ts_nonsense".to_owned(), 401),
        (format!("token={}", secret(Role::Ingest)), 403),
    ] {
        let answer = world.send(Method::POST, "/sign-in", &form(None), body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
        assert!(answer.text().contains("role=\"alert\""), "the page says why");
        assert_eq!(cookie(&answer), "");
    }
}

#[tokio::test]
async fn a_link_signs_in_once_and_only_by_a_post() {
    let world = World::new().await;
    let link = world.state.sign_in_link("console", Role::Operator);
    let query = link.query().expect("a query").to_owned();
    for _ in 0..2 {
        let page = world.send(Method::GET, &format!("/sign-in?{query}"), &[], Body::empty()).await.text();
        assert!(page.contains("data-submit"), "opening it does not use it up");
    }
    let first = world.send(Method::POST, "/sign-in", &form(None), query.clone()).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    let overview = world.send(Method::GET, "/", &form(Some(&cookie(&first))), Body::empty()).await;
    assert!(overview.text().contains("console · operator"));
    let second = world.send(Method::POST, "/sign-in", &form(None), query).await;
    assert_eq!(second.status, StatusCode::UNAUTHORIZED);
    let audit = world.get("/api/v1/audit?action=session.", Role::Viewer).await.json();
    assert_eq!(audit["items"][0]["summary"], "console signed in with role operator");
}

#[tokio::test]
async fn a_cookie_writes_only_from_our_own_page() {
    let world = World::new().await;
    failure(&world).await;
    let session = sign_in(&world, Role::Responder).await;
    let at = "/incidents/1/acknowledge";
    let with = |name: &'static str, value: &str| vec![("cookie", session.clone()), (name, value.to_owned())];
    for foreign in [
        with("sec-fetch-site", "cross-site"),
        with("sec-fetch-site", "same-site"),
        with("origin", "https://evil.example"),
        vec![("cookie", session.clone())],
    ] {
        let answer = world.send(Method::POST, at, &foreign, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{foreign:?}");
        assert_eq!(incident(&world).await["state"], "triggered");
    }
    let own = world.send(Method::POST, at, &form(Some(&session)), Body::empty()).await;
    assert_eq!((own.status, own.header("location")), (StatusCode::SEE_OTHER, "/incidents/1"));
    assert_eq!(incident(&world).await["acknowledged_by"], "responder");
}

#[tokio::test]
async fn commands_answer_when_they_are_in_effect() {
    let world = World::new().await;
    failure(&world).await;
    let by = [bearer(Role::Responder)];
    let acknowledged = world.send(Method::POST, "/api/v1/incidents/1/acknowledge", &by, "").await;
    assert_eq!((acknowledged.status, &acknowledged.json()["state"]), (StatusCode::OK, &json!("acknowledged")));
    let noted = world.send(Method::POST, "/api/v1/incidents/1/note", &by, r#"{"text": " on it "}"#).await;
    assert_eq!(noted.status, StatusCode::OK);
    let resolved = world.send(Method::POST, "/api/v1/incidents/1/resolve", &by, "").await;
    assert_eq!(resolved.json()["state"], "resolved");
    let actions: Vec<String> = resolved.json()["audit"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| format!("{} {}", row["subject"].as_str().unwrap_or(""), row["action"].as_str().unwrap_or("")))
        .filter(|row| row.starts_with("responder incident."))
        .collect();
    assert_eq!(actions, ["responder incident.acknowledged", "responder incident.noted", "responder incident.resolved"]);
    let again = world.send(Method::POST, "/api/v1/incidents/1/resolve", &by, "").await;
    assert_eq!(
        (again.status, &again.json()["detail"]),
        (StatusCode::CONFLICT, &json!("incident #1 is resolved already"))
    );
    for (path, body, status) in [
        ("/api/v1/incidents/7/resolve", "", 404),
        ("/api/v1/incidents/x/resolve", "", 400),
        ("/api/v1/incidents/1/note", r#"{"text": "  "}"#, 400),
        ("/api/v1/incidents/1/note", "{", 400),
    ] {
        let answer = world.send(Method::POST, path, &by, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}");
    }
}

/// Makes the first delivery through a connection dead, as a far end that refuses it would.
async fn kill(world: &World, connection: &str) -> String {
    let now = world.now();
    let due = world.store.due(now, &[], 10).await.expect("readable");
    let row = due.into_iter().find(|row| row.effect.connection == connection).expect("a delivery");
    world.store.claim(&[row.effect.id], now + SignedDuration::from_secs(30)).await.expect("claimed");
    let row = world.store.delivery(row.effect.id).await.expect("readable").expect("there").delivery;
    let attempt = AttemptRecord {
        call: None,
        at: now,
        took_ms: 12,
        verdict: AttemptVerdict::Refused,
        in_doubt: false,
        status: Some(404),
        request: Some("POST https://hooks.example.net".to_owned()),
        answer: Some("no_service".to_owned()),
        error: Some("answered 404".to_owned()),
        far_ref: None,
    };
    let end = Next::End(DeliveryResult::Dead { error: "answered 404".to_owned() });
    world.store.record_attempt(&row, &attempt, &end, now).await.expect("recorded");
    world.decide().await;
    row.effect.id.to_string()
}

#[tokio::test]
async fn a_dead_delivery_is_put_back_by_hand() {
    let world = World::new().await;
    failure(&world).await;
    let id = kill(&world, "slack-data").await;
    let dead = world.get("/api/v1/deliveries?state=dead", Role::Viewer).await.json();
    assert_eq!(dead["items"][0]["id"], id);
    let page = world.page(&format!("/deliveries/{id}"), Role::Operator).await;
    assert!(page.contains("Send again") && page.contains("no_service") && page.contains("hooks.example.net"));
    assert!(!world.page(&format!("/deliveries/{id}"), Role::Viewer).await.contains("Send again"));
    let path = format!("/api/v1/deliveries/{id}/retry");
    let retried = world.send(Method::POST, &path, &[bearer(Role::Operator)], "").await;
    assert_eq!((retried.status, &retried.json()["state"]), (StatusCode::OK, &json!("pending")));
    let again = world.send(Method::POST, &path, &[bearer(Role::Operator)], "").await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text());
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_revoked() {
    let world = World::new().await;
    let admin = [bearer(Role::Admin)];
    let make = |body: Value| world.send(Method::POST, "/api/v1/tokens", &admin, body.to_string());
    let made = make(json!({"name": "ci", "role": "viewer", "team": "payments"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("ts_") && token.len() == 46);
    let key = make(json!({"name": "pd", "role": "ingest", "form": "routing-key"})).await.json();
    assert_eq!(key["token"].as_str().map(str::len), Some(32));
    for (body, status) in [
        (json!({"name": "ci", "role": "viewer"}), 409),
        (json!({"name": "admin", "role": "viewer"}), 409),
        (json!({"name": "a b", "role": "viewer"}), 400),
        (json!({"name": "x", "role": "king"}), 400),
        (json!({"name": "x", "role": "viewer", "roll": 1}), 400),
    ] {
        assert_eq!(make(body.clone()).await.status.as_u16(), status, "{body}");
    }
    let by = [("authorization", format!("Bearer {token}"))];
    assert_eq!(world.send(Method::GET, "/api/v1/runs", &by, "").await.status, StatusCode::OK);
    world.pass(SignedDuration::from_mins(2)).await;
    world.get("/api/v1/runs", Role::Viewer).await;
    let kept = world.store.tokens().await.expect("readable");
    let last_used = kept.iter().find(|kept| kept.name == "ci").and_then(|kept| kept.last_used);
    assert_eq!(last_used, Some(world.now() - SignedDuration::from_mins(2)), "noted when somebody looks");
    let list = world.get("/api/v1/tokens", Role::Admin).await;
    assert!(!list.text().contains(&token), "the secret is not shown again");
    assert!(
        list.json()
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "ci" && one["created_by"] == "admin"))
    );

    let session = world.send(Method::POST, "/sign-in", &form(None), format!("token={token}")).await;
    let session = cookie(&session);
    let gone = world.send(Method::DELETE, "/api/v1/tokens/ci", &admin, "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(world.send(Method::GET, "/api/v1/runs", &by, "").await.status, StatusCode::UNAUTHORIZED);
    let by_session = [("cookie", session)];
    assert_eq!(world.send(Method::GET, "/api/v1/runs", &by_session, "").await.status, StatusCode::UNAUTHORIZED);
    for (name, status) in [("ci", 404), ("viewer", 409)] {
        let answer = world.send(Method::DELETE, &format!("/api/v1/tokens/{name}"), &admin, "").await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_cannot_be_tested() {
    let world = World::new().await;
    for (name, status) in [("nonsense", 404), ("prefect", 409)] {
        let path = format!("/api/v1/connections/{name}/test");
        let answer = world.send(Method::POST, &path, &[bearer(Role::Operator)], "").await;
        assert_eq!(answer.status.as_u16(), status, "{name}");
    }
}

#[tokio::test]
async fn a_test_answers_with_request_and_answer() {
    let world = World::new().await;
    let by = [bearer(Role::Operator)];
    let asked = world.send(Method::POST, "/api/v1/connections/slack-data/test", &by, "");
    let far_end = async {
        let mut head = world.store.head();
        while world.store.due(world.now(), &[], 1).await.expect("readable").is_empty() {
            head.changed().await.expect("open");
            world.decide().await;
        }
        kill(&world, "slack-data").await;
    };
    let (answer, ()) = tokio::join!(asked, far_end);
    let detail = answer.json();
    assert_eq!((detail["action"].as_str(), detail["log"][0]["answer"].as_str()), (Some("test"), Some("no_service")));
}
