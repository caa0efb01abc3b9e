//! Silences and maintenance windows: what nobody is told of, until when, why, and who said so.
//!
//! The address fills the form of silences and asks for a preview, so that an incident can link to "silence this".
//! What is written goes the way of the API ([`crate::api::silences`], [`crate::api::maintenance`]).
//!
//! - [`maintenance`]: the windows, and the form that makes one

pub(crate) mod maintenance;

use crate::api::maintenance::windows;
use crate::api::silences::{Held, SilenceIn, SilenceQuery, end, may_end, read, usable, would_hold};
use crate::api::{Params, Segments};
use crate::page::audit::given;
use crate::page::layout::{Section, card, head, lamp};
use crate::page::ui::{Tone, column, empty, pill, severity_tone, state as tone_word, table, wide};
use crate::page::words::{As, plural, time};
use crate::page::{Failed, Visitor, zone};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_core::ruleset::Span;
use trackside_core::ruleset::noise::Silence;
use trackside_identity::role::Role;

/// What is offered as a length.
const LENGTHS: [(&str, &str); 6] =
    [("1h", "1 hour"), ("4h", "4 hours"), ("12h", "12 hours"), ("1d", "1 day"), ("3d", "3 days"), ("7d", "7 days")];
/// Over silences listed.
const OVER: usize = 20;

/// What the form is filled with. `preview` asks what it would hold back.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct SilencesQuery {
    matchers: Option<String>,
    #[serde(rename = "for")]
    length: Option<String>,
    reason: Option<String>,
    preview: Option<String>,
    zone: Option<String>,
}

/// A silence as the form sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct SilenceForm {
    matchers: String,
    #[serde(rename = "for")]
    length: String,
    reason: String,
}

/// A silence with whether the visitor may end it.
struct Row {
    silence: Silence,
    may_end: bool,
}

/// `GET /silences`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<SilencesQuery>,
) -> Result<Markup, Failed> {
    let live = rows(&state, &visitor, &SilenceQuery::default()).await?;
    let over = SilenceQuery { state: Some("expired".to_owned()), limit: Some(OVER) };
    let over = rows(&state, &visitor, &over).await?;
    let preview = if query.preview.is_some() { Some(preview(&state, &query).await?) } else { None };
    let ruleset = state.configured().ruleset.clone();
    let planned = maintenance::View {
        windows: windows(&state).await?,
        zone: zone::asked(query.zone.as_deref(), &visitor, &ruleset)?,
        ruleset: &ruleset,
        now: state.now(),
        may_edit: visitor.may(Role::Operator),
    };
    let content = render(&query, &live, &over, preview.as_ref(), &planned, visitor.may(Role::Responder));
    visitor.page(&state, "Silences and maintenance", Some(Section::Silences), &content).await
}

/// `POST /silences`
pub(crate) async fn create(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<SilenceForm>,
) -> Result<Redirect, Failed> {
    let length = form.length.parse::<Span>().map_err(|problem| Problem::bad("for", problem))?;
    let wanted = SilenceIn {
        matchers: lines(&form.matchers),
        starts: None,
        ends: None,
        length: Some(length),
        reason: form.reason,
    };
    crate::api::silences::make(&state, &visitor.who, &wanted).await?;
    Ok(Redirect::to("/silences"))
}

/// `POST /silences/{id}/expire`
pub(crate) async fn expire(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    end(&state, &visitor.who, &id).await?;
    Ok(Redirect::to("/silences"))
}

async fn rows(state: &AppState, visitor: &Visitor, query: &SilenceQuery) -> Result<Vec<Row>, Problem> {
    let found = read(state, query).await?;
    let row = |silence: Silence| {
        let may_end = visitor.may(Role::Responder) && may_end(state, &visitor.who, &silence);
        Row { may_end, silence }
    };
    Ok(found.into_iter().map(row).collect())
}

/// What the matchers of the address would hold back, or why they cannot be used.
async fn preview(state: &AppState, query: &SilencesQuery) -> Result<Result<Vec<Held>, Problem>, Problem> {
    match usable(&lines(given(&query.matchers))) {
        Ok(matchers) => would_hold(state, &matchers).await.map(Ok),
        Err(problem) => Ok(Err(problem)),
    }
}

/// Matchers, one in a line.
pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn render(
    query: &SilencesQuery,
    live: &[Row],
    over: &[Row],
    preview: Option<&Result<Vec<Held>, Problem>>,
    planned: &maintenance::View<'_>,
    may_edit: bool,
) -> Markup {
    let now = planned.now;
    let (active, ahead): (Vec<&Row>, Vec<&Row>) = live.iter().partition(|row| row.silence.starts <= now);
    html! {
        (head("Silences and maintenance", &html! {}, &lamp()))
        p.lead { "While a silence or a maintenance window covers a problem, nobody is told of it and its escalation waits. It is recorded all the same, and told when the time is over and it is still there." }
        div id="silences" data-live {
            (card("Silences in force", &html! {}, &html! {
                @if active.is_empty() { (empty("Nothing is silenced.", &html! { "The page of an incident has a link that silences what it is about." })) }
                @else { (listing(&active, now)) }
            }))
            @if !ahead.is_empty() { (card("Silences to come", &html! {}, &listing(&ahead, now))) }
        }
        @if may_edit { (card("New silence", &html! {}, &form(query, preview))) }
        div id="maintenance" data-live { (card("Maintenance windows", &html! {}, &maintenance::listing(planned))) }
        @if planned.may_edit { (card("New maintenance window", &html! {}, &maintenance::form(planned))) }
        @if !over.is_empty() {
            div id="over" data-live { (card("Silences that are over", &html! {}, &listing(&over.iter().collect::<Vec<_>>(), now))) }
        }
    }
}

fn listing(rows: &[&Row], now: Timestamp) -> Markup {
    let ends = rows.iter().any(|row| row.may_end && row.silence.ends > now);
    let columns = [column("What"), column("Until"), wide("From"), wide("By"), column("")];
    table(&columns[..if ends { 5 } else { 4 }], &html! { @for row in rows { (one(row, now, ends)) } })
}

fn one(row: &Row, now: Timestamp, ends: bool) -> Markup {
    let silence = &row.silence;
    html! {
        tr data-key=(silence.id) {
            td.title { (matchers(&silence.matchers)) div.small.soft { (silence.reason) } }
            td.nowrap { (time(silence.ends, As::Both)) }
            td.wide.nowrap { (time(silence.starts, As::Time)) }
            td.wide { (silence.by) }
            @if ends {
                td { @if row.may_end && silence.ends > now {
                    form method="post" action={ "/silences/" (silence.id) "/expire" } { button type="submit" aria-label={ "End the silence: " (silence.reason) } { "End" } }
                } }
            }
        }
    }
}

/// Matchers as tags.
pub(super) fn matchers(texts: &[String]) -> Markup {
    html! {
        @if texts.is_empty() { span.soft { "everything" } }
        @for text in texts { code.matcher { (text) } " " }
    }
}

fn form(query: &SilencesQuery, preview: Option<&Result<Vec<Held>, Problem>>) -> Markup {
    let length = query.length.as_deref().unwrap_or("4h");
    let custom = LENGTHS.iter().all(|(word, _)| *word != length);
    html! {
        form.plain id="silence" method="post" action="/silences" {
            label { "Matchers, one in a line; all must match"
                textarea name="matchers" required rows="3" placeholder="pipeline=~\"billing_.*\"" spellcheck="false" class="mono" { (given(&query.matchers)) }
            }
            p.small.soft {
                "Labels: " code { "team" } ", " code { "pipeline" } ", " code { "source" } ", " code { "rule" } ", " code { "severity" } ", " code { "task" } ", " code { "tags" } ", " code { "tier" }
                " and those of reports. Write " code { "=" } ", " code { "!=" } ", " code { "=~" } " or " code { "!~" } "."
            }
            div.fields.field {
                label { "For" select name="for" {
                    @for (word, told) in LENGTHS { option value=(word) selected[word == length] { (told) } }
                    @if custom { option value=(length) selected { (length) } }
                } }
                label.broad { "Why (others see it)" input name="reason" required maxlength="1000" value=(given(&query.reason)); }
            }
            @if let Some(preview) = preview { div id="held" { (previewed(preview)) } }
            div.acts {
                button.main type="submit" { "Silence" }
                button type="submit" formmethod="get" formaction="/silences#held" formnovalidate name="preview" value="1" { "What would it hold back now?" }
            }
        }
    }
}

fn previewed(preview: &Result<Vec<Held>, Problem>) -> Markup {
    let held = match preview {
        Ok(held) => held,
        Err(problem) => return html! { div.note.bad { (problem.detail) } },
    };
    let whole = held.iter().filter(|held| held.matching.len() == held.alerts).count() as u64;
    html! {
        @if held.is_empty() { div.note { "No open incident matches now. What comes while it lasts is held back when it matches." } }
        @else {
            div.note.warn {
                "Nobody would be told of " b { (plural(whole, "open incident", "open incidents")) } " any more."
                ul.plain-list {
                    @for held in held {
                        li {
                            a href={ "/incidents/" (held.incident.number) } { "#" (held.incident.number) " " (held.incident.title) } " "
                            (pill(severity_tone(held.incident.severity), held.incident.severity.as_str())) " "
                            @if held.matching.len() == held.alerts { (tone_word(Tone::Idle, "held back")) }
                            @else { span.soft { "still told: " (held.matching.len()) " of its " (held.alerts) " alerts match" } }
                        }
                    }
                }
            }
        }
    }
}
