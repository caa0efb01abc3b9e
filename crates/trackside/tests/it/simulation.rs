//! The loops in a simulated world: virtual time, far ends that fail, hang and lose answers, a process that dies between
//! any two phases. For every seed, in the end: nothing accepted is lost, the outbox and the state are what a replay of the
//! log gives, everything is delivered or superseded, and no far end that honours keys saw an effect twice. What a caller of
//! a job asked for under one key was done once, or is said to be in doubt.

mod far_ends;
mod jobs;
mod people;
mod targets;
mod world;

use world::World;

/// Seeds run by the ordinary test; `TRACKSIDE_SEEDS=N` runs more.
const SEEDS: u64 = 300;

#[test]
fn whatever_happens_the_outbox_is_what_the_log_says() {
    let seeds = std::env::var("TRACKSIDE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut tally = world::Tally::default();
    for seed in 0..seeds {
        tally.add(&runtime.block_on(World::new(seed).live()));
    }
    // The worst must really have happened, or the test proves nothing.
    println!("{tally:?}");
    assert!(tally.crashes > seeds && tally.lost_answers > 0 && tally.failures > seeds && tally.superseded > 0);
    assert!(tally.crashed_while_sending > 0 && tally.delivered > seeds && tally.duplicates > seeds && tally.ticks > 0);
    assert!(tally.firings > seeds);
}

#[test]
fn whatever_happens_an_escalation_takes_its_steps_in_order() {
    let seeds = std::env::var("TRACKSIDE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut tally = people::Tally::default();
    for seed in 0..seeds {
        runtime.block_on(async { tally.add(&people::People::new(seed).await.live().await) });
    }
    println!("{tally:?}");
    assert!(tally.pages > 5 * seeds && tally.late > seeds && tally.crashes > seeds && tally.restarts > seeds);
    assert!(tally.at_the_due_instant > seeds && tally.held_back > seeds);
}

#[test]
fn whatever_is_killed_a_job_is_done_once_or_said_to_be_in_doubt() {
    let seeds = std::env::var("TRACKSIDE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS / 4);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut tally = jobs::Tally::default();
    for seed in 0..seeds {
        tally.add(&runtime.block_on(jobs::Jobs::new(seed).live()));
    }
    println!("{tally:?}");
    assert!(tally.crashes > seeds && tally.crashed_before_sending > seeds && tally.crashed_after_sending > seeds);
    assert!(tally.killed > seeds && tally.lost > seeds && tally.repeated > 0 && tally.again > seeds && tally.late > 0);
    for state in ["succeeded", "failed", "cancelled", "timed_out", "unknown"] {
        assert!(tally.ended.get(state).is_some_and(|count| *count > 0), "no run ended {state}");
    }
}
