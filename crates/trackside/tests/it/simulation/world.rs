//! One life of a server: a seed decides what arrives, what fails, and when the process dies.

use super::far_ends::{FarEnds, Mood};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use trackside::clock::Clock;
use trackside::decide::{Decider, Step};
use trackside::deliver::{Attempted, Claimed, Deliverer, record, send};
use trackside_connect::connection::ConnectionConfig;
use trackside_core::automation::definition::{Automation, AutomationId, Origin, Semantics};
use trackside_core::automation::edit::{AutomationEdit, FiringRecord};
use trackside_core::automation::request::{self, Dialect};
use trackside_core::caller::Caller;
use trackside_core::effect::Effect;
use trackside_core::engine::decide;
use trackside_core::event::{Event, Fact, Labels, Report, ReportAction, Severity};
use trackside_core::ids::{DeliveryId, EventId, Seq};
use trackside_core::incident::IncidentState;
use trackside_core::input::Input;
use trackside_core::ruleset::Ruleset;
use trackside_core::run::{AttemptRef, RunReport, RunUpdate, System};
use trackside_core::state::{Loaded, State};
use trackside_store::Store;
use trackside_store::firings::FiringFilter;
use trackside_store::log::NewEntry;
use trackside_store::outbox::{DeliveryFilter, DeliveryState};

const STEPS: usize = 250;
const HOSTS: [&str; 3] = ["pagerduty.test", "slack.test", "hook.test"];

/// What happened in some lives.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) crashes: u64,
    pub(crate) crashed_while_sending: u64,
    pub(crate) failures: u64,
    pub(crate) lost_answers: u64,
    pub(crate) delivered: u64,
    pub(crate) superseded: u64,
    pub(crate) duplicates: u64,
    pub(crate) ticks: u64,
    pub(crate) firings: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.crashed_while_sending += other.crashed_while_sending;
        self.failures += other.failures;
        self.lost_answers += other.lost_answers;
        self.delivered += other.delivered;
        self.superseded += other.superseded;
        self.duplicates += other.duplicates;
        self.ticks += other.ticks;
        self.firings += other.firings;
    }
}

/// A process: what is lost when it dies.
struct Process {
    decider: Decider,
    deliverer: Deliverer,
    claimed: Vec<Claimed>,
    attempted: Vec<Attempted>,
}

pub(crate) struct World {
    seed: u64,
    rng: SmallRng,
    now: Arc<Mutex<Timestamp>>,
    clock: Clock,
    store: Store,
    ends: FarEnds,
    connections: Arc<BTreeMap<String, ConnectionConfig>>,
    to_come: Vec<Event>,
    accepted: BTreeSet<EventId>,
    tally: Tally,
    _secret: tempfile::NamedTempFile,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let now = Arc::new(Mutex::new("2026-11-20T00:00:00Z".parse::<Timestamp>().unwrap()));
        let time = now.clone();
        let dice = Mutex::new(SmallRng::seed_from_u64(seed ^ 0xd1ce));
        let clock = Clock::controlled(move || *time.lock().unwrap(), move || dice.lock().unwrap().random());
        let mut secret = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut secret, b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
        let file = json!({"file": secret.path()});
        let connections = json!({
            "pd": {"kind": "pagerduty", "routing_key": file, "url": "https://pagerduty.test"},
            "slack": {"kind": "slack", "token": file, "channel": "C0123456789", "api_url": "https://slack.test/api"},
            "hook": {"kind": "webhook", "url": "https://hook.test/in", "secret": file},
        });
        let to_come = story(&mut rng);
        Self {
            seed,
            rng,
            now,
            clock,
            store: Store::memory().unwrap(),
            ends: FarEnds::default(),
            connections: Arc::new(serde_json::from_value(connections).unwrap()),
            to_come,
            accepted: BTreeSet::new(),
            tally: Tally::default(),
            _secret: secret,
        }
    }

    /// Lives, settles down, and checks everything.
    pub(crate) async fn live(mut self) -> Tally {
        let mut process = self.start().await;
        process.decider.apply(ruleset(), Caller::rules(), self.clock.now()).await.unwrap();
        if self.has_automations() {
            self.write_automations().await;
        }
        for _ in 0..STEPS {
            process = self.step(process).await;
        }
        self.settle(process).await;
        self.check().await;
        (self.tally.failures, self.tally.lost_answers) = self.ends.failures();
        self.tally
    }

    /// A third of the worlds; they have ten times as much to decide.
    fn has_automations(&self) -> bool {
        self.seed.is_multiple_of(3)
    }

    /// Rules of people beside ours: counting, missing, in a row, together, with and without state in between.
    async fn write_automations(&self) {
        let edits = automations().into_iter().map(|automation| AutomationEdit::Put(Box::new(automation)));
        self.edit(edits.collect(), 1).await;
    }

    /// Watching for what does not come never ends by itself.
    async fn pause_automations(&self) {
        self.edit(automations().iter().map(|automation| AutomationEdit::Pause { id: automation.id }).collect(), 2)
            .await;
    }

    async fn edit(&self, edits: Vec<AutomationEdit>, id: u128) {
        let input = Input::Automations { caller: Caller::rules(), edits };
        let entry = NewEntry::input(self.clock.now(), &input, uuid::Uuid::from_u128(id)).unwrap();
        self.store.append(vec![entry]).await.unwrap();
    }

    async fn start(&self) -> Process {
        let decider = Decider::load(self.store.clone(), "default").await.unwrap();
        let mut deliverer = Deliverer::new(self.store.clone(), self.connections.clone(), None);
        while deliverer.recover(Timestamp::MAX, self.clock.now()).await.unwrap() > 0 {}
        Process { decider, deliverer, claimed: Vec::new(), attempted: Vec::new() }
    }

    async fn step(&mut self, mut process: Process) -> Process {
        match self.rng.random_range(0..100) {
            0..30 => self.arrive().await,
            30..50 => self.decide(&mut process).await,
            50..65 => self.plan(&mut process).await,
            65..78 => self.send_one(&mut process).await,
            78..88 => self.record_one(&mut process).await,
            88..92 => {
                let wait = SignedDuration::from_millis(self.rng.random_range(1..30_000));
                self.pass(self.clock.now() + wait);
            }
            92..95 => self.ends.set(HOSTS.choose(&mut self.rng).unwrap(), self.mood()),
            95..97 => self.ends.heal(),
            _ => {
                self.tally.crashes += 1;
                if !process.claimed.is_empty() || !process.attempted.is_empty() {
                    self.tally.crashed_while_sending += 1;
                }
                drop(process);
                return self.start().await;
            }
        }
        process
    }

    fn mood(&self) -> Mood {
        let moods = [Mood::Broken, Mood::Busy, Mood::Gone, Mood::LosesAnswers, Mood::Hangs];
        let mut rng = SmallRng::seed_from_u64(self.seed ^ self.clock.now().as_nanosecond() as u64);
        *moods.choose(&mut rng).unwrap()
    }

    fn pass(&self, then: Timestamp) {
        *self.now.lock().unwrap() = then;
    }

    /// Some events arrive in one request, some of them again.
    async fn arrive(&mut self) {
        let count = self.rng.random_range(1..4).min(self.to_come.len());
        let events: Vec<Event> = self.to_come.drain(..count).collect();
        for event in &events {
            if self.rng.random_bool(0.2) {
                let again = self.rng.random_range(0..=self.to_come.len().min(8));
                self.to_come.insert(again, event.clone());
            }
            if !self.accepted.insert(event.id) {
                self.tally.duplicates += 1;
            }
        }
        let entries = events.iter().map(|event| NewEntry::event(event).unwrap()).collect();
        self.store.append(entries).await.unwrap();
    }

    async fn decide(&mut self, process: &mut Process) {
        if process.decider.once(self.clock.now()).await.unwrap() == Step::Ticked {
            self.tally.ticks += 1;
        }
    }

    async fn plan(&mut self, process: &mut Process) {
        process.claimed.extend(process.deliverer.plan(self.clock.now()).await.unwrap());
    }

    async fn send_one(&mut self, process: &mut Process) {
        if !process.claimed.is_empty() {
            let index = self.rng.random_range(0..process.claimed.len());
            let claimed = process.claimed.swap_remove(index);
            process.attempted.push(send(&self.ends, claimed, &self.clock).await);
        }
    }

    async fn record_one(&mut self, process: &mut Process) {
        if !process.attempted.is_empty() {
            let index = self.rng.random_range(0..process.attempted.len());
            let attempted = process.attempted.swap_remove(index);
            let recording = process.deliverer.settle(&attempted, self.clock.now(), self.clock.jitter());
            record(&self.store, recording).await.unwrap();
        }
    }

    /// Everything heals, everything arrives, and nothing is left to do.
    async fn settle(&mut self, mut process: Process) {
        self.ends.heal();
        while !self.to_come.is_empty() {
            self.arrive().await;
        }
        if self.has_automations() {
            self.pause_automations().await;
        }
        for _ in 0..20_000 {
            let now = self.clock.now();
            let step = process.decider.once(now).await.unwrap();
            self.plan(&mut process).await;
            while !process.claimed.is_empty() {
                self.send_one(&mut process).await;
            }
            while !process.attempted.is_empty() {
                self.record_one(&mut process).await;
            }
            let Step::Idle(due) = step else {
                continue;
            };
            let wake = process.deliverer.next_wake(self.clock.now()).await.unwrap();
            match [due, wake].into_iter().flatten().min() {
                Some(then) if self.done(due).await => self.pass(then.max(now)),
                Some(then) => self.pass(then.max(now + SignedDuration::from_millis(1))),
                None => return,
            }
            if self.done(due).await {
                return;
            }
        }
        panic!("seed {}: does not settle", self.seed);
    }

    /// Nothing is unfinished, and no timer is due within an hour.
    async fn done(&self, due: Option<Timestamp>) -> bool {
        let soon = self.clock.now() + SignedDuration::from_hours(1);
        let head = *self.store.head().borrow();
        head == self.store.cursor().await.unwrap()
            && self.store.next_due(&[]).await.unwrap().is_none()
            && due.is_none_or(|due| due > soon)
    }

    async fn check(&mut self) {
        let seed = self.seed;
        let entries = self.log().await;
        let logged: BTreeSet<EventId> = entries
            .iter()
            .filter_map(|entry| match &entry.input {
                Input::Event(event) if event.source != trackside_core::automation::emitted::SOURCE => Some(event.id),
                _ => None,
            })
            .collect();
        assert_eq!(logged, self.accepted, "seed {seed}: accepted is in the log, once");

        let mut state = State::new("default");
        let mut replayed: BTreeMap<DeliveryId, Effect> = BTreeMap::new();
        let mut firings = Vec::new();
        for entry in &entries {
            // One by one, while the server decided in batches: the batching must not matter.
            let needed = state.needed(std::slice::from_ref(entry));
            let body = |seq: &Seq| match &entries[entries.binary_search_by_key(seq, |entry| entry.seq).ok()?].input {
                Input::Event(event) => Some((*seq, (**event).clone())),
                _ => None,
            };
            let events = needed.events.iter().filter_map(body).collect();
            state.absorb(Loaded { events, ..Loaded::default() });
            let decision = decide(&mut state, std::slice::from_ref(entry));
            firings.extend(decision.firings);
            replayed.extend(decision.effects.into_iter().map(|effect| (effect.id, effect)));
        }
        let rows = self.outbox().await;
        let effects: BTreeMap<DeliveryId, Effect> =
            rows.iter().map(|row| (row.effect.id, row.effect.clone())).collect();
        assert_eq!(effects, replayed, "seed {seed}: the outbox is what a replay of the log asks for");

        let mut kept = self.firings().await;
        self.tally.firings += kept.len() as u64;
        kept.sort_by_key(|record| (record.seq, record.ordinal));
        assert_eq!(kept, firings, "seed {seed}: no firing is lost or doubled");

        let process = self.start().await;
        let live: Vec<_> = process.decider.state().open_incidents().cloned().collect();
        let again: Vec<_> = state.open_incidents().cloned().collect();
        assert_eq!(live, again, "seed {seed}: the incidents are what a replay gives");
        let timers = |state: &State| state.timers().map(|(key, due)| (key.clone(), due)).collect::<Vec<_>>();
        assert_eq!(timers(process.decider.state()), timers(&state), "seed {seed}: the timers are what a replay gives");

        for row in &rows {
            match row.state {
                DeliveryState::Delivered => self.tally.delivered += 1,
                DeliveryState::Superseded => self.tally.superseded += 1,
                other => panic!("seed {seed}: {:?} ended {other:?}: {:?}", row.effect.action, row.last_error),
            }
        }
        self.check_far_ends(&state);
    }

    fn check_far_ends(&self, state: &State) {
        let seed = self.seed;
        let open: BTreeSet<String> = state
            .open_incidents()
            .filter(|incident| {
                incident.state != IncidentState::Resolved && incident.told.iter().any(|told| &*told.via == "pd")
            })
            .map(|incident| incident.id.to_string())
            .collect();
        for (key, (page, opened)) in self.ends.pages() {
            assert!(opened <= 1, "seed {seed}: {key} was paged {opened} times");
            let expected = if open.contains(&key) { "triggered" } else { "resolved" };
            assert!(opened == 0 || page == expected, "seed {seed}: the page {key} is {page}, the incident {expected}");
        }
        for key in &open {
            assert!(self.ends.pages().contains_key(key), "seed {seed}: open incident {key} was never paged");
        }
        let mut seen = BTreeSet::new();
        for post in self.ends.posts() {
            assert!(seen.insert(post.clone()), "seed {seed}: {post} was posted to Slack twice");
        }
        for (id, bodies) in self.ends.hooks() {
            assert_eq!(bodies.len(), 1, "seed {seed}: webhook {id} carried different effects");
        }
    }

    async fn log(&self) -> Vec<trackside_core::input::Entry> {
        let mut entries = Vec::new();
        loop {
            let cursor = entries.last().map_or(0, |entry: &trackside_core::input::Entry| entry.seq);
            let more = self.store.entries_after(cursor, 500).await.unwrap();
            if more.is_empty() {
                return entries;
            }
            entries.extend(more);
        }
    }

    async fn firings(&self) -> Vec<FiringRecord> {
        let mut records = Vec::new();
        let mut before = None;
        loop {
            let filter = FiringFilter { before, limit: 200, ..FiringFilter::default() };
            let page = self.store.firings(&filter).await.unwrap();
            records.extend(page.items.into_iter().map(|row| row.record));
            match page.next {
                Some(next) => before = Some(next),
                None => return records,
            }
        }
    }

    async fn outbox(&self) -> Vec<trackside_store::outbox::Delivery> {
        let mut rows = Vec::new();
        let mut before = None;
        loop {
            let filter = DeliveryFilter { before, limit: 200, ..DeliveryFilter::default() };
            let page = self.store.deliveries(&filter).await.unwrap();
            rows.extend(page.items);
            match page.next {
                Some(next) => before = Some(next),
                None => return rows,
            }
        }
    }
}

fn ruleset() -> Ruleset {
    serde_json::from_value(json!({
        "teams": {
            "payments": {"notify": [{"via": "pd"}, {"via": "slack"}]},
            "platform": {"notify": [{"via": "hook"}, {"via": "slack"}, {"via": "pd"}]},
        },
        "owners": {"default": "platform"},
        "connections": {
            "pd": {"kind": "pagerduty", "updates": "raised"},
            "slack": {"kind": "slack", "updates": "every"},
            "hook": {"kind": "webhook", "updates": "every"},
        },
        "rules": [
            {"name": "failed", "when": {"failed": {}}},
            {"name": "slow", "when": {"runs_longer_than": "40s"}, "severity": "info"},
            {"name": "missing", "match": {"pipeline": "p0"}, "when": {"missing": {"every": "2m"}}},
            {"name": "reported", "when": "reported"},
        ],
    }))
    .unwrap()
}

/// One automation of each kind; what they do goes to incidents, to the webhook, to each other.
fn automations() -> Vec<Automation> {
    let event = |more: Value| {
        let mut trigger = json!({"expect": ["world.event"], "match": {"kind": "run"}});
        trigger.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        trigger
    };
    let tell = json!({"type": "notify-channel", "connection": "hook", "body": "{{ event.event }}"});
    let bodies = [
        json!({"name": "three", "trigger": event(json!({"threshold": 3, "within": "2m", "for_each": ["pipeline"]})),
            "actions": [{"type": "page-owner"}]}),
        json!({"name": "silence", "trigger": event(json!({"posture": "Proactive", "within": "45s", "for_each": ["pipeline"]})),
            "actions": [{"type": "page-owner"}], "actions_on_resolve": [tell]}),
        json!({"name": "in a row", "trigger": {"consecutive": 2}, "actions": [tell]}),
        json!({"name": "both", "actions": [tell], "trigger": {"type": "compound", "require": "all", "within": "3m",
            "triggers": [event(json!({"for_each": ["pipeline"]})), event(json!({"threshold": 2, "within": "1m", "for_each": ["pipeline"]}))]}}),
        json!({"name": "echo", "trigger": {"expect": ["prefect.automation.triggered"]}, "actions": [{"type": "do-nothing"}]}),
    ];
    let start: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
    let of = |(index, body): (usize, &Value)| {
        // Triggers on runs are ours alone, and Prefect's answer to its own echo is a chain of them.
        let ours_alone = index == 2 || index == 4;
        let semantics: &[Semantics] =
            if ours_alone { &[Semantics::Trackside] } else { &[Semantics::Trackside, Semantics::Prefect] };
        let automation = |semantics: &Semantics| Automation {
            id: AutomationId(uuid::Uuid::from_u128(100 + 2 * index as u128 + *semantics as u128)),
            spec: request::parse(body, Dialect::Trackside).unwrap(),
            semantics: *semantics,
            origin: Origin::Api,
            created: start,
            updated: start,
            version: 0,
        };
        semantics.iter().map(automation).collect::<Vec<_>>()
    };
    bodies.iter().enumerate().flat_map(of).collect()
}

/// Runs of a few pipelines, with retries, kills and reports, a little out of order.
fn story(rng: &mut SmallRng) -> Vec<Event> {
    let start: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
    let mut events: Vec<Event> = Vec::new();
    for run in 0..14 {
        let pipeline = format!("p{}", rng.random_range(0..4));
        let base = start + SignedDuration::from_secs(run * 20);
        let mut at = 0;
        let mut add = |report: RunReport, attempt: Option<u32>| {
            at += 1;
            let id = format!("{pipeline}-{run}-{at}");
            let fact = Fact::Run(Box::new(update(&pipeline, run, report, attempt)));
            events.push(event(&id, base + SignedDuration::from_secs(at), fact));
        };
        add(RunReport::Started, None);
        let tries = rng.random_range(1..4);
        for number in 1..=tries {
            add(RunReport::Started, Some(number));
            let last = number == tries;
            match rng.random_range(0..5) {
                0 => {}
                1 | 2 if last => add(RunReport::Succeeded, Some(number)),
                _ => add(RunReport::FailedMaybeRetry, Some(number)),
            }
        }
        add(if rng.random_bool(0.5) { RunReport::Failed } else { RunReport::Succeeded }, None);
    }
    for report in 0..6 {
        let key = format!("disk{}", rng.random_range(0..2));
        let action = if rng.random_bool(0.6) { ReportAction::Trigger } else { ReportAction::Resolve };
        let fact = Fact::Report(Box::new(Report {
            summary: format!("{key} is full"),
            key,
            action,
            severity: Severity::Error,
            owners: vec!["payments".into()],
            component: None,
            links: Vec::new(),
            details: BTreeMap::new(),
            ends: None,
        }));
        let place = rng.random_range(0..events.len());
        events.insert(place, event(&format!("report{report}"), start, fact));
    }
    for window in events.chunks_mut(4) {
        window.shuffle(rng);
    }
    events
}

fn event(id: &str, occurred: Timestamp, fact: Fact) -> Event {
    Event {
        id: EventId::from_native("world", id),
        source: "world".into(),
        occurred,
        received: occurred,
        event: "world.event".into(),
        resource: labels(id, &fact),
        related: Vec::new(),
        payload: Value::Null,
        follows: None,
        fact: Some(fact),
    }
}

fn labels(id: &str, fact: &Fact) -> Labels {
    let mut labels = Labels::from([("prefect.resource.id".to_owned(), id.to_owned())]);
    if let Fact::Run(update) = fact {
        labels.insert("kind".into(), "run".into());
        labels.insert("pipeline".into(), update.pipeline.clone());
    }
    labels
}

fn update(pipeline: &str, run: i64, report: RunReport, attempt: Option<u32>) -> RunUpdate {
    RunUpdate {
        system: System::Airflow,
        pipeline: pipeline.into(),
        run_id: (run % 3 != 0 || attempt.is_some()).then(|| format!("r{run}")),
        run_aliases: vec![format!("opaque-{pipeline}-{run}")],
        attempt: attempt.map(|number| AttemptRef {
            task: "load".into(),
            map_index: None,
            try_number: Some(number),
            retries: None,
            aliases: Vec::new(),
        }),
        report,
        started: None,
        ended: None,
        nominal: None,
        error: Some("boom".into()),
        owners: vec![if pipeline == "p3" { "platform" } else { "payments" }.into()],
        tags: Vec::new(),
        url: None,
        log_url: None,
        doc: None,
        clear_number: 0,
        rows: None,
        task_states: if report == RunReport::Failed {
            [("load".into(), "failed".into())].into()
        } else {
            BTreeMap::new()
        },
        inputs: Vec::new(),
        outputs: Vec::new(),
        deadlines: Vec::new(),
    }
}
