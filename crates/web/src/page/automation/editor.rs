//! The editor: the definition as text or as fields, what is wrong with it, what it would do.
//!
//! Pure. One form for everything: its buttons post the text to be checked, tried, back-tested or saved, and each answer
//! is the whole page with the text in it, so it works without script. The script posts the same form while somebody
//! types and takes `#diagnostics` and `#answer` out of the answer.

use super::diagnosis::{Diagnosis, list};
use super::draft::{Draft, View};
use super::form;
use super::{Shown, sentence};
use crate::api::automations::diff;
use crate::api::model::LineOut;
use crate::page::layout::card;
use crate::page::words::utc;
use maud::{Markup, html};
use trackside_core::automation::action::ActionSpec;
use trackside_core::automation::definition::{Automation, Origin};
use trackside_core::event::{RESOURCE_ID, RESOURCE_NAME};
use trackside_store::log::LoggedEvent;

/// Id of the text, for links to its lines.
const TEXT: &str = "text";
/// Lines that the text has room for at first.
const ROWS: usize = 18;
/// Days that can be back-tested.
pub(super) const DAYS: [u32; 3] = [7, 14, 30];

/// What an editor shows.
pub(super) struct Editor<'a> {
    /// What is written.
    pub(super) draft: &'a Draft,
    /// What is wrong with it.
    pub(super) diagnosis: &'a Diagnosis,
    /// Whether the visitor may save it.
    pub(super) saving: Saving,
    /// Events that it could be tried on.
    pub(super) recent: &'a [LoggedEvent],
    /// The event that was chosen.
    pub(super) event: Option<&'a str>,
    /// The days that were chosen.
    pub(super) days: u32,
    /// What the last question was answered.
    pub(super) answer: &'a Markup,
}

/// What may be done with an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saving {
    /// It can be saved.
    Allowed,
    /// It can be tried only.
    TryOnly,
}

/// The editor with everything around it.
pub(super) fn render(editor: &Editor<'_>) -> Markup {
    html! {
        div.two {
            (definition(editor))
            div.stack {
                (diagnostics(editor))
                (past(editor))
            }
        }
        div id="answer" { (editor.answer) }
    }
}

fn definition(editor: &Editor<'_>) -> Markup {
    let Draft { automation, version, text, view } = editor.draft;
    let save =
        automation.as_ref().map_or_else(|| "/automations".to_owned(), |known| format!("/automations/{}", known.id));
    html! {
        form.card.editor id="editor" method="post" action=(save) {
            // Enter in a field checks; it never saves.
            button.visually-hidden type="submit" formaction="/automations/check" tabindex="-1" aria-hidden="true" { "Check" }
            @if let Some(automation) = automation { input type="hidden" name="automation" value=(automation.id); }
            input type="hidden" name="version" value=(version);
            input type="hidden" name="from" value=(view.word());
            div.title {
                h2 { "Definition" }
                span.small.soft data-script hidden { "checked as you type" }
                div.views role="group" aria-label="Shown as" {
                    @for (each, word) in [(View::Yaml, "YAML"), (View::Form, "Form")] {
                        button type="submit" formaction="/automations/check" name="view" value=(each.word()) aria-pressed=(if each == *view { "true" } else { "false" }) { (word) }
                    }
                }
            }
            @match view {
                View::Yaml => { (as_text(text)) }
                View::Form => {
                    input type="hidden" name="text" value=(text);
                    (form::render(&editor.draft.definition(), &editor.diagnosis.notes))
                }
            }
            div.acts.end {
                @if editor.saving == Saving::Allowed { button.main type="submit" { "Save" } }
                button type="submit" formaction="/automations/check" { "Check" }
            }
        }
    }
}

fn as_text(text: &str) -> Markup {
    html! {
        div.code {
            div.gutter id="gutter" aria-hidden="true" {}
            label {
                span.visually-hidden { "Definition in YAML or JSON" }
                textarea id=(TEXT) name="text" rows=(rows(text)) wrap="off" spellcheck="false" autocapitalize="off" autocomplete="off" { "\n" (text) }
            }
        }
    }
}

fn rows(text: &str) -> usize {
    (text.lines().count() + 2).max(ROWS)
}

fn diagnostics(editor: &Editor<'_>) -> Markup {
    let lines = (editor.draft.view == View::Yaml).then_some(TEXT);
    let replaced = editor.draft.replaced();
    card(
        "What it says",
        &html! {},
        &html! {
            div.says id="diagnostics" aria-live="polite" {
                @if let Some(definition) = &editor.diagnosis.definition { (in_words(definition)) }
                (list(&editor.diagnosis.notes, lines))
                @if let Some(before) = replaced {
                    details.changes open {
                        summary { "What changes" }
                        (diff_lines(&diff::lines(&before, &editor.draft.text)))
                    }
                }
            }
        },
    )
}

/// A definition in plain lines.
pub(super) fn in_words(automation: &Automation) -> Markup {
    let spec = &automation.spec;
    let actions = |told: &str, actions: &[ActionSpec]| {
        html! { @if !actions.is_empty() { dt { (told) } dd { @for action in actions { div { (sentence::action(action)) } } } } }
    };
    html! {
        dl.facts {
            dt { "When" } dd { (sentence::trigger(&spec.trigger)) }
            (actions("Then", &spec.actions))
            (actions("When met", &spec.actions_on_trigger))
            (actions("When clear", &spec.actions_on_resolve))
        }
    }
}

/// A definition that is only looked at.
pub(super) fn to_read(text: &str, aside: &Markup) -> Markup {
    card("Definition", aside, &html! { pre id=(TEXT) tabindex="0" { (text) } })
}

/// What the text would do with what was recorded.
fn past(editor: &Editor<'_>) -> Markup {
    let picked =
        editor.event.is_some_and(|event| editor.recent.iter().any(|known| known.event.id.to_string() == event));
    html! {
        section.card {
            div.title { h2 { "Against the past" } span.small.soft { "nothing is sent" } }
            div.past {
                label { "The last" select name="days" form="editor" {
                    @for days in DAYS { option value=(days) selected[days == editor.days] { (days) " days" } }
                } }
                button type="submit" form="editor" formaction="/automations/backtest" data-in-place { "Back-test" }
            }
            div.past.event {
                @if !editor.recent.is_empty() {
                    label { "A recent event" select name="picked" form="editor" {
                        @for logged in editor.recent {
                            @let id = logged.event.id.to_string();
                            option value=(id) selected[editor.event == Some(id.as_str())] { (event_line(logged)) }
                        }
                    } }
                }
                label { @if editor.recent.is_empty() { "Id of an event" } @else { "or the id of another" } input name="event" form="editor" value=[editor.event.filter(|_| !picked)] autocomplete="off" spellcheck="false"; }
                button type="submit" form="editor" formaction="/automations/try" data-in-place { "Try" }
            }
        }
    }
}

/// An event in a line, as a list to pick from shows it.
fn event_line(logged: &LoggedEvent) -> String {
    let event = &logged.event;
    let about =
        event.resource.get(RESOURCE_NAME).or_else(|| event.resource.get(RESOURCE_ID)).map_or("", String::as_str);
    format!("{} · {} · {about}", utc(event.occurred), event.event)
}

/// The lines of a comparison.
pub(super) fn diff_lines(lines: &[LineOut]) -> Markup {
    html! {
        pre.diff tabindex="0" {
            @for line in lines {
                @match line.change {
                    "added" => { ins { "+ " (line.text) "\n" } }
                    "removed" => { del { "- " (line.text) "\n" } }
                    "gap" => { span.soft { "  …\n" } }
                    _ => { "  " (line.text) "\n" }
                }
            }
        }
    }
}

/// Where an automation that cannot be saved here is changed.
pub(super) fn how_to_change(shown: &Shown) -> Markup {
    html! {
        @match shown.automation.origin {
            Origin::Files => { "It is " (shown.kept) ": change it there, then " code { "trackside apply" } "." }
            Origin::Api => { "Saving needs the role " code { "admin" } "." }
        }
    }
}
