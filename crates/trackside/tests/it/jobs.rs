//! Jobs through the real program: asked for, attached to, replayed, polled, called back, ended; and what becomes of a
//! call when the server, the target or the network between them goes away in the middle of it.

use crate::binary::{Home, PATIENCE, Running, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use trackside_sim::behaviour::Behaviour;
use trackside_sim::far_ends::{FarEnd, FarEnds};
use trackside_sim::journal::Journal;
use trackside_sim::service::Service;

/// The token of a program that starts jobs.
const ETL: &str = "service-token-of-the-tests-0123456789";
/// The token of somebody who looks.
const VIEWER: &str = "viewer-token-of-the-tests-01234567890";

fn home(ends: &FarEnds) -> Home {
    let fast = "delivery: {rate_per_second: 1000, burst: 10000, timeout: 2s}";
    let home = Home::new(&format!(
        "
teams: {{data: {{}}}}
owners: {{default: data}}
connections:
  keyed: {{kind: http, url: '{keyed}', {fast}, credential: {{kind: bearer, token: {{file: secrets/webhook}}}}}}
  plain: {{kind: http, url: '{plain}', {fast}}}
tokens:
  - {{name: etl, role: service, secret: {{file: secrets/etl}}}}
  - {{name: look, role: viewer, secret: {{file: secrets/viewer}}}}
  - {{name: stream, role: ingest, secret: {{file: secrets/ingest}}}}
jobs:
  keyed:
    target: {{kind: http, connection: keyed, path: /sync, idempotency: key}}
    retry: {{attempts: 5, backoff: 1s}}
    input: {{type: object, required: [customer], properties: {{customer: {{type: string}}}}, additionalProperties: false}}
    result: {{type: object, required: [number]}}
  plain: {{target: {{kind: http, connection: plain, path: /sync}}, retry: {{attempts: 3, backoff: 1s}}}}
  polled: {{target: {{kind: http, connection: plain, path: /poll, mode: {{kind: poll, every: 1s}}}}}}
  called: {{target: {{kind: http, connection: plain, path: /callback, mode: {{kind: callback}}}}, timeout: 10m}}
  broken: {{target: {{kind: http, connection: plain, path: /fail}}}}
",
        keyed = ends.keyed.url(),
        plain = ends.plain.url(),
    ));
    home.write("secrets/etl", ETL);
    home.write("secrets/viewer", VIEWER);
    home
}

/// A program that starts jobs.
struct Etl<'a> {
    http: reqwest::Client,
    server: &'a Running,
}

impl<'a> Etl<'a> {
    fn at(server: &'a Running) -> Self {
        Self { http: reqwest::Client::builder().timeout(PATIENCE).build().unwrap(), server }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> (StatusCode, Value) {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.server.url) };
        let mut request = self.http.request(method, url).bearer_auth(ETL).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn start(&self, job: &str, key: &str, attempt: &str, input: Value) -> (StatusCode, Value) {
        let headers = [("idempotency-key", key), ("trackside-attempt", attempt)];
        self.ask(Method::POST, &format!("/jobs/{job}/runs"), &headers, &input).await
    }

    /// The run when it has ended.
    async fn done(&self, run: &Value) -> Value {
        let path = format!("/jobs/{}/runs/{}?wait=20", run["job"].as_str().unwrap(), run["id"].as_str().unwrap());
        eventually("the run ends", PATIENCE, async || {
            let (_, run) = self.ask(Method::GET, &path, &[], &Value::Null).await;
            (run["done"] == json!(true)).then_some(run)
        })
        .await
    }
}

async fn executed(end: &FarEnd<Service>, times: usize) {
    eventually("it is executed", PATIENCE, async || (end.state().executions().len() >= times).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_asked_for_attached_to_and_replayed() {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = home(&ends);
    let server = home.serve().await;
    let etl = Etl::at(&server);
    let input = json!({"customer": "acme"});
    let (status, misfit) = etl.start("keyed", "k0", "1", json!({"customer": 7, "x": 1})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let pointers: Vec<&str> =
        misfit["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert!(pointers.contains(&"/customer"), "{misfit}");
    let (status, run) = etl.start("keyed", "k1", "1", input.clone()).await;
    assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::OK), "{status} {run}");
    let run = etl.done(&run).await;
    assert_eq!(run["output"], json!({"number": 1, "input": input}));
    assert_eq!(run["identity"]["subject"], "etl");
    let (status, again) = etl.start("keyed", "k1", "2", input.clone()).await;
    assert_eq!((status, &again["id"]), (StatusCode::OK, &run["id"]));
    let (status, _) = etl.start("keyed", "k1", "2", json!({"customer": "other"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(etl.start("nothing", "k", "1", input.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(ends.keyed.state().executions().len(), 1);
    // A refusal is final until the caller tries again.
    let (_, failed) = etl.start("broken", "b", "1", json!({})).await;
    let failed = etl.done(&failed).await;
    assert_eq!((&failed["state"], &failed["error"]["class"]), (&json!("failed"), &json!("refused")));
    assert!(failed["error"]["message"].as_str().unwrap().contains("no such customer"), "{failed}");
    let (status, second) = etl.start("broken", "b", "2", json!({})).await;
    assert_eq!((status, &second["previous"]), (StatusCode::ACCEPTED, &failed["id"]));
    // It is a run like any other.
    let runs = server.all("runs?source=trackside.jobs&pipeline=keyed").await;
    assert_eq!((runs.len(), &runs[0]["state"]), (1, &json!("succeeded")));
}

/// What goes into a job and comes out of it is its caller's; others see it without what looks like a secret.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_a_job_are_its_callers_alone() {
    const SECRET: &str = "word-of-the-far-end-4711";
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = home(&ends);
    let server = home.serve().await;
    let etl = Etl::at(&server);
    let (_, run) = etl.start("plain", "s", "1", json!({"password": SECRET, "rows": 1})).await;
    let run = etl.done(&run).await;
    assert_eq!(run["output"]["input"], json!({"password": SECRET, "rows": 1}));
    let (_, listed) = etl.ask(Method::GET, "/jobs/plain/runs", &[], &Value::Null).await;
    assert_eq!((listed["items"][0]["id"].clone(), listed["items"][0].get("output")), (run["id"].clone(), None));
    let path = format!("/jobs/plain/runs/{}", run["id"].as_str().unwrap());
    let see = async |path: &str, accept: &str| {
        let url = format!("{}{path}", server.url);
        let request = etl.http.get(url).bearer_auth(VIEWER).header("accept", accept);
        request.send().await.unwrap().text().await.unwrap()
    };
    let seen = see(&path, "application/json").await;
    assert!(seen.contains(r#""rows":1"#) && !seen.contains(SECRET), "{seen}");
    let calls: Value = serde_json::from_str(&see("/api/v1/deliveries?limit=10", "application/json").await).unwrap();
    let call = calls["items"][0]["id"].as_str().unwrap();
    let call = see(&format!("/api/v1/deliveries/{call}"), "application/json").await;
    assert!(call.contains("rows") && !call.contains(SECRET), "{call}");
    assert!(!server.log().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_end_is_polled_or_calls_back_and_is_told_to_stop() {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = home(&ends);
    let server = home.serve().await;
    let etl = Etl::at(&server);
    let (_, run) = etl.start("polled", "p", "1", json!({"n": 1})).await;
    let run = etl.done(&run).await;
    assert_eq!(run["output"], json!({"status": "succeeded", "number": 1}));
    let (_, run) = etl.start("called", "c", "1", json!({})).await;
    let callback = eventually("it gets an address", PATIENCE, async || ends.plain.state().callbacks().pop()).await;
    let body = json!({"status": "succeeded", "output": {"rows": 3}});
    let forged = format!("{callback}x");
    assert_eq!(etl.ask(Method::POST, &forged, &[], &body).await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        etl.ask(Method::POST, &callback, &[], &json!({"status": "maybe"})).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(etl.ask(Method::POST, &callback, &[], &body).await.0, StatusCode::NO_CONTENT);
    let late = json!({"status": "failed", "error": "again"});
    assert_eq!(etl.ask(Method::POST, &callback, &[], &late).await.0, StatusCode::NO_CONTENT);
    assert_eq!(etl.done(&run).await["output"], json!({"rows": 3}), "it works once");
    // One that is cancelled is stopped where it is kept.
    let (_, run) = etl.start("called", "d", "1", json!({})).await;
    executed(&ends.plain, 3).await;
    let path = format!("/jobs/called/runs/{}", run["id"].as_str().unwrap());
    eventually("the far end has accepted", PATIENCE, async || {
        let deliveries = server.all("deliveries?connection=plain").await;
        deliveries.iter().all(|row| row["state"] == "delivered").then_some(())
    })
    .await;
    let (status, run) = etl.ask(Method::POST, &format!("{path}/cancel"), &[], &Value::Null).await;
    assert_eq!((status, &run["state"]), (StatusCode::OK, &json!("cancelled")));
    eventually("it is told to stop", PATIENCE, async || (ends.plain.state().stopped() == [3]).then_some(())).await;
    let wait =
        home.run(&["jobs", "run", "plain", "--url", &server.url, "--input", "{\"n\": 5}", "--wait", "--json"]).await;
    assert_eq!(wait.json()["output"]["input"], json!({"n": 5}));
}

/// The worst moment: the target has done the work, and the answer is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_killed_in_the_middle_of_a_call() {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = home(&ends);
    let server = home.serve().await;
    let etl = Etl::at(&server);
    for end in [&ends.keyed, &ends.plain] {
        end.set(Behaviour::SlowBody).await;
    }
    let input = json!({"customer": "acme"});
    let (_, keyed) = etl.start("keyed", "k", "1", input.clone()).await;
    let (_, plain) = etl.start("plain", "k", "1", input.clone()).await;
    executed(&ends.keyed, 1).await;
    executed(&ends.plain, 1).await;
    server.kill().await;
    for end in [&ends.keyed, &ends.plain] {
        end.set(Behaviour::Healthy).await;
    }
    let server = home.serve().await;
    let etl = Etl::at(&server);
    // The caller asks again under the same key, and is attached.
    let (_, again) = etl.start("keyed", "k", "1", input.clone()).await;
    assert_eq!(again["id"], keyed["id"]);
    assert_eq!(etl.done(&keyed).await["output"]["number"], 1);
    let unknown = etl.done(&plain).await;
    assert_eq!((&unknown["state"], &unknown["in_doubt"]), (&json!("unknown"), &json!(true)));
    // A new try of the caller's does not repeat it; somebody looks and says what became of it.
    assert_eq!(etl.start("plain", "k", "2", input.clone()).await.1["id"], plain["id"]);
    let path = format!("jobs/plain/runs/{}", plain["id"].as_str().unwrap());
    let settle =
        ["jobs", "settle", "plain", plain["id"].as_str().unwrap(), "--succeeded", "--output", "{\"number\": 1}"];
    let settled = home.run(&[&settle[..], &["--url", &server.url, "--json"]].concat()).await.json();
    assert_eq!(settled["state"], "succeeded", "{path}");
    assert_eq!(etl.start("plain", "k", "2", input).await.1["output"], json!({"number": 1}));
    assert_eq!((ends.keyed.state().executions().len(), ends.plain.state().executions().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_is_cut_after_the_call_was_sent() {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = home(&ends);
    let server = home.serve().await;
    let etl = Etl::at(&server);
    for end in [&ends.keyed, &ends.plain] {
        end.set(Behaviour::DropAfterAccept).await;
    }
    let input = json!({"customer": "acme"});
    let (_, keyed) = etl.start("keyed", "k", "1", input.clone()).await;
    let (_, plain) = etl.start("plain", "k", "1", input.clone()).await;
    executed(&ends.keyed, 1).await;
    ends.keyed.set(Behaviour::Healthy).await;
    assert_eq!(etl.done(&keyed).await["output"]["number"], 1);
    assert_eq!(etl.done(&plain).await["state"], "unknown");
    assert_eq!((ends.keyed.state().executions().len(), ends.plain.state().executions().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_is_away_and_comes_back() {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let home = home(&ends);
    let server = home.serve().await;
    let etl = Etl::at(&server);
    ends.plain.set(Behaviour::Refuse).await;
    let (_, first) = etl.start("plain", "a", "1", json!({})).await;
    let gone = etl.done(&first).await;
    assert_eq!((&gone["state"], &gone["error"]["class"]), (&json!("failed"), &json!("unavailable")));
    assert_eq!(gone["in_doubt"], json!(false), "nothing was sent");
    ends.plain.set(Behaviour::Status { code: 503, retry_after: Some(1) }).await;
    let (_, second) = etl.start("plain", "a", "2", json!({})).await;
    assert_eq!(second["previous"], first["id"]);
    eventually("it is asked", PATIENCE, async || (!ends.plain.requests().is_empty()).then_some(())).await;
    ends.plain.set(Behaviour::Healthy).await;
    assert_eq!(etl.done(&second).await["state"], "succeeded");
    assert_eq!(ends.plain.state().executions().len(), 1);
}
