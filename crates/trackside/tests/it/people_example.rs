//! The example of people and escalations, acted out: who is paged when, over the weekends on which the clocks change,
//! and what planned work, a cause and a flood leave of it.

use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use trackside::config;
use trackside_core::caller::Caller;
use trackside_core::decision::{Decision, PageRecord};
use trackside_core::effect::Effect;
use trackside_core::engine::decide;
use trackside_core::event::{Event, Fact, Labels};
use trackside_core::ids::EventId;
use trackside_core::input::{Command, DeliveryResult, Entry, Input, Outcome};
use trackside_core::run::{RunReport, RunUpdate, System};
use trackside_core::state::State;

/// The configuration of the example at work, by a clock that is moved.
struct World {
    state: State,
    now: Timestamp,
    decisions: Vec<Decision>,
}

impl World {
    /// In force from here on.
    fn at(now: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/people");
        let ruleset = Box::new(config::load(&folder).unwrap().ruleset);
        let mut world = Self { state: State::new("default"), now: now.parse().unwrap(), decisions: Vec::new() };
        world.input(Input::Ruleset { caller: Caller::rules(), ruleset });
        world
    }

    /// Decides, and has every message arrive.
    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let entry = Entry { seq: self.state.cursor + 1, at: self.now, input };
            let decision = decide(&mut self.state, &[entry]);
            self.state.forget_settled();
            inputs.extend(decision.effects.iter().map(arrived));
            self.decisions.push(decision);
        }
    }

    /// Lets time pass; what is due is done on the way.
    fn pass(&mut self, minutes: i64) {
        let then = self.now + SignedDuration::from_mins(minutes);
        while let Some(due) = self.state.next_due().filter(|due| *due <= then) {
            self.now = due.max(self.now);
            self.input(Input::Tick { due, noticed: None });
        }
        self.now = then;
    }

    fn run(&mut self, pipeline: &str, report: RunReport) {
        let number = self.state.cursor;
        let update = RunUpdate {
            system: System::Airflow,
            pipeline: pipeline.into(),
            run_id: Some(format!("run-{number}")),
            run_aliases: Vec::new(),
            attempt: None,
            report,
            started: None,
            ended: None,
            nominal: None,
            error: None,
            owners: Vec::new(),
            tags: Vec::new(),
            url: None,
            log_url: None,
            doc: None,
            clear_number: 0,
            rows: None,
            task_states: BTreeMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            deadlines: Vec::new(),
        };
        self.input(Input::Event(Box::new(Event {
            id: EventId::from_native("airflow-prod", &number.to_string()),
            source: "airflow-prod".into(),
            occurred: self.now,
            received: self.now,
            event: "run".into(),
            resource: Labels::from([("prefect.resource.id".to_owned(), pipeline.to_owned())]),
            related: Vec::new(),
            payload: serde_json::Value::Null,
            follows: None,
            fact: Some(Fact::Run(Box::new(update))),
        })));
    }

    fn pages(&self) -> impl Iterator<Item = &PageRecord> {
        self.decisions.iter().flat_map(|decision| &decision.pages)
    }

    /// Who was paged since the instant: minutes after it, whom, for which target.
    fn paged_since(&self, since: Timestamp) -> Vec<String> {
        let line = |page: &PageRecord| {
            let minutes = page.at.duration_since(since).as_mins();
            format!("+{minutes} {} {}", page.person.as_deref().unwrap_or("-"), page.target)
        };
        self.pages().map(line).collect()
    }

    /// Through which connections something was said, first to last.
    fn told(&self) -> Vec<&str> {
        self.decisions.iter().flat_map(|decision| &decision.effects).map(|effect| effect.connection.as_str()).collect()
    }
}

/// The message is with the far end.
fn arrived(effect: &Effect) -> Input {
    Input::Outcome(Box::new(Outcome {
        delivery: effect.id,
        connection: effect.connection.clone(),
        to: effect.to.clone(),
        incident: effect.incident,
        action: effect.action,
        result: DeliveryResult::Delivered,
        attempts: 1,
        status: Some(202),
        far_ref: None,
        act: None,
        job: None,
    }))
}

/// Who is paged at once when a pipeline fails then.
#[track_caller]
fn first(at: &str, pipeline: &str, expect: &str) {
    let mut world = World::at(at);
    world.run(pipeline, RunReport::Failed);
    world.pass(0);
    let paged: Vec<&str> = world.pages().filter_map(|page| page.person.as_deref()).collect();
    assert_eq!(paged, [expect], "{pipeline} at {at}");
}

#[test]
fn weeks_change_at_nine_in_paris_in_summer_and_in_winter() {
    // Europe's summer time ends on Sunday 25 October: Monday's hand-over comes 169 hours after the last one.
    first("2026-10-19T06:59:59Z", "ledger", "ana");
    first("2026-10-19T07:00:00Z", "ledger", "ben");
    first("2026-10-25T00:30:00Z", "ledger", "ben");
    first("2026-10-25T01:30:00Z", "ledger", "ben");
    first("2026-10-26T07:59:59Z", "ledger", "ben");
    first("2026-10-26T08:00:00Z", "ledger", "ana");
    // It begins again on 28 March.
    first("2027-03-29T06:59:59Z", "ledger", "ben");
    first("2027-03-29T07:00:00Z", "ledger", "ana");
}

#[test]
fn somebody_is_awake_around_the_sun_and_around_the_weekend() {
    // Friday: Kolkata, Paris, New York, then whose week it is.
    first("2026-10-30T03:30:00Z", "sensors", "kiran");
    first("2026-10-30T08:00:00Z", "sensors", "ben");
    first("2026-10-30T13:00:00Z", "sensors", "sam");
    first("2026-10-30T21:00:00Z", "sensors", "mei");
    // New York's summer time ends on Sunday 1 November, a week after Europe's.
    first("2026-11-01T05:30:00Z", "sensors", "mei");
    first("2026-11-01T06:30:00Z", "sensors", "mei");
    first("2026-11-02T00:00:00Z", "sensors", "zoe");
    first("2026-11-02T03:30:00Z", "sensors", "mei");
    first("2026-11-02T13:59:59Z", "sensors", "ana");
    first("2026-11-02T14:00:00Z", "sensors", "zoe");
}

#[test]
fn it_goes_on_until_somebody_has_it() {
    // Saturday night, an hour before the clocks go back in Paris.
    let mut world = World::at("2026-10-25T00:00:00Z");
    let failed = world.now;
    world.run("ledger", RunReport::Failed);
    world.pass(14);
    assert_eq!(world.paged_since(failed), ["+0 ben oncall:payments-week", "+5 ben person:ben"]);
    world.pass(600);
    let all = world.paged_since(failed);
    let steps: Vec<&str> = all.iter().map(String::as_str).filter(|line| !line.contains("ben person:ben")).collect();
    assert_eq!(
        steps,
        [
            "+0 ben oncall:payments-week",
            "+15 ben oncall:payments-week",
            "+15 sam oncall:follow-the-sun",
            "+20 sam person:sam",
            "+30 lea person:lea",
            "+60 - channel:pager-payments",
            "+90 ben oncall:payments-week",
            "+105 ben oncall:payments-week",
            "+105 sam oncall:follow-the-sun",
            "+110 sam person:sam",
            "+120 lea person:lea",
            "+150 - channel:pager-payments",
        ]
    );
}

#[test]
fn who_has_it_and_forgets_it_is_asked_again() {
    let mut world = World::at("2026-10-20T09:00:00Z");
    let failed = world.now;
    world.run("ledger", RunReport::Failed);
    world.pass(10);
    let incident = world.state.open_incidents().next().unwrap().id;
    let caller = Caller::new("ben@example.net", "email");
    world.input(Input::Command { caller, command: Command::Acknowledge { incident }, origin: None });
    world.pass(479);
    assert_eq!(world.pages().count(), 2, "{:?}", world.paged_since(failed));
    world.pass(2);
    assert_eq!(world.paged_since(failed)[2..], ["+490 ben oncall:payments-week"]);
    let by = world.state.open_incidents().next().unwrap().acknowledged_by.clone();
    assert_eq!(by, None, "nobody has it any more");
}

#[test]
fn planned_work_pages_nobody_until_its_end() {
    // 01:00 to 04:00 in Paris on the fourth.
    let mut world = World::at("2026-11-03T23:00:00Z");
    world.pass(90);
    let failed = world.now;
    world.run("ledger", RunReport::Failed);
    world.pass(149);
    assert_eq!(world.paged_since(failed), [] as [String; 0]);
    world.pass(2);
    assert_eq!(world.paged_since(failed), ["+150 ben oncall:payments-week"]);
    // What is over by then is not spoken of.
    let mut world = World::at("2026-11-04T00:30:00Z");
    world.run("ledger", RunReport::Failed);
    world.pass(10);
    world.run("ledger", RunReport::Succeeded);
    world.pass(300);
    assert_eq!(world.pages().count(), 0);
}

#[test]
fn effects_of_a_cause_page_nobody() {
    let mut world = World::at("2026-10-20T09:00:00Z");
    world.run("ledger", RunReport::Failed);
    world.pass(1);
    let before = world.pages().count();
    // Held back by the inhibition, and affected as a declared upstream says.
    world.run("billing_export", RunReport::Failed);
    world.run("report_daily", RunReport::Failed);
    world.pass(1);
    assert_eq!(world.pages().count(), before);
    let ledger = world.state.open_incidents().find(|incident| &*incident.pipeline.name == "ledger").unwrap();
    let affected: Vec<&str> = ledger.affected.iter().map(|affected| &*affected.pipeline.name).collect();
    assert_eq!(affected, ["report_daily"]);
    // Somebody else's failure is paged all the same.
    world.run("sensors", RunReport::Failed);
    world.pass(0);
    assert_eq!(world.pages().count(), before + 1);
}

#[test]
fn a_flood_is_one_incident() {
    let mut world = World::at("2026-10-20T09:00:00Z");
    for number in 0..40 {
        world.run(&format!("sensor_{number}"), RunReport::Failed);
    }
    world.pass(0);
    let told = world.told().len();
    assert!((10..=25).contains(&told), "{told} messages for 40 failures");
    let open = world.state.open_incidents().count();
    assert_eq!(open, 41, "nothing is lost: each has its incident, and the storm its own");
}
