//! A server that speaks Prefect's API: Trackside, or a real Prefect. Both are set up and loaded by the same code.

use super::server::Server;
use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a real Prefect may take to start, its migrations included.
const PREFECT_STARTS: Duration = Duration::from_secs(180);

/// What is measured.
pub(super) enum Peer {
    Trackside(Server),
    Prefect(Prefect),
}

/// A real Prefect server; killed when it is dropped.
pub(super) struct Prefect {
    child: Child,
    port: u16,
    _home: tempfile::TempDir,
}

impl Peer {
    /// A fresh Trackside with an empty log.
    pub(super) fn trackside() -> Result<Self> {
        Ok(Self::Trackside(Server::start("teams: {platform: {notify: []}}\nowners: {default: platform}\n")?))
    }

    /// A fresh Prefect from a virtual environment.
    pub(super) async fn prefect(python: &Path) -> Result<Self> {
        Ok(Self::Prefect(Prefect::start(python).await?))
    }

    /// Name for the report.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Trackside(_) => "trackside",
            Self::Prefect(_) => "prefect",
        }
    }

    /// Where its API is.
    fn api(&self) -> String {
        match self {
            Self::Trackside(server) => format!("http://{}/api", server.address),
            Self::Prefect(prefect) => format!("http://127.0.0.1:{}/api", prefect.port),
        }
    }

    fn credential(&self, role: Role) -> Option<String> {
        match (self, role) {
            (Self::Trackside(server), Role::Admin) => Some(server.admin().to_owned()),
            (Self::Trackside(_), Role::Sender) => Some(super::server::TOKEN.to_owned()),
            (Self::Prefect(_), _) => None,
        }
    }

    /// The process's own resident memory in bytes.
    pub(super) fn resident(&self) -> Result<u64> {
        match self {
            Self::Trackside(server) => server.resident(),
            Self::Prefect(prefect) => super::server::resident(prefect.child.id()),
        }
    }

    /// Calls the API.
    pub(super) async fn call(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: &Value,
        role: Role,
    ) -> Result<Value> {
        let mut request = client.request(method.clone(), format!("{}{path}", self.api()));
        if let Some(token) = self.credential(role) {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{} answered {status} to {method} {path}: {text}", self.name());
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Makes a webhook block that posts to `url`; its id.
    pub(super) async fn webhook(&self, client: &Client, name: &str, url: &str) -> Result<String> {
        let kind = self.call(client, Method::GET, "/block_types/slug/webhook", &Value::Null, Role::Admin).await?;
        let kind = kind["id"].as_str().context("no id of the block type")?.to_owned();
        let filter = json!({"block_schemas": {"block_type_id": {"any_": [kind]}}});
        let schemas = self.call(client, Method::POST, "/block_schemas/filter", &filter, Role::Admin).await?;
        let schema = schemas[0]["id"].as_str().context("no block schema")?;
        let block = json!({
            "name": name, "block_type_id": kind, "block_schema_id": schema,
            "data": {"url": url, "method": "POST", "allow_private_urls": true},
        });
        let made = self.call(client, Method::POST, "/block_documents/", &block, Role::Admin).await?;
        Ok(made["id"].as_str().context("no id of the block")?.to_owned())
    }

    /// Makes an automation.
    pub(super) async fn automation(&self, client: &Client, name: &str, trigger: Value, actions: Value) -> Result<()> {
        let body = json!({"name": name, "trigger": trigger, "actions": actions});
        self.call(client, Method::POST, "/automations/", &body, Role::Admin).await?;
        Ok(())
    }

    /// Sends events, many in one request.
    pub(super) async fn events(&self, client: &Client, events: &[Value]) -> Result<()> {
        let body = Value::Array(events.to_vec());
        self.call(client, Method::POST, "/events", &body, Role::Sender).await?;
        Ok(())
    }
}

/// Whose credential a call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Admin,
    Sender,
}

impl Prefect {
    async fn start(python: &Path) -> Result<Self> {
        let home = tempfile::TempDir::new_in("target")?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let program: PathBuf = python.parent().context("no folder of the interpreter")?.join("prefect");
        let child = Command::new(&program)
            .args(["server", "start", "--host", "127.0.0.1", "--port", &port.to_string()])
            .env("PREFECT_HOME", home.path().canonicalize()?)
            .env("PREFECT_SERVER_UI_ENABLED", "false")
            .env("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
            .env("PREFECT_LOGGING_LEVEL", "ERROR")
            .env("DO_NOT_TRACK", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let prefect = Self { child, port, _home: home };
        let (client, start) = (Client::new(), Instant::now());
        while start.elapsed() < PREFECT_STARTS {
            if let Ok(answer) = client.get(format!("http://127.0.0.1:{port}/api/health")).send().await
                && answer.status().is_success()
            {
                return Ok(prefect);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("the Prefect server did not start within {PREFECT_STARTS:?}")
    }
}

impl Drop for Prefect {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
