//! `trackside connections`: how each outside system and its credential stand; fetching a credential anew, trying it.

use super::ServerArgs;
use super::client::Client;
use super::show::{self, array, text};
use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Columns of the list.
const COLUMNS: [(&str, &str); 7] = [
    ("NAME", "name"),
    ("KIND", "kind"),
    ("CREDENTIAL", "credential"),
    ("STATE", "state"),
    ("ENDS", "expires"),
    ("ERROR", "error"),
    ("LEADS TO", "address"),
];

#[derive(Debug, Subcommand)]
pub(super) enum ConnectionsAction {
    /// Try a connection that jobs and routes call: ask its `check` address with its credential
    Check {
        /// Name of the connection
        connection: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Fetch the credential of a connection anew
    Refresh {
        /// Name of the connection
        connection: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `trackside connections`.
pub(super) async fn list(server: &ServerArgs) -> Result<()> {
    let connections = Client::new(server)?.get("connections", &[]).await?;
    if server.json {
        show::json(&connections);
    } else {
        let rows: Vec<Value> = array(&connections).iter().flat_map(rows).collect();
        show::table(&rows, &COLUMNS);
    }
    Ok(())
}

/// `trackside connections check|refresh CONNECTION`.
pub(super) async fn run(action: ConnectionsAction) -> Result<ExitCode> {
    match action {
        ConnectionsAction::Check { connection, server } => {
            let came = Client::new(&server)?.post(&format!("connections/{connection}/check"), None).await?;
            if server.json {
                show::json(&came);
            } else {
                let status = came["status"].as_u64().map(|status| format!(" (answered {status})")).unwrap_or_default();
                show::line(&format!("{}{status}", text(&came["detail"])));
            }
            Ok(if came["good"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        ConnectionsAction::Refresh { connection, server } => {
            let credentials = Client::new(&server)?.post(&format!("connections/{connection}/credential"), None).await?;
            if server.json {
                show::json(&credentials);
            } else {
                let connection = json!({"name": connection, "credentials": credentials});
                show::table(&rows(&connection), &COLUMNS[..6]);
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A row for each credential of a connection; one for a connection without.
fn rows(connection: &Value) -> Vec<Value> {
    let credentials = array(&connection["credentials"]);
    if credentials.is_empty() {
        return vec![connection.clone()];
    }
    let row = |credential: &Value| {
        let mut row = connection.clone();
        let management = if credential["opens"] == "management" { " (management)" } else { "" };
        row["credential"] = format!("{}{management}", text(&credential["kind"])).into();
        row["state"] = credential["state"].clone();
        row["expires"] = show::time(&credential["expires"]).into();
        row["error"] = credential["error"].clone();
        row
    };
    credentials.iter().map(row).collect()
}
