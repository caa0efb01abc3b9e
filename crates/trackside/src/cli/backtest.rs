//! `trackside automations backtest`: what an automation would have done over the events in the log.
//!
//! The server answers line by line; a bar shows how far it is. Ctrl-C closes the connection, which ends the test there.

use super::ServerArgs;
use super::automations::{find, find_any, fired, times};
use super::client::Client;
use super::show::{self, array, text};
use crate::config::{self, ConfiguredAutomation};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use trackside_core::automation::written::written;

/// Steps of the bar.
const STEPS: u64 = 1_000;
/// Longest line of an answer, in bytes.
const LINE_BYTES: usize = 16 * 1024 * 1024;

/// What is tested.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// Name or id of an automation in force, or the name of one in the file.
    pub(super) name: Option<&'a str>,
    /// A file with automations that are not in force.
    pub(super) file: Option<&'a Path>,
    /// So many days back.
    pub(super) days: u32,
}

/// Runs a back-test. Exit code 0 when it came to its end.
pub(super) async fn run(server: &ServerArgs, subject: Subject<'_>) -> Result<ExitCode> {
    let client = Client::new(server)?;
    let asked = asked(&client, subject).await?;
    let bar = ProgressBar::new(STEPS);
    bar.set_style(ProgressStyle::with_template("{bar:40} {percent}%  {msg}")?);
    if server.json {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let answered = tokio::select! {
        answered = follow(&client, server, &asked, &bar) => answered,
        _ = tokio::signal::ctrl_c() => {
            bar.abandon_with_message("given up");
            return Ok(ExitCode::FAILURE);
        }
    };
    bar.finish_and_clear();
    let (firings, summary) = answered?;
    if !server.json {
        tell(&firings, &summary);
    }
    Ok(ExitCode::SUCCESS)
}

/// The request: an automation in force, a definition, or both, when the definition would replace one in force.
async fn asked(client: &Client, subject: Subject<'_>) -> Result<Value> {
    let mut asked = json!({"days": subject.days});
    match (subject.file, subject.name) {
        (None, Some(name)) => asked["automation"] = json!(find(client, name).await?),
        (Some(file), name) => {
            let definition = one_of(file, name)?;
            asked["spec"] = written(&definition.spec, definition.semantics)?;
            if let [known] = find_any(client, &definition.spec.name).await?.as_slice() {
                asked["automation"] = json!(known);
            }
        }
        (None, None) => bail!("name an automation, or give --file"),
    }
    Ok(asked)
}

/// The automation of a file that is meant.
fn one_of(file: &Path, name: Option<&str>) -> Result<ConfiguredAutomation> {
    let mut found = config::automations_of(file)?;
    if let Some(name) = name {
        found.retain(|automation| automation.spec.name == name);
    }
    match (found.len(), name) {
        (1, _) => Ok(found.remove(0)),
        (0, None) => bail!("{} holds no automation", file.display()),
        (_, Some(name)) => bail!("{} holds no automation `{name}`", file.display()),
        (_, None) => {
            let names: Vec<&str> = found.iter().map(|automation| automation.spec.name.as_str()).collect();
            bail!("{} holds several automations; name one of them: {}", file.display(), names.join(", "))
        }
    }
}

/// Reads the answer to its end. Gives the firings and the summary; as JSON they are passed on line by line.
async fn follow(client: &Client, server: &ServerArgs, asked: &Value, bar: &ProgressBar) -> Result<(Vec<Value>, Value)> {
    let mut response = client.stream("automations/backtest", asked).await?;
    let mut firings = Vec::new();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the server ended the answer too early")? {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line: Value = serde_json::from_slice(&line).context("the server answered something else than JSON")?;
            if server.json {
                show::line(&line.to_string());
            }
            match text(&line["line"]) {
                "progress" => progress(bar, &line),
                "firing" => firings.push(line),
                "summary" => return Ok((firings, line)),
                _ => bail!("the back-test was not done to its end: {}", text(&line["detail"])),
            }
        }
        if rest.len() > LINE_BYTES {
            bail!("the server answered a line of more than {LINE_BYTES} bytes");
        }
    }
    bail!("the server ended the answer too early")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share from 0 to 1")]
fn progress(bar: &ProgressBar, line: &Value) {
    let share = line["share"].as_f64().unwrap_or_default().clamp(0.0, 1.0);
    bar.set_position((share * STEPS as f64) as u64);
    bar.set_message(format!("{} events", line["events"]));
}

fn tell(firings: &[Value], summary: &Value) {
    let tried = &summary["tried"];
    show::line(&format!(
        "{} to {}, {} events looked at",
        show::time(&summary["from"]),
        show::time(&summary["until"]),
        tried["events"]
    ));
    show::line(&format!("it fires {}, clears {}", times(&tried["fired"]), times(&tried["resolved"])));
    if summary["in_force"].is_object() {
        let in_force = &summary["in_force"];
        let (fired, resolved) = (times(&in_force["fired"]), times(&in_force["resolved"]));
        show::line(&format!("the one in force fires {fired}, clears {resolved}"));
    }
    let tried_only: Vec<&Value> = firings.iter().filter(|firing| firing["of"] == "tried").collect();
    for firing in &tried_only {
        show::line(&format!("  {}", fired(firing)));
    }
    let all = tried["fired"].as_u64().unwrap_or_default() + tried["resolved"].as_u64().unwrap_or_default();
    if all > tried_only.len() as u64 {
        show::line(&format!("  … {all} in all"));
    }
    let incidents = array(&tried["incidents"]);
    if !incidents.is_empty() {
        show::line("incidents it would have opened:");
    }
    for incident in incidents {
        let over = match incident["resolved"].is_string() {
            true => format!("over {}", show::time(&incident["resolved"])),
            false => "still open".to_owned(),
        };
        show::line(&format!(
            "  {} {} ({}, team {}), {over}",
            show::time(&incident["opened"]),
            text(&incident["title"]),
            text(&incident["severity"]),
            text(&incident["owner"])
        ));
    }
}
