//! `trackside demo`: the main job on recorded input, with nothing to set up.
//!
//! Starts the real server on an embedded database in a temporary folder, with the configuration of `examples/demo`,
//! pointed at built-in far ends; replays recorded Airflow and Prefect traffic through the real doors, and calls jobs, asks
//! for approvals and goes through the gateway ([`calls`]).

use super::{serve, show};
use crate::clock::{Clock, sleep_until};
use crate::config::{self, Config, LogFormat};
use crate::server::Server;
use anyhow::{Context, Result, bail};
use calls::Calls;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use trackside_connect::sender::NetworkSender;
use trackside_identity::token::{Token, TokenForm};
use trackside_sim::application;
use trackside_sim::far_ends::{FarEnds, PAGERDUTY_ROUTING_KEY, SLACK_TOKEN};
use trackside_sim::journal::{Arrival, Journal};
use trackside_sim::recording::Recording;

mod calls;

/// The configuration, as it stands in `examples/demo`.
const CONFIGURATION: &str = include_str!("../../../../examples/demo/trackside.yaml");
/// Name of the token that sends events.
const INGEST: &str = "demo";
/// Where the gateway listens: any free port.
const GATEWAY_LISTEN: &str = "127.0.0.1:0";
/// Folder in the temporary one with the configuration of this run.
const CONFIGURATION_FOLDER: &str = "config";
/// How long `--once` waits for the last message.
const SETTLE_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// How often it looks whether everything is delivered.
const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(50);
/// Longest wait for an answer of the server.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// API tokens by name.
type Tokens = BTreeMap<&'static str, Token>;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many times as fast as recorded (`1`, `10`, `0.5`), or `max`
    #[arg(long, default_value = "10")]
    speed: Speed,
    /// Play the recording to its end, print each message and call that arrived at the far ends, and exit
    #[arg(long)]
    once: bool,
    /// Address and port of the server
    #[arg(long, default_value = "127.0.0.1:4180")]
    listen: String,
    /// Keep the data in this folder (default: a temporary one that is deleted)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A pace: a positive factor, or without any pause.
#[derive(Clone, Copy, Debug)]
struct Speed(f64);

impl FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a speed; write a number such as 1, 10 or 0.5, or max");
        match text {
            "max" => Ok(Self(f64::INFINITY)),
            number => {
                number.parse().ok().filter(|speed: &f64| *speed > 0.0 && speed.is_finite()).map(Self).ok_or_else(bad)
            }
        }
    }
}

/// Runs the demonstration.
pub(super) async fn run(args: DemoArgs) -> Result<()> {
    serve::log(LogFormat::Text);
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    let far_ends = FarEnds::start(Journal::wall_clock()).await.context("cannot start the far ends")?;
    let listen = if args.once && args.listen == "127.0.0.1:4180" { "127.0.0.1:0" } else { &args.listen };
    let clock = Clock::system();
    let names = calls::CALLERS.into_iter().chain([INGEST]);
    let tokens: Tokens = names.map(|name| (name, Token::new(TokenForm::Bearer, clock.random()))).collect();
    let config = configuration(temporary.path(), &data, listen, &far_ends, &tokens)?;
    let folder = temporary.path().join(CONFIGURATION_FOLDER);
    let server = Server::start(config, &folder, clock.clone(), NetworkSender::new()?).await?;
    show::remark(&format!("Trackside   {}", server.sign_in_link()));
    show::remark(&format!("PagerDuty   {}  (what arrived there)", far_ends.pagerduty.url()));
    show::remark(&format!("Slack       {}  (what arrived there)", far_ends.slack.url()));
    if let Some(gateway) = server.gateway() {
        show::remark(&format!("Gateway     http://{gateway}  (in front of {})\n", far_ends.application.url()));
    }
    let played = tokio::select! {
        played = play(&server, &clock, args.speed, &tokens) => played.map(Some),
        _ = tokio::signal::ctrl_c() => Ok(None),
    };
    match played {
        Ok(Some(events)) if args.once => {
            let settled = settle(&server, &clock).await;
            summary(events, &far_ends.journal.arrivals());
            server.stop().await;
            settled
        }
        Ok(Some(events)) => {
            show::remark(&format!("\n{events} recorded events played. The server stays up; Ctrl-C ends it."));
            tokio::signal::ctrl_c().await?;
            server.stop().await;
            Ok(())
        }
        Ok(None) => {
            server.stop().await;
            Ok(())
        }
        Err(error) => {
            server.stop().await;
            Err(error)
        }
    }
}

/// Writes the demonstration's configuration with the addresses of this run, and loads it as any other.
fn configuration(folder: &Path, data: &Path, listen: &str, far_ends: &FarEnds, tokens: &Tokens) -> Result<Config> {
    let configuration = folder.join(CONFIGURATION_FOLDER);
    std::fs::create_dir(&configuration)?;
    let others =
        [("pagerduty", PAGERDUTY_ROUTING_KEY), ("slack", SLACK_TOKEN), ("features", application::CLIENT_SECRET)];
    for (name, value) in tokens.iter().map(|(name, token)| (*name, token.expose())).chain(others) {
        std::fs::write(folder.join(name), value)?;
    }
    let text = CONFIGURATION
        .replace("${PAGERDUTY_URL}", &far_ends.pagerduty.url())
        .replace("${SLACK_URL}", &format!("{}/api", far_ends.slack.url()))
        .replace("${APPLICATION_URL}", &far_ends.application.url())
        .replace("${GATEWAY_LISTEN}", GATEWAY_LISTEN)
        .replace("${SECRETS}", &folder.display().to_string());
    std::fs::write(configuration.join("trackside.yaml"), text)?;
    let mut config = config::load(&configuration).context("the demonstration's configuration")?;
    listen.clone_into(&mut config.server.listen);
    data.clone_into(&mut config.server.data);
    Ok(config)
}

/// Sends the recording through the doors, in order, at the pace asked for. Gives the number of events.
async fn play(server: &Server, clock: &Clock, speed: Speed, tokens: &Tokens) -> Result<usize> {
    let recording = Recording::demo()?;
    let client = reqwest::Client::builder().timeout(SEND_WITHIN).build()?;
    let base = format!("http://{}", server.address());
    let gateway = server.gateway().context("the demonstration's configuration has no gateway")?;
    Calls { client: &client, server: server.address(), gateway, tokens }.play().await?;
    let bar = ProgressBar::new(recording.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} events  {msg}")?);
    let start = clock.now();
    let mut scene: std::sync::Arc<str> = "".into();
    for entry in recording.replay(recording.begin_for(start, speed.0)) {
        // Without pauses a scene could end before the last one was told; its messages would rightly be left out.
        if speed.0.is_infinite() && entry.scene != scene {
            settle(server, clock).await?;
        }
        scene = entry.scene.clone();
        sleep_until(clock, due(start, entry.offset, speed)).await;
        bar.set_message(entry.scene.to_string());
        let request = client
            .post(format!("{base}{}", entry.path))
            .bearer_auth(tokens[INGEST].expose())
            .header("content-type", entry.content_type)
            .body(entry.body);
        let response = request.send().await.context("the server did not take an event")?;
        if !response.status().is_success() {
            bail!("the server answered {} to a recorded event: {}", response.status(), response.text().await?);
        }
        bar.inc(1);
    }
    bar.finish_with_message("done");
    Ok(recording.len())
}

fn due(start: Timestamp, offset: Duration, speed: Speed) -> Timestamp {
    let after = SignedDuration::try_from_secs_f64(offset.as_secs_f64() / speed.0).unwrap_or_default();
    start.checked_add(after).unwrap_or(start)
}

/// Waits until everything is decided and delivered.
async fn settle(server: &Server, clock: &Clock) -> Result<()> {
    let give_up = clock.now() + SETTLE_WITHIN;
    let store = server.store();
    loop {
        let decided = *server.decided().borrow() == *store.head().borrow();
        let waiting = store.waiting_since().await?;
        if decided && waiting.is_empty() {
            return Ok(());
        }
        if clock.now() >= give_up {
            bail!("not everything was delivered within {} s: {waiting:?}", SETTLE_WITHIN.as_secs());
        }
        sleep_until(clock, clock.now() + LOOK_EVERY).await;
    }
}

/// Names each message that arrived.
fn summary(events: usize, arrivals: &[Arrival]) {
    show::line(&format!("{events} recorded events played, {} messages arrived:", arrivals.len()));
    for arrival in arrivals {
        let again = if arrival.times > 1 { format!(" (x{})", arrival.times) } else { String::new() };
        let (far_end, action) = (arrival.far_end, &arrival.action);
        show::line(&format!("  {far_end:<10} {action:<18} {}{again}", arrival.summary));
    }
}
