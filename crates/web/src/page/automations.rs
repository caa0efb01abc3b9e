//! The automations page: what there is, whether it is on, what it waits for, how often it fired, what is wrong with it.

use crate::api::automations::known::known;
use crate::api::model::DAYS;
use crate::api::{Params, filled};
use crate::page::audit::given;
use crate::page::automation::diagnosis::{Weight, tally, weight};
use crate::page::automation::sentence;
use crate::page::automation::{Figures, definition, on, semantics};
use crate::page::chart::days::spark;
use crate::page::layout::{Section, card, head, lamp};
use crate::page::ui::{address, column, empty, state as tone_word, table, wide};
use crate::page::words::{As, count, time};
use crate::page::{Failed, Visitor};
use crate::problem::Problem;
use crate::state::AppState;
use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::automation::definition::{Automation, AutomationId, Origin};

/// Automations on a page.
const PAGE: usize = 50;
/// What can be asked of state.
const STATES: [(&str, &str); 3] = [("", "any"), ("on", "on"), ("paused", "paused")];
/// What can be asked of findings.
const FINDINGS: [(&str, &str); 4] = [("", "any"), ("error", "errors"), ("warning", "warnings"), ("none", "none")];

/// Filters in the address.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct AutomationsQuery {
    q: Option<String>,
    tag: Option<String>,
    state: Option<String>,
    findings: Option<String>,
    page: Option<usize>,
}

/// `GET /automations`
pub(crate) async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(query): Params<AutomationsQuery>,
) -> Result<Markup, Failed> {
    let listing = Listing::of(&state, &query).await?;
    let public_url = state.configured().public_url.to_string();
    let content = render(&query, &listing, &public_url, definition::may_make(&visitor));
    visitor.page(&state, "Automations", Some(Section::Automations), &content).await
}

/// What a page of the list shows.
struct Listing {
    rows: Vec<Row>,
    /// Automations that pass the filters.
    found: usize,
    /// Automations there are.
    total: usize,
    /// Every tag there is.
    tags: BTreeSet<String>,
}

/// One automation.
struct Row {
    figures: Figures,
    automation: Automation,
    findings: Vec<Weight>,
}

impl Listing {
    async fn of(state: &AppState, query: &AutomationsQuery) -> Result<Self, Problem> {
        let known = known(state).await?.linted().await?;
        let mut weights: BTreeMap<AutomationId, Vec<Weight>> = BTreeMap::new();
        for finding in known.findings() {
            weights.entry(finding.automation).or_default().push(weight(finding.severity));
        }
        let total = known.automations.len();
        let tags = known.automations.iter().flat_map(|automation| automation.spec.tags.iter().cloned()).collect();
        let weights_of = |automation: &Automation| weights.get(&automation.id).map_or(&[][..], Vec::as_slice);
        let mut passing: Vec<&Automation> =
            known.automations.iter().filter(|automation| query.passes(automation, weights_of(automation))).collect();
        passing.sort_by(|a, b| (&a.spec.name, a.id).cmp(&(&b.spec.name, b.id)));
        let skip = query.page.unwrap_or(0).saturating_mul(PAGE);
        let count = passing.len();
        let shown: Vec<Automation> = passing.into_iter().skip(skip).take(PAGE).cloned().collect();
        let now = state.now();
        let ids: BTreeSet<AutomationId> = shown.iter().map(|automation| automation.id).collect();
        let activity = state.store.activity(&ids, now, DAYS).await?;
        let row = |automation: Automation| Row {
            figures: Figures::of(activity.get(&automation.id), now),
            findings: weights_of(&automation).to_vec(),
            automation,
        };
        Ok(Self { rows: shown.into_iter().map(row).collect(), found: count, total, tags })
    }
}

impl AutomationsQuery {
    fn passes(&self, automation: &Automation, findings: &[Weight]) -> bool {
        let spec = &automation.spec;
        let named = |text: String| spec.name.to_lowercase().contains(&text.to_lowercase());
        let state = match given(&self.state) {
            "on" => spec.enabled,
            "paused" => !spec.enabled,
            _ => true,
        };
        let findings = match given(&self.findings) {
            "error" => findings.contains(&Weight::Error),
            "warning" => findings.contains(&Weight::Warning),
            "none" => findings.is_empty(),
            _ => true,
        };
        let tagged = filled(self.tag.clone()).is_none_or(|tag| spec.tags.contains(&tag));
        filled(self.q.clone()).is_none_or(named) && tagged && state && findings
    }

    /// The address of another page with the same filters.
    fn at(&self, page: usize) -> String {
        let number = page.to_string();
        let query = [
            ("q", given(&self.q)),
            ("tag", given(&self.tag)),
            ("state", given(&self.state)),
            ("findings", given(&self.findings)),
            ("page", if page == 0 { "" } else { &number }),
        ];
        address("/automations", &query, None)
    }
}

fn render(query: &AutomationsQuery, listing: &Listing, public_url: &str, may_make: bool) -> Markup {
    let acts = html! {
        (lamp())
        a.button.main[may_make] href="/automations/new" { @if may_make { "New automation" } @else { "Try a new one" } }
    };
    html! {
        (head("Automations", &html! {}, &acts))
        form.filters method="get" role="search" {
            label { "Search" input name="q" value=(given(&query.q)) placeholder="part of a name"; }
            (choice("State", "state", &STATES, given(&query.state)))
            (choice("Findings", "findings", &FINDINGS, given(&query.findings)))
            @if !listing.tags.is_empty() {
                label { "Tag" select name="tag" {
                    option value="" { "any" }
                    @for tag in &listing.tags { option value=(tag) selected[tag == given(&query.tag)] { (tag) } }
                } }
            }
            button type="submit" { "Filter" }
        }
        div id="automations" data-live {
            (card("Automations", &html! { span.small.soft { (count(listing.found as u64)) " of " (count(listing.total as u64)) } }, &html! {
                @if listing.total == 0 { (first(public_url)) }
                @else if listing.rows.is_empty() { (empty("No automation matches.", &html! { "Loosen the filter, or " a href="/automations" { "see all" } "." })) }
                @else { (rows(&listing.rows)) }
                (pages(query, listing))
            }))
        }
    }
}

fn choice(title: &str, name: &str, words: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        label { (title) select name=(name) {
            @for (word, told) in words { option value=(word) selected[*word == chosen] { (told) } }
        } }
    }
}

fn pages(query: &AutomationsQuery, listing: &Listing) -> Markup {
    let page = query.page.unwrap_or(0);
    let more = listing.found > (page.saturating_add(1)).saturating_mul(PAGE);
    html! {
        @if page > 0 || more {
            div.pages {
                @if page > 0 { a rel="prev" href=(query.at(page - 1)) { "Before" } } @else { span {} }
                @if more { a rel="next" href=(query.at(page + 1)) { "More" } }
            }
        }
    }
}

/// How to make the first one.
fn first(public_url: &str) -> Markup {
    let base = public_url.trim_end_matches('/');
    empty(
        "There is no automation yet.",
        &html! {
            "An automation waits for events, or for their absence, and acts. " a href="/automations/new" { "Write one here" }
            ", or put it into a file of the configuration folder and run " code { "trackside apply" } ":"
            pre { "automations:\n  - name: three failures in ten minutes\n    trigger:\n      expect: [prefect.flow-run.Failed]\n      threshold: 3\n      within: 10m\n      for_each: [\"related:flow:prefect.resource.id\"]\n    actions: [page-owner]\n" }
            "Automations that you have in Prefect come over as they are:"
            pre { "export PREFECT_API_URL=" (base) "/api PREFECT_API_AUTH_STRING=me:TOKEN\nprefect automation create --from-file automations.yaml\n" }
        },
    )
}

fn rows(rows: &[Row]) -> Markup {
    let columns = [
        column("State"),
        column("Automation"),
        wide("Evaluated as"),
        wide("Kept"),
        wide("Last fired"),
        wide("14 days"),
        column("Findings"),
    ];
    table(
        &columns,
        &html! {
            @for row in rows {
                @let spec = &row.automation.spec;
                tr data-key=(row.automation.id) {
                    td { (on(spec.enabled)) }
                    td.title {
                        a href={ "/automations/" (row.automation.id) } { (spec.name) }
                        @for tag in &spec.tags { " " span.tag { (tag) } }
                        div.small.soft { (sentence::trigger(&spec.trigger)) }
                    }
                    td.wide { (semantics(row.automation.semantics)) }
                    td.wide.nowrap.soft { (match row.automation.origin { Origin::Api => "here", Origin::Files => "in files" }) }
                    td.wide.nowrap { @match row.figures.last_fired { Some(at) => (time(at, As::Both)), None => { span.soft { "never" } } } }
                    td.wide { (spark(&row.figures.fired)) }
                    td.nowrap { @match tally(row.findings.iter().copied()) { Some((tone, told)) => (tone_word(tone, &told)), None => { span.soft { "none" } } } }
                }
            }
        },
    )
}
