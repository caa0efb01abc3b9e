//! The page that shows what arrived, newest first; reloads itself.

use crate::http::Reply;
use crate::journal::Arrival;
use jiff::Timestamp;
use std::fmt::Write as _;

/// Arrivals on the page.
const SHOWN: usize = 200;

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"refresh\" content=\"2\">\
<title>Far ends</title><style>\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;vertical-align:top;\
border-bottom:1px solid color-mix(in srgb,currentColor 18%,transparent)}\
td:nth-child(1),td:nth-child(5){white-space:nowrap;font-variant-numeric:tabular-nums}code{font-size:.85em}\
</style></head><body><h1>What arrived at the far ends</h1>\
<p>These play PagerDuty, Slack, an application, a webhook receiver and a mail server. Nothing leaves this computer.</p>\n";

/// The page as of `now`.
pub(crate) fn render(arrivals: &[Arrival], now: Timestamp) -> Reply {
    let mut html = HEAD.to_owned();
    if arrivals.is_empty() {
        html.push_str("<p>Nothing yet. Messages appear here as they arrive.</p>");
    } else {
        html.push_str(
            "<table><thead><tr><th>When</th><th>Where</th><th>What</th><th>Text</th><th>Times</th></tr></thead>",
        );
        for arrival in arrivals.iter().rev().take(SHOWN) {
            let ago = now.duration_since(arrival.at).as_secs().max(0);
            // Writing to a string cannot fail.
            let _ = write!(
                html,
                "<tr><td title=\"{}\">{ago} s ago</td><td>{}</td><td>{}</td><td>{}<br><code>{}</code></td><td>{}</td></tr>",
                arrival.at,
                escape(arrival.far_end),
                escape(&arrival.action),
                escape(&arrival.summary),
                escape(&arrival.key),
                arrival.times
            );
        }
        html.push_str("</table>");
    }
    html.push_str("</body></html>\n");
    Reply { status: 200, content_type: "text/html; charset=utf-8", body: html, headers: Vec::new() }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
