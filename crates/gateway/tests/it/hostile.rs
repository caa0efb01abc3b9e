//! The hostile requests of `testdata/gateway/hostile*.json`, judged by the raw bytes that reach the upstream.

use crate::recorder::{Connection, Recorder, Seen};
use crate::token::Keys;
use crate::world::{World, plain, status};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Gateways that are attacked side by side.
const WORLDS: usize = 16;

/// Writes runs out: `${repeat:a:1000}` is a thousand times `a`.
pub(crate) fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${repeat:") {
        out.push_str(&rest[..at]);
        let (letter, after) = rest[at + 9..].split_once(':').unwrap();
        let (count, after) = after.split_once('}').unwrap();
        out.push_str(&letter.repeat(count.parse().unwrap()));
        rest = after;
    }
    out + rest
}

/// Bytes of a text whose letters stand for bytes.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

fn bytes(case: &Value, token: &str) -> Vec<u8> {
    let text = match case["raw"].as_str() {
        Some(raw) => raw.to_owned(),
        None => {
            let request = &case["request"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let mut out = format!("{} {} HTTP/1.1\r\n", text(&request["method"]), text(&request["target"]));
            for pair in request["headers"].as_array().unwrap() {
                out.push_str(&format!("{}: {}\r\n", text(&pair[0]), text(&pair[1])));
            }
            out + "\r\n" + &text(&request["body"])
        }
    };
    latin1(&expand(&text).replace("${token}", token))
}

/// What is wrong with what reached the upstream.
fn breaches(expect: &Value, requests: &[Seen]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for seen in requests {
        let (te, cl) = (seen.all("transfer-encoding"), seen.all("content-length"));
        if te.len() + cl.len() > 1 || te.iter().any(|te| !te.eq_ignore_ascii_case("chunked")) {
            found.insert(format!("framing {te:?} {cl:?}"));
        }
        if cl.iter().any(|cl| cl.is_empty() || !cl.bytes().all(|byte| byte.is_ascii_digit())) {
            found.insert(format!("length {cl:?}"));
        }
        if seen.bad.as_ref().is_some_and(|bad| bad != "incomplete body") {
            found.insert(format!("body: {:?}", seen.bad));
        }
        if !seen.trailers.is_empty() {
            found.insert("trailers went through".to_owned());
        }
        let bare = seen.head.replace("\r\n", "");
        if bare.contains(['\r', '\n', '\0']) {
            found.insert("bare control characters in the head".to_owned());
        }
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte);
        if seen.headers.iter().any(|(name, _)| name.is_empty() || !name.bytes().all(token)) {
            found.insert("a malformed field".to_owned());
        }
        if expect["marker"].is_string() && seen.line.contains("/SMUGGLED") {
            found.insert(format!("smuggled: {}", seen.line));
        }
        let target = seen.line.split(' ').nth(1).unwrap_or_default();
        if let Some(guard) = expect["guard"].as_str()
            && reads_as(target).iter().any(|path| path == guard || path.starts_with(&format!("{guard}/")))
        {
            found.insert(format!("{target} is below {guard}"));
        }
        for absent in expect["absent"].as_array().into_iter().flatten() {
            let fold = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
            if seen.headers.iter().any(|(name, _)| fold(name) == absent.as_str().unwrap()) {
                found.insert(format!("{absent} went through"));
            }
        }
        if let Some(value) = expect["absent_value"].as_str() {
            let fine: Vec<&str> = expect["ok_in"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let spoofed = |(name, given): &(String, String)| {
                given.contains(value) && !fine.contains(&name.to_ascii_lowercase().as_str())
            };
            if seen.headers.iter().any(spoofed) {
                found.insert("a spoofed value went through".to_owned());
            }
        }
        if expect["xff"].is_string() && seen.all("x-forwarded-for") == [expect["xff"].as_str().unwrap()] {
            found.insert("X-Forwarded-For was taken over".to_owned());
        }
        if !seen.all("upgrade").is_empty() {
            found.insert("Upgrade went through".to_owned());
        }
        if seen.all("x-hub-subject").len() != 1 {
            found.insert("not told once who calls".to_owned());
        }
    }
    found
}

/// What servers may see in a target: three rounds of decoding, with parameters dropped and backslashes folded.
fn reads_as(target: &str) -> BTreeSet<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let mut found = BTreeSet::new();
    let mut current = path.as_bytes().to_vec();
    for _ in 0..3 {
        let text = String::from_utf8_lossy(&current).into_owned();
        for text in [text.clone(), text.replace('\\', "/")] {
            for parameters in [false, true] {
                let mut segments: Vec<&str> = Vec::new();
                for segment in text.split('\0').next().unwrap_or_default().split('/') {
                    let segment = if parameters { segment.split(';').next().unwrap_or_default() } else { segment };
                    match segment {
                        "" | "." => {}
                        ".." => drop(segments.pop()),
                        segment => segments.push(segment),
                    }
                }
                found.insert(format!("/{}", segments.join("/")));
            }
        }
        current = decoded(&current);
    }
    found
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

fn judge(case: &Value, answer: &str, arrived: &[Connection]) -> Vec<String> {
    let expect = &case["expect"];
    let requests: Vec<Seen> = arrived.iter().flat_map(|connection| connection.requests.clone()).collect();
    let mut wrong: Vec<String> = breaches(expect, &requests).into_iter().collect();
    let got = status(answer);
    match expect["verdict"].as_str().unwrap() {
        "allow" => {
            if !(200..300).contains(&got) || requests.len() != 1 {
                wrong.push(format!("expected to be let in: status {got}, {} requests", requests.len()));
            }
            if let Some(identity) = expect["identity"].as_str()
                && requests.first().is_none_or(|seen| seen.all("x-hub-subject") != [identity])
            {
                wrong.push("the upstream was told something else".to_owned());
            }
        }
        "deny" => {
            if arrived.iter().any(|connection| !connection.raw.is_empty()) {
                wrong.push("reached the upstream".to_owned());
            }
            if (200..400).contains(&got) || got == 101 {
                wrong.push(format!("status {got}"));
            }
            let wanted = expect["status"].as_array();
            if wanted.is_some_and(|wanted| !wanted.contains(&json!(got))) {
                wrong.push(format!("status {got}, not {wanted:?}"));
            }
            if expect["www"] == json!(true) && !answer.to_lowercase().contains("www-authenticate:") {
                wrong.push("no WWW-Authenticate".to_owned());
            }
        }
        _ => {}
    }
    if got >= 500 && ![501, 505].contains(&got) {
        wrong.push(format!("server error {got}"));
    }
    wrong
}

fn cases() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/gateway");
    let mut cases: Vec<Value> = Vec::new();
    for file in ["hostile.json", "hostile-more.json"] {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        cases.extend(serde_json::from_str::<Vec<Value>>(&text).unwrap());
    }
    cases
}

/// What is wrong with how a gateway of its own meets these.
async fn failures(keys: &Keys, cases: &[Value]) -> Vec<String> {
    let (recorder, port) = Recorder::start("").await;
    let route = |path: &str, needs: &str| {
        json!({"match": {"path": path}, "upstream": "app", "needs": [needs], "credential": "none",
            "identity_headers": {"subject": "x-hub-subject"}})
    };
    let routes = json!({"all": route("/**", "jobs.run"), "admin": route("/admin/**", "admin")});
    let world = World::start(keys, plain(), routes, port).await;
    let mut failed = Vec::new();
    for case in cases {
        let request = bytes(case, &keys.token(&case["token"]));
        let sent = tokio::time::timeout(std::time::Duration::from_secs(10), world.send(&request)).await;
        let Ok(answer) = sent else {
            failed.push(format!("{}: no end", case["id"]));
            continue;
        };
        let wrong = judge(case, &answer, &recorder.take());
        if !wrong.is_empty() {
            failed.push(format!("{} ({}): {}", case["id"], case["level"], wrong.join("; ")));
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_request_is_met() {
    let cases = cases();
    assert!(cases.len() >= 685);
    let keys = Keys::new();
    // Most of the time is spent waiting for what must not come, so they wait together.
    let waves = cases.chunks(cases.len().div_ceil(WORLDS)).map(|wave| failures(&keys, wave));
    let failed: Vec<String> = futures_util::future::join_all(waves).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
