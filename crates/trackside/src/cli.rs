//! The command line: `demo`, `serve`, `check` and `automations test` work here, everything else asks a running server
//! over HTTP.
//!
//! Invariants: standard output holds the answer (a table, or JSON with `--json`), standard error the rest; an error says
//! what to do; exit code 0 success, 1 refused or failed, 2 wrong usage (and of `plan`: something changes).

mod approvals;
mod audit;
mod automations;
mod backtest;
mod client;
mod commands;
mod connections;
mod demo;
mod incident;
mod jobs;
mod kept;
mod login;
mod oncall;
mod plan;
mod planned;
mod policy;
mod rehearse;
mod report;
mod serve;
mod show;
mod viewer;

use clap::{Args, CommandFactory, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use trackside_core::ruleset::Span;

/// Run events in, one owner told, a record of why.
#[derive(Debug, Parser)]
#[command(name = "trackside", version, max_term_width = 110, propagate_version = true)]
#[command(after_help = "Start with `trackside demo`: real recorded failures, a page to look at, nothing to set up.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what Trackside does: replay recorded Airflow and Prefect traffic against built-in far ends
    Demo(demo::DemoArgs),
    /// Run the server
    Serve(serve::ServeArgs),
    /// Check a configuration folder: file, line, column and a suggestion for every mistake
    Check {
        /// Folder with the configuration
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a configuration folder would change on a running server; exit code 2 when something does
    Plan {
        /// Folder with the configuration
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put a configuration folder in force on a running server, all or nothing
    Apply {
        /// Folder with the configuration
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Ask nobody
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Automations: what is in force, what it does, tests
    Automations {
        #[command(subcommand)]
        action: AutomationsAction,
    },
    /// Why an event or incident led to what it led to: rules, owner, messages, attempts
    Explain {
        /// Id of an event or incident, or an incident's number
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Events as they were accepted
    Events {
        #[command(subcommand)]
        action: EventsAction,
    },
    /// Runs of pipelines
    Runs {
        /// Only runs in this state (running, failed, succeeded …)
        #[arg(long)]
        state: Option<String>,
        /// Only runs of this pipeline
        #[arg(long)]
        pipeline: Option<String>,
        /// Only runs that this team owns
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Incidents
    Incidents(incident::IncidentFilter),
    /// One incident: acknowledge, snooze, escalate, resolve, its timeline
    Incident {
        #[command(subcommand)]
        action: incident::IncidentAction,
    },
    /// Jobs: start one, wait for its result, list and end runs
    Jobs {
        #[command(subcommand)]
        action: jobs::JobsAction,
    },
    /// Approvals: what waits for agreement, deciding it, asking for access
    Approvals {
        #[command(subcommand)]
        action: approvals::ApprovalsAction,
    },
    /// Who is on call, and having somebody else be
    Oncall {
        #[command(subcommand)]
        action: oncall::OncallAction,
    },
    /// Silences: what nobody shall be told of for a while
    Silence {
        #[command(subcommand)]
        action: planned::SilenceAction,
    },
    /// Maintenance windows: planned work about which nobody is paged
    Maintenance {
        #[command(subcommand)]
        action: planned::MaintenanceAction,
    },
    /// Time to acknowledge and to resolve, pages per person, what makes most noise
    Report(report::ReportArgs),
    /// People: where they are, how they are reached, whether they are on call
    People(report::PeopleArgs),
    /// Where PagerDuty's teams, services and policies differ from ours
    Drift(ServerArgs),
    /// Messages to the outside, and what became of them
    Deliveries {
        #[command(subcommand)]
        action: Option<DeliveriesAction>,
        /// Only those that were given up
        #[arg(long)]
        dead: bool,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Outside systems, and how their credentials stand
    Connections {
        #[command(subcommand)]
        action: Option<connections::ConnectionsAction>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// API tokens
    Token {
        #[command(subcommand)]
        action: TokenAction,
    },
    /// The audit: who did what, exports, and whether it is what it was
    Audit {
        #[command(subcommand)]
        action: audit::AuditAction,
    },
    /// Policies as code: their tests and their schema
    Policy {
        #[command(subcommand)]
        action: policy::PolicyAction,
    },
    /// Whether somebody may do something, and why
    Access {
        #[command(subcommand)]
        action: policy::AccessAction,
    },
    /// How the secrets of secret managers stand: since when, until when, what went wrong
    Secrets {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Send a test message through a connection
    SendTest {
        /// Name of the connection
        connection: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Sign in as a person by the server's identity provider; further commands use it
    Login {
        /// Go on only when the server names this issuer
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Forget what `login` kept for the server
    Logout {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Say who one is at the server, and what one may do
    Whoami {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print a one-time sign-in address for the browser
    SignIn {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print the JSON Schema of the configuration files, for editors
    Schema,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum AutomationsAction {
    /// Automations, with when they last fired
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// One automation: definition, figures, last firings
    Show {
        /// Its name or id
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Stop evaluating it; its state stays
    Pause {
        /// Its name or id
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Go on evaluating it
    Resume {
        /// Its name or id
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Why it did or did not react to an event: each clause, the state before and after
    Explain {
        /// Its name or id
        name: String,
        /// Id of the event
        event: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// When it would have fired over the events in the log; compared with the version in force
    Backtest {
        /// Its name or id; with --file the name of one in the file
        #[arg(required_unless_present = "file")]
        name: Option<String>,
        /// A file with an automation that need not be in force
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// So many days back
        #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=400))]
        days: u32,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// What is probably wrong: automations that can never fire, connections that are not there …
    Lint {
        /// A configuration folder, or a file in one; default: what is in force on the server
        #[arg(value_name = "DIR")]
        path: Option<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Run the tests that stand beside automations, without a server
    Test {
        /// Files with `tests`, or folders
        #[arg(value_name = "FILE", required = true)]
        paths: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum EventsAction {
    /// Follow events as they arrive
    Tail {
        /// Begin with this many past events
        #[arg(long, short = 'n', default_value_t = 10)]
        lines: usize,
        /// Print the past events and stop
        #[arg(long)]
        no_follow: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Subcommand)]
enum DeliveriesAction {
    /// Put a delivery that was given up back into the queue
    Retry {
        /// Id of the delivery
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Make a token; it is printed once
    Create {
        /// Unique name; appears in the audit, and as the source of events that name none
        name: String,
        /// What it may do: ingest, viewer, responder, operator or admin
        #[arg(long, default_value = "ingest")]
        role: String,
        /// Team that what it sends belongs to
        #[arg(long)]
        team: Option<String>,
        /// Name that routes and jobs may ask for; may be given several times
        #[arg(long = "scope")]
        scopes: Vec<String>,
        /// How long it works, such as 90d; default for ever
        #[arg(long)]
        expires_in: Option<Span>,
        /// 32 characters, for tools that insist on a PagerDuty routing key
        #[arg(long)]
        routing_key: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List tokens
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Give a token another secret; it is printed once
    Rotate {
        /// Its name
        name: String,
        /// How long the old secret counts as well, such as 1h
        #[arg(long, default_value = "0s")]
        overlap: Span,
        /// How long the new secret works, such as 90d; default for ever
        #[arg(long)]
        expires_in: Option<Span>,
        /// 32 characters, for tools that insist on a PagerDuty routing key
        #[arg(long)]
        routing_key: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Make a token useless at once
    Revoke {
        /// Its name
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Which server to ask, and as whom.
#[derive(Clone, Debug, Args)]
struct ServerArgs {
    /// Address of the server
    #[arg(long, env = "TRACKSIDE_URL", default_value = "http://127.0.0.1:4180")]
    url: String,
    /// API token; default: what `login` kept, else that of the local administrator, from the data folder
    #[arg(long, env = "TRACKSIDE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Data folder of a server on this machine, for its administrator's token
    #[arg(long, env = "TRACKSIDE_DATA", default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A list with a bound.
#[derive(Clone, Debug, Args)]
struct ListArgs {
    /// Most lines
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    server: ServerArgs,
}

/// The command line as a value: what exists, for completions and for whoever documents it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Installed once for every TLS connection of the process; a second installation is refused and harmless.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return show::failed(&anyhow::Error::new(error)),
    };
    let ended = runtime.block_on(run(cli.command));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(code) => code,
        Err(error) => show::failed(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args).await?,
        Command::Serve(args) => serve::run(args).await?,
        Command::Check { folder, json } => return commands::check(&folder, json),
        Command::Plan { folder, server } => return plan::plan(&server, &folder).await,
        Command::Apply { folder, yes, server } => {
            let consent = if yes { plan::Consent::Given } else { plan::Consent::Ask };
            return plan::apply(&server, &folder, consent).await;
        }
        Command::Automations { action } => return automation(action).await,
        Command::Explain { id, server } => commands::explain(&server, &id).await?,
        Command::Events { action: EventsAction::Tail { lines, no_follow, server } } => {
            commands::tail(&server, lines, no_follow).await?;
        }
        Command::Runs { state, pipeline, owner, list } => {
            let query = [("state", state), ("pipeline", pipeline), ("owner", owner)];
            commands::list(&list, "runs", &query, &show::RUNS).await?;
        }
        Command::Incidents(filter) => incident::list(filter).await?,
        Command::Incident { action } => incident::run(action).await?,
        Command::Jobs { action } => return jobs::run(action).await,
        Command::Oncall { action } => oncall::run(action).await?,
        Command::Approvals { action } => approvals::run(action).await?,
        Command::Silence { action } => planned::silence(action).await?,
        Command::Maintenance { action } => planned::maintenance(action).await?,
        Command::Report(args) => report::report(&args).await?,
        Command::People(args) => report::people(&args).await?,
        Command::Drift(server) => return report::drift(&server).await,
        Command::Deliveries { action: Some(DeliveriesAction::Retry { id, server }), .. } => {
            commands::retry(&server, &id).await?;
        }
        Command::Deliveries { action: None, dead, list } => {
            let state = dead.then(|| "dead".to_owned());
            commands::list(&list, "deliveries", &[("state", state)], &show::DELIVERIES).await?;
        }
        Command::Secrets { server } => commands::secrets(&server).await?,
        Command::Connections { action: Some(action), .. } => return connections::run(action).await,
        Command::Connections { action: None, server } => connections::list(&server).await?,
        Command::Token { action } => commands::token(action).await?,
        Command::Audit { action } => return audit::run(action).await,
        Command::Policy { action } => return Ok(policy::run(&action)),
        Command::Access { action: policy::AccessAction::Explain(args) } => return policy::explain(&args).await,
        Command::SendTest { connection, server } => return commands::send_test(&server, &connection).await,
        Command::Login { issuer, server } => login::login(&server, issuer.as_deref()).await?,
        Command::Logout { server } => login::logout(&server)?,
        Command::Whoami { server } => login::whoami(&server).await?,
        Command::SignIn { server } => commands::sign_in(&server).await?,
        Command::Schema => show::line(&serde_json::to_string_pretty(&schemars::schema_for!(crate::config::Sections))?),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut self::command(), "trackside", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn automation(action: AutomationsAction) -> anyhow::Result<ExitCode> {
    match action {
        AutomationsAction::List { list } => automations::list(&list).await?,
        AutomationsAction::Show { name, server } => automations::show(&server, &name).await?,
        AutomationsAction::Pause { name, server } => automations::switch(&server, &name, "pause").await?,
        AutomationsAction::Resume { name, server } => automations::switch(&server, &name, "resume").await?,
        AutomationsAction::Explain { name, event, server } => automations::explain(&server, &name, &event).await?,
        AutomationsAction::Backtest { name, file, days, server } => {
            let subject = backtest::Subject { name: name.as_deref(), file: file.as_deref(), days };
            return backtest::run(&server, subject).await;
        }
        AutomationsAction::Lint { path, server } => return automations::check(&server, path.as_deref()).await,
        AutomationsAction::Test { paths, json } => return rehearse::run(&paths, json),
    }
    Ok(ExitCode::SUCCESS)
}
