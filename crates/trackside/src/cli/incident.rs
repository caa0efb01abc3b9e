//! `trackside incident …`: what people say about an incident, and how it stands.
//!
//! An incident is named by its number (`12` or `#12`) or its id.

use super::client::Client;
use super::show::{self, array, text};
use super::viewer::{ZoneArgs, local};
use super::{ListArgs, ServerArgs, commands};
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::StatusCode;
use serde_json::{Value, json};
use trackside_core::duty::zone::Zone;
use trackside_core::ruleset::Span;
use trackside_core::ruleset::people::Target;

/// Which incidents a list shows.
#[derive(Debug, Args)]
pub(super) struct IncidentFilter {
    /// Only incidents in this state (open, triggered, acknowledged, snoozed, resolved)
    #[arg(long)]
    state: Option<String>,
    /// Only incidents of this team
    #[arg(long)]
    owner: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// One incident.
#[derive(Debug, Args)]
pub(super) struct One {
    /// Number or id of the incident
    #[arg(value_name = "INCIDENT")]
    id: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl One {
    /// As a path names it.
    fn name(&self) -> &str {
        self.id.trim_start_matches('#')
    }
}

/// How a timeline is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TimelineFormat {
    /// For people and post-mortems
    Markdown,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum IncidentAction {
    /// Incidents, latest first
    List(IncidentFilter),
    /// How one incident stands: who has it, who is paged next, what it affects
    Show {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        zone: ZoneArgs,
    },
    /// "I have it": nobody is paged any more
    Ack(One),
    /// "Nobody has it after all": the escalation starts again
    Unack(One),
    /// "Later": nobody is paged until then, and then it starts again
    Snooze {
        #[command(flatten)]
        one: One,
        /// For how long
        #[arg(long = "for", value_name = "LENGTH", default_value = "1h")]
        length: Span,
    },
    /// Page the next step now
    Escalate(One),
    /// Make somebody else responsible: a team becomes the owner, anybody else is paged
    Reassign {
        #[command(flatten)]
        one: One,
        /// person:NAME, oncall:SCHEDULE, team:NAME or channel:CONNECTION
        #[arg(long, value_name = "TARGET")]
        to: Target,
    },
    /// It is the same problem as another one, which goes on
    Merge {
        #[command(flatten)]
        one: One,
        /// Number or id of the one that goes on
        #[arg(long, value_name = "INCIDENT")]
        into: String,
    },
    /// A remark for the timeline
    Note {
        #[command(flatten)]
        one: One,
        /// The remark
        text: String,
    },
    /// "It is over": whoever was told is told this too
    Resolve(One),
    /// What happened, from the first failure to the end
    Timeline {
        #[command(flatten)]
        one: One,
        /// How it is written
        #[arg(long, value_enum, default_value = "markdown")]
        format: TimelineFormat,
        #[command(flatten)]
        zone: ZoneArgs,
    },
}

pub(super) async fn run(action: IncidentAction) -> Result<()> {
    match action {
        IncidentAction::List(filter) => list(filter).await,
        IncidentAction::Show { one, zone } => show_one(&one, &zone.zone()?).await,
        IncidentAction::Ack(one) => act(&one, "acknowledge", None).await,
        IncidentAction::Unack(one) => act(&one, "unacknowledge", None).await,
        IncidentAction::Snooze { one, length } => act(&one, "snooze", Some(json!({"for": length}))).await,
        IncidentAction::Escalate(one) => act(&one, "escalate", None).await,
        IncidentAction::Reassign { one, to } => act(&one, "reassign", Some(json!({"to": to}))).await,
        IncidentAction::Merge { one, into } => {
            act(&one, "merge", Some(json!({"into": into.trim_start_matches('#')}))).await
        }
        IncidentAction::Note { one, text } => act(&one, "note", Some(json!({"text": text}))).await,
        IncidentAction::Resolve(one) => act(&one, "resolve", None).await,
        IncidentAction::Timeline { one, format, zone } => timeline(&one, format, &zone.zone()?).await,
    }
}

/// `trackside incidents` and `trackside incident list`.
pub(super) async fn list(filter: IncidentFilter) -> Result<()> {
    let query = [("state", filter.state), ("owner", filter.owner)];
    commands::list(&filter.list, "incidents", &query, &show::INCIDENTS).await
}

/// Says something about an incident, and shows how it stands then.
async fn act(one: &One, what: &str, body: Option<Value>) -> Result<()> {
    let path = format!("incidents/{}/{what}", one.name());
    let (status, answer) = Client::new(&one.server)?.command(&path, body.as_ref()).await?;
    if one.server.json {
        show::json(&answer);
        return Ok(());
    }
    let number = &answer["number"];
    show::line(&match (status, what) {
        (StatusCode::ACCEPTED, _) => format!("incident #{number}: it is in the log and will be decided"),
        (_, "note") => format!("incident #{number}: the remark is in its timeline"),
        (_, "escalate") => format!("incident #{number}: the next step is paged now"),
        (_, "reassign") => format!("incident #{number}: reassigned (owner {})", text(&answer["owner"])),
        _ => format!("incident #{number} is {}: {}", text(&answer["state"]), text(&answer["title"])),
    });
    Ok(())
}

async fn timeline(one: &One, format: TimelineFormat, zone: &Zone) -> Result<()> {
    let client = Client::new(&one.server)?;
    let path = format!("incidents/{}/timeline", one.name());
    let query = |format: &str| [("format", format.to_owned()), ("zone", zone.name().to_owned())];
    if one.server.json || format == TimelineFormat::Json {
        show::json(&client.get(&path, &query("json")).await?);
    } else {
        show::line(client.text(&path, &query("markdown")).await?.trim_end());
    }
    Ok(())
}

async fn show_one(one: &One, zone: &Zone) -> Result<()> {
    let incident = Client::new(&one.server)?.get(&format!("incidents/{}", one.name()), &[]).await?;
    if one.server.json {
        show::json(&incident);
        return Ok(());
    }
    let (state, severity) = (text(&incident["state"]), text(&incident["severity"]));
    show::line(&format!("incident #{} {} ({state}, {severity})", incident["number"], text(&incident["title"])));
    show::line(&format!("  owner {}: {}", text(&incident["owner"]), text(&incident["owner_because"])));
    let failures = if incident["occurrences"] == 1 { "failure" } else { "failures" };
    let opened = local(&incident["opened"], zone);
    show::line(&format!("  opened {opened}, {} {failures} since", incident["occurrences"]));
    if incident["acknowledged"].is_string() {
        let (at, by) = (local(&incident["acknowledged"], zone), text(&incident["acknowledged_by"]));
        show::line(&format!("  acknowledged {at} by {by}"));
    }
    for (field, words) in [("snoozed_until", "snoozed until"), ("resolved", "resolved")] {
        if incident[field].is_string() {
            show::line(&format!("  {words} {}", local(&incident[field], zone)));
        }
    }
    if incident["part_of"].is_object() {
        show::line(&format!("  part of #{} {}", incident["part_of"]["number"], text(&incident["part_of"]["title"])));
    }
    for why in array(&incident["suppressed_by"]) {
        show::line(&format!("  nobody is told: {}", text(&why["reason"])));
    }
    for affected in array(&incident["affected"]) {
        let because = text(&affected["because"]);
        show::line(&format!("  affects {}/{}: {because}", text(&affected["source"]), text(&affected["pipeline"])));
    }
    let told: Vec<&str> = array(&incident["told"]).iter().map(text).collect();
    if !told.is_empty() {
        show::line(&format!("  told: {}", told.join(", ")));
    }
    array(&incident["pages"]).iter().for_each(|page| paged(page, zone));
    course(&incident["course"], zone);
    show::remark(&format!("times are in {}", zone.name()));
    Ok(())
}

/// Somebody was paged.
fn paged(page: &Value, zone: &Zone) {
    let whom = page["person"].as_str().map_or_else(String::new, |person| format!(" {person}"));
    let note = page["note"].as_str().map_or_else(String::new, |note| format!(": {note}"));
    let late = page["late_s"].as_i64().map_or_else(String::new, |late| format!(", {late} s late"));
    let (at, target) = (local(&page["at"], zone), text(&page["target"]));
    show::line(&format!("  paged {at} step {} {target}{whom}{late}{note}", page["step"]));
}

/// How the escalation goes on.
fn course(course: &Value, zone: &Zone) {
    if course.is_null() {
        return;
    }
    let restarts = match local(&course["restarts"], zone) {
        none if none.is_empty() => String::new(),
        restarts => format!(", starts again {restarts}"),
    };
    show::line(&format!("  escalation {}: {}{restarts}", text(&course["policy"]), text(&course["stands"])));
    for ahead in array(&course["to_come"]) {
        let target = |target: &Value| {
            let people: Vec<&str> = array(&target["people"]).iter().map(|person| text(&person["title"])).collect();
            let people = if people.is_empty() { String::new() } else { format!(" ({})", people.join(", ")) };
            format!("{}{people}", text(&target["target"]))
        };
        let targets: Vec<String> = array(&ahead["targets"]).iter().map(target).collect();
        show::line(&format!("    {} step {} {}", local(&ahead["due"], zone), ahead["step"], targets.join(", ")));
    }
}
