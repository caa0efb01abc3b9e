//! The frame around every page: side bar, title, help for keys.
//!
//! Pure. The parts marked `data-live` are replaced by the script when something changed; their ids are unique.

use crate::assets::{ICON, SCRIPT, STYLE};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use trackside_identity::csrf;
use trackside_identity::directory::Identity;
use trackside_identity::local::CAME_BY;

/// What the side bar leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Runs,
    Incidents,
    Approvals,
    Oncall,
    Silences,
    Automations,
    Jobs,
    Deliveries,
    Events,
    Reports,
    People,
    Connections,
    Access,
    Audit,
}

impl Section {
    const ALL: [Self; 15] = [
        Self::Overview,
        Self::Runs,
        Self::Incidents,
        Self::Approvals,
        Self::Oncall,
        Self::Silences,
        Self::Automations,
        Self::Jobs,
        Self::Deliveries,
        Self::Events,
        Self::Reports,
        Self::People,
        Self::Connections,
        Self::Access,
        Self::Audit,
    ];

    /// Title, address, and the key that goes there after `g`.
    fn link(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Overview => ("Overview", "/", "o"),
            Self::Runs => ("Runs", "/runs", "r"),
            Self::Incidents => ("Incidents", "/incidents", "i"),
            Self::Approvals => ("Approvals", "/approvals", "v"),
            Self::Oncall => ("On-call", "/oncall", "n"),
            Self::Silences => ("Silences", "/silences", "s"),
            Self::Automations => ("Automations", "/automations", "u"),
            Self::Jobs => ("Jobs", "/jobs", "j"),
            Self::Deliveries => ("Deliveries", "/deliveries", "d"),
            Self::Events => ("Events", "/events", "e"),
            Self::Reports => ("Reports", "/reports", "m"),
            Self::People => ("People", "/people", "p"),
            Self::Connections => ("Connections", "/connections", "c"),
            Self::Access => ("Access", "/access", "w"),
            Self::Audit => ("Audit", "/audit", "a"),
        }
    }
}

/// The viewer's choice of palette, from a cookie, so that the first paint is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system says.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    fn attribute(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }
}

/// What surrounds a page.
pub(crate) struct Frame<'a> {
    /// Title of the document.
    pub(crate) title: &'a str,
    /// Where in the side bar; none for pages that it does not list.
    pub(crate) section: Option<Section>,
    /// Who looks.
    pub(crate) identity: &'a Identity,
    /// Incidents that are not resolved.
    pub(crate) open_incidents: u64,
    /// Approvals that wait for the viewer.
    pub(crate) awaited_approvals: u64,
    /// Deliveries that were given up.
    pub(crate) dead_deliveries: u64,
    /// The viewer's choice.
    pub(crate) theme: Theme,
    /// What every form that posts brings along ([`trackside_identity::csrf`]).
    pub(crate) forms: Option<&'a str>,
}

/// A whole page.
pub(crate) fn page(frame: &Frame<'_>, content: &Markup) -> Markup {
    let page = html! {
        (DOCTYPE)
        html lang="en" data-theme=[frame.theme.attribute()] {
            (document_head(frame.title))
            body {
                a.skip href="#content" { "Skip to content" }
                (side(frame))
                main id="content" { (open_to_this_machine(frame)) (content) }
                (keys())
            }
        }
    };
    frame.forms.map_or_else(|| page.clone(), |token| with_token(&page, token))
}

/// Said on every page of a server that asks nobody to sign in.
fn open_to_this_machine(frame: &Frame<'_>) -> Markup {
    html! {
        @if frame.identity.caller.via == CAME_BY {
            p.note.bad role="note" {
                "Nobody has to sign in here: whoever uses this machine is the administrator ("
                code { "server.local_access: open" } "). Fine for a first try, wrong for anything else."
            }
        }
    }
}

/// The page with the token in every form that posts: here, so that no form can be without. Texts of others are escaped in
/// a page, so a `<form` in it is one of ours.
fn with_token(page: &Markup, token: &str) -> Markup {
    let field = html! { input type="hidden" name=(csrf::FIELD) value=(token); }.into_string();
    let mut forms = page.0.split("<form");
    let mut text = String::with_capacity(page.0.len() + 1024);
    text.push_str(forms.next().unwrap_or_default());
    for form in forms {
        text.push_str("<form");
        match form.split_once('>') {
            Some((start, rest)) if start.contains("method=\"post\"") => {
                text.extend([start, ">", &field, rest]);
            }
            _ => text.push_str(form),
        }
    }
    PreEscaped(text)
}

/// How wide a page without a side bar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// One form or message.
    Narrow,
    /// Text to read.
    Wide,
}

/// A page for somebody who is not signed in.
pub(crate) fn alone(title: &str, theme: Theme, width: Width, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme.attribute()] {
            (document_head(title))
            body.alone.wide-page[width == Width::Wide] { main id="content" { (content) } }
        }
    }
}

fn document_head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) " · Trackside" }
            link rel="icon" type="image/svg+xml" href=(ICON.path);
            link rel="stylesheet" href=(STYLE.path);
            script type="module" src=(SCRIPT.path) {}
        }
    }
}

fn side(frame: &Frame<'_>) -> Markup {
    html! {
        header.side {
            a.brand href="/" { "◈ Trackside" }
            nav id="nav" data-live aria-label="Main" {
                @for section in Section::ALL {
                    @let (title, href, key) = section.link();
                    a href=(href) data-key=(key) aria-current=[(frame.section == Some(section)).then_some("page")] {
                        (title)
                        (badge(section, frame))
                    }
                }
            }
            div.foot {
                a.who.small.soft href="/api" { "API" }
                a.who.small.soft href="/sessions" title="Where you are signed in" {
                    (frame.identity.caller.subject) " · " (frame.identity.rights)
                }
                button type="button" data-script data-act="theme" hidden { "Theme" }
                @if frame.identity.caller.via == CAME_BY { a.button href="/sign-in" { "Sign in" } }
                @else { form method="post" action="/sign-out" { button type="submit" { "Sign out" } } }
            }
        }
    }
}

fn badge(section: Section, frame: &Frame<'_>) -> Markup {
    let (number, told) = match section {
        Section::Incidents => (frame.open_incidents, "open"),
        Section::Approvals => (frame.awaited_approvals, "wait for you"),
        Section::Deliveries => (frame.dead_deliveries, "given up"),
        _ => (0, ""),
    };
    let shown = if number < 100 { number.to_string() } else { "99+".to_owned() };
    html! { @if number > 0 { span.count { (shown) span.visually-hidden { " " (told) } } } }
}

fn keys() -> Markup {
    let rows = [
        ("g o", "overview"),
        ("g r", "runs"),
        ("g i", "incidents"),
        ("g v", "approvals"),
        ("g n", "on-call"),
        ("g s", "silences and maintenance"),
        ("g u", "automations"),
        ("g j", "jobs"),
        ("g d", "deliveries"),
        ("g e", "events"),
        ("g m", "reports"),
        ("g p", "people and teams"),
        ("g c", "connections"),
        ("g w", "access"),
        ("g a", "audit"),
        ("j k", "next, previous row; Enter opens it"),
        ("/", "filter"),
        ("t", "light or dark"),
        ("?", "this help"),
    ];
    html! {
        dialog id="keys" aria-label="Keys" {
            form.plain method="dialog" {
                h2 { "Keys" }
                dl.facts {
                    @for (keys, what) in rows {
                        dt { @for key in keys.split(' ') { kbd { (key) } " " } }
                        dd { (what) }
                    }
                }
                button type="submit" { "Close" }
            }
        }
    }
}

/// The head of a page: title, what stands above it, and what can be done.
pub(crate) fn head(title: &str, above: &Markup, acts: &Markup) -> Markup {
    html! {
        div.head {
            div {
                @if !above.0.is_empty() { div.crumb { (above) } }
                h1 { (title) }
            }
            div.acts { (acts) }
        }
    }
}

/// The lamp that says whether the page follows changes.
pub(crate) fn lamp() -> Markup {
    html! { span.live data-script hidden { "connecting" } }
}

/// A card with a title.
pub(crate) fn card(title: &str, aside: &Markup, content: &Markup) -> Markup {
    html! {
        section.card {
            div.title { h2 { (title) } (aside) }
            (content)
        }
    }
}

/// Nothing.
pub(crate) fn nothing() -> Markup {
    PreEscaped(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_posts_brings_the_token() {
        let page = html! {
            form method="get" action="/a" { input name="x"; }
            form.plain method="post" action={ "/b?c=" ("\">") } { button { "<form method=\"post\">" } }
            p { "<form method=\"post\" action=\"/d\">" }
            form action="/e" method="post" {}
        };
        let text = with_token(&page, "t0ken").into_string();
        assert_eq!(text.matches("t0ken").count(), 2, "{text}");
        assert!(text.contains(r#"action="/b?c=&quot;&gt;"><input type="hidden" name="csrf" value="t0ken">"#), "{text}");
    }
}
