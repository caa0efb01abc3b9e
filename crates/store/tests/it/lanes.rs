//! Random histories of the outbox: whatever happens in whatever order, lanes keep their promises.

use crate::support::{at, caller, effect, effects};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::ids::DeliveryId;
use trackside_core::input::{DeliveryResult, Input};
use trackside_store::Store;
use trackside_store::outbox::{AttemptRecord, AttemptVerdict, Delivery, DeliveryFilter, DeliveryState, Next};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An effect for one of two connections and one of two incidents, or none.
    Effect { connection: usize, incident: Option<u64> },
    /// Claim one of the due rows.
    Claim(usize),
    /// An attempt ends well, badly, for good, or unknown.
    Attempt(usize, AttemptVerdict),
    /// Drop one of the unfinished rows.
    Supersede(usize),
    /// Put back one of the dead rows.
    Retry(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2usize, prop::option::of(0..2u64)).prop_map(|(connection, incident)| Step::Effect { connection, incident }),
        4 => (0..8usize).prop_map(Step::Claim),
        4 => (0..8usize, prop::sample::select(AttemptVerdict::ALL.to_vec())).prop_map(|(row, verdict)| Step::Attempt(row, verdict)),
        1 => (0..8usize).prop_map(Step::Supersede),
        2 => (0..8usize).prop_map(Step::Retry),
    ]
}

struct World {
    store: Store,
    cursor: u64,
    now: i64,
    ends: BTreeMap<DeliveryId, usize>,
}

impl World {
    async fn rows(&self, state: DeliveryState) -> Vec<Delivery> {
        let filter = DeliveryFilter { state: Some(state), limit: 500, ..DeliveryFilter::default() };
        self.store.deliveries(&filter).await.unwrap().items
    }

    async fn run(&mut self, step: Step) {
        self.now += 1;
        let now = at(self.now);
        match step {
            Step::Effect { connection, incident } => {
                let mut effect = effect(self.cursor + 1, 0, ["pager", "slack"][connection], incident);
                effect.at = now;
                self.store.commit(&effects(self.cursor + 1, vec![effect]), self.cursor).await.unwrap();
                self.cursor += 1;
            }
            Step::Claim(pick) => {
                let due = self.store.due(now, &[], 10).await.unwrap();
                if let Some(row) = choose(&due, pick) {
                    self.store.claim(&[row.effect.id], at(self.now + 30)).await.unwrap();
                }
            }
            Step::Attempt(pick, verdict) => {
                if let Some(row) = choose(&self.rows(DeliveryState::Sending).await, pick) {
                    self.attempt(row, verdict).await;
                }
            }
            Step::Supersede(pick) => {
                let mut open = self.rows(DeliveryState::Pending).await;
                open.extend(self.rows(DeliveryState::Sending).await);
                if let Some(row) = choose(&open, pick) {
                    self.store.supersede(&[(row, "not needed")], now).await.unwrap();
                    *self.ends.entry(row.effect.id).or_default() += 1;
                }
            }
            Step::Retry(pick) => {
                if let Some(row) = choose(&self.rows(DeliveryState::Dead).await, pick) {
                    self.store.retry(row.effect.id, now, &caller()).await.unwrap();
                }
            }
        }
    }

    async fn attempt(&mut self, row: &Delivery, verdict: AttemptVerdict) {
        let now = at(self.now);
        let next = match verdict {
            AttemptVerdict::Done => Next::End(DeliveryResult::Delivered),
            AttemptVerdict::Refused => Next::End(DeliveryResult::Dead { error: "no".to_owned() }),
            AttemptVerdict::Retry | AttemptVerdict::Unknown => Next::Retry { due: at(self.now + 3) },
        };
        let attempt = AttemptRecord {
            call: None,
            at: now,
            took_ms: 1,
            verdict,
            in_doubt: verdict == AttemptVerdict::Unknown,
            status: None,
            request: None,
            answer: None,
            error: None,
            far_ref: None,
        };
        self.store.record_attempt(row, &attempt, &next, now).await.unwrap();
        if matches!(next, Next::End(_)) {
            *self.ends.entry(row.effect.id).or_default() += 1;
        }
    }

    async fn check(&self) {
        let mut open = self.rows(DeliveryState::Pending).await;
        open.extend(self.rows(DeliveryState::Sending).await);
        let mut lanes: BTreeMap<_, Vec<&Delivery>> = BTreeMap::new();
        for row in &open {
            let lane = row.effect.incident.map_or(row.effect.id.0, |incident| incident.0);
            lanes.entry((row.effect.connection.clone(), lane)).or_default().push(row);
        }
        for (lane, mut rows) in lanes {
            rows.sort_by_key(|row| row.position);
            let heads: Vec<_> = rows.iter().filter(|row| row.due.is_some()).collect();
            assert_eq!(heads.len(), 1, "one head, so nothing waits for ever: {lane:?} {rows:#?}");
            let passed = rows.iter().any(|row| row.position < heads[0].position && row.attempts == 0);
            assert!(!passed, "only a row that was put back may be older than the head: {lane:?} {rows:#?}");
        }
        let later = self.store.due(at(self.now + 100), &[], 100).await.unwrap();
        let sending: BTreeSet<_> =
            open.iter().filter(|row| row.state == DeliveryState::Sending).map(|row| row.effect.id).collect();
        assert!(later.iter().all(|row| !sending.contains(&row.effect.id)));
        let earliest = later.iter().filter_map(|row| row.due).min();
        assert_eq!(self.store.next_due(&[]).await.unwrap(), earliest, "the sender wakes when something is due");
    }
}

fn choose(rows: &[Delivery], pick: usize) -> Option<&Delivery> {
    (!rows.is_empty()).then(|| &rows[pick % rows.len()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn lanes_keep_their_order_and_every_end_is_heard_of(steps in prop::collection::vec(step(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let store = Store::memory().unwrap();
            let mut world = World { store, cursor: 0, now: 0, ends: BTreeMap::new() };
            for step in steps {
                world.run(step).await;
                world.check().await;
            }
            let mut heard: BTreeMap<DeliveryId, usize> = BTreeMap::new();
            for entry in world.store.entries_after(0, 1_000).await.unwrap() {
                if let Input::Outcome(outcome) = entry.input {
                    *heard.entry(outcome.delivery).or_default() += 1;
                }
            }
            assert_eq!(heard, world.ends);
        });
    }
}
