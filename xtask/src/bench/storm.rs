//! A storm: alerts in a burst over many owners, here and, when one is installed, in an Alertmanager in the same run.
//!
//! Every alert is a problem of its own. Measured until every owner's first page came in: alerts accepted a second, pages
//! sent, time to the first page of the last owner, memory; then the process is killed right after the last alert of
//! another burst was accepted, and started again: how many alerts it still knows. Trackside makes every alert durable
//! before it answers; Alertmanager keeps them in memory and relies on its sender to repeat itself.

use super::receiver::Receiver;
use super::server::{self, Server};
use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ALERTS: usize = 10_000;
const OWNERS: usize = 50;
/// Alerts per request; Prometheus sends at most 64 by default.
const BATCH: usize = 64;
/// Requests at a time.
const SENDERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures and prints a table.
pub(super) async fn run(alertmanager: Option<&Path>) -> Result<()> {
    println!("storm: {ALERTS} alerts in a burst over {OWNERS} owners, {SENDERS} senders, {BATCH} alerts a request");
    println!(
        "{:<14} {:>11} {:>7} {:>16} {:>16} {:>9} {:>22}",
        "", "accepted/s", "pages", "first page ms", "last owner's ms", "RSS MB", "known after kill -9"
    );
    measure(Kind::Trackside).await?;
    match alertmanager {
        Some(program) => measure(Kind::Alertmanager(program)).await,
        None => {
            println!("no Alertmanager to compare with; give one with --alertmanager PROGRAM");
            Ok(())
        }
    }
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Trackside,
    Alertmanager(&'a Path),
}

enum Peer {
    /// The secret is read when something is sent.
    Trackside {
        server: Box<Server>,
        _secret: tempfile::NamedTempFile,
    },
    Alertmanager(Alertmanager),
}

impl Peer {
    fn start(kind: Kind<'_>, hook: &str) -> Result<Self> {
        Ok(match kind {
            Kind::Trackside => {
                let secret = tempfile::NamedTempFile::new()?;
                std::fs::write(secret.path(), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")?;
                let server = Box::new(Server::start(&configuration(hook, secret.path()))?);
                Self::Trackside { server, _secret: secret }
            }
            Kind::Alertmanager(program) => Self::Alertmanager(Alertmanager::start(program, hook)?),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Trackside { .. } => "trackside",
            Self::Alertmanager(_) => "alertmanager",
        }
    }

    fn base(&self) -> String {
        match self {
            Self::Trackside { server, .. } => format!("http://{}", server.address),
            Self::Alertmanager(peer) => format!("http://127.0.0.1:{}", peer.port),
        }
    }

    fn token(&self) -> &str {
        match self {
            Self::Trackside { .. } => server::TOKEN,
            Self::Alertmanager(_) => "",
        }
    }

    fn resident(&self) -> Result<u64> {
        match self {
            Self::Trackside { server, .. } => server.resident(),
            Self::Alertmanager(peer) => server::resident(peer.child.id()),
        }
    }

    fn restart(&mut self) -> Result<()> {
        match self {
            Self::Trackside { server, .. } => server.restart(),
            Self::Alertmanager(peer) => peer.restart(),
        }
    }

    /// Waits until it answers.
    async fn ready(&self, client: &Client) -> Result<()> {
        let path = match self {
            Self::Trackside { .. } => "/readyz",
            Self::Alertmanager(_) => "/-/ready",
        };
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let answer = client.get(format!("{}{path}", self.base())).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{} did not become ready", self.name())
    }

    /// How many alerts it knows of: those that arrive are counted until the number stands still.
    async fn known(&self, client: &Client) -> Result<usize> {
        let (mut last, mut same) = (0, 0);
        while same < 5 {
            let now = self.count(client).await?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(last)
    }

    async fn count(&self, client: &Client) -> Result<usize> {
        match self {
            Self::Trackside { server, .. } => {
                // Incidents are numbered without gaps, the storms' among them.
                let url = format!("{}/api/v1/incidents?limit=1", self.base());
                let list: Value = client.get(url).bearer_auth(server.admin()).send().await?.json().await?;
                let newest = list["items"][0]["number"].as_u64().context("no incident")?;
                Ok(usize::try_from(newest)?.saturating_sub(OWNERS))
            }
            Self::Alertmanager(_) => {
                let alerts: Value = client.get(format!("{}/api/v2/alerts", self.base())).send().await?.json().await?;
                Ok(alerts.as_array().context("no list")?.len())
            }
        }
    }
}

async fn measure(kind: Kind<'_>) -> Result<()> {
    let client = Client::new();
    let receiver = Receiver::start(owner_of).await?;
    let peer = Peer::start(kind, &receiver.url())?;
    peer.ready(&client).await?;
    let start = Instant::now();
    burst(&peer, &client).await?;
    let accepted = start.elapsed();
    let mut first = Vec::new();
    for owner in 0..OWNERS {
        let came = receiver.wait(owner, PATIENCE).await.with_context(|| format!("owner {owner} was never paged"))?;
        first.push(came.duration_since(start));
    }
    let settled = settle(&receiver).await;
    let resident = peer.resident()?;
    drop(peer);
    let survivors = survivors(kind, &client).await?;
    println!(
        "{:<14} {:>11.0} {:>7} {:>16.1} {:>16.1} {:>9.1} {:>13} of {ALERTS}",
        match kind {
            Kind::Trackside => "trackside",
            Kind::Alertmanager(_) => "alertmanager",
        },
        ALERTS as f64 / accepted.as_secs_f64(),
        settled,
        first.iter().min().map_or(0.0, |first| first.as_secs_f64() * 1000.0),
        first.iter().max().map_or(0.0, |last| last.as_secs_f64() * 1000.0),
        resident as f64 / 1e6,
        survivors,
    );
    Ok(())
}

/// Kills a fresh process right after it accepted the burst, and starts it again.
async fn survivors(kind: Kind<'_>, client: &Client) -> Result<usize> {
    let receiver = Receiver::start(owner_of).await?;
    let mut peer = Peer::start(kind, &receiver.url())?;
    peer.ready(client).await?;
    burst(&peer, client).await?;
    peer.restart()?;
    peer.ready(client).await?;
    peer.known(client).await
}

/// Messages so far, once no more come.
async fn settle(receiver: &Receiver) -> usize {
    let mut last = receiver.requests();
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = receiver.requests();
        if now == last {
            return now;
        }
        last = now;
    }
}

/// Sends every alert once.
async fn burst(peer: &Peer, client: &Client) -> Result<()> {
    let starts = jiff::Timestamp::now();
    let alerts: Vec<Value> = (0..ALERTS).map(|number| alert(number, starts)).collect();
    let batches: Vec<Value> = alerts.chunks(BATCH).map(|batch| Value::from(batch.to_vec())).collect();
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..SENDERS {
        let own: Vec<Value> = batches.iter().skip(lane).step_by(SENDERS).cloned().collect();
        let (client, url) = (client.clone(), format!("{}/api/v2/alerts", peer.base()));
        let token = peer.token().to_owned();
        lanes.spawn(async move {
            for batch in own {
                let answer = client.post(&url).bearer_auth(&token).json(&batch).send().await?;
                if !answer.status().is_success() {
                    bail!("{url} answered {}", answer.status());
                }
            }
            Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}

fn alert(number: usize, starts: jiff::Timestamp) -> Value {
    json!({
        "labels": {
            "alertname": "TaskFailed", "severity": "critical", "owner": format!("owner-{:03}", number % OWNERS),
            "instance": format!("job-{number:06}"),
        },
        "annotations": {"summary": format!("job-{number:06} failed")},
        "startsAt": starts,
        "generatorURL": "http://prometheus.example.net/graph",
    })
}

/// The owner that a message is about.
fn owner_of(body: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(body);
    let at = text.find("owner-")? + "owner-".len();
    text.get(at..at + 3)?.parse().ok()
}

fn configuration(hook: &str, secret: &Path) -> String {
    let teams: String = (0..OWNERS).map(|owner| format!("  owner-{owner:03}: {{notify: [{{via: hook}}]}}\n")).collect();
    format!(
        "teams:\n{teams}owners: {{default: owner-000}}\nrules: [{{name: reported, when: reported}}]\n\
         connections: {{hook: {{kind: webhook, url: '{hook}', secret: {{file: '{}'}}, \
         delivery: {{rate_per_second: 1000, burst: 1000}}}}}}\n",
        secret.display()
    )
}

/// A real Alertmanager; killed when it is dropped.
struct Alertmanager {
    child: Child,
    program: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

impl Alertmanager {
    fn start(program: &Path, hook: &str) -> Result<Self> {
        let folder = tempfile::TempDir::new_in("target")?;
        let configuration = format!(
            "route: {{receiver: hook, group_by: [owner], group_wait: 0s, group_interval: 5m, repeat_interval: 4h}}\n\
             receivers: [{{name: hook, webhook_configs: [{{url: '{hook}'}}]}}]\n"
        );
        std::fs::write(folder.path().join("alertmanager.yml"), configuration)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = launch(program, folder.path(), port)?;
        Ok(Self { child, program: program.to_owned(), folder, port })
    }

    fn restart(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = launch(&self.program, self.folder.path(), self.port)?;
        Ok(())
    }
}

fn launch(program: &Path, folder: &Path, port: u16) -> Result<Child> {
    Command::new(program)
        .arg(format!("--config.file={}", folder.join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--cluster.listen-address=", "--log.level=error"])
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
