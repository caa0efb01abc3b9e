//! What is wrong with a definition, while it is written and when it is in force: mistakes, and what the lint finds.
//!
//! The same on the page and, through the editor's form, while somebody types. Invariant: a definition with mistakes has
//! no findings, because it says nothing yet.

use crate::api::automations::findings::{self, FindingOut};
use crate::api::automations::text::{Definition, MistakeOut, yaml};
use crate::api::automations::trial::Tried;
use crate::page::Failed;
use crate::page::ui::{Tone, sentence, state as tone_word};
use crate::page::words::plural;
use crate::state::AppState;
use maud::{Markup, html};
use std::collections::BTreeSet;
use trackside_core::automation::definition::Automation;
use trackside_core::automation::lint::Severity;
use trackside_store::automations::{AutomationFilter, AutomationSort};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// It cannot be read.
    Mistake,
    /// It cannot do what it says.
    Error,
    /// It probably does not do what is meant.
    Warning,
}

impl Weight {
    /// Its tone and its word.
    pub(crate) fn told(self) -> (Tone, &'static str) {
        match self {
            Self::Mistake => (Tone::Bad, "Mistake"),
            Self::Error => (Tone::Bad, "Error"),
            Self::Warning => (Tone::Warn, "Warning"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// How bad.
    pub(crate) weight: Weight,
    /// Where: fields joined by dots; empty for the whole.
    pub(crate) at: String,
    /// Line of the text.
    pub(crate) line: Option<u64>,
    /// What.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) suggestion: Option<String>,
}

/// What is known of a definition.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    /// What is wrong, in the order of the text.
    pub(crate) notes: Vec<Note>,
    /// What it says, when it can be read.
    pub(crate) definition: Option<Automation>,
}

impl Diagnosis {
    /// Of a text that may replace an automation.
    pub(crate) async fn of_text(state: &AppState, text: &str, replaces: Option<&Automation>) -> Result<Self, Failed> {
        match Definition(text.to_owned()).read() {
            Ok(written) => {
                Self::of(state, Tried::automation(state, written, replaces.map(|known| known.id.0)), text).await
            }
            Err(mistakes) => {
                let notes = mistakes.iter().map(|mistake| note(Weight::Mistake, mistake)).collect();
                Ok(Self { notes: in_order(notes), definition: None })
            }
        }
    }

    /// Of an automation in force.
    pub(crate) async fn in_force(state: &AppState, automation: &Automation) -> Result<Self, Failed> {
        Self::of(state, automation.clone(), &yaml(automation)?).await
    }

    async fn of(state: &AppState, definition: Automation, text: &str) -> Result<Self, Failed> {
        let tree = Definition(text.to_owned()).tree().ok();
        let found = findings::of(state, definition.clone()).await?;
        let found = found.iter().map(|finding| FindingOut::new(finding, tree.as_ref()));
        let mut notes: Vec<Note> = found.map(|found| note(weight(found.severity), &found.finding)).collect();
        let name = &definition.spec.name;
        let same = AutomationFilter { names: Some(BTreeSet::from([name.clone()])), ..AutomationFilter::default() };
        let same = state.store.automations(&same, AutomationSort::NameAsc, 0, 2).await?;
        if same.iter().any(|other| other.id != definition.id) {
            notes.push(Note {
                weight: Weight::Mistake,
                at: "name".to_owned(),
                line: tree.map(|tree| tree.place("name").line),
                message: format!("there is an automation `{name}` already"),
                suggestion: Some("choose another name".to_owned()),
            });
        }
        Ok(Self { notes: in_order(notes), definition: Some(definition) })
    }
}

fn note(weight: Weight, found: &MistakeOut) -> Note {
    Note {
        weight,
        at: found.at.clone(),
        line: found.line,
        message: found.message.clone(),
        suggestion: found.suggestion.clone().filter(|text| !text.is_empty()),
    }
}

/// The weight of a finding.
pub(crate) fn weight(severity: Severity) -> Weight {
    match severity {
        Severity::Error => Weight::Error,
        Severity::Warning => Weight::Warning,
    }
}

fn in_order(mut notes: Vec<Note>) -> Vec<Note> {
    notes.sort_by_key(|note| (note.line.unwrap_or(0), note.weight));
    notes
}

/// What is wrong, as a list; `lines` is the id of what the lines are of, when it is on the page.
pub(super) fn list(notes: &[Note], lines: Option<&str>) -> Markup {
    html! {
        @if notes.is_empty() { p.note.good { "Nothing is wrong with it." } }
        @else {
            ul.findings {
                @for note in notes {
                    @let (tone, word) = note.weight.told();
                    li {
                        (tone_word(tone, word))
                        span.small.soft {
                            @if let (Some(line), Some(text)) = (note.line, lines) {
                                " " a href={ "#" (text) } data-line=(line) data-tone=(tone.class()) { "line " (line) }
                            }
                            @if !note.at.is_empty() { " " code { (note.at) } }
                        }
                        div { (sentence(&note.message)) }
                        @if let Some(suggestion) = &note.suggestion { div.soft { "→ " (sentence(suggestion)) } }
                    }
                }
            }
        }
    }
}

/// How many findings there are, with the worst of them.
pub(crate) fn tally(notes: impl Iterator<Item = Weight>) -> Option<(Tone, String)> {
    let weights: Vec<Weight> = notes.collect();
    let worst = weights.iter().min()?;
    let (tone, word) = worst.told();
    let of_worst = weights.iter().filter(|weight| *weight == worst).count() as u64;
    let rest = weights.len() as u64 - of_worst;
    let word = word.to_lowercase();
    let told = plural(of_worst, &word, &format!("{word}s"));
    Some((tone, if rest > 0 { format!("{told}, {rest} more") } else { told }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_counted_first() {
        assert_eq!(tally(std::iter::empty()), None);
        assert_eq!(tally([Weight::Warning, Weight::Warning].into_iter()), Some((Tone::Warn, "2 warnings".to_owned())));
        assert_eq!(
            tally([Weight::Warning, Weight::Error].into_iter()),
            Some((Tone::Bad, "1 error, 1 more".to_owned()))
        );
    }
}
