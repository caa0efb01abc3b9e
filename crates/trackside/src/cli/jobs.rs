//! `trackside jobs`: start a run and wait for it, list, look, cancel, settle.
//!
//! `run --wait` ends with success only when the run did, so that a script can rely on it.

use super::ServerArgs;
use super::client::Client;
use super::show::{self, Columns, array, text};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::Read as _;
use std::process::ExitCode;
use url::form_urlencoded::byte_serialize;

/// How long one request waits for the end of a run; it is asked again until it has ended.
const WAIT: &str = "30";

const JOBS: &Columns = &[
    ("JOB", "name"),
    ("KIND", "kind"),
    ("CONNECTION", "connection"),
    ("OWNER", "owner"),
    ("DESCRIPTION", "description"),
];
const RUNS: &Columns = &[
    ("STATE", "state"),
    ("RUN", "id"),
    ("ATTEMPT", "attempt"),
    ("CALLS", "calls"),
    ("CREATED", "created"),
    ("KEY", "key"),
];

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(super) enum JobsAction {
    /// List the jobs
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show a job with the schemas of its input and result
    Show {
        /// Name of the job
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Start a run
    Run(RunArgs),
    /// List the runs of a job, the latest first
    Runs {
        /// Name of the job
        name: String,
        /// Only those in this state (failed, unknown, …)
        #[arg(long)]
        state: Option<String>,
        /// Most runs
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show a run
    Get {
        #[command(flatten)]
        which: Which,
        /// Wait until it has ended
        #[arg(long)]
        wait: bool,
    },
    /// End a run early
    Cancel {
        #[command(flatten)]
        which: Which,
    },
    /// Say how a run ended whose outcome is not known
    Settle {
        #[command(flatten)]
        which: Which,
        /// It succeeded
        #[arg(long, conflicts_with = "failed")]
        succeeded: bool,
        /// It was not carried out, or failed; why
        #[arg(long, value_name = "WHY")]
        failed: Option<String>,
        /// Its result, as JSON: the text itself, @FILE, or - for standard input
        #[arg(long, requires = "succeeded")]
        output: Option<String>,
    },
}

/// A run to be started.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Name of the job
    name: String,
    /// Input, as JSON: the text itself, @FILE, or - for standard input
    #[arg(long, default_value = "{}")]
    input: String,
    /// The same key is the same run
    #[arg(long)]
    key: Option<String>,
    /// Which try of your own task this is; a higher one runs a failed run again
    #[arg(long, default_value_t = 1)]
    attempt: u32,
    /// Why, for whoever approves
    #[arg(long)]
    justification: Option<String>,
    /// Wait until it has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A run.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Name of the job
    name: String,
    /// Id of the run
    run: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Does it.
pub(super) async fn run(action: JobsAction) -> Result<ExitCode> {
    match action {
        JobsAction::List { server } => {
            let jobs = ask(&Client::new(&server)?, Method::GET, "", &[], None).await?;
            print(&server, &jobs, JOBS);
        }
        JobsAction::Show { name, server } => {
            let job = ask(&Client::new(&server)?, Method::GET, &format!("/{}", segment(&name)), &[], None).await?;
            show::json(&job);
        }
        JobsAction::Runs { name, state, limit, server } => {
            let state = state.map_or_else(String::new, |state| format!("&state={}", segment(&state)));
            let path = format!("/{}/runs?limit={limit}{state}", segment(&name));
            let page = ask(&Client::new(&server)?, Method::GET, &path, &[], None).await?;
            print(&server, &page, RUNS);
        }
        JobsAction::Run(args) => return start(&args).await,
        JobsAction::Get { which, wait } => {
            let client = Client::new(&which.server)?;
            let run = ask(&client, Method::GET, &address(&which), &[], None).await?;
            let run = if wait { until_done(&client, run).await? } else { run };
            return Ok(told(&which.server, &run, wait));
        }
        JobsAction::Cancel { which } => {
            let path = format!("{}/cancel", address(&which));
            let run = ask(&Client::new(&which.server)?, Method::POST, &path, &[], None).await?;
            told(&which.server, &run, false);
        }
        JobsAction::Settle { which, succeeded, failed, output } => {
            if !succeeded && failed.is_none() {
                bail!("say how it ended: --succeeded, or --failed WHY");
            }
            let output = output.as_deref().map(value).transpose()?;
            let body = json!({"succeeded": succeeded, "error": failed, "output": output});
            let path = format!("{}/settle", address(&which));
            let run = ask(&Client::new(&which.server)?, Method::POST, &path, &[], Some(&body)).await?;
            told(&which.server, &run, false);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(args: &RunArgs) -> Result<ExitCode> {
    let client = Client::new(&args.server)?;
    let input = value(&args.input)?;
    let mut headers = vec![("trackside-attempt", args.attempt.to_string())];
    headers.extend(args.key.clone().map(|key| ("idempotency-key", key)));
    headers.extend(args.justification.clone().map(|why| ("trackside-justification", why)));
    let path = format!("/{}/runs", segment(&args.name));
    let run = ask(&client, Method::POST, &path, &headers, Some(&input)).await?;
    let run = if args.wait { until_done(&client, run).await? } else { run };
    Ok(told(&args.server, &run, args.wait))
}

async fn until_done(client: &Client, mut run: Value) -> Result<Value> {
    while run["done"] != json!(true) {
        let path = format!("/{}/runs/{}?wait={WAIT}", segment(text(&run["job"])), text(&run["id"]));
        run = ask(client, Method::GET, &path, &[], None).await?;
    }
    Ok(run)
}

/// Prints a run. Who waited for one that did not succeed gets a failure.
fn told(server: &ServerArgs, run: &Value, waited: bool) -> ExitCode {
    if server.json {
        show::json(run);
    } else {
        show::line(&format!("run {} of {}: {}", text(&run["id"]), text(&run["job"]), text(&run["state"])));
        if let Some(message) = run["error"]["message"].as_str() {
            show::line(&format!("  {}: {message}", text(&run["error"]["class"])));
        }
        if let Some(output) = run.get("output") {
            show::json(output);
        }
    }
    if waited && run["state"] != json!("succeeded") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn print(server: &ServerArgs, answer: &Value, columns: &Columns) {
    let rows = answer["items"].as_array().map_or_else(|| array(answer), Vec::as_slice);
    if server.json { show::json(answer) } else { show::table(rows, columns) }
}

/// Asks; what is refused is an error that names every place.
async fn ask(
    client: &Client,
    method: Method,
    path: &str,
    headers: &[(&'static str, String)],
    body: Option<&Value>,
) -> Result<Value> {
    let (status, answer) = client.jobs(method, path, headers, body).await?;
    if status.is_success() {
        return Ok(answer);
    }
    let mut said = text(&answer["detail"]).to_owned();
    if status == StatusCode::UNPROCESSABLE_ENTITY {
        for misfit in array(&answer["errors"]) {
            let place = Some(text(&misfit["pointer"])).filter(|pointer| !pointer.is_empty()).unwrap_or("the input");
            said.push_str(&format!("\n  {place}: {}", text(&misfit["problem"])));
        }
    }
    bail!("the server answered {status}: {said}")
}

fn address(which: &Which) -> String {
    format!("/{}/runs/{}", segment(&which.name), segment(&which.run))
}

fn segment(name: &str) -> String {
    byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// JSON as given: the text itself, a file, or standard input.
fn value(given: &str) -> Result<Value> {
    let text = match given.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?,
        None if given == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            text
        }
        None => given.to_owned(),
    };
    serde_json::from_str(&text).context("this is not JSON")
}
