//! `trackside silence …` and `trackside maintenance …`: what nobody shall be told of for a while.

use super::ServerArgs;
use super::client::Client;
use super::commands::say;
use super::show::{self, array, text};
use super::viewer::{ZoneArgs, at, end, local, moment};
use crate::clock::Clock;
use anyhow::Result;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};
use trackside_core::duty::maintenance::When;
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Span;

const SILENCES: [(&str, &str); 6] = [
    ("STATE", "state"),
    ("MATCHERS", "matchers"),
    ("UNTIL", "until"),
    ("BY", "by"),
    ("REASON", "reason"),
    ("ID", "id"),
];
const WINDOWS: [(&str, &str); 7] = [
    ("STATE", "state"),
    ("NAME", "name"),
    ("MATCHERS", "matchers"),
    ("FROM", "from"),
    ("UNTIL", "until"),
    ("BY", "by"),
    ("ID", "id"),
];
const HELD: [(&str, &str); 5] =
    [("#", "number"), ("TITLE", "title"), ("OWNER", "owner"), ("MATCHING ALERTS", "matching"), ("HELD BACK", "held")];

#[derive(Debug, Subcommand)]
pub(super) enum SilenceAction {
    /// Silences that are not over
    List {
        #[command(flatten)]
        zone: ZoneArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Tell nobody of what these match, for a while
    Add {
        /// All must match: label="value", label!="value", label=~"pattern", label!~"pattern"
        #[arg(value_name = "MATCHER", required = true)]
        matchers: Vec<String>,
        /// For how long
        #[arg(long = "for", value_name = "LENGTH", required_unless_present = "until", conflicts_with = "until")]
        length: Option<Span>,
        /// Until: a time or a day, instead of --for
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        zone: ZoneArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show which open incidents a silence with these matchers would hold back
    Preview {
        /// As in `add`
        #[arg(value_name = "MATCHER", required = true)]
        matchers: Vec<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End a silence now
    Expire {
        /// Id of the silence
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum MaintenanceAction {
    /// Maintenance windows, of the configuration and made at run time
    List {
        #[command(flatten)]
        zone: ZoneArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Announce planned work: nobody is paged about what it covers
    Add {
        /// Name of the window
        name: String,
        /// What it covers (default: everything); may be given several times, then all must match
        #[arg(long = "matcher", value_name = "MATCHER")]
        matchers: Vec<String>,
        /// From: a time or a day
        #[arg(long, value_name = "TIME", default_value = "now")]
        from: String,
        /// For how long
        #[arg(long = "for", value_name = "LENGTH", required_unless_present = "until", conflicts_with = "until")]
        length: Option<Span>,
        /// Until: a time or a day, instead of --for
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        /// Connection that is told of its start and end; may be given several times
        #[arg(long, value_name = "CONNECTION")]
        announce: Vec<String>,
        #[command(flatten)]
        zone: ZoneArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End a window now, with all that was to come of it
    End {
        /// Id of the window
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(super) async fn silence(action: SilenceAction) -> Result<()> {
    match action {
        SilenceAction::List { zone, server } => {
            let zone = zone.zone()?;
            list(&server, "silences", |one| silence_row(one, &zone), &SILENCES).await
        }
        SilenceAction::Preview { matchers, server } => preview(&server, &matchers).await,
        SilenceAction::Add { matchers, length, until, reason, zone, server } => {
            let (zone, now) = (zone.zone()?, Clock::system().now());
            let ends = end(until.as_deref(), length, now, &zone, now)?;
            let body = json!({"matchers": matchers, "ends": ends, "reason": reason});
            let made = Client::new(&server)?.post("silences", Some(&body)).await?;
            let line = format!("silence {} until {} {}", text(&made["id"]), local(&made["ends"], &zone), zone.name());
            say(&server, &made, |_| line);
            Ok(())
        }
        SilenceAction::Expire { id, server } => {
            ended(&server, &format!("silences/{id}"), &format!("silence {id} is over")).await
        }
    }
}

pub(super) async fn maintenance(action: MaintenanceAction) -> Result<()> {
    match action {
        MaintenanceAction::List { zone, server } => {
            let (zone, now) = (zone.zone()?, Clock::system().now());
            list(&server, "maintenance", |one| window_row(one, &zone, now), &WINDOWS).await
        }
        MaintenanceAction::Add { name, matchers, from, length, until, reason, announce, zone, server } => {
            let (zone, now) = (zone.zone()?, Clock::system().now());
            let start = moment(&from, &zone, now)?;
            let end = end(until.as_deref(), length, start, &zone, now)?;
            let body = json!({
                "name": name, "matchers": matchers, "when": once(start, end, &zone), "reason": reason,
                "announce": announce,
            });
            let made = Client::new(&server)?.post("maintenance", Some(&body)).await?;
            let (from, until) = (at(start, &zone), at(end, &zone));
            let line = format!("maintenance {name} from {from} until {until} {} ({})", zone.name(), text(&made["id"]));
            say(&server, &made, |_| line);
            Ok(())
        }
        MaintenanceAction::End { id, server } => {
            ended(&server, &format!("maintenance/{id}"), &format!("maintenance window {id} is over")).await
        }
    }
}

/// A single window as it is written: by the wall clock of the zone, or by UTC's where the zone shows that time twice.
fn once(start: Timestamp, end: Timestamp, zone: &Zone) -> Value {
    let twice = zone.instant(zone.local(start)) != start;
    let zone = if twice { Zone::default() } else { zone.clone() };
    let seconds = end.duration_since(start).as_secs();
    json!({"tz": zone.name(), "start": zone.local(start).to_string(), "duration_s": seconds})
}

async fn list(server: &ServerArgs, path: &str, row: impl Fn(&Value) -> Value, columns: &show::Columns) -> Result<()> {
    let all = Client::new(server)?.get(path, &[]).await?;
    if server.json {
        show::json(&all);
    } else {
        show::table(&array(&all).iter().map(row).collect::<Vec<_>>(), columns);
    }
    Ok(())
}

fn silence_row(one: &Value, zone: &Zone) -> Value {
    json!({
        "state": one["state"], "matchers": covers(one), "until": local(&one["ends"], zone), "by": one["by"],
        "reason": one["reason"], "id": one["id"],
    })
}

fn window_row(one: &Value, zone: &Zone, now: Timestamp) -> Value {
    let when = serde_json::from_value::<When>(one["when"].clone()).unwrap_or_default();
    let active = when.active(now);
    let next = active.or_else(|| when.active(when.next_start(now)?));
    let (from, until) = next.map(|(start, end)| (at(start, zone), at(end, zone))).unzip();
    json!({
        "state": if active.is_some() { "active" } else { "planned" }, "name": one["name"], "matchers": covers(one),
        "from": from, "until": until, "by": one["by"].as_str().unwrap_or("configuration"), "id": one["id"],
    })
}

fn covers(one: &Value) -> String {
    let matchers: Vec<&str> = array(&one["matchers"]).iter().map(text).collect();
    if matchers.is_empty() { "everything".to_owned() } else { matchers.join(", ") }
}

/// What these matchers would hold back now.
async fn preview(server: &ServerArgs, matchers: &[String]) -> Result<()> {
    let found = Client::new(server)?.post("silences/preview", Some(&json!({"matchers": matchers}))).await?;
    if server.json {
        show::json(&found);
        return Ok(());
    }
    let row = |one: &Value| {
        let matching = format!("{} of {}", array(&one["matching"]).len(), one["alerts"]);
        json!({"number": one["number"], "title": one["title"], "owner": one["owner"], "held": one["held"],
            "matching": matching})
    };
    show::table(&array(&found["incidents"]).iter().map(row).collect::<Vec<_>>(), &HELD);
    Ok(())
}

async fn ended(server: &ServerArgs, path: &str, line: &str) -> Result<()> {
    let answer = Client::new(server)?.delete(path).await?;
    say(server, &answer, |_| line.to_owned());
    Ok(())
}
