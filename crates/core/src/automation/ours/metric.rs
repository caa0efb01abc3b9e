//! Metric triggers: a figure over the runs that ended lately is beyond a bound for long enough.
//!
//! A run counts for `range` from when it ended (the end exclusive). The figure is known at every instant: when a run
//! ends, and when one leaves the range. It fires at the instant when it has been beyond the bound for `firing_for`, once,
//! and is resolved at the instant when it no longer is. Invariants: no figure without runs, except their number; that
//! there are too few runs is said only of a range that was watched whole.

use super::keyed::{Key, KeyState, Keyed, key_limit};
use super::leaf::Leaf;
use super::samples::{SAMPLES, Samples, Total};
use super::signal::{Bucket, Held, Moment, Place, Said, Signal};
use super::time::{Instant, Span};
use super::words;
use super::{KEPT, runs};
use crate::automation::definition::{Comparison, Metric as Figure, MetricTrigger};
use crate::automation::edit::Cell;
use crate::automation::firing::{EventRef, FiringState};
use crate::automation::set::{RunOutcome, RunResult};
use crate::automation::view::BucketView;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A metric trigger.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    place: Place,
    trigger: MetricTrigger,
    names: Vec<String>,
    rule: Rule,
    keys: Keyed<State>,
}

/// What the trigger says.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    figure: Figure,
    operator: Comparison,
    threshold: f64,
    range: Span,
    firing_for: Span,
    watched: Watched,
}

/// How long a key is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    /// There is one, and it is watched always.
    Always,
    /// As long as it has runs; one that fired for want of runs, for [`KEPT`].
    WhileSeen,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(rename = "r", default, skip_serializing_if = "Samples::is_empty")]
    samples: Samples,
    /// The beginning of watching.
    #[serde(rename = "b")]
    since: Instant,
    /// When the figure was looked at last.
    #[serde(rename = "at")]
    seen: Instant,
    /// Since when it has been beyond the bound.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    holds: Option<Instant>,
    /// When it fired.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    fired: Option<Instant>,
    /// When something will change by itself.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    due: Option<Instant>,
    /// The run that ended last.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    event: Option<Held>,
}

impl KeyState for State {
    type Rule = Rule;

    fn due(&self, _: &Rule) -> Option<Instant> {
        self.due
    }

    fn expires(&self, rule: &Rule) -> Option<Instant> {
        let newest = self.samples.newest().unwrap_or(self.seen);
        let useful = if self.fired.is_some() { KEPT } else { rule.range };
        (rule.watched == Watched::WhileSeen).then(|| newest.max(self.fired.unwrap_or(newest)).plus(useful))
    }

    fn touched(&self, _: &Rule) -> Instant {
        self.seen
    }

    fn is_blank(&self) -> bool {
        self.samples.is_empty() && self.holds.is_none() && self.fired.is_none() && self.due.is_none()
    }

    fn due_event(&self) -> Option<Held> {
        self.event
    }
}

impl State {
    fn new(now: Instant) -> Self {
        let samples = Samples::default();
        Self { samples, since: now, seen: now, holds: None, fired: None, due: None, event: None }
    }

    /// Looks at the figure at `now`.
    fn look(&mut self, rule: &Rule, now: Instant) -> Option<FiringState> {
        self.seen = now;
        self.samples.drop_until(now.minus(rule.range));
        let change = if rule.is_beyond(self.samples.total(), self.since, now) {
            let since = *self.holds.get_or_insert(now);
            let fires = self.fired.is_none() && since.plus(rule.firing_for) <= now;
            fires.then(|| {
                self.fired = Some(now);
                FiringState::Triggered
            })
        } else {
            self.holds = None;
            self.fired.take().map(|_| FiringState::Resolved)
        };
        self.due = self.next(rule);
        change
    }

    /// When something changes if no further run ends.
    fn next(&self, rule: &Rule) -> Option<Instant> {
        let fires = self.holds.filter(|_| self.fired.is_none()).map(|since| since.plus(rule.firing_for));
        let turns = self.turns(rule);
        fires.into_iter().chain(turns).min()
    }

    /// When the figure passes the bound by runs leaving the range, or by the range having been watched whole.
    fn turns(&self, rule: &Rule) -> Option<Instant> {
        let whole = self.since.plus(rule.range);
        let mut total = self.samples.total();
        let mut samples = self.samples.iter().peekable();
        let mut instants: Vec<Instant> = self.samples.iter().map(|sample| sample.ended.plus(rule.range)).collect();
        if rule.needs_whole_range() && whole > self.seen {
            instants.push(whole);
            instants.sort_unstable();
        }
        instants.into_iter().find(|instant| {
            while let Some(gone) = samples.next_if(|sample| sample.ended.plus(rule.range) <= *instant) {
                total = Total { runs: total.runs - gone.runs, sum: total.sum.saturating_sub(gone.sum) };
            }
            rule.is_beyond(total, self.since, *instant) != self.holds.is_some()
        })
    }
}

impl Rule {
    fn value(&self, outcome: &RunOutcome) -> Option<i64> {
        let micros = |duration: SignedDuration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        match self.figure {
            Figure::Successes => Some(i64::from(outcome.result == RunResult::Succeeded)),
            Figure::Duration => outcome.duration.map(micros),
            Figure::Lateness => outcome.lateness.map(micros),
            Figure::Count => Some(0),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a figure is compared with a bound that people wrote")]
    fn figure(&self, total: Total) -> Option<f64> {
        let mean = || (total.runs > 0).then(|| total.sum as f64 / total.runs as f64);
        match self.figure {
            Figure::Count => Some(total.runs as f64),
            Figure::Successes => mean(),
            Figure::Duration | Figure::Lateness => mean().map(|micros| micros / 1e6),
        }
    }

    fn is_beyond(&self, total: Total, since: Instant, now: Instant) -> bool {
        if self.needs_whole_range() && now < since.plus(self.range) {
            return false;
        }
        self.figure(total).is_some_and(|figure| match self.operator {
            Comparison::Less => figure < self.threshold,
            Comparison::LessOrEqual => figure <= self.threshold,
            Comparison::Greater => figure > self.threshold,
            Comparison::GreaterOrEqual => figure >= self.threshold,
        })
    }

    /// Too few runs are too few only when none could have been overlooked.
    fn needs_whole_range(&self) -> bool {
        self.figure == Figure::Count && matches!(self.operator, Comparison::Less | Comparison::LessOrEqual)
    }

    /// The figure with its bound: `success rate 0.5 < 0.9 over 6 runs in the last 1h`.
    fn because(&self, what: FiringState, total: Total) -> String {
        let operator = match self.operator {
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        };
        let runs = words::counted(usize::try_from(total.runs).unwrap_or(usize::MAX), "run");
        let (name, unit, over) = match self.figure {
            Figure::Count => ("number of runs", "", String::new()),
            Figure::Successes => ("success rate", "", format!(" over {runs}")),
            Figure::Duration => ("mean duration", " s", format!(" over {runs}")),
            Figure::Lateness => ("mean lateness", " s", format!(" over {runs}")),
        };
        let (range, bound) = (self.range, self.threshold);
        let Some(figure) = self.figure(total).map(round) else { return format!("no runs in the last {range}") };
        let is = if what == FiringState::Resolved { "is no longer " } else { "" };
        let last = match self.firing_for {
            held if what == FiringState::Triggered && !held.is_zero() => format!(", for {held}"),
            _ => String::new(),
        };
        format!("{name} {figure}{unit} {is}{operator} {bound}{unit}{over} in the last {range}{last}")
    }
}

fn round(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

impl Metric {
    /// A trigger that is watched from `now` on.
    pub(super) fn new(place: Place, trigger: &MetricTrigger, keepers: usize, now: Instant) -> Self {
        let names: Vec<String> = trigger.for_each.iter().cloned().collect();
        let watched = if names.is_empty() { Watched::Always } else { Watched::WhileSeen };
        let query = &trigger.metric;
        let rule = Rule {
            figure: query.name,
            operator: query.operator,
            threshold: query.threshold,
            range: Span::of(query.range),
            firing_for: Span::of(query.firing_for),
            watched,
        };
        let mut keys = Keyed::new(key_limit(keepers, SAMPLES));
        if watched == Watched::Always {
            let first_look = |state: &mut State| state.due = Some(now);
            keys.change(&rule, &Key::of(std::iter::empty()), now, || State::new(now), first_look);
        }
        Self { place, trigger: trigger.clone(), names, rule, keys }
    }

    /// Looks at the figure of a key, after a run has been added if there is one.
    fn look(&mut self, key: &Key, moment: Moment, add: impl FnOnce(&mut State), signals: &mut Vec<Signal>) {
        let (rule, now) = (&self.rule, moment.now);
        let look = |state: &mut State| {
            add(state);
            (state.look(rule, now), state.event, state.samples.total())
        };
        let (change, event, total) = self.keys.change(rule, key, now, || State::new(now), look);
        let Some(what) = change else { return };
        let because = rule.because(what, total);
        let labels = key.labels(&self.names);
        signals.push(self.place.signal(what, now, moment, Said { labels, event, children: Vec::new(), because }));
    }
}

impl Leaf for Metric {
    fn place(&self) -> &Place {
        &self.place
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn resolves(&self) -> bool {
        true
    }

    fn lasts(&self) -> bool {
        true
    }

    fn on_run(&mut self, outcome: &RunOutcome, moment: Moment, signals: &mut Vec<Signal>) {
        let now = moment.now;
        let Some(value) = self.rule.value(outcome) else { return };
        if !runs::concerns(&self.trigger.matches, &self.trigger.match_related, outcome) {
            return;
        }
        let ended = Instant::of(outcome.ended).min(now);
        if ended.plus(self.rule.range) <= now {
            return;
        }
        let key = Key::of(self.names.iter().map(|name| runs::value_of(outcome, name).unwrap_or_default()));
        // What is due at this very moment comes first: until now it was as it was.
        if self.keys.get(&key).and_then(|state| state.due).is_some_and(|due| due <= now) {
            self.look(&key, moment, |_| (), signals);
        }
        let range = self.rule.range;
        let add = |state: &mut State| {
            state.samples.add(ended, value, range);
            state.event = Some(outcome.event.into());
        };
        self.look(&key, moment, add, signals);
    }

    fn on_due(&mut self, moment: Moment, signals: &mut Vec<Signal>) {
        for key in self.keys.due(&self.rule, moment.now) {
            self.look(&key, moment, |_| (), signals);
        }
    }

    fn resume(&mut self, now: Instant) {
        self.keys.change_all(&self.rule, |state| {
            state.since = now;
            state.holds = state.holds.map(|_| now);
            state.due = Some(now);
            true
        });
    }

    fn next_due(&self) -> Option<Instant> {
        self.keys.next_due()
    }

    fn due_events(&self, until: Instant) -> Vec<EventRef> {
        self.keys.due_events(until).collect()
    }

    fn buckets(&self) -> Vec<BucketView> {
        self.keys
            .iter()
            .map(|(key, state)| {
                let runs = usize::try_from(state.samples.total().runs).unwrap_or(usize::MAX);
                let view = Bucket { start: state.seen.minus(self.rule.range), end: state.seen, count: runs };
                self.place.bucket(key, view, state.event)
            })
            .collect()
    }

    fn clear(&mut self) {
        self.keys.clear();
    }

    fn take_cells(&mut self, cells: &mut Vec<Cell>) {
        self.keys.take_cells(&self.place, cells);
    }

    fn restore(&mut self, key: &str, body: &str) {
        self.keys.restore(&self.rule, key, body);
    }
}
