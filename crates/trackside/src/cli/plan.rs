//! `trackside plan` and `trackside apply`: what a folder would change on a running server, and changing it.
//!
//! Exit codes of `plan`: 0 nothing changes, 2 something does, 1 it cannot be used. Colours only on a terminal.

use super::ServerArgs;
use super::client::Client;
use super::show::{self, array, text};
use crate::config::{self, Problems};
use anyhow::{Result, bail};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Exit code of a plan that changes something.
const CHANGES: u8 = 2;

/// Whether somebody is asked before something changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// It was given with `--yes`.
    Given,
    /// Somebody at the terminal must say so.
    Ask,
}

/// `trackside plan DIR`
pub(super) async fn plan(server: &ServerArgs, folder: &Path) -> Result<ExitCode> {
    let upload = match upload(server, folder) {
        Ok(upload) => upload,
        Err(code) => return Ok(code),
    };
    let Some(plan) = ask(&Client::new(server)?, server, folder, "config/plan", &upload).await? else {
        return Ok(ExitCode::FAILURE);
    };
    if server.json {
        show::json(&plan);
    } else {
        Paper::of_stdout().plan(&plan, folder);
    }
    Ok(match (array(&plan["errors"]).is_empty(), array(&plan["changes"]).is_empty()) {
        (false, _) => ExitCode::FAILURE,
        (true, false) => ExitCode::from(CHANGES),
        (true, true) => ExitCode::SUCCESS,
    })
}

/// `trackside apply DIR`
pub(super) async fn apply(server: &ServerArgs, folder: &Path, consent: Consent) -> Result<ExitCode> {
    let mut upload = match upload(server, folder) {
        Ok(upload) => upload,
        Err(code) => return Ok(code),
    };
    let client = Client::new(server)?;
    let Some(plan) = ask(&client, server, folder, "config/plan", &upload).await? else {
        return Ok(ExitCode::FAILURE);
    };
    let paper = Paper::of_stdout();
    if !server.json {
        paper.plan(&plan, folder);
    }
    if !array(&plan["errors"]).is_empty() {
        if server.json {
            show::json(&plan);
        }
        return Ok(ExitCode::FAILURE);
    }
    if !array(&plan["changes"]).is_empty() && consent == Consent::Ask && !agreed()? {
        show::remark("nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    upload["in_force"] = plan["in_force"].clone();
    let Some(done) = ask(&client, server, folder, "config/apply", &upload).await? else {
        return Ok(ExitCode::FAILURE);
    };
    if server.json {
        show::json(&done);
    } else {
        show::line("It is in force.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The files of a folder as they are sent. What cannot be read is told here.
fn upload(server: &ServerArgs, folder: &Path) -> Result<Value, ExitCode> {
    match config::read_folder(folder) {
        Ok(files) => {
            let files: Vec<Value> =
                files.into_iter().map(|file| json!({"name": file.name, "text": file.text})).collect();
            Ok(json!({"files": files}))
        }
        Err(Problems(problems)) => {
            if server.json {
                show::json(&json!({"errors": problems}));
            } else {
                problems.iter().for_each(|problem| show::line(&format!("error: {problem}")));
            }
            Err(ExitCode::FAILURE)
        }
    }
}

/// Asks the server. Mistakes in the files are told here.
async fn ask(client: &Client, server: &ServerArgs, folder: &Path, path: &str, upload: &Value) -> Result<Option<Value>> {
    let (status, answer) = client.ask(path, upload).await?;
    if status.is_success() {
        return Ok(Some(answer));
    }
    if status != StatusCode::UNPROCESSABLE_ENTITY || !answer["errors"].is_array() {
        bail!("the server answered {status}: {}", answer["detail"].as_str().unwrap_or("no reason was given"));
    }
    if server.json {
        show::json(&answer);
    } else {
        array(&answer["errors"]).iter().for_each(|error| show::line(&format!("error: {}", problem(folder, error))));
    }
    Ok(None)
}

fn agreed() -> Result<bool> {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() {
        bail!("nobody can be asked here whether this is meant; give --yes");
    }
    write!(stderr, "Put this in force? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Where plans are printed: with colours or without.
struct Paper {
    green: &'static str,
    yellow: &'static str,
    red: &'static str,
    plain: &'static str,
}

impl Paper {
    fn of_stdout() -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        if colours {
            Self { green: "\x1b[32m", yellow: "\x1b[33m", red: "\x1b[31m", plain: "\x1b[0m" }
        } else {
            Self { green: "", yellow: "", red: "", plain: "" }
        }
    }

    fn plan(&self, plan: &Value, folder: &Path) {
        for warning in array(&plan["warnings"]) {
            show::line(&format!("warning: {}", problem(folder, warning)));
        }
        for error in array(&plan["errors"]) {
            show::line(&format!("error: {}", problem(folder, error)));
        }
        let changes = array(&plan["changes"]);
        changes.iter().for_each(|change| self.change(change));
        let count = |kind: &str| changes.iter().filter(|change| change["change"] == kind).count();
        show::line(&match changes.len() {
            0 => "No changes: what is in force is what the files say.".to_owned(),
            _ => format!("{} new, {} changed, {} removed.", count("new"), count("changed"), count("removed")),
        });
    }

    fn change(&self, change: &Value) {
        let kind = text(&change["change"]);
        let (sign, colour) = match kind {
            "new" => ("+", self.green),
            "removed" => ("-", self.red),
            _ => ("~", self.yellow),
        };
        let later = if change["needs_restart"] == true { "  (takes effect at the next start)" } else { "" };
        let name = format!("{} {}", singular(text(&change["section"])), text(&change["name"]));
        show::line(&format!("{colour}{sign} {}{}{later}", name.trim_end(), self.plain));
        for field in array(&change["fields"]) {
            let path =
                if text(&field["path"]).is_empty() { String::new() } else { format!("{}: ", text(&field["path"])) };
            let (before, after) = (field.get("before").map(flow), field.get("after").map(flow));
            show::line(&match (before, after) {
                (Some(before), Some(after)) => format!("    {path}{before} -> {after}"),
                (None, Some(after)) if kind == "new" => format!("    {path}{after}"),
                (None, Some(after)) => format!("    {}+{} {path}{after}", self.green, self.plain),
                (Some(before), None) => format!("    {}-{} {path}{before}", self.red, self.plain),
                (None, None) => format!("    {path}"),
            });
        }
    }
}

/// A mistake with the client's path of the file.
fn problem(folder: &Path, problem: &Value) -> String {
    let file = text(&problem["file"]);
    let path = if file.is_empty() { folder.to_owned() } else { folder.join(file) };
    let mut line = path.display().to_string();
    if problem["line"].as_u64().is_some_and(|line| line > 0) {
        line = format!("{line}:{}:{}", problem["line"], problem["column"]);
    }
    for part in [text(&problem["path"]), text(&problem["problem"])] {
        if !part.is_empty() {
            line = format!("{line}: {part}");
        }
    }
    match problem["suggestion"].as_str() {
        Some(suggestion) => format!("{line} ({suggestion})"),
        None => line,
    }
}

/// A value on one line, as YAML people would write it.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a text means itself without quotes, whatever stands around it.
fn is_plain(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '+' | '<' | '$'));
    let simple = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '@' | '+' | '$');
    let another = matches!(text, "true" | "false" | "null") || text.parse::<f64>().is_ok();
    starts && text.chars().all(simple) && !text.ends_with(' ') && !another
}

/// What one entry of a section is called.
fn singular(section: &str) -> &str {
    match section {
        "people" => "person",
        "escalations" => "escalation policy",
        "maintenance" => "maintenance window",
        "heartbeat_out" => "heartbeat out",
        "sign_in" => "sign-in",
        "policies" => "policy",
        "owners" | "pipelines" | "server" | "incidents" | "inhibitions" | "upstreams" | "canary" | "scim" => section,
        section => section.trim_end_matches('s'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_people_write_them() {
        for (value, expect) in [
            (json!("slack-data"), "slack-data"),
            (json!("true"), "\"true\""),
            (json!("20"), "\"20\""),
            (json!("a: b"), "\"a: b\""),
            (json!("-x"), "\"-x\""),
            (json!(""), "\"\""),
            (json!([{"via": "a", "n": 1}, null]), "[{via: a, n: 1}, null]"),
        ] {
            assert_eq!(flow(&value), expect);
        }
    }

    #[test]
    fn mistakes_have_the_path_that_the_caller_knows() {
        let error =
            json!({"file": "a.yaml", "line": 3, "column": 1, "path": "teams", "problem": "no", "suggestion": "yes"});
        assert_eq!(problem(Path::new("conf"), &error), "conf/a.yaml:3:1: teams: no (yes)");
        let whole = json!({"file": "", "line": 0, "column": 0, "path": "", "problem": "no"});
        assert_eq!(problem(Path::new("conf"), &whole), "conf: no");
    }
}
