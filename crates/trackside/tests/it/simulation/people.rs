//! Escalations in a simulated world: crashes, downtime, clock jumps, the change to summer time, people who react at any
//! moment, and above all at the very moment when a page is due.
//!
//! A life is read back from the log alone. For every seed: the pages in the store are those of a replay; between two
//! events that start an escalation anew, steps come in order, none twice and none left out; nobody is paged while
//! somebody has it, while it sleeps, while it is held back, or when it is over; what was said at the due instant wins;
//! what is due in the end has been sent.

use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trackside::decide::{Decider, Step};
use trackside_core::caller::Caller;
use trackside_core::decision::{AuditEntry, PageRecord};
use trackside_core::engine::decide;
use trackside_core::event::{Event, Fact, Labels, Report, ReportAction, Severity};
use trackside_core::ids::{EventId, IncidentId, Seq};
use trackside_core::incident::IncidentState;
use trackside_core::input::{Command, DutyEdit, Entry, Input};
use trackside_core::ruleset::Ruleset;
use trackside_core::state::State;
use trackside_store::Store;
use trackside_store::log::NewEntry;

const STEPS: usize = 120;
/// Steps of the policy, and how often they are repeated.
const POLICY: (usize, u32) = (4, 1);

/// What happened in some lives.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) pages: u64,
    pub(crate) late: u64,
    pub(crate) crashes: u64,
    pub(crate) at_the_due_instant: u64,
    pub(crate) restarts: u64,
    pub(crate) held_back: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.late += other.late;
        self.crashes += other.crashes;
        self.at_the_due_instant += other.at_the_due_instant;
        self.restarts += other.restarts;
        self.held_back += other.held_back;
    }
}

pub(crate) struct People {
    seed: u64,
    rng: SmallRng,
    now: Timestamp,
    store: Store,
    decider: Decider,
    said: u64,
    tally: Tally,
}

impl People {
    pub(crate) async fn new(seed: u64) -> Self {
        let store = Store::memory().unwrap();
        let decider = Decider::load(store.clone(), "default").await.unwrap();
        // The night in which 02:00 to 03:00 does not exist in Berlin, or the one in which it comes twice.
        let nights = ["2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z"];
        let now = nights[usize::try_from(seed % 2).unwrap()].parse().unwrap();
        let rng = SmallRng::seed_from_u64(seed);
        Self { seed, rng, now, store, decider, said: 0, tally: Tally::default() }
    }

    /// Lives, settles down, and checks everything.
    pub(crate) async fn live(mut self) -> Tally {
        self.decider.apply(ruleset(), Caller::rules(), self.now).await.unwrap();
        for _ in 0..STEPS {
            self.step().await;
        }
        self.settle().await;
        self.check().await;
        self.tally
    }

    async fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..20 => self.report().await,
            20..45 => self.command().await,
            45..52 => self.plan().await,
            52..80 => self.decide().await,
            80..90 => self.pass(0..1200),
            // Nothing runs for hours.
            90..93 => self.pass(3_600..20_000),
            // Somebody sets the clock.
            93..95 => self.now -= SignedDuration::from_secs(self.rng.random_range(0..5)),
            _ => {
                self.tally.crashes += 1;
                self.decider = Decider::load(self.store.clone(), "default").await.unwrap();
            }
        }
    }

    fn pass(&mut self, seconds: std::ops::Range<i64>) {
        self.now += SignedDuration::from_secs(self.rng.random_range(seconds));
    }

    async fn decide(&mut self) {
        for _ in 0..self.rng.random_range(1..6) {
            self.decider.once(self.now).await.unwrap();
        }
    }

    async fn append(&mut self, input: &Input) {
        self.said += 1;
        let id = uuid::Uuid::from_u128(u128::from(self.said));
        self.store.append(vec![NewEntry::input(self.now, input, id).unwrap()]).await.unwrap();
    }

    /// A problem begins or ends.
    async fn report(&mut self) {
        let key = format!("disk{}", self.rng.random_range(0..3));
        let action = if self.rng.random_bool(0.7) { ReportAction::Trigger } else { ReportAction::Resolve };
        let (number, now) = (self.said, self.now);
        let report = Report {
            summary: format!("{key} is full, {number}"),
            key,
            action,
            severity: Severity::Critical,
            owners: Vec::new(),
            component: None,
            links: Vec::new(),
            details: BTreeMap::new(),
            ends: None,
        };
        let event = Event {
            id: EventId::from_native("world", &format!("r{number}")),
            source: "world".into(),
            occurred: now,
            received: now,
            event: "world.event".into(),
            resource: Labels::from([("prefect.resource.id".to_owned(), "disk".to_owned())]),
            related: Vec::new(),
            payload: Value::Null,
            follows: None,
            fact: Some(Fact::Report(Box::new(report))),
        };
        self.append(&Input::Event(Box::new(event))).await;
    }

    /// Somebody reacts; half of the time at the very moment when something is due.
    async fn command(&mut self) {
        let open: Vec<IncidentId> = self.decider.state().open_incidents().map(|incident| incident.id).collect();
        let Some(incident) = open.choose(&mut self.rng).copied() else {
            return;
        };
        let due = self.decider.state().next_due().filter(|due| *due > self.now);
        if let Some(due) = due.filter(|_| self.rng.random_bool(0.5)) {
            self.now = due;
            self.tally.at_the_due_instant += 1;
        }
        let length = format!("{}s", self.rng.random_range(0..3_000)).parse().unwrap();
        let command = match self.rng.random_range(0..10) {
            0..4 => Command::Acknowledge { incident },
            4..6 => Command::Snooze { incident, length },
            6..7 => Command::Escalate { incident },
            7..9 => Command::Unacknowledge { incident },
            _ => Command::Resolve { incident },
        };
        let caller = Caller::new("ana", "session");
        self.append(&Input::Command { caller, command, origin: None }).await;
    }

    /// Work is planned for everything, or ended.
    async fn plan(&mut self) {
        let id = uuid::Uuid::from_u128(7);
        let planned = self.decider.state().planned_work().next().is_some();
        let edit = if planned && self.rng.random_bool(0.5) {
            DutyEdit::EndMaintenance { id }
        } else {
            let start = self.now + SignedDuration::from_secs(self.rng.random_range(-600..1_800));
            let local = jiff::tz::TimeZone::UTC.to_datetime(start).round(jiff::Unit::Second).unwrap();
            let length = self.rng.random_range(1..3_600);
            let window = json!({"name": "work", "when": {"start": local.to_string(), "duration_s": length}});
            let work = json!({"id": id, "window": window, "by": "ana", "created": self.now});
            DutyEdit::PutMaintenance(Box::new(serde_json::from_value(work).unwrap()))
        };
        self.append(&Input::Duty { caller: Caller::rules(), edits: vec![edit] }).await;
    }

    /// Nobody does anything any more, and time passes until nothing is due for a day.
    async fn settle(&mut self) {
        for _ in 0..50_000 {
            match self.decider.once(self.now).await.unwrap() {
                Step::Idle(None) => return,
                Step::Idle(Some(due)) if due > self.now + SignedDuration::from_hours(20) => return,
                Step::Idle(Some(due)) => self.now = self.now.max(due),
                Step::Decided(_) | Step::Ticked => {}
            }
        }
        panic!("seed {}: does not settle", self.seed);
    }

    async fn check(&mut self) {
        let seed = self.seed;
        let mut state = State::new("default");
        let (mut audit, mut pages) = (Vec::new(), Vec::new());
        for entry in self.log().await {
            let decision = decide(&mut state, std::slice::from_ref(&entry));
            audit.extend(decision.audit);
            pages.extend(decision.pages);
        }
        self.tally.pages += pages.len() as u64;
        let late = |page: &&PageRecord| page.at.duration_since(page.due) > SignedDuration::from_secs(10);
        self.tally.late += pages.iter().filter(late).count() as u64;
        assert_eq!(self.stored().await, pages, "seed {seed}: the pages in the store are those of a replay");
        let live: Vec<_> = self.decider.state().open_incidents().collect();
        let again: Vec<_> = state.open_incidents().collect();
        assert_eq!(live, again, "seed {seed}: the incidents are what a replay gives");

        let rules = ruleset();
        for page in &pages {
            let users = rules.schedules["primary"].on_call(&[], page.at).users;
            if page.target == "oncall:primary" {
                assert_eq!(page.person.as_ref(), users.first(), "seed {seed}: who was on call at {}", page.at);
            }
        }
        let mut courses: BTreeMap<IncidentId, Course> = BTreeMap::new();
        for moment in moments(&audit, &pages) {
            moment.apply(seed, &mut courses, &mut self.tally);
        }
        for incident in state.open_incidents() {
            // Every time-out and every snooze was over long ago.
            assert_eq!(incident.state, IncidentState::Triggered, "seed {seed}: #{} waits for ever", incident.number);
            let course = &courses[&incident.id];
            assert!(course.done(), "seed {seed}: #{} has steps left: {course:?}", incident.number);
        }
    }

    async fn log(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            let cursor = entries.last().map_or(0, |entry: &Entry| entry.seq);
            let more = self.store.entries_after(cursor, 500).await.unwrap();
            if more.is_empty() {
                return entries;
            }
            entries.extend(more);
        }
    }

    async fn stored(&self) -> Vec<PageRecord> {
        let mut pages = self.store.pages_between(Timestamp::MIN, Timestamp::MAX, 10_000).await.unwrap();
        // The store gives them by time, which may have gone back.
        pages.sort_by_key(|page| (page.seq, page.ordinal));
        pages
    }
}

/// Something that happened to an incident, in the order of the log.
enum Moment<'a> {
    Said(&'a AuditEntry),
    Paged(&'a PageRecord),
}

/// What an outsider may conclude of an escalation.
#[derive(Debug, Default)]
struct Course {
    begun: bool,
    /// Somebody has it, or put it off.
    waits: bool,
    held_back: bool,
    /// Steps taken since it started anew.
    taken: usize,
}

impl Course {
    fn runs(&self) -> bool {
        self.begun && !self.waits && !self.held_back
    }

    fn done(&self) -> bool {
        !self.runs() || self.taken == POLICY.0 * (1 + POLICY.1 as usize)
    }
}

/// Audit rows and pages of the same entry: what ends or starts a wait is written before a page of it.
fn moments<'a>(audit: &'a [AuditEntry], pages: &'a [PageRecord]) -> Vec<Moment<'a>> {
    let said = audit.iter().map(|row| ((row.seq, 0, row.ordinal), Moment::Said(row)));
    let paged = pages.iter().map(|page| ((page.seq, 1, page.ordinal), Moment::Paged(page)));
    let mut all: Vec<((Seq, u8, u32), Moment<'_>)> = said.chain(paged).collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, moment)| moment).collect()
}

impl Moment<'_> {
    fn apply(&self, seed: u64, courses: &mut BTreeMap<IncidentId, Course>, tally: &mut Tally) {
        match self {
            Self::Said(row) => {
                let Some(incident) = row.incident else {
                    return;
                };
                let course = courses.entry(incident).or_default();
                match row.action.as_str() {
                    "escalation.begun" => *course = Course { begun: true, ..Course::default() },
                    "incident.retriggered" | "incident.unacknowledged" => {
                        tally.restarts += 1;
                        (course.waits, course.taken) = (false, 0);
                    }
                    "incident.acknowledged" | "incident.snoozed" => course.waits = true,
                    "incident.suppressed" => {
                        tally.held_back += 1;
                        course.held_back = true;
                    }
                    "incident.released" => {
                        course.held_back = false;
                        if !course.waits {
                            course.taken = 0;
                        }
                    }
                    "incident.resolved" => *course = Course::default(),
                    _ => {}
                }
            }
            Self::Paged(page) => {
                let course = courses.entry(page.incident).or_default();
                assert!(course.runs(), "seed {seed}: paged while nobody should be: {page:?} in {course:?}");
                assert!(page.at >= page.due, "seed {seed}: paged before it was due: {page:?}");
                let place = (page.cycle as usize, page.step as usize);
                let expected = (course.taken / POLICY.0, course.taken % POLICY.0);
                assert_eq!(place, expected, "seed {seed}: out of order: {page:?} in {course:?}");
                course.taken += 1;
            }
        }
    }
}

fn ruleset() -> Ruleset {
    serde_json::from_value(json!({
        "teams": {"platform": {"notify": [], "escalation": "nightly", "escalate_from": "info"}},
        "owners": {"default": "platform"},
        "connections": {
            "chat": {"kind": "slack", "updates": "every"},
            "mail": {"kind": "email", "updates": "raised"},
        },
        "people": {
            "ana": {"zone": "Europe/Berlin", "contacts": [{"via": "mail", "to": "ana@example.net"}]},
            "bo": {"zone": "Europe/Berlin", "contacts": [{"via": "mail", "to": "bo@example.net"}]},
        },
        // Handed over within the hour that does not exist, or comes twice.
        "schedules": {"primary": {"layers": [{"name": "day", "rotation": {
            "tz": "Europe/Berlin", "start": "2026-01-05T02:30:00", "unit": "day", "participants": ["ana", "bo"],
        }}]}},
        "escalations": {"nightly": {
            "steps": [
                {"targets": ["channel:chat"]},
                {"after": "15m", "targets": ["oncall:primary"]},
                {"after": "30m", "targets": ["person:bo"]},
                {"after": "1h", "targets": ["channel:chat"]},
            ],
            "repeat": {"times": POLICY.1, "every": "30m"},
            "ack_timeout": "45m",
        }},
        "incidents": {"storm": null},
        "rules": [{"name": "reported", "when": "reported"}],
    }))
    .unwrap()
}
