//! One life of jobs: somebody asks, asks again, cancels; far ends lose answers, refuse, are killed and forget; the process
//! dies between any two steps. In the end every run has ended, what was done was done once under its caller's key, and
//! what is not known is said to be.

use super::targets::{Mood, Targets};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use trackside::clock::Clock;
use trackside::decide::{Decider, Step};
use trackside::deliver::{Attempted, Claimed, Deliverer, record, send};
use trackside_connect::connection::ConnectionConfig;
use trackside_core::caller::Caller;
use trackside_core::input::{Input, JobAsk};
use trackside_core::job::run::{CallResult, JobRequest, JobRun, RunState};
use trackside_core::ruleset::Ruleset;
use trackside_identity::act_link::ActKey;
use trackside_identity::broker::{Brokers, Outlet, Tools};
use trackside_identity::secret::Secrets;
use trackside_identity::workload::Workload;
use trackside_store::Store;
use trackside_store::audit::AuditFilter;
use trackside_store::jobs::JobRunFilter;
use trackside_store::log::NewEntry;
use trackside_store::outbox::{DeliveryFilter, DeliveryState};
use uuid::Uuid;

const STEPS: usize = 300;
/// Jobs, each with a target of its own: one honours keys, one does not, one is polled, one calls back.
pub(crate) const JOBS: [&str; 4] = ["keyed", "plain", "polled", "back"];
const CONCURRENCY: usize = 2;

/// What happened in some lives.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) crashes: u64,
    pub(crate) crashed_before_sending: u64,
    pub(crate) crashed_after_sending: u64,
    pub(crate) killed: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) again: u64,
    pub(crate) late: u64,
    pub(crate) ended: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.crashed_before_sending += other.crashed_before_sending;
        self.crashed_after_sending += other.crashed_after_sending;
        self.killed += other.killed;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.again += other.again;
        self.late += other.late;
        for (state, count) in &other.ended {
            *self.ended.entry(state).or_default() += count;
        }
    }
}

/// A process: what is lost when it dies.
struct Process {
    decider: Decider,
    deliverer: Deliverer,
    claimed: Vec<Claimed>,
    attempted: Vec<Attempted>,
}

pub(crate) struct Jobs {
    seed: u64,
    rng: SmallRng,
    now: Arc<Mutex<Timestamp>>,
    clock: Clock,
    store: Store,
    targets: Targets,
    connections: Arc<BTreeMap<String, ConnectionConfig>>,
    act_key: Arc<ActKey>,
    ids: u128,
    tally: Tally,
}

impl Jobs {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Arc::new(Mutex::new("2026-11-20T00:00:00Z".parse::<Timestamp>().unwrap()));
        let time = now.clone();
        let dice = Mutex::new(SmallRng::seed_from_u64(seed ^ 0xd1ce));
        let connections = JOBS.map(|job| (job.to_owned(), json!({"kind": "http", "url": address(job)})));
        Self {
            seed,
            rng: SmallRng::seed_from_u64(seed),
            now,
            clock: Clock::controlled(move || *time.lock().unwrap(), move || dice.lock().unwrap().random()),
            store: Store::memory().unwrap(),
            targets: Targets::default(),
            connections: Arc::new(
                connections.into_iter().map(|(name, config)| (name, serde_json::from_value(config).unwrap())).collect(),
            ),
            act_key: Arc::new(ActKey::new([7; 32])),
            ids: 0,
            tally: Tally::default(),
        }
    }

    /// Lives, settles down, and checks everything.
    pub(crate) async fn live(mut self) -> Tally {
        let mut process = self.start().await;
        process.decider.apply(ruleset(), Caller::rules(), self.clock.now()).await.unwrap();
        for _ in 0..STEPS {
            process = self.step(process).await;
            self.never_too_many(&process);
        }
        self.settle(process).await;
        self.check().await;
        (self.tally.lost, self.tally.repeated) = self.targets.figures();
        self.tally
    }

    async fn start(&self) -> Process {
        let decider = Decider::load(self.store.clone(), "default").await.unwrap();
        let mut deliverer =
            Deliverer::new(self.store.clone(), self.connections.clone(), Some("https://trackside.test".to_owned()))
                .with_act_key(self.act_key.clone())
                .with_brokers(brokers(&self.clock));
        while deliverer.recover(Timestamp::MAX, self.clock.now()).await.unwrap() > 0 {}
        Process { decider, deliverer, claimed: Vec::new(), attempted: Vec::new() }
    }

    async fn step(&mut self, mut process: Process) -> Process {
        match self.rng.random_range(0..100) {
            0..18 => self.ask().await,
            18..22 => self.cancel().await,
            22..26 => self.call_back().await,
            26..46 => drop(process.decider.once(self.clock.now()).await.unwrap()),
            46..60 => self.plan(&mut process).await,
            60..72 => self.send_one(&mut process).await,
            72..82 => self.record_one(&mut process).await,
            82..88 => {
                let wait = SignedDuration::from_millis(self.rng.random_range(1..25_000));
                self.pass(self.clock.now() + wait);
            }
            88..92 => {
                let moods = [Mood::Busy, Mood::Gone, Mood::LosesAnswers, Mood::Hangs, Mood::Gateway, Mood::Refuses];
                let mood = *moods.choose(&mut self.rng).unwrap();
                self.targets.set(JOBS.choose(&mut self.rng).unwrap(), mood);
            }
            92..95 => self.targets.heal(),
            95..96 => {
                self.tally.killed += 1;
                self.targets.kill(JOBS.choose(&mut self.rng).unwrap());
            }
            _ => {
                self.tally.crashes += 1;
                self.tally.crashed_before_sending += u64::from(!process.claimed.is_empty());
                self.tally.crashed_after_sending += u64::from(!process.attempted.is_empty());
                drop(process);
                return self.start().await;
            }
        }
        process
    }

    fn pass(&self, then: Timestamp) {
        *self.now.lock().unwrap() = then;
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    async fn append(&self, input: &Input, id: Uuid) {
        let entry = NewEntry::input(self.clock.now(), input, id).unwrap();
        self.store.append(vec![entry]).await.unwrap();
    }

    /// A task asks for the first time, asks again because it lost the answer, or tries again.
    async fn ask(&mut self) {
        let job = *JOBS.choose(&mut self.rng).unwrap();
        let caller = *["airflow", "web"].choose(&mut self.rng).unwrap();
        let run = self.id();
        let request = JobRequest {
            run,
            job: job.to_owned(),
            key: Some(format!("task-{}", self.rng.random_range(0..4))),
            attempt: self.rng.random_range(1..5),
            input: json!({}),
            justification: None,
            known_as: BTreeSet::new(),
            origin: None,
        };
        let ask = JobAsk::Start(Box::new(request));
        self.append(&Input::Job { caller: Caller::new(caller, "token"), ask }, run).await;
    }

    async fn cancel(&mut self) {
        let open: Vec<Uuid> = self.runs().await.iter().filter(|run| !run.state.ended()).map(|run| run.id).collect();
        let Some(run) = open.choose(&mut self.rng).copied() else { return };
        let id = self.id();
        self.append(&Input::Job { caller: Caller::new("ana", "session"), ask: JobAsk::Cancel { run } }, id).await;
    }

    /// What the door of callbacks does: the token says which run, and it is heard once.
    async fn call_back(&mut self) {
        let Some((callback, output)) = self.targets.calls_back() else { return };
        let token = callback.rsplit_once('/').unwrap().1;
        let Ok((run, _)) = self.act_key.open_run(token, self.clock.now()) else { return };
        let ask = JobAsk::Called { run, result: Box::new(CallResult::Succeeded { output }) };
        let id = self.id();
        self.append(&Input::Job { caller: Caller::new("back", "callback"), ask }, id).await;
    }

    async fn plan(&mut self, process: &mut Process) {
        process.claimed.extend(process.deliverer.plan(self.clock.now()).await.unwrap());
    }

    async fn send_one(&mut self, process: &mut Process) {
        if !process.claimed.is_empty() {
            let index = self.rng.random_range(0..process.claimed.len());
            let claimed = process.claimed.swap_remove(index);
            process.attempted.push(send(&self.targets, claimed, &self.clock).await);
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

    fn never_too_many(&self, process: &Process) {
        for job in JOBS {
            let running = process.decider.state().job_runs();
            let running = running.filter(|run| run.job == job && run.state == RunState::Running).count();
            assert!(running <= CONCURRENCY, "seed {}: {running} runs of {job} at a time", self.seed);
        }
    }

    /// Everything heals, everybody calls back, and nothing is left to do.
    async fn settle(&mut self, mut process: Process) {
        self.targets.heal();
        for _ in 0..20_000 {
            let now = self.clock.now();
            self.call_back().await;
            let step = process.decider.once(now).await.unwrap();
            self.plan(&mut process).await;
            while !process.claimed.is_empty() {
                self.send_one(&mut process).await;
            }
            while !process.attempted.is_empty() {
                self.record_one(&mut process).await;
            }
            let Step::Idle(due) = step else { continue };
            let wake = process.deliverer.next_wake(now).await.unwrap();
            let caught_up = *self.store.head().borrow() == self.store.cursor().await.unwrap();
            match [due, wake].into_iter().flatten().min() {
                None if caught_up => return,
                None => {}
                Some(then) => self.pass(then.max(now)),
            }
        }
        panic!("seed {}: does not settle", self.seed);
    }

    async fn check(&mut self) {
        let seed = self.seed;
        let runs = self.runs().await;
        let done = self.targets.done();
        for run in &runs {
            *self.tally.ended.entry(run.state.as_str()).or_default() += 1;
            self.tally.again += u64::from(run.previous.is_some());
            assert!(run.state.ended(), "seed {seed}: {run:?} has not ended");
            let times = done.iter().filter(|one| one.run == run.id).count();
            assert!(times <= 1, "seed {seed}: {run:?} was done {times} times");
            let known = run.state == RunState::Succeeded || run.in_doubt;
            assert!(times == 0 || known, "seed {seed}: done, and said to be not: {run:?}");
            let under_key = done.iter().any(|one| one.key == run.call_key);
            assert!(run.state != RunState::Succeeded || under_key, "seed {seed}: succeeded undone: {run:?}");
        }
        // The promise to the caller: one key, done once, however often it was asked for and whatever was killed.
        let mut promised: BTreeMap<(String, String, String), BTreeSet<&str>> = BTreeMap::new();
        for run in &runs {
            let promise = (run.job.clone(), run.caller.subject.clone(), run.key.clone().unwrap());
            let keys = done.iter().filter(|one| one.run == run.id).map(|one| one.key.as_str());
            promised.entry(promise).or_default().extend(keys);
        }
        for (promise, keys) in promised {
            assert!(keys.len() <= 1, "seed {seed}: {promise:?} was done as {keys:?}");
        }
        for row in self.rows().await {
            let over = !matches!(row.0, DeliveryState::Pending | DeliveryState::Sending);
            assert!(over, "seed {seed}: a row is {:?}", row.0);
        }
        let last = AuditFilter { limit: 500, ..AuditFilter::default() };
        let audit = self.store.audit(&last).await.unwrap();
        self.tally.late += audit.items.iter().filter(|row| row.action == "job.late").count() as u64;
    }

    async fn runs(&self) -> Vec<JobRun> {
        let mut runs = Vec::new();
        let mut before = None;
        loop {
            let filter = JobRunFilter { before, limit: 200, ..JobRunFilter::default() };
            let page = self.store.job_runs(&filter).await.unwrap();
            runs.extend(page.items.into_iter().map(|row| row.run));
            match page.next {
                Some(next) => before = Some(next),
                None => return runs,
            }
        }
    }

    async fn rows(&self) -> Vec<(DeliveryState, Option<String>)> {
        let mut rows = Vec::new();
        let mut before = None;
        loop {
            let filter = DeliveryFilter { before, limit: 200, ..DeliveryFilter::default() };
            let page = self.store.deliveries(&filter).await.unwrap();
            rows.extend(page.items.into_iter().map(|row| (row.state, row.last_error)));
            match page.next {
                Some(next) => before = Some(next),
                None => return rows,
            }
        }
    }
}

fn address(job: &str) -> String {
    format!("https://{job}.test")
}

/// Brokers of connections that ask for no credential.
fn brokers(clock: &Clock) -> Brokers {
    let time = clock.clone();
    let brokers = Brokers::new(Tools {
        exchange: Arc::new(|_| Box::pin(async { unreachable!("no token is asked for") })),
        clock: Arc::new(move || time.now()),
        random: Arc::new(|| [0; 32]),
        wait: Arc::new(|_| Box::pin(async {})),
        variable: Arc::new(|_| None),
        secrets: Secrets::default(),
        workload: Workload::default(),
    });
    let outlet =
        |job: &str| Outlet { url: address(job).parse().unwrap(), credential: None, check: "/".to_owned(), ca: None };
    brokers.put(JOBS.iter().map(|job| ((*job).to_owned(), outlet(job))).collect());
    brokers
}

fn ruleset() -> Ruleset {
    let job = |name: &str, mode: &str, idempotency: &str| {
        let target = json!({"kind": "http", "connection": name, "path": "/do", "mode": {"kind": mode},
            "idempotency": idempotency});
        json!({"target": target, "timeout": "3m", "concurrency": CONCURRENCY,
            "retry": {"attempts": 4, "backoff": "2s"}})
    };
    serde_json::from_value(json!({
        "teams": {"platform": {}},
        "owners": {"default": "platform"},
        "connections": JOBS.iter().map(|job| ((*job).to_owned(), json!({"kind": "http", "updates": "raised"}))).collect::<BTreeMap<_, _>>(),
        "jobs": {
            "keyed": job("keyed", "synchronous", "key"),
            "plain": job("plain", "synchronous", "none"),
            "polled": job("polled", "poll", "none"),
            "back": job("back", "callback", "none"),
        },
    }))
    .unwrap()
}
