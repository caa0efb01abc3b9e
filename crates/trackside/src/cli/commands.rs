//! The commands that ask a running server, and `check`.

use super::client::Client;
use super::show::{self, Columns, array, text};
use super::{ListArgs, ServerArgs, TokenAction};
use crate::clock::{Clock, sleep_until};
use crate::config;
use anyhow::{Result, bail};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use trackside_core::ruleset::Span;

/// How often `events tail` and `send-test` ask again.
const ASK_EVERY: SignedDuration = SignedDuration::from_millis(500);
/// How long `send-test` waits for the far end.
const TEST_WITHIN: SignedDuration = SignedDuration::from_secs(20);
/// Most events asked for at a time by `events tail`.
const TAIL: usize = 200;

/// `trackside check DIR`.
pub(super) fn check(folder: &Path, json: bool) -> Result<ExitCode> {
    let (errors, warnings, notes) = match config::load(folder) {
        Ok(config) => {
            let ahead = config.ahead(Clock::system().now());
            (Vec::new(), [config.warnings, ahead, config.unusable_here].concat(), config.secrets.unverified())
        }
        Err(problems) => (problems.0, Vec::new(), Vec::new()),
    };
    if json {
        show::json(&json!({"errors": errors, "warnings": warnings, "notes": notes}));
    } else {
        for problem in &errors {
            show::line(&format!("error: {problem}"));
        }
        for problem in &warnings {
            show::line(&format!("warning: {problem}"));
        }
        for problem in &notes {
            show::line(&format!("note: {problem}"));
        }
        let verdict = if errors.is_empty() { "can be used" } else { "cannot be used" };
        show::line(&format!("{} {verdict}: {} errors, {} warnings", folder.display(), errors.len(), warnings.len()));
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints an answer: as JSON, or as a line about it.
pub(super) fn say(server: &ServerArgs, answer: &Value, line: impl FnOnce(&Value) -> String) {
    if server.json {
        show::json(answer);
    } else {
        show::line(&line(answer));
    }
}

/// `runs`, `incidents`, `deliveries`.
pub(super) async fn list(
    args: &ListArgs,
    path: &str,
    query: &[(&str, Option<String>)],
    columns: &Columns,
) -> Result<()> {
    let mut query: Vec<(&str, String)> =
        query.iter().filter_map(|(name, value)| value.clone().map(|value| (*name, value))).collect();
    query.push(("limit", args.limit.to_string()));
    let page = Client::new(&args.server)?.get(path, &query).await?;
    if args.server.json {
        show::json(&page);
    } else {
        show::table(items(&page), columns);
    }
    Ok(())
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().or_else(|| page.as_array()).map_or(&[], Vec::as_slice)
}

/// `trackside explain ID`.
pub(super) async fn explain(server: &ServerArgs, id: &str) -> Result<()> {
    let client = Client::new(server)?;
    let id = match id.trim_start_matches('#').parse() {
        Ok(number) => incident_numbered(&client, number).await?,
        Err(_) => id.to_owned(),
    };
    let answer = client.get(&format!("explain/{id}"), &[]).await?;
    if server.json {
        show::json(&answer);
        return Ok(());
    }
    if let Some(event) = answer.get("event").filter(|event| event.is_object()) {
        show::line(&format!(
            "event {} {} from {}",
            event["id"].as_str().unwrap_or(&id),
            text(&event["event"]),
            text(&event["source"])
        ));
        show::line(&format!(
            "  occurred {}, received {}",
            show::time(&event["occurred"]),
            show::time(&event["received"])
        ));
    }
    for incident in array(&answer["incidents"]) {
        show::line(&format!(
            "incident #{} {} ({}, {})",
            incident["number"],
            text(&incident["title"]),
            text(&incident["state"]),
            text(&incident["severity"])
        ));
        show::line(&format!("  owner {}: {}", text(&incident["owner"]), text(&incident["owner_because"])));
    }
    for why in array(&answer["explanations"]) {
        explanation(why);
    }
    for delivery in array(&answer["deliveries"]) {
        told(delivery);
    }
    Ok(())
}

/// The id of the incident with this number.
async fn incident_numbered(client: &Client, number: u64) -> Result<String> {
    let query = [("before", number.saturating_add(1).to_string()), ("limit", "1".to_owned())];
    let page = client.get("incidents", &query).await?;
    match items(&page).first() {
        Some(incident) if incident["number"].as_u64() == Some(number) => Ok(text(&incident["id"]).to_owned()),
        _ => bail!("there is no incident #{number}; `trackside incidents` lists them"),
    }
}

fn explanation(why: &Value) {
    show::line(&format!("\nlog entry {}: {}", why["seq"], text(&why["meaning"])));
    let owner = &why["owner"];
    if owner.is_object() {
        show::line(&format!("  owner {}: {}", text(&owner["team"]), text(&owner["because"])));
        for passed in array(&owner["passed_over"]) {
            show::line(&format!("    passed over: {}", text(passed)));
        }
    }
    for rule in array(&why["rules"]) {
        show::line(&format!("  rule {} {}: {}", text(&rule["rule"]), text(&rule["verdict"]), text(&rule["because"])));
    }
    show::line(&format!("  so: {}", text(&why["outcome"])));
}

fn told(delivery: &Value) {
    let attempts = match delivery["attempts"].as_u64() {
        Some(1) => "1 attempt".to_owned(),
        _ => format!("{} attempts", delivery["attempts"]),
    };
    show::line(&format!(
        "\n{} via {}: {} after {attempts}",
        text(&delivery["action"]),
        text(&delivery["connection"]),
        text(&delivery["state"]),
    ));
    for attempt in array(&delivery["log"]) {
        // The error names the status where there was one, and what the far end said.
        let answer = attempt["error"].as_str().map_or_else(|| attempt["status"].to_string(), str::to_owned);
        show::line(&format!(
            "  {} attempt {}: {} ({answer}) in {} ms",
            show::time(&attempt["at"]),
            attempt["n"],
            text(&attempt["verdict"]),
            attempt["took_ms"]
        ));
    }
}

/// `trackside events tail`.
pub(super) async fn tail(server: &ServerArgs, lines: usize, no_follow: bool) -> Result<()> {
    let client = Client::new(server)?;
    let mut seen = 0;
    let mut limit = lines.min(TAIL);
    loop {
        let page = client.get("events", &[("limit", limit.max(1).to_string())]).await?;
        let mut events: Vec<&Value> = items(&page).iter().filter(|event| event["seq"].as_u64() > Some(seen)).collect();
        events.reverse();
        if limit == 0 {
            seen = events.last().and_then(|event| event["seq"].as_u64()).unwrap_or(0);
            events.clear();
        }
        for event in events {
            seen = event["seq"].as_u64().unwrap_or(seen);
            print_event(server, event);
        }
        if no_follow {
            return Ok(());
        }
        limit = TAIL;
        let clock = Clock::system();
        sleep_until(&clock, clock.now() + ASK_EVERY).await;
    }
}

fn print_event(server: &ServerArgs, event: &Value) {
    if server.json {
        show::line(&event.to_string());
    } else {
        let resource = &event["resource"];
        let name = resource["prefect.resource.name"].as_str().or_else(|| resource["prefect.resource.id"].as_str());
        let (seq, received) = (event["seq"].as_u64().unwrap_or(0), show::time(&event["received"]));
        let (source, kind) = (text(&event["source"]), text(&event["event"]));
        show::line(&format!(
            "{seq:>8} {received} {source:<16} {kind:<32} {} {}",
            name.unwrap_or(""),
            text(&event["id"])
        ));
    }
}

/// `trackside secrets`.
pub(super) async fn secrets(server: &ServerArgs) -> Result<()> {
    let secrets = Client::new(server)?.get("secrets", &[]).await?;
    if server.json {
        show::json(&secrets);
    } else {
        show::table(items(&secrets), &show::SECRETS);
    }
    Ok(())
}

/// `trackside deliveries retry ID`.
pub(super) async fn retry(server: &ServerArgs, id: &str) -> Result<()> {
    let answer = Client::new(server)?.post(&format!("deliveries/{id}/retry"), None).await?;
    if server.json {
        show::json(&answer);
    } else {
        show::line(&format!("delivery {id} is in the queue again"));
    }
    Ok(())
}

/// `trackside token …`.
pub(super) async fn token(action: TokenAction) -> Result<()> {
    match action {
        TokenAction::Create { name, role, team, scopes, expires_in, routing_key, server } => {
            let (form, expires) = (form(routing_key), expires_in.map(ends));
            let body =
                json!({"name": name, "role": role, "team": team, "scopes": scopes, "expires": expires, "form": form});
            let made = Client::new(&server)?.post("tokens", Some(&body)).await?;
            if server.json {
                show::json(&made);
            } else {
                show::remark(&format!("token `{name}` ({role}); it is shown only now:"));
                show::line(text(&made["token"]));
            }
        }
        TokenAction::Rotate { name, overlap, expires_in, routing_key, server } => {
            let body = json!({
                "overlap": format!("{}s", overlap.seconds()),
                "expires": expires_in.map(ends),
                "form": form(routing_key),
            });
            let made = Client::new(&server)?.post(&format!("tokens/{name}/rotate"), Some(&body)).await?;
            if server.json {
                show::json(&made);
            } else {
                let before = match overlap.seconds() {
                    0 => "the old secret works no more".to_owned(),
                    _ => format!("the old secret works for another {overlap}"),
                };
                show::remark(&format!("token `{name}`: {before}; the new secret is shown only now:"));
                show::line(text(&made["token"]));
            }
        }
        TokenAction::List { server } => {
            let tokens = Client::new(&server)?.get("tokens", &[]).await?;
            if server.json { show::json(&tokens) } else { show::table(items(&tokens), &show::TOKENS) }
        }
        TokenAction::Revoke { name, server } => {
            let answer = Client::new(&server)?.delete(&format!("tokens/{name}")).await?;
            if server.json { show::json(&answer) } else { show::line(&format!("token `{name}` is revoked")) }
        }
    }
    Ok(())
}

fn form(routing_key: bool) -> &'static str {
    if routing_key { "routing-key" } else { "bearer" }
}

/// When something ends that is made now.
fn ends(after: Span) -> String {
    (Clock::system().now() + after.0).to_string()
}

/// `trackside send-test CONNECTION`: asks for the test and waits for what the far end says.
pub(super) async fn send_test(server: &ServerArgs, connection: &str) -> Result<ExitCode> {
    let client = Client::new(server)?;
    let clock = Clock::system();
    let asked = client.post(&format!("connections/{connection}/test"), None).await?;
    let Some(id) =
        asked["delivery"]["id"].as_str().or_else(|| asked["id"].as_str()).or_else(|| asked["delivery"].as_str())
    else {
        bail!("the server accepted the test but named no delivery: {asked}");
    };
    let give_up = clock.now() + TEST_WITHIN;
    loop {
        let delivery = client.get(&format!("deliveries/{id}"), &[]).await?;
        let state = text(&delivery["state"]).to_owned();
        let over = matches!(state.as_str(), "delivered" | "dead" | "superseded");
        if over || clock.now() >= give_up {
            if server.json {
                show::json(&delivery);
            } else {
                told(&delivery);
            }
            return Ok(if state == "delivered" { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        sleep_until(&clock, clock.now() + ASK_EVERY).await;
    }
}

/// `trackside sign-in`.
pub(super) async fn sign_in(server: &ServerArgs) -> Result<()> {
    let body = json!({"person": "local-admin", "role": "admin"});
    let made = Client::new(server)?.post("sign-in-links", Some(&body)).await?;
    if server.json {
        show::json(&made);
    } else {
        show::line(text(&made["url"]));
    }
    Ok(())
}
