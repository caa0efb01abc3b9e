//! The versions of an automation: who made each, when, and what changed.

use super::editor::diff_lines;
use super::{Shown, Tab, address};
use crate::api::automations::history::{HistoryQuery, edits};
use crate::api::model::EditOut;
use crate::api::{Params, Segments};
use crate::page::layout::{Section, card, nothing};
use crate::page::ui::{Tone, older, pill};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_store::Page;

/// Versions on a page.
const PAGE: usize = 20;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Before {
    before: Option<u64>,
}

/// `GET /automations/{id}/history`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Params(Before { before }): Params<Before>,
) -> Result<Markup, Failed> {
    let shown = Shown::find(&state, &id).await?;
    let page = edits(&state, &id, &HistoryQuery { before, limit: Some(PAGE) }).await?;
    let content = card("Versions", &nothing(), &render(&shown, &page, before));
    let content = shown.frame(&visitor, Tab::History, &content);
    visitor.page(&state, &shown.automation.spec.name, Some(Section::Automations), &content).await
}

fn render(shown: &Shown, page: &Page<EditOut>, before: Option<u64>) -> Markup {
    let at = address(&shown.automation.id.to_string());
    let path = format!("{at}/history");
    html! {
        ol.timeline { @for edit in &page.items { (one(edit, shown.automation.version, &at)) } }
        (older(&path, &[("before", if before.is_some() { "1" } else { "" })], page.next))
    }
}

fn one(edit: &EditOut, in_force: u32, at: &str) -> Markup {
    let current = edit.version == in_force;
    html! {
        li.info[current] {
            span.when { (time(edit.at, As::Both)) } " "
            b { "Version " (edit.version) } " " (edit.kind) " by " (edit.subject) span.soft { " (" (edit.via) ")" } " "
            @if current { (pill(Tone::Good, "in force")) }
            @else { span.small { "· " a.plain href={ (at) "?version=" (edit.version) } { "put into the editor" } } }
            @if edit.lines.is_empty() { div.more { "Nothing of the text changed, or the version before is no longer kept." } }
            @else { (diff_lines(&edit.lines)) }
        }
    }
}
