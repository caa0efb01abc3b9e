//! The story of an incident as Markdown (CommonMark, with GitHub's tables).
//!
//! Pure. Invariant: texts from outside are escaped, so that they show as they are and cannot become markup or table cells.

use super::{StepOut, TimelineOut};
use crate::api::model::{PagedOut, SentOut};
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write as _;
use trackside_core::duty::zone::Zone;

/// The document, times in a zone.
pub(crate) fn render(timeline: &TimelineOut, zone: &Zone) -> String {
    let mut out = String::new();
    let incident = &timeline.incident;
    line(&mut out, &format!("# Incident {}: {}", incident.number, escape(&incident.title)));
    line(&mut out, "");
    header(&mut out, timeline, zone);
    section(&mut out, "Who was paged", timeline.pages.iter().map(|page| paged(page, zone)));
    let affected = timeline.affected.iter().map(|affected| {
        let (source, pipeline) = (escape(&affected.source), escape(&affected.pipeline));
        format!("{source}/{pipeline} since {}: {}", time(zone, affected.since), escape(&affected.because))
    });
    section(&mut out, "Affected", affected);
    let members =
        timeline.members.iter().map(|member| format!("Incident {}: {}", member.number, escape(&member.title)));
    section(&mut out, "Part of it", members);
    // How a message went stands with the row that decided it.
    let steps = timeline.steps.iter().filter(|step| !step.row.action.starts_with("delivery."));
    section(&mut out, "Timeline", steps.map(|row| step(row, zone)));
    if timeline.cut {
        line(&mut out, "\nEarlier steps are left out.");
    }
    out
}

fn header(out: &mut String, timeline: &TimelineOut, zone: &Zone) {
    let incident = &timeline.incident;
    let told = if incident.told.is_empty() { "nobody".to_owned() } else { incident.told.join(", ") };
    let mut rows = vec![
        ("State", incident.state.as_str().to_owned()),
        ("Severity", incident.severity.as_str().to_owned()),
        ("Owner", format!("{} ({})", incident.owner, incident.owner_because)),
        ("Pipeline", format!("{}/{}", incident.source, incident.pipeline)),
        ("Opened", time(zone, incident.opened)),
    ];
    if let Some(seconds) = timeline.time_to_acknowledge_s {
        let who = timeline.first_acknowledged_by.as_deref().unwrap_or("somebody");
        rows.push(("Time to acknowledge", format!("{} (by {who})", length(seconds))));
    }
    if let (Some(at), Some(seconds)) = (incident.resolved, timeline.time_to_resolve_s) {
        rows.push(("Resolved", time(zone, at)));
        rows.push(("Time to resolve", length(seconds)));
    }
    if incident.reopened > 0 {
        rows.push(("Opened again", format!("{} times", incident.reopened)));
    }
    rows.push(("Failures", incident.occurrences.to_string()));
    rows.push(("Told", told));
    rows.push(("Times", format!("in {}", zone.name())));
    line(out, "| | |");
    line(out, "|---|---|");
    for (name, value) in rows {
        line(out, &format!("| {name} | {} |", escape(&value)));
    }
}

fn section(out: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    line(out, &format!("\n## {title}\n"));
    for item in items {
        line(out, &format!("- {item}"));
    }
}

fn paged(page: &PagedOut, zone: &Zone) -> String {
    let whom = match &page.person {
        Some(person) => format!("{} ({})", escape(person), escape(&page.target)),
        None => escape(&page.target),
    };
    let again = if page.cycle > 0 { format!(", repetition {}", page.cycle) } else { String::new() };
    let late = page.late_s.map_or_else(String::new, |late| format!(", {} late", length(late)));
    let note = if page.note.is_empty() { String::new() } else { format!(": {}", escape(&page.note)) };
    format!("{} step {}{again}: {whom}{late}{note}", time(zone, page.at), page.step)
}

fn step(step: &StepOut, zone: &Zone) -> String {
    let row = &step.row;
    let mut text = format!("{} **{}** by {}: ", time(zone, row.at), escape(&row.action), escape(&step.by));
    match row.action.as_str() {
        // People write notes in lines.
        "incident.noted" => {
            for line in row.summary.lines() {
                let _ = write!(text, "\n  > {}", escape(line));
            }
        }
        _ => text.push_str(&escape(&row.summary)),
    }
    for why in &step.because {
        let _ = write!(text, "\n  - because of {}", escape(why));
    }
    // The row of a page names the messages of the rows before it.
    for sent in step.messages.iter().filter(|_| row.action != "page.decided") {
        let _ = write!(text, "\n  - {}", message(sent, zone));
    }
    text
}

fn message(sent: &SentOut, zone: &Zone) -> String {
    let to = sent.to.as_deref().map_or_else(String::new, |to| format!(" to {}", escape(to)));
    let at = sent.done.map_or_else(String::new, |at| format!(" {}", time(zone, at)));
    let attempts = if sent.attempts == 1 { String::new() } else { format!(", {} attempts", sent.attempts) };
    let error = sent.error.as_deref().map_or_else(String::new, |error| format!(": {}", escape(error)));
    format!("{}{to}: {}{at}{attempts}{error}", escape(&sent.connection), sent.state.as_str())
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// A time as people read it.
fn time(zone: &Zone, at: Timestamp) -> String {
    zone.local(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn length(seconds: i64) -> String {
    format!("{:#}", SignedDuration::from_secs(seconds))
}

/// A text on one line that shows as it is.
fn escape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '<' | '>' | '~' | '&' => {
                plain.extend(['\\', c]);
            }
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_stay_texts() {
        assert_eq!(
            escape("a|b\n# <script> [x](javascript:1) `c`"),
            "a\\|b \\# \\<script\\> \\[x\\](javascript:1) \\`c\\`"
        );
        assert_eq!(escape("orders_daily failed"), "orders\\_daily failed");
    }
}
