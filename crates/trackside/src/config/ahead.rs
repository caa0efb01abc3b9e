//! What a configuration leads to in the time ahead: times at which nobody is on call.
//!
//! Overrides are made at run time and are not in the files; a gap that one of them fills is found all the same.

use super::{Config, Problem};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use trackside_core::duty::schedule::{Schedule, Shift};
use trackside_core::duty::zone::Zone;

/// How far ahead is looked.
const WEEKS: i64 = 8;
/// Gaps that are named one by one.
const NAMED: usize = 3;

impl Config {
    /// What is not meant in the weeks after `now`: gaps in the schedules.
    #[must_use]
    pub fn ahead(&self, now: Timestamp) -> Vec<Problem> {
        let warn = |(name, schedule): (&String, &Schedule)| {
            let problem = gaps(name, schedule, now)?;
            let suggestion = Some("let a layer cover it, or drop its `restrict`".to_owned());
            Some(Problem { suggestion, ..self.schedule_spots.get(name)?.problem(problem) })
        };
        self.ruleset.schedules.iter().filter_map(warn).collect()
    }
}

/// The gaps of one schedule in words, when there are any.
fn gaps(name: &str, schedule: &Schedule, now: Timestamp) -> Option<String> {
    let until = now.saturating_add(SignedDuration::from_hours(24 * 7 * WEEKS)).unwrap_or(Timestamp::MAX);
    let gaps = schedule.gaps(now, until, &[]);
    let zone = &schedule.layers.first()?.rotation.tz;
    let named: Vec<String> = gaps.iter().take(NAMED).map(|gap| words(gap, zone, until)).collect();
    let more = match gaps.len().saturating_sub(NAMED) {
        _ if gaps.is_empty() => return None,
        0 => String::new(),
        more => format!(" and {more} more in the next {WEEKS} weeks"),
    };
    Some(format!("nobody on call in {name}: {} {}{more}", named.join(", "), zone.name()))
}

/// A gap by the wall clock: `Saturday 2026-11-28 02:00-08:00`.
fn words(gap: &Shift, zone: &Zone, until: Timestamp) -> String {
    let (start, end) = (zone.local(gap.start), zone.local(gap.end));
    let moment = |at: DateTime| at.strftime("%A %Y-%m-%d %H:%M").to_string();
    if gap.end >= until {
        return format!("from {} on", moment(start));
    }
    let midnight = end.time() == jiff::civil::Time::midnight();
    match end.date() {
        date if date == start.date() => format!("{}-{}", moment(start), end.strftime("%H:%M")),
        date if midnight && start.date().tomorrow().is_ok_and(|next| next == date) => {
            format!("{}-24:00", moment(start))
        }
        _ => format!("{} to {}", moment(start), moment(end)),
    }
}
