//! The definition of an automation, and the page of a new one: looked at, written, checked, saved.

use super::diagnosis::{Diagnosis, list};
use super::draft::{Draft, Sent, View};
use super::editor::{self, Editor, Saving, how_to_change, in_words, to_read};
use super::{Shown, Tab, address, may_save, tried};
use crate::api::automations::text::{Definition, Failure, yaml};
use crate::api::automations::write::{self, ReplaceQuery};
use crate::api::{Params, Segments};
use crate::page::layout::{Section, card, head, nothing};
use crate::page::ui::copyable;
use crate::page::words::{As, time};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::automation::definition::Automation;
use trackside_core::ruleset::ConnectionKind;
use trackside_identity::role::Role;
use trackside_store::page::PAGE_ITEMS;

/// Days that are back-tested when nothing is said.
pub(super) const DAYS: u32 = 14;

/// What a new automation may begin as: word in the address, title, text.
const BEGINNINGS: [(&str, &str, &str); 4] = [
    (
        "failure",
        "Every failed run",
        "name: say every failure\ntrigger:\n  expect: [airflow.dag-run.failed]\n  match: {airflow.dag_id: \"billing_*\"}\nactions:\n  - type: notify-channel\n    connection: CONNECTION\n    subject: \"{{ event.resource.name }} failed\"\n    body: \"It failed at {{ event.occurred }}.\"\n",
    ),
    (
        "row",
        "Several failures in a row",
        "name: page at three in a row\ntrigger:\n  consecutive: 3\n  match: {pipeline: \"billing_*\"}\nactions_on_trigger: [page-owner]\nactions_on_resolve: [resolve-incident]\n",
    ),
    (
        "often",
        "Too many in a time",
        "name: three failures in ten minutes\ntrigger:\n  expect: [prefect.flow-run.Failed]\n  threshold: 3\n  within: 10m\n  for_each: [\"related:flow:prefect.resource.id\"]\nactions: [page-owner]\n",
    ),
    (
        "missing",
        "Something that did not come",
        "name: no backup for an hour\ntrigger:\n  posture: Proactive\n  expect: [heartbeat.succeeded]\n  match_related: {prefect.resource.role: pipeline, prefect.resource.id: heartbeat.backup}\n  within: 1h\nactions_on_trigger:\n  - {type: page-owner, title: \"No backup for an hour\"}\nactions_on_resolve: [resolve-incident]\n",
    ),
];

/// What the address of a definition says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Looked {
    /// `form`, or `yaml`.
    r#as: Option<String>,
    /// Present when somebody who cannot save wants to try a change.
    edit: Option<String>,
    /// An earlier version to be put into the editor.
    version: Option<u32>,
}

/// What the address of a new automation says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Beginning {
    from: Option<String>,
}

/// `GET /automations/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Params(looked): Params<Looked>,
) -> Result<Markup, Failed> {
    let shown = Shown::find(&state, &id).await?;
    let view = View::of(looked.r#as.as_deref().unwrap_or_default());
    let mut draft = Draft::of(shown.automation.clone(), View::Yaml)?;
    let mut told = nothing();
    if let Some(version) = looked.version {
        (draft.text, told) = earlier(&state, &shown.automation, version).await?;
    }
    if view == View::Form {
        draft.show_form();
    }
    let editing = may_save(&visitor, Some(&shown.automation)) || looked.edit.is_some() || looked.version.is_some();
    if editing {
        return whole(&state, &visitor, &draft, &Asked::nothing(&told)).await;
    }
    let diagnosis = Diagnosis::in_force(&state, &shown.automation).await?;
    let content = shown.frame(&visitor, Tab::Definition, &to_look_at(&draft, &shown, &diagnosis));
    visitor.page(&state, &shown.automation.spec.name, Some(Section::Automations), &content).await
}

/// `GET /automations/new`
pub(crate) async fn new(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(Beginning { from }): Params<Beginning>,
) -> Result<Markup, Failed> {
    let from = from.unwrap_or_default();
    let (_, _, text) = BEGINNINGS.iter().find(|(word, ..)| *word == from).unwrap_or(&BEGINNINGS[0]);
    let configured = state.configured();
    let connections = &configured.ruleset.connections;
    let chat = connections.iter().find(|(_, info)| info.kind == ConnectionKind::Slack);
    let telling = chat.or_else(|| connections.iter().find(|(_, info)| info.kind.can_tell()));
    let text = text.replace("CONNECTION", telling.map_or("slack-data", |(name, _)| name));
    whole(&state, &visitor, &Draft::new(text, View::Yaml), &Asked::nothing(&nothing())).await
}

/// `POST /automations/check`: the page with what is wrong. Nothing is kept.
pub(crate) async fn check(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Markup, Failed> {
    let sent = Sent::from(pairs);
    let draft = Draft::received(&state, &sent).await?;
    let told = nothing();
    let asked = Asked { event: sent.event.as_deref(), days: sent.days, ..Asked::nothing(&told) };
    whole(&state, &visitor, &draft, &asked).await
}

/// `POST /automations`
pub(crate) async fn create(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let draft = Draft::received(&state, &Sent::from(pairs)).await?;
    let done = write::create(State(state.clone()), visitor.who.clone(), Definition(draft.text.clone())).await;
    match done {
        Ok((_, made)) => Ok(Redirect::to(&format!("/automations/{}", made.0.automation.id)).into_response()),
        Err(failure) => refused(&state, &visitor, &draft, failure).await,
    }
}

/// `POST /automations/{id}`
pub(crate) async fn save(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Failed> {
    let draft = Draft::received(&state, &Sent::from(pairs)).await?;
    let text = Definition(draft.text.clone());
    let edited = Params(ReplaceQuery { version: Some(draft.version) });
    match write::replace(State(state.clone()), visitor.who.clone(), Segments(id.clone()), edited, text).await {
        Ok(_) => {
            let view = if draft.view == View::Form { "?as=form" } else { "" };
            Ok(Redirect::to(&format!("{}{view}", address(&id))).into_response())
        }
        Err(failure) => refused(&state, &visitor, &draft, failure).await,
    }
}

/// The editor again, with why it was not saved.
async fn refused(state: &AppState, visitor: &Visitor, draft: &Draft, failure: Failure) -> Result<Response, Failed> {
    let (status, why) = match failure {
        Failure::Mistakes(_) => (StatusCode::UNPROCESSABLE_ENTITY, "the definition has mistakes".to_owned()),
        Failure::Problem(problem) => (problem.status, problem.detail),
    };
    let told = html! { p.note.bad role="alert" { "Not saved: " (why) "." } };
    Ok((status, whole(state, visitor, draft, &Asked::nothing(&told)).await?).into_response())
}

/// What the editor was asked, and what it answers.
pub(super) struct Asked<'a> {
    /// Told above it.
    pub(super) told: &'a Markup,
    /// An event.
    pub(super) event: Option<&'a str>,
    /// Days.
    pub(super) days: Option<u32>,
    /// Told below it.
    pub(super) answer: Markup,
}

impl<'a> Asked<'a> {
    /// Nothing was asked.
    pub(super) fn nothing(told: &'a Markup) -> Self {
        Self { told, event: None, days: None, answer: nothing() }
    }
}

/// The page of a draft: that of its automation, or of a new one.
pub(super) async fn whole(
    state: &AppState,
    visitor: &Visitor,
    draft: &Draft,
    asked: &Asked<'_>,
) -> Result<Markup, Failed> {
    let diagnosis = Diagnosis::of_text(state, &draft.text, draft.automation.as_ref()).await?;
    let subject = diagnosis.definition.as_ref().or(draft.automation.as_ref());
    let recent = tried::recent(state, subject).await?;
    let saving = if may_save(visitor, draft.automation.as_ref()) { Saving::Allowed } else { Saving::TryOnly };
    let editor = editor::render(&Editor {
        draft,
        diagnosis: &diagnosis,
        saving,
        recent: &recent,
        event: asked.event,
        days: asked.days.unwrap_or(DAYS),
        answer: &asked.answer,
    });
    let Some(automation) = &draft.automation else {
        let above = html! { a href="/automations" { "Automations" } };
        let content = html! {
            (head("New automation", &above, &nothing()))
            (asked.told)
            @if saving == Saving::TryOnly { p.note { "You can check, try and back-test it. Saving needs the role " code { "admin" } "." } }
            p.begin { "Begin with: " @for (word, title, _) in BEGINNINGS { a.tag href={ "/automations/new?from=" (word) } { (title) } } }
            (editor)
        };
        return visitor.page(state, "New automation", Some(Section::Automations), &content).await;
    };
    let shown = Shown::of(state, automation.clone()).await?;
    let content = html! {
        (asked.told)
        @if saving == Saving::TryOnly { p.note { "What you change here can be checked, tried and back-tested, not saved. " (how_to_change(&shown)) } }
        (editor)
    };
    let content = shown.frame(visitor, Tab::Definition, &content);
    visitor.page(state, &automation.spec.name, Some(Section::Automations), &content).await
}

/// The definition for those who only look.
fn to_look_at(draft: &Draft, shown: &Shown, diagnosis: &Diagnosis) -> Markup {
    let at = address(&shown.automation.id.to_string());
    let aside = html! { span.small { a href={ (at) "?edit" } { "Try a change" } " · " a href={ (at) "?edit&as=form" } { "as a form" } } };
    html! {
        p.note { (how_to_change(shown)) }
        div.two {
            (to_read(&draft.text, &aside))
            div.stack {
                (card("What it says", &nothing(), &html! { div.says { (in_words(&shown.automation)) (list(&diagnosis.notes, Some("text"))) } }))
                (card("Facts", &nothing(), &html! {
                    dl.facts {
                        dt { "Id" } dd { (copyable(&shown.automation.id.to_string())) }
                        dt { "Made" } dd { (time(shown.automation.created, As::Both)) }
                    }
                }))
            }
        }
    }
}

/// An earlier version, and what is said about it.
async fn earlier(state: &AppState, automation: &Automation, version: u32) -> Result<(String, Markup), Failed> {
    let mut before = None;
    loop {
        let page = state.store.automation_history(automation.id, before, PAGE_ITEMS).await?;
        if let Some(row) = page.items.iter().find(|row| row.version == version) {
            let told = html! {
                p.note { "This is version " (version) ", made by " (row.caller.subject) " " (time(row.at, As::Both)) ". Version " (automation.version) " is in force until you save." }
            };
            return Ok((yaml(&row.automation)?, told));
        }
        if page.next.is_none() {
            return Err(Problem::missing("version", &version.to_string()).into());
        }
        before = page.next;
    }
}

/// Whether the visitor may make automations.
pub(crate) fn may_make(visitor: &Visitor) -> bool {
    visitor.may(Role::Admin)
}
