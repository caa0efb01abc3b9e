//! Jobs as their callers see them: attach, replay, run again, queue, give up, settle; and that a run is a run.

#![allow(clippy::needless_pass_by_value, reason = "`json!(…)` reads best where it is used")]

use crate::scenario::Story;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use trackside_core::caller::Caller;
use trackside_core::effect::{Action, Effect};
use trackside_core::input::{DeliveryResult, Input, JobAsk, JobOutcome, Outcome};
use trackside_core::job::run::{
    CallProgress, CallResult, CallStep, ErrorClass, JobError, JobRequest, JobRun, RunState,
};
use trackside_core::run::PipelineKey;
use uuid::Uuid;

pub(crate) fn world(job: Value) -> Story {
    let mut spec = json!({"target": {"kind": "http", "connection": "app", "path": "/do"}, "owner": "payments"});
    for (name, value) in job.as_object().unwrap() {
        spec[name] = value.clone();
    }
    Story::new(json!({
        "connections": {"app": {"kind": "http", "updates": "raised"}, "slack": {"kind": "slack", "updates": "every"}},
        "teams": {"payments": {"notify": [{"via": "slack"}]}, "platform": {"notify": [{"via": "slack"}]}},
        "rules": [{"name": "failed", "when": {"failed": {}}}],
        "jobs": {"refresh": spec},
    }))
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// `key` asks for run `number`, as try `attempt` of its task.
pub(crate) fn start(story: &mut Story, who: &str, number: u128, key: Option<&str>, attempt: u32, input: Value) {
    let request = JobRequest {
        run: id(number),
        job: "refresh".into(),
        key: key.map(str::to_owned),
        attempt,
        input,
        justification: None,
        known_as: BTreeSet::new(),
        origin: Some("airflow/dag/run/task".into()),
    };
    let caller = Caller::new(who, "token");
    story.input(Input::Job { caller, ask: JobAsk::Start(Box::new(request)) });
}

fn ask(story: &mut Story, ask: JobAsk) {
    story.input(Input::Job { caller: Caller::new("ana", "session"), ask });
}

/// Rows of calls so far.
pub(crate) fn calls(story: &Story) -> Vec<Effect> {
    let effects = story.decisions.iter().flat_map(|decision| &decision.effects);
    effects.filter(|effect| effect.action == Action::Job).cloned().collect()
}

/// The row of a run's call ends.
pub(crate) fn answer(
    story: &mut Story,
    row: &Effect,
    result: Option<CallResult>,
    in_doubt: bool,
    location: Option<&str>,
) {
    let call = row.job.as_ref().unwrap();
    let ended = match (&result, in_doubt) {
        (None, _) => DeliveryResult::Superseded { why: "the run ended".into() },
        (Some(CallResult::Failed { error }), true) => DeliveryResult::Dead { error: error.message.clone() },
        _ => DeliveryResult::Delivered,
    };
    let progress = CallProgress { calls: 1, location: location.map(str::to_owned), ..CallProgress::default() };
    story.input(Input::Outcome(Box::new(Outcome {
        delivery: row.id,
        connection: row.connection.clone(),
        to: None,
        incident: None,
        action: Action::Job,
        result: ended,
        attempts: 1,
        status: None,
        far_ref: Some(progress.write()),
        act: None,
        job: Some(Box::new(JobOutcome { run: call.run, step: call.step.clone(), result, in_doubt })),
    })));
}

pub(crate) fn good(output: Value) -> CallResult {
    CallResult::Succeeded { output }
}

pub(crate) fn bad(class: ErrorClass) -> CallResult {
    CallResult::Failed { error: JobError { class, message: "it did not work".into(), status: Some(500) } }
}

fn state(story: &Story, number: u128) -> RunState {
    story.job_run(id(number)).state
}

fn last_audit(story: &Story) -> String {
    let mut rows = story.decisions.iter().flat_map(|decision| &decision.audit);
    rows.rfind(|row| row.action.starts_with("job.")).map(|row| row.action.clone()).unwrap()
}

#[test]
fn the_same_key_attaches_then_replays() {
    let mut story = world(json!({}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({"a": 1, "b": 2}));
    start(&mut story, "etl", 2, Some("k"), 1, json!({"b": 2, "a": 1}));
    assert_eq!(last_audit(&story), "job.attached");
    assert_eq!(calls(&story).len(), 1);
    let row = calls(&story)[0].clone();
    assert_eq!(row.key, format!("{}-1", id(1)));
    answer(&mut story, &row, Some(good(json!({"rows": 3}))), false, None);
    assert_eq!(state(&story, 1), RunState::Succeeded);
    start(&mut story, "etl", 3, Some("k"), 2, json!({"a": 1, "b": 2}));
    assert_eq!(last_audit(&story), "job.replayed");
    start(&mut story, "etl", 4, Some("k"), 2, json!({"a": 2}));
    assert_eq!(last_audit(&story), "job.conflict");
    // Somebody else's key is another one, and so is the same after it was forgotten.
    start(&mut story, "other", 5, Some("k"), 1, json!({}));
    story.at(25 * 3600);
    start(&mut story, "etl", 6, Some("k"), 1, json!({"a": 2}));
    assert_eq!(calls(&story).len(), 3);
    story.check_replay();
}

#[test]
fn a_failed_run_runs_again_for_a_higher_attempt() {
    let mut story = world(json!({}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    let row = calls(&story)[0].clone();
    answer(&mut story, &row, Some(bad(ErrorClass::Failed)), false, None);
    start(&mut story, "etl", 2, Some("k"), 1, json!({}));
    assert_eq!((last_audit(&story).as_str(), calls(&story).len()), ("job.replayed", 1));
    start(&mut story, "etl", 3, Some("k"), 2, json!({}));
    let again = story.job_run(id(3));
    assert_eq!((again.previous, again.state), (Some(id(1)), RunState::Running));
    assert_eq!(calls(&story)[1].key, format!("{}-2", id(3)), "a failure is final: the next call is another one");
    story.check_replay();
}

/// What may have been carried out is repeated only under the same key, where the target honours it.
#[test]
fn an_unknown_outcome_is_not_repeated_in_silence() {
    for honours in [false, true] {
        let idempotency = if honours { "key" } else { "none" };
        let target = json!({"kind": "http", "connection": "app", "path": "/do", "idempotency": idempotency});
        let mut story = world(json!({"target": target}));
        start(&mut story, "etl", 1, Some("k"), 1, json!({}));
        let row = calls(&story)[0].clone();
        answer(&mut story, &row, Some(bad(ErrorClass::Unknown)), true, None);
        assert_eq!(state(&story, 1), RunState::Unknown);
        start(&mut story, "etl", 2, Some("k"), 2, json!({}));
        let keys: Vec<String> = calls(&story).into_iter().map(|row| row.key).collect();
        if honours {
            assert_eq!(keys, [row.key.clone(), row.key.clone()]);
            continue;
        }
        assert_eq!(keys, std::slice::from_ref(&row.key));
        assert!(story.why().contains("not repeated until it is settled"), "{}", story.why());
        ask(&mut story, JobAsk::Settle { run: id(1), result: Box::new(bad(ErrorClass::Failed)) });
        assert_eq!(state(&story, 1), RunState::Failed);
        start(&mut story, "etl", 3, Some("k"), 2, json!({}));
        assert_eq!(calls(&story).len(), 2, "what is known to have failed runs again");
        ask(&mut story, JobAsk::Settle { run: id(1), result: Box::new(good(json!(1))) });
        assert_eq!((last_audit(&story).as_str(), state(&story, 1)), ("job.refused", RunState::Failed));
        story.check_replay();
    }
}

#[test]
fn runs_wait_in_order_and_each_caller_has_a_limit() {
    let mut story = world(json!({"concurrency": 1, "per_caller": 2}));
    for (who, number) in [("etl", 1), ("etl", 2), ("etl", 3), ("web", 4)] {
        start(&mut story, who, number, None, 1, json!({"n": number}));
    }
    let refused = story.decisions.iter().flat_map(|decision| &decision.audit).filter(|row| row.action == "job.limited");
    assert_eq!(refused.count(), 1);
    let mut order = Vec::new();
    for index in 0..3 {
        let row = calls(&story)[index].clone();
        order.push(row.job.as_ref().unwrap().run);
        assert_eq!(calls(&story).len(), index + 1, "one at a time");
        answer(&mut story, &row, Some(good(json!(null))), false, None);
    }
    assert_eq!(order, [id(1), id(2), id(4)]);
    story.check_replay();
}

#[test]
fn a_run_that_takes_too_long_is_given_up_and_a_late_answer_counts() {
    let mut story = world(json!({"timeout": "10s", "concurrency": 1}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    start(&mut story, "etl", 2, None, 1, json!({}));
    let row = calls(&story)[0].clone();
    story.at(11);
    assert_eq!((state(&story, 1), state(&story, 2)), (RunState::TimedOut, RunState::TimedOut));
    assert!(story.job_run(id(1)).in_doubt);
    start(&mut story, "etl", 3, Some("k"), 2, json!({}));
    assert_eq!(last_audit(&story), "job.replayed", "whether it was carried out is not known");
    answer(&mut story, &row, Some(good(json!("late"))), false, None);
    assert_eq!(story.job_run(id(1)).output, Some(json!("late")));
    assert_eq!(state(&story, 1), RunState::Succeeded);
    story.check_replay();
}

#[test]
fn a_cancelled_run_stops_its_far_end() {
    let mut story = world(json!({}));
    start(&mut story, "etl", 1, None, 1, json!({}));
    let row = calls(&story)[0].clone();
    ask(&mut story, JobAsk::Cancel { run: id(1) });
    assert_eq!((state(&story, 1), calls(&story).len()), (RunState::Cancelled, 1));
    answer(&mut story, &row, None, false, Some("http://app/runs/1"));
    let stop = calls(&story)[1].job.clone().unwrap();
    assert_eq!(stop.step, CallStep::Cancel { far_ref: "http://app/runs/1".into() });
    ask(&mut story, JobAsk::Cancel { run: id(1) });
    assert_eq!(last_audit(&story), "job.refused");
    // One that was never called is surely not done.
    let mut story = world(json!({}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    let row = calls(&story)[0].clone();
    ask(&mut story, JobAsk::Cancel { run: id(1) });
    answer(&mut story, &row, None, false, None);
    assert!(!story.job_run(id(1)).in_doubt);
    start(&mut story, "etl", 2, Some("k"), 2, json!({}));
    assert_eq!(calls(&story).len(), 2);
    story.check_replay();
}

#[test]
fn the_far_end_calls_back() {
    let mut story = world(json!({"timeout": "1h"}));
    start(&mut story, "etl", 1, None, 1, json!({}));
    let row = calls(&story)[0].clone();
    answer(&mut story, &row, Some(CallResult::Accepted), false, Some("http://app/runs/1"));
    assert_eq!(state(&story, 1), RunState::Running);
    ask(&mut story, JobAsk::Called { run: id(1), result: Box::new(good(json!(7))) });
    assert_eq!(story.job_run(id(1)).output, Some(json!(7)));
    ask(&mut story, JobAsk::Called { run: id(1), result: Box::new(bad(ErrorClass::Failed)) });
    assert_eq!((last_audit(&story).as_str(), state(&story, 1)), ("job.refused", RunState::Succeeded));
    // A callback may come before the answer that accepts.
    start(&mut story, "etl", 2, None, 1, json!({}));
    let row = calls(&story)[1].clone();
    ask(&mut story, JobAsk::Called { run: id(2), result: Box::new(good(json!(8))) });
    answer(&mut story, &row, Some(CallResult::Accepted), false, None);
    assert_eq!(state(&story, 2), RunState::Succeeded);
    story.check_replay();
}

#[test]
fn what_the_far_end_said_is_not_changed_by_a_later_answer_to_the_call() {
    let mut story = world(json!({}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    let row = calls(&story)[0].clone();
    ask(&mut story, JobAsk::Called { run: id(1), result: Box::new(good(json!({"rows": 3}))) });
    assert_eq!(state(&story, 1), RunState::Succeeded);
    // The far end called back and was then cut off, or killed.
    answer(&mut story, &row, Some(bad(ErrorClass::Unknown)), true, Some("https://app.example.net/work/1"));
    let run = story.job_run(id(1));
    assert_eq!((run.state, run.in_doubt, run.delivery), (RunState::Succeeded, false, None));
    assert_eq!(calls(&story).len(), 1, "it is not told to stop");
    // Nor is what somebody found out.
    start(&mut story, "etl", 2, Some("j"), 1, json!({}));
    let row = calls(&story)[1].clone();
    ask(&mut story, JobAsk::Cancel { run: id(2) });
    ask(&mut story, JobAsk::Settle { run: id(2), result: Box::new(bad(ErrorClass::Failed)) });
    answer(&mut story, &row, Some(good(json!(1))), false, None);
    assert_eq!(state(&story, 2), RunState::Failed);
}

#[test]
fn a_running_run_keeps_the_job_it_was_asked_for() {
    let mut story = world(json!({"concurrency": 1}));
    start(&mut story, "etl", 1, None, 1, json!({}));
    start(&mut story, "etl", 2, None, 1, json!({}));
    story.change_rules(|rules| rules["jobs"] = json!({}));
    start(&mut story, "etl", 3, None, 1, json!({}));
    assert_eq!(last_audit(&story), "job.refused");
    let row = calls(&story)[0].clone();
    answer(&mut story, &row, Some(good(json!(null))), false, None);
    assert_eq!(calls(&story).len(), 2, "what waits goes on");
    story.check_replay();
}

#[test]
fn runs_of_jobs_are_runs_with_an_owner() {
    let mut story = world(json!({}));
    start(&mut story, "etl", 1, None, 1, json!({}));
    let row = calls(&story)[0].clone();
    answer(&mut story, &row, Some(bad(ErrorClass::Failed)), false, None);
    let pipeline = PipelineKey { source: "trackside.jobs".into(), name: "refresh".into() };
    assert_eq!(story.state.pipeline(&pipeline).unwrap().key, pipeline);
    let incident = story.incident(1);
    assert_eq!((&*incident.owner, incident.is_open()), ("payments", true));
    start(&mut story, "etl", 2, None, 1, json!({}));
    let row = calls(&story)[1].clone();
    answer(&mut story, &row, Some(good(json!(null))), false, None);
    assert!(!story.incident(1).is_open(), "the next success ends it");
    story.check_replay();
}

/// Nothing that has ended stays in memory.
#[test]
fn memory_holds_what_has_not_ended() {
    let mut story = world(json!({}));
    for number in 1..20 {
        start(&mut story, "etl", number, Some(&format!("k{number}")), 1, json!({}));
        let row = calls(&story).pop().unwrap();
        answer(&mut story, &row, Some(good(json!(null))), false, None);
    }
    assert_eq!(story.state.job_runs().count(), 0);
    start(&mut story, "etl", 100, Some("k3"), 1, json!({}));
    assert_eq!(last_audit(&story), "job.replayed", "it is found in the store");
    let ended: Vec<&JobRun> = story.job_runs().filter(|run| run.state.ended()).collect();
    assert_eq!(ended.len(), 19);
}

#[test]
fn a_run_that_needs_approval_waits_for_it() {
    let rule = json!({"any_of": [{"all_of": [{"from": ["payments"]}]}]});
    let mut story = world(json!({"approval": rule, "timeout": "10m"}));
    start(&mut story, "etl", 1, None, 1, json!({}));
    let run = story.job_run(id(1));
    assert_eq!((run.state, calls(&story).len()), (RunState::AwaitingApproval, 0));
    let approval = run.approval.unwrap();
    let says = |says: &str| {
        let ask = json!({"ask": "say", "approval": approval, "says": says, "speaks_for": ["payments", "person:bo"]});
        Input::Approval { caller: Caller::new("bo", "session"), ask: serde_json::from_value(ask).unwrap() }
    };
    story.at(300).input(says("approve"));
    let run = story.job_run(id(1));
    assert_eq!((run.state, calls(&story).len()), (RunState::Running, 1));
    assert_eq!(run.deadline, story.now() + jiff::SignedDuration::from_mins(10), "its time begins with the yes");
    start(&mut story, "etl", 2, None, 1, json!({}));
    ask(&mut story, JobAsk::Cancel { run: id(2) });
    assert_eq!((state(&story, 2), calls(&story).len()), (RunState::Cancelled, 1));
    start(&mut story, "etl", 3, Some("k"), 1, json!({}));
    story.at(300 + 3601);
    assert_eq!(state(&story, 3), RunState::Denied);
    // Nobody said no, so the next try of the task asks again; a no stays.
    start(&mut story, "etl", 4, Some("k"), 2, json!({}));
    assert_eq!((state(&story, 4), story.job_run(id(4)).previous), (RunState::AwaitingApproval, Some(id(3))));
    let approval = story.job_run(id(4)).approval.unwrap();
    let no = json!({"ask": "say", "approval": approval, "says": "deny", "speaks_for": ["payments"]});
    story.input(Input::Approval { caller: Caller::new("bo", "session"), ask: serde_json::from_value(no).unwrap() });
    start(&mut story, "etl", 5, Some("k"), 3, json!({}));
    assert_eq!((state(&story, 4), last_audit(&story).as_str()), (RunState::Denied, "job.replayed"));
    story.check_replay();
}

/// Ana asks as a subject of an issuer that only the door knows to be her, and presses the button in Slack.
#[test]
fn nobody_agrees_to_their_own_run_under_another_name() {
    let rule = json!({"any_of": [{"all_of": [{"from": ["payments"]}]}]});
    let mut story = world(json!({"approval": rule}));
    let request = JobRequest {
        run: id(1),
        job: "refresh".into(),
        key: None,
        attempt: 1,
        input: json!({}),
        justification: None,
        known_as: BTreeSet::from(["person:ana".to_owned()]),
        origin: None,
    };
    let caller = Caller::new("corp:77", "jwt");
    story.input(Input::Job { caller, ask: JobAsk::Start(Box::new(request)) });
    let approval = story.job_run(id(1)).approval.unwrap();
    let yes = json!({"ask": "say", "approval": approval, "says": "approve", "speaks_for": ["payments", "person:ana"]});
    story.input(Input::Approval { caller: Caller::new("ana", "slack"), ask: serde_json::from_value(yes).unwrap() });
    assert_eq!(state(&story, 1), RunState::AwaitingApproval);
    assert!(story.why().contains("it is your own request"), "{}", story.why());
}

#[test]
fn a_run_that_must_say_why_is_not_made_without() {
    let rule = json!({"any_of": [{"all_of": [{"from": ["payments"]}]}], "justification": "required"});
    let mut story = world(json!({"approval": rule}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    assert_eq!(
        (last_audit(&story).as_str(), story.job_runs().count()),
        ("job.unexplained", 0),
        "the key is still free"
    );
}

/// The key of a call that may have been carried out outlives what goes wrong later.
#[test]
fn what_is_not_known_stays_so_until_the_call_itself_is_answered() {
    let target = json!({"kind": "http", "connection": "app", "path": "/do", "idempotency": "key"});
    let after = |end: &dyn Fn(&mut Story, &Effect)| {
        let mut story = world(json!({"target": target, "concurrency": 1, "timeout": "1h"}));
        start(&mut story, "etl", 1, Some("k"), 1, json!({}));
        let first = calls(&story)[0].clone();
        answer(&mut story, &first, Some(bad(ErrorClass::Unknown)), true, None);
        start(&mut story, "etl", 2, Some("k"), 2, json!({}));
        let second = calls(&story)[1].clone();
        end(&mut story, &second);
        start(&mut story, "etl", 3, Some("k"), 3, json!({}));
        let keys: Vec<bool> = calls(&story).iter().map(|row| row.key == first.key).collect();
        story.check_replay();
        keys
    };
    for class in [ErrorClass::Refused, ErrorClass::Unauthenticated, ErrorClass::Unavailable, ErrorClass::Internal] {
        assert_eq!(after(&|story, row| answer(story, row, Some(bad(class)), false, None)), [true; 3], "{class:?}");
    }
    let cancelled = after(&|story, row| {
        ask(story, JobAsk::Cancel { run: id(2) });
        answer(story, row, None, false, None);
    });
    assert_eq!(cancelled, [true; 3], "it was superseded before it was sent");
    let failed = after(&|story, row| answer(story, row, Some(bad(ErrorClass::Failed)), false, None));
    assert_eq!(failed, [true, true, false], "the far end itself says that it failed");
    // Another target does not know the key.
    let mut story = world(json!({"target": target}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    let row = calls(&story)[0].clone();
    answer(&mut story, &row, Some(bad(ErrorClass::Unknown)), true, None);
    story.change_rules(|rules| rules["jobs"]["refresh"]["target"]["path"] = json!("/other"));
    start(&mut story, "etl", 2, Some("k"), 2, json!({}));
    assert_eq!((calls(&story).len(), last_audit(&story).as_str()), (1, "job.replayed"));
}

/// A target that honours keys does not begin anew, and calls the address that it was given first.
#[test]
fn a_callback_goes_for_the_run_that_repeats_the_call() {
    let target =
        json!({"kind": "http", "connection": "app", "path": "/do", "idempotency": "key", "mode": {"kind": "callback"}});
    let mut story = world(json!({"target": target, "timeout": "1m"}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    let row = calls(&story)[0].clone();
    answer(&mut story, &row, Some(CallResult::Accepted), false, None);
    story.at(61);
    assert_eq!(state(&story, 1), RunState::TimedOut);
    start(&mut story, "etl", 2, Some("k"), 2, json!({}));
    let row = calls(&story)[1].clone();
    answer(&mut story, &row, Some(CallResult::Accepted), false, None);
    ask(&mut story, JobAsk::Called { run: id(1), result: Box::new(good(json!(3))) });
    assert_eq!((state(&story, 1), state(&story, 2)), (RunState::Succeeded, RunState::Succeeded));
    assert_eq!(story.job_run(id(2)).output, Some(json!(3)));
    story.check_replay();
}

/// What the far end accepted goes on there, also when its connection is taken out of the configuration.
#[test]
fn work_that_was_accepted_and_cannot_be_asked_after_is_not_failed() {
    let mut story = world(json!({}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    let row = calls(&story)[0].clone();
    answer(&mut story, &row, None, false, Some("http://app/runs/1"));
    assert_eq!((state(&story, 1), story.job_run(id(1)).in_doubt), (RunState::Unknown, true));
}
