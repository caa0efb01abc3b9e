//! What an upstream answers, and what of it reaches the client; and clients that are slow.

use crate::recorder::Recorder;
use crate::token::Keys;
use crate::wire::{END_HEADERS, END_STREAM, Ended, HEADERS, Http2, block, certificate, frame};
use crate::world::{TOKEN, World, get, plain, route, status};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trackside_gateway::record::Ended as RecordEnded;

async fn world(settings: serde_json::Value, answer: &'static str) -> (World, Recorder) {
    let (recorder, port) = Recorder::start(answer).await;
    (World::start(&Keys::new(), settings, route(&json!({})), port).await, recorder)
}

#[tokio::test]
async fn answers_that_can_be_read_in_two_ways_end_here() {
    for answer in [
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 0, 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        "ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nX: a\nb\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n",
        "garbage\r\n\r\n",
    ] {
        let (world, _recorder) = world(plain(), answer).await;
        let got = world.get("/a").await;
        assert_eq!(status(&got), 502, "{answer:?}\n{got}");
        assert!(!got.contains("x: a"), "{answer:?}\n{got}");
    }
}

#[tokio::test]
async fn interim_answers_stay_here() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (world, _recorder) = world(plain(), answer).await;
    for _ in 0..2 {
        let got = world.get("/a").await;
        assert!(got.starts_with("HTTP/1.1 200") && got.ends_with("\r\n\r\nok") && !got.contains("</x>"), "{got}");
    }
}

#[tokio::test]
async fn what_belongs_to_one_connection_stays_on_it() {
    let answer = "HTTP/1.1 200 OK\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nServer: s\r\n\
                  X-Powered-By: p\r\nTrailer: x-late\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nTransfer-Encoding: chunked\r\n\r\n\
                  2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n";
    let (world, _recorder) = world(plain(), answer).await;
    let got = world.get("/a").await;
    assert_eq!(status(&got), 200, "{got}");
    for gone in ["x-hop", "keep-alive: ", "server: ", "x-powered-by", "trailer", "x-late"] {
        assert!(!got.to_lowercase().contains(gone), "{gone}: {got}");
    }
    assert!(got.contains("set-cookie: a=1\r\nset-cookie: b=2"), "{got}");
    assert!(got.ends_with("\r\n2\r\nok\r\n0\r\n\r\n"), "{got}");
}

#[tokio::test]
async fn a_body_where_there_is_none_is_nobodys_answer() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (method, first) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 45\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let (world, _recorder) = world(plain(), Box::leak(format!("{first}{evil}").into_boxed_str())).await;
        for _ in 0..3 {
            let got = world.send(get("/a").replacen("GET", method, 1).as_bytes()).await;
            assert!(got.starts_with(&first[..12]) && !got.contains("evil"), "{method} {first:?}\n{got}");
        }
    }
}

#[tokio::test]
async fn a_cut_answer_does_not_look_whole() {
    for (answer, end) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", "\r\n0\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n", "\r\n0\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc", "abc1234567"),
    ] {
        let (world, _recorder) = world(plain(), answer).await;
        let got = world.get("/a").await;
        assert!(!got.ends_with(end), "{answer:?}\n{got}");
        let records = world.gateway.take_records().records;
        assert!(records.iter().all(|record| record.ended != RecordEnded::Answered), "{answer:?}");
    }
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let (world, recorder) = world(json!({"listen": "127.0.0.1:0", "head_timeout": "1s"}), "").await;
    let (mut reading, mut writing) = TcpStream::connect(world.address).await.unwrap().into_split();
    let drip = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        for byte in get("/a").bytes() {
            pace.tick().await;
            if writing.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    };
    let mut answer = String::new();
    tokio::select! {
        () = drip => {}
        read = reading.read_to_string(&mut answer) => drop(read),
    }
    assert_eq!(status(&answer), 408, "{answer}");
    assert!(recorder.requests().is_empty());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let (world, _recorder) = world(json!({"listen": "127.0.0.1:0", "body_timeout": "1s"}), "").await;
    let post = format!("POST /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 5\r\n\r\nab");
    let answer = world.send(post.as_bytes()).await;
    assert!(status(&answer) == 408 && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_not_waited_for() {
    let body = "x".repeat(32 * 1024 * 1024);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let settings = json!({"listen": "127.0.0.1:0", "write_timeout": "1s"});
    let (world, _recorder) = world(settings, Box::leak(answer.into_boxed_str())).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(get("/a").as_bytes()).await.unwrap();
    let ended = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        loop {
            pace.tick().await;
            if let Some(record) = world.gateway.take_records().records.pop() {
                return record.ended;
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert_eq!(ended, Ok(RecordEnded::Cut));
}

#[tokio::test]
async fn an_idle_http2_connection_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path());
    let settings = json!({"listen": "127.0.0.1:0", "idle_timeout": "1s", "tls": {"cert": cert, "key": key}});
    let (world, _recorder) = world(settings, "").await;
    let mut connection = Http2::open(world.address, &cert, "hub.test").await;
    let bearer = format!("Bearer {TOKEN}");
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "hub.test"),
        (":path", "/a"),
        ("authorization", bearer.as_str()),
    ];
    let asked = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields));
    assert_eq!(connection.ask(&asked, 1).await, Ended::Status(200));
    assert_eq!(connection.ask(&[], 3).await, Ended::Closed);
}
