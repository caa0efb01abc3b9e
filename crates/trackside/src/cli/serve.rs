//! `trackside serve`: the real server, until Ctrl-C or SIGTERM; SIGHUP reads the configuration again.

use super::show;
use crate::apply;
use crate::clock::Clock;
use crate::config::LogFormat;
use crate::server::Server;
use anyhow::Result;
use clap::Args;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use trackside_connect::sender::NetworkSender;
use trackside_identity::local::LocalAccess;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Folder with the configuration
    #[arg(long, env = "TRACKSIDE_CONFIG", value_name = "DIR")]
    config: PathBuf,
}

/// Serves until told to stop.
pub(super) async fn run(args: ServeArgs) -> Result<()> {
    let config = apply::read(&args.config)?;
    log(config.server.log);
    let clock = Clock::system();
    for warning in config.warnings.iter().chain(&config.unusable_here).chain(&config.ahead(clock.now())) {
        tracing::warn!("{warning}");
    }
    let data = config.server.data.display().to_string();
    let open = config.server.local_access == LocalAccess::Open;
    let server = Server::start(config, &args.config, clock, NetworkSender::new()?).await?;
    show::remark(&format!("Trackside is at {}", server.public_url()));
    if open {
        let said = "nobody on this machine has to sign in: whoever reaches this address is its administrator (server.local_access: open)";
        tracing::warn!("{said}");
        show::remark(&format!("WARNING: {said}"));
    }
    show::remark(&format!("Sign in (once, within 10 minutes): {}", server.sign_in_link()));
    tracing::info!(address = %server.address(), data, "serving");
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => reload(&server).await,
        }
    }
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

/// Reads the configuration again. A bad one is refused, and the one in force stays.
async fn reload(server: &Server) {
    match server.reload().await {
        Ok(()) => tracing::info!("the configuration was read again and is in force"),
        Err(error) => tracing::error!("the configuration was not changed: {error:#}"),
    }
}

/// Logs to standard error; `RUST_LOG` chooses what (default `info`).
pub(super) fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second initialisation (a test that serves twice) keeps the first.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
