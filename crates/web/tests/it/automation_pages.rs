//! The pages of automations: looked at, written as text and as a form, tried, back-tested, by whom who may.

use crate::world::{Answer, World, bearer};
use axum::body::Body;
use flate2::read::GzDecoder;
use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::json;
use std::io::Read as _;
use trackside_core::automation::definition::{Automation, AutomationId, Origin};
use trackside_core::automation::edit::AutomationEdit;
use trackside_core::automation::request::parse_written;
use trackside_core::caller::Caller;
use trackside_core::ids::derive;
use trackside_core::input::Input;
use trackside_identity::role::Role;
use trackside_store::log::NewEntry;

const THREE: &str = "\
name: three failures
trigger:
  type: event
  expect:
  - billing.failed
  for_each:
  - prefect.resource.id
  threshold: 3
  within: 10m
actions:
- type: page-owner
";

/// Posts a form as a browser does.
async fn post(world: &World, role: Role, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [
        bearer(role),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ("accept", "text/html".to_owned()),
        ("sec-fetch-site", "same-origin".to_owned()),
    ];
    world.send(Method::POST, path, &headers, body).await
}

/// Saves a new automation; its address.
async fn made(world: &World, text: &str) -> String {
    let answer = post(world, Role::Admin, "/automations", &[("from", "yaml"), ("text", text)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    answer.header("location").to_owned()
}

fn id(address: &str) -> &str {
    address.rsplit('/').next().expect("an id")
}

/// Lets failures of a resource happen, a minute apart; the id of the last.
async fn failures(world: &World, resource: &str, count: usize) -> String {
    let mut last = String::new();
    for number in 0..count {
        world.pass(SignedDuration::from_mins(1)).await;
        let event = json!({"event": "billing.failed", "id": format!("{resource}-{number}-{}", world.now()),
            "resource": {"prefect.resource.id": resource}});
        let answer = world.send(Method::POST, "/api/v1/events", &[bearer(Role::Ingest)], event.to_string()).await;
        last = answer.json()["events"][0]["id"].as_str().expect("an id").to_owned();
    }
    world.decide().await;
    last
}

/// An automation that the configuration keeps; its address.
async fn kept_in_files(world: &World, body: &serde_json::Value) -> String {
    let written = parse_written(body).expect("an automation");
    let id = AutomationId(derive("automation", &[&written.spec.name]));
    let (now, origin) = (world.now(), Origin::Files);
    let (spec, semantics) = (written.spec, written.semantics);
    let automation = Automation { id, spec, semantics, origin, created: now, updated: now, version: 1 };
    let input = Input::Automations { caller: Caller::rules(), edits: vec![AutomationEdit::Put(Box::new(automation))] };
    let entry = NewEntry::input(now, &input, derive("entry", &[&id.to_string()])).expect("an entry");
    world.store.append(vec![entry]).await.expect("appended");
    world.decide().await;
    format!("/automations/{id}")
}

#[tokio::test]
async fn an_automation_is_written_saved_paused_and_removed() {
    let world = World::new().await;
    let address = made(&world, THREE).await;
    let page = world.page(&address, Role::Admin).await;
    assert!(page.contains("3 × billing.failed within 10 min, for each resource"), "it says what it does");
    assert!(page.contains("Page the owner") && page.contains("Nothing is wrong with it."));
    assert!(page.contains("  threshold: 3\n"), "the text is in the editor");

    let edited = THREE.replace("threshold: 3", "threshold: 2");
    for (version, status) in [("1", StatusCode::SEE_OTHER), ("1", StatusCode::CONFLICT)] {
        let fields = [("automation", id(&address)), ("version", version), ("from", "yaml"), ("text", &edited)];
        let answer = post(&world, Role::Admin, &address, &fields).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == StatusCode::CONFLICT {
            assert!(answer.text().contains("somebody else made version 2"), "the second is told, and keeps its text");
            assert!(answer.text().contains("  threshold: 2\n"));
        }
    }
    let history = world.page(&format!("{address}/history"), Role::Viewer).await;
    assert!(history.contains("<del>-   threshold: 3\n</del><ins>+   threshold: 2\n</ins>"), "{history}");
    let restored = world.page(&format!("{address}?version=1"), Role::Admin).await;
    assert!(restored.contains("This is version 1") && restored.contains("<ins>+   threshold: 3\n</ins>"));
    let unknown = world.get(&format!("{address}?version=9"), Role::Admin).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);

    for (act, word) in [("pause", "Paused"), ("resume", "On")] {
        let answer = post(&world, Role::Operator, &format!("{address}/{act}"), &[]).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, address.as_str()));
        assert!(world.page("/automations", Role::Viewer).await.contains(&format!("</svg>{word}</span>")));
    }
    let gone = post(&world, Role::Admin, &format!("{address}/delete"), &[]).await;
    assert_eq!((gone.status, gone.header("location")), (StatusCode::SEE_OTHER, "/automations"));
    assert_eq!(world.get(&address, Role::Viewer).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn mistakes_and_findings_stand_beside_the_text_with_their_line() {
    let world = World::new().await;
    let wrong = THREE.replace("threshold: 3", "thresold: 3");
    let checked = post(&world, Role::Viewer, "/automations/check", &[("from", "yaml"), ("text", &wrong)]).await;
    let page = checked.text();
    assert_eq!(checked.status, StatusCode::OK);
    assert!(page.contains("data-line=\"8\" data-tone=\"bad\">line 8</a>") && page.contains("thresold: 3"), "{page}");
    let refused = post(&world, Role::Admin, "/automations", &[("from", "yaml"), ("text", &wrong)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("Not saved") && refused.text().contains("line 8"));
    let missing = THREE.replace("- type: page-owner", "- {type: notify-channel, connection: slack, body: x}");
    let checked = post(&world, Role::Viewer, "/automations/check", &[("from", "yaml"), ("text", &missing)]).await;
    assert!(checked.text().contains("there is no connection <code>slack</code>"), "{}", checked.text());
    made(&world, THREE).await;
    let twice = post(&world, Role::Admin, "/automations", &[("from", "yaml"), ("text", THREE)]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    assert!(twice.text().contains("there is an automation <code>three failures</code> already"), "{}", twice.text());
    for text in ["", "trigger: [", "- 1", "\u{0}", "name: x\ntrigger: {expect: {a: 1}}"] {
        let checked = post(&world, Role::Viewer, "/automations/check", &[("from", "yaml"), ("text", text)]).await;
        assert_eq!(checked.status, StatusCode::OK, "{text:?}");
        assert!(checked.text().contains("Mistake"), "{text:?}");
    }
    let large = "x".repeat(300_000);
    let answer = post(&world, Role::Viewer, "/automations/check", &[("from", "yaml"), ("text", &large)]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_form_and_the_text_are_two_views_of_one_thing() {
    let world = World::new().await;
    let address = made(&world, THREE).await;
    let form = world.page(&format!("{address}?as=form"), Role::Admin).await;
    assert!(form.contains("name=\"/trigger/threshold\" value=\"3\""), "{form}");
    let base = [("automation", id(&address)), ("version", "1"), ("from", "form"), ("text", THREE)];
    let with = |more: &[(&'static str, &'static str)]| [&base, more].concat();
    let changed =
        [("/trigger/threshold", "4"), ("/actions/0/title", "Again"), ("+/actions_on_resolve", "resolve-incident")];
    let saved = post(&world, Role::Admin, &address, &with(&changed)).await;
    assert_eq!((saved.status, saved.header("location")), (StatusCode::SEE_OTHER, &*format!("{address}?as=form")));
    let text = world.page(&address, Role::Admin).await;
    for line in ["  threshold: 4\n", "  title: Again\n", "actions_on_resolve:\n- type: resolve-incident\n"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let wrong = post(&world, Role::Viewer, "/automations/check", &with(&[("/trigger/threshold", "many")])).await.text();
    assert!(
        wrong.contains("value=\"many\" autocomplete=\"off\" spellcheck=\"false\" aria-invalid=\"true\""),
        "{wrong}"
    );
    assert!(wrong.contains("id=\"field-trigger-threshold-note\""), "what is wrong stands beside the field");
    let yaml =
        post(&world, Role::Viewer, "/automations/check", &with(&[("/trigger/within", "1h"), ("view", "yaml")])).await;
    assert!(yaml.text().contains("  within: 1h\n"), "{}", yaml.text());
    let broken = [("from", "yaml"), ("view", "form"), ("text", "trigger: [")];
    let stays = post(&world, Role::Viewer, "/automations/check", &broken).await.text();
    assert!(stays.contains("name=\"from\" value=\"yaml\""), "what cannot be read stays text");
}

#[tokio::test]
async fn buttons_are_shown_only_to_those_who_may_use_them() {
    let world = World::new().await;
    let address = made(&world, THREE).await;
    for (path, button, role, below) in [
        (address.as_str(), ">Save</button>", Role::Admin, Role::Operator),
        (&address, ">Delete it</button>", Role::Admin, Role::Operator),
        (&address, ">Pause</button>", Role::Operator, Role::Responder),
        ("/automations/new", ">Save</button>", Role::Admin, Role::Operator),
        ("/automations", ">New automation</a>", Role::Admin, Role::Operator),
    ] {
        assert!(world.page(path, role).await.contains(button), "{path}: {button} as {role}");
        assert!(!world.page(path, below).await.contains(button), "{path}: {button} as {below}");
    }
    let files =
        kept_in_files(&world, &json!({"name": "f", "trigger": {"expect": ["x"]}, "actions": ["page-owner"]})).await;
    let page = world.page(&files, Role::Admin).await;
    assert!(page.contains("It is kept in alerts.yaml, line 3: change it there") && !page.contains("<textarea"));
    assert!(page.contains(">Pause</button>") && !page.contains(">Delete it</button>"));
    let trying = world.page(&format!("{files}?edit"), Role::Admin).await;
    assert!(trying.contains("not saved") && trying.contains("<textarea") && !trying.contains(">Save</button>"));
    let fields = [("automation", id(&files)), ("version", "1"), ("from", "yaml"), ("text", THREE)];
    assert_eq!(post(&world, Role::Admin, &files, &fields).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_event_explains_what_it_does_to_an_automation() {
    let world = World::new().await;
    let address = made(&world, THREE).await;
    let second = failures(&world, "a", 2).await;
    let offered = world.page(&format!("{address}/try"), Role::Viewer).await;
    assert!(offered.contains(&format!("{address}/try?event={second}")), "recent events are offered");
    let tried = world.page(&format!("{address}/try?event={second}"), Role::Viewer).await;
    for said in
        ["the event counts", "the condition is not met yet", "kept apart by prefect.resource.id", "Before", "After"]
    {
        assert!(tried.contains(said), "{said}: {tried}");
    }
    let fields = [("from", "yaml"), ("text", &THREE.replace("threshold: 3", "threshold: 2")[..]), ("event", &second)];
    let fires = post(&world, Role::Viewer, "/automations/try", &fields).await.text();
    assert!(fires.contains("it fires: "), "{fires}");
    let other = [("from", "yaml"), ("text", &THREE.replace("billing", "other")[..]), ("picked", &second)];
    let silent = post(&world, Role::Viewer, "/automations/try", &other).await.text();
    assert!(silent.contains("does not concern it") && silent.contains("other.failed"), "{silent}");
    for (event, said) in [("nonsense", "There is no event"), ("", "Pick an event")] {
        let fields = [("from", "yaml"), ("text", THREE), ("event", event)];
        assert!(post(&world, Role::Viewer, "/automations/try", &fields).await.text().contains(said));
    }
    let page = world.page(&format!("/events/{second}"), Role::Viewer).await;
    assert!(page.contains(&format!("{address}/try?event={second}")) && page.contains("Silent"));
}

#[tokio::test]
async fn a_back_test_is_sent_as_it_is_found_out() {
    let world = World::new().await;
    let address = made(&world, THREE).await;
    for resource in ["a", "b", "c"] {
        failures(&world, resource, 3).await;
    }
    world.pass(SignedDuration::from_mins(1)).await;
    let path = format!("{address}/backtest?days=7");
    let headers = [bearer(Role::Viewer), ("accept", "text/html".to_owned()), ("accept-encoding", "gzip".to_owned())];
    let answer = world.send(Method::GET, &path, &headers, Body::empty()).await;
    assert_eq!((answer.status, answer.header("content-encoding")), (StatusCode::OK, ""), "parts leave at once");
    let page = answer.text();
    let step = page.find("<p class=\"step\">").expect("progress");
    let result =
        page.find("it would have fired <b>3 times and opened 3 incidents</b>").unwrap_or_else(|| panic!("{page}"));
    assert!(step < result && page.ends_with("</html>"), "one whole page");
    let fields = [
        ("automation", id(&address)),
        ("from", "yaml"),
        ("text", &THREE.replace("threshold: 3", "threshold: 2")[..]),
        ("days", "14"),
    ];
    let both = post(&world, Role::Viewer, "/automations/backtest", &fields).await.text();
    for said in
        ["3 times and opened 3 incidents</b>; the version in force <b>3 times", "this edit only", "in force only"]
    {
        assert!(both.contains(said), "{said}: {both}");
    }
    let same = [("automation", id(&address)), ("from", "yaml"), ("text", THREE), ("days", "14")];
    let alone = post(&world, Role::Viewer, "/automations/backtest", &same).await.text();
    assert!(alone.contains("it would have fired") && !alone.contains("the version in force <b>"));
    let fresh = [("from", "yaml"), ("text", "trigger: ["), ("days", "14")];
    assert!(post(&world, Role::Viewer, "/automations/backtest", &fresh).await.text().contains("before its mistakes"));
    let far = world.send(Method::GET, &format!("{address}/backtest?days=0"), &headers, Body::empty()).await;
    assert_eq!(far.status, StatusCode::BAD_REQUEST);
    let mut plain = String::new();
    GzDecoder::new(&far.body[..]).read_to_string(&mut plain).expect("compressed");
    assert!(plain.contains("`days` is from 1"), "{plain}");
}

#[tokio::test]
async fn firings_tell_why_and_what_became_of_them() {
    let world = World::new().await;
    let address = made(&world, THREE).await;
    assert!(world.page(&format!("{address}/firings"), Role::Viewer).await.contains("It has not fired."));
    let third = failures(&world, "a", 3).await;
    let page = world.page(&format!("{address}/firings"), Role::Viewer).await;
    for said in ["Fired", "prefect.resource.id = a", "incident #1 for team", "/incidents/", "/events/"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let incident = world.page("/incidents/1", Role::Viewer).await;
    assert!(incident.contains(&format!("<dd><a href=\"{address}\">three failures</a></dd>")), "{incident}");
    let event = world.page(&format!("/events/{third}"), Role::Viewer).await;
    assert!(event.contains("</svg>Fired</span>"), "{event}");
}

#[tokio::test]
async fn the_list_is_filtered_by_the_address() {
    let world = World::new().await;
    made(&world, THREE).await;
    world.pass(SignedDuration::from_secs(1)).await;
    made(
        &world,
        &THREE.replace("three failures", "Other").replace("trigger:", "tags: [night]\nenabled: false\ntrigger:"),
    )
    .await;
    made(
        &world,
        &THREE.replace("three failures", "lost").replace("page-owner", "notify-channel\n  connection: gone\n  body: x"),
    )
    .await;
    for (query, found) in [
        ("", 3),
        ("?q=three", 1),
        ("?q=other", 1),
        ("?tag=night", 1),
        ("?tag=day", 0),
        ("?state=on", 2),
        ("?state=paused", 1),
        ("?findings=error", 1),
        ("?findings=none&state=on", 1),
        ("?page=1", 0),
    ] {
        let page = world.page(&format!("/automations{query}"), Role::Viewer).await;
        assert_eq!(page.matches("<tr data-key").count(), found, "{query}");
    }
}
