//! What people expect of a proxy, and what an upstream must not be able to do to them.

use crate::recorder::Recorder;
use crate::token::{Keys, SUBJECT};
use crate::world::{TOKEN, World, get, plain, route, status};
use serde_json::json;
use std::collections::BTreeMap;
use trackside_gateway::identity::told;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::roster::{Listed, Roster, Standing};
use trackside_identity::scim::user::User;

async fn world(further: serde_json::Value, answer: &'static str) -> (World, Recorder) {
    let (recorder, port) = Recorder::start(answer).await;
    (World::start(&Keys::new(), plain(), route(&further), port).await, recorder)
}

#[tokio::test]
async fn a_request_goes_through_and_tells_who_calls() {
    let (world, recorder) = world(json!({"identity_headers": {"subject": "x-caller"}}), "").await;
    let answer = world.get("/a/%7Eb?c=%2F").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("{\"ok\":true}"), "{answer}");
    let seen = recorder.requests();
    assert_eq!(seen[0].line, "GET /a/~b?c=%2F HTTP/1.1");
    assert_eq!(seen[0].all("x-caller"), ["tester"]);
    assert_eq!(seen[0].all("x-forwarded-for"), ["127.0.0.1"]);
    assert!(seen[0].all("authorization").is_empty());
}

#[tokio::test]
async fn whoever_is_gone_is_refused_at_once_though_their_token_is_good() {
    let (recorder, port) = Recorder::start("").await;
    let (keys, further) = (Keys::new(), json!({"access": "authenticated", "identity_headers": {"teams": "x-teams"}}));
    let world = World::start(&keys, plain(), route(&further), port).await;
    let token = keys.token(&json!("good"));
    let request = format!("GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    let people = |standing: Standing| {
        let rules = json!({"teams": {"ml": {}}, "owners": {"default": "ml"}});
        let user = User::parse(json!({"userName": SUBJECT})).unwrap();
        let listed = [Listed { user, standing, groups: vec!["ml".to_owned()] }];
        Roster::new(&listed, &serde_json::from_value(rules).unwrap(), &BTreeMap::new())
    };
    *world.roster.write().unwrap() = people(Standing::Here);
    let answer = world.send(request.as_bytes()).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(recorder.requests()[0].all("x-teams"), ["ml"], "teams of the directory count here too");
    *world.roster.write().unwrap() = people(Standing::Inactive);
    let answer = world.send(request.as_bytes()).await;
    assert!(status(&answer) == 401 && answer.contains("is not active in the directory"), "{answer}");
    assert_eq!(status(&world.get("/a").await), 200, "programs with tokens of ours are no people");
}

#[test]
fn a_name_with_a_comma_is_not_told_as_two() {
    let caller = trackside_core::caller::Caller::new("ana", "jwt");
    let mut who = Identity::simple(caller, Kind::Person, trackside_identity::role::Role::Viewer);
    who.names = ["jobs.run", "x,admin"].map(str::to_owned).into();
    assert_eq!(told("names", &who).unwrap(), "jobs.run");
}

#[tokio::test]
async fn trailers_end_here() {
    let (world, recorder) = world(json!({}), "").await;
    let request = format!(
        "POST /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\nX-Role: admin\r\n\r\n"
    );
    assert_eq!(status(&world.send(request.as_bytes()).await), 200);
    let seen = recorder.requests();
    assert_eq!((seen[0].body.as_slice(), seen[0].trailers.len()), (b"abc".as_slice(), 0));
}

#[tokio::test]
async fn a_split_answer_does_not_reach_the_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ] {
        let (world, _recorder) = world(json!({}), answer).await;
        let got = world.get("/a").await;
        assert_eq!(status(&got), 502, "{answer:?}\n{got}");
    }
}

#[tokio::test]
async fn what_comes_behind_an_answer_is_nobodys() {
    let extra = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let (world, _recorder) = world(json!({}), extra).await;
    for _ in 0..3 {
        let got = world.get("/a").await;
        assert!(got.ends_with("\r\n\r\nok"), "{got}");
    }
}

#[tokio::test]
async fn limits_answer_with_their_status() {
    let (world, recorder) = world(json!({"match": {"path": "/a/**", "methods": ["GET", "POST"]}, "body_limit": 4, "rate_limit": {"per_second": 1, "burst": 2}}), "").await;
    assert_eq!(status(&world.get("/b").await), 404);
    let put = get("/a").replacen("GET", "PUT", 1);
    let answer = world.send(put.as_bytes()).await;
    assert!(status(&answer) == 405 && answer.contains("allow: GET, POST"), "{answer}");
    let post =
        format!("POST /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 5\r\n\r\nabcde");
    assert_eq!(status(&world.send(post.as_bytes()).await), 413);
    assert_eq!(status(&world.get("/a").await), 200);
    let limited = world.get("/a").await;
    assert!(status(&limited) == 429 && limited.contains("retry-after: 1"), "{limited}");
    assert_eq!(recorder.requests().len(), 1);
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let (recorder, port) = Recorder::start("").await;
    let settings = json!({"listen": "127.0.0.1:0", "head_timeout": "1s"});
    let world = World::start(&Keys::new(), settings, route(&json!({})), port).await;
    assert_eq!(status(&world.send(b"GET /a HTTP/1.1\r\nHost: h\r\n").await), 408);
    assert!(recorder.requests().is_empty());
}

#[tokio::test]
async fn a_load_balancer_tells_the_client() {
    let (recorder, port) = Recorder::start("").await;
    let settings = json!({"listen": "127.0.0.1:0", "proxy_protocol": {"from": ["127.0.0.0/8"]}});
    let world = World::start(&Keys::new(), settings, route(&json!({})), port).await;
    let request = format!("PROXY TCP4 192.0.2.7 10.0.0.1 5000 80\r\n{}", get("/a"));
    assert_eq!(status(&world.send(request.as_bytes()).await), 200);
    assert_eq!(recorder.requests()[0].all("x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(status(&world.get("/a").await), 0);
}

#[tokio::test]
async fn routes_change_while_it_serves() {
    let (world, recorder) = world(json!({}), "").await;
    assert_eq!(status(&world.get("/a").await), 200);
    world.put(route(&json!({"needs": ["nobody-has-this"]})));
    assert_eq!(status(&world.get("/a").await), 403);
    assert_eq!(recorder.requests().len(), 1);
    let records = world.gateway.take_records().records;
    assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [200, 403]);
    world.stop.send_replace(true);
    world.serving.await.unwrap();
}
