//! `trackside report` and `trackside people`: how long it took, who was paged how often, who is there.

use super::ServerArgs;
use super::client::Client;
use super::show::{self, array, text};
use super::viewer::{ZoneArgs, local};
use anyhow::Result;
use clap::Args;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::process::ExitCode;

const PEOPLE: [(&str, &str); 6] = [
    ("PERSON", "person"),
    ("NAME", "title"),
    ("LOCAL TIME", "local"),
    ("TEAMS", "teams"),
    ("REACHED THROUGH", "contacts"),
    ("ON CALL", "on_call"),
];

const RESPONSE: [(&str, &str); 6] = [
    ("TEAM", "team"),
    ("INCIDENTS", "incidents"),
    ("NOISE", "noise"),
    ("TO ACKNOWLEDGE", "acknowledge"),
    ("TO RESOLVE", "resolve"),
    ("90% RESOLVED IN", "resolve_p90"),
];
const LOAD: [(&str, &str); 3] = [("PERSON", "person"), ("PAGES", "pages"), ("OUT OF HOURS", "out_of_hours")];
const PIPELINES: [(&str, &str); 5] =
    [("PIPELINE", "what"), ("ALERTS", "alerts"), ("INCIDENTS", "incidents"), ("PAGES", "pages"), ("NOISE", "noise")];
const RULES: [(&str, &str); 5] =
    [("RULE", "what"), ("ALERTS", "alerts"), ("INCIDENTS", "incidents"), ("PAGES", "pages"), ("NOISE", "noise")];
/// Lines of what makes most noise.
const NOISIEST: usize = 10;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Only incidents of this team
    #[arg(long)]
    team: Option<String>,
    /// From: a time or a day (default: four weeks ago)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until: a time or a day (default: now)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    zone: ZoneArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Arguments of `people`.
#[derive(Debug, Args)]
pub(super) struct PeopleArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// `trackside report`.
pub(super) async fn report(args: &ReportArgs) -> Result<()> {
    let zone = args.zone.zone()?;
    let asked = [("team", &args.team), ("from", &args.from), ("until", &args.until)];
    let mut query: Vec<(&str, String)> =
        asked.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    query.push(("zone", zone.name().to_owned()));
    let report = Client::new(&args.server)?.get("reports", &query).await?;
    if args.server.json {
        show::json(&report);
        return Ok(());
    }
    let (from, until) = (local(&report["from"], &zone), local(&report["until"], &zone));
    show::line(&format!("{from} until {until} {}", zone.name()));
    let teams = report["response"]["by_team"].as_object().into_iter().flatten();
    let mut rows: Vec<Value> = teams.map(|(team, figures)| response(team, figures)).collect();
    if rows.len() > 1 {
        rows.push(response("all", &report["response"]["all"]));
    }
    section("How long it took", &rows, &RESPONSE);
    let load = &report["load"];
    section("Who was paged", &array(&load["by_person"]).iter().map(person).collect::<Vec<_>>(), &LOAD);
    for (field, words) in [("to_channels", "pages to channels"), ("to_nobody", "steps that reached nobody at once")] {
        if load[field].as_u64() > Some(0) {
            show::line(&format!("{words}: {}", load[field]));
        }
    }
    let noisy = |field: &str, what: fn(&Value) -> String| -> Vec<Value> {
        let row = |noisy: &Value| {
            let mut row = noisy.clone();
            row["what"] = what(noisy).into();
            row
        };
        array(&report[field]).iter().take(NOISIEST).map(row).collect()
    };
    let pipeline = |noisy: &Value| format!("{}/{}", text(&noisy["source"]), text(&noisy["pipeline"]));
    section("Noisiest pipelines", &noisy("noisy_pipelines", pipeline), &PIPELINES);
    section("Noisiest rules", &noisy("noisy_rules", |noisy| text(&noisy["rule"]).to_owned()), &RULES);
    if report["cut"] == true {
        show::remark("there was more than is counted; ask for a shorter time");
    }
    Ok(())
}

/// A table under a heading; nothing when it is empty.
fn section(heading: &str, rows: &[Value], columns: &show::Columns) {
    if !rows.is_empty() {
        show::line(&format!("\n{heading}"));
        show::table(rows, columns);
    }
}

fn response(team: &str, figures: &Value) -> Value {
    let (acknowledge, resolve) = (&figures["time_to_acknowledge"], &figures["time_to_resolve"]);
    json!({
        "team": team, "incidents": figures["incidents"], "noise": figures["noise"],
        "acknowledge": length(&acknowledge["mean_s"]), "resolve": length(&resolve["mean_s"]),
        "resolve_p90": length(&resolve["p90_s"]),
    })
}

fn person(load: &Value) -> Value {
    json!({"person": load["person"]["title"], "pages": load["pages"], "out_of_hours": load["out_of_hours"]})
}

/// Seconds as people say them: `12m 30s`.
fn length(seconds: &Value) -> String {
    let Some(length) = seconds.as_f64().and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok()) else {
        return String::new();
    };
    format!("{:#}", SignedDuration::from_secs(length.as_secs()))
}

/// `trackside people`.
pub(super) async fn people(args: &PeopleArgs) -> Result<()> {
    let all = Client::new(&args.server)?.get("people", &[]).await?;
    if args.server.json {
        show::json(&all);
        return Ok(());
    }
    let row = |person: &Value| {
        let names = |field: &str| array(&person[field]).iter().map(text).collect::<Vec<_>>().join(", ");
        let contacts: Vec<&str> = array(&person["contacts"]).iter().map(|contact| text(&contact["via"])).collect();
        let there = text(&person["local_time"]).parse::<jiff::civil::DateTime>();
        json!({
            "person": person["name"], "title": person["title"],
            "local": there.map_or_else(|_| String::new(), |time| {
                format!("{} {}", time.strftime("%a %H:%M"), text(&person["zone"]))
            }),
            "teams": names("teams"), "contacts": contacts.join(", "), "on_call": names("on_call"),
        })
    };
    show::table(&array(&all).iter().map(row).collect::<Vec<_>>(), &PEOPLE);
    Ok(())
}
/// `trackside drift`. Fails when there are differences, so that a build can ask.
pub(super) async fn drift(server: &ServerArgs) -> Result<ExitCode> {
    let answer = Client::new(server)?.get("drift", &[]).await?;
    let findings = array(&answer["findings"]);
    if server.json {
        show::json(&answer);
    } else {
        for source in array(&answer["sources"]) {
            let name = text(&source["connection"]);
            match source.get("failed") {
                Some(why) => show::remark(&format!("{name} could not be read: {}", text(why))),
                None => show::remark(&format!("{name} was read at {}", show::time(&source["taken"]))),
            }
        }
        for finding in findings {
            show::line(&format!("{} (since {})", text(&finding["summary"]), show::time(&finding["since"])));
        }
        if array(&answer["sources"]).is_empty() {
            show::remark("nothing is compared: write `import` into a PagerDuty connection");
        }
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
