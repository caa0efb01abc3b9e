//! The form view of a definition: its trigger as fields, its actions as cards.
//!
//! Pure. What the fields mean is in [`super::fields`]; what is wrong stands beside the field that it is about.

use super::diagnosis::Note;
use super::fields::{ACTIONS, ADD, Field, Kind, LISTS, REMOVE, TOP, fields_of, shown};
use crate::page::ui::{Tone, sentence};
use maud::{Markup, html};
use serde_json::Value;

/// The fields of a definition.
pub(super) fn render(definition: &Value, notes: &[Note]) -> Markup {
    let form = Form { definition, notes };
    html! {
        div.fields { @for field in TOP { (form.field("", field)) } }
        h3 { "Trigger" }
        (form.trigger("/trigger"))
        @for (list, told) in LISTS { (form.actions(list, told)) }
    }
}

struct Form<'a> {
    definition: &'a Value,
    notes: &'a [Note],
}

impl Form<'_> {
    fn trigger(&self, place: &str) -> Markup {
        let kind = self.definition.pointer(place).and_then(|trigger| trigger.get("type")).and_then(Value::as_str);
        let children =
            self.definition.pointer(&format!("{place}/triggers")).and_then(Value::as_array).map_or(0, Vec::len);
        html! {
            fieldset {
                legend { (kind_told(kind.unwrap_or_default())) }
                @if kind == Some("metric") { div.fields { @for field in fields_of(self.definition, &format!("{place}/metric")) { (self.field(&format!("{place}/metric"), field)) } } }
                div.fields { @for field in fields_of(self.definition, place) { (self.field(place, field)) } }
                @for index in 0..children { (self.trigger(&format!("{place}/triggers/{index}"))) }
            }
        }
    }

    fn actions(&self, list: &str, told: &str) -> Markup {
        let actions = self.definition.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        html! {
            h3 { (told) }
            @for (index, action) in actions.iter().enumerate() {
                @let place = format!("/{list}/{index}");
                fieldset {
                    legend { (index + 1) ". " (action.get("type").and_then(Value::as_str).unwrap_or("action")) }
                    div.fields { @for field in fields_of(self.definition, &place) { (self.field(&place, field)) } }
                    div.check { label { input type="checkbox" name={ (REMOVE) (place) }; " Take away" } }
                }
            }
            div.acts {
                label { span.visually-hidden { "Add an action to: " (told) } select name={ (ADD) "/" (list) } {
                    option value="" { "another action" }
                    @for (kind, _) in ACTIONS { option value=(kind) { (kind) } }
                } }
                button type="submit" formaction="/automations/check" name="view" value="form" { "Add" }
            }
        }
    }

    fn field(&self, place: &str, field: &Field) -> Markup {
        let name = format!("{place}/{}", field.key);
        let value = self.definition.pointer(place).and_then(|object| object.get(field.key));
        let text = shown(value, field.kind);
        let id = format!("field{}", name.replace('/', "-"));
        let dotted = name.trim_start_matches('/').replace('/', ".");
        let about: Vec<&Note> = self.notes.iter().filter(|note| is_about(note, &dotted)).collect();
        let wrong = (!about.is_empty()).then_some("true");
        let told = (!about.is_empty()).then(|| format!("{id}-note"));
        let wide = matches!(field.kind, Kind::Long | Kind::Text | Kind::Json | Kind::Labels | Kind::Related);
        html! {
            div.field.broad[wide] {
                @match field.kind {
                    Kind::Switch => {
                        input type="hidden" name=(name) value="false";
                        div.check { label { input id=(id) type="checkbox" name=(name) value="true" checked[text == "true"]; " " (field.label) } }
                    }
                    Kind::Choice(words) => {
                        label { (field.label) select id=(id) name=(name) aria-invalid=[wrong] aria-describedby=[told.as_deref()] {
                            @if !words.contains(&text.as_str()) { option value=(text) selected { (text) } }
                            @for word in words { option value=(word) selected[*word == text] { (word_told(word)) } }
                        } }
                    }
                    Kind::Line | Kind::Long | Kind::Number | Kind::Time | Kind::Horizon => {
                        label { (field.label) input id=(id) name=(name) value=(text) autocomplete="off" spellcheck="false" aria-invalid=[wrong] aria-describedby=[told.as_deref()]; }
                    }
                    Kind::Text | Kind::Lines | Kind::Labels | Kind::Related | Kind::Json => {
                        label { (field.label) textarea.mono id=(id) name=(name) rows=(rows(&text)) spellcheck="false" aria-invalid=[wrong] aria-describedby=[told.as_deref()] { "\n" (text) } }
                    }
                }
                @if let Some(told) = told {
                    div.small id=(told) {
                        @for note in about { div class=(tone(note)) { (sentence(&note.message)) @if let Some(suggestion) = &note.suggestion { "; " (sentence(suggestion)) } } }
                    }
                }
            }
        }
    }
}

fn tone(note: &Note) -> &'static str {
    match note.weight.told().0 {
        Tone::Warn => "warn",
        _ => "bad",
    }
}

/// Whether a note is about a field, or about something in it.
fn is_about(note: &Note, field: &str) -> bool {
    note.at.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn kind_told(kind: &str) -> &'static str {
    match kind {
        "event" => "Events",
        "compound" => "Some of these",
        "sequence" => "These, in this order",
        "metric" => "A figure over runs",
        "consecutive" => "Failed runs in a row",
        _ => "Trigger",
    }
}

/// A word of a choice, for people.
fn word_told(word: &str) -> &str {
    match word {
        "" => "by its tier",
        "Reactive" => "events (Reactive)",
        "Proactive" => "their absence (Proactive)",
        "successes" => "share of runs that succeeded",
        "duration" => "mean duration, seconds",
        "lateness" => "mean lateness, seconds",
        "count" => "number of runs",
        "selected" => "this one (selected)",
        "inferred" => "that of the event (inferred)",
        word => word,
    }
}

/// Rows that a text needs.
fn rows(text: &str) -> usize {
    (text.lines().count() + 1).clamp(2, 14)
}
