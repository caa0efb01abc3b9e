//! Whatever happens to runs of jobs: one call at a time for one run, a run ends once, and no call under one key is made
//! anew while it may have been carried out.

use crate::jobs::{answer, bad, calls, good, id, start, world};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::caller::Caller;
use trackside_core::decision::Change;
use trackside_core::effect::Effect;
use trackside_core::ids::DeliveryId;
use trackside_core::input::{Input, JobAsk};
use trackside_core::job::run::{CallResult, CallStep, ErrorClass, RunState};
use uuid::Uuid;

#[derive(Clone, Debug)]
enum Step {
    Start { key: u8, attempt: u32 },
    Answer { row: usize, how: u8 },
    Cancel { run: u128 },
    Called { run: u128 },
    Settle { run: u128 },
    Wait(i64),
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3, 1_u32..4).prop_map(|(key, attempt)| Step::Start { key, attempt }),
        4 => (0_usize..6, 0_u8..6).prop_map(|(row, how)| Step::Answer { row, how }),
        1 => (1_u128..8).prop_map(|run| Step::Cancel { run }),
        1 => (1_u128..8).prop_map(|run| Step::Called { run }),
        1 => (1_u128..8).prop_map(|run| Step::Settle { run }),
        2 => (1_i64..20).prop_map(Step::Wait),
        1 => Just(Step::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn runs_keep_their_promises(steps in proptest::collection::vec(step(), 1..40), concurrency in 1_u32..3) {
        let mut story = world(json!({"concurrency": concurrency, "timeout": "30s"}));
        let (mut number, mut now) = (0, 0);
        let mut done: BTreeSet<DeliveryId> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Start { key, attempt } => {
                    number += 1;
                    start(&mut story, "etl", number, Some(&format!("k{key}")), attempt, json!({}));
                }
                Step::Answer { row, how } => {
                    let open: Vec<Effect> = calls(&story).into_iter().filter(|row| !done.contains(&row.id)).collect();
                    let Some(row) = open.get(row % open.len().max(1)) else { continue };
                    done.insert(row.id);
                    let (result, in_doubt) = match how {
                        0 | 1 => (Some(good(json!(1))), false),
                        2 => (Some(bad(ErrorClass::Failed)), false),
                        3 => (Some(bad(ErrorClass::Unknown)), true),
                        4 => (Some(CallResult::Accepted), false),
                        _ => (None, false),
                    };
                    let ended = row.job.as_ref().is_some_and(|call| story.job_run(call.run).state.ended());
                    // A row is superseded only when its run has ended.
                    if result.is_some() || ended {
                        answer(&mut story, row, result, in_doubt, None);
                    } else {
                        done.remove(&row.id);
                    }
                }
                Step::Cancel { run } => ask(&mut story, JobAsk::Cancel { run: id(run) }),
                Step::Called { run } => ask(&mut story, JobAsk::Called { run: id(run), result: Box::new(good(json!(2))) }),
                Step::Settle { run } => {
                    let result = Box::new(bad(ErrorClass::Failed));
                    ask(&mut story, JobAsk::Settle { run: id(run), result });
                }
                Step::Wait(seconds) => {
                    now += seconds;
                    story.at(now);
                }
                Step::Remove => {
                    story.change_rules(|rules| rules["jobs"]["refresh"]["concurrency"] = json!(concurrency + 1));
                }
            }
        }
        let rows = calls(&story);
        let mut made: BTreeMap<Uuid, usize> = BTreeMap::new();
        for row in &rows {
            let call = row.job.as_ref().unwrap();
            if call.step == CallStep::Run {
                *made.entry(call.run).or_default() += 1;
            }
        }
        prop_assert!(made.values().all(|count| *count == 1), "one row makes the call of a run");
        let keys: BTreeSet<&String> = rows.iter().map(|row| &row.key).collect();
        prop_assert_eq!(keys.len(), rows.len(), "this target honours no key, so none is used twice");
        let mut ended: BTreeMap<Uuid, RunState> = BTreeMap::new();
        for change in story.decisions.iter().flat_map(|decision| &decision.changes) {
            let Change::JobRun(run) = change else { continue };
            if let Some(before) = ended.get(&run.id) {
                prop_assert!(run.state.ended(), "what has ended does not begin again");
                let corrected = matches!(before, RunState::TimedOut | RunState::Unknown | RunState::Cancelled);
                prop_assert!(*before == run.state || corrected, "{:?} became {:?}", before, run.state);
            }
            if run.state.ended() {
                ended.insert(run.id, run.state);
            }
        }
        let running = story.job_runs().filter(|run| run.state == RunState::Running).count();
        prop_assert!(running <= (concurrency + 1) as usize);
        story.check_replay();
    }
}

fn ask(story: &mut crate::scenario::Story, ask: JobAsk) {
    story.input(Input::Job { caller: Caller::new("ana", "session"), ask });
}
