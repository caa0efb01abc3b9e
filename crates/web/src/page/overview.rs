//! The overview: five figures, runs by hour, recent runs.

use crate::api::overview::read;
use crate::api::runs::RunQuery;
use crate::page::chart::{self, by_hour};
use crate::page::events::first;
use crate::page::layout::{Section, card, head, lamp};
use crate::page::runs::rows;
use crate::page::words::{count, figure, percent, plural, since};
use crate::page::{Failed, Visitor};
use crate::state::AppState;
use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};
use trackside_store::runs::RunRow;
use trackside_store::stats::{HOURS, Hour, Latency, Overview};

/// Runs shown.
const RECENT: usize = 12;
/// A pipeline whose last success is older than this, in seconds, is called out.
const STALE_S: f64 = 24.0 * 3_600.0;

/// `GET /`
pub(crate) async fn show(State(state): State<AppState>, visitor: Visitor) -> Result<Markup, Failed> {
    let overview = read(&state, None).await?;
    let filter = RunQuery { limit: Some(RECENT), ..RunQuery::default() }.filter()?;
    let recent = state.store.runs(&filter).await?;
    let content = render(&overview, &recent.items, state.now(), state.configured().public_url.as_str());
    visitor.page(&state, "Overview", Some(Section::Overview), &content).await
}

fn render(overview: &Overview, recent: &[RunRow], now: Timestamp, public_url: &str) -> Markup {
    let nothing_yet = recent.is_empty() && overview.events_today == 0;
    html! {
        (head("Overview", &Markup::default(), &lamp()))
        div id="overview" data-live {
            @if nothing_yet { section.card { (first(public_url)) } }
            (tiles(overview, now))
            (card("Runs by hour", &legend(), &by_hour(&hours(&overview.hours))))
            (card("Recent runs", &html! { span.small.soft data-script hidden { "press " kbd { "?" } " for keys" } }, &html! {
                @if recent.is_empty() { div.empty { "Runs show up here as they are reported." } } @else { (rows(recent)) }
            }))
        }
    }
}

fn hours(hours: &[Hour]) -> Vec<chart::Hour> {
    let of = |hour: &Hour| chart::Hour {
        at: hour.from,
        succeeded: hour.outcomes.succeeded,
        other: hour.outcomes.other,
        failed: hour.outcomes.failed,
    };
    hours.iter().map(of).collect()
}

fn legend() -> Markup {
    html! {
        div.legend { span.good { "succeeded" } span.warn { "skipped or cancelled" } span.bad { "failed" } }
    }
}

fn tiles(overview: &Overview, now: Timestamp) -> Markup {
    html! {
        div.tiles {
            (success(overview))
            (incidents(overview))
            (duration(overview))
            (freshness(overview, now))
            (latency(overview.latency, overview.events_today))
        }
    }
}

/// One figure with a name and a remark.
fn tile(name: &str, href: &str, figure: &str, also: &Markup) -> Markup {
    html! {
        a.tile href=(href) {
            div.name { (name) }
            div.figure { (figure) }
            div.also { (also) }
        }
    }
}

fn success(overview: &Overview) -> Markup {
    let now = overview.day.success_rate();
    let also = match now.zip(overview.week_before.success_rate()) {
        None => html! { span.soft { (plural(overview.day.succeeded + overview.day.failed, "run", "runs")) " ended" } },
        Some((now, then)) => {
            let points = (now - then) * 100.0;
            let (class, arrow) = if points < -0.05 { ("bad", "▼") } else { ("good", "▲") };
            html! { span class=(class) { (arrow) " " (format!("{:.1}", points.abs())) " points on last week" } }
        }
    };
    tile(&format!("Success rate, {HOURS} h"), "/runs?state=failed", &now.map_or_else(none, percent), &also)
}

fn incidents(overview: &Overview) -> Markup {
    let also = match overview.unacknowledged {
        0 if overview.open_incidents == 0 => html! { span.good { "all quiet" } },
        0 => html! { span.soft { "somebody has each of them" } },
        waiting => html! { span.bad { (count(waiting)) " unacknowledged" } },
    };
    tile("Open incidents", "/incidents?state=open", &count(overview.open_incidents), &also)
}

fn duration(overview: &Overview) -> Markup {
    let also = match overview.median_duration_s {
        Some(median) => html! { span.soft { "median " (figure(median)) } },
        None => html! { span.soft { "no run ended today" } },
    };
    tile("Mean duration", "/runs?state=succeeded", &overview.mean_duration_s.map_or_else(none, figure), &also)
}

fn freshness(overview: &Overview, now: Timestamp) -> Markup {
    let freshest = overview.freshest.as_ref().and_then(|pipeline| pipeline.last_success);
    let stalest = overview.stalest.as_ref().and_then(|pipeline| Some((pipeline, pipeline.last_success?)));
    let also = match stalest {
        Some((pipeline, last)) => {
            let age = now.duration_since(last).as_secs_f64();
            html! { span class=(if age > STALE_S { "warn" } else { "soft" }) { (pipeline.key.name) " is " (since(last, now)) " behind" } }
        }
        None => html! { span.soft { "no success yet" } },
    };
    tile("Freshest data", "/runs?state=succeeded", &freshest.map_or_else(none, |last| since(last, now)), &also)
}

fn latency(latency: Option<Latency>, events_today: u64) -> Markup {
    let p99 = latency.map_or_else(none, |latency| figure(latency.p99.as_secs_f64()));
    tile(
        "Event to page, p99",
        "/deliveries",
        &p99,
        &html! { span.soft { (plural(events_today, "event", "events")) " today" } },
    )
}

fn none() -> String {
    "–".to_owned()
}
