//! The access page: who you are here, whose tokens are taken, and whether somebody may do something, and why.

use crate::api::Params;
use crate::api::access::{ExplainOut, ExplainQuery, answer};
use crate::page::layout::{Section, card, head, nothing};
use crate::page::ui::{Tone, column, empty, sentence, state as tone_word, table, wide};
use crate::page::words::{As, dash, plural, time};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::{AppState, Configured};
use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use trackside_identity::access::Decision;
use trackside_identity::directory::{Grant, Identity, Kind};
use trackside_identity::issuer::IssuerStatus;
use trackside_identity::issuer::config::Profile;
use trackside_identity::question::actions;
use trackside_identity::role::Role;

/// The question in the address, if there is one.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    who: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    at: Option<String>,
}

/// `GET /access`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(asked): Params<Asked>,
) -> Result<Markup, Failed> {
    let admin = visitor.may(Role::Admin);
    let answered = if admin && !asked.who.is_empty() { Some(explain(&state, &visitor, &asked).await) } else { None };
    let (issuers, directory) = (state.configured().callers.issuers().status(), state.directory());
    let content = html! {
        (head("Access", &nothing(), &nothing()))
        (card("You", &html! { a.small href="/sessions" { (if admin { "Who is signed in" } else { "Where you are signed in" }) } }, &you(&visitor.who)))
        @if admin { (card("May somebody do something?", &nothing(), &question(&state.configured(), &asked, answered.as_ref()))) }
        (card("Whose tokens are taken", &nothing(), &issuers_table(&issuers)))
        @if admin {
            (card("API tokens", &html! { span.soft.small { code { "trackside token create" } } }, &tokens(directory.iter())))
        }
    };
    visitor.page(&state, "Access", Some(Section::Access), &content).await
}

async fn explain(state: &AppState, visitor: &Visitor, asked: &Asked) -> Result<ExplainOut, Problem> {
    let query = ExplainQuery {
        who: asked.who.trim().to_owned(),
        action: asked.action.clone(),
        resource: asked.resource.trim().to_owned(),
        method: asked.method.clone(),
        path: asked.path.clone(),
        at: asked.at.clone(),
    };
    answer(state, &visitor.who, &query).await
}

fn you(who: &Identity) -> Markup {
    let kind = match who.kind {
        Kind::Person => "a person",
        Kind::Service => "a program",
    };
    let list = |texts: &mut dyn Iterator<Item = &String>| texts.map(String::as_str).collect::<Vec<_>>().join(", ");
    html! {
        dl.facts {
            dt { "Known as" } dd { code { (who.caller.subject) } ", " (kind) ", came in by " (who.caller.via) }
            dt { "Roles" } dd { (who.rights) }
            @if !who.teams.is_empty() { dt { "Teams" } dd { (list(&mut who.teams.iter())) } }
            @if !who.names.is_empty() { dt { "Names" } dd { code { (list(&mut who.names.iter())) } } }
            @if let Some(issuer) = &who.issuer { dt { "Issuer" } dd { (issuer) } }
            @if let Some(expires) = who.expires { dt { "Until" } dd { (time(expires, As::Time)) } }
        }
    }
}

fn question(configured: &Configured, asked: &Asked, answered: Option<&Result<ExplainOut, Problem>>) -> Markup {
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    let known = [
        ("route", configured.routes.keys().collect::<Vec<_>>()),
        ("job", configured.ruleset.jobs.keys().collect()),
        ("connection", configured.connections.keys().collect()),
    ];
    html! {
        form.filters method="get" {
            label { "Who" input name="who" value=(asked.who) placeholder="token, person, me" required; }
            label { "What"
                select name="action" {
                    @for action in actions::ALL { option value=(action) selected[asked.action == action] { (action) } }
                }
            }
            label { "With what" input name="resource" value=(asked.resource) placeholder="route:orders, job:load" list="resources" required; }
            datalist id="resources" {
                @for (kind, names) in &known { @for name in names { option value={ (kind) ":" (name) } {} } }
                @for area in ["tokens", "configuration", "audit"] { option value={ "server:" (area) } {} }
            }
            label { "Method, for a route" input name="method" value=(given(&asked.method)) placeholder="GET"; }
            label { "Path, for a route" input name="path" value=(given(&asked.path)) placeholder="/orders/7"; }
            button type="submit" { "Ask" }
        }
        @match answered {
            None => p.soft { "The same question that the gateway, jobs and the API ask; nothing is done." },
            Some(Err(problem)) => p.note.bad { (problem.detail) },
            Some(Ok(told)) => (verdict(told)),
        }
    }
}

fn verdict(told: &ExplainOut) -> Markup {
    let (word, tone) = match told.access.decision {
        Decision::Allowed => ("Yes", Tone::Good),
        Decision::Refused => ("No", Tone::Bad),
    };
    html! {
        p {
            (tone_word(tone, word))
            @if told.needs_approval && told.access.allowed() { ", once somebody has agreed" }
            ": " (sentence(&told.access.because)) "."
        }
        br;
        dl.facts {
            dt { "Who" } dd { code { (told.who.subject) } " (" (told.who.rights) ")" }
            dt { "Needs" } dd { (told.needs.join(" or ")) @if told.needs_approval { ", and an " a href="/approvals" { "approval" } } }
            @if !told.access.policies.is_empty() { dt { "Policies" } dd { code { (told.access.policies.join(", ")) } } }
        }
    }
}

fn issuers_table(issuers: &[IssuerStatus]) -> Markup {
    if issuers.is_empty() {
        return empty(
            "No issuer is configured.",
            &html! { "Only API tokens of this server are taken. Add a section " code { "issuers" } " to take those of an identity provider." },
        );
    }
    table(
        &[column("Name"), column("Issuer"), wide("Kind"), column("Keys")],
        &html! {
            @for issuer in issuers {
                tr {
                    td { (issuer.name) }
                    td { code { (issuer.issuer) } }
                    td.wide { (profile(issuer.profile)) }
                    td {
                        @match &issuer.keys.problem {
                            Some(problem) => { (tone_word(Tone::Bad, "Not read")) " " span.small { (problem) } }
                            None => { (plural(issuer.keys.keys as u64, "key", "keys")) }
                        }
                        @if let Some(fetched) = issuer.keys.fetched { span.soft.small { " read " (time(fetched, As::Time)) } }
                    }
                }
            }
        },
    )
}

fn profile(profile: Profile) -> &'static str {
    match profile {
        Profile::Standard => "standard",
        Profile::AccessToken => "RFC 9068",
        Profile::Entra => "Microsoft Entra",
        Profile::Github => "GitHub Actions",
        Profile::Gitlab => "GitLab CI",
        Profile::Teamcity => "TeamCity",
    }
}

fn tokens<'a>(grants: impl Iterator<Item = &'a Grant>) -> Markup {
    table(
        &[column("Name"), column("Role"), wide("Team"), wide("Scopes"), column("Ends")],
        &html! {
            @for grant in grants {
                tr {
                    td.title { (grant.name) }
                    td { (grant.role) }
                    td.wide { @match &grant.team { Some(team) => (team), None => (dash()) } }
                    td.wide { code { (grant.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")) } }
                    td { @match grant.expires { Some(expires) => (time(expires, As::Time)), None => span.soft { "when revoked" } } }
                }
            }
        },
    )
}
