//! The other proxies: their configuration, each on one core.

use super::super::load::Connection;
use super::super::server::cpu_seconds;
use super::tokens::{ISSUER, Issuer};
use anyhow::{Context as _, Result, bail};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a proxy to answer.
const START: Duration = Duration::from_secs(60);

/// What all of them need.
pub(super) struct Peers<'a> {
    pub(super) folder: &'a Path,
    pub(super) upstream: SocketAddr,
    pub(super) issuer: &'a Issuer,
}

/// A proxy that runs; it is killed when it is dropped.
pub(super) struct Peer {
    child: Option<Child>,
    address: SocketAddr,
}

impl Peers<'_> {
    pub(super) fn nginx(&self, program: &Path) -> Result<Peer> {
        let address = free_address()?;
        let folder = std::path::absolute(self.folder)?;
        let text = format!(
            "daemon off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/nginx.log crit;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
               upstream app {{ server {1}; keepalive 64; }}\n\
               server {{ listen {address}; keepalive_requests 100000000; location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ''; }} }} }}\n",
            folder.display(),
            self.upstream
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text)?;
        Peer::start(
            Command::new("taskset").args(["-c", "1"]).arg(program).arg("-p").arg(&folder).arg("-c").arg(file),
            address,
        )
    }

    pub(super) fn haproxy(&self, program: &Path) -> Result<Peer> {
        let address = free_address()?;
        let text = format!(
            "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             frontend f\n  bind {address}\n\
             \x20 http-request set-var(txn.bearer) http_auth_bearer\n\
             \x20 http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')\n\
             \x20 http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}\n\
             \x20 http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,\"{}\") -m int 1 }}\n\
             \x20 http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {ISSUER} }}\n\
             \x20 http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.aud') -m str bench }}\n\
             \x20 http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')\n\
             \x20 http-request set-var(txn.now) date()\n\
             \x20 http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}\n\
             \x20 http-request deny deny_status 403 unless {{ var(txn.bearer),jwt_payload_query('$.scope') -m str jobs.run }}\n\
             \x20 default_backend b\n\
             backend b\n  http-reuse always\n  server s {}\n",
            self.issuer.pem(self.folder).display(),
            self.upstream
        );
        let file = self.folder.join("haproxy.cfg");
        std::fs::write(&file, text)?;
        Peer::start(Command::new("taskset").args(["-c", "1"]).arg(program).arg("-db").arg("-f").arg(file), address)
    }

    pub(super) fn envoy(&self, program: &Path) -> Result<Peer> {
        let address = free_address()?;
        let text = ENVOY
            .replace("LISTEN_PORT", &address.port().to_string())
            .replace("UPSTREAM_PORT", &self.upstream.port().to_string())
            .replace("ISSUER", ISSUER)
            .replace("JWKS", &self.issuer.keys(self.folder).display().to_string());
        let file = self.folder.join("envoy.yaml");
        std::fs::write(&file, text)?;
        let mut command = Command::new("taskset");
        command
            .args(["-c", "1"])
            .arg(program)
            .args(["--concurrency", "1", "-l", "error", "--base-id", "77", "-c"])
            .arg(file);
        Peer::start(&mut command, address)
    }

    pub(super) fn fastapi(&self, interpreter: &Path) -> Result<Peer> {
        let address = free_address()?;
        let text = FASTAPI
            .replace("UPSTREAM", &format!("http://{}", self.upstream))
            .replace("ISSUER", ISSUER)
            .replace("KEYFILE", &self.issuer.pem(self.folder).display().to_string());
        std::fs::write(self.folder.join("proxy.py"), text)?;
        let mut command = Command::new("taskset");
        command.args(["-c", "1"]).arg(interpreter).args([
            "-m",
            "uvicorn",
            "proxy:app",
            "--no-access-log",
            "--log-level",
            "error",
        ]);
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]).current_dir(self.folder);
        Peer::start(&mut command, address)
    }
}

impl Peer {
    fn start(command: &mut Command, address: SocketAddr) -> Result<Self> {
        let child = command.stdout(Stdio::null()).spawn().context("cannot start the proxy (is taskset there?)")?;
        Ok(Self { child: Some(child), address })
    }

    /// One that somebody else started.
    pub(super) fn of_server(address: SocketAddr) -> Self {
        Self { child: None, address }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it lets the token in, and makes sure that it lets nothing else in where it checks.
    pub(super) async fn ready(&self, token: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let answer = async { Connection::open(self.address).await?.get("/", token).await }.await;
            match answer {
                Ok(200) => return Ok(()),
                _ if start.elapsed() < START => {}
                Ok(status) => bail!("the proxy at {} answered {status}", self.address),
                Err(error) => return Err(error).with_context(|| format!("no proxy at {}", self.address)),
            }
            #[allow(clippy::disallowed_methods, reason = "waits for another program to listen")]
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// CPU time of the process and those it started, in seconds.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let root = self.child.as_ref().map_or(0, Child::id);
        let mut total = 0.0;
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // A process may end while this looks.
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            let parent = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1);
            if process == root || parent.and_then(|text| text.parse().ok()) == Some(root) {
                total += cpu_seconds(process).unwrap_or(0.0);
            }
        }
        Ok(total)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // nginx's worker ends with its master only when that is asked politely.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

/// An address nobody listens on.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

const ENVOY: &str = r#"
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: LISTEN_PORT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: "/"}, route: {cluster: app}}]}
          http_filters:
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                bench: {issuer: "ISSUER", audiences: [bench], payload_in_metadata: jwt, local_jwks: {filename: "JWKS"}}
              rules: [{match: {prefix: "/"}, requires: {provider_name: bench}}]
          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  run:
                    permissions: [{any: true}]
                    principals:
                    - metadata:
                        filter: envoy.filters.http.jwt_authn
                        path: [{key: jwt}, {key: scope}]
                        value: {string_match: {exact: jobs.run}}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: app
    type: STATIC
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: UPSTREAM_PORT}}}}]}]
"#;

const FASTAPI: &str = r#"
import httpx, jwt
from fastapi import FastAPI, Request, Response

app = FastAPI()
key = open("KEYFILE").read()
client = httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=64))


@app.api_route("/{path:path}", methods=["GET", "POST"])
async def forward(path: str, request: Request) -> Response:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, key, algorithms=["RS256"], audience="bench", issuer="ISSUER")
    except jwt.PyJWTError:
        return Response(status_code=401)
    if "jobs.run" not in claims.get("scope", "").split():
        return Response(status_code=403)
    url = "UPSTREAM/" + path + "?" + request.url.query
    answer = await client.request(request.method, url, headers={"x-subject": claims["sub"]})
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))
"#;
