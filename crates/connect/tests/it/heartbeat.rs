//! The heartbeat door.

use crate::samples::{delivered, fresh};
use trackside_connect::door::{Delivered, Reject};
use trackside_connect::heartbeat::{BODY_BYTES, Ping, parse};
use trackside_core::event::{Event, Fact};
use trackside_core::run::{RunReport, RunUpdate};

fn send(suffix: Option<&str>, rid: Option<&str>, body: &[u8]) -> Event {
    let ping = Ping::new("nightly-export", suffix, rid).unwrap();
    parse(&Delivered { team: Some("billing"), ..delivered(body) }, &ping, fresh()).unwrap().remove(0)
}

fn run(event: &Event) -> &RunUpdate {
    match &event.fact {
        Some(Fact::Run(update)) => update,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check(suffix: Option<&str>, body: &[u8], report: RunReport, error: Option<&str>) {
    let event = send(suffix, None, body);
    let update = run(&event);
    assert_eq!((update.report, update.error.as_deref()), (report, error), "{suffix:?}");
    assert_eq!((update.pipeline.as_str(), event.source.as_str()), ("nightly-export", "heartbeat"));
    assert_eq!(update.owners, ["billing"]);
    assert!(update.run_id.is_none() && update.run_aliases.is_empty(), "the engine pairs pings without a run id");
}

#[test]
fn signals_become_reports() {
    check(None, b"", RunReport::Succeeded, None);
    check(Some(""), b"", RunReport::Succeeded, None);
    check(Some("0"), b"done", RunReport::Succeeded, None);
    check(Some("start"), b"", RunReport::Started, None);
    check(Some("log"), b"half way", RunReport::Alive, None);
    check(Some("fail"), b"", RunReport::Failed, None);
    check(Some("fail"), b"disk full, password=x\n", RunReport::Failed, Some("disk full, password=[redacted]"));
    check(Some("1"), b"", RunReport::Failed, Some("exit code 1"));
    check(Some("137"), b"Killed", RunReport::Failed, Some("exit code 137: Killed"));
    check(Some("fail"), b"caf\xe9", RunReport::Failed, Some("caf\u{fffd}"));
}

#[test]
fn a_run_id_names_the_run() {
    let event = send(Some("start"), Some("728b3763-ea80-4113-9fc0-f99b5daff22a"), b"");
    assert_eq!(run(&event).run_id.as_deref(), Some("728b3763-ea80-4113-9fc0-f99b5daff22a"));
    insta::assert_json_snapshot!(send(Some("3"), Some("r1"), b"boom"));
}

#[test]
fn the_end_of_a_long_body_is_kept() {
    let event = send(Some("fail"), None, format!("{}the end", "x".repeat(3 * BODY_BYTES)).as_bytes());
    let kept = event.payload["body"].as_str().unwrap();
    assert!(kept.len() == BODY_BYTES && kept.ends_with("the end"));
    assert!(run(&event).error.as_ref().unwrap().ends_with("the end"));
}

#[test]
fn bad_addresses_are_refused() {
    let check = |got: Result<Ping<'_>, Reject>, at: &str| {
        let reject = got.unwrap_err();
        assert_eq!((reject.status, reject.at.as_str()), (400, at));
    };
    check(Ping::new("", None, None), "slug");
    check(Ping::new("a/b", None, None), "slug");
    check(Ping::new(&"a".repeat(101), None, None), "slug");
    check(Ping::new("a", Some("256"), None), "signal");
    check(Ping::new("a", Some("-1"), None), "signal");
    check(Ping::new("a", Some("done"), None), "signal");
    check(Ping::new("a", None, Some("")), "rid");
    check(Ping::new("a", None, Some("x y")), "rid");
}
