//! One automation: its head with what can be done to it, and a page for each way to look at it.
//!
//! - [`definition`]: the text and the form, what is wrong, saving; also of a new one; [`draft`], [`fields`], [`form`],
//!   [`editor`], [`diagnosis`]
//! - [`tried`]: what one event would do to it
//! - [`backtest`]: what the recorded events would have done
//! - [`history`]: its versions; [`firings`]: when it fired
//! - [`sentence`]: triggers and actions in a line; [`concerned`]: automations on the pages of events and incidents
//!
//! Every write goes the way that the API's writes go.

pub(crate) mod backtest;
pub(crate) mod concerned;
pub(crate) mod definition;
pub(crate) mod diagnosis;
mod draft;
mod editor;
mod fields;
pub(crate) mod firings;
mod form;
pub(crate) mod history;
pub(crate) mod sentence;
pub(crate) mod tried;

use crate::api::Segments;
use crate::api::automations::find;
use crate::api::automations::write::{delete as remove, switch};
use crate::api::model::{DAYS, days};
use crate::auth::Who;
use crate::page::chart::days::spark;
use crate::page::layout::head;
use crate::page::ui::{Tone, pill, state as tone_word};
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::State;
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};
use std::collections::BTreeSet;
use trackside_core::automation::definition::{Automation, Origin, Semantics};
use trackside_core::automation::edit::AutomationEdit;
use trackside_identity::role::Role;
use trackside_store::firings::Activity;

/// A page of an automation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Definition,
    Try,
    Backtest,
    History,
    Firings,
}

impl Tab {
    const ALL: [Self; 5] = [Self::Definition, Self::Try, Self::Backtest, Self::History, Self::Firings];

    /// Title, and what stands after the automation's address.
    fn link(self) -> (&'static str, &'static str) {
        match self {
            Self::Definition => ("Definition", ""),
            Self::Try => ("Try on an event", "/try"),
            Self::Backtest => ("Back-test", "/backtest"),
            Self::History => ("History", "/history"),
            Self::Firings => ("Firings", "/firings"),
        }
    }
}

/// `POST /automations/{id}/pause`
pub(crate) async fn pause(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    let _in_effect = switch(&state, &visitor.who.caller, &id, |id| AutomationEdit::Pause { id }).await?;
    Ok(Redirect::to(&address(&id)))
}

/// `POST /automations/{id}/resume`
pub(crate) async fn resume(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    let _in_effect = switch(&state, &visitor.who.caller, &id, |id| AutomationEdit::Resume { id }).await?;
    Ok(Redirect::to(&address(&id)))
}

/// `POST /automations/{id}/delete`
pub(crate) async fn delete(
    State(state): State<AppState>,
    who: Who,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    remove(State(state), who, Segments(id)).await?;
    Ok(Redirect::to("/automations"))
}

/// The address of an automation.
fn address(id: &str) -> String {
    format!("/automations/{}", crate::page::ui::segment(id))
}

/// Whether the visitor may save what they make of it.
fn may_save(visitor: &Visitor, automation: Option<&Automation>) -> bool {
    visitor.may(Role::Admin) && automation.is_none_or(|automation| automation.origin == Origin::Api)
}

/// An automation with how it does, as its head shows it.
pub(super) struct Shown {
    pub(super) automation: Automation,
    figures: Figures,
    /// Where it is kept.
    pub(super) kept: String,
}

/// How an automation has been firing.
pub(super) struct Figures {
    /// When it last fired.
    pub(super) last_fired: Option<Timestamp>,
    /// How often on each of the last days, oldest first.
    pub(super) fired: Vec<u64>,
}

impl Figures {
    /// What the store knows of it; nothing when it never fired.
    pub(super) fn of(activity: Option<&Activity>, now: Timestamp) -> Self {
        let fired = days(activity.map_or(&[], |activity| &activity.days), now);
        Self {
            last_fired: activity.and_then(|activity| activity.last_triggered),
            fired: fired.iter().map(|day| day.fired).collect(),
        }
    }
}

impl Shown {
    /// The automation of this id.
    async fn find(state: &AppState, id: &str) -> Result<Self, Problem> {
        Self::of(state, find(state, id).await?).await
    }

    /// An automation with its figures.
    async fn of(state: &AppState, automation: Automation) -> Result<Self, Problem> {
        let now = state.now();
        let activity = state.store.activity(&BTreeSet::from([automation.id]), now, DAYS).await?;
        let figures = Figures::of(activity.get(&automation.id), now);
        let kept = kept(state, &automation);
        Ok(Self { automation, figures, kept })
    }

    /// The head, the ways to look at it, and one of them.
    fn frame(&self, visitor: &Visitor, tab: Tab, content: &Markup) -> Markup {
        let (automation, figures) = (&self.automation, &self.figures);
        let at = address(&automation.id.to_string());
        let above = html! { a href="/automations" { "Automations" } " · version " (automation.version) ", " (time(automation.updated, As::Both)) " · " (self.kept) };
        html! {
            (head(&automation.spec.name, &above, &self.acts(visitor, &at)))
            div.standing {
                (on(automation.spec.enabled))
                (semantics(automation.semantics))
                @for tag in &automation.spec.tags { a.tag href=(crate::page::ui::address("/automations", &[("tag", tag)], None)) { (tag) } }
                span.fired { (spark(&figures.fired)) " " @match figures.last_fired {
                    Some(at) => { "last fired " (time(at, As::Both)) }
                    None => { "never fired" }
                } }
            }
            @if !automation.spec.description.is_empty() { p.lead { (automation.spec.description) } }
            nav.tabs aria-label="Of this automation" {
                @for each in Tab::ALL {
                    @let (title, end) = each.link();
                    a href={ (at) (end) } aria-current=[(each == tab).then_some("page")] { (title) }
                }
            }
            (content)
        }
    }

    fn acts(&self, visitor: &Visitor, at: &str) -> Markup {
        let (word, path) = if self.automation.spec.enabled { ("Pause", "pause") } else { ("Resume", "resume") };
        html! {
            @if visitor.may(Role::Operator) {
                form method="post" action={ (at) "/" (path) } { button type="submit" { (word) } }
            }
            @if may_save(visitor, Some(&self.automation)) {
                details.confirm {
                    summary.button { "Delete" }
                    form.plain method="post" action={ (at) "/delete" } {
                        p { "It is removed with what it has counted so far. Its history and its firings stay for a while." }
                        button.danger type="submit" { "Delete it" }
                    }
                }
            }
        }
    }
}

/// Whether it is evaluated.
pub(super) fn on(enabled: bool) -> Markup {
    if enabled { tone_word(Tone::Good, "On") } else { tone_word(Tone::Idle, "Paused") }
}

/// How it is evaluated.
pub(super) fn semantics(semantics: Semantics) -> Markup {
    match semantics {
        Semantics::Prefect => pill(Tone::Idle, "prefect"),
        Semantics::Trackside => pill(Tone::Info, "trackside"),
    }
}

/// Where it is kept.
fn kept(state: &AppState, automation: &Automation) -> String {
    match (automation.origin, state.configured().kept_in.get(&automation.id)) {
        (Origin::Api, _) => "kept here".to_owned(),
        (Origin::Files, Some(place)) => format!("kept in {place}"),
        (Origin::Files, None) => "kept in the configuration".to_owned(),
    }
}
