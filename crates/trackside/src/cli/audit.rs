//! `trackside audit`: who did what, as a table; exports; and whether the trail is what it was.

use super::client::Client;
use super::show;
use super::{ListArgs, ServerArgs};
use crate::audit::cef;
use crate::audit::verify::{Noted, Verifier};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use trackside_store::audit::AuditRow;

const ROWS: [(&str, &str); 6] =
    [("TIME", "at"), ("WHO", "who"), ("VIA", "via"), ("ACTION", "action"), ("WHAT", "summary"), ("OUTCOME", "outcome")];
/// Longest line of an export, in bytes.
const LINE_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum AuditAction {
    /// The newest rows
    List {
        /// Only what this caller did
        #[arg(long)]
        subject: Option<String>,
        /// Only actions that begin with this, such as `incident.`
        #[arg(long)]
        action: Option<String>,
        /// Only what is about this, such as `route:orders`
        #[arg(long)]
        resource: Option<String>,
        /// Only what came out so: done, refused, failed, unknown
        #[arg(long)]
        outcome: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Write every row, as JSON lines that `audit verify` reads, or as CEF for a SIEM
    Export(ExportArgs),
    /// Whether rows were changed, removed or added since they were sealed; exit code 1 when they were
    Verify(VerifyArgs),
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// How rows are written
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Only rows from this time on (CEF only: an export that leaves rows out cannot be verified)
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON lines, with checkpoints.
    Json,
    /// Common Event Format.
    Cef,
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// An export; default: what the server has
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The public key to trust, kept elsewhere; default: the one that the export names
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A checkpoint that must be there, as an earlier `audit verify` printed it
    #[arg(long, value_name = "NUMBER:HASH")]
    holds: Option<Noted>,
    /// Begin with this checkpoint, and leave what was before alone
    #[arg(long, value_name = "NUMBER", conflicts_with = "file")]
    from: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

/// `trackside audit …`.
pub(super) async fn run(action: AuditAction) -> Result<ExitCode> {
    match action {
        AuditAction::List { subject, action, resource, outcome, list } => {
            let given = [("subject", subject), ("action", action), ("resource", resource), ("outcome", outcome)];
            list_rows(given, &list).await?;
        }
        AuditAction::Export(args) => export(&args).await?,
        AuditAction::Verify(args) => return verify(args).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_rows(given: [(&'static str, Option<String>); 4], list: &ListArgs) -> Result<()> {
    let mut query: Vec<(&str, String)> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    query.push(("limit", list.limit.to_string()));
    let page = Client::new(&list.server)?.get("audit", &query).await?;
    if list.server.json {
        show::json(&page);
        return Ok(());
    }
    let rows: Vec<Value> = show::array(&page["items"])
        .iter()
        .map(|row| {
            json!({"at": show::time(&row["at"]), "who": row["subject"], "via": row["via"], "action": row["action"],
                "summary": row["summary"], "outcome": row["outcome"]})
        })
        .collect();
    show::table(&rows, &ROWS);
    Ok(())
}

async fn export(args: &ExportArgs) -> Result<()> {
    if args.format == Format::Json && args.since.is_some() {
        bail!("--since goes with --format cef; JSON lines are written whole, so that they can be verified");
    }
    let mut to: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(std::io::stdout()),
    };
    let mut failed = None;
    lines_of(&args.server, None, |line| {
        let text = match args.format {
            Format::Json => Some(line.to_owned()),
            Format::Cef => cef_line(line, args.since),
        };
        // A closed pipe (`| head`) ends the export.
        failed = text.and_then(|text| writeln!(to, "{text}").err());
        failed.is_none()
    })
    .await?;
    if let (Some(error), Some(path)) = (failed, &args.output) {
        return Err(error).with_context(|| format!("cannot write {}", path.display()));
    }
    to.flush().or_else(|error| if args.output.is_some() { Err(error) } else { Ok(()) })?;
    Ok(())
}

/// A line of the export as CEF; `None` for what is no row, or older.
fn cef_line(line: &str, since: Option<Timestamp>) -> Option<String> {
    let mut value: Value = serde_json::from_str(line).ok()?;
    let row: AuditRow = serde_json::from_value(value.get_mut("row")?.take()).ok()?;
    since.is_none_or(|since| row.at >= since).then(|| cef::line(&row))
}

async fn verify(args: VerifyArgs) -> Result<ExitCode> {
    let mut verifier = Verifier::new(args.key).holding(args.holds).from(args.from);
    let mut broken = None;
    let mut number = 0u64;
    let mut take = |line: &str| {
        number += 1;
        broken = verifier.line(line).err().map(|problem| (number, problem));
        broken.is_none()
    };
    match &args.file {
        None => lines_of(&args.server, args.from, take).await?,
        Some(path) => {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            for line in BufReader::new(file).lines() {
                if !take(&line.with_context(|| format!("cannot read {}", path.display()))?) {
                    break;
                }
            }
        }
    }
    let result = match broken {
        Some(broken) => Err(broken),
        None => verifier.end().map_err(|missing| (number, missing)),
    };
    match (&result, args.server.json) {
        (Err((line, problem)), true) => {
            show::json(&json!({"intact": false, "line": line, "problem": problem.to_string()}));
        }
        (Err((line, problem)), false) => show::line(&format!("BROKEN: {problem} (line {line})")),
        (Ok(verified), true) => show::json(&json!({"intact": true, "rows": verified.rows,
            "checkpoints": verified.checkpoints, "begins": verified.begins, "unsealed": verified.unsealed,
            "newest": verified.newest.as_ref().map(ToString::to_string)})),
        (Ok(verified), false) => show::line(&format!("intact: {verified}")),
    }
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Gives each line of the server's export to `take`, until it wants no more.
async fn lines_of(server: &ServerArgs, from: Option<u64>, mut take: impl FnMut(&str) -> bool) -> Result<()> {
    let path = from.map_or_else(|| "audit/export".to_owned(), |number| format!("audit/export?from={number}"));
    let mut response = Client::new(server)?.follow(&path).await?;
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the export broke off")? {
        rest.extend_from_slice(&chunk);
        let mut begin = 0;
        while let Some(length) = rest[begin..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&rest[begin..begin + length]);
            if !take(&line) {
                return Ok(());
            }
            begin += length + 1;
        }
        rest.drain(..begin);
        if rest.len() > LINE_BYTES {
            bail!("the server sent a line of more than {LINE_BYTES} bytes");
        }
    }
    if rest.is_empty() { Ok(()) } else { bail!("the export broke off within a line") }
}
