//! What the command line prints: tables for people, JSON for programs.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;
use serde_json::Value;
use std::io::Write as _;
use std::process::ExitCode;

/// Columns of a list: heading and JSON field.
pub(super) type Columns = [(&'static str, &'static str)];

/// Columns of `runs`.
pub(super) const RUNS: [(&str, &str); 7] = [
    ("STATE", "state"),
    ("PIPELINE", "pipeline"),
    ("RUN", "run"),
    ("SOURCE", "source"),
    ("OWNER", "owner"),
    ("STARTED", "started"),
    ("SECONDS", "duration_s"),
];
/// Columns of `incidents`.
pub(super) const INCIDENTS: [(&str, &str); 7] = [
    ("#", "number"),
    ("STATE", "state"),
    ("SEVERITY", "severity"),
    ("TITLE", "title"),
    ("OWNER", "owner"),
    ("OPENED", "opened"),
    ("ID", "id"),
];
/// Columns of `deliveries`.
pub(super) const DELIVERIES: [(&str, &str); 7] = [
    ("STATE", "state"),
    ("CONNECTION", "connection"),
    ("ACTION", "action"),
    ("TITLE", "title"),
    ("ATTEMPTS", "attempts"),
    ("ERROR", "last_error"),
    ("ID", "id"),
];
/// Columns of `secrets`.
pub(super) const SECRETS: [(&str, &str); 7] = [
    ("STATE", "state"),
    ("SECRET", "secret"),
    ("FROM", "source"),
    ("FETCHED", "fetched"),
    ("EXPIRES", "expires"),
    ("VERSION", "version"),
    ("ERROR", "error"),
];
/// Columns of `token list`.
pub(super) const TOKENS: [(&str, &str); 7] = [
    ("NAME", "name"),
    ("ROLE", "role"),
    ("TEAM", "team"),
    ("SCOPES", "scopes"),
    ("FROM", "origin"),
    ("CREATED", "created"),
    ("EXPIRES", "expires"),
];

/// Fields that hold times.
const TIMES: [&str; 5] = ["started", "opened", "created", "fetched", "expires"];

/// Prints a line to standard output. A closed pipe (`| head`) is not an error.
pub(super) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a remark to standard error.
pub(super) fn remark(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints an error with its causes.
pub(super) fn failed(error: &anyhow::Error) -> ExitCode {
    remark(&format!("error: {error:#}"));
    ExitCode::FAILURE
}

/// Prints a value as JSON.
pub(super) fn json(value: &Value) {
    line(&format!("{value:#}"));
}

/// Prints rows as a table.
pub(super) fn table(rows: &[Value], columns: &Columns) {
    if rows.is_empty() {
        remark("nothing to show");
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for row in rows {
        table.add_row(
            columns
                .iter()
                .map(|(_, field)| if TIMES.contains(field) { time(&row[*field]) } else { cell(&row[*field]) }),
        );
    }
    line(&table.to_string());
}

/// A time to the second.
pub(super) fn time(value: &Value) -> String {
    let parsed = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    parsed.map_or_else(|| cell(value), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// A value as one cell: the first line of a text, one decimal of a fraction, the items of a list.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
        Value::Number(number) if number.is_f64() => format!("{:.1}", number.as_f64().unwrap_or_default()),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A text; nothing when it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list; none when it is none.
pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
