//! Small parts that every page is made of: states with their icon, ids that can be copied, empty lists, pagers.
//!
//! Pure. A state is never told by colour alone: each has a word and an icon of its own.

use crate::page::words::{As, time};
use jiff::Timestamp;
use maud::{Markup, html};
use trackside_core::event::Severity;
use trackside_core::incident::IncidentState;
use trackside_core::run::RunState;

/// A tone that the style sheet knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Info,
    Warn,
    Bad,
    Idle,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Idle => "idle",
        }
    }

    /// A 12 × 12 drawing, so that the tone is visible without colour.
    fn icon(self) -> &'static str {
        match self {
            Self::Good => "M2 6.5 4.8 9.2 10 3.5",
            Self::Info => "M6 1.8a4.2 4.2 0 1 0 4.2 4.2M6 3.6V6l1.6 1.2",
            Self::Warn => "M6 1.8 10.8 10H1.2ZM6 5v2.2M6 8.7v.1",
            Self::Bad => "M2.8 2.8 9.2 9.2M9.2 2.8 2.8 9.2",
            Self::Idle => "M2.5 6h7",
        }
    }
}

/// A word with the icon of its tone.
pub(crate) fn state(tone: Tone, word: &str) -> Markup {
    html! {
        span class={ "state " (tone.class()) } {
            svg viewBox="0 0 12 12" aria-hidden="true" { path d=(tone.icon()) {} }
            (word)
        }
    }
}

/// The state of a run or attempt.
pub(crate) fn run_state(state_of: RunState) -> Markup {
    let (tone, word) = match state_of {
        RunState::Scheduled => (Tone::Idle, "Scheduled"),
        RunState::Running => (Tone::Info, "Running"),
        RunState::Held => (Tone::Warn, "Held"),
        RunState::Retrying => (Tone::Warn, "Retrying"),
        RunState::Succeeded => (Tone::Good, "Succeeded"),
        RunState::Failed => (Tone::Bad, "Failed"),
        RunState::Skipped => (Tone::Idle, "Skipped"),
        RunState::Cancelled => (Tone::Idle, "Cancelled"),
    };
    state(tone, word)
}

/// The state of an incident.
pub(crate) fn incident_state(state_of: IncidentState) -> Markup {
    let (tone, word) = match state_of {
        IncidentState::Triggered => (Tone::Bad, "Triggered"),
        IncidentState::Acknowledged => (Tone::Warn, "Acknowledged"),
        IncidentState::Snoozed => (Tone::Warn, "Snoozed"),
        IncidentState::Resolved => (Tone::Good, "Resolved"),
    };
    state(tone, word)
}

/// Tone of a severity.
pub(crate) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Critical | Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warn,
        Severity::Info => Tone::Info,
    }
}

/// A word in a rounded frame.
pub(crate) fn pill(tone: Tone, words: &str) -> Markup {
    html! { span class={ "pill " (tone.class()) } { (words) } }
}

/// An id with a button that copies it. The button needs the script and stays hidden without it.
pub(crate) fn copyable(id: &str) -> Markup {
    html! {
        code { (id) }
        " "
        button.copy type="button" data-script hidden data-copy=(id) aria-label={ "copy " (id) } { "copy" }
    }
}

/// What a list says when it has nothing to show: why, and the next step.
pub(crate) fn empty(why: &str, next: &Markup) -> Markup {
    html! { div.empty { strong { (why) } (next) } }
}

/// A table that scrolls sideways on its own, with its column titles.
pub(crate) fn table(columns: &[Column], rows: &Markup) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for column in columns { th scope="col" class=[column.class] { @if column.title.is_empty() { span.visually-hidden { "Action" } } @else { (column.title) } } } } }
                tbody { (rows) }
            }
        }
    }
}

/// A column title.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    class: Option<&'static str>,
}

/// A column; one without a title is for buttons and links.
pub(crate) const fn column(title: &'static str) -> Column {
    Column { title, class: None }
}

/// A column of numbers.
pub(crate) const fn number(title: &'static str) -> Column {
    Column { title, class: Some("num") }
}

/// A column that phones leave out.
pub(crate) const fn wide(title: &'static str) -> Column {
    Column { title, class: Some("wide") }
}

/// A column of numbers that phones leave out.
pub(crate) const fn wide_number(title: &'static str) -> Column {
    Column { title, class: Some("num wide") }
}

/// The link to older entries: the same address with `before` set.
pub(crate) fn older(path: &str, query: &[(&str, &str)], next: Option<u64>) -> Markup {
    let Some(next) = next else { return Markup::default() };
    html! {
        div.pages {
            @if query.iter().any(|(name, value)| *name == "before" && !value.is_empty()) { a href=(address(path, query, None)) { "Newest" } } @else { span {} }
            a rel="next" href=(address(path, query, Some(next))) { "Older" }
        }
    }
}

/// An address with the parameters that are set, and `before` replaced.
pub(crate) fn address(path: &str, query: &[(&str, &str)], before: Option<u64>) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(name, value)| *name != "before" && !value.is_empty()) {
        pairs.append_pair(name, value);
    }
    if let Some(before) = before {
        pairs.append_pair("before", &before.to_string());
    }
    let query = pairs.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// An address that a sender chose, as a link when it leads to the web.
pub(crate) fn outside(href: &str, text: &str) -> Markup {
    html! { @if is_web(href) { a href=(href) rel="noreferrer noopener" { (text) } } @else { (text) } }
}

/// Whether an address leads to the web, and not into the browser.
pub(crate) fn is_web(href: &str) -> bool {
    href.starts_with("https://") || href.starts_with("http://")
}

/// A name that may be broken where its parts meet, so that narrow columns do not break inside a word.
pub(crate) fn name(text: &str) -> Markup {
    html! { @for part in text.split_inclusive(['_', '-', '.', '/']) { (part) wbr; } }
}

/// A sentence of the core: parts in backticks are code, times are shown in the viewer's zone.
pub(crate) fn sentence(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { @for word in part.split_inclusive(' ') { (timed(word)) } }
        }
    }
}

/// A word that may be a time, with what stands around it.
fn timed(word: &str) -> Markup {
    let end = word.trim_end_matches([' ', ',', ';', ')', '.', ':']);
    let begin = end.len() - end.trim_start_matches('(').len();
    match end[begin..].parse::<Timestamp>() {
        Ok(at) => html! { (&word[..begin]) (time(at, As::Time)) (&word[end.len()..]) },
        Err(_) => html! { (word) },
    }
}

/// One segment of a path, escaped.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_filters_and_replace_the_position() {
        let query = [("state", "failed"), ("source", ""), ("q", "a b&c"), ("before", "7")];
        assert_eq!(address("/runs", &query, Some(3)), "/runs?state=failed&q=a+b%26c&before=3");
        assert_eq!(address("/runs", &[], None), "/runs");
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert!(outside("javascript:alert(1)", "log").into_string().eq("log"));
        assert!(outside("https://a/?x=1&y=2", "log").into_string().contains("x=1&amp;y=2"));
    }

    #[test]
    fn a_sentence_of_the_core_is_made_readable() {
        let got = sentence("2 of `a<b`, the last at 2026-11-20T23:17:16.753177Z; not 3.").into_string();
        let expect = "2 of <code>a&lt;b</code>, the last at <time datetime=\"2026-11-20T23:17:16.753Z\" data-as=\"time\">\
            2026-11-20 23:17:16 UTC</time>; not 3.";
        assert_eq!(got, expect);
        assert!(
            sentence("(late: it was due at 2026-11-20T23:17:16Z, when)").into_string().contains("UTC</time>, when)")
        );
    }

    #[test]
    fn run_ids_survive_in_a_path() {
        assert_eq!(segment("manual__2026-11-20T02:14:03+00:00"), "manual__2026-11-20T02%3A14%3A03%2B00%3A00");
        assert_eq!(segment("a/b"), "a%2Fb");
    }
}
