//! A test worked out: what arrives when, in order, and what is expected when.
//!
//! Invariants: a script is in order of arrival and bounded ([`EVENTS`]); every mistake has the path of the value.

use super::case::{Case, EndState, Expected, Moment, RunStep, Step};
use jiff::{SignedDuration, Timestamp};
use trackside_core::automation::firing::EventRef;
use trackside_core::automation::set::{RunOutcome, RunResult};
use trackside_core::event::{Event, Labels, RESOURCE_ID};
use trackside_core::ids::{EventId, derive};
use trackside_core::ruleset::Span;

/// When tests start unless they say: a Monday morning.
const START: &str = "2026-01-05T09:00:00Z";
/// Source of events that name none.
const SOURCE: &str = "test";
/// Most events of one test, repetitions included.
pub const EVENTS: usize = 100_000;

/// What is wrong with a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Path in the test.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// A test with its times worked out.
#[derive(Clone, Debug)]
pub struct Script {
    /// When the automations come into force.
    pub start: Timestamp,
    /// What arrives, in order.
    pub arrivals: Vec<Arrival>,
    /// When the clock stops.
    pub end: Timestamp,
    /// What is expected, with its time.
    pub expected: Vec<(Option<Timestamp>, Expected)>,
}

/// Something that arrives.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When.
    pub at: Timestamp,
    /// An event.
    pub event: Option<Event>,
    /// A run that ends.
    pub outcome: Option<RunOutcome>,
}

impl Case {
    /// Works out when everything happens.
    ///
    /// # Errors
    /// The first mistake.
    pub fn script(&self) -> Result<Script, Mistake> {
        let wrong = |path: String, problem: &str| Mistake { path, problem: problem.to_owned() };
        let start = match self.start {
            Some(start) => start,
            None => START.parse().map_err(|_| wrong("start".to_owned(), "the default start cannot be used"))?,
        };
        let mut arrivals = Vec::new();
        let mut last = start;
        for (index, step) in self.events.iter().enumerate() {
            let path = format!("events[{index}]");
            last = step.play(&path, start, last, &mut arrivals)?;
        }
        arrivals.sort_by_key(|arrival: &Arrival| arrival.at);
        let mut end = arrivals.last().map_or(start, |arrival| arrival.at);
        let mut expected = Vec::new();
        for (index, expect) in self.expect.iter().enumerate() {
            let at = moment(expect.at, start, || format!("expect[{index}].at"))?;
            end = end.max(at.unwrap_or(end));
            expected.push((at, expect.clone()));
        }
        if let Some(until) = moment(self.until, start, || "until".to_owned())? {
            if until < arrivals.last().map_or(start, |arrival| arrival.at) {
                return Err(wrong("until".to_owned(), "is before the last event"));
            }
            end = until;
        }
        Ok(Script { start, arrivals, end, expected })
    }
}

impl Step {
    /// Adds what it makes happen. Gives the time of the last of it.
    fn play(
        &self,
        path: &str,
        start: Timestamp,
        last: Timestamp,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<Timestamp, Mistake> {
        let wrong = |field: &str, problem: String| Mistake { path: format!("{path}{field}"), problem };
        if self.event.is_none() && self.run.is_none() {
            return Err(wrong("", "needs `event`, `run` or both".to_owned()));
        }
        let first = match (self.at, self.after) {
            (Some(_), Some(_)) => return Err(wrong(".after", "`at` says when it happens already".to_owned())),
            (at, None) => moment(at, start, || format!("{path}.at"))?.unwrap_or(last),
            (None, Some(Span(time))) => {
                last.checked_add(time).map_err(|_| wrong(".after", "is too long".to_owned()))?
            }
        };
        let arrives = moment(self.received, start, || format!("{path}.received"))?;
        let delay = arrives.map_or(SignedDuration::ZERO, |arrives| arrives.duration_since(first));
        let (times, every) = self.repeat.map_or((1, SignedDuration::ZERO), |repeat| (repeat.times, repeat.every.0));
        if arrivals.len().saturating_add(times as usize) > EVENTS {
            return Err(wrong(".repeat", format!("makes more than {EVENTS} events")));
        }
        let mut at = first;
        for round in 0..times {
            let offset = every.checked_mul(i32::try_from(round).unwrap_or(i32::MAX));
            let moved = |time: Timestamp| offset.and_then(|offset| time.checked_add(offset).ok());
            at = moved(first).ok_or_else(|| wrong(".repeat", "is too long".to_owned()))?;
            let received = at.checked_add(delay).map_err(|_| wrong(".received", "is too late".to_owned()))?;
            let id = self.identity(arrivals.len(), round);
            let event = self.event.as_ref().map(|name| self.body(id, name, at, received));
            if let Some(Err(invalid)) = event.as_ref().map(Event::validate) {
                return Err(wrong(&format!(".{}", invalid.field), invalid.problem));
            }
            let outcome = match &self.run {
                Some(run) => self.outcome(run, EventRef { id, seq: 0 }, at, |time| {
                    let time = time.on(start).and_then(moved);
                    time.ok_or_else(|| wrong(".run", "a time is out of range".to_owned()))
                })?,
                None => None,
            };
            arrivals.push(Arrival { at: received, event, outcome });
        }
        Ok(at)
    }

    /// Each time of a repeated step is an event of its own.
    fn identity(&self, index: usize, round: u32) -> EventId {
        match &self.id {
            Some(id) if round == 0 => EventId::from_native(SOURCE, id),
            Some(id) => EventId::from_native(SOURCE, &format!("{id}#{}", round + 1)),
            None => EventId(derive("test-event", &[&index.to_string()])),
        }
    }

    fn labels(&self) -> Labels {
        let mut labels = self.resource.as_ref().map(|resource| resource.0.clone()).unwrap_or_default();
        let name = self.run.as_ref().map_or("test", |run| run.pipeline.as_str());
        labels.entry(RESOURCE_ID.to_owned()).or_insert_with(|| name.to_owned());
        labels
    }

    fn source(&self) -> String {
        self.source.clone().unwrap_or_else(|| SOURCE.to_owned())
    }

    fn body(&self, id: EventId, name: &str, occurred: Timestamp, received: Timestamp) -> Event {
        Event {
            id,
            source: self.source(),
            occurred,
            received,
            event: name.to_owned(),
            resource: self.labels(),
            related: self.related.iter().map(|resource| resource.0.clone()).collect(),
            payload: self.payload.clone(),
            follows: self.follows.as_ref().map(|id| EventId::from_native(SOURCE, id)),
            fact: None,
        }
    }

    fn outcome(
        &self,
        run: &RunStep,
        event: EventRef,
        at: Timestamp,
        time: impl Fn(Moment) -> Result<Timestamp, Mistake>,
    ) -> Result<Option<RunOutcome>, Mistake> {
        let result = match run.state {
            EndState::Succeeded => RunResult::Succeeded,
            EndState::Failed => RunResult::Failed,
            EndState::Skipped | EndState::Cancelled => return Ok(None),
        };
        let source = self.source();
        let mut labels = self.labels();
        labels.insert("source".to_owned(), source.clone());
        labels.insert("pipeline".to_owned(), run.pipeline.clone());
        labels.extend(run.owner.clone().map(|owner| ("owner".to_owned(), owner)));
        let started = run.started.map(&time).transpose()?;
        let ended = run.ended.map(&time).transpose()?.unwrap_or(at);
        let due = run.due.map(&time).transpose()?;
        Ok(Some(RunOutcome {
            labels,
            related: self.related.iter().map(|resource| resource.0.clone()).collect(),
            pipeline: format!("{source}/{}", run.pipeline),
            result,
            ended,
            duration: started.map(|started| ended.duration_since(started)).filter(|took| !took.is_negative()),
            lateness: due.zip(started).map(|(due, started)| started.duration_since(due)),
            event,
        }))
    }
}

fn moment(moment: Option<Moment>, start: Timestamp, path: impl Fn() -> String) -> Result<Option<Timestamp>, Mistake> {
    let Some(moment) = moment else { return Ok(None) };
    match moment.on(start) {
        Some(time) if time >= start => Ok(Some(time)),
        Some(_) => Err(Mistake { path: path(), problem: format!("is before the start of the test, {start}") }),
        None => Err(Mistake { path: path(), problem: "is too long".to_owned() }),
    }
}
