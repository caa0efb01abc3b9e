//! Why an event trigger fired, in one line with its values.

use super::leaf::Fired;
use super::timestamp;
use crate::automation::definition::{EventTrigger, Posture};
use jiff::Timestamp;

/// Names that are written out; the rest is counted.
const NAMES: usize = 3;

/// "2 of 2 `job.failed` within 10m", "0 of 1 `job.done` by 09:10:00Z".
pub(super) fn because(trigger: &EventTrigger, fired: &Fired, now: Timestamp) -> String {
    let counted = format!("{} of {} {}", fired.count, trigger.threshold, names(trigger));
    match trigger.posture {
        Posture::Proactive => format!("{counted} by {}", by(timestamp(fired.end), now)),
        Posture::Reactive if trigger.within.is_zero() => counted,
        Posture::Reactive => format!("{counted} within {:#}", trigger.within),
    }
}

fn names(trigger: &EventTrigger) -> String {
    let quoted: Vec<String> = trigger.expect.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
    match trigger.expect.len() {
        0 => "events of any name".to_owned(),
        all if all > NAMES => format!("{} or {} more", quoted.join(", "), all - NAMES),
        _ => quoted.join(" or "),
    }
}

/// The time of day, with the day when it is another one.
fn by(end: Timestamp, now: Timestamp) -> String {
    let day = |moment: Timestamp| moment.strftime("%Y-%m-%d").to_string();
    let format = if day(end) == day(now) { "%H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%SZ" };
    end.strftime(format).to_string()
}
