//! The pages: every link leads somewhere, nothing a sender chose becomes markup, they are small, and they say what to
//! do when there is nothing to show. And the API's description, as a golden file.

use crate::world::{World, bearer};
use axum::body::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Method, StatusCode};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use trackside_identity::role::Role;
use trackside_web::routes;

/// What a browser loads for its first page, at most.
const FIRST_LOAD_BYTES: usize = 20 * 1024;
/// Text that would be noticed if it became markup.
const HOSTILE: &str = "<script>alert(1)</script>\"'&";

/// Pages that the side bar leads to.
const PAGES: [&str; 12] = [
    "/",
    "/runs",
    "/incidents",
    "/oncall",
    "/silences",
    "/automations",
    "/deliveries",
    "/events",
    "/reports",
    "/people",
    "/connections",
    "/audit",
];

/// Values of an attribute, with the escapes that occur in addresses undone.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    let value = |rest: &'a str| rest.split('"').next().unwrap_or_default().replace("&amp;", "&");
    html.split(&begin).skip(1).map(value).collect()
}

/// Runs that ended well and badly, an attempt, a report, a message, all with hostile names.
async fn busy() -> World {
    let world = World::new().await;
    let automation = json!({"name": format!("one {HOSTILE}"), "description": HOSTILE, "tags": [HOSTILE],
        "trigger": {"expect": ["run", HOSTILE], "match": {HOSTILE: HOSTILE}},
        "actions": [{"type": "notify-channel", "connection": HOSTILE, "subject": HOSTILE, "body": HOSTILE}]});
    let every = json!({"name": format!("every {HOSTILE}"),
        "trigger": {"expect": ["run"], "for_each": ["prefect.resource.name"]},
        "actions": [{"type": "page-owner", "title": HOSTILE}]});
    for body in [automation, every] {
        let path = "/api/v1/automations";
        let answer = world.send(Method::POST, path, &[bearer(Role::Admin)], body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    }
    for (run, state) in [("r1", "succeeded"), ("r2", "failed"), ("r/3 ?#%", "failed"), (HOSTILE, "running")] {
        let run = json!({"pipeline": format!("orders_{HOSTILE}"), "run_id": run, "state": state, "task": "load", "try": 1,
            "error": format!("error {HOSTILE}\nsecond line"), "owners": [HOSTILE], "tags": [HOSTILE],
            "url": format!("https://airflow.example.net/{HOSTILE}"), "log_url": "https://airflow.example.net/log?a=1&b=2"});
        let source = format!("air{HOSTILE}");
        world.event(&json!({"event": "run.task", "source": source, "run": run, "payload": {"note": HOSTILE}})).await;
        let mut whole = run.clone();
        for field in ["task", "try"] {
            whole.as_object_mut().expect("an object").remove(field);
        }
        world.event(&json!({"event": "run", "source": source, "run": whole})).await;
    }
    world.decide().await;
    let note = json!({"text": format!("note {HOSTILE}")}).to_string();
    world.send(Method::POST, "/api/v1/incidents/1/note", &[bearer(Role::Responder)], note).await;
    world
}

#[tokio::test]
async fn every_link_leads_somewhere_and_nothing_becomes_markup() {
    let world = busy().await;
    let mut waiting: Vec<String> = PAGES.map(str::to_owned).to_vec();
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    while let Some(path) = waiting.pop() {
        let headers = [bearer(Role::Admin), ("accept", "text/html".to_owned())];
        let answer = world.send(Method::GET, &path, &headers, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        if !answer.header("content-type").starts_with("text/html") {
            continue;
        }
        let html = answer.text();
        assert!(!html.contains("<script>alert"), "{path} escapes what senders chose");
        assert!(!html.contains("href=\"javascript:"), "{path} links to the web only");
        check_structure(&path, &html);
        let links = attributes(&html, "href").into_iter().chain(attributes(&html, "src"));
        for link in links.filter(|link| link.starts_with('/') && !link.starts_with("//")) {
            if seen.len() < 300 && seen.insert(link.clone()) {
                waiting.push(link);
            }
        }
    }
    for kind in ["/runs/", "/incidents/", "/automations/", "/deliveries/", "/events/", "/assets/"] {
        assert!(seen.iter().any(|path| path.starts_with(kind)), "a page below {kind} was seen");
    }
}

/// What helps people who do not see the page: language, one title, one heading, unique ids, named fields and buttons.
pub(crate) fn check_structure(path: &str, html: &str) {
    assert!(html.contains("<html lang=\"en\""), "{path}");
    assert_eq!(html.matches("<title>").count(), 1 + html.matches("<g class=\"bar\"><title>").count(), "{path}");
    assert_eq!(html.matches("<h1>").count(), 1, "{path} has one heading");
    assert!(!html.contains(" style=") && !html.contains(" onclick="), "{path}: the policy forbids inline code");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for id in attributes(html, "id") {
        *counts.entry(id).or_default() += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{path}: ids stand once: {twice:?}");
    for field in html.split("<input ").skip(1).chain(html.split("<select ").skip(1)) {
        let tag = field.split('>').next().unwrap_or_default();
        let before = &html[..html.find(field).unwrap_or_default()];
        let labelled = before.rfind("<label") > before.rfind("</label>");
        assert!(labelled || tag.contains("type=\"hidden\""), "{path}: {tag} has a label");
    }
}

#[tokio::test]
async fn empty_pages_say_the_next_step() {
    let world = World::new().await;
    for (path, step) in [
        ("/", "AIRFLOW__OPENLINEAGE__TRANSPORT"),
        ("/runs", "AIRFLOW__OPENLINEAGE__TRANSPORT"),
        ("/events", "curl -H"),
        ("/incidents", "rules:"),
        ("/incidents?state=open", "All quiet"),
        ("/automations", "prefect automation create"),
        ("/oncall", "schedules:"),
        ("/silences", "Nothing is silenced"),
        ("/silences", "maintenance:"),
        ("/reports", "No incident was opened"),
        ("/people", "contacts:"),
        ("/deliveries", "Send a test message"),
        ("/deliveries?state=dead", "Nothing was given up"),
        ("/runs?q=nonsense", "Loosen the filter"),
    ] {
        let html = world.page(path, Role::Viewer).await;
        assert!(html.contains(step), "{path} says `{step}`");
        check_structure(path, &html);
    }
}

#[tokio::test]
async fn forms_are_shown_only_to_those_who_may_use_them() {
    let world = busy().await;
    for (path, form, role) in [
        ("/incidents/1", "Acknowledge", Role::Responder),
        ("/incidents/1", "Add a note", Role::Responder),
        ("/incidents/1", "for 1 hour", Role::Responder),
        ("/incidents/1", "Silence this", Role::Responder),
        ("/silences", "New silence", Role::Responder),
        ("/silences", "New maintenance window", Role::Operator),
        ("/connections", ">Test</button>", Role::Operator),
    ] {
        assert!(world.page(path, role).await.contains(form), "{path} as {role}");
        assert!(!world.page(path, Role::Viewer).await.contains(form), "{path} as viewer");
    }
}

#[tokio::test]
async fn filters_stand_in_the_address_and_in_the_form() {
    let world = busy().await;
    let failed = world.page("/runs?state=failed&q=orders", Role::Viewer).await;
    assert!(failed.contains("<option value=\"failed\" selected>"));
    assert_eq!(failed.matches("<tr data-key").count(), 2);
    let bad = world.get("/api/v1/runs?state=broken", Role::Viewer).await;
    assert_eq!((bad.status, bad.json()["at"].as_str()), (StatusCode::BAD_REQUEST, Some("state")));
    for path in ["/api/v1/runs?before=x", "/api/v1/events/nonsense", "/api/v1/overview?zone=Nowhere"] {
        let answer = world.get(path, Role::Viewer).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::BAD_REQUEST, "application/problem+json"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_first_load_is_small() {
    let world = busy().await;
    let html = world.page("/", Role::Viewer).await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(html.as_bytes()).expect("write");
    let mut bytes = encoder.finish().expect("finish").len();
    for asset in attributes(&html, "href").into_iter().chain(attributes(&html, "src")) {
        if asset.starts_with("/assets/") {
            let headers = [("accept-encoding", "gzip".to_owned())];
            let answer = world.send(Method::GET, &asset, &headers, Body::empty()).await;
            assert_eq!(answer.header("content-encoding"), "gzip");
            assert!(answer.header("cache-control").contains("immutable"));
            bytes += answer.body.len();
        }
    }
    assert!(bytes < FIRST_LOAD_BYTES, "{bytes} bytes");
}

#[tokio::test]
async fn pages_tell_browsers_to_be_careful() {
    let world = World::new().await;
    let answer = world.get("/", Role::Viewer).await;
    assert!(answer.header("content-security-policy").starts_with("default-src 'self'"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn the_description_of_the_api() {
    let world = World::new().await;
    let description = world.send(Method::GET, "/api/openapi.json", &[], Body::empty()).await.json();
    let described: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("methods").keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let exists = |(method, path): &(String, String)| {
        routes().iter().any(|route| route.method.as_str() == method && route.path == path)
    };
    let unknown: Vec<_> = described.iter().filter(|operation| !exists(operation)).collect();
    assert!(unknown.is_empty(), "described but not served: {unknown:?}");
    // Every operation of the API is described; pages are not, and doors once even when they take GET as well.
    let missing: Vec<String> = routes()
        .iter()
        .filter(|route| route.path.starts_with("/api/v1/"))
        .filter(|route| !described.contains(&(route.method.to_string(), route.path.to_owned())))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert!(missing.is_empty(), "served but not described: {missing:?}");
    insta::assert_json_snapshot!(description);
}
