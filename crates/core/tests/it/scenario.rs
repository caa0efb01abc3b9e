//! A small language for stories: `at(seconds, what)`, then compare what was told, one line per effect and change.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use trackside_core::approval::request::{Approval, Grant};
use trackside_core::automation::edit::SenderClock;
use trackside_core::automation::set;
use trackside_core::caller::Caller;
use trackside_core::decision::{Alias, Change, Counters, Decision};
use trackside_core::duty::absence::Absence;
use trackside_core::duty::schedule::Override;
use trackside_core::engine::decide;
use trackside_core::event::{Event, Fact, Report, ReportAction, Severity};
use trackside_core::ids::{EventId, IncidentId, Seq};
use trackside_core::incident::{Alert, AlertKey, Incident, IncidentState};
use trackside_core::input::{Command, DeliveryResult, DutyEdit, Entry, Input, Origin, Outcome};
use trackside_core::job::run::JobRun;
use trackside_core::limits;
use trackside_core::pipeline::Pipeline;
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::noise::{PlannedWork, Silence};
use trackside_core::run::{Attempt, AttemptKey, AttemptRef, PipelineKey, Run, RunKey, RunReport, RunUpdate, System};
use trackside_core::state::{CanaryTest, Loaded, Needed, State};
use trackside_core::timer::{Timer, TimerKey};
use uuid::Uuid;

/// A running story.
pub(crate) struct Story {
    pub(crate) state: State,
    log: Vec<Entry>,
    now: Timestamp,
    happened: Option<Timestamp>,
    told: Vec<String>,
    archive: Archive,
    pub(crate) decisions: Vec<Decision>,
}

/// What a store would keep: every run, attempt, name and incident, last value only.
#[derive(Default)]
struct Archive {
    runs: BTreeMap<RunKey, Run>,
    attempts: BTreeMap<AttemptKey, Attempt>,
    aliases: Vec<Alias>,
    incidents: BTreeMap<IncidentId, Incident>,
    pipelines: BTreeMap<PipelineKey, Pipeline>,
    alerts: BTreeMap<AlertKey, Alert>,
    timers: BTreeMap<TimerKey, Timestamp>,
    overrides: BTreeMap<Uuid, Override>,
    silences: BTreeMap<Uuid, Silence>,
    works: BTreeMap<Uuid, PlannedWork>,
    absences: BTreeMap<String, Absence>,
    canaries: BTreeMap<String, CanaryTest>,
    approvals: BTreeMap<Uuid, Approval>,
    grants: BTreeMap<Uuid, Grant>,
    pub(crate) job_runs: BTreeMap<Uuid, JobRun>,
    ruleset: Option<Ruleset>,
    counters: Counters,
    sender_clock: Option<SenderClock>,
}

impl Archive {
    fn keep(&mut self, decision: &Decision) {
        self.sender_clock = decision.sender_clock.or(self.sender_clock);
        for change in &decision.changes {
            match change {
                Change::Run(run) => drop(self.runs.insert(run.key.clone(), run.clone())),
                Change::Attempt(attempt) => drop(self.attempts.insert(attempt.key.clone(), attempt.clone())),
                Change::Alias(alias) => self.aliases.push(alias.clone()),
                Change::Incident(incident) => drop(self.incidents.insert(incident.id, incident.clone())),
                Change::Pipeline(pipeline) => drop(self.pipelines.insert(pipeline.key.clone(), pipeline.clone())),
                Change::Alert(alert) => drop(self.alerts.insert(alert.key.clone(), alert.clone())),
                Change::AlertGone(key) => drop(self.alerts.remove(key)),
                Change::Timer(timer) => drop(self.timers.insert(timer.key.clone(), timer.due)),
                Change::TimerGone(key) => drop(self.timers.remove(key)),
                Change::Override(over) => drop(self.overrides.insert(over.id, over.clone())),
                Change::OverrideGone { id, .. } => drop(self.overrides.remove(id)),
                Change::Silence(silence) => drop(self.silences.insert(silence.id, silence.clone())),
                Change::Maintenance(work) => drop(self.works.insert(work.id, (**work).clone())),
                Change::MaintenanceGone { id, .. } => drop(self.works.remove(id)),
                Change::Absence(absence) => drop(self.absences.insert(absence.person.clone(), absence.clone())),
                Change::AbsenceOver(person) => drop(self.absences.remove(person)),
                Change::Canary(test) => drop(self.canaries.insert(test.connection.clone(), test.clone())),
                Change::JobRun(run) => drop(self.job_runs.insert(run.id, (**run).clone())),
                Change::CanaryGone(connection) => drop(self.canaries.remove(connection)),
                Change::Approval(approval) => drop(self.approvals.insert(approval.id, (**approval).clone())),
                Change::Grant(grant) => drop(self.grants.insert(grant.id, grant.clone())),
                Change::GrantGone { id, .. } => drop(self.grants.remove(id)),
                Change::Ruleset(ruleset) => self.ruleset = Some((**ruleset).clone()),
                Change::Counters(counters) => self.counters = *counters,
                _ => {}
            }
        }
    }

    /// What a server that starts at `now` finds.
    fn at_start(&self, cursor: Seq, now: Timestamp) -> Loaded {
        let remembered = |incident: &&Incident| {
            incident.resolved.is_none_or(|at| now.duration_since(at) <= limits::REMEMBER_RESOLVED)
        };
        let live = |run: &&Run| !run.state.is_terminal();
        let runs: Vec<Run> = self.runs.values().filter(live).cloned().collect();
        let of_live = |key: &RunKey| runs.iter().any(|run| run.key == *key);
        Loaded {
            cursor,
            ruleset: self.ruleset.clone(),
            counters: self.counters,
            attempts: self.attempts.values().filter(|attempt| of_live(&attempt.key.run)).cloned().collect(),
            aliases: self.aliases.iter().filter(|alias| of_live(&alias.run)).cloned().collect(),
            runs,
            pipelines: self.pipelines.values().cloned().collect(),
            alerts: self.alerts.values().cloned().collect(),
            incidents: self.incidents.values().filter(remembered).cloned().collect(),
            timers: self.timers.iter().map(|(key, due)| Timer { key: key.clone(), due: *due }).collect(),
            overrides: self.overrides.values().filter(|over| over.end > now).cloned().collect(),
            silences: self.silences.values().filter(|silence| silence.ends > now).cloned().collect(),
            planned_work: self.works.values().cloned().collect(),
            absences: self.absences.values().cloned().collect(),
            canaries: self.canaries.values().cloned().collect(),
            approvals: self.approvals.values().filter(|approval| approval.is_open()).cloned().collect(),
            grants: self.grants.values().cloned().collect(),
            job_runs: self.job_runs.values().filter(|run| !run.state.ended()).cloned().collect(),
            automations: set::Loaded { sender_clock: self.sender_clock, ..set::Loaded::default() },
            ..Loaded::default()
        }
    }

    fn load(&self, needed: &Needed) -> Loaded {
        let mut loaded = Loaded::default();
        for (source, pipeline, name) in &needed.runs {
            let alias = self.aliases.iter().rev().find(|alias| alias.source == *source && alias.alias == *name);
            loaded.runs.extend(
                self.runs
                    .values()
                    .find(|run| {
                        let named = run.key.run == *name || run.run_id.as_deref() == Some(name);
                        let here = run.key.source == *source && run.key.pipeline == *pipeline && named;
                        here || alias.is_some_and(|alias| alias.run == run.key)
                    })
                    .cloned(),
            );
        }
        for run in &loaded.runs {
            loaded.attempts.extend(self.attempts.values().filter(|attempt| attempt.key.run == run.key).cloned());
            loaded.aliases.extend(self.aliases.iter().filter(|alias| alias.run == run.key).cloned());
        }
        loaded.job_runs.extend(needed.job_runs.iter().filter_map(|id| self.job_runs.get(id)).cloned());
        for (job, subject, key) in &needed.job_keys {
            let of_key =
                |run: &&JobRun| run.job == *job && run.caller.subject == *subject && run.key.as_ref() == Some(key);
            loaded.job_runs.extend(self.job_runs.values().filter(of_key).max_by_key(|run| run.seq).cloned());
        }
        loaded.approvals.extend(needed.approvals.iter().filter_map(|id| self.approvals.get(id)).cloned());
        loaded.incidents.extend(needed.incidents.iter().filter_map(|id| self.incidents.get(id)).cloned());
        loaded
    }
}

/// The bodies of the events that a decision asks for.
fn events_of(log: &[Entry], needed: &Needed) -> Vec<(Seq, Event)> {
    let wanted = log.iter().filter(|entry| needed.events.contains(&entry.seq));
    let event = |entry: &Entry| match &entry.input {
        Input::Event(event) => Some((entry.seq, (**event).clone())),
        _ => None,
    };
    wanted.filter_map(event).collect()
}

/// Midnight of every story.
pub(crate) fn start() -> Timestamp {
    "2026-11-20T00:00:00Z".parse().unwrap()
}

impl Story {
    /// A story under rules given as JSON. Two teams and three connections are there already.
    #[allow(clippy::needless_pass_by_value, reason = "stories read better with `json!` in place")]
    pub(crate) fn new(rules: serde_json::Value) -> Self {
        let mut ruleset = serde_json::json!({
            "teams": {
                "payments": {"aliases": ["pay"], "notify": [{"via": "pd", "min_severity": "error"}, {"via": "slack"}]},
                "platform": {"notify": [{"via": "hook"}]}
            },
            "owners": {"default": "platform"},
            "connections": {
                "pd": {"kind": "pagerduty", "updates": "raised"},
                "slack": {"kind": "slack", "updates": "every"},
                "hook": {"kind": "webhook", "updates": "raised"}
            }
        });
        for (key, value) in rules.as_object().unwrap() {
            ruleset[key] = value.clone();
        }
        let mut story = Self {
            state: State::new("default"),
            log: Vec::new(),
            now: start(),
            happened: None,
            told: Vec::new(),
            archive: Archive::default(),
            decisions: Vec::new(),
        };
        let ruleset = Box::new(serde_json::from_value(ruleset).unwrap());
        story.input(Input::Ruleset { caller: Caller::rules(), ruleset });
        assert!(story.state.rules().is_some(), "{}", story.why());
        story.told.clear();
        story
    }

    /// Moves the clock to `seconds` after midnight, deciding every timer on the way at its own time.
    pub(crate) fn at(&mut self, seconds: i64) -> &mut Self {
        let then = start() + SignedDuration::from_secs(seconds);
        while let Some(due) = self.state.next_due().filter(|due| *due <= then) {
            self.now = due.max(self.now);
            self.input(Input::Tick { due, noticed: None });
        }
        self.now = then;
        self
    }

    /// Moves the clock without deciding anything, as if nothing ran.
    pub(crate) fn sleep_until(&mut self, seconds: i64) -> &mut Self {
        self.now = start() + SignedDuration::from_secs(seconds);
        self
    }

    /// Nothing runs until `seconds`; what was due meanwhile is noticed then.
    pub(crate) fn restart_at(&mut self, seconds: i64) -> &mut Self {
        let now = start() + SignedDuration::from_secs(seconds);
        while let Some(due) = self.state.next_due().filter(|due| *due <= now) {
            let noticed = (now.duration_since(due) > limits::LATE_AFTER).then_some(now);
            self.now = due;
            self.input(Input::Tick { due, noticed });
        }
        self.now = now;
        self
    }

    /// The rules of the story, changed.
    pub(crate) fn change_rules(&mut self, change: impl Fn(&mut serde_json::Value)) -> &mut Self {
        let mut ruleset = serde_json::to_value(self.state.rules().unwrap().source()).unwrap();
        change(&mut ruleset);
        let ruleset = Box::new(serde_json::from_value(ruleset).unwrap());
        self.input(Input::Ruleset { caller: Caller::rules(), ruleset })
    }

    /// The clock of the story.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Decides an input, and then the events that the decision itself is.
    pub(crate) fn input(&mut self, input: Input) -> &mut Self {
        self.input_alone(input);
        let emitted = self.decisions.last().map(|decision| decision.emitted.clone()).unwrap_or_default();
        for event in emitted {
            self.input(Input::Event(Box::new(event)));
        }
        self
    }

    fn input_alone(&mut self, input: Input) {
        let entry = Entry { seq: self.state.cursor + 1, at: self.now, input };
        let restarted = self.after_restart(&entry);
        self.log.push(entry.clone());
        let mut before: Vec<_> = self.state.open_incidents().cloned().collect();
        before.sort_by_key(|incident| incident.number);
        let needed = self.state.needed(std::slice::from_ref(&entry));
        let loaded = Loaded { events: events_of(&self.log, &needed), ..self.archive.load(&needed) };
        self.state.absorb(loaded);
        let decision = decide(&mut self.state, &[entry]);
        self.archive.keep(&decision);
        if let Some(restarted) = restarted {
            assert_eq!(restarted, decision, "a server that starts in between decides the same");
        }
        let second = self.now.duration_since(start()).as_secs();
        for effect in &decision.effects {
            let to = effect.to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
            let (via, second) = (&effect.connection, effect.at.duration_since(start()).as_secs());
            let text = format!("{second:>5} {via}{to} {}: {}", effect.action.as_str(), effect.notice.title);
            self.told.push(text);
        }
        for incident in before {
            if self.state.incident(incident.id).is_some_and(|now| now.state == IncidentState::Resolved) {
                self.told.push(format!("{second:>5} #{} resolved", incident.number));
            }
        }
        self.state.forget_settled();
        self.decisions.push(decision);
    }

    /// What a server decides that has just started. What automations keep is not part of these stories.
    fn after_restart(&self, entry: &Entry) -> Option<Decision> {
        if self.log.iter().chain([entry]).any(|entry| matches!(entry.input, Input::Automations { .. })) {
            return None;
        }
        let loaded = self.archive.at_start(self.state.cursor, entry.at);
        let mut state = State::restore("default", loaded).unwrap();
        state.absorb(self.archive.load(&state.needed(std::slice::from_ref(entry))));
        Some(decide(&mut state, std::slice::from_ref(entry)))
    }

    /// When the next event happened, if not when it comes.
    pub(crate) fn happened(&mut self, seconds: i64) -> &mut Self {
        self.happened = Some(start() + SignedDuration::from_secs(seconds));
        self
    }

    /// An event with this fact.
    pub(crate) fn fact(&mut self, fact: Fact) -> &mut Self {
        let event = Event {
            id: EventId::from_native("story", &self.log.len().to_string()),
            source: "airflow".into(),
            occurred: self.happened.take().unwrap_or(self.now),
            received: self.now,
            event: "story.event".into(),
            resource: [("prefect.resource.id".to_owned(), "story".to_owned())].into(),
            related: Vec::new(),
            payload: serde_json::Value::Null,
            follows: None,
            fact: Some(fact),
        };
        self.input(Input::Event(Box::new(event)))
    }

    /// `run("etl/r1 failed")`, `run("etl/r1/load#2 failed_maybe_retry")`: pipeline/run[/task#try] and a report.
    /// The run `-` is one that its sender does not name.
    pub(crate) fn run(&mut self, text: &str) -> &mut Self {
        let update = update(text);
        self.fact(Fact::Run(Box::new(update)))
    }

    pub(crate) fn report(&mut self, key: &str, action: ReportAction) -> &mut Self {
        self.fact(Fact::Report(Box::new(Report {
            key: key.into(),
            action,
            severity: Severity::Critical,
            summary: format!("{key} is on fire"),
            owners: vec!["pay".into()],
            component: None,
            links: Vec::new(),
            details: BTreeMap::new(),
            ends: None,
        })))
    }

    pub(crate) fn acknowledge(&mut self, number: u64) -> &mut Self {
        let incident = self.state.open_incidents().find(|incident| incident.number == number).unwrap().id;
        let caller = Caller::new("alice", "token");
        self.input(Input::Command { caller, command: Command::Acknowledge { incident }, origin: None })
    }

    /// Alice asks for something about an open incident.
    pub(crate) fn ask(&mut self, number: u64, command: impl Fn(IncidentId) -> Command) -> &mut Self {
        self.ask_from(number, None, command)
    }

    /// Alice asks for it somewhere else, and a far end passes it on.
    pub(crate) fn ask_from(
        &mut self,
        number: u64,
        origin: Option<Origin>,
        command: impl Fn(IncidentId) -> Command,
    ) -> &mut Self {
        let incident = self.incident(number).id;
        let caller = Caller::new("alice", "token");
        self.input(Input::Command { caller, command: command(incident), origin })
    }

    /// A run of a job as the store has it.
    pub(crate) fn job_run(&self, id: Uuid) -> JobRun {
        self.archive.job_runs[&id].clone()
    }

    /// All runs of jobs.
    pub(crate) fn job_runs(&self) -> impl Iterator<Item = &JobRun> {
        self.archive.job_runs.values()
    }

    /// An incident as the store has it.
    pub(crate) fn incident(&self, number: u64) -> Incident {
        self.archive.incidents.values().find(|incident| incident.number == number).unwrap().clone()
    }

    /// The questions for agreement as the store has them, by number.
    pub(crate) fn approvals(&self) -> Vec<Approval> {
        let mut all: Vec<Approval> = self.archive.approvals.values().cloned().collect();
        all.sort_by_key(|approval| approval.number);
        all
    }

    /// The access that holds, as the store has it.
    pub(crate) fn grants(&self) -> Vec<Grant> {
        self.archive.grants.values().cloned().collect()
    }

    /// Alice changes what is planned.
    pub(crate) fn plan(&mut self, edit: DutyEdit) -> &mut Self {
        let caller = Caller::new("alice", "token");
        self.input(Input::Duty { caller, edits: vec![edit] })
    }

    /// The pages so far, one line each: when, whom, and what there is to say.
    pub(crate) fn pages(&self) -> Vec<String> {
        let pages = self.decisions.iter().flat_map(|decision| &decision.pages);
        pages
            .map(|page| {
                let second = page.at.duration_since(start()).as_secs();
                let person = page.person.as_ref().map_or_else(String::new, |person| format!(" {person}"));
                let late = page.at.duration_since(page.due).as_secs();
                let late = if late > 0 { format!(" {late} s late") } else { String::new() };
                let note = if page.note.is_empty() { String::new() } else { format!(" ({})", page.note) };
                format!("{second} {}.{} {}{person}{late}{note}", page.cycle, page.step, page.target)
            })
            .collect()
    }

    /// The latest message through a connection is given up.
    pub(crate) fn dead(&mut self, connection: &str) -> &mut Self {
        self.ended(connection, DeliveryResult::Dead { error: "403 Forbidden".into() }, 403)
    }

    /// The latest message through a connection arrived.
    pub(crate) fn delivered(&mut self, connection: &str) -> &mut Self {
        self.ended(connection, DeliveryResult::Delivered, 200)
    }

    fn ended(&mut self, connection: &str, result: DeliveryResult, status: u16) -> &mut Self {
        let mut effects = self.decisions.iter().flat_map(|decision| &decision.effects);
        let effect = effects.rfind(|effect| effect.connection == connection).unwrap().clone();
        self.input(Input::Outcome(Box::new(Outcome {
            delivery: effect.id,
            connection: effect.connection,
            to: effect.to,
            incident: effect.incident,
            action: effect.action,
            result,
            attempts: 1,
            status: Some(status),
            far_ref: None,
            act: None,
            job: None,
        })))
    }

    /// Compares what was told since the last call, and that a replay from empty decides the same.
    #[track_caller]
    pub(crate) fn expect(&mut self, lines: &str) -> &mut Self {
        let expected: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let told: Vec<String> = std::mem::take(&mut self.told).iter().map(|line| line.trim().to_owned()).collect();
        assert_eq!(told, expected);
        self.check_replay();
        self
    }

    /// Compares every decision with those of a replay from empty.
    #[track_caller]
    pub(crate) fn check_replay(&self) {
        let mut state = State::new("default");
        let mut replayed = Vec::new();
        for entry in &self.log {
            let events = events_of(&self.log, &state.needed(std::slice::from_ref(entry)));
            state.absorb(Loaded { events, ..Loaded::default() });
            replayed.push(decide(&mut state, std::slice::from_ref(entry)));
        }
        for (live, again) in self.decisions.iter().zip(&replayed) {
            assert_eq!(live.effects, again.effects, "a replay asks for the same effects");
            assert_eq!(live.audit, again.audit, "a replay writes the same audit");
        }
    }

    /// The explanation of the last input.
    pub(crate) fn why(&self) -> String {
        let Some(why) = self.decisions.last().and_then(|decision| decision.explanations.last()) else {
            return "no explanation".to_owned();
        };
        let mut lines = vec![why.meaning.clone()];
        for rule in &why.rules {
            lines.push(format!("  {}: {:?}: {}", rule.rule, rule.verdict, rule.because));
        }
        lines.push(format!("  => {}", why.outcome));
        lines.join("\n")
    }
}

pub(crate) fn update(text: &str) -> RunUpdate {
    let (path, report) = text.split_once(' ').unwrap();
    let (report, rest) = report.split_once(' ').unwrap_or((report, ""));
    let mut parts = path.split('/');
    let (pipeline, run) = (parts.next().unwrap(), parts.next().unwrap());
    let attempt = parts.next().map(|task| {
        let (task, number) = task.split_once('#').unwrap();
        AttemptRef {
            task: task.into(),
            map_index: None,
            try_number: Some(number.parse().unwrap()),
            retries: None,
            aliases: Vec::new(),
        }
    });
    let mut update = RunUpdate {
        system: System::Airflow,
        pipeline: pipeline.into(),
        run_id: Some(run.to_owned()).filter(|run| run != "-"),
        run_aliases: Vec::new(),
        attempt,
        report: serde_json::from_value::<RunReport>(report.into()).unwrap(),
        started: None,
        ended: None,
        nominal: None,
        error: None,
        owners: vec!["pay".into()],
        tags: vec!["tier:1".into()],
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
    for word in rest.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap();
        match name {
            "reads" => update.inputs = value.split(',').map(str::to_owned).collect(),
            "writes" => update.outputs = value.split(',').map(str::to_owned).collect(),
            "rows" => update.rows = Some(value.parse().unwrap()),
            "error" => update.error = Some(value.replace('_', " ")),
            "owner" => update.owners = vec![value.into()],
            "alias" => update.run_aliases = vec![value.into()],
            "started" => update.started = Some(start() + SignedDuration::from_secs(value.parse().unwrap())),
            "ended" => update.ended = Some(start() + SignedDuration::from_secs(value.parse().unwrap())),
            task => {
                update.task_states.insert(task.trim_start_matches('@').into(), value.into());
            }
        }
    }
    update
}
