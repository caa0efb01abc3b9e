//! Approvals: what waits for the visitor, what waits for others, access that holds, what was decided, and the form that
//! asks for access.
//!
//! What is written goes the way of the API ([`crate::api::approvals`]).
//!
//! - [`one`]: the page of one approval, and its forms

pub(crate) mod one;

use crate::api::approvals::grants::{self, GrantQuery, may_end};
use crate::api::approvals::{ApprovalIn, ApprovalQuery, read, request, voice};
use crate::api::{Params, Segments};
use crate::page::audit::given;
use crate::page::layout::{Section, card, head, lamp, nothing};
use crate::page::ui::{Tone, column, empty, older, state as tone_word, table, wide};
use crate::page::words::{As, time, time_or_dash};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeSet;
use trackside_core::approval::request::{Approval, ApprovalState};
use trackside_core::approval::rule::{ApprovalChoice, Justification};
use trackside_core::ruleset::Ruleset;
use trackside_store::Page;
use trackside_store::approvals::{ApprovalFilter, ApprovalRow, GrantRow};

/// Open questions looked at for the inbox and for the number beside its name; the rest is behind the history.
const LOOKED_AT: usize = 200;
/// Decisions shown below the inbox.
const LATEST: usize = 10;

/// An open question as the visitor sees it.
struct Open {
    approval: Approval,
    awaited: bool,
}

/// What the form that asks for access is filled with.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct AskQuery {
    route: Option<String>,
}

/// The form that asks for access.
#[derive(Debug, Deserialize)]
pub(crate) struct AskForm {
    route: String,
    #[serde(default)]
    justification: String,
}

/// `GET /approvals`
pub(crate) async fn inbox(State(state): State<AppState>, visitor: Visitor) -> Result<Markup, Failed> {
    let query = ApprovalQuery { state: Some("open".to_owned()), limit: Some(LOOKED_AT), ..ApprovalQuery::default() };
    let open = read(&state, &visitor.who, &query).await?.items.into_iter().map(|row| {
        let awaited = voice(&state, &visitor.who, &row.approval).is_awaited(&row.approval);
        Open { approval: row.approval, awaited }
    });
    let (mine, others): (Vec<Open>, Vec<Open>) = open.partition(|open| open.awaited);
    let holding =
        grants::read(&state, &visitor.who, &GrantQuery { limit: Some(LOOKED_AT), ..GrantQuery::default() }).await?;
    let holding: Vec<(GrantRow, bool)> = holding
        .items
        .into_iter()
        .map(|row| {
            let may = may_end(&state, &visitor.who, &row.grant);
            (row, may)
        })
        .collect();
    let latest = read(&state, &visitor.who, &ApprovalQuery { limit: Some(LATEST), ..ApprovalQuery::default() }).await?;
    let asks = !state.configured().ruleset.route_approvals.is_empty();
    let content = html! {
        (head("Approvals", &nothing(), &html! {
            (lamp())
            @if asks { a.button href="/approvals/new" { "Ask for access" } }
        }))
        div id="approvals" data-live {
            (card("Waits for you", &nothing(), &waiting(&mine)))
            @if !others.is_empty() { (card("Waits for others", &nothing(), &waiting(&others))) }
            @if !holding.is_empty() { (card("Access that holds", &nothing(), &holds(&holding))) }
            (card("Latest", &html! { a.small href="/approvals/history" { "History" } }, &listing(&latest.items)))
        }
    };
    visitor.page(&state, "Approvals", Some(Section::Approvals), &content).await
}

/// How many questions wait for the visitor, for the side bar.
pub(crate) async fn awaited(state: &AppState, who: &trackside_identity::directory::Identity) -> Result<u64, Problem> {
    let states = Some(BTreeSet::from([ApprovalState::Open]));
    let open = state.store.approvals(&ApprovalFilter { states, limit: LOOKED_AT, ..ApprovalFilter::default() }).await?;
    let waits = |row: &&ApprovalRow| voice(state, who, &row.approval).is_awaited(&row.approval);
    Ok(open.items.iter().filter(waits).count() as u64)
}

/// `GET /approvals/history`
pub(crate) async fn history(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<ApprovalQuery>,
) -> Result<Markup, Failed> {
    let page = read(&state, &visitor.who, &query).await?;
    let content = html! {
        (head("History of approvals", &html! { a href="/approvals" { "Approvals" } }, &lamp()))
        (filters(&query))
        div id="history" data-live { section.card {
            @if page.items.is_empty() && is_filtered(&query) { (empty("No approval fits the filter.", &html! { a href="/approvals/history" { "Show all" } })) }
            @else { (listing(&page.items)) }
            (more(&query, &page))
        } }
    };
    visitor.page(&state, "History of approvals", Some(Section::Approvals), &content).await
}

/// `GET /approvals/new`
pub(crate) async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<AskQuery>,
) -> Result<Markup, Failed> {
    let content = form(&state.configured().ruleset, given(&query.route));
    visitor.page(&state, "Ask for access", Some(Section::Approvals), &content).await
}

/// `POST /approvals`
pub(crate) async fn create(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<AskForm>,
) -> Result<Redirect, Failed> {
    let wanted = ApprovalIn { route: form.route, justification: Some(form.justification) };
    let (asked, _) = request(&state, &visitor.who, &wanted).await?;
    let to = asked.map_or_else(|| "/approvals".to_owned(), |asked| format!("/approvals/{}", asked.id));
    Ok(Redirect::to(&to))
}

/// `POST /approvals/grants/{id}/revoke`
pub(crate) async fn revoke(
    State(state): State<AppState>,
    visitor: Visitor,
    Segments(id): Segments<String>,
) -> Result<Redirect, Failed> {
    grants::end(&state, &visitor.who, &id).await?;
    Ok(Redirect::to("/approvals"))
}

fn waiting(open: &[Open]) -> Markup {
    if open.is_empty() {
        return empty(
            "Nothing waits for you.",
            &html! { "What you may decide is shown here, with a number beside the name of this page." },
        );
    }
    let columns = [column("What"), wide("Asked by"), column("Needed"), wide("Until")];
    table(
        &columns,
        &html! {
            @for Open { approval, awaited } in open {
                tr data-key=(approval.id) {
                    td.title {
                        a href={ "/approvals/" (approval.id) } { "#" (approval.number) " " (approval.subject.title()) }
                        @if let Some(why) = &approval.justification { div.small.soft { (why) } }
                        div.narrow.small.soft { (approval.requester.subject) ", over " (time(approval.expires, As::Ago)) }
                        @if *awaited { (one::quick(approval)) }
                    }
                    td.wide { (approval.requester.subject) }
                    td { (approval.missing()) }
                    td.wide.nowrap { (time(approval.expires, As::Both)) }
                }
            }
        },
    )
}

fn holds(rows: &[(GrantRow, bool)]) -> Markup {
    let columns = [column("Who"), wide("Route"), column("Ends"), wide("Agreed to by"), column("")];
    table(
        &columns,
        &html! {
            @for (GrantRow { grant, .. }, may) in rows {
                tr data-key=(grant.id) {
                    td {
                        a href={ "/approvals/" (grant.id) } { (grant.subject) }
                        div.narrow.small.soft { (grant.route) }
                        @if !grant.behalf.is_empty() { div.small.soft { "for " (grant.behalf.join(", for ")) } }
                    }
                    td.wide { (grant.route) }
                    td.nowrap { (time(grant.until, As::Ago)) }
                    td.wide { (grant.approvers.join(", ")) }
                    td.num { @if *may {
                        form method="post" action={ "/approvals/grants/" (grant.id) "/revoke" } {
                            button type="submit" aria-label={ "Revoke access of " (grant.subject) " to " (grant.route) } { "Revoke" }
                        }
                    } }
                }
            }
        },
    )
}

fn listing(rows: &[ApprovalRow]) -> Markup {
    if rows.is_empty() {
        return empty(
            "Nothing was asked.",
            &html! {
                "A run of a job, or access to a route of the gateway, asks for agreement when the configuration says so:"
                pre { "jobs:\n  publish:\n    approval: {any_of: [{all_of: [{from: [approvers]}]}]}\n" }
            },
        );
    }
    let columns = [column("What"), column("State"), wide("Asked by"), column("Asked"), wide("Decided"), wide("How")];
    table(
        &columns,
        &html! {
            @for ApprovalRow { approval, .. } in rows {
                tr data-key=(approval.id) {
                    td.title { a href={ "/approvals/" (approval.id) } { "#" (approval.number) " " (approval.subject.title()) } }
                    td { (state_of(approval.state)) }
                    td.wide { (approval.requester.subject) }
                    td.nowrap { (time(approval.created, As::Time)) }
                    td.wide.nowrap { (time_or_dash(approval.decided, As::Time)) }
                    td.wide.small { (approval.note.as_deref().unwrap_or("")) }
                }
            }
        },
    )
}

fn filters(query: &ApprovalQuery) -> Markup {
    let (chosen, mine) = (given(&query.state), given(&query.mine));
    html! {
        form.filters method="get" role="search" {
            label { "State" select name="state" {
                option value="" selected[chosen.is_empty()] { "any" }
                @for word in ["open", "approved", "denied", "expired", "withdrawn"] { option value=(word) selected[word == chosen] { (word) } }
            } }
            label { "Mine" select name="mine" {
                @for (word, told) in [("", "all"), ("asked", "asked by me"), ("waiting", "waits for me")] { option value=(word) selected[word == mine] { (told) } }
            } }
            label { "Asked by" input name="requester" value=(given(&query.requester)) placeholder="person or token"; }
            label { "About" input name="about" value=(given(&query.about)) placeholder="job reload"; }
            button type="submit" { "Filter" }
        }
    }
}

fn is_filtered(query: &ApprovalQuery) -> bool {
    [&query.state, &query.mine, &query.requester, &query.about].into_iter().any(|field| !given(field).is_empty())
}

fn more(query: &ApprovalQuery, page: &Page<ApprovalRow>) -> Markup {
    let given = [
        ("state", given(&query.state)),
        ("mine", given(&query.mine)),
        ("requester", given(&query.requester)),
        ("about", given(&query.about)),
        ("before", if query.before.is_some() { "1" } else { "" }),
    ];
    older("/approvals/history", &given, page.next)
}

fn form(ruleset: &Ruleset, route: &str) -> Markup {
    let guarded = &ruleset.route_approvals;
    let rule = guarded.get(route).and_then(|guarded| match &guarded.approval {
        ApprovalChoice::Own(rule) => Some(rule),
        ApprovalChoice::Named(named) => ruleset.approvals.get(&named.rule),
    });
    let required = rule.is_some_and(|rule| rule.justification == Justification::Required);
    html! {
        (head("Ask for access", &html! { a href="/approvals" { "Approvals" } }, &nothing()))
        @if guarded.is_empty() { (empty("No route needs an approval.", &html! { "Whoever may use a route uses it at once." })) }
        @else {
            section.card {
                form.plain method="post" action="/approvals" {
                    label { "Route" select name="route" required {
                        @for name in guarded.keys() { option value=(name) selected[name == route] { (name) } }
                    } }
                    @if !route.is_empty() && rule.is_none() { div.note.warn { "There is no route " code { (route) } " that needs an approval." } }
                    label { "Why (whoever decides reads it)"
                        textarea name="justification" rows="3" maxlength="2000" required[required] {}
                    }
                    @if let Some(rule) = rule {
                        p.small.soft { "A yes holds for " (format!("{:#}", rule.holds())) ". The question waits for " (format!("{:#}", rule.waits())) ", then it is over." }
                    }
                    div.acts { button.main type="submit" { "Ask" } }
                }
            }
        }
    }
}

/// How a question stands, with its icon.
pub(super) fn state_of(state: ApprovalState) -> Markup {
    let (tone, word) = match state {
        ApprovalState::Open => (Tone::Warn, "Open"),
        ApprovalState::Approved => (Tone::Good, "Approved"),
        ApprovalState::Denied => (Tone::Bad, "Denied"),
        ApprovalState::Expired => (Tone::Idle, "Expired"),
        ApprovalState::Withdrawn => (Tone::Idle, "Withdrawn"),
    };
    tone_word(tone, word)
}
