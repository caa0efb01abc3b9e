//! The pages: server-rendered HTML that works without script, with the keyboard and on a phone.
//!
//! A page handler asks the store and hands values to a pure function that renders them. Invariant: a page shows
//! nothing that its caller may not do; every write is a form that posts and redirects.

pub(crate) mod access;
pub(crate) mod act;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod automation;
pub(crate) mod automations;
pub(crate) mod chart;
pub(crate) mod connections;
pub(crate) mod deliveries;
pub(crate) mod delivery;
pub(crate) mod docs;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod incident;
pub(crate) mod incidents;
pub(crate) mod job;
pub(crate) mod job_run;
pub(crate) mod jobs;
pub(crate) mod layout;
pub(crate) mod oncall;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod reports;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod silences;
pub(crate) mod timeline;
pub(crate) mod ui;
pub(crate) mod words;
pub(crate) mod zone;

use crate::auth::Who;
use crate::problem::Problem;
use crate::session::FormToken;
use crate::state::AppState;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::COOKIE;
use http::request::Parts;
use layout::{Frame, Section, Theme, Width};
use maud::{Markup, html};
use trackside_identity::role::Role;
use trackside_store::Error as StoreError;
use trackside_store::outbox::DeliveryState;

/// Who looks at a page, and how they like it.
pub(crate) struct Visitor {
    /// Who.
    pub(crate) who: Who,
    /// The zone that their browser says it is in.
    pub(crate) zone: Option<String>,
    theme: Theme,
    /// What the forms of the page must bring; none where no session is behind them.
    forms: Option<FormToken>,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Failed;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let who = Who::from_request_parts(parts, state).await?;
        let zone = cookie(&parts.headers, "zone").map(str::to_owned);
        Ok(Self { who, zone, theme: theme(&parts.headers), forms: parts.extensions.get().cloned() })
    }
}

impl Visitor {
    /// The content in its frame.
    pub(crate) async fn page(
        &self,
        state: &AppState,
        title: &str,
        section: Option<Section>,
        content: &Markup,
    ) -> Result<Markup, Failed> {
        let counts = state.store.delivery_counts().await?;
        let dead = counts.iter().filter(|count| count.state == DeliveryState::Dead).map(|count| count.count).sum();
        let frame = Frame {
            title,
            section,
            identity: &self.who,
            open_incidents: state.store.open_incidents().await?,
            awaited_approvals: approvals::awaited(state, &self.who).await?,
            dead_deliveries: dead,
            theme: self.theme,
            forms: self.forms.as_ref().map(|token| token.0.as_str()),
        };
        Ok(layout::page(&frame, content))
    }

    /// Whether the visitor may do what needs this role, for some team at least; forms they may not use are not shown. What
    /// an administrator does concerns every team.
    pub(crate) fn may(&self, needed: Role) -> bool {
        let rights = &self.who.rights;
        if needed == Role::Admin { rights.allow_for(needed, None) } else { rights.allow(needed) }
    }
}

/// The palette that the visitor chose.
pub(crate) fn theme(headers: &HeaderMap) -> Theme {
    match cookie(headers, "theme") {
        Some("light") => Theme::Light,
        Some("dark") => Theme::Dark,
        _ => Theme::System,
    }
}

/// The value of a cookie.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookie| cookie.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// A page that could not be made; answers with a page that says why.
#[derive(Debug)]
pub(crate) struct Failed(Problem);

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        error(&self.0)
    }
}

impl Failed {
    /// What went wrong, for a program.
    pub(crate) fn problem(self) -> Problem {
        self.0
    }
}

/// A problem as a page.
pub(crate) fn error(problem: &Problem) -> Response {
    let content = html! {
        h1 { (problem.title) }
        p.note.bad { (ui::sentence(&problem.detail)) }
        @if !problem.errors.is_empty() {
            ul { @for misfit in &problem.errors { li { code { @if misfit.pointer.is_empty() { "(all)" } @else { (misfit.pointer) } } ": " (misfit.problem) } } }
            br;
        }
        p { a href="/" { "Go to the overview" } " or " a href="/sign-in" { "sign in as somebody else" } "." }
    };
    (problem.status, layout::alone(problem.title, Theme::System, Width::Narrow, &content)).into_response()
}
