//! `trackside automations …`: what is in force, why it did what it did, what it would have done, what is wrong with it.

use super::client::Client;
use super::show::{self, Columns, array, text};
use super::{ListArgs, ServerArgs};
use crate::config::{self, Findings, Problems};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use uuid::Uuid;

/// Columns of `automations list`.
const AUTOMATIONS: [(&str, &str); 9] = [
    ("NAME", "name"),
    ("STATE", "state"),
    ("TRIGGER", "trigger"),
    ("SEMANTICS", "semantics"),
    ("KEPT IN", "origin"),
    ("LAST FIRED", "last_fired"),
    ("14 DAYS", "fired"),
    ("FINDINGS", "findings"),
    ("ID", "id"),
];
/// Firings that `automations show` prints.
const FIRINGS: usize = 5;
/// Automations asked for at a time.
const PAGE: usize = 500;

/// `trackside automations list`
pub(super) async fn list(args: &ListArgs) -> Result<()> {
    let client = Client::new(&args.server)?;
    let page = client.get("automations", &[("limit", args.limit.to_string())]).await?;
    if args.server.json {
        show::json(&page);
        return Ok(());
    }
    let rows: Vec<Value> = array(&page["items"]).iter().map(row).collect();
    show::table(&rows, &AUTOMATIONS as &Columns);
    let (shown, total) = (rows.len(), page["total"].as_u64().unwrap_or_default());
    if total > shown as u64 {
        show::remark(&format!("{shown} of {total}; --limit shows more"));
    }
    Ok(())
}

fn row(automation: &Value) -> Value {
    let mut row = automation.clone();
    row["state"] = if automation["enabled"] == true { json!("on") } else { json!("paused") };
    row["last_fired"] = json!(show::time(&automation["last_fired"]));
    row["fired"] = json!(array(&automation["days"]).iter().filter_map(|day| day["fired"].as_u64()).sum::<u64>());
    row
}

/// `trackside automations show NAME`
pub(super) async fn show(server: &ServerArgs, name: &str) -> Result<()> {
    let client = Client::new(server)?;
    let id = find(&client, name).await?;
    let mut automation = client.get(&format!("automations/{id}"), &[]).await?;
    let firings = client.get(&format!("automations/{id}/firings"), &[("limit", FIRINGS.to_string())]).await?;
    if server.json {
        automation["firings"] = firings["items"].clone();
        show::json(&automation);
        return Ok(());
    }
    let shown = row(&automation);
    show::line(&format!("{} ({}, {id})", text(&shown["name"]), text(&shown["state"])));
    let kept = if automation["origin"] == "files" { "the configuration" } else { "the API" };
    show::line(&format!(
        "  evaluated as {}, kept in {kept}, version {} of {}",
        text(&automation["semantics"]),
        automation["version"],
        show::time(&automation["updated"])
    ));
    show::line(&format!("  fired {} in 14 days\n", times(&shown["fired"])));
    show::line(text(&automation["yaml"]).trim_end());
    for firing in array(&firings["items"]) {
        show::line(&format!("\n{}", fired(firing)));
        array(&firing["actions"]).iter().for_each(|action| show::line(&format!("  {}", text(action))));
    }
    Ok(())
}

/// A firing on one line.
pub(super) fn fired(firing: &Value) -> String {
    let word = if firing["state"] == "Resolved" { "resolved" } else { "fired" };
    let labels: Vec<String> = firing["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    let labels = if labels.is_empty() { String::new() } else { format!(" [{}]", labels.join(", ")) };
    let late = firing["due"].as_str().map_or_else(String::new, |_| format!(", due {}", show::time(&firing["due"])));
    format!("{} {word}{labels}: {}{late}", show::time(&firing["at"]), text(&firing["because"]))
}

/// `trackside automations pause NAME`, `… resume NAME`
pub(super) async fn switch(server: &ServerArgs, name: &str, verb: &str) -> Result<()> {
    let client = Client::new(server)?;
    let id = find(&client, name).await?;
    let answer = client.post(&format!("automations/{id}/{verb}"), None).await?;
    if server.json {
        show::json(&answer);
    } else {
        let done = if verb == "pause" { "is paused" } else { "is evaluated again" };
        show::line(&format!("automation `{name}` {done}"));
    }
    Ok(())
}

/// `trackside automations explain NAME EVENT`
pub(super) async fn explain(server: &ServerArgs, name: &str, event: &str) -> Result<()> {
    let client = Client::new(server)?;
    let id = find(&client, name).await?;
    let event: Uuid = event.parse().with_context(|| format!("`{event}` is not the id of an event; ids are UUIDs"))?;
    let answer = client.post("automations/explain", Some(&json!({"automation": id, "event": event}))).await?;
    if server.json {
        show::json(&answer);
        return Ok(());
    }
    show::line(&format!(
        "{} (as {}): {}",
        text(&answer["automation"]),
        text(&answer["semantics"]),
        text(&answer["verdict"])
    ));
    for trigger in array(&answer["triggers"]) {
        let path = text(&trigger["trigger"]);
        let place = if path.is_empty() { String::new() } else { format!(" {path}") };
        show::line(&format!("\ntrigger{place} ({}): {}", text(&trigger["kind"]), text(&trigger["role"])));
        for clause in array(&trigger["clauses"]) {
            let word = if clause["holds"] == true { "holds" } else { "fails" };
            let (name, wanted, found) = (text(&clause["clause"]), text(&clause["wanted"]), text(&clause["found"]));
            show::line(&format!("  {word}  {name}: wanted {wanted}, found {found}"));
        }
    }
    for (word, states) in [("before", &answer["before"]), ("after", &answer["after"])] {
        for state in array(states) {
            let key: Vec<&str> = array(&state["key"]).iter().map(text).collect();
            show::line(&format!("\n{word} [{}]: {}", key.join(", "), text(&state["holds"])));
        }
    }
    array(&answer["firings"]).iter().for_each(|firing| show::line(&format!("\n{}", fired(firing))));
    if answer["next_due"].is_string() {
        show::line(&format!("\nlooked at next at {}", show::time(&answer["next_due"])));
    }
    Ok(())
}

/// `trackside automations lint [DIR]`
pub(super) async fn check(server: &ServerArgs, path: Option<&Path>) -> Result<ExitCode> {
    let (errors, warnings) = match path {
        Some(path) => match config::lint_files(path) {
            Ok(Findings { errors, warnings }) => (values(&errors)?, values(&warnings)?),
            Err(Problems(problems)) => (values(&problems)?, Vec::new()),
        },
        None => in_force(&Client::new(server)?).await?,
    };
    if server.json {
        show::json(&json!({"errors": errors, "warnings": warnings}));
    } else {
        for (word, list) in [("error", &errors), ("warning", &warnings)] {
            list.iter().for_each(|finding| show::line(&format!("{word}: {}", told(finding))));
        }
        show::line(&format!("{} errors, {} warnings", errors.len(), warnings.len()));
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn values(problems: &[config::Problem]) -> Result<Vec<Value>> {
    problems.iter().map(|problem| Ok(serde_json::to_value(problem)?)).collect()
}

/// A finding on one line, with its place: in a file, or in an automation.
fn told(finding: &Value) -> String {
    let mut line = text(&finding["file"]).to_owned();
    if finding["line"].as_u64().is_some_and(|line| line > 0) {
        line = format!("{line}:{}:{}", finding["line"], finding["column"]);
    }
    let said = ["name", "path", "at", "problem", "message"].map(|part| text(&finding[part]));
    let parts: Vec<&str> = std::iter::once(line.as_str()).chain(said).filter(|part| !part.is_empty()).collect();
    match finding["suggestion"].as_str() {
        Some(suggestion) => format!("{} ({suggestion})", parts.join(": ")),
        None => parts.join(": "),
    }
}

/// What the server finds in the automations in force: errors and warnings.
async fn in_force(client: &Client) -> Result<(Vec<Value>, Vec<Value>)> {
    let found = client.get("automations/findings", &[]).await?;
    Ok(array(&found).iter().cloned().partition(|finding| finding["severity"] == "error"))
}

/// Every automation of a listing.
async fn all(client: &Client, query: &[(&str, String)]) -> Result<Vec<Value>> {
    let mut found: Vec<Value> = Vec::new();
    loop {
        let mut query = query.to_vec();
        query.extend([("limit", PAGE.to_string()), ("offset", found.len().to_string())]);
        let page = client.get("automations", &query).await?;
        let items = array(&page["items"]);
        found.extend(items.iter().cloned());
        if items.len() < PAGE {
            return Ok(found);
        }
    }
}

/// The id of the automation with this name or id.
pub(super) async fn find(client: &Client, name: &str) -> Result<Uuid> {
    match find_any(client, name).await?.as_slice() {
        [] => bail!("there is no automation `{name}`; `trackside automations list` lists them"),
        [one] => Ok(*one),
        several => {
            let ids: Vec<String> = several.iter().map(Uuid::to_string).collect();
            bail!("{} automations are called `{name}`; give an id: {}", several.len(), ids.join(", "))
        }
    }
}

/// The ids of the automations with this name, or the id that it is.
pub(super) async fn find_any(client: &Client, name: &str) -> Result<Vec<Uuid>> {
    if let Ok(id) = name.parse() {
        return Ok(vec![id]);
    }
    let found = all(client, &[("q", name.to_owned())]).await?;
    let named = found.iter().filter(|automation| automation["name"] == name);
    named.map(|automation| Ok(text(&automation["id"]).parse()?)).collect()
}

/// How often, in words.
pub(super) fn times(count: &Value) -> String {
    match count.as_u64().unwrap_or_default() {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        many => format!("{many} times"),
    }
}
