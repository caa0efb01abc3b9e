//! `trackside approvals …`: what waits for agreement, deciding it, asking for access, and access that holds.

use super::ServerArgs;
use super::client::Client;
use super::commands::say;
use super::show::{self, Columns, array, text};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

const APPROVALS: &Columns = &[
    ("#", "number"),
    ("STATE", "state"),
    ("ABOUT", "about"),
    ("ASKED BY", "requester"),
    ("NEEDED", "missing"),
    ("UNTIL", "expires"),
    ("ID", "id"),
];
const GRANTS: &Columns =
    &[("WHO", "subject"), ("ROUTE", "route"), ("UNTIL", "until"), ("AGREED TO BY", "approvers"), ("ID", "id")];

/// What can be done with approvals.
#[derive(Debug, Subcommand)]
pub(super) enum ApprovalsAction {
    /// List approvals, the latest asked first
    List {
        /// Only those that wait for your word
        #[arg(long, conflicts_with = "asked")]
        waiting: bool,
        /// Only those that you asked
        #[arg(long)]
        asked: bool,
        /// Only those in this state (open, approved, denied, expired, withdrawn)
        #[arg(long)]
        state: Option<String>,
        /// Most approvals
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show one: what is asked, who has spoken, who is missing
    Show(Which),
    /// Say yes
    Approve {
        #[command(flatten)]
        which: Which,
        /// Why, for the record
        #[arg(long)]
        remark: Option<String>,
    },
    /// Say no; one is enough
    Deny {
        #[command(flatten)]
        which: Which,
        /// Why, for the record
        #[arg(long)]
        remark: Option<String>,
    },
    /// Take back what you asked
    Withdraw(Which),
    /// Ask for access to a route
    Request {
        /// Name of the route
        route: String,
        /// Why, for whoever decides
        #[arg(long)]
        why: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Access that holds
    Grants {
        /// Those that are over instead
        #[arg(long)]
        ended: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End access before its time
    Revoke {
        /// Id of the grant
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// An approval.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Its id, or the number of one that is open
    approval: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Does it.
pub(super) async fn run(action: ApprovalsAction) -> Result<()> {
    match action {
        ApprovalsAction::List { waiting, asked, state, limit, server } => {
            let mine = if waiting { "waiting" } else { "asked" };
            let query = [
                ("mine", (waiting || asked).then(|| mine.to_owned())),
                ("state", state),
                ("limit", Some(limit.to_string())),
            ];
            let query: Vec<(&str, String)> =
                query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let page = Client::new(&server)?.get("approvals", &query).await?;
            list(&server, &page, APPROVALS);
        }
        ApprovalsAction::Show(which) => {
            let client = Client::new(&which.server)?;
            let one = client.get(&path(&client, &which).await?, &[]).await?;
            if which.server.json { show::json(&one) } else { print(&one) }
        }
        ApprovalsAction::Approve { which, remark } => word(&which, "approve", remark).await?,
        ApprovalsAction::Deny { which, remark } => word(&which, "deny", remark).await?,
        ApprovalsAction::Withdraw(which) => word(&which, "withdraw", None).await?,
        ApprovalsAction::Request { route, why, server } => {
            let body = json!({"route": route, "justification": why});
            let asked = Client::new(&server)?.post("approvals", Some(&body)).await?;
            say(&server, &asked, outcome);
        }
        ApprovalsAction::Grants { ended, server } => {
            let state = if ended { "ended" } else { "active" };
            let mut page = Client::new(&server)?.get("grants", &[("state", state.to_owned())]).await?;
            if !server.json {
                for grant in page["items"].as_array_mut().into_iter().flatten() {
                    // One that was revoked was over before its time.
                    let until = if ended { &grant["ended"] } else { &grant["until"] };
                    grant["until"] = show::time(until).into();
                }
            }
            list(&server, &page, GRANTS);
        }
        ApprovalsAction::Revoke { id, server } => {
            Client::new(&server)?.post(&format!("grants/{id}/revoke"), None).await?;
            say(&server, &json!({"id": id}), |_| "the access is revoked".to_owned());
        }
    }
    Ok(())
}

fn list(server: &ServerArgs, page: &Value, columns: &Columns) {
    if server.json {
        show::json(page);
    } else {
        show::table(array(&page["items"]), columns);
    }
}

async fn word(which: &Which, what: &str, remark: Option<String>) -> Result<()> {
    let client = Client::new(&which.server)?;
    let path = format!("{}/{what}", path(&client, which).await?);
    let body = json!({"remark": remark});
    let now = client.post(&path, (what != "withdraw").then_some(&body)).await?;
    say(&which.server, &now, outcome);
    Ok(())
}

/// The address of an approval; a number is looked up among those that are open.
async fn path(client: &Client, which: &Which) -> Result<String> {
    let Ok(number) = which.approval.trim_start_matches('#').parse::<u64>() else {
        return Ok(format!("approvals/{}", which.approval));
    };
    let query = [("state", "open".to_owned()), ("limit", "500".to_owned())];
    let page = client.get("approvals", &query).await?;
    let found = array(&page["items"]).iter().find(|one| one["number"] == number);
    match found {
        Some(one) => Ok(format!("approvals/{}", text(&one["id"]))),
        None => bail!("no open approval has the number {number}; `trackside approvals list` shows all"),
    }
}

fn outcome(one: &Value) -> String {
    let (number, about) = (&one["number"], text(&one["about"]));
    match text(&one["state"]) {
        "open" => format!("approval #{number} about {about} is open; it needs {}", text(&one["missing"])),
        state => format!("approval #{number} about {about} is {state}"),
    }
}

fn joined(names: &Value) -> String {
    array(names).iter().map(text).collect::<Vec<_>>().join(", ")
}

fn print(one: &Value) {
    show::line(&outcome(one));
    show::line(&format!(
        "asked by {} at {}, until {}",
        text(&one["requester"]),
        text(&one["created"]),
        text(&one["expires"])
    ));
    if let Some(why) = one["justification"].as_str() {
        show::line(&format!("why: {why}"));
    }
    for (index, part) in array(&one["any_of"]).iter().enumerate() {
        for group in array(&part["all_of"]) {
            let (agreed, from) = (array(&group["agreed"]).len(), joined(&group["from"]));
            let or = if index > 0 { "or " } else { "" };
            show::line(&format!("{or}{agreed} of {} from {from}", group["count"]));
        }
    }
    for voice in array(&one["voices"]) {
        let remark = voice["remark"].as_str().map_or_else(String::new, |remark| format!(": {remark}"));
        show::line(&format!("{} {} said {}{remark}", text(&voice["at"]), text(&voice["who"]), text(&voice["says"])));
    }
    if let Some(note) = one["note"].as_str() {
        show::line(note);
    }
}
