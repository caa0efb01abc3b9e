//! `trackside serve`: stopping gracefully, a new configuration while it runs, one server per database, HTTPS.

use crate::binary::{Home, INGEST, PATIENCE, Running, eventually, redact};
use insta::assert_snapshot;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use trackside_sim::behaviour::Behaviour;
use trackside_sim::far_ends::FarEnds;
use trackside_sim::journal::Journal;

const CONFIGURATION: &str = "\
teams: {data: {notify: [{via: pager}]}}
owners: {default: data}
connections:
  pager: {kind: pagerduty, url: 'http://127.0.0.1:9', routing_key: {file: secrets/pagerduty}}
tokens: [{name: airflow, role: ingest, secret: {file: secrets/ingest}}]
";

/// A request whose body is only half sent.
async fn half_sent(running: &Running) -> (TcpStream, &'static str) {
    const BODY: &str = "{\"id\": \"late\", \"event\": \"it.was.on.its.way\"}";
    let address = running.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (first, rest) = BODY.split_at(10);
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {INGEST}\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body when its handler reads it: from here on the request is running.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(first.as_bytes()).await.unwrap();
    (stream, rest)
}

async fn stops_gracefully(signal: &str) {
    let home = Home::new(CONFIGURATION);
    let mut running = home.serve().await;
    let (mut stream, rest) = half_sent(&running).await;
    running.signal(signal).await;
    running.says("stopping").await;
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(running.ended().await.success(), "{}", running.log());
    let again = home.serve().await;
    let events = again.all("events").await;
    assert_eq!((events.len(), &events[0]["event"]), (1, &json!("it.was.on.its.way")));
}

#[tokio::test]
async fn ctrl_c_lets_running_requests_end() {
    stops_gracefully("INT").await;
}

#[tokio::test]
async fn sigterm_lets_running_requests_end() {
    stops_gracefully("TERM").await;
}

#[tokio::test]
async fn a_message_on_its_way_is_recorded_before_the_end() {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = Home::new(&CONFIGURATION.replace("http://127.0.0.1:9", &ends.pagerduty.url()));
    let mut running = home.serve().await;
    ends.pagerduty.set(Behaviour::Hang).await;
    running.send(&json!({"event": "x", "run": {"pipeline": "p", "run_id": "1", "state": "failed"}})).await;
    eventually("the far end is asked", PATIENCE, async || (!ends.pagerduty.requests().is_empty()).then_some(())).await;
    running.signal("TERM").await;
    running.says("stopping").await;
    // The far end hangs up. That is the outcome, and it is there after the next start; nothing is in doubt of a process.
    ends.pagerduty.set(Behaviour::Healthy).await;
    assert!(running.ended().await.success(), "{}", running.log());
    let again = home.serve().await;
    again.settle(PATIENCE).await;
    let row = again.all("deliveries").await.remove(0);
    let detail = again.get(&format!("deliveries/{}", row["id"].as_str().unwrap())).await;
    let verdicts: Vec<&str> =
        detail["log"].as_array().unwrap().iter().map(|a| a["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["unknown", "done"], "{detail:#}");
    assert!(!detail.to_string().contains("the process ended"), "{detail:#}");
}

#[tokio::test]
async fn a_hangup_reads_the_configuration_again_and_a_bad_one_changes_nothing() {
    let home = Home::new(CONFIGURATION);
    let mut running = home.serve().await;
    let names = async |running: &Running| {
        let list = running.get("connections").await;
        list.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&running).await, ["pager"]);
    let hook = "connections:\n  hook: {kind: webhook, url: 'http://127.0.0.1:9/', secret: {file: secrets/webhook}}\n";
    home.write("config/more.yaml", hook);
    running.signal("HUP").await;
    running.says("the configuration was read again and is in force").await;
    assert_eq!(names(&running).await, ["hook", "pager"]);

    home.write("config/more.yaml", "connections:\n  hook: {kind: webhok}\n");
    running.signal("HUP").await;
    let refused = running.says("the configuration was not changed").await;
    assert!(refused.contains("config cannot be used"), "{refused}");
    running.says("more.yaml:2:").await;
    assert_eq!(names(&running).await, ["hook", "pager"], "the one in force stays");
    running.send(&json!({"event": "still.there"})).await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let home = Home::new(CONFIGURATION);
    let running = home.serve().await;
    let second = home.run(&["serve", "--config", "config"]).await;
    assert_eq!(second.code, 1);
    assert_snapshot!(redact(&home, &second.err), @"error: data/trackside.sqlite is in use by another Trackside process; stop it first, or point `server.data` somewhere else");
    running.send(&json!({"event": "still.there"})).await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let home = Home::new(CONFIGURATION);
    let running = home.serve().await;
    let other = Home::new(CONFIGURATION);
    let taken = running.url.trim_start_matches("http://");
    let mut command = other.command(&["serve", "--config", "config"]);
    command.env("TRACKSIDE_LISTEN", taken);
    let ran = crate::binary::finish(command).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains(&format!("cannot listen on {taken}")), "{ran:?}");
}

#[tokio::test]
async fn https_with_a_certificate_of_ones_own() {
    let home = Home::new(CONFIGURATION);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let pem = made.cert.pem();
    home.write("cert.pem", &pem);
    home.write("key.pem", &made.signing_key.serialize_pem());
    home.write(
        "config/server.yaml",
        "server: {listen: '127.0.0.1:0', data: data, tls: {cert: cert.pem, key: key.pem}}\n",
    );
    let running = home.serve().await;
    assert!(running.url.starts_with("https://127.0.0.1:"), "{}", running.url);

    let events = format!("{}/api/v1/events", running.url);
    let trusting = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusting]).timeout(PATIENCE).build().unwrap();
    let taken = client.post(&events).bearer_auth(INGEST).json(&json!({"event": "encrypted"})).send().await.unwrap();
    assert_eq!(taken.status().as_u16(), 202);
    // Who does not know the certificate is not talked into it.
    let stranger = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    assert!(stranger.post(&events).send().await.unwrap_err().is_connect());
    // The command line trusts what the system trusts, which SSL_CERT_FILE adds to.
    let words = ["events", "tail", "--no-follow", "--json", "--url", &running.url];
    let refused = home.run(&words).await;
    assert!(refused.code == 1 && refused.err.contains("certificate"), "{refused:?}");
    let mut command = home.command(&words);
    command.env("SSL_CERT_FILE", home.path("cert.pem"));
    assert_eq!(crate::binary::finish(command).await.json()["event"], "encrypted");

    home.write("key.pem", "no key\n");
    let bad = home.run(&["serve", "--config", "config"]).await;
    assert_eq!(bad.code, 1);
}
