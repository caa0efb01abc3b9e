//! What somebody is writing: the text of a definition, what it would replace, and how it is shown.
//!
//! The YAML view and the form view are two views of one text. The text travels with the page, so that nothing is kept
//! on the server and everything works without script.

use super::fields::apply;
use crate::api::automations::find;
use crate::api::automations::text::{Definition, yaml};
use crate::page::Failed;
use crate::problem::Problem;
use crate::state::AppState;
use http::StatusCode;
use serde_json::Value;
use trackside_core::automation::definition::Automation;
use trackside_core::automation::request::{Written, parse_written};
use trackside_core::automation::written::written;

/// Longest text that is taken, in bytes; the API takes as much.
const TEXT_BYTES: usize = 256 * 1024;

/// How a definition is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    /// As text.
    #[default]
    Yaml,
    /// As fields.
    Form,
}

impl View {
    /// The word in addresses and forms.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Form => "form",
        }
    }

    /// The view of this word.
    pub(super) fn of(word: &str) -> Self {
        if word == "form" { Self::Form } else { Self::Yaml }
    }
}

/// What the editor's form sends.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Id of the automation that it is an edit of; empty for a new one.
    automation: String,
    /// The version that was edited.
    version: Option<u32>,
    /// The view it was sent from.
    from: View,
    /// The view to show next.
    to: Option<View>,
    text: String,
    /// Event to be tried: one that was pasted, else one that was picked.
    pub(super) event: Option<String>,
    /// Days to be back-tested.
    pub(super) days: Option<u32>,
    fields: Vec<(String, String)>,
}

impl From<Vec<(String, String)>> for Sent {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut sent = Self::default();
        let mut picked = None;
        for (name, text) in pairs {
            let text = text.replace("\r\n", "\n");
            let filled = || Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            match name.as_str() {
                "automation" => sent.automation = text,
                "version" => sent.version = text.parse().ok(),
                "from" => sent.from = View::of(&text),
                "view" => sent.to = Some(View::of(&text)),
                "text" => sent.text = text,
                "event" => sent.event = filled(),
                "picked" => picked = filled(),
                "days" => sent.days = text.parse().ok(),
                _ => sent.fields.push((name, text)),
            }
        }
        sent.event = sent.event.or(picked);
        sent
    }
}

/// A definition that is being written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// What it would replace.
    pub(super) automation: Option<Automation>,
    /// The version that is edited.
    pub(super) version: u32,
    /// The text.
    pub(super) text: String,
    /// How it is shown.
    pub(super) view: View,
}

impl Draft {
    /// An automation as it is in force.
    pub(super) fn of(automation: Automation, view: View) -> Result<Self, Problem> {
        let text = yaml(&automation)?;
        Ok(Self { version: automation.version, automation: Some(automation), text, view })
    }

    /// A new one.
    pub(super) fn new(text: String, view: View) -> Self {
        Self { automation: None, version: 0, text, view }
    }

    /// What was sent, with what was typed into fields put into the text.
    pub(super) async fn received(state: &AppState, sent: &Sent) -> Result<Self, Failed> {
        if sent.text.len() > TEXT_BYTES {
            let detail = "the definition is larger than 256 KiB";
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into());
        }
        let automation = match sent.automation.as_str() {
            "" => None,
            id => Some(find(state, id).await?),
        };
        let version = sent.version.or(automation.as_ref().map(|automation| automation.version)).unwrap_or_default();
        let text = match sent.from {
            View::Yaml => sent.text.clone(),
            View::Form => with_fields(&sent.text, &sent.fields),
        };
        let mut draft = Self { automation, version, text, view: sent.to.unwrap_or(sent.from) };
        if draft.view == View::Form && sent.from == View::Yaml {
            draft.show_form();
        }
        Ok(draft)
    }

    /// The text in the order and the long form that the fields need; stays text when it has mistakes.
    pub(super) fn show_form(&mut self) {
        match Definition(self.text.clone()).read().ok().and_then(|written| text_of(&written)) {
            Some(text) => (self.text, self.view) = (text, View::Form),
            None => self.view = View::Yaml,
        }
    }

    /// What the fields show.
    pub(super) fn definition(&self) -> Value {
        value(&self.text).unwrap_or_default()
    }

    /// The definition in force, when this is another one.
    pub(super) fn replaced(&self) -> Option<String> {
        let before = yaml(self.automation.as_ref()?).ok()?;
        let same = before == self.text
            || Definition(self.text.clone()).read().is_ok_and(|written| {
                self.automation
                    .as_ref()
                    .is_some_and(|now| now.spec == written.spec && now.semantics == written.semantics)
            });
        (!same).then_some(before)
    }
}

fn value(text: &str) -> Option<Value> {
    Definition(text.to_owned()).tree().ok().map(|tree| tree.value().clone())
}

fn with_fields(text: &str, fields: &[(String, String)]) -> String {
    let Some(before) = value(text) else { return text.to_owned() };
    let mut after = before.clone();
    apply(&mut after, fields);
    if after == before {
        return text.to_owned();
    }
    let tidy = parse_written(&after).ok().and_then(|written| text_of(&written));
    tidy.or_else(|| serde_saphyr::to_string(&after).ok()).unwrap_or_else(|| text.to_owned())
}

fn text_of(read: &Written) -> Option<String> {
    let entry = written(&read.spec, read.semantics).ok()?;
    serde_saphyr::to_string(&entry).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: a\ntrigger:\n  type: event\n  expect:\n  - x\nactions:\n- type: page-owner\n";

    fn sent(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn fields_change_the_text_and_only_where_they_changed() {
        assert_eq!(with_fields(TEXT, &[]), TEXT);
        let commented = format!("# why\n{TEXT}");
        assert_eq!(with_fields(&commented, &sent(&[("/name", "a"), ("/trigger/expect", "x")])), commented);
        let got = with_fields(&commented, &sent(&[("/trigger/threshold", "3"), ("/trigger/within", "600")]));
        assert!(got.contains("  threshold: 3\n  within: 10m\n"), "{got}");
        let wrong = with_fields(TEXT, &sent(&[("/trigger/threshold", "three")]));
        assert!(wrong.contains("threshold: three"), "{wrong}");
        assert_eq!(with_fields("trigger: [", &sent(&[("/name", "b")])), "trigger: [");
    }

    #[test]
    fn a_form_is_read_field_by_field() {
        let pairs = [
            ("automation", "id"),
            ("version", "3"),
            ("from", "form"),
            ("text", "a\r\nb"),
            ("event", " "),
            ("picked", "e"),
            ("days", "7"),
            ("/name", "x"),
        ];
        let read = Sent::from(sent(&pairs));
        assert_eq!((read.automation.as_str(), read.version, read.from, read.to), ("id", Some(3), View::Form, None));
        assert_eq!((read.text.as_str(), read.event.as_deref(), read.days), ("a\nb", Some("e"), Some(7)));
        assert_eq!(read.fields, sent(&[("/name", "x")]));
        assert_eq!(Sent::from(sent(&[("event", "pasted"), ("picked", "e")])).event.as_deref(), Some("pasted"));
    }
}
