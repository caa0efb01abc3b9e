//! The audit of the real program: what somebody does to its database is found by `trackside audit verify`, a kill leaves
//! it whole, and exports can be read.

use crate::binary::{Home, INGEST, PATIENCE, Ran, Running, eventually};
use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

const DATABASE: &str = "data/trackside.sqlite";

fn home() -> Home {
    Home::new(
        "
teams: {data: {}}
owners: {default: data}
rules: [{name: failed, when: {failed: {}}}]
tokens: [{name: stream, role: ingest, secret: {file: secrets/ingest}}]
",
    )
}

/// A server with what the local administrator needs to write to it.
struct Server {
    running: Running,
    admin: String,
    http: reqwest::Client,
}

impl Server {
    async fn start(home: &Home) -> Self {
        let running = home.serve().await;
        let admin = std::fs::read_to_string(home.path("data/admin.token")).unwrap().trim().to_owned();
        Self { running, admin, http: reqwest::Client::builder().timeout(PATIENCE).build().unwrap() }
    }

    async fn post(&self, path: &str, body: &Value) -> StatusCode {
        let request = self.http.post(format!("{}/api/v1/{path}", self.running.url)).bearer_auth(&self.admin);
        request.json(body).send().await.unwrap().status()
    }

    async fn make_token(&self, name: &str) {
        assert_eq!(self.post("tokens", &json!({"name": name, "role": "service"})).await, StatusCode::CREATED);
    }

    /// Runs `trackside audit …` against it.
    async fn audit(&self, home: &Home, words: &[&str]) -> Ran {
        let mut arguments = vec!["audit"];
        arguments.extend(words);
        arguments.extend(["--url", &self.running.url, "--data", "data"]);
        home.run(&arguments).await
    }

    /// Ends it in order; what was not sealed is sealed then.
    async fn stop(mut self) {
        self.running.signal("TERM").await;
        assert!(self.running.ended().await.success());
    }
}

/// A home whose trail has one checkpoint of each of three lives of a server.
async fn three_lives() -> Home {
    let home = home();
    for life in 0..3 {
        let server = Server::start(&home).await;
        server.make_token(&format!("one-{life}")).await;
        server.make_token(&format!("two-{life}")).await;
        server.stop().await;
    }
    home
}

/// Copies what a server left.
fn copied(from: &Home) -> Home {
    let home = home();
    std::fs::create_dir(home.path("data")).unwrap();
    for entry in std::fs::read_dir(from.path("data")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), home.path("data").join(entry.file_name())).unwrap();
        }
    }
    home
}

/// What is done to a database, and what `audit verify` says of it then.
const TAMPERED: [(&str, &str, &str); 14] = [
    ("nothing", "", "intact: "),
    ("a text is changed", "UPDATE audit SET summary = 'nothing' WHERE position = $2", "is not what was sealed"),
    ("somebody else did it", "UPDATE audit SET subject = 'mallory' WHERE position = $2", "is not what was sealed"),
    ("it went well", "UPDATE audit SET outcome = 'refused' WHERE position = $2", "is not what was sealed"),
    ("a digest", "UPDATE audit SET detail = '{\"after\":\"00\"}' WHERE position = $2", "is not what was sealed"),
    ("a row goes", "DELETE FROM audit WHERE position = $2", " rows, "),
    (
        "a row is put before the first",
        "INSERT INTO audit (position, at, subject, via, action, summary) VALUES (0, 0, 'bo', 'cli', 'a', 'b')",
        " rows, ",
    ),
    (
        "two change places",
        "UPDATE audit SET position = -1 WHERE position = $2;
         UPDATE audit SET position = $2 WHERE position = $2 + 1;
         UPDATE audit SET position = $2 + 1 WHERE position = -1",
        "is not what was sealed",
    ),
    ("the newest rows go", "DELETE FROM audit WHERE position >= $3", "checkpoint 3"),
    (
        "the newest rows go, with their checkpoint",
        "DELETE FROM audit WHERE position >= $3; DELETE FROM audit_checkpoints WHERE number = 3",
        "checkpoint 3 is missing",
    ),
    (
        "the oldest rows go, with their checkpoint",
        "DELETE FROM audit WHERE position < $2; DELETE FROM audit_checkpoints WHERE number = 1",
        "the trail begins with checkpoint 2, and no row says",
    ),
    (
        "those between go, with their checkpoint",
        "DELETE FROM audit WHERE position >= $2 AND position < $3; DELETE FROM audit_checkpoints WHERE number = 2",
        "checkpoint 3 follows checkpoint 1",
    ),
    (
        "one checkpoint takes the place of another",
        "UPDATE audit_checkpoints SET number = 9 WHERE number = 1; UPDATE audit_checkpoints SET number = 1 WHERE number = 2;
         UPDATE audit_checkpoints SET number = 2 WHERE number = 9",
        "checkpoint 1 does not continue",
    ),
    ("a checkpoint is changed", "UPDATE audit_checkpoints SET at = at + 1 WHERE number = 2", "the signature does not fit"),
];

#[tokio::test]
async fn whatever_is_done_to_the_database_is_found() {
    let sealed = three_lives().await;
    let database = Connection::open(sealed.path(DATABASE)).unwrap();
    let first = |number: i64| {
        let sql = "SELECT first FROM audit_checkpoints WHERE number = $1";
        database.query_row(sql, [number], |row| row.get::<_, i64>(0)).unwrap().to_string()
    };
    let (second, third) = (first(2), first(3));
    let count: i64 = database.query_row("SELECT count(*) FROM audit_checkpoints", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 3, "a life is shorter than the time between two checkpoints");
    drop(database);
    for (what, sql, expect) in TAMPERED {
        let home = copied(&sealed);
        let database = Connection::open(home.path(DATABASE)).unwrap();
        database.execute_batch(&sql.replace("$2", &second).replace("$3", &third)).unwrap();
        drop(database);
        let server = Server::start(&home).await;
        let said = server.audit(&home, &["verify"]).await;
        assert_eq!((said.code != 0, said.out.contains(expect)), (!sql.is_empty(), true), "{what}: {said:?}");
        // An export taken elsewhere says the same.
        server.audit(&home, &["export", "--output", "audit.jsonl"]).await.good();
        let file = home.run(&["audit", "verify", "audit.jsonl"]).await;
        assert_eq!((file.code, file.out.contains(expect)), (said.code, true), "{what}: {file:?}");
        if what == "the newest rows go, with their checkpoint" {
            // The server noticed, and its restart does not cover it up.
            server.stop().await;
            let server = Server::start(&home).await;
            let said = server.audit(&home, &["verify"]).await;
            assert!(said.code == 1 && said.out.contains("checkpoint 3 was made at"), "{said:?}");
            let on = server.audit(&home, &["verify", "--from", "4"]).await;
            assert_eq!(on.code, 0, "{on:?}");
        }
    }
}

#[tokio::test]
async fn a_noted_checkpoint_finds_a_trail_that_was_written_anew_with_the_key() {
    let home = three_lives().await;
    let server = Server::start(&home).await;
    let newest = server.audit(&home, &["verify", "--json"]).await.json()["newest"].as_str().unwrap().to_owned();
    assert_eq!(server.audit(&home, &["verify", "--holds", &newest]).await.code, 0);
    // Somebody who has the key makes another trail, as long as this one.
    let other = self::home();
    std::fs::create_dir(other.path("data")).unwrap();
    std::fs::copy(home.path("data/audit.key"), other.path("data/audit.key")).unwrap();
    for life in 0..3 {
        let server = Server::start(&other).await;
        server.make_token(&format!("other-{life}")).await;
        server.stop().await;
    }
    let server = Server::start(&other).await;
    assert_eq!(server.audit(&other, &["verify"]).await.code, 0);
    let found = server.audit(&other, &["verify", "--holds", &newest]).await;
    assert!(found.code == 1 && found.out.contains("is not the one that was noted"), "{found:?}");
}

#[tokio::test]
async fn a_kill_between_two_writes_leaves_the_trail_whole() {
    let home = home();
    let mut made = Vec::new();
    for life in 0..4 {
        let server = Server::start(&home).await;
        let mut clients = JoinSet::new();
        for client in 0..3 {
            let (http, admin) = (server.http.clone(), server.admin.clone());
            let url = format!("{}/api/v1/tokens", server.running.url);
            clients.spawn(async move {
                let mut made = Vec::new();
                for token in 0.. {
                    let name = format!("t-{life}-{client}-{token}");
                    let request = http.post(&url).bearer_auth(&admin).json(&json!({"name": name, "role": "service"}));
                    match request.send().await {
                        Ok(answer) if answer.status() == StatusCode::CREATED => made.push(name),
                        _ => break,
                    }
                }
                made
            });
        }
        let busy = format!("audit?action=token.created&limit={}", 20 * (life + 1));
        eventually("much is written", PATIENCE, async || {
            let rows = server.running.get(&busy).await["items"].as_array().unwrap().len();
            (rows >= 20 * (life + 1)).then_some(())
        })
        .await;
        server.running.kill().await;
        while let Some(names) = clients.join_next().await {
            made.extend(names.unwrap());
        }
    }
    let server = Server::start(&home).await;
    let told = server.running.all("audit?action=token.created").await;
    let resources: Vec<&str> = told.iter().filter_map(|row| row["resource"].as_str()).collect();
    for name in &made {
        let resource = format!("token:{name}");
        assert_eq!(resources.iter().filter(|found| **found == resource).count(), 1, "{name}");
    }
    assert!(made.len() > 60, "{} tokens were made", made.len());
    assert_eq!(server.audit(&home, &["verify"]).await.code, 0);
    server.stop().await;
    let server = Server::start(&home).await;
    let verified = server.audit(&home, &["verify", "--json"]).await.json();
    assert!(verified["rows"].as_u64().unwrap() > made.len() as u64, "{verified}");
}

#[tokio::test]
async fn a_file_for_a_siem_has_one_line_for_each_row_whatever_people_write() {
    let home = home();
    let server = Server::start(&home).await;
    let failed = json!({"id": "x", "event": "x.failed", "occurred": "2026-11-20T02:14:00Z",
        "run": {"pipeline": "x", "run_id": "1", "state": "failed"}});
    let url = format!("{}/api/v1/events", server.running.url);
    let sent = server.http.post(url).bearer_auth(INGEST).json(&failed).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    eventually("an incident", PATIENCE, async || (!server.running.all("incidents").await.is_empty()).then_some(()))
        .await;
    let hostile = "a=b|c\\d\nCEF:0|Fake|x|1|y|y|3|suser\\=root\r\nend";
    let noted = server.post("incidents/1/note", &json!({"text": hostile})).await;
    assert!(noted.is_success(), "{noted}");
    eventually("it is decided", Duration::from_secs(10), async || {
        let rows = server.running.all("audit?action=incident.noted").await;
        (!rows.is_empty()).then_some(())
    })
    .await;
    let rows = server.running.all("audit").await.len();
    let out = server.audit(&home, &["export", "--format", "cef"]).await.good();
    assert!(out.lines().count() >= rows, "{out}");
    for line in out.lines() {
        // Seven bars that are not escaped make the header, and every field of the rest has a key.
        assert!(line.starts_with("CEF:0|Trackside|trackside|"), "{line}");
        let unescaped = line.replace("\\\\", "").replace("\\|", "");
        assert!(unescaped.split('|').count() >= 8, "{line}");
    }
    let noted: Vec<&str> = out.lines().filter(|line| line.contains("|incident.noted|")).collect();
    let [noted] = noted[..] else { panic!("{out}") };
    assert!(noted.contains("a\\=b|c\\\\d\\nCEF:0|Fake|x|1|y|y|3|suser\\\\\\=root\\nend"), "{noted}");
    // Nothing of an export is a row by itself: `list` and the export agree.
    let listed = server.audit(&home, &["list", "--action", "incident.noted", "--json"]).await.json();
    assert_eq!(listed["items"][0]["summary"], hostile.trim());
    assert_eq!(listed["items"][0]["outcome"], "done");
}
