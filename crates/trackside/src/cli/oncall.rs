//! `trackside oncall …`: who is on call now and over a time, and having somebody else be.

use super::ServerArgs;
use super::client::Client;
use super::commands::say;
use super::show::{self, array, text};
use super::viewer::{ZoneArgs, end, local, moment};
use crate::clock::Clock;
use anyhow::{Result, bail};
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Span;

/// How far around two shifts that are swapped is looked for their ends.
const AROUND: SignedDuration = SignedDuration::from_hours(35 * 24);

const NOW: [(&str, &str); 5] =
    [("SCHEDULE", "schedule"), ("ON CALL", "on_call"), ("BY", "source"), ("UNTIL", "until"), ("NEXT", "next")];
const SHIFTS: [(&str, &str); 4] = [("FROM", "from"), ("UNTIL", "until"), ("ON CALL", "on_call"), ("BY", "source")];
const OVERRIDES: [(&str, &str); 6] = [
    ("OVERRIDE", "id"),
    ("FROM", "from"),
    ("UNTIL", "until"),
    ("ON CALL", "on_call"),
    ("MADE BY", "by"),
    ("REASON", "reason"),
];

#[derive(Debug, Subcommand)]
pub(super) enum OncallAction {
    /// Who is on call now, until when, and who is next
    Now {
        /// Only this schedule
        #[arg(long)]
        schedule: Option<String>,
        #[command(flatten)]
        zone: ZoneArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Shifts of a schedule; where nobody is on call, it says so
    Schedule {
        /// Name of the schedule
        schedule: String,
        /// From: a time or a day (default: now)
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Until: a time or a day (default: four weeks later)
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        zone: ZoneArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put somebody else on call for a time, or nobody
    Override {
        /// Name of the schedule
        schedule: String,
        /// Who is on call instead
        #[arg(long, value_name = "PERSON", required_unless_present = "nobody")]
        user: Option<String>,
        /// Nobody is on call: what is due goes to the next step at once
        #[arg(long, conflicts_with = "user")]
        nobody: bool,
        /// From: a time or a day
        #[arg(long, value_name = "TIME", default_value = "now")]
        from: String,
        /// Until: a time or a day
        #[arg(long, value_name = "TIME", required_unless_present = "length")]
        until: Option<String>,
        /// For how long, instead of --until
        #[arg(long = "for", value_name = "LENGTH", conflicts_with = "until")]
        length: Option<Span>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        zone: ZoneArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take an override back
    OverrideRemove {
        /// Id of the override
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Two people swap shifts: two overrides
    Swap {
        /// Name of the schedule
        schedule: String,
        /// A time in the first shift
        #[arg(value_name = "TIME")]
        one: String,
        /// A time in the other shift
        #[arg(value_name = "OTHER_TIME")]
        other: String,
        /// Why
        #[arg(long, default_value = "swapped")]
        reason: String,
        #[command(flatten)]
        zone: ZoneArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(super) async fn run(action: OncallAction) -> Result<()> {
    match action {
        OncallAction::Now { schedule, zone, server } => now(&server, schedule.as_deref(), &zone.zone()?).await,
        OncallAction::Schedule { schedule, from, until, zone, server } => {
            let query = [("from", from), ("until", until)];
            let query = query.into_iter().filter_map(|(name, value)| Some((name, value?)));
            shifts(&server, &schedule, query.collect(), &zone.zone()?).await
        }
        OncallAction::Override { schedule, user, nobody: _, from, until, length, reason, zone, server } => {
            let (zone, now) = (zone.zone()?, Clock::system().now());
            let start = moment(&from, &zone, now)?;
            let end = end(until.as_deref(), length, start, &zone, now)?;
            let made = put(&Client::new(&server)?, &schedule, user.as_deref(), (start, end), &reason).await?;
            say(&server, &made, |made| {
                let whom = made["user"].as_str().unwrap_or("nobody").to_owned();
                let (start, end) = (local(&made["start"], &zone), local(&made["end"], &zone));
                format!("{whom} is on call in {schedule} from {start} until {end} (override {})", text(&made["id"]))
            });
            Ok(())
        }
        OncallAction::OverrideRemove { id, server } => {
            let answer = Client::new(&server)?.delete(&format!("overrides/{id}")).await?;
            say(&server, &answer, |_| format!("override {id} is taken back"));
            Ok(())
        }
        OncallAction::Swap { schedule, one, other, reason, zone, server } => {
            let (zone, now) = (zone.zone()?, Clock::system().now());
            let times = [moment(&one, &zone, now)?, moment(&other, &zone, now)?];
            swap(&server, &schedule, times, &reason, &zone).await
        }
    }
}

async fn now(server: &ServerArgs, schedule: Option<&str>, zone: &Zone) -> Result<()> {
    let all = Client::new(server)?.get("oncall", &[("zone", zone.name().to_owned())]).await?;
    let wanted = |stand: &&Value| schedule.is_none_or(|name| stand["schedule"] == name);
    let stands: Vec<Value> = array(&all).iter().filter(wanted).cloned().collect();
    if let Some(name) = schedule.filter(|_| stands.is_empty()) {
        bail!("there is no schedule `{name}`; `trackside oncall now` lists them");
    }
    if server.json {
        show::json(&stands.into());
        return Ok(());
    }
    let row = |stand: &Value| {
        json!({
            "schedule": stand["schedule"], "on_call": people(&stand["people"]), "source": stand["source"],
            "until": local(&stand["until"], zone),
            "next": if stand["next"].is_object() { people(&stand["next"]["people"]) } else { String::new() },
        })
    };
    show::table(&stands.iter().map(row).collect::<Vec<_>>(), &NOW);
    for stand in stands.iter().filter(|stand| stand["next_gap"].is_object()) {
        let (start, end) = (local(&stand["next_gap"]["start"], zone), local(&stand["next_gap"]["end"], zone));
        show::line(&format!("nobody is on call in {} from {start} until {end}", text(&stand["schedule"])));
    }
    if !stands.is_empty() {
        show::remark(&format!("times are in {}", zone.name()));
    }
    Ok(())
}

/// Names of people in one cell.
fn people(people: &Value) -> String {
    let names: Vec<&str> = array(people).iter().map(|person| text(&person["title"])).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

async fn shifts(server: &ServerArgs, schedule: &str, mut query: Vec<(&str, String)>, zone: &Zone) -> Result<()> {
    query.push(("zone", zone.name().to_owned()));
    let found = Client::new(server)?.get(&format!("schedules/{schedule}/shifts"), &query).await?;
    if server.json {
        show::json(&found);
        return Ok(());
    }
    let row = |shift: &Value| {
        let whom = if shift["gap"] == true { "-- nobody --".to_owned() } else { people(&shift["people"]) };
        let (from, until) = (local(&shift["start"], zone), local(&shift["end"], zone));
        json!({"from": from, "until": until, "on_call": whom, "source": shift["source"]})
    };
    show::table(&array(&found["shifts"]).iter().map(row).collect::<Vec<_>>(), &SHIFTS);
    let overrides: Vec<Value> = array(&found["overrides"])
        .iter()
        .map(|made| {
            json!({
                "id": made["id"], "from": local(&made["start"], zone), "until": local(&made["end"], zone),
                "on_call": made["user"].as_str().unwrap_or("nobody"), "by": made["by"], "reason": made["reason"],
            })
        })
        .collect();
    if !overrides.is_empty() {
        show::line("");
        show::table(&overrides, &OVERRIDES);
    }
    let gaps = array(&found["shifts"]).iter().filter(|shift| shift["gap"] == true).count();
    let gaps = if gaps == 0 { String::new() } else { format!("; nobody is on call {gaps} times") };
    show::remark(&format!("times are in {}{gaps}", zone.name()));
    Ok(())
}

async fn put(
    client: &Client,
    schedule: &str,
    user: Option<&str>,
    (start, end): (Timestamp, Timestamp),
    reason: &str,
) -> Result<Value> {
    let body = json!({"user": user, "start": start, "end": end, "reason": reason});
    client.post(&format!("schedules/{schedule}/overrides"), Some(&body)).await
}

async fn swap(server: &ServerArgs, schedule: &str, times: [Timestamp; 2], reason: &str, zone: &Zone) -> Result<()> {
    let client = Client::new(server)?;
    let (a, b) = (shift_at(&client, schedule, times[0]).await?, shift_at(&client, schedule, times[1]).await?);
    let body = json!({"a": a, "b": b, "reason": reason});
    let made = client.post(&format!("schedules/{schedule}/swaps"), Some(&body)).await?;
    say(server, &made, |made| {
        let line = |made: &Value| {
            let (start, end) = (local(&made["start"], zone), local(&made["end"], zone));
            format!("{} is on call in {schedule} from {start} until {end}", text(&made["user"]))
        };
        format!("{}\n{}", line(&made["a"]), line(&made["b"]))
    });
    Ok(())
}

/// The whole shift that contains an instant: from when, until when.
async fn shift_at(client: &Client, schedule: &str, at: Timestamp) -> Result<Value> {
    let (from, until) = (at.saturating_sub(AROUND)?, at.saturating_add(AROUND)?);
    let query = [("from", from.to_string()), ("until", until.to_string())];
    let found = client.get(&format!("schedules/{schedule}/shifts"), &query).await?;
    let time = |value: &Value| text(value).parse::<Timestamp>().ok();
    let around = |shift: &Value| {
        let (start, end) = (time(&shift["start"])?, time(&shift["end"])?);
        (start <= at && at < end).then_some((start, end))
    };
    let Some((start, end)) = array(&found["shifts"]).iter().find_map(around) else {
        bail!("{schedule} has no shift at {at}");
    };
    if start <= from || end >= until {
        bail!("the shift at {at} is longer than can be swapped as a whole; use `trackside oncall override`");
    }
    Ok(json!({"start": start, "end": end}))
}
