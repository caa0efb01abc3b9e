//! HTTP/2 and TLS: the same checks as HTTP/1.1, and what is peculiar to frames.

use crate::recorder::{Recorder, Seen};
use crate::token::Keys;
use crate::wire::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Ended, HEADERS, Http2, PING, PUSH_PROMISE, RST_STREAM, SETTINGS,
    block, certificate, frame, tls,
};
use crate::world::{TOKEN, World, get, route, status, talk};
use serde_json::json;
use std::path::PathBuf;

struct Tls {
    world: World,
    recorder: Recorder,
    cert: PathBuf,
    _folder: tempfile::TempDir,
}

impl Tls {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = certificate(folder.path());
        let (recorder, port) = Recorder::start("").await;
        let settings = json!({"listen": "127.0.0.1:0", "tls": {"cert": cert, "key": key}});
        let routes = route(&json!({"identity_headers": {"subject": "x-caller"}}));
        let world = World::start(&Keys::new(), settings, routes, port).await;
        Self { world, recorder, cert, _folder: folder }
    }

    async fn http2(&self) -> Http2 {
        Http2::open(self.world.address, &self.cert, "hub.test").await
    }

    /// Sends a request of these fields and frames on a connection of its own.
    async fn ask(&self, fields: &[(&str, &str)], body: Option<&[u8]>) -> (Ended, Vec<Seen>) {
        let flags = END_HEADERS | if body.is_none() { END_STREAM } else { 0 };
        let mut frames = frame(HEADERS, flags, 1, &block(fields));
        frames.extend_from_slice(body.unwrap_or_default());
        let ended = self.http2().await.ask(&frames, 1).await;
        (ended, self.recorder.requests())
    }
}

/// Fields of a good request, with some in the place of others (no value: left out), and further ones.
fn fields<'a>(change: &[(&'a str, Option<&'a str>)], further: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let good = [(":method", "GET"), (":scheme", "https"), (":authority", "hub.test"), (":path", "/a")];
    let changed = |name: &str| change.iter().find(|(other, _)| *other == name);
    let mut out: Vec<(&str, &str)> = good
        .into_iter()
        .filter_map(|(name, value)| match changed(name) {
            Some((_, other)) => Some((name, (*other)?)),
            None => Some((name, value)),
        })
        .collect();
    out.push(("authorization", bearer()));
    out.extend(further);
    out
}

fn bearer() -> &'static str {
    const { assert!(TOKEN.len() == 10) };
    "Bearer test-token"
}

#[tokio::test]
async fn a_request_goes_through_as_http1() {
    let tls = Tls::start().await;
    let further = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("x-app", "1"), ("cookie", "c=3")];
    let (ended, seen) = tls.ask(&fields(&[], &further), None).await;
    assert_eq!((ended, seen.len()), (Ended::Status(200), 1));
    assert_eq!(seen[0].line, "GET /a HTTP/1.1");
    assert_eq!(seen[0].all("x-caller"), ["tester"]);
    assert_eq!(seen[0].all("x-forwarded-proto"), ["https"]);
    assert_eq!(seen[0].all("x-forwarded-host"), ["hub.test"]);
    assert_eq!(seen[0].all("cookie"), ["a=1; b=2; c=3"], "RFC 9113 §8.2.3: one field over HTTP/1.1");
    assert!(seen[0].all("te").is_empty());
    let body = [frame(DATA, 0, 1, b"ab"), frame(DATA, END_STREAM, 1, b"c")].concat();
    let post = fields(&[(":method", Some("POST"))], &[("content-length", "3")]);
    let (ended, seen) = tls.ask(&post, Some(&body)).await;
    assert_eq!((ended, seen[0].body.as_slice()), (Ended::Status(200), b"abc".as_slice()));
    let trailers = block(&[("x-caller", "spoofed")]);
    let body = [frame(DATA, 0, 1, b"abc"), frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers)].concat();
    let (ended, seen) = tls.ask(&fields(&[(":method", Some("POST"))], &[]), Some(&body)).await;
    assert_eq!((ended, seen[0].trailers.len()), (Ended::Status(200), 0));
    assert_eq!(seen[0].all("x-caller"), ["tester"]);
}

#[tokio::test]
async fn pseudo_fields_smuggle_nothing() {
    let tls = Tls::start().await;
    let long = "a".repeat(20_000);
    let long = format!("/{long}");
    for (name, value) in [
        (":path", Some("/a HTTP/1.1\r\nHost: evil\r\n\r\nGET /SMUGGLED HTTP/1.1\r\n\r\n")),
        (":path", Some("/a b")),
        (":path", Some("/a\tb")),
        (":path", Some("/a\0")),
        (":path", Some("/../admin")),
        (":path", Some("/%2e%2e/admin")),
        (":path", Some("/a/..%2fadmin")),
        (":path", Some("/a;/../admin")),
        (":path", Some("//admin")),
        (":path", Some("\\admin")),
        (":path", Some("/%c0%ae")),
        (":path", Some("/\u{e9}")),
        (":path", Some("/a?\u{e9}")),
        (":path", Some("admin")),
        (":path", Some("*")),
        (":path", Some("")),
        (":path", Some("http://evil.test/admin")),
        (":path", Some(&long)),
        (":path", None),
        (":method", Some("GET /admin HTTP/1.1\r\nX: y")),
        (":method", Some("GET /admin")),
        (":method", Some("get")),
        (":method", Some("TRACE")),
        (":method", Some("CONNECT")),
        (":method", Some("X-REFUSED")),
        (":method", Some("")),
        (":method", None),
        (":scheme", Some("https://evil.test/?")),
        (":scheme", Some("ht tp")),
        (":scheme", Some("")),
        (":scheme", None),
        (":authority", Some("evil.test")),
        (":authority", Some("a@hub.test")),
        (":authority", Some("hub.test/admin")),
        (":authority", Some("hub.test\r\nX: y")),
        (":authority", Some("hub.test:x")),
        (":authority", Some("hub.test, evil.test")),
        (":authority", Some("")),
        (":authority", None),
    ] {
        let (ended, seen) = tls.ask(&fields(&[(name, value)], &[]), None).await;
        assert!(seen.is_empty(), "{name} {value:?}: {seen:?}");
        assert!(!matches!(ended, Ended::Status(..=399 | 500..)), "{name} {value:?}: {ended:?}");
    }
}

#[tokio::test]
async fn fields_smuggle_nothing() {
    let tls = Tls::start().await;
    let long = "a".repeat(70_000);
    for further in [
        [("x", "a\r\nX-Caller: spoofed")].as_slice(),
        &[("x", "a\nX-Caller: spoofed")],
        &[("x", "a\rb")],
        &[("x", "a\0b")],
        &[("x\r\ny", "a")],
        &[("x y", "a")],
        &[("x:", "a")],
        &[("x\u{e9}", "a")],
        &[("", "a")],
        &[("X-App", "a")],
        &[(":path", "/b")],
        &[(":method", "POST")],
        &[(":authority", "evil.test")],
        &[(":status", "200")],
        &[(":unknown", "a")],
        &[(":protocol", "websocket")],
        &[("host", "evil.test")],
        &[("host", "hub.test"), ("host", "hub.test")],
        &[("host", "hub.test:444")],
        &[("connection", "close")],
        &[("connection", "x-caller")],
        &[("keep-alive", "timeout=5")],
        &[("proxy-connection", "keep-alive")],
        &[("transfer-encoding", "chunked")],
        &[("transfer-encoding", "identity")],
        &[("upgrade", "h2c")],
        &[("upgrade", "websocket")],
        &[("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")],
        &[("te", "gzip")],
        &[("te", "trailers, gzip")],
        &[("content-length", "5")],
        &[("content-length", "-1")],
        &[("content-length", "+0")],
        &[("content-length", "0"), ("content-length", "5")],
        &[("content-length", "99999999999999999999")],
        &[("expect", "200-ok")],
        &[("authorization", "Bearer x")],
        &[("x-long", &long)],
    ] {
        let (ended, seen) = tls.ask(&fields(&[], further), None).await;
        let shown: Vec<(&str, &str)> =
            further.iter().map(|(name, value)| (*name, &value[..value.len().min(40)])).collect();
        assert!(seen.is_empty(), "{shown:?}: {seen:?}");
        assert!(!matches!(ended, Ended::Status(..=399 | 500..)), "{shown:?}: {ended:?}");
    }
    for name in ["x-caller", "x_caller", "x.caller", "x-forwarded-user", "remote-user", "x-original-url", "forwarded"] {
        let (ended, seen) = tls.ask(&fields(&[], &[(name, "spoofed")]), None).await;
        assert_eq!(ended, Ended::Status(200), "{name}");
        assert!(!seen[0].head.contains("spoofed"), "{name}: {}", seen[0].head);
    }
}

#[tokio::test]
async fn bodies_are_as_long_as_they_say() {
    let tls = Tls::start().await;
    for (length, frames) in [
        ("5", frame(DATA, END_STREAM, 1, b"abc")),
        ("2", frame(DATA, END_STREAM, 1, b"abc")),
        ("0", frame(DATA, END_STREAM, 1, b"GET /SMUGGLED HTTP/1.1\r\n\r\n")),
        ("3", [frame(DATA, 0, 1, b"abc"), frame(DATA, END_STREAM, 1, b"d")].concat()),
    ] {
        let post = fields(&[(":method", Some("POST"))], &[("content-length", length)]);
        let (ended, seen) = tls.ask(&post, Some(&frames)).await;
        assert!(!matches!(ended, Ended::Status(200..400)), "{length}: {ended:?}");
        // What began to stream may have reached the upstream, but never as a whole request.
        assert!(seen.iter().all(|seen| seen.bad.is_some() && !seen.line.contains("SMUGGLED")), "{length}: {seen:?}");
    }
}

#[tokio::test]
async fn broken_frames_end_the_connection() {
    let tls = Tls::start().await;
    let whole = block(&fields(&[], &[]));
    let (front, back) = whole.split_at(20);
    let many: Vec<u8> = (0..20_000).flat_map(|_| frame(CONTINUATION, 0, 1, b"")).collect();
    let grown: Vec<u8> = (0..64).flat_map(|_| frame(CONTINUATION, 0, 1, &block(&[("x", &"a".repeat(8000))]))).collect();
    for (what, frames, stream) in [
        ("data before any request", frame(DATA, END_STREAM, 1, b"a"), 1),
        ("an even stream", frame(HEADERS, END_HEADERS | END_STREAM, 2, &whole), 2),
        ("no stream", frame(HEADERS, END_HEADERS | END_STREAM, 0, &whole), 0),
        ("a promise from a client", frame(PUSH_PROMISE, END_HEADERS, 1, &whole), 1),
        ("data within a block", [frame(HEADERS, END_STREAM, 1, front), frame(DATA, 0, 1, b"a")].concat(), 1),
        (
            "another block within one",
            [frame(HEADERS, END_STREAM, 1, front), frame(CONTINUATION, END_HEADERS, 3, back)].concat(),
            1,
        ),
        ("a broken index", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), 1),
        (
            "a ping of seven bytes",
            [frame(PING, 0, 0, &[0; 7]), frame(HEADERS, END_HEADERS | END_STREAM, 1, &whole)].concat(),
            1,
        ),
        (
            "settings of five bytes",
            [frame(SETTINGS, 0, 0, &[0; 5]), frame(HEADERS, END_HEADERS | END_STREAM, 1, &whole)].concat(),
            1,
        ),
        ("continuations without end", [frame(HEADERS, END_STREAM, 1, front), many].concat(), 1),
        ("a block without end", [frame(HEADERS, END_STREAM, 1, &whole), grown].concat(), 1),
    ] {
        let ended = tls.http2().await.ask(&frames, stream).await;
        assert!(matches!(ended, Ended::Closed | Ended::Reset | Ended::Status(431)), "{what}: {ended:?}");
        assert!(tls.recorder.requests().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn opening_and_resetting_streams_is_not_free() {
    let tls = Tls::start().await;
    let whole = block(&fields(&[], &[]));
    let flood: Vec<u8> = (0..5_000_u32)
        .flat_map(|n| {
            let stream = n * 2 + 1;
            let asked = frame(HEADERS, END_HEADERS | END_STREAM, stream, &whole);
            [asked, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        })
        .collect();
    assert_eq!(tls.http2().await.ask(&flood, 1).await, Ended::Closed);
    let (ended, _) = tls.ask(&fields(&[], &[]), None).await;
    assert_eq!(ended, Ended::Status(200), "others are served on");
}

#[tokio::test]
async fn a_connection_is_for_the_host_of_its_certificate() {
    let tls_world = Tls::start().await;
    let (address, cert) = (tls_world.world.address, &tls_world.cert);
    for (name, host, expect) in [
        ("hub.test", "hub.test", 200),
        ("hub.test", "HUB.test:8443", 200),
        ("hub.test", "other.test", 421),
        ("hub.test", "hub.test.evil.test", 421),
        ("hub.test", "127.0.0.1", 421),
        // A client that knows only an address sends no name.
        ("127.0.0.1", "hub.test", 200),
    ] {
        let stream = tls(address, cert, name, "http/1.1").await;
        let answer = talk(stream, get("/a").replace("Host: hub.test", &format!("Host: {host}")).as_bytes()).await;
        assert_eq!(status(&answer), expect, "{name} {host}: {answer}");
        let mut connection = Http2::open(address, cert, name).await;
        let asked = block(&fields(&[(":authority", Some(host))], &[]));
        let ended = connection.ask(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &asked), 1).await;
        assert_eq!(ended, Ended::Status(expect), "{name} {host} over HTTP/2");
    }
    let mut connection = Http2::open(address, cert, "hub.test").await;
    for (stream, host, expect) in [(1, "hub.test", 200), (3, "other.test", 421), (5, "hub.test", 200)] {
        let asked = block(&fields(&[(":authority", Some(host))], &[]));
        let ended = connection.ask(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &asked), stream).await;
        assert_eq!(ended, Ended::Status(expect), "{host}");
    }
}
